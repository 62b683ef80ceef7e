// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build unix

package http

import "syscall"

// openFiles returns how many files the process may open at once.
func openFiles() (n uint64, known bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err == nil
}
