// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// CreateNew makes a file that a command writes for its user, readable for them alone. It overwrites nothing.
func CreateNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, exists(path)
	}
	return f, err
}

// WriteNew writes a file that must not exist yet. Until it is whole it has another name, which ends with .part.
func WriteNew(path string, write func(w io.Writer) error) error {
	if _, err := os.Lstat(path); err == nil {
		return exists(path)
	}
	part := path + ".part"
	file, err := CreateNew(part)
	if err != nil {
		return err
	}
	if err := errors.Join(write(file), file.Close()); err != nil {
		return errors.Join(err, os.Remove(part)) // a part is nothing
	}
	return os.Rename(part, path)
}

func exists(path string) error {
	return fmt.Errorf("%s exists already and is not overwritten; name another file, or remove it", Printable(path))
}

// OpenRegular opens a file for reading that must be one: a pipe or a device may never end, or give something else the
// next time.
func OpenRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a folder, a pipe or a device; name a regular file", Printable(path))
	}
	return os.Open(path)
}
