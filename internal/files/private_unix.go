// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build unix

package files

import (
	"io/fs"
	"syscall"
)

// ownerOf returns whose a file is, and which group's.
func ownerOf(info fs.FileInfo) (uid, gid int, ok bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, 0, false
	}
	return int(stat.Uid), int(stat.Gid), true
}
