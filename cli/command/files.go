// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// CreateNew makes a file that a command writes for its user, readable for them alone. It overwrites nothing.
func CreateNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil,
			fmt.Errorf("%s exists already and is not overwritten; name another file, or remove it", Printable(path))
	}
	return f, err
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
