// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
)

// Written returns the days that a text may name, as people write them: 27 Nov 2019, 27.11.19, 11/27/2019, 17. August
// 1953, 27NOV2019, 20191127, 271119. What may mean several days gives them all; a year of two digits may be of either
// century.
func Written(text []byte) (days []int) {
	if text = Plain(text); CountDigits(text) < FewestDigits {
		return nil
	}
	EachForeign(text, func(year, month, day int) {
		days = appendDay(days, datePart{digits: 4, value: year}, datePart{value: month}, datePart{value: day})
	})
	var parts [3]datePart // the last ones, as far as they may belong to one date
	for i := 0; i < len(text); {
		begin := i
		for i < len(text) && values.IsDigit(text[i]) {
			i++
		}
		if i > begin {
			if i-begin > 6 || standsAlone(text, begin, i) {
				days = appendRun(days, text[begin:i])
			}
			days = next(days, &parts, text, datePart{
				begin: begin, end: i, digits: i - begin, value: values.Number(text[begin:min(i, begin+4)]),
			})
			continue
		}
		for i < len(text) && words.IsWordByte(text[i]) {
			i++
		}
		if i == begin {
			i++
			continue
		}
		word := words.BareWord(text[begin:i])
		if m := words.Months[word]; m > 0 &&
			(!words.IsOtherWord(word) || parts[2].digits == 1 || parts[2].digits == 2) {
			days = next(days, &parts, text, datePart{begin: begin, end: i, value: m})
		} else if words.JoinsDate(word) && parts[2].end > 0 {
			parts[2].end = i
		} else {
			parts = [3]datePart{}
		}
	}
	return days
}

// FewestDigits are those of 1 Nov 19. Most codes have less, and need no closer look.
const FewestDigits = 3

// CountDigits returns how many digits a text has.
func CountDigits(text []byte) (n int) {
	for _, c := range text {
		if values.IsDigit(c) {
			n++
		}
	}
	return n
}

// standsAlone reports whether there is no letter beside a part of a text.
func standsAlone(text []byte, begin, end int) bool {
	return (begin == 0 || !words.IsWordByte(text[begin-1])) && (end == len(text) || !words.IsWordByte(text[end]))
}

// datePart is a number, or a month by its name, which has no digits.
type datePart struct{ begin, end, digits, value int }

// next takes one more part of a text, and appends the days that the last three make.
func next(days []int, parts *[3]datePart, text []byte, p datePart) []int {
	*parts = [3]datePart{parts[1], parts[2], p}
	a, b, c := parts[0], parts[1], parts[2]
	days = appendOfMonth(days, b, c, text)
	if a.end == 0 || b.end == 0 {
		return days
	}
	between, behind := string(text[a.end:b.begin]), string(text[b.end:c.begin])
	if len(between) > 3 || len(behind) > 3 || strings.Trim(between+behind, " .,-/_'") != "" {
		return days
	}
	months := 0
	for _, x := range parts {
		if x.digits == 0 {
			months++
		}
	}
	switch {
	case months > 1 || c.digits == 0:
	case months == 0:
		days = appendNumeric(days, a, b, c, between, behind)
	case a.digits == 0:
		days = appendDay(days, c, a, b)
	default:
		if days = appendDay(days, c, b, a); a.digits == 4 || between == "" && behind == "" { // 53Aug17
			days = appendDay(days, a, b, c)
		}
	}
	return days
}

// appendOfMonth appends the days that a month by its name and a number behind it mean by themselves.
func appendOfMonth(days []int, month, n datePart, text []byte) []int {
	if month.end == 0 || month.digits > 0 {
		return days
	}
	if n.digits == 4 && n.begin-month.end <= 2 { // the first day of it
		days = appendDay(days, n, month, datePart{value: 1, digits: 1})
	}
	if month.end == n.begin {
		days = appendRest(days, month, text[n.begin:n.end])
	}
	return days
}

// appendRest appends the day of a month that digits right behind its name may mean with a year: Aug171953, AUG1753,
// Aug51953.
func appendRest(days []int, month datePart, run []byte) []int {
	for _, n := range [...]int{1, 2} { // digits of the day
		if year := len(run) - n; year == 4 || year == 2 && n == 2 {
			days = appendDay(
				days, datePart{digits: year, value: values.Number(run[n:])},
				month, datePart{digits: n, value: values.Number(run[:n])},
			)
		}
	}
	return days
}

// appendNumeric appends the days that three numbers may mean, by what stands between them.
func appendNumeric(days []int, a, b, c datePart, between, behind string) []int {
	if between == "" || behind == "" || a.digits != 4 && c.digits != 4 && (between != behind || between == " ") {
		return days
	}
	days = appendDay(days, a, b, c)
	days = appendDay(days, c, b, a)
	return appendDay(days, c, a, b)
}

// appendRun appends the days that digits in a row may mean.
func appendRun(days []int, run []byte) []int {
	add := func(y, m, d []byte) {
		days = appendDay(
			days, datePart{digits: len(y), value: values.Number(y)},
			datePart{digits: 2, value: values.Number(m)}, datePart{digits: 2, value: values.Number(d)},
		)
	}
	switch len(run) {
	case 8, 12, 14:
		add(run[:4], run[4:6], run[6:8])
		if len(run) == 8 {
			add(run[4:], run[2:4], run[:2])
			add(run[4:], run[:2], run[2:4])
		}
	case 6:
		add(run[:2], run[2:4], run[4:])
		add(run[4:], run[2:4], run[:2])
	}
	return days
}

// appendDay appends a day if there is one, in the lifetime of people who are examined.
func appendDay(list []int, y, m, d datePart) []int {
	if m.digits > 2 || d.digits > 2 || d.value < 1 || m.value < 1 || m.value > 12 {
		return list
	}
	centuries := []int{0}
	if y.digits == 2 {
		centuries = []int{1900, 2000}
	} else if y.digits != 4 || y.value < 1850 || y.value > 2150 {
		return list
	}
	for _, century := range centuries {
		day := Days(century+y.value, m.value, d.value)
		if _, cm, cd := Civil(day); cm == m.value && cd == d.value {
			list = append(list, day)
		}
	}
	return list
}
