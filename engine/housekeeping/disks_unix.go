// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build unix

package housekeeping

import "syscall"

// diskRoom returns how many bytes are free below a path, and how many there are.
func diskRoom(path string) (free, size float64, ok bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return 0, 0, false
	}
	return float64(disk.Bavail) * float64(disk.Bsize), float64(disk.Blocks) * float64(disk.Bsize), true
}
