// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import "time"

// IDOf returns an ID that may be missing, 0 if it is.
func IDOf(id *int64) int64 {
	if id == nil {
		return 0
	}
	return *id
}

// Later returns the later one of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
