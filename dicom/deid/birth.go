// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Others know a birth date. Where it stands again in an attribute whose dates are shifted, whoever knows it reads the shift there. So a date that is
// the birth date of the object's patient goes the way of a birth date, wherever it stands.

// births gives the days on which those whom an object names were born. Nobody asks unless dates are shifted. In items such a date is rare: only an
// object that has the attribute's tag once more is read through.
func (s *Session) births(o *stream.Object, in []byte) []int {
	if !s.p.shifts || s.subject.Pseudonym == "" {
		return nil
	}
	e, _ := o.Header().Get(dict.PatientBirthDate)
	if bytes.Count(in, birthDateLE)+bytes.Count(in, birthDateBE) <= 1 && len(trimmed(e.Value)) > 0 {
		if !bytes.Equal(e.Value, s.born.value) { // of a series' instances they are equal
			s.born.value, s.born.days = append(s.born.value[:0], e.Value...), writtenDates(e.Value)
		}
		return s.born.days
	}
	if !bytes.Contains(in, birthDateLE) && !bytes.Contains(in, birthDateBE) {
		return nil
	}
	var days []int
	var see func(h stream.Head, value []byte)
	see = func(h stream.Head, value []byte) {
		switch {
		case h.Tag == dict.PatientBirthDate:
			days = append(days, writtenDates(value)...)
		case startsItem(value): // a sequence as UN
			_ = eachValueIn(value, stream.ItemsOfUN(), 1, see)
		}
	}
	_ = eachValueIn(in, stream.EncodingOf(o.TransferSyntax()), 0, see) // what can't be read the rewriter judges
	return days
}

var birthDateLE, birthDateBE = []byte{0x10, 0x00, 0x30, 0x00}, []byte{0x00, 0x10, 0x00, 0x30}

// Why others know the date of a content item.
const (
	bornThen = "a birth date, which many know"
	diedThen = "a date of death, which registers have"
)

// publicConcepts are the concepts whose dates others know, by scheme and code.
var publicConcepts = map[[2]string]string{
	{"DCM", "121031"}:    bornThen,      // Subject Birth Date
	{"SCT", "184099003"}: bornThen,      // Date of birth
	{"LN", "21112-8"}:    bornThen,      // Birth date
	{"DCM", "122165"}:    diedThen,      // DateTime of Death
	{"SCT", "399753006"}: diedThen,      // Date of death
	{"LN", "81954-0"}:    diedThen,      // Date of death
	{"DCM", "113723"}:    dateOfMachine, // Calibration DateTime
}

// concept tells why others know the date of a content item; "" if they don't, or if it is none.
func (lv *level) concept(e *elem, vr dict.VR) (why string) {
	if e.Tag != dict.Date && e.Tag != dict.DateTime || vr != dict.DA && vr != dict.DT {
		return ""
	}
	name, inside := lv.conceptName()
	var scheme string
	var codes [2]string
	_ = eachValueIn(name, inside, 1, func(h stream.Head, value []byte) { // what can't be read names nothing
		switch h.Tag {
		case dict.CodingSchemeDesignator:
			scheme = string(trimmed(value))
		case dict.CodeValue:
			codes[0] = string(trimmed(value))
		case dict.LongCodeValue:
			codes[1] = string(trimmed(value))
		default:
			return
		}
		for _, code := range codes {
			why = cmp.Or(why, publicConcepts[[2]string{scheme, code}])
		}
	})
	return why
}

// conceptName gives the value of the Concept Name Code Sequence of the item under way, and how it is encoded.
func (lv *level) conceptName() ([]byte, stream.Encoding) {
	for in := lv.content; ; {
		h, ok := lv.enc.Head(in)
		if !ok || h.Size > len(in) || h.Tag.Group() == 0xFFFE {
			return nil, lv.enc
		}
		in = in[h.Size:]
		n := int64(h.Length)
		if h.Length == stream.UndefinedLength {
			inner, err := skipItems(in, h, 0)
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
