// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"net"
	"syscall"
)

// quickACK returns a function that switches delayed acknowledgements off until the kernel switches them on again,
// which it does by itself: so it is called before each read. Peers that leave Nagle's algorithm on (every stock
// DCMTK) otherwise wait 40 ms per object for our acknowledgement.
func quickACK(c *net.TCPConn) func() {
	raw, err := c.SyscallConn()
	if err != nil {
		return func() {}
	}
	set := func(fd uintptr) {
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) // a matter of speed only
	}
	return func() { _ = raw.Control(set) }
}
