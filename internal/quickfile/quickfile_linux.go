// SPDX-License-Identifier: AGPL-3.0-or-later

// Package quickfile reads and writes many regular files one after the other, for programs that do little else.
//
// Package os asks the runtime's poller whether it takes each file, which for a regular file it never does: six system
// calls. And it tells the runtime of each system call, so that a thread that waits for a disk gives its place to
// another one; for files of half a megabyte in the page cache that costs more than it brings. Here the thread waits,
// and so does a garbage collection: right for a command, wrong for a server.
package quickfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"unsafe"
)

// File is an open file. It is for one goroutine, and must be closed.
type File struct {
	fd   uintptr
	path string // for errors
	temp string // the name that an unnamed file has where the file system knows no files without one
	at   int64  // how much was written
}

// Open opens a file for reading. It does not wait for a writer if the file is a pipe.
func Open(path string) (*File, error) { return open(path, syscall.O_RDONLY|syscall.O_NONBLOCK, 0) }

// CreateUnnamed makes a file for writing, in the file system of the folder dir, which has no name until Name gives it
// one: if that never happens nothing is left, whatever becomes of the process. Where the file system knows no such
// files it has a hidden name in dir for so long.
func CreateUnnamed(dir string, perm fs.FileMode) (*File, error) {
	f, err := open(dir, syscall.O_WRONLY|tmpfile, uintptr(perm.Perm()))
	if errors.Is(err, syscall.EOPNOTSUPP) || errors.Is(err, syscall.EISDIR) || errors.Is(err, syscall.ENOENT) {
		return createNamed(dir, perm)
	}
	return f, err
}

// createNamed makes a file of its own: what somebody else put there under that name, a link above all, is neither
// followed nor emptied.
func createNamed(dir string, perm fs.FileMode) (*File, error) {
	for try := 1; ; try++ {
		temp := filepath.Join(dir, fmt.Sprintf(".adit-%d-%d.part", os.Getpid(), temps.Add(1)))
		f, err := open(temp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW, uintptr(perm.Perm()))
		if errors.Is(err, fs.ErrExist) && try < maxTemps {
			continue
		}
		if err == nil {
			f.temp = temp
		}
		return f, err
	}
}

// maxTemps is how many names that are taken are passed by: those that earlier processes of the same number left behind.
const maxTemps = 1000

// temps counts the files that had a name from the beginning.
var temps atomic.Uint64

// tmpfile is O_TMPFILE, which package syscall lacks.
const tmpfile = 0x400000 | syscall.O_DIRECTORY

// Name gives an unnamed file the name path, in the place of what has it, and closes the file. After an error it is
// still to be named or closed.
func (f *File) Name(path string) error {
	if f.temp == "" {
		if err := f.replace(path); err != nil {
			return err
		}
		return f.end()
	}
	if err := f.end(); err != nil { // a file that can't be closed may not be whole
		return err
	}
	err := rename(f.temp, path)
	if err == nil {
		f.temp = ""
	}
	return err
}

func (f *File) replace(path string) error {
	err := f.link(path)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	beside := path + "~"
	if err := os.Remove(beside); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := f.link(beside); err != nil {
		return err
	}
	err = rename(beside, path)
	if err != nil {
		_ = os.Remove(beside) // it would stand beside for ever
	}
	return err
}

func (f *File) link(path string) error {
	self := "/proc/self/fd/" + strconv.FormatUint(uint64(f.fd), 10)
	return twoPaths(syscall.SYS_LINKAT, "link", self, path, followSymlink)
}

// followSymlink is AT_SYMLINK_FOLLOW, which package syscall lacks.
const followSymlink = 0x400

func rename(from, to string) error { return twoPaths(syscall.SYS_RENAMEAT, "rename", from, to, 0) }

// here is AT_FDCWD: paths are relative to the working directory.
const here = ^uintptr(99)

func open(path string, flags int, perm uintptr) (*File, error) {
	var room [pathRoom]byte
	p, err := cString(room[:0], path)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	for {
		fd, _, errno := syscall.RawSyscall6(syscall.SYS_OPENAT, here, uintptr(unsafe.Pointer(p)), uintptr(flags|syscall.O_CLOEXEC|syscall.O_LARGEFILE), perm, 0, 0) //nolint:gosec // a path that ends with 0
		switch errno {
		case 0:
			return &File{fd: fd, path: path}, nil
		case syscall.EINTR:
		default:
			return nil, &fs.PathError{Op: "open", Path: path, Err: errno}
		}
	}
}

