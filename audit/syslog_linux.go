// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// unacknowledged returns how many bytes of a TCP connection the other end has not acknowledged, and why it failed, if
// it did.
func unacknowledged(fd uintptr) (waiting int, failure syscall.Errno, err error) {
	if waiting, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err != nil {
		return 0, 0, err
	}
	number, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
	return waiting, syscall.Errno(number), err
}
