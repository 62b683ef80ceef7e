// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import (
	"bytes"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Allowed reports whether a value that is to stay is one of its VR (PS3.5 6.2), so that nobody's name stays where a
// number, a date, a code or a UID is expected. It bears what scanners really send, as long as that holds no words:
// numbers of any length and with a fraction where none is allowed, dates with points, times with colons, ages without a
// unit, blanks and nulls around, empty values among others. A text in an attribute of binary numbers is judged by its
// bytes alone, since not every encoding tells one from the other.
func Allowed(e *Element, vr dict.VR, single bool, enc stream.Encoding) bool {
	one := Check(vr)
	switch {
	case one != nil:
	case IsPixelData(e.Tag), !IsBinary(vr):
		return true
	default:
		return AllowedLength(len(e.Value), vr, single) && !holdsWords(e.Value, vr, orderOf(e, enc)) ||
			unit(vr) > 1 && allNumbers(e.Value)
	}
	for rest := e.Value; ; {
		v, i := rest, bytes.IndexByte(rest, '\\')
		if i >= 0 {
			v = rest[:i]
		}
		if v = Trimmed(v); len(v) > 0 && !one(v) {
			return false
		}
		if i < 0 {
			return true
		}
		rest = rest[i+1:]
	}
}

// AllowedLength is Allowed for what the length alone tells of.
func AllowedLength(n int, vr dict.VR, single bool) bool {
	one := unit(vr)
	return n%one == 0 && (!single || one == 1 || n <= one)
}

// Check returns what judges a single value, nil for binary numbers and for what may hold anything. What came with
// another VR than the dictionary's is judged by that of the dictionary, as it would be in implicit VR.
func Check(vr dict.VR) func(v []byte) bool {
	switch vr {
	case dict.IS, dict.DS:
		return isNumber
	case dict.CS:
		return isCode
	case dict.DA:
		return IsDate
	case dict.TM:
		return IsClock
	case dict.DT:
		return isMoment
	case dict.AS:
		return isAge
	case dict.UI:
		return IsUID
	case dict.AE:
		return isTitle
	}
	return nil
}

// unit is the length of a binary number, 1 for other VRs.
func unit(vr dict.VR) int {
	switch vr {
	case dict.AT:
		return 4
	case dict.US, dict.SS, dict.UL, dict.SL, dict.FL, dict.FD, dict.UV, dict.SV:
		return vr.Width()
	}
	return 1
}

// isNumber reports whether a value is an IS or DS: a sign, digits with a point, an exponent.
func isNumber(v []byte) bool {
	n := decimal(v)
	if n == len(v) || n == 0 || v[n]|0x20 != 'e' {
		return n == len(v) && n <= 32
	}
	exponent := v[n+1:]
	if len(exponent) > 0 && (exponent[0] == '+' || exponent[0] == '-') {
		exponent = exponent[1:]
	}
	return len(exponent) > 0 && len(exponent) <= 3 && AllDigits(exponent)
}

// decimal returns the length of the number without exponent that v begins with, 0 if it begins with none.
func decimal(v []byte) int {
	i, digits, points := 0, 0, 0
	if v[0] == '+' || v[0] == '-' {
		i = 1
	}
	for ; i < len(v) && (IsDigit(v[i]) || v[i] == '.' || v[i] == ','); i++ {
		if IsDigit(v[i]) {
			digits++
		} else if points++; points > 1 {
			return 0 // 27.11.19
		}
	}
	if digits == 0 {
		return 0
	}
	return i
}

// isCode reports whether a value is a CS, with marks that devices write between parts of the body: "T-SPINE".
func isCode(v []byte) bool {
	for _, c := range v {
		if !ofCode[c] {
			return false
		}
	}
	return len(v) <= 16
}

// ofCode are the characters of codes.
var ofCode = func() (set [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ -/.+&()" {
		set[c] = true
	}
	return set
}()

// IsDate reports whether a value is a DA, also with points or hyphens.
func IsDate(v []byte) bool {
	if len(v) == 10 && v[4] == v[7] && (v[4] == '.' || v[4] == '-') {
		return AllDigits(v[:4]) && AllDigits(v[5:7]) && AllDigits(v[8:])
	}
	return len(v) == 8 && AllDigits(v)
}

// IsClock reports whether a value is a TM, also with colons, and with as many digits as a device writes.
func IsClock(v []byte) bool {
	for i, c := range v {
		if !IsDigit(c) && (c != ':' && c != '.' || i == 0) {
			return false
		}
	}
	return len(v) <= 16
}

// isMoment reports whether a value is a DT.
func isMoment(v []byte) bool {
	for i, c := range v {
		if !IsDigit(c) && (c != '.' && c != '+' && c != '-' || i < 4) {
			return false
		}
	}
	return len(v) >= 4 && len(v) <= 26
}

// isAge reports whether a value is an AS, also with fewer digits or without its unit.
func isAge(v []byte) bool {
	switch v[len(v)-1] {
	case 'D', 'W', 'M', 'Y', 'd', 'w', 'm', 'y':
		v = v[:len(v)-1]
	}
	return len(v) >= 1 && len(v) <= 3 && AllDigits(v)
}

// isTitle reports whether a value is an AE.
func isTitle(v []byte) bool {
	for _, c := range v {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(v) <= 16
}

// IsUID reports whether a value has the form of a UID (PS3.5 9.1).
func IsUID(b []byte) bool {
	for _, c := range b {
		if c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return len(b) <= 64
}

// NotCode reports whether a byte is none of a code string (PS3.5 6.2), padding included.
func NotCode(c byte) bool {
	return !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' || c == '_' || c == 0)
}

// IsTime reports whether a value is a TM, also in the form of ACR-NEMA with colons.
func IsTime(v []byte) bool {
	if bytes.IndexByte(v, ':') >= 0 {
		v = bytes.ReplaceAll(v, []byte{':'}, nil)
	}
	whole, fraction, point := bytes.Cut(v, []byte{'.'})
	return len(whole) <= 6 && len(whole)%2 == 0 && len(whole) > 0 && AllDigits(whole) &&
		(!point || len(whole) == 6 && len(fraction) <= 6 && AllDigits(fraction))
}

// IsTimeOfDT reports whether what follows the day of a DT is a time of day and an offset from UTC, each if given.
func IsTimeOfDT(v []byte) bool {
	if i := bytes.IndexAny(v, "+-"); i >= 0 {
		if len(v)-i != 5 || !AllDigits(v[i+1:]) {
			return false
		}
		v = v[:i]
	}
	return len(v) == 0 || bytes.IndexByte(v, ':') < 0 && IsTime(v)
}
