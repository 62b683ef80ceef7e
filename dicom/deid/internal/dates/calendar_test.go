// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCalendar goes through every day of eight centuries.
func TestCalendar(t *testing.T) {
	n := Days(1600, 1, 1)
	for y := 1600; y < 2400; y++ {
		for m := 1; m <= 12; m++ {
			last := []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
			if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
				last = 29
			}
			for d := 1; d <= last; d++ {
				require.Equal(t, n, Days(y, m, d))
				cy, cm, cd := Civil(n)
				require.Equal(t, []int{y, m, d}, []int{cy, cm, cd})
				n++
			}
		}
	}
}
