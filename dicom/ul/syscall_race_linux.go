// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux && race

package ul

import (
	"errors"
	"syscall"
)

// The race detector takes what one end has written before the other end reads it for unordered unless both go by
// package syscall.

func (r *reading) sysReadv(fd uintptr, v [][]byte) (int, syscall.Errno) {
	return each(v, func(p []byte) (int, error) { return syscall.Read(int(fd), p) })
}

func (w *writing) sysWritev(fd uintptr, v [][]byte) (int, syscall.Errno) {
	return each(v, func(p []byte) (int, error) { return syscall.Write(int(fd), p) })
}

// each makes a call for one piece after the other, until one isn't done whole.
func each(v [][]byte, call func([]byte) (int, error)) (done int, errno syscall.Errno) {
	for _, b := range v {
		n, err := call(b)
		if done += max(n, 0); err != nil && done == 0 {
			errors.As(err, &errno)
			return 0, errno
		}
		if n < len(b) {
			break
		}
	}
	return done, 0
}

func setInt(fd uintptr, level, option, value int) {
	_ = syscall.SetsockoptInt(int(fd), level, option, value) // a matter of speed only
}
