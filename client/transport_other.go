// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

package client

import "syscall"

// boundUnanswered has no counterpart here.
func boundUnanswered(string, string, syscall.RawConn) error { return nil }
