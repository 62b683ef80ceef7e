// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"bytes"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// Names are compared folded: in small letters, of usual width, without accents, kana as hiragana. Umlauts and their
// kind are written in two ways where there are no such letters, so there are two ways of folding: ü is u in the first,
// ue in the second.

// plainLetters are letters that don't come apart into one and an accent.
var plainLetters = map[rune][2]string{
	'ł': {"l", "l"}, 'đ': {"d", "d"}, 'ð': {"d", "d"}, 'þ': {"th", "th"},
	'ħ': {"h", "h"}, 'ŧ': {"t", "t"}, 'ı': {"i", "i"}, 'ŋ': {"n", "n"}, 'ĸ': {"k", "k"},
	'ß': {"ss", "ss"}, 'ẞ': {"ss", "ss"}, 'ø': {"o", "oe"}, 'æ': {"ae", "ae"}, 'œ': {"oe", "oe"},
	'ς': {"σ", "σ"}, '’': {"'", "'"}, '‘': {"'", "'"}, '‐': {"-", "-"}, '–': {"-", "-"},
}

// spelled are letters that the second way writes as two.
var spelled = map[rune]string{'ä': "ae", 'ö': "oe", 'ü': "ue", 'å': "aa"}

// folded returns a text folded in both ways; the second is empty if it is no other.
func folded(text string) (first, second string) {
	text = norm.NFC.String(strings.ToLower(norm.NFKC.String(text)))
	first = fold(text, 0)
	if second = fold(text, 1); second == first {
		second = ""
	}
	return first, second
}

func fold(text string, way int) string {
	var b strings.Builder
	for _, r := range text {
		if s, ok := spelled[r]; ok && way == 1 {
			b.WriteString(s)
		} else {
			b.WriteRune(r)
		}
	}
	text = norm.NFKD.String(b.String())
	b.Reset()
	for _, r := range text {
		switch s, ok := plainLetters[r]; {
		case ok:
			b.WriteString(s[way])
		case unicode.Is(unicode.Mn, r), unicode.Is(unicode.Cf, r):
		case r >= 'ァ' && r <= 'ヶ':
			b.WriteRune(r - 'ァ' + 'ぁ')
		default:
			b.WriteRune(r)
		}
	}
	return norm.NFC.String(b.String())
}

// readings returns what a text that isn't plain ASCII may say, folded: as declared, as UTF-8, and by the escape
// sequences of ISO 2022, whatever is declared.
func readings(value []byte, set *charset.Set) (all []string) {
	add := func(text string) {
		first, second := folded(text)
		all = append(all, first)
		if second != "" {
			all = append(all, second)
		}
	}
	if set == nil {
		set = values.ASCII
	}
	declared := set.Decode(value, dict.LO)
	add(declared)
	if !set.IsUTF8() && utf8.Valid(value) {
		if text := string(value); text != declared {
			add(text)
		}
	}
	if escaped := values.ASCII.Decode(value, dict.LO); escaped != declared && bytes.IndexByte(value, 0x1B) >= 0 {
		add(escaped)
	}
	return all
}
