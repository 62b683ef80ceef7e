// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dates finds dates in values and texts, however people write them, shifts those that belong to a patient, and
// recognizes those that others know.
package dates

import (
	"slices"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// IsCalendarDate reports whether eight bytes are a day.
func IsCalendarDate(v []byte) bool {
	_, _, _, ok := Parse(v) //nolint:dogsled // only whether
	return ok
}

// IsDateTime reports whether a value is a DT, which may end after the year, the month or the day.
func IsDateTime(v []byte) bool {
	switch len(v) {
	case 4, 6:
		return IsCalendarDate(append(slices.Clone(v), "0101"[len(v)-4:]...))
	case 0, 1, 2, 3, 5, 7:
		return false
	}
	return len(v) <= 26 && IsCalendarDate(v[:8]) && values.IsTimeOfDT(v[8:])
}

// IsDay reports whether eight bytes are a day of these centuries.
func IsDay(v []byte) bool {
	y, _, _, ok := Parse(v)
	return ok && y >= 1800 && y < 2200
}

// HoldsYear reports whether a text has four digits in it that may be a year.
func HoldsYear(v []byte) bool {
	for i := range len(v) - 3 {
		if values.AllDigits(v[i:i+4]) && (i == 0 || v[i-1] < '0' || v[i-1] > '9') {
			if y := values.Number(v[i : i+4]); y >= 1800 && y < 2200 {
				return true
			}
		}
	}
	return false
}

// IsDated reports whether an attribute holds dates or times.
func IsDated(tag dict.Tag, vr dict.VR) bool {
	switch tag {
	case dict.PatientBirthDateInAlternativeCalendar, dict.PatientDeathDateInAlternativeCalendar:
		return true
	}
	return vr == dict.DA || vr == dict.DT || vr == dict.TM
}

// Parse returns the day that eight bytes are; ok is false if they are none.
func Parse(v []byte) (y, m, d int, ok bool) {
	if !values.AllDigits(v) {
		return 0, 0, 0, false
	}
	y, m, d = values.Number(v[:4]), values.Number(v[4:6]), values.Number(v[6:8])
	if y < 1 || m < 1 || m > 12 || d < 1 {
		return 0, 0, 0, false
	}
	cy, cm, cd := Civil(Days(y, m, d)) // a day that the month hasn't comes back as another
	return y, m, d, cy == y && cm == m && cd == d
}

// Days counts the days of the Gregorian calendar from 1 March of the year 0; Civil is its inverse.
func Days(y, m, d int) int {
	if m <= 2 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1
}

// Civil returns the day of a number of days.
func Civil(n int) (y, m, d int) {
	if n < 0 {
		return 0, 0, 0
	}
	era := n / 146097
	doe := n % 146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	y, m, d = yoe+era*400, mp+3, doy-(153*mp+2)/5+1
	if m > 12 {
		y, m = y+1, m-12
	}
	return y, m, d
}
