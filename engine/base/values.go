// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import "time"

// Later returns the later one of two times.
func Later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
