// SPDX-License-Identifier: AGPL-3.0-or-later

// Package quickfile reads and writes many regular files one after the other, for programs that do little else.
//
// Package os asks the runtime's poller whether it takes each file, which for a regular file it never does: six system calls. And it tells the
// runtime of each system call, so that a thread that waits for a disk gives its place to another one; for files of half a megabyte in the page
// cache that costs more than it brings. Here the thread waits, and so does a garbage collection: right for a command, wrong for a server.
package quickfile

import (
	"io"
	"io/fs"
	"os"
	"syscall"
	"unsafe"
)

// File is an open file. It is for one goroutine, and must be closed.
type File struct {
	fd   uintptr
	path string
}

// Open opens a file for reading. It does not wait for a writer if the file is a pipe.
func Open(path string) (*File, error) { return open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0) }

// Create makes a file, or empties it, and opens it for writing.
func Create(path string, perm fs.FileMode) (*File, error) {
	return open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_TRUNC, uintptr(perm.Perm()))
}

// here is AT_FDCWD: paths are relative to the working directory.
const here = ^uintptr(99)

func open(path string, flags int, perm uintptr) (*File, error) {
	p, err := syscall.BytePtrFromString(path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, here, uintptr(unsafe.Pointer(p)), uintptr(flags|syscall.O_CLOEXEC|syscall.O_LARGEFILE), perm, 0, 0) //nolint:gosec // a path that ends with 0
		switch errno {
		case 0:
			return &File{fd, path}, nil
		case syscall.EINTR:
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: errno}
		}
	}
}

func (f *File) Read(p []byte) (int, error) {
	n, err := f.move(syscall.SYS_READ, p, "read")
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

func (f *File) Write(p []byte) (done int, err error) {
	for done < len(p) && err == nil {
		var n int
		n, err = f.move(syscall.SYS_WRITE, p[done:], "write")
		done += n
	}
	return done, err
}

func (f *File) move(call uintptr, p []byte, op string) (int, error) {
	for {
		n, _, errno := syscall.RawSyscall(call, f.fd, uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p))) //nolint:gosec // a slice's own length
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		default:
			return 0, &fs.PathError{Op: op, Path: f.path, Err: errno}
		}
	}
}

// Close reports what could not be written after all.
func (f *File) Close() error {
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, f.fd, 0, 0)
	f.fd = ^uintptr(0)
	if errno != 0 && errno != syscall.EINTR {
		return &fs.PathError{Op: "close", Path: f.path, Err: errno}
	}
	return nil
}

// Rename is os.Rename.
func Rename(from, to string) error {
	p, err := syscall.BytePtrFromString(from)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	q, err := syscall.BytePtrFromString(to)
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_RENAMEAT, here, uintptr(unsafe.Pointer(p)), here, uintptr(unsafe.Pointer(q)), 0, 0) //nolint:gosec // paths that end with 0
	if errno != 0 {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: errno}
	}
	return nil
}
