// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"slices"
	"strings"
)

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// Weekdays returns the days of mon, mon-fri or sat-mon; false: it is none of these.
func Weekdays(text string) (days []string, ok bool) {
	first, last, isRange := strings.Cut(text, "-")
	if !isRange {
		last = first
	}
	from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
	if from < 0 || to < 0 {
		return nil, false
	}
	for i := from; ; i = (i + 1) % len(weekdays) {
		days = append(days, weekdays[i])
		if i == to {
			return days, true
		}
	}
}
