// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// boundUnanswered bounds how long what was sent may stay without an acknowledgement; 15 minutes otherwise.
func boundUnanswered(_, _ string, conn syscall.RawConn) error {
	var err error
	return errors.Join(conn.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	}), err)
}
