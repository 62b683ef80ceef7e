// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"bytes"
	"slices"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// AppendShifted moves the dates of a DA or DT by whole days. What has no day to move stays if it says no more than a
// time of day or a time zone. ok is false if a value is none of its VR, a placeholder, or one of the days that are
// known.
func AppendShifted(b, value []byte, vr dict.VR, offset int, known []int) (_ []byte, ok bool) {
	at := len(b)
	b = append(b, value...)
	for rest := b[at:]; ; {
		one, next, more := bytes.Cut(rest, []byte{'\\'})
		if v := values.Trimmed(one); len(v) > 0 && !shiftOne(v, vr, offset, known) {
			return b[:at], false
		}
		if !more {
			return b, true
		}
		rest = next
	}
}

// shiftOne moves one date, in place.
func shiftOne(v []byte, vr dict.VR, offset int, known []int) bool {
	switch vr {
	case dict.TM:
		return values.IsTime(v)
	case dict.SH: // Timezone Offset From UTC (0008,0201)
		return len(v) == 5 && (v[0] == '+' || v[0] == '-') && values.AllDigits(v[1:])
	case dict.DA:
		if len(v) != 8 {
			return false
		}
	case dict.DT:
		if len(v) < 8 || len(v) > 26 || !values.IsTimeOfDT(v[8:]) {
			return false
		}
	default:
		return false
	}
	y, m, d, ok := Parse(v[:8])
	if !ok || placeholder(y, m, d) {
		return false
	}
	day := Days(y, m, d)
	if slices.Contains(known, day) {
		return false
	}
	y, m, d = Civil(day + offset)
	values.PutDigits(v[:4], y)
	values.PutDigits(v[4:6], m)
	values.PutDigits(v[6:8], d)
	return true
}

// AppendTruncated moves dates to January 1st of their year.
func AppendTruncated(b, value []byte, vr dict.VR) (_ []byte, ok bool) {
	if vr != dict.DA && vr != dict.DT {
		return b, false
	}
	at := len(b)
	for i := 0; ; i++ {
		one, rest, more := bytes.Cut(value, []byte{'\\'})
		if i > 0 {
			b = append(b, '\\')
		}
		if v := values.Trimmed(one); len(v) > 0 {
			if len(v) < 4 || !values.AllDigits(v[:4]) || vr == dict.DA && len(v) != 8 {
				return b[:at], false
			}
			b = append(append(b, v[:4]...), "0101"...)
		}
		if !more {
			return b, true
		}
		value = rest
	}
}
