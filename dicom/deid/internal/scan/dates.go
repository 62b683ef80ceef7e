// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
)

// textDates reads the dates that a text holds, as people write them: 27 Nov 2019, 27.11.19, 11/27/2019, 17. August
// 1953, 27NOV2019, 20191127. What may mean several dates gives them all.
type textDates struct {
	text  []byte // ASCII, or folded UTF-8
	loose bool   // a year may have two digits
	found []textDate
	last  [4]dateToken
}

// textDate is a date in days.
type textDate struct {
	day   int
	whole bool // its year has four digits
	apart bool // its parts are
}

// dateToken is a number of up to four digits, or the name of a month; the zero token is anything else.
type dateToken struct {
	begin, end int
	digits     int // 0: a month
	value      int
}

// shortestDate is the length of a date such as 1Nov19.
const shortestDate = 6

// longestMonth is the length of the longest name of a month.
const longestMonth = 12

// read returns the dates. They are valid until the next call.
func (t *textDates) read(text []byte, loose bool) []textDate {
	t.text, t.loose, t.found, t.last = text, loose, t.found[:0], [4]dateToken{}
	for i := 0; i < len(text); {
		begin := i
		switch c := text[i]; {
		case values.IsDigit(c):
			for i < len(text) && values.IsDigit(text[i]) {
				i++
			}
			t.number(begin, i)
		case isLetter(c):
			for i < len(text) && isLetter(text[i]) {
				i++
			}
			t.word(begin, i)
		default:
			i++
		}
	}
	return t.found
}

func isLetter(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }

func (t *textDates) push(k dateToken) { t.last = [4]dateToken{t.last[1], t.last[2], t.last[3], k} }

// word takes a run of letters.
func (t *textDates) word(begin, end int) {
	var b [longestMonth]byte
	word := ""
	if end-begin <= len(b) {
		word = string(lower(append(b[:0], t.text[begin:end]...)))
	}
	if m := words.Months[word]; m > 0 {
		t.push(dateToken{begin, end, 0, m})
		t.named()
		return
	}
	if last := &t.last[3]; words.JoinsDate(word) && last.end > 0 {
		last.end = end
		return
	}
	t.push(dateToken{})
}

// number takes a run of digits.
func (t *textDates) number(begin, end int) {
	run := t.text[begin:end]
	if month := t.last[3]; month.end == begin && month.end > 0 && month.digits == 0 {
		t.behindMonth(month.value, run)
	}
	switch n := len(run); {
	case n <= 4:
		t.push(dateToken{begin, end, n, values.Number(run)})
		t.named()
		t.numeric()
		return
	case n == 8 || n == 12 || n == 14:
		t.add(values.Number(run[:4]), values.Number(run[4:6]), values.Number(run[6:8]), true, false)
		if n == 8 {
			t.add(values.Number(run[4:]), values.Number(run[2:4]), values.Number(run[:2]), true, false)
			t.add(values.Number(run[4:]), values.Number(run[:2]), values.Number(run[2:4]), true, false)
		}
	case n == 6 && t.loose:
		a, b, c := values.Number(run[:2]), values.Number(run[2:4]), values.Number(run[4:])
		t.short(a, b, c, false)
		t.short(c, b, a, false)
		t.short(c, a, b, false)
	}
	t.push(dateToken{})
}

// behindMonth adds a date whose month has its name, with day and year in one run of digits behind it: Nov272019,
// NOV2719.
func (t *textDates) behindMonth(month int, run []byte) {
	switch n := len(run); {
	case n == 5 || n == 6:
		t.add(values.Number(run[n-4:]), month, values.Number(run[:n-4]), true, true)
	case n == 4 && t.loose:
		t.short(values.Number(run[2:]), month, values.Number(run[:2]), true)
	}
}

// named adds a date whose month has its name, of which the last token is a part.
func (t *textDates) named() {
	a, b, c := t.last[1], t.last[2], t.last[3]
	if a.end == 0 || b.end == 0 || c.end == 0 || t.gap(a, b) < 0 || t.gap(b, c) < 0 || c.digits == 0 {
		return
	}
	switch {
	case b.digits == 0 && a.digits == 4:
		t.year(a, b.value, c)
	case b.digits == 0:
		t.year(c, b.value, a)
		if a.digits == 2 && a.end == b.begin && b.end == c.begin { // 19Nov27
			t.year(a, b.value, c)
		}
	case a.digits == 0:
		t.year(c, a.value, b)
	}
}

// numeric adds a date of three numbers, the last three.
func (t *textDates) numeric() {
	a, b, c := t.last[1], t.last[2], t.last[3]
	if a.digits == 0 || b.digits == 0 || b.digits > 2 || c.digits == 0 || t.gap(a, b) < 1 || t.gap(b, c) < 1 {
		return
	}
	switch {
	case a.digits == 4:
		t.year(a, b.value, c)
	case c.digits == 4:
		t.year(c, b.value, a)
		t.year(c, a.value, b)
	case t.text[a.end] == t.text[b.end] && t.text[a.end] != ' ' && !t.goesOn(a, c):
		t.year(a, b.value, c)
		t.year(c, b.value, a)
		t.year(c, a.value, b)
	}
}

// goesOn reports whether the three numbers from a to c are a part of more of them, as in a version or a UID.
func (t *textDates) goesOn(a, c dateToken) bool {
	sep, end := t.text[a.end], c.end
	before := t.last[0]
	return before.digits > 0 && before.end == a.begin-1 && t.text[before.end] == sep ||
		end+1 < len(t.text) && t.text[end] == sep && values.IsDigit(t.text[end+1])
}

// gap returns the number of bytes between two tokens, −1 if they can't be parts of one date.
func (t *textDates) gap(a, b dateToken) int {
	between := t.text[a.end:b.begin]
	most := 3
	for _, c := range between {
		switch {
		case c >= 0x80: // 年, 月
			most = 6
		case c == ' ', c == '.', c == ',', c == '-', c == '/', c == '_', c == '\'':
		default:
			return -1
		}
	}
	if len(between) > most {
		return -1
	}
	return len(between)
}

// year adds a date by its year, if it can be one.
func (t *textDates) year(y dateToken, m int, d dateToken) {
	switch {
	case d.digits > 2:
	case y.digits == 4:
		t.add(y.value, m, d.value, true, true)
	case y.digits == 2 && t.loose:
		t.short(y.value, m, d.value, true)
	}
}

func (t *textDates) short(y, m, d int, apart bool) {
	t.add(1900+y, m, d, false, apart)
	t.add(2000+y, m, d, false, apart)
}

func (t *textDates) add(y, m, d int, whole, apart bool) {
	if m < 1 || m > 12 || d < 1 || d > 31 || !isRemembered(y, m, d) {
		return
	}
	day := dates.Days(y, m, d)
	if cy, cm, cd := dates.Civil(day); cy == y && cm == m && cd == d {
		t.found = append(t.found, textDate{day, whole, apart})
	}
}

// isRemembered reports whether a date is within living memory, and not what stands where there is none.
func isRemembered(y, m, d int) bool { return y > 1900 && y < 2100 && !(y == 1970 && m == 1 && d == 1) }