func (f *File) Read(p []byte) (int, error) {
	n, err := f.call("read", syscall.SYS_READ, unsafe.Pointer(unsafe.SliceData(p)), uintptr(len(p))) //nolint:gosec // a slice's own length
	if n == 0 && err == nil && len(p) > 0 {
		err = io.EOF
	}
	return n, err
}

// WriteBoth writes two pieces, with one system call unless the disk takes less. It gives how many bytes it wrote.
func (f *File) WriteBoth(first, second []byte) (done int, err error) {
	f.reserve(len(first) + len(second))
	for len(first)+len(second) > 0 {
		var v [2]syscall.Iovec
		v[0].Base, v[1].Base = unsafe.SliceData(first), unsafe.SliceData(second) //nolint:gosec // with the slices' own lengths
		v[0].SetLen(len(first))
		v[1].SetLen(len(second))
		n, err := f.call("write", syscall.SYS_WRITEV, unsafe.Pointer(&v), uintptr(len(v))) //nolint:gosec // as above
		if err != nil {
			return done, err
		}
		done += n
		f.at += int64(n)
		k := min(n, len(first))
		first, second = first[k:], second[n-k:]
	}
	return done, nil
}

// reserve asks ext4 for the space of the next n bytes at once, which is cheaper than block by block while they are
// written. The write reports what is not available. Other file systems either don't gain by it or would be asked over a
// network.
func (f *File) reserve(n int) {
	const ext4, worthIt, keepSize = 0xef53, 64 << 10, 1
	if n < worthIt {
		return
	}
	var stat syscall.Statfs_t
	if _, _, errno := syscall.RawSyscall(syscall.SYS_FSTATFS, f.fd, uintptr(unsafe.Pointer(&stat)), 0); errno == 0 && stat.Type == ext4 { //nolint:gosec // the kernel's own structure
		_, _, _ = syscall.RawSyscall6(syscall.SYS_FALLOCATE, f.fd, keepSize, uintptr(f.at), uintptr(n), 0, 0)
	}
}

// Seek is os.File.Seek.
func (f *File) Seek(offset int64, whence int) (int64, error) {
	at, _, errno := syscall.RawSyscall(syscall.SYS_LSEEK, f.fd, uintptr(offset), uintptr(whence))
	if errno != 0 {
		return 0, &fs.PathError{Op: "seek", Path: f.path, Err: errno}
	}
	return int64(at), nil
}

func (f *File) call(op string, number uintptr, p unsafe.Pointer, n uintptr) (int, error) {
	for {
		done, _, errno := syscall.RawSyscall(number, f.fd, uintptr(p), n)
		switch errno {
		case 0:
			return int(done), nil
		case syscall.EINTR:
		default:
			return 0, &fs.PathError{Op: op, Path: f.path, Err: errno}
		}
	}
}

// Close reports what could not be written after all. A file without a name is gone with it.
func (f *File) Close() error {
	if f.temp != "" {
		_ = os.Remove(f.temp) // one hidden file more would do no harm
		f.temp = ""
	}
	return f.end()
}

const closed = ^uintptr(0)

// end closes the descriptor, once.
func (f *File) end() error {
	if f.fd == closed {
		return nil
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_CLOSE, f.fd, 0, 0)
	f.fd = closed
	if errno != 0 && errno != syscall.EINTR {
		return &fs.PathError{Op: "close", Path: f.path, Err: errno}
	}
	return nil
}

func twoPaths(call uintptr, op, from, to string, flags uintptr) error {
	failed := func(err error) error { return &os.LinkError{Op: op, Old: from, New: to, Err: err} }
	var room [2][pathRoom]byte
	p, err := cString(room[0][:0], from)
	if err != nil {
		return failed(err)
	}
	q, err := cString(room[1][:0], to)
	if err != nil {
		return failed(err)
	}
	_, _, errno := syscall.RawSyscall6(call, here, uintptr(unsafe.Pointer(p)), here, uintptr(unsafe.Pointer(q)), flags, 0) //nolint:gosec // paths that end with 0
	if errno != 0 {
		return failed(errno)
	}
	return nil
}

// pathRoom is for the paths that are common; longer ones cost an allocation.
const pathRoom = 256

// cString appends a path to room as the kernel takes it: with a zero behind it, and none within.
func cString(room []byte, path string) (*byte, error) {
	if strings.IndexByte(path, 0) >= 0 {
		return nil, syscall.EINVAL
	}
	p := append(append(room, path...), 0)
	return &p[0], nil
}
