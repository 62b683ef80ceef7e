// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// allowed reports whether a value that is to stay is one of its VR (PS3.5 6.2), so that nobody's name stays where a number, a date, a code
// or a UID is expected. It bears what scanners really send, as long as that holds no words: numbers of any length and with a fraction where
// none is allowed, dates with points, times with colons, ages without a unit, blanks and nulls around, empty values among others.
// A text in an attribute of binary numbers is judged by its bytes alone, since not every encoding tells one from the other.
func allowed(e *elem, vr dict.VR, single bool, enc stream.Encoding) bool {
	one := check(vr)
	switch {
	case one != nil:
	case isPixelData(e.Tag), !isBinary(vr):
		return true
	default:
		return allowedLength(len(e.value), vr, single) && !holdsWords(e.value, vr, orderOf(e, enc)) || unit(vr) > 1 && allNumbers(e.value)
	}
	for rest := e.value; ; {
		v, i := rest, bytes.IndexByte(rest, '\\')
		if i >= 0 {
			v = rest[:i]
		}
		if v = trimmed(v); len(v) > 0 && !one(v) {
			return false
		}
		if i < 0 {
			return true
		}
		rest = rest[i+1:]
	}
}

// allowedLength is allowed for what the length alone tells of.
func allowedLength(n int, vr dict.VR, single bool) bool {
	one := unit(vr)
	return n%one == 0 && (!single || one == 1 || n <= one)
}

// check gives what judges a single value, nil for binary numbers and for what may hold anything. What came with another VR than the dictionary's is
// judged by that of the dictionary, as it would be in implicit VR.
func check(vr dict.VR) func(v []byte) bool {
	switch vr {
	case dict.IS, dict.DS:
		return isNumber
	case dict.CS:
		return isCode
	case dict.DA:
		return isDate
	case dict.TM:
		return isClock
	case dict.DT:
		return isMoment
	case dict.AS:
		return isAge
	case dict.UI:
		return isUID
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

// keepAllowed writes an element without the values that its VR doesn't allow; words of the vocabulary stay where a code is expected.
func (w *rewriter) keepAllowed(e *elem, r *rule, lv *level, vr dict.VR) {
	one := check(vr)
	w.value = w.value[:0]
	for i, v := range bytes.Split(e.value, []byte{'\\'}) {
		if i > 0 {
			w.value = append(w.value, '\\')
		}
		if v = trimmed(v); one != nil && (len(v) == 0 || one(v) || vr == dict.CS && w.s.p.allKnown(v)) {
			w.value = append(w.value, v...)
		}
	}
	if len(bytes.Trim(w.value, `\`)) == 0 {
		w.value = w.value[:0]
	}
	w.put(lv, e.Tag, written(e, r), w.value)
}

// allKnown reports whether each word of a text is one of the vocabulary.
func (p *Profile) allKnown(text []byte) bool {
	_, all := p.cleanValue(string(text))
	return all
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
	return len(exponent) > 0 && len(exponent) <= 3 && allDigits(exponent)
}

// decimal returns the length of the number without exponent that v begins with, 0 if it begins with none.
func decimal(v []byte) int {
	i, digits, points := 0, 0, 0
	if v[0] == '+' || v[0] == '-' {
		i = 1
	}
	for ; i < len(v) && (isDigit(v[i]) || v[i] == '.' || v[i] == ','); i++ {
		if isDigit(v[i]) {
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

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

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

// isDate reports whether a value is a DA, also with points or hyphens.
func isDate(v []byte) bool {
	if len(v) == 10 && v[4] == v[7] && (v[4] == '.' || v[4] == '-') {
		return allDigits(v[:4]) && allDigits(v[5:7]) && allDigits(v[8:])
	}
	return len(v) == 8 && allDigits(v)
}

// isClock reports whether a value is a TM, also with colons, and with as many digits as a device writes.
func isClock(v []byte) bool {
	for i, c := range v {
		if !isDigit(c) && (c != ':' && c != '.' || i == 0) {
			return false
		}
	}
	return len(v) <= 16
}

// isMoment reports whether a value is a DT.
func isMoment(v []byte) bool {
	for i, c := range v {
		if !isDigit(c) && (c != '.' && c != '+' && c != '-' || i < 4) {
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
	return len(v) >= 1 && len(v) <= 3 && allDigits(v)
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
