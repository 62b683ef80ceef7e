// SPDX-License-Identifier: AGPL-3.0-or-later

package words

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// BareWord returns a word in small letters without accents. Bytes that are no UTF-8 are read as Latin-1.
func BareWord(word []byte) string {
	var room [24]byte
	b := room[:0]
	for len(word) > 0 {
		r, n := utf8.DecodeRune(word)
		if r == utf8.RuneError && n == 1 {
			r = rune(word[0])
		}
		word = word[n:]
		if !unicode.IsMark(r) {
			b = utf8.AppendRune(b, plainLetter(unicode.ToLower(r)))
		}
	}
	return string(b)
}

// IsWordByte reports whether a byte is a letter of ASCII, or of something beyond.
func IsWordByte(c byte) bool { return c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z' }

// BareLetters returns the letters and digits of a text without case, accents and width, and before which of them
// something else stood.
func BareLetters(s string) (text []rune, apart []bool) {
	gap := false
	for _, r := range s {
		if r >= 0xFF01 && r <= 0xFF5E { // full width
			r -= 0xFEE0
		}
		switch {
		case unicode.IsMark(r):
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		}
		r = plainLetter(unicode.ToLower(r))
		text, apart, gap = append(text, r), append(apart, gap), false
	}
	return text, apart
}

// WithoutUmlauts returns German text as those write it who have no umlauts.
func WithoutUmlauts(s string) string { return umlauts.Replace(s) }

var umlauts = strings.NewReplacer(
	"ä", "ae", "ö", "oe", "ü", "ue", "Ä", "AE", "Ö", "OE", "Ü", "UE", "ß", "ss", "a\u0308",
	"ae", "o\u0308", "oe", "u\u0308", "ue", "A\u0308", "AE", "O\u0308", "OE", "U\u0308", "UE",
)

// plainLetter returns a Latin letter in lower case without what is above, below or across it.
func plainLetter(r rune) rune {
	if r >= 0xDF && r < 0x180 {
		return rune(latinLetters[r-0xDF])
	}
	return r
}

// latinLetters are those of U+00DF to U+017F.
var latinLetters = "saaaaaaaceeeeiiiidnooooo" + "/ouuuuyty" + "aaaaaa" + "cccccccc" + "dddd" +
	"eeeeeeeeee" + "gggggggg" + "hhhh" + "iiiiiiiiii" + "ii" + "jj" + "kkk" + "llllllllll" +
	"nnnnnnnnn" + "oooooo" + "oo" + "rrrrrr" + "ssssssss" + "tttttt" + "uuuuuuuuuuuu" + "ww" + "yyy" + "zzzzzz" + "s"
