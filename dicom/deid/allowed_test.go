// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestValuesOfTheirVR: what stays is a value of its VR, or empty; what scanners write beside the standard stays.
func TestValuesOfTheirVR(t *testing.T) {
	p := profileOf(t,
		"options: [full-dates, retain-uids, retain-patient-characteristics, retain-device-identity]\noverrides: [{vr: AE, action: keep}]\n",
	)
	for vr, c := range map[dict.VR]struct {
		tag       dict.Tag
		good, bad []string
	}{
		dict.IS: {
			dict.InstanceNumber,
			[]string{"1", " 12 ", "-3", "+4", "0012", "7.0", "1234567890123", `1\2\\3`, "5\x00", ""},
			[]string{"Meier", "12 Meier", "0x1F", "1956-04-12", "+49 30 1234", "e", "1e", "--1", "Nan", "12a"},
		},
		dict.DS: {
			dict.SliceThickness,
			[]string{"0.5", "-1.2246467991473532e-16", "0.70710678118654757", "1E5", ".5", "5.", "1,5", `0.1\-0.2\3e1`, "+1e+05 "},
			[]string{"Meier", "1.5 mm", "E", ".", "-", "1e5e5", "1.5^Jane", "0.1Doe"},
		},
		dict.AS: {dict.PatientAge, []string{"067Y", "67Y", "067", "003M", "010d"}, []string{"Meier", "67 years", "Y", "1956Y", "067YM", "0.5Y"}},
		dict.DA: {dict.StudyDate, []string{"20240229", "2024.02.29", "2024-02-29"}, []string{"Meier", "20240229 Meier", "Feb 2024", "2024", "4930123456", "29.02.2024"}},
		dict.TM: {dict.StudyTime, []string{"101500", "10:15:00", "1015", "101500.1234567", "10"}, []string{"Meier", "101500 Meier", "10h15", "noon", ".", "10:15 PM"}},
		dict.DT: {dict.AcquisitionDateTime, []string{"20240229101500.123456+0100", "2024", "20240229"}, []string{"Meier", "20240229 Meier", "2024-02-29T10:15", "202"}},
		dict.CS: {
			dict.BodyPartExamined,
			[]string{"CHEST", "T-SPINE", "L SPINE", "CHEST/ABD", "Chest", "abdomen", "Thorax Abdomen Becken"},
			[]string{"Meier", "Meier Chest", "MEIER^HANNELORE", "HANNELORE MEIERSCHMIDT", "Hannelore", "M\xfcller", "chest, Meier"},
		},
		dict.UI: {dict.FrameOfReferenceUID, []string{"1.2.3", "1.2.3\x00", `1.2.3\1.2.4`, "1.2.03 "}, []string{"Meier", "1.2.3 Meier", "1.2.a", "urn:1.2"}},
		dict.AE: {dict.DestinationAE, []string{"ARCHIVE", "pacs-1 ", "A B"}, []string{"Hannelore Meierschmidt", "M\xfcller", "A\nB"}},
	} {
		require.Equal(t, vr, dict.VROf(c.tag))
		for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, "UN", "LO", "OB"} {
			put := func(value string) string {
				d := sample()
				e := stream.Element{Tag: c.tag, VR: vr, Value: []byte(value)}
				switch syntax {
				case "UN":
					e.VR = dict.UN
				case "LO":
					e.VR = dict.LO
				case "OB":
					e.VR = dict.OB
				}
				d.Put(e)
				in := syntax
				if len(syntax) == 2 {
					in = dict.ExplicitVRLittleEndian
				}
				s, err := p.Session(subject())
				require.NoError(t, err)
				out, _, err := deidentify(t, s, encode(t, d, in), in)
				require.NoError(t, err)
				got, err := stream.ParseDataSet(out, in, stream.Limits{})
				require.NoError(t, err)
				require.True(t, got.Has(c.tag), "%s as %s: %q", vr, syntax, value)
				g, _ := got.Get(c.tag)
				return string(values.Trimmed(g.Value))
			}
			if c.tag == dict.PatientAge && syntax != dict.ExplicitVRLittleEndian && len(syntax) == 2 {
				continue
			}
			for _, value := range c.good {
				require.Equal(t, string(values.Trimmed([]byte(value))), put(value), "%s as %s: %q", vr, syntax, value)
			}
			for _, value := range c.bad {
				require.Empty(t, put(value), "%s as %s: %q", vr, syntax, value)
			}
		}
	}
}

