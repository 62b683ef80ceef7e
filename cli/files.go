// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// createNew makes a file that a command writes for its user, readable for them alone. It overwrites nothing.
func createNew(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists already and is not overwritten; name another file, or remove it", printable(path))
	}
	return f, err
}

// openRegular opens a file for reading that must be one: a pipe or a device may never end, or give something else the next time.
func openRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a folder, a pipe or a device; name a regular file", printable(path))
	}
	return os.Open(path)
}

// plainly says what the system said of a file in a sentence with what to do; other errors speak for themselves.
func plainly(err error) string {
	text := err.Error()
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return text
	}
	path := printable(e.Path)
	var said string
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		said = fmt.Sprintf("there is no file or folder %s; see that the path is right", path)
	case errors.Is(e.Err, fs.ErrPermission):
		said = fmt.Sprintf("this user may not use %s; change its permissions, or run the command as somebody who may", path)
	case errors.Is(e.Err, fs.ErrExist):
		said = fmt.Sprintf("%s exists already; name another", path)
	default:
		return text
	}
	return strings.Replace(text, e.Error(), said, 1)
}
