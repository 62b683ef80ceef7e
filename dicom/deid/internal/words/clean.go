// SPDX-License-Identifier: AGPL-3.0-or-later

package words

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// Clean returns the words of a text that may stay; all reports whether that is every one.
func (w Own) Clean(text string, vr dict.VR) (cleaned string, all bool) {
	text = values.Trim(text)
	if !vr.MultiValued() {
		return w.CleanValue(text)
	}
	values := strings.Split(text, `\`)
	all, some := true, false
	for i, v := range values {
		kept, whole := w.CleanValue(v)
		all = all && whole
		some = some || kept != ""
		values[i] = kept
	}
	if !some {
		return "", all
	}
	return strings.Join(values, `\`), all
}

// CleanValue is Clean for a single value.
func (w Own) CleanValue(text string) (string, bool) {
	var few [24]term
	list := w.terms(few[:0], text)
	var out strings.Builder
	all := true
	var before term
	for i, t := range list {
		var after term
		if i+1 < len(list) {
			after = list[i+1]
		}
		if t.stays(before, after) {
			if out.Len() > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(t.text)
		} else {
			all = false
		}
		before = t
	}
	return out.String(), all
}

// separates reports whether a character stands between words.
func separates(c rune) bool {
	switch c {
	case '-', '+', '.', ',', '#', '%', '!': // may be within one: T2-weighted, 0.6mm
		return false
	}
	return c == utf8.RuneError || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c)
}

// AllKnown reports whether each word of a text may stay.
func (w Own) AllKnown(text []byte) bool {
	_, all := w.CleanValue(string(text))
	return all
}
