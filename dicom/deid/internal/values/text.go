// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import (
	"bytes"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
)

// IsDigit reports whether a character is one of 0 to 9.
func IsDigit(c byte) bool { return c >= '0' && c <= '9' }

// Trim returns a text without the blanks and nulls around it.
func Trim(s string) string { return strings.Trim(s, " \x00") }

// All reports whether there are values that aren't empty, and all of them are such.
func All(value []byte, is func([]byte) bool) bool {
	found := false
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = Trimmed(one); len(one) == 0 {
			continue
		}
		if !is(one) {
			return false
		}
		found = true
	}
	return found
}

// ASCII is the character set of what declares none.
var ASCII, _ = charset.New(nil)

// Unpadded returns what Trimmed does, for the many values that end in one blank at most.
func Unpadded(v []byte) []byte {
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == 0) {
		v = v[:len(v)-1]
	}
	for len(v) > 0 && (v[0] == ' ' || v[0] == 0) {
		v = v[1:]
	}
	return v
}

// BeyondASCII reports whether a text has other bytes than those of ASCII.
func BeyondASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}

// Trimmed returns a value without padding. It runs for every value; bytes.Trim takes several times as long.
func Trimmed(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == 0) {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == 0) {
		value = value[:len(value)-1]
	}
	return value
}

// PlainASCII reports whether a text is ASCII without escape sequences.
func PlainASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 || c == 0x1B {
			return false
		}
	}
	return true
}

// AllDigits reports whether a text is digits and nothing else.
func AllDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// Number returns the number that digits are.
func Number(v []byte) int {
	n := 0
	for _, c := range v {
		n = n*10 + int(c-'0')
	}
	return n
}

// PutDigits writes a number with as many digits as there is room for.
func PutDigits(v []byte, n int) {
	for i := len(v) - 1; i >= 0; i-- {
		v[i] = '0' + byte(n%10)
		n /= 10
	}
}

// MaxText is the length of what a pseudonym, a trial's ID and name may have: LO and PN hold 64 characters (PS3.5 6.2).
const MaxText = 64

// CheckText returns what is wrong with a text that is to be written into an instance; what says which one.
func CheckText(what, s string) error {
	switch {
	case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) ||
		strings.Contains(s, `\`):
		return errors.New(what + ` contains a backslash, control characters or other invisible characters; remove them`)
	case utf8.RuneCountInString(s) > MaxText:
		return errors.New(what + " is longer than 64 characters; choose a shorter one")
	}
	return nil
}
