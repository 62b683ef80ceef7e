// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

package testpeer

import "syscall"

// Isolate does nothing: network namespaces are Linux's own.
func Isolate() {}

func dieWithParent() *syscall.SysProcAttr { return nil }
