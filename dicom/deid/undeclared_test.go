// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestUndeclared: text that isn't ASCII in an instance that declares nothing is read as UTF-8, or in the fallback of
// its source, and what goes out declares that.
func TestUndeclared(t *testing.T) {
	const (
		maker  = dict.Manufacturer // stays
		about  = dict.StudyDescription
		latin1 = "ISO_IR 100"
		utf8   = "ISO_IR 192"
	)
	text := func(d *stream.DataSet, tag dict.Tag, vr dict.VR, value string) {
		d.Put(stream.Element{Tag: tag, VR: vr, Value: []byte(value)})
	}
	item := func(declared, value string) *stream.DataSet {
		d := &stream.DataSet{}
		if declared != "" {
			text(d, dict.SpecificCharacterSet, dict.CS, declared)
		}
		text(d, maker, dict.LO, value)
		return d
	}
	for name, c := range map[string]struct {
		declared string // "-": absent
		fallback string
		change   func(d *stream.DataSet)
		charset  string // that goes out
		assumed  string
		want     string // Manufacturer
		fails    bool
	}{
		"ASCII":               {"-", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "Muller") }, "", "", "Muller", false},
		"Latin-1":             {"-", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, latin1, latin1, "Müller", false},
		"Latin-1, empty":      {"", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, latin1, latin1, "Müller", false},
		"Latin-1, ISO_IR 6":   {"ISO_IR 6", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, latin1, latin1, "Müller", false},
		"Latin-1, 2022 IR 6":  {"ISO 2022 IR 6", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, latin1, latin1, "Müller", false},
		"as UN":               {"-", "", func(d *stream.DataSet) { text(d, maker, dict.UN, "M\xfcller") }, latin1, latin1, "Müller", false},
		"UTF-8":               {"-", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xc3\xbcller") }, utf8, utf8, "Müller", false},
		"UTF-8, also by name": {"-", "ISO_IR 144", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xc3\xbcller") }, utf8, utf8, "Müller", false},
		"both": {"-", "", func(d *stream.DataSet) {
			text(d, maker, dict.LO, "M\xc3\xa4ller")
			text(d, dict.PatientName, dict.PN, "D\xf6e^Jane") // is replaced, and says what all is in
		}, latin1, latin1, "MÃ¤ller", false},
		"in what goes": {"-", "", func(d *stream.DataSet) {
			text(d, dict.PatientName, dict.PN, "D\xf6e^Jane")
			text(d, maker, dict.LO, "Muller")
		}, "", "", "Muller", false},
		"not UTF-8, which is the fallback": {"-", "ISO_IR 192", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, "", "", "", true},
		"Cyrillic":                         {"-", "ISO_IR 144", func(d *stream.DataSet) { text(d, maker, dict.LO, "\xbb\xee\xda") }, "ISO_IR 144", "ISO_IR 144", "Люк", false},
		"none":                             {"-", "ISO_IR 6", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, "", "", "", true},
		"not of it":                        {"-", "ISO_IR 126", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xffller") }, "", "", "", true},
		"escapes":                          {"-", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "\x1b$B;3ED\x1b(B") }, "", "", "", true},
		"declared":                         {"ISO_IR 100", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, latin1, "", "Müller", false},
		"declared, other":                  {"ISO_IR 192", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, "", "", "", true},
		"no term":                          {"LATIN1", "", func(d *stream.DataSet) { text(d, maker, dict.LO, "M\xfcller") }, "", "", "", true},
		"nested": {"-", "", func(d *stream.DataSet) {
			text(d, maker, dict.LO, "Muller")
			d.SetSequence(dict.ReferencedImageSequence, item("", "Z\xfcrich"), item("ISO_IR 6", "Z\xfcrich"))
		}, latin1, latin1, "Muller", false},
		"nested, declared there": {"-", "", func(d *stream.DataSet) {
			text(d, maker, dict.LO, "Muller")
			d.SetSequence(dict.ReferencedImageSequence, item("ISO_IR 192", "Z\xc3\xbcrich"))
		}, "", "", "Muller", false},
		"nested, one declared": {"-", "", func(d *stream.DataSet) {
			text(d, maker, dict.LO, "M\xc3\xbcller")
			d.SetSequence(dict.ReferencedImageSequence, item("ISO_IR 100", "Z\xfcrich"), item("", "Z\xc3\xbcrich"))
		}, utf8, utf8, "Müller", false},
		"nested, undeclared there": {"ISO_IR 100", "", func(d *stream.DataSet) {
			d.SetSequence(dict.ReferencedImageSequence, item("ISO_IR 6", "Z\xfcrich"))
		}, "", "", "", true},
	} {
		for _, syntax := range fuzzSyntaxes {
			if name == "as UN" && syntax == dict.ImplicitVRLittleEndian {
				continue
			}
			sub := subject()
			sub.Charset = c.fallback
			p, _ := BuiltinProfile(DefaultProfile)
			s, err := p.Session(sub)
			require.NoError(t, err)
			d := sample()
			d.Remove(dict.InstitutionName)
			d.Remove(dict.SpecificCharacterSet)
			if c.declared != "-" {
				text(d, dict.SpecificCharacterSet, dict.CS, c.declared)
			}
			c.change(d)
			out, report, err := deidentify(t, s, encode(t, d, syntax), syntax)
			if c.fails {
				require.Equal(t, Undecodable, reasonOf(t, err), name)
				require.NotContains(t, err.Error(), "ller")
				continue
			}
			require.NoError(t, err, name)
			require.Equal(t, c.assumed, report.AssumedCharset, name)
			require.False(t, report.ToUTF8)
			got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
			require.NoError(t, err)
			require.Equal(t, c.want, got.String(maker), name)
			switch c.declared {
			case "", "ISO_IR 6", "ISO 2022 IR 6":
				require.Equal(
					t, 1, bytes.Count(encode(t, got, dict.ExplicitVRLittleEndian), []byte("\x08\x00\x05\x00CS")),
				)
			}
			require.Equal(t, c.charset, got.String(dict.SpecificCharacterSet), name)
			for _, i := range got.Items(dict.ReferencedImageSequence) {
				require.Equal(t, "Zürich", i.String(maker), name)
				require.NotEqual(t, "ISO_IR 6", i.String(dict.SpecificCharacterSet), name)
			}
			again, err := (&Profile{rules: sessionOf(t, got).p}).Session(
				Subject{Patient: sessionOf(t, got).subject.Patient, Issuer: "HOSP", Pseudonym: "X"},
			)
			require.NoError(t, err)
			require.Equal(t, c.want, through(t, again, got).String(maker), "what goes out is read as it was meant")
		}
	}

	t.Run("words are cleaned in it", func(t *testing.T) {
		d := sample()
		d.Remove(dict.SpecificCharacterSet)
		d.Remove(dict.InstitutionName)
		text(d, about, dict.LO, "Sch\xe4del Doe")
		got := through(t, session(t, DefaultProfile), d)
		require.Equal(t, "Schädel", got.String(about))
		require.Equal(t, latin1, got.String(dict.SpecificCharacterSet))
	})
	t.Run("and it moves to UTF-8", func(t *testing.T) {
		d := sample()
		d.Remove(dict.SpecificCharacterSet)
		d.Remove(dict.InstitutionName)
		text(d, maker, dict.LO, "M\xfcller")
		for _, pseudonym := range []string{"Łucja 7", "Zoë"} {
			sub := subject()
			sub.Pseudonym = pseudonym
			p, _ := BuiltinProfile(DefaultProfile)
			s, err := p.Session(sub)
			require.NoError(t, err)
			out, report, err := deidentify(t, s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
			require.NoError(t, err)
			require.Equal(t, pseudonym, got.String(dict.PatientName))
			require.Equal(t, "Müller", got.String(maker))
			require.Equal(t, latin1, report.AssumedCharset)
			require.Equal(t, pseudonym == "Łucja 7", report.ToUTF8)
		}
	})
	t.Run("without a pseudonym", func(t *testing.T) {
		d := sample()
		d.Remove(dict.SpecificCharacterSet)
		text(d, dict.InstitutionName, dict.LO, "Z\xfcrich")
		p, _ := BuiltinProfile(DefaultProfile)
		for trial, want := range map[string]string{"Trial": "", "Łódź": utf8} {
			s, err := p.Session(Subject{TrialName: trial})
			require.NoError(t, err)
			got := through(t, s, d)
			require.Equal(t, want, got.String(dict.SpecificCharacterSet))
			require.Equal(t, "Zürich", got.String(dict.InstitutionName))
			require.Equal(t, trial, got.String(dict.ClinicalTrialProtocolName))
		}
	})
	t.Run("where undecodable text may go", func(t *testing.T) {
		p := profileOf(t, "allow: [undecodable-text]\n")
		s, err := p.Session(subject())
		require.NoError(t, err)
		d := sample()
		d.Remove(dict.SpecificCharacterSet)
		d.Remove(dict.InstitutionName)
		text(d, maker, dict.LO, "M\xfcller")
		require.Equal(t, latin1, through(t, s, d).String(dict.SpecificCharacterSet))
	})
	p, _ := BuiltinProfile(DefaultProfile)
	_, err := p.Session(Subject{Charset: "ISO_IR 999"})
	require.ErrorContains(t, err, "ISO_IR 999")
}
