// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

// Package quickfile reads and writes regular files. Elsewhere than on Linux it is package os.
package quickfile

import (
	"io/fs"
	"os"
)

// File is an open file.
type File = os.File

// Open opens a file for reading.
func Open(path string) (*File, error) { return os.Open(path) }

// Create makes a file, or empties it, and opens it for writing.
func Create(path string, perm fs.FileMode) (*File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, perm)
}

// Rename is os.Rename.
func Rename(from, to string) error { return os.Rename(from, to) }
