// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// writtenDates gives the days that a text may name, as people write them: 27 Nov 2019, 27.11.19, 11/27/2019, 17. August 1953, 27NOV2019, 20191127, 271119.
// What may mean several days gives them all; a year of two digits may be of either century.
func writtenDates(text []byte) (days []int) {
	if countDigits(text) < fewestDigits {
		return nil
	}
	var parts [3]datePart // the last ones, as far as they may belong to one date
	for i := 0; i < len(text); {
		begin := i
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		if i > begin {
			if i-begin > 6 || standsAlone(text, begin, i) {
				days = appendRun(days, text[begin:i])
			}
			days = next(days, &parts, text, datePart{begin: begin, end: i, digits: i - begin, value: number(text[begin:min(i, begin+4)])})
			continue
		}
		for i < len(text) && isWordByte(text[i]) {
			i++
		}
		if i == begin {
			i++
			continue
		}
		word := strings.ToLower(strings.ToValidUTF8(string(text[begin:i]), "a"))
		if m := monthOf(word); m > 0 {
			days = next(days, &parts, text, datePart{begin: begin, end: i, value: m})
		} else if isOrdinal(word) && parts[2].digits > 0 {
			parts[2].end = i
		} else {
			parts = [3]datePart{}
		}
	}
	return days
}

// fewestDigits are those of 1 Nov 19. Most codes have less, and need no closer look.
const fewestDigits = 3

func countDigits(text []byte) (n int) {
	for _, c := range text {
		if isDigit(c) {
			n++
		}
	}
	return n
}

// isOrdinal reports whether a word stands behind the number of a day: 27th of November.
func isOrdinal(word string) bool {
	return word == "st" || word == "nd" || word == "rd" || word == "th" || word == "of" || word == "den"
}

// standsAlone reports whether there is no letter beside a part of a text.
func standsAlone(text []byte, begin, end int) bool {
	return (begin == 0 || !isWordByte(text[begin-1])) && (end == len(text) || !isWordByte(text[end]))
}

func isWordByte(c byte) bool { return c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' }

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

// appendRest appends the day of a month that digits right behind its name may mean with a year: Aug171953, AUG1753, Aug51953.
func appendRest(days []int, month datePart, run []byte) []int {
	for _, n := range [...]int{1, 2} { // digits of the day
		if year := len(run) - n; year == 4 || year == 2 && n == 2 {
			days = appendDay(days, datePart{digits: year, value: number(run[n:])}, month, datePart{digits: n, value: number(run[:n])})
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
		days = appendDay(days, datePart{digits: len(y), value: number(y)}, datePart{digits: 2, value: number(m)}, datePart{digits: 2, value: number(d)})
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
		day := days(century+y.value, m.value, d.value)
		if _, cm, cd := civil(day); cm == m.value && cd == d.value {
			list = append(list, day)
		}
	}
	return list
}

// monthOf gives the number of a month in English or German, or of its common short form, in lower case; 0 for other words.
func monthOf(word string) int {
	if word == "marz" {
		return 3
	}
	if !isMonth(word) {
		return 0
	}
	short := strings.NewReplacer("ä", "a", "ae", "a", "mai", "may", "okt", "oct", "dez", "dec", "mrz", "mar").Replace(word)
	return strings.Index("janfebmaraprmayjunjulaugsepoctnovdec", short[:3])/3 + 1
}

// betrays reports whether a text that a rule lets stay names a day while others are shifted: one true date beside them tells by how much. Asked are texts
// that a rule of the profile's own lets stay, private ones, and codes, which have no words to tell in.
func (w *rewriter) betrays(e *elem, r *rule, vr dict.VR, text []byte) bool {
	if w.verbatim || !w.s.p.shifts || r.over == nil && !e.Tag.IsPrivate() && vr != dict.CS {
		return false
	}
	switch vr {
	case dict.DA, dict.DT, dict.TM, dict.AS, dict.UI:
		return false // each by its own rule
	case dict.DS, dict.IS:
		return (len(trimmed(text)) != 6 || !allDigits(trimmed(text))) && len(writtenDates(text)) > 0
	}
	return (vr.Text() || vr == dict.UN) && len(writtenDates(text)) > 0
}

// instead is what is done where a text betrays a date.
func (w *rewriter) instead(e *elem, r *rule, lv *level) Action {
	_, listed := rowOf(e.Tag)
	switch {
	case e.Tag.IsPrivate():
		return Remove
	case listed:
		return w.fallback(r, e.Tag, lv)
	}
	return Empty
}