// TestValuesBesideOthers: of several values those go that are none; numbers in binary have the length of their unit, or
// are none.
func TestValuesBesideOthers(t *testing.T) {
	d := sample()
	d.Put(stream.Element{Tag: dict.ImageType, VR: dict.CS, Value: []byte(`ORIGINAL\PRIMARY\Meier\axial`)})
	d.Put(stream.Element{Tag: dict.PixelSpacing, VR: dict.DS, Value: []byte(`0.5\Meier`)})
	d.Put(stream.Element{Tag: dict.NumberOfFrames, VR: dict.LO, Value: []byte("Meier")})
	d.Put(stream.Element{Tag: dict.BitsAllocated, VR: dict.LO, Value: []byte("Meier")})
	d.Put(stream.Element{Tag: dict.BitsStored, VR: dict.LO, Value: []byte("12")})
	d.Put(stream.Element{Tag: dict.HighBit, VR: dict.UN, Value: []byte("Meier")})
	d.Put(stream.Element{Tag: dict.Rows, VR: dict.US, Value: []byte("Meier ")})
	d.Put(stream.Element{Tag: dict.SeriesNumber, VR: dict.US, Value: []byte{7, 0}})
	d.SetVR(0x00190010, dict.LO, "SIEMENS MR HEADER")
	d.Put(stream.Element{Tag: 0x0019100C, VR: dict.LO, Value: []byte("Meier")})
	d.Put(stream.Element{Tag: 0x0019100D, VR: dict.UN, Value: []byte("Meier^Jane")})
	d.Put(stream.Element{Tag: 0x0019100E, VR: dict.FD, Value: []byte("Hannelore")})
	d.Put(stream.Element{Tag: 0x00191027, VR: dict.UN, Value: []byte{0, 0, 0, 0, 0, 0, 0xF0, 0x3F}})
	got := through(t, session(t, DefaultProfile), d)
	value := func(tag dict.Tag) string {
		e, ok := got.Get(tag)
		require.True(t, ok, "%s", tag)
		return string(e.Value)
	}
	for tag, want := range map[dict.Tag]string{
		dict.ImageType: `ORIGINAL\PRIMARY\\axial`, dict.PixelSpacing: `0.5\`,
		dict.NumberOfFrames: "", dict.BitsAllocated: "", dict.BitsStored: "12",
		dict.HighBit: "", dict.Rows: "", dict.SeriesNumber: "", 0x0019100C: "",
		0x0019100D: "", 0x0019100E: "", 0x00191027: "\x00\x00\x00\x00\x00\x00\xf0\x3f",
	} {
		require.Equal(t, want, trimmedRight(value(tag)), "%s", tag)
	}
	for _, gone := range []string{"Meier", "Hannelore"} {
		require.NotContains(t, string(encode(t, got, dict.ExplicitVRLittleEndian)), gone)
	}
}

func trimmedRight(s string) string {
	for len(s) > 0 && s[len(s)-1] == ' ' {
		s = s[:len(s)-1]
	}
	return s
}

// TestCommentOfDates: Patient Comments takes a date and a time as sent, and nothing else.
func TestCommentOfDates(t *testing.T) {
	sub := subject()
	sub.TrialID = "T-1"
	for name, c := range map[string]struct{ profile, date, time, want string }{
		"as sent":       {rules.AditBase, "20240229", "101500.25", "20240229-101500.25"},
		"a name":        {rules.AditBase, "20240229", "Meier^Jane", "20240229-"},
		"two names":     {rules.AditBase, "Meier", "Jane", "-"},
		"several":       {rules.AditBase, `20240229\Meier`, `1015\Meier`, "20240229-1015"},
		"of an old way": {rules.AditBase, "2024.02.29", "10:15:00", "2024.02.29-10:15:00"},
	} {
		p, _ := BuiltinProfile(c.profile)
		s, err := p.Session(sub)
		require.NoError(t, err)
		d := sample()
		d.Put(stream.Element{Tag: dict.StudyDate, VR: dict.DA, Value: []byte(c.date)})
		d.Put(stream.Element{Tag: dict.StudyTime, VR: dict.TM, Value: []byte(c.time)})
		require.Equal(
			t, "Project:T-1 Subject:SUBJ-001 Session:SUBJ-001_"+c.want,
			through(t, s, d).String(dict.PatientComments), name,
		)
	}
}
