// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

func encode(t testing.TB, d *stream.DataSet, syntax string) []byte {
	b, err := d.Encode(syntax)
	require.NoError(t, err)
	return b
}

// TestSyntaxes: the same values come out of every encoding, and nothing of the patient.
func TestSyntaxes(t *testing.T) {
	var want *stream.DataSet
	for _, syntax := range fuzzSyntaxes {
		s := session(t, DefaultProfile)
		out, report, err := deidentify(t, s, encode(t, crowded(), syntax), syntax)
		require.NoError(t, err, syntax)
		require.Equal(t, "1.2.3.3", report.SOPInstanceUID)
		got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
		require.NoError(t, err)
		if want == nil {
			want = got
		}
		plain := encode(t, got, dict.ImplicitVRLittleEndian)
		require.Equal(t, encode(t, want, dict.ImplicitVRLittleEndian), plain)
		for _, word := range []string{"Doe", "P-4711", "overlay", "NOBODY", "CSA", "1.2.3.", "A-99", "House"} {
			require.NotContains(t, string(plain), word)
		}
		require.Positive(t, report.Count(MapUID))
		require.Positive(t, report.Count(Shift))
	}
}

// golden are small data sets in explicit VR little endian, as hex, and what becomes of them but for what is always
// written.
func TestGolden(t *testing.T) {
	uid := session(t, DefaultProfile).MapUID("1.22")
	ui := func(tag string) string { // a UI element with the mapped UID
		v := uid + strings.Repeat("\x00", len(uid)%2)
		return tag + "UI" + string([]byte{byte(len(v)), 0}) + v
	}
	implicit := func(tag string) string {
		v := uid + strings.Repeat("\x00", len(uid)%2)
		return tag + string([]byte{byte(len(v)), 0, 0, 0}) + v
	}
	item := func(content string) string {
		return "\xfe\xff\x00\xe0" + string([]byte{byte(len(content)), 0, 0, 0}) + content
	}
	const (
		undefinedItem = "\xfe\xff\x00\xe0\xff\xff\xff\xff"
		itemEnd       = "\xfe\xff\x0d\xe0\x00\x00\x00\x00"
		sequenceEnd   = "\xfe\xff\xdd\xe0\x00\x00\x00\x00"
	)
	long := func(s string) string { return string([]byte{byte(len(s)), 0, 0, 0}) + s }
	for name, c := range map[string]struct{ in, want string }{
		"sequence of defined length": {
			"\x08\x00\x40\x11SQ\x00\x00" + long(item("\x08\x00\x55\x11UI\x04\x001.22")),
			"\x08\x00\x40\x11SQ\x00\x00" + long(item(ui("\x08\x00\x55\x11"))),
		},
		"sequence of undefined length": {
			"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + undefinedItem +
				"\x08\x00\x55\x11UI\x04\x001.22" + itemEnd + sequenceEnd,
			"\x08\x00\x40\x11SQ\x00\x00\xff\xff\xff\xff" + undefinedItem +
				ui("\x08\x00\x55\x11") + itemEnd + sequenceEnd,
		},
		"UN of undefined length": {
			"\x08\x00\x40\x11UN\x00\x00\xff\xff\xff\xff" + undefinedItem +
				"\x08\x00\x55\x11\x04\x00\x00\x001.22" + itemEnd + sequenceEnd,
			"\x08\x00\x40\x11UN\x00\x00\xff\xff\xff\xff" + undefinedItem +
				implicit("\x08\x00\x55\x11") + itemEnd + sequenceEnd,
		},
		"UN of defined length": {
			"\x08\x00\x40\x11UN\x00\x00" + long(item("\x08\x00\x55\x11\x04\x00\x00\x001.22")),
			"\x08\x00\x40\x11UN\x00\x00" + long(item(implicit("\x08\x00\x55\x11"))),
		},
		"UN that is no sequence":        {"\x08\x00\x40\x11UN\x00\x00" + long("Doe^Jane"), ""},
		"UN whose item is cut":          {"\x08\x00\x40\x11UN\x00\x00" + long("\xfe\xff\x00\xe0\x20\x00\x00\x00Doe^Jane"), ""},
		"a sequence as text":            {"\x08\x00\x40\x11LO\x08\x00Doe^Jane", ""},
		"a UID as UN":                   {"\x08\x00\x58\x00UN\x00\x00" + long("1.22"), ui("\x08\x00\x58\x00")},
		"several UIDs":                  {"\x08\x00\x58\x00UI\x0a\x001.22\\1.22\x00", "\x08\x00\x58\x00UI" + string([]byte{byte(2*len(uid) + 2), 0}) + uid + `\` + uid + "\x00"},
		"a group length":                {"\x18\x00\x00\x00UL\x04\x00\x18\x00\x00\x00\x18\x00\x15\x00CS\x04\x00HEAD\x18\x00\x00\x10LO\x04\x00SN12", "\x18\x00\x00\x00UL\x04\x00\x0c\x00\x00\x00\x18\x00\x15\x00CS\x04\x00HEAD"},
		"a group length that was wrong": {"\x18\x00\x00\x00UL\x04\x00\x63\x00\x00\x00\x18\x00\x15\x00CS\x04\x00HEAD", "\x18\x00\x00\x00UL\x04\x00\x63\x00\x00\x00\x18\x00\x15\x00CS\x04\x00HEAD"},
		"a group that goes":             {"\x00\x50\x00\x00UL\x04\x00\x0c\x00\x00\x00\x00\x50\x00\x30UL\x04\x00\x10\x00\x00\x00", ""},
		"not in the dictionary":         {"\x18\x00\xfe\xfeLO\x08\x00Doe^Jane", ""},
		"length to end":                 {"\x08\x00\x01\x00UL\x04\x00\x10\x00\x00\x00", ""},
		"an odd length":                 {"\x18\x00\x15\x00CS\x03\x00ARM", "\x18\x00\x15\x00CS\x03\x00ARM"},
		"private without creator":       {"\x19\x00\x10\x10LO\x08\x00Doe^Jane", ""},
		"private of another item": {
			"\x08\x00\x40\x11SQ\x00\x00" + long(
				item("\x19\x00\x10\x00LO\x14\x00SIEMENS MR HEADER   ")+item("\x19\x00\x0c\x10IS\x04\x001000"),
			),
			"\x08\x00\x40\x11SQ\x00\x00" + long(item("")+item("")),
		},
		"private on the list": {
			"\x19\x00\x10\x00LO\x12\x00SIEMENS MR HEADER \x19\x00\x0c\x10IS\x04\x001000\x19\x00\x77\x10LO\x04\x00Jane",
			"\x19\x00\x10\x00LO\x12\x00SIEMENS MR HEADER \x19\x00\x0c\x10IS\x04\x001000",
		},
	} {
		s := session(t, DefaultProfile)
		out, _, err := deidentify(t, allowAll(t, s), []byte(c.in), dict.ExplicitVRLittleEndian)
		require.NoError(t, err, name)
		var got []byte
		o, err := stream.Open(bytes.NewReader(out), dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err, name)
		for token := range o.Header().Tokens() {
			if len(token.Path) == 0 && token.Kind != stream.EndToken && !assigned(token.Tag) {
				got = append(got, topLevel(out, o, token)...)
			}
		}
		require.NoError(t, o.Close())
		require.Equal(t, hex.Dump([]byte(c.want)), hex.Dump(got), name)
	}
}

// topLevel returns the bytes of a top-level element.
func topLevel(out []byte, o *stream.Object, token stream.Token) []byte {
	e, _ := o.Header().Get(token.Tag)
	return out[token.Start : token.Value+len(e.Value)]
}

// allowAll returns a session that takes instances without class and patient.
func allowAll(t testing.TB, s *Session) *Session {
	p, err := NewProfile(Definition{
		Name: "all", Version: "1", Base: rules.BasicBase, Allow: []string{"unknown-sop-class"},
		Options: []string{
			"modified-dates", "retain-patient-characteristics", "clean-descriptors", "retain-safe-private",
		},
	})
	require.NoError(t, err)
	sub := s.subject
	sub.Patient = PatientIdentity("", "", "")
	to, err := p.Session(sub)
	require.NoError(t, err)
	return to
}

func TestRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(d *stream.DataSet)
		syntax string
		reason Reason
	}{
		"burned in":         {func(d *stream.DataSet) { d.Set(dict.BurnedInAnnotation, "YES") }, "", BurnedIn},
		"secondary capture": {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, dict.SecondaryCaptureImageStorage) }, "", BurnedIn},
		"ultrasound":        {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, dict.UltrasoundImageStorage) }, "", BurnedIn},
		"screen save":       {func(d *stream.DataSet) { d.Set(dict.ImageType, `DERIVED\SECONDARY\SCREEN SAVE`) }, "", BurnedIn},
		"a document":        {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, dict.EncapsulatedPDFStorage) }, "", EncapsulatedDocument},
		"pixels elsewhere":  {func(*stream.DataSet) {}, dict.JPIPReferenced, PixelsElsewhere},
		"unknown class":     {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, "1.2.3") }, "", UnknownSOPClass},
		"another patient":   {func(d *stream.DataSet) { d.Set(dict.PatientID, "P-4712") }, "", OtherPatient},
		"no patient":        {func(d *stream.DataSet) { d.Set(dict.PatientID, "") }, "", OtherPatient},
		"undecodable text": {func(d *stream.DataSet) {
			d.SetBytes(dict.Manufacturer, dict.LO, []byte{0x1b, '$', 'Z', 'a'})
		}, "", Undecodable},
		"ultrasound, said NO": {func(d *stream.DataSet) {
			d.Set(dict.SOPClassUID, dict.UltrasoundImageStorage)
			d.Set(dict.BurnedInAnnotation, "NO")
		}, "", ""},
	} {
		d := sample()
		c.change(d)
		if c.syntax == "" {
			c.syntax = dict.ExplicitVRLittleEndian
		}
		_, _, err := deidentify(t, session(t, DefaultProfile), encode(t, d, dict.ExplicitVRLittleEndian), c.syntax)
		var got Reason
		if e, ok := errors.AsType[*RefusedError](err); ok {
			got = e.Reason
			require.Contains(t, e.Error(), "1.2.3.3")
		} else if e, ok := errors.AsType[*UnsafeError](err); ok {
			got = e.Reason
			require.Contains(t, e.Error(), "1.2.3.3")
		}
		require.Equal(t, c.reason, got, name)
		if err != nil {
			require.NotContains(t, err.Error(), "471")
		}
	}
}

func TestBehindPixelData(t *testing.T) {
	head := encode(t, sample(), dict.ExplicitVRLittleEndian)
	const (
		pixels  = "\xe0\x7f\x10\x00OW\x00\x00\x04\x00\x00\x00\x01\x02\x03\x04"
		private = "\xe1\x7f\x10\x00LO\x08\x00Doe^Jane\xe1\x7f\x10\x10UN\x00\x00\x08\x00\x00\x00Doe^Jane"
		signed  = "\xfa\xff\xfa\xffSQ\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x10\x00\x00\x00\x00\x04\x15\x01LO\x08\x00Doe^Jane\xfe\xff\xdd\xe0\x00\x00\x00\x00"
		padding = "\xfc\xff\xfc\xffOB\x00\x00\x08\x00\x00\x00Doe^Jane"
		late    = "\x10\x00\x10\x00PN\x08\x00Doe^Jane"
		capsule = "\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x04\x00\x00\x00\x01\x02\x03\x04\xfe\xff\xdd\xe0\x00\x00\x00\x00"
	)
	for name, c := range map[string]struct {
		body, want string
		fails      bool
	}{
		"pixels":       {pixels, pixels, false},
		"all of it":    {pixels + private + signed + padding, pixels, false},
		"encapsulated": {capsule + private + signed + padding, capsule, false},
		"out of order": {pixels + late, "", true},
		"twice":        {pixels + pixels, "", true},
		"cut":          {pixels + padding[:len(padding)-2], "", true},
		"cut in head":  {pixels + padding[:5], "", true},
	} {
		for _, chunk := range []int{1, 7, 1 << 16} {
			o, err := stream.Open(
				io.MultiReader(bytes.NewReader(head), iotestChunks(c.body, chunk)),
				dict.ExplicitVRLittleEndian, stream.Limits{},
			)
			require.NoError(t, err)
			_, err = session(t, DefaultProfile).Rewrite(o)
			require.NoError(t, err)
			out, err := io.ReadAll(struct{ io.Reader }{o})
			require.Equal(t, c.fails, err != nil, "%s: %v", name, err)
			require.NotContains(t, string(out), "Doe")
			if !c.fails {
				require.True(t, bytes.HasSuffix(out, []byte(c.want)), name)
			}
			require.NoError(t, o.Close())
		}
	}
}

type chunks struct {
	s string
	n int
}

func iotestChunks(s string, n int) io.Reader { return &chunks{s, n} }

func (c *chunks) Read(p []byte) (int, error) {
	if c.s == "" {
		return 0, io.EOF
	}
	n := copy(p, c.s[:min(c.n, len(c.s))])
	c.s = c.s[n:]
	return n, nil
}

// TestLargeValue: what is too large for the header can only stay as it is or go.
func TestLargeValue(t *testing.T) {
	for _, c := range []struct {
		tag   dict.Tag
		vr    dict.VR
		fails string
	}{
		{0x00660016, dict.OW, ""},                                     // stays
		{dict.EncapsulatedDocument, dict.OB, ""},                      // becomes a dummy
		{dict.ImageComments + 1, dict.UT, "(0020,4001) is too large"}, // what is always written belongs behind it
		{dict.TextValue, dict.UT, "(0040,A160) has to be changed, but it is longer than the 65536 bytes"},
	} {
		d := sample()
		d.SetBytes(c.tag, c.vr, make([]byte, 100_000))
		o, err := stream.Open(
			bytes.NewReader(encode(t, d, dict.ExplicitVRLittleEndian)),
			dict.ExplicitVRLittleEndian, stream.Limits{Header: 1 << 16},
		)
		require.NoError(t, err)
		if _, err = session(t, DefaultProfile).Rewrite(o); err == nil {
			_, err = io.ReadAll(o)
		}
		if c.fails == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, c.fails)
		}
		require.NoError(t, o.Close())
	}
}

func TestCharacterSets(t *testing.T) {
	sub := subject()
	sub.Pseudonym = "Łucja 7"
	p := profileOf(t, "options: [retain-institution-identity]")
	s, err := p.Session(sub)
	require.NoError(t, err)
	nested := &stream.DataSet{}
	nested.Set(dict.InstitutionName, "Zürich")
	d := sample()
	d.SetSequence(dict.ReferencedStudySequence, nested)
	d.SetSequence(dict.ReferencedImageSequence, nested)
	out, report, err := deidentify(t, s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	require.True(t, report.ToUTF8)
	got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	require.Equal(t, "ISO_IR 192", got.String(dict.SpecificCharacterSet))
	require.Equal(t, "Łucja 7", got.String(dict.PatientName))
	require.Equal(t, "Städtisches Klinikum", got.String(dict.InstitutionName))
	require.Equal(t, "Zürich", got.Items(dict.ReferencedImageSequence)[0].String(dict.InstitutionName))

	t.Run("without a character set", func(t *testing.T) {
		d := sample()
		d.Remove(dict.SpecificCharacterSet)
		d.Remove(dict.InstitutionName)
		got := through(t, s, d)
		require.Equal(t, "ISO_IR 192", got.String(dict.SpecificCharacterSet))
		require.Equal(t, "Łucja 7", got.String(dict.PatientID))
	})
	t.Run("text that cannot move", func(t *testing.T) {
		d := sample()
		d.SetBytes(dict.InstitutionName, dict.LO, []byte{0x1b, '$', 'Z', 'a'})
		_, _, err := deidentify(t, s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		e, ok := errors.AsType[*UnsafeError](err)
		require.True(t, ok)
		require.Equal(t, Undecodable, e.Reason)
	})
	t.Run("a term that is none", func(t *testing.T) {
		d := sample()
		d.Remove(dict.InstitutionName)
		d.Put(stream.Element{Tag: dict.SpecificCharacterSet, VR: dict.CS, Value: []byte("Doe^Jane")})
		require.False(t, through(t, session(t, DefaultProfile), d).Has(dict.SpecificCharacterSet))
		d.SetBytes(dict.Manufacturer, dict.LO, []byte("Doe\xe4"))
		_, _, err := deidentify(
			t, session(t, DefaultProfile), encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "Doe")
	})
	t.Run("it can hold it", func(t *testing.T) {
		sub.Pseudonym = "Müller"
		s, err := p.Session(sub)
		require.NoError(t, err)
		got := through(t, s, sample())
		require.Equal(t, "ISO_IR 100", got.String(dict.SpecificCharacterSet))
		require.Equal(t, "Müller", got.String(dict.PatientName))
	})
}

func TestTrial(t *testing.T) {
	in := encode(t, crowded(), dict.ExplicitVRLittleEndian)
	p, _ := BuiltinProfile(DefaultProfile)
	t.Run("nothing given", func(t *testing.T) {
		s, err := p.Session(Subject{})
		require.NoError(t, err)
		out, _, err := deidentify(t, s, in, dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		require.Equal(t, in, out)
		require.Equal(t, "1.2.3", s.MapUID("1.2.3"))
	})
	t.Run("no pseudonym", func(t *testing.T) {
		for trial, name := range map[string]string{"T-1": "Trial", "": "Łódź"} {
			s, err := p.Session(Subject{TrialID: trial, TrialName: name})
			require.NoError(t, err)
			got, want := through(t, s, crowded()), crowded()
			if trial != "" {
				want.Set(dict.ClinicalTrialProtocolID, trial)
			} else {
				require.NoError(t, want.SetCharset("ISO_IR 192"))
			}
			want.Set(dict.ClinicalTrialProtocolName, name)
			require.Equal(t, encode(t, want, dict.ExplicitVRLittleEndian), encode(t, got, dict.ExplicitVRLittleEndian))
		}
	})
	t.Run("both", func(t *testing.T) {
		sub := subject()
		sub.TrialID, sub.TrialName = "T-1", "Trial"
		s, err := p.Session(sub)
		require.NoError(t, err)
		in := sample()
		in.Set(dict.PatientComments, "a friend of Jane's")
		in.Set(dict.ClinicalTrialSiteID, "17")
		got := through(t, s, in)
		for tag, want := range map[dict.Tag]string{
			dict.PatientComments: "Project:T-1 Subject:SUBJ-001 Session:SUBJ-001_" +
				got.String(dict.StudyDate) + "-101500.25",
			dict.ClinicalTrialProtocolID: "T-1", dict.ClinicalTrialProtocolName: "Trial",
			dict.ClinicalTrialSubjectID:   "SUBJ-001",
			dict.ClinicalTrialSponsorName: values.DummyText,
			dict.ClinicalTrialSiteID:      "", dict.ClinicalTrialSiteName: "",
		} {
			require.True(t, got.Has(tag), "%s", tag)
			require.Equal(t, want, got.String(tag), "%s", tag)
		}
	})
	for _, bad := range []Subject{
		{Pseudonym: "A^B", Patient: "x"}, {Pseudonym: "A"}, {TrialID: `a\b`}, {TrialName: strings.Repeat("x", 65)},
	} {
		_, err := p.Session(bad)
		require.Error(t, err)
	}
}

// TestRepeated: attributes that come twice or in disorder are all de-identified, and come out in order.
func TestRepeated(t *testing.T) {
	in := "\x10\x00\x20\x00LO\x02\x00P1\x10\x00\x10\x00PN\x08\x00Doe^Jane\x10\x00\x10\x00PN\x08\x00Doe^John\x08\x00\x50\x00SH\x02\x00A2\x08\x00\x50\x00SH\x02\x00A1"
	sub := subject()
	sub.Patient = PatientIdentity("P1", "HOSP", "")
	s, err := profileOf(t, "allow: [unknown-sop-class]").Session(sub)
	require.NoError(t, err)
	out, _, err := deidentify(t, s, []byte(in), dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	require.Equal(t, 2, bytes.Count(out, []byte("SUBJ-001")))
	for _, gone := range []string{"Doe", "P1", "A2", "A1"} {
		require.NotContains(t, string(out), gone)
	}
}

func TestMapUID(t *testing.T) {
	s := session(t, DefaultProfile)
	require.Equal(t, dict.CTImageStorage, s.MapUID(dict.CTImageStorage))
	require.Equal(t, s.MapUID("1.2.3"), s.MapUID(" 1.2.3\x00"))
	require.NotEqual(t, s.MapUID("1.2.3"), s.MapUID("1.2.4"))
	require.Empty(t, s.MapUID(""))
	require.Equal(t, s.MapUID("1.2.3.3"), through(t, s, sample()).String(dict.SOPInstanceUID))
	keep, err := profileOf(t, "options: [retain-uids]").Session(subject())
	require.NoError(t, err)
	require.Equal(t, "1.2.3", keep.MapUID("1.2.3"))
	require.Equal(t, "1.2.3.3", through(t, keep, sample()).String(dict.SOPInstanceUID))
}

func TestExplain(t *testing.T) {
	in := encode(t, crowded(), dict.ExplicitVRLittleEndian)
	o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	list, _, err := session(t, DefaultProfile).Explain(o)
	require.NoError(t, err)
	find := func(path string) Explained {
		for _, e := range list {
			if e.Path == path {
				return e
			}
		}
		require.Fail(t, path)
		return Explained{}
	}
	require.Equal(t,
		Explained{"(0010,0010)", "PatientName", "Doe^Jane", Assign, "always: given by subject and profile", "SUBJ-001"},
		find("(0010,0010)"),
	)
	require.Equal(t, Explained{
		"(0008,1030)", "StudyDescription", "Thorax Doe", Clean, "Table E.1-1, clean-descriptors: C", "Thorax",
	}, find("(0008,1030)"))
	require.Equal(t, Dummy, find("(0040,A730)[1] (0008,1030)").Action)
	require.Equal(t, Remove, find("(0029,1010)").Action)
	require.Equal(t, "Doe^Jane", find("(0040,A730)[2] (0019,1010)").Before)
}
