// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Others know a birth date. Where it stands again in an attribute whose dates are shifted, whoever knows it reads the
// shift there. So a date that is the birth date of the instance's patient goes the way of a birth date, wherever it
// stands.

// births returns the days on which those whom an instance names were born. Nobody asks unless dates are shifted. In
// items such a date is rare: only an instance that has the attribute's tag once more is read through.
func (s *Session) births(o *stream.Object, in []byte) []int {
	if !s.p.Shifts || s.subject.Pseudonym == "" {
		return nil
	}
	e, _ := o.Header().Get(dict.PatientBirthDate)
	times := bytes.Count(in, birthDateLE) // a sequence as UN has it in a big endian instance, too
	if o.TransferSyntax().BigEndian {
		times += bytes.Count(in, birthDateBE)
	}
	if times <= 1 && len(values.Trimmed(e.Value)) > 0 {
		if !bytes.Equal(e.Value, s.born.value) { // of a series' instances they are equal
			s.born.value, s.born.days = append(s.born.value[:0], e.Value...), dates.Written(e.Value)
		}
		return s.born.days
	}
	if times == 0 {
		return nil
	}
	var days []int
	var see func(h stream.Head, value []byte)
	see = func(h stream.Head, value []byte) {
		switch {
		case h.Tag == dict.PatientBirthDate:
			days = append(days, dates.Written(value)...)
		case values.StartsItem(value): // a sequence as UN
			_ = values.EachIn(value, stream.ItemsOfUN(), 1, see)
		}
	}
	_ = values.EachIn(in, stream.EncodingOf(o.TransferSyntax()), 0, see) // what can't be read the rewriter judges
	return days
}

var birthDateLE, birthDateBE = []byte{0x10, 0x00, 0x30, 0x00}, []byte{0x00, 0x10, 0x00, 0x30}

// concept tells why others know the date of a content item; "" if they don't, or if it is none.
func (lv *level) concept(e *values.Element, vr dict.VR) (why string) {
	if e.Tag != dict.Date && e.Tag != dict.DateTime || vr != dict.DA && vr != dict.DT {
		return ""
	}
	name, inside := lv.conceptName()
	var scheme string
	var codes [2]string
	_ = values.EachIn(name, inside, 1, func(h stream.Head, value []byte) { // what can't be read names nothing
		switch h.Tag {
		case dict.CodingSchemeDesignator:
			scheme = string(values.Trimmed(value))
		case dict.CodeValue:
			codes[0] = string(values.Trimmed(value))
		case dict.LongCodeValue:
			codes[1] = string(values.Trimmed(value))
		default:
			return
		}
		for _, code := range codes {
			why = cmp.Or(why, dates.PublicConcepts[[2]string{scheme, code}])
		}
	})
	return why
}

// conceptName returns the value of the Concept Name Code Sequence of the item under way, and how it is encoded.
func (lv *level) conceptName() ([]byte, stream.Encoding) {
	for in := lv.content; ; {
		h, ok := lv.enc.Head(in)
		if !ok || h.Size > len(in) || h.Tag.Group() == 0xFFFE {
			return nil, lv.enc
		}
		in = in[h.Size:]
		n := int64(h.Length)
		if h.Length == stream.UndefinedLength {
			inner, err := values.SkipItems(in, h, 0)
			if err != nil {
				return nil, lv.enc
			}
			n = int64(inner)
		}
		if n > int64(len(in)) {
			return nil, lv.enc
		}
		if h.Tag == dict.ConceptNameCodeSequence {
			if h.Content == stream.PlainValue && h.VR == dict.UN {
				return in[:n], stream.ItemsOfUN()
			}
			return in[:n], cmp.Or(h.Inside, lv.enc)
		}
		in = in[n:]
	}
}
