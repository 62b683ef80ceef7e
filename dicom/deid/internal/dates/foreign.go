// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
)

// eras are those of Japan, by the letters that stand for them, and of the Republic of China: the year before their
// first, and their last.
var eras = map[byte]struct{ before, last int }{
	't': {1911, 15}, 's': {1925, 64}, 'h': {1988, 31}, 'r': {2018, 99}, 'c': {1911, 200},
}

// easternDates writes what stands in the dates of China, Japan and Korea as others write it: 2019-03-27 for 2019年3月27日,
// H31-3-27 for 平成三十一年三月二十七日.
var easternDates = strings.NewReplacer(
	"平成", "H", "令和", "R", "昭和", "S", "大正", "T", "民國", "C", "民国", "C", "㍻",
	"H", "㋿", "R", "㍼", "S", "㍽", "T", "平", "H", "令", "R", "昭", "S", "大", "T",
	"元年", "1-", "年", "-", "月", "-", "日", " ", "년", "-", "월", "-", "일", " ",
)

// Plain returns a text in which dates stand as they do in ASCII.
func Plain(text []byte) []byte {
	if values.PlainASCII(text) || !utf8.Valid(text) {
		return text
	}
	var b strings.Builder
	count, counts, tens := 0, false, false // of a number in Chinese signs
	end := func() {
		if counts {
			b.WriteString(strconv.Itoa(count))
		}
		count, counts, tens = 0, false, false
	}
	for _, r := range string(text) {
		if r >= 0xFF01 && r <= 0xFF5E { // full width
			r -= 0xFEE0
		}
		switch digit := strings.IndexRune("〇一二三四五六七八九", r) / len("〇"); {
		case strings.ContainsRune("〇一二三四五六七八九", r) && tens:
			count, tens = count+digit, false
		case strings.ContainsRune("〇一二三四五六七八九", r):
			count, counts = (count*10+digit)%1e8, true
		case r == '十':
			count, counts, tens = max(1, count)*10%1e8, true, true
		default:
			end()
			b.WriteRune(r)
		}
	}
	end()
	return []byte(easternDates.Replace(b.String()))
}

// EachForeign calls f with the days that a plain text may name by an era, or by a word between day and year that may be
// the name of a month.
func EachForeign(text []byte, f func(year, month, day int)) {
	for i := range text {
		if i > 0 && (words.IsWordByte(text[i-1]) || values.IsDigit(text[i-1])) {
			continue
		}
		if values.IsDigit(text[i]) {
			eachMonthBetween(text[i:], f)
		} else if era, ok := eras[text[i]|0x20]; ok {
			if year, month, day, ok := eraDate(text[i+1:]); ok && year >= 1 && year <= era.last {
				f(era.before+year, month, day)
			}
		}
	}
}

// eraDate reads the numbers behind the letter of an era: 31.3.27, 31-3-27, 310327.
func eraDate(text []byte) (year, month, day int, ok bool) {
	var n [3]int
	if run := digitsOf(text); len(run) == 6 && standsAlone(text, 0, 6) {
		return values.Number(run[:2]), values.Number(run[2:4]), values.Number(run[4:]), true
	}
	for i := range n {
		run := digitsOf(text)
		if len(run) == 0 || len(run) > 2 && !(i == 0 && len(run) == 3) {
			return 0, 0, 0, false
		}
		n[i], text = values.Number(run), text[len(run):]
		if i == len(n)-1 {
			break
		}
		if len(text) == 0 || strings.IndexByte(".-/_ ", text[0]) < 0 {
			return 0, 0, 0, false
		}
		text = bytes.TrimLeft(text[1:], " ")
	}
	return n[0], n[1], n[2], len(text) < 2 || !(text[0] == '.' && values.IsDigit(text[1])) // or it is a version
}

// eachMonthBetween calls f with all twelve months if a text begins with a day, a word that is none of the vocabulary's,
// and a year: 27 марта 2019.
func eachMonthBetween(text []byte, f func(year, month, day int)) {
	run := digitsOf(text)
	day := values.Number(run)
	if len(run) > 2 || day < 1 || day > 31 {
		return
	}
	word, rest := nextWord(text[len(run):])
	for words.JoinsDate(word) {
		word, rest = nextWord(rest)
	}
	if _, known := words.Vocabulary()[word]; known || utf8.RuneCountInString(word) < 3 {
		return
	}
	for range 2 {
		if next, behind := nextWord(rest); words.JoinsDate(next) {
			rest = behind
		}
	}
	rest = bytes.TrimLeft(rest, " .,-/_'")
	if run = digitsOf(rest); len(run) != 4 || !standsAlone(rest, 0, 4) {
		return
	}
	for month := range 12 {
		f(values.Number(run), month+1, day)
	}
}

// nextWord returns the word that a text begins with, behind at most three signs, bare, and what is behind it.
func nextWord(text []byte) (word string, rest []byte) {
	begin := len(text) - len(bytes.TrimLeft(text, " .,-/_'"))
	end := begin
	for end < len(text) && words.IsWordByte(text[end]) {
		end++
	}
	if begin > 3 || end == begin || end-begin > 24 {
		return "", text
	}
	return words.BareWord(text[begin:end]), text[end:]
}

// digitsOf returns the digits that a text begins with.
func digitsOf(text []byte) []byte {
	n := 0
	for n < len(text) && values.IsDigit(text[n]) {
		n++
	}
	return text[:n]
}
