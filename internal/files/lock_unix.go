// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build unix

package files

import (
	"errors"
	"os"
	"syscall"
)

// Lock locks a file or folder for this process until it is closed. It reports whether another one has.
func Lock(f *os.File) (taken bool, err error) {
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	return errors.Is(err, syscall.EWOULDBLOCK), err
}
