// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

package ul

import "net"

// quickACK does nothing: TCP_QUICKACK is Linux's own.
func quickACK(*net.TCPConn) func() { return func() {} }
