// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"net"
	"syscall"
)

// acknowledgeAtOnce keeps programs with Nagle's algorithm from waiting 40 ms per object for the tap, where they would
// not wait for ADIT.
func acknowledgeAtOnce(c net.Conn) {
	if raw, err := c.(*net.TCPConn).SyscallConn(); err == nil {
		_ = raw.Control(
			func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) },
		)
	}
}
