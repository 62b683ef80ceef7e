// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux && race

package ul

import (
	"errors"
	"net"
	"syscall"
)

// The race detector takes what one end has written before the other end reads it for unordered unless both go by package syscall.

func sysRead(fd uintptr, p []byte) (int, syscall.Errno) { return outcome(syscall.Read(int(fd), p)) }

func (w *writing) sysWritev(fd uintptr, v net.Buffers) (done int, errno syscall.Errno) {
	for _, b := range v {
		n, errno := outcome(syscall.Write(int(fd), b))
		done += max(n, 0)
		if errno != 0 && done == 0 {
			return 0, errno
		}
		if n < len(b) {
			break
		}
	}
	return done, 0
}

func outcome(n int, err error) (int, syscall.Errno) {
	var errno syscall.Errno
	errors.As(err, &errno)
	return n, errno
}
