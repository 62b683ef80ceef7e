// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestOddDates: whatever a date or time holds, under Modified Dates nothing of it stays but times.
func TestOddDates(t *testing.T) {
	p := loadProfile(t, "modified-dates")
	for _, c := range []struct {
		tag   dict.Tag
		value string
		out   string // * stands for a shifted date of eight digits; empty: emptied or gone
	}{
		{dict.StudyDate, "20200315", "*"},
		{dict.StudyDate, "20200315 ", "*"},
		{dict.StudyDate, `20200315\20200316`, `*\*`},
		{dict.StudyDate, `20200315\`, `*\`},
		{dict.StudyDate, "2020.03.15", ""},
		{dict.StudyDate, "20200315-20200320", ""},
		{dict.StudyDate, "20200230", ""},
		{dict.StudyDate, "00000000", ""},
		{dict.StudyDate, "20200315Meier", ""},
		{dict.StudyDate, "Meier", ""},
		{dict.StudyDate, "00010101", ""},
		{dict.AcquisitionDateTime, "20200315", "*"},
		{dict.AcquisitionDateTime, "20200315101500.123456-0530", "*101500.123456-0530"},
		{dict.AcquisitionDateTime, "20200315+0100", "*+0100"},
		{dict.AcquisitionDateTime, "2020031510", "*10"},
		{dict.AcquisitionDateTime, "202003", ""},
		{dict.AcquisitionDateTime, "2020", ""},
		{dict.AcquisitionDateTime, "2020+0100", ""},
		{dict.AcquisitionDateTime, "20200315 Meier", ""},
		{dict.AcquisitionDateTime, "20200315101500Meier", ""},
		{dict.AcquisitionDateTime, "20200315-20200320", ""},
		{dict.StudyTime, "101500", "101500"},
		{dict.StudyTime, "1015", "1015"},
		{dict.StudyTime, "101500.123456", "101500.123456"},
		{dict.StudyTime, "Meier", ""},
		{dict.StudyTime, "101500 Meier", ""},
		{dict.StudyTime, "20200315101500", ""},
		{dict.PatientBirthDate, "19600412", ""},
		{dict.PatientBirthTime, "0815", ""},
	} {
		t.Run(fmt.Sprintf("%s %q", c.tag.Keyword(), c.value), func(t *testing.T) {
			var ds stream.DataSet
			ds.Set(dict.SOPClassUID, dict.CTImageStorage)
			ds.Set(dict.SOPInstanceUID, "1.2.3")
			ds.Set(dict.PatientID, "PID-1")
			e, _ := dict.Lookup(c.tag)
			ds.Put(stream.Element{Tag: c.tag, VR: e.VR, Value: []byte(c.value)})
			b, _, err := rewrite(
				sessionFor(t, p, proofKey(1), &ds),
				encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
			)
			require.NoError(t, err)
			got := strings.Join(parse(t, b, dict.ExplicitVRLittleEndian).Strings(c.tag), `\`)
			require.Len(t, got, len(strings.ReplaceAll(c.out, "*", "########")), got)
			for i, part := range strings.Split(c.out, "*") {
				if i > 0 {
					require.NotContains(t, c.value, got[:8])
					_ = day(got[:8])
					got = got[8:]
				}
				require.Equal(t, part, got[:len(part)])
				got = got[len(part):]
			}
		})
	}
}

// unknownUndefined encodes items as UN of undefined length, implicit VR within (CP-246, PS3.5 6.2.2 note 7).
func unknownUndefined(t testing.TB, tag dict.Tag, items ...*stream.DataSet) []byte {
	b := []byte{byte(tag >> 16), byte(tag >> 24), byte(tag), byte(tag >> 8), 'U', 'N', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	for _, item := range items {
		inner := encode(t, item, dict.ImplicitVRLittleEndian)
		b = append(b, 0xFE, 0xFF, 0x00, 0xE0)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(inner)))
		b = append(b, inner...)
	}
	return append(b, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
}

// TestOddPlaces seeds a name where parsers of the header are weak.
func TestOddPlaces(t *testing.T) {
	const name = "Meierschmidt^Hannelore"
	profiles := map[string]*deid.Profile{"basic": loadProfile(t)}
	for _, b := range []string{deid.DefaultProfile, "adit"} {
		profiles[b], _ = deid.BuiltinProfile(b)
	}
	object := func(edit func(ds *stream.DataSet)) *stream.DataSet {
		var ds stream.DataSet
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2.3")
		ds.Set(dict.PatientID, "PID-1")
		if edit != nil {
			edit(&ds)
		}
		return &ds
	}
	named := func() *stream.DataSet {
		var item stream.DataSet
		item.Set(dict.PatientName, name)
		return &item
	}
	explicit := func(ds *stream.DataSet) []byte { return encode(t, ds, dict.ExplicitVRLittleEndian) }
	cases := map[string][]byte{
		"UN of undefined length": append(
			explicit(object(nil)), unknownUndefined(t, dict.SharedFunctionalGroupsSequence, named())...,
		),
		"private UN of undefined length": append(explicit(object(func(ds *stream.DataSet) {
			ds.SetVR(0x7E010010, dict.LO, "HOLOGIC, Inc.")
		})), unknownUndefined(t, 0x7E011010, named())...),
		"UN of undefined length in itself": append(
			explicit(object(nil)),
			unknownUndefined(t, dict.SharedFunctionalGroupsSequence, func() *stream.DataSet {
				var item stream.DataSet
				item.SetSequence(dict.ReferencedImageSequence, named())
				return &item
			}())...,
		),
		"30 deep": explicit(object(func(ds *stream.DataSet) {
			item := named()
			for range 30 {
				var outer stream.DataSet
				outer.SetSequence(dict.SharedFunctionalGroupsSequence, item)
				item = &outer
			}
			ds.SetSequence(dict.SharedFunctionalGroupsSequence, item)
		})),
		"in many items": explicit(object(func(ds *stream.DataSet) {
			var items []*stream.DataSet
			for range 500 {
				items = append(items, named())
			}
			ds.SetSequence(dict.PerFrameFunctionalGroupsSequence, items...)
		})),
		"another VR than the tag's": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.ReferringPhysicianName, VR: dict.LO, Value: []byte(name)})
			ds.Put(stream.Element{Tag: dict.OperatorsName, VR: dict.UT, Value: []byte(name)})
			ds.Put(stream.Element{Tag: dict.PatientBirthName, VR: dict.OB, Value: []byte(name)})
			ds.Put(stream.Element{Tag: dict.OtherPatientIDs, VR: dict.UN, Value: []byte(name)})
		})),
		"a name in a tag that has none": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.FilterType, VR: dict.PN, Value: []byte(name)})
		})),
		"a sequence in a tag that has text": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.FilterType, VR: dict.SQ, Items: []*stream.DataSet{named()}})
			ds.Put(stream.Element{Tag: dict.StudyDescription, VR: dict.SQ, Items: []*stream.DataSet{named()}})
		})),
		"text in a tag that has a sequence": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.SharedFunctionalGroupsSequence, VR: dict.LO, Value: []byte(name)})
		})),
		"not in the dictionary": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: 0x00101099, VR: dict.LO, Value: []byte(name)})
			ds.Put(stream.Element{Tag: 0x00400999, VR: dict.SQ, Items: []*stream.DataSet{named()}})
		})),
		"command and file groups": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: 0x00041130, VR: dict.CS, Value: []byte(name)})
			ds.Put(stream.Element{Tag: 0x00060001, VR: dict.LO, Value: []byte(name)})
		})),
		"overlay and curve": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: 0x60020022, VR: dict.LO, Value: []byte(name)})
			ds.Put(stream.Element{Tag: 0x60021500, VR: dict.LO, Value: []byte(name)})
			ds.Put(stream.Element{Tag: 0x50022500, VR: dict.LO, Value: []byte(name)})
		})),
		"a private creator": explicit(object(func(ds *stream.DataSet) {
			ds.SetVR(0x00110010, dict.LO, name)
			ds.SetVR(0x00111001, dict.DS, "1")
			ds.Put(stream.Element{Tag: 0x00130010, VR: dict.UN, Value: []byte(name)})
		})),
		"behind the pixel data": explicit(object(func(ds *stream.DataSet) {
			ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 64))
			ds.SetVR(0x7FE10010, dict.LO, name)
			ds.SetVR(0x7FE11001, dict.PN, name)
			ds.Put(stream.Element{Tag: dict.DataSetTrailingPadding, VR: dict.OB, Value: []byte(name)})
		})),
		"the pixel data's own group": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: 0x7FE00099, VR: dict.LO, Value: []byte(name)})
			ds.SetBytes(dict.PixelData, dict.OW, make([]byte, 64))
		})),
		"a name behind another": explicit(object(func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.PatientName, VR: dict.PN, Value: []byte("A^B\\" + name)})
			ds.Put(stream.Element{Tag: dict.PatientID, VR: dict.LO, Value: []byte("PID-1\\" + name)})
		})),
		"an attribute twice": append(explicit(object(func(ds *stream.DataSet) {
			ds.Set(dict.PatientName, name)
		})), explicit(named())...),
	}
	for what, in := range cases {
		for base, p := range profiles {
			t.Run(what+", "+base, func(t *testing.T) {
				require.True(t, bytes.Contains(in, []byte(name)))
				before, err := stream.ParseDataSet(in, dict.ExplicitVRLittleEndian, stream.Limits{})
				if err != nil {
					before = object(nil)
				}
				out, _, err := rewrite(sessionFor(t, p, proofKey(1), before), in, dict.ExplicitVRLittleEndian)
				if err != nil {
					t.Logf("not sent: %v", err) // fails closed
					require.NotContains(t, err.Error(), "Meier")
					return
				}
				require.False(t, bytes.Contains(out, []byte("Meierschmidt")))
				require.False(t, bytes.Contains(out, []byte("Hannelore")))
				parse(t, out, dict.ExplicitVRLittleEndian)
			})
		}
	}
}
