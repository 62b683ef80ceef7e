// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

// Package quickfile reads and writes files by package os. On Linux it is faster than that.
package quickfile

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// File is an open file. It is for one goroutine, and must be closed.
type File struct {
	*os.File
	temp string // the name of one that is to be named
}

// Open opens a file for reading. It does not wait for a writer if the file is a pipe.
func Open(path string) (*File, error) { return open(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) }

// CreateUnnamed makes a file for writing, which has a hidden name in dir until Name gives it its own.
func CreateUnnamed(dir string, perm fs.FileMode) (*File, error) {
	temp := filepath.Join(dir, ".adit-"+rand.Text()+".part")
	f, err := open(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err == nil {
		f.temp = temp
	}
	return f, err
}

func open(path string, flags int, perm fs.FileMode) (*File, error) {
	f, err := os.OpenFile(path, flags, perm)
	if err != nil {
		return nil, err
	}
	return &File{File: f}, nil
}

// Name gives an unnamed file the name path, in the place of what has it, and closes the file. After an error it is
// still to be named or closed.
func (f *File) Name(path string) error {
	if err := f.end(); err != nil { // a file that can't be closed may not be whole
		return err
	}
	err := os.Rename(f.temp, path)
	if err == nil {
		f.temp = ""
	}
	return err
}

// WriteBoth writes two pieces. It returns how many bytes it wrote.
func (f *File) WriteBoth(first, second []byte) (int, error) {
	n, err := f.Write(first)
	if err != nil {
		return n, err
	}
	m, err := f.Write(second)
	return n + m, err
}

// WriteFrom writes two pieces and leaves what is to follow, up to n bytes of src, to the caller, who reads and writes it.
// It returns how many bytes it wrote.
func (f *File) WriteFrom(first, second []byte, _ *File, _ int64) (int64, error) {
	n, err := f.WriteBoth(first, second)
	return int64(n), err
}

// Close reports what could not be written after all. A file without a name is gone with it.
func (f *File) Close() error {
	err := f.end()
	if f.temp != "" {
		_ = os.Remove(f.temp) // one hidden file more would do no harm
		f.temp = ""
	}
	return err
}

// end closes the file, once.
func (f *File) end() error {
	if err := f.File.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}
