// SPDX-License-Identifier: AGPL-3.0-or-later

// Package words writes numbers and days for people.
package words

import "fmt"

// Plural says how many of something there are.
func Plural[N ~int | ~int32 | ~int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// Day writes a date in DICOM form, YYYYMMDD, as YYYY-MM-DD; what is none stays as it is.
func Day(date string) string {
	if len(date) != len("20060102") {
		return date
	}
	return date[:4] + "-" + date[4:6] + "-" + date[6:]
}
