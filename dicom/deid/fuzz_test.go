// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

var fuzzSyntaxes = []string{
	dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
	dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
}

// crowded is a data set with everything that a rewriter stumbles over.
func crowded() *stream.DataSet {
	d := sample()
	ref := &stream.DataSet{}
	ref.Set(dict.ReferencedSOPClassUID, dict.CTImageStorage)
	ref.Set(dict.ReferencedSOPInstanceUID, "1.2.3.77")
	ref.SetVR(0x00190010, dict.LO, "NOBODY 1.0")
	ref.SetVR(0x00191010, dict.PN, "Doe^Jane")
	outer := &stream.DataSet{}
	outer.Set(dict.StudyDescription, "Jane Doe Abdomen")
	outer.SetSequence(dict.ReferencedSOPSequence, ref, ref)
	d.SetSequence(dict.ReferencedStudySequence, outer)
	d.SetSequence(dict.ContentSequence, outer, ref)
	d.SetVR(0x00290010, dict.LO, "SIEMENS CSA HEADER")
	d.SetBytes(0x00291010, dict.OB, []byte("Doe^Jane"))
	d.SetBytes(0x60003000, dict.OW, []byte("overlay!"))
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
	d.SetBytes(dict.DataSetTrailingPadding, dict.OB, []byte("Doe^Jane"))
	return d
}

// FuzzRewrite: whatever comes in, nothing panics or grows without bound, what comes out opens again, is the same a
// second time, and has the values of the elements that stay.
func FuzzRewrite(f *testing.F) {
	for i, syntax := range fuzzSyntaxes {
		b, err := crowded().Encode(syntax)
		require.NoError(f, err)
		f.Add(b, uint8(i))
		f.Add(b, uint8(i)+0x40)
		f.Add(b, uint8(i)+0x80)
	}
	for _, b := range raw {
		f.Add(b, uint8(1))
	}
	p, err := NewProfile(Definition{
		Name: "fuzz", Version: "1", Base: rules.BasicBase,
		Allow:   []string{"unknown-sop-class", "undecodable-text", "burned-in", "encapsulated-document"},
		Options: []string{"modified-dates", "clean-descriptors", "retain-safe-private", "clean-structured-content"},
	})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		syntax, limits := fuzzSyntaxes[int(which&0x3F)%len(fuzzSyntaxes)], stream.Limits{Header: 1 << 16}
		if which >= 0x80 { // much of it is rewritten piece by piece
			limits.Header = 1 << 9
		}
		o, err := stream.Open(bytes.NewReader(in), syntax, limits)
		if err != nil {
			return
		}
		defer o.Close()
		h := o.Header()
		sub := subject()
		sub.Patient = PatientIdentity(h.Text(dict.PatientID), sub.Issuer, h.Text(dict.StudyInstanceUID))
		sub.Scan = which&0x40 != 0
		sub.Pseudonym = "Jürgen" // moves many objects to UTF-8
		s, err := p.Session(sub)
		require.NoError(t, err)
		before := map[dict.Tag][][]byte{}
		size := 0
		for e := range h.All {
			before[e.Tag] = append(before[e.Tag], bytes.Clone(e.Value))
			size += len(e.Value) + 12
		}
		report, err := s.Rewrite(o)
		if err != nil {
			_, refused := errors.AsType[*RefusedError](err)
			_, unsafe := errors.AsType[*UnsafeError](err)
			require.True(t, refused || unsafe, "%v", err)
			return
		}
		grown := 0
		for e := range h.All {
			grown += len(e.Value) + 12
			r := s.p.RuleOf(e.Tag)
			if assigned(e.Tag) || r.Action != Keep || e.Tag.IsPrivate() || e.VR == dict.SQ ||
				r.VR == dict.SQ || report.ToUTF8 && e.VR.Text() || e.VR == dict.UN {
				continue
			}
			if !e.Tag.IsGroupLength() {
				require.True(t, contains(before[e.Tag], e.Value), "%s", e.Tag)
			}
		}
		require.LessOrEqual(t, grown, 8*size+4096)
		out, err := io.ReadAll(o)
		if err != nil {
			return
		}
		again, err := stream.Open(bytes.NewReader(out), syntax, stream.Limits{Header: 1 << 20})
		require.NoError(t, err)
		defer again.Close()
		_, err = io.Copy(io.Discard, again)
		require.NoError(t, err)
		once, err := stream.Open(bytes.NewReader(in), syntax, limits)
		require.NoError(t, err)
		defer once.Close()
		_, err = s.Rewrite(once)
		require.NoError(t, err)
		second, err := io.ReadAll(once)
		require.NoError(t, err)
		require.Equal(t, out, second)
	})
}

func contains(list [][]byte, value []byte) bool {
	for _, v := range list {
		if bytes.Equal(v, value) {
			return true
		}
	}
	return false
}

func assigned(tag dict.Tag) bool {
	switch tag {
	case dict.SpecificCharacterSet, dict.PatientName, dict.PatientID, dict.PatientIdentityRemoved,
		dict.DeidentificationMethod,
		dict.DeidentificationMethodCodeSequence, dict.LongitudinalTemporalInformationModified:
		return true
	}
	return false
}

// raw are data sets in explicit VR little endian that no writer of ours would make: UN that holds a sequence, of
// undefined length, one that can't be read, private blocks without a creator, group lengths, attributes twice and in
// disorder.
var raw = [][]byte{
	[]byte("\x08\x00\x40\x11UN\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\x00\x55\x11\x04\x00\x00\x001.22\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00"),
	[]byte(
		"\x08\x00\x40\x11UN\x00\x00\x14\x00\x00\x00\xfe\xff\x00\xe0\x0c\x00\x00\x00\x08\x00\x55\x11\x04\x00\x00\x001.22",
	),
	[]byte("\x08\x00\x40\x11UN\x00\x00\x08\x00\x00\x00Doe^Jane"),
	[]byte("\x09\x00\x10\x10LO\x08\x00Doe^Jane\x10\x00\x10\x00PN\x08\x00Doe^Jane\x10\x00\x10\x00PN\x08\x00Doe^John"),
	[]byte(
		"\x08\x00\x00\x00UL\x04\x00\x10\x00\x00\x00\x08\x00\x16\x00UI\x08\x001.2.840.\x08\x00\x05\x00CS\x0a\x00ISO_IR 192",
	),
	[]byte("\x10\x00\x10\x00PN\x08\x00Doe^Jane\x08\x00\x20\x00DA\x08\x0020240229"),
}

// FuzzLoadProfile: whatever file is named, a profile that is loaded says the same as JSON, keeps its hash, and can be
// applied.
func FuzzLoadProfile(f *testing.F) {
	for _, text := range []string{
		"name: a\nversion: \"1\"\nbase: ps3.15-basic\noptions: [modified-dates, clean-descriptors]\noverrides:\n  - {tag: \"(0019,xx10)\", creator: ACME 1.0, vr: LO, action: keep}\n" +
			"  - {keyword: StationName, action: regex, pattern: \"-.*\", with: \"\"}\nallow: [burned-in]\nvocabulary: [nodule]\n",
		"{name: b, version: '2', base: adit, overrides: [{vr: TM, action: remove}, {tag: '(60xx,3000)', action: keep}]}",
		"a: &x [*x, *x]\nb: *x\n", "--- {}\n--- {}\n", "name: [", "\xff\xfe",
	} {
		f.Add([]byte(text))
	}
	in, err := crowded().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := LoadProfile(text)
		if err != nil {
			require.True(t, utf8.ValidString(err.Error()))
			return
		}
		said, err := json.Marshal(p.Definition())
		require.NoError(t, err)
		var d Definition
		require.NoError(t, json.Unmarshal(said, &d))
		again, err := NewProfile(d)
		require.NoError(t, err)
		require.Equal(t, p.Hash(), again.Hash())
		require.Equal(t, applied(t, p, in), applied(t, again, in))
	})
}

// applied is what a profile makes of an object, nil if it isn't sent.
func applied(t *testing.T, p *Profile, in []byte) []byte {
	o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	sub := subject()
	sub.Scan = true
	s, err := p.Session(sub)
	require.NoError(t, err)
	if _, err := s.Rewrite(o); err != nil {
		return nil
	}
	out, err := io.ReadAll(o)
	if err != nil {
		return nil
	}
	_, err = stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	return out
}

// FuzzOverride: whatever a rule of one's own says, it is refused or can be applied.
func FuzzOverride(f *testing.F) {
	f.Add("(0018,1030)", "", "", "", "clean", "", "", uint8(0))
	f.Add("(0019,xx10)", "", "LO", "NOBODY 1.0", "keep", "", "", uint8(1))
	f.Add("", "StationName", "", "", "regex", "$1-x", "^(.)", uint8(2))
	f.Add("(xxxx,xxxx)", "", "DA", "", "shift", "", "", uint8(3))
	f.Add("(0010,0010)", "", "", "", "replace", "Größe", "", uint8(0))
	in, err := crowded().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(f, err)
	options := [][]string{
		nil,
		{"modified-dates"},
		{"clean-descriptors", "retain-safe-private"},
		{"clean-structured-content", "clean-graphics"},
	}
	f.Fuzz(func(t *testing.T, tag, keyword, vr, creator, action, with, pattern string, which uint8) {
		p, err := NewProfile(Definition{
			Name: "fuzz", Version: "1", Base: rules.BasicBase, Options: options[int(which)%len(options)],
			Overrides: []Override{
				{Tag: tag, Keyword: keyword, VR: vr, Creator: creator, Action: action, With: with, Pattern: pattern},
			},
		})
		if err != nil {
			return
		}
		once := applied(t, p, in)
		require.Equal(t, once, applied(t, p, in))
	})
}

// FuzzPseudonym: a pseudonym that is taken can stand in an object, and comes back from it.
func FuzzPseudonym(f *testing.F) {
	for _, text := range []string{"P-1", "Jürgen", "a^b", `a\b`, " a", "*", strings.Repeat("x", 65), "\u202e", "山田"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if CheckPseudonym(text) != nil {
			return
		}
		var d stream.DataSet
		require.NoError(t, d.SetCharset("ISO_IR 192"))
		d.Set(dict.PatientID, text)
		b, err := d.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		again, err := stream.ParseDataSet(b, dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err)
		require.Equal(t, []string{text}, again.Strings(dict.PatientID))
	})
}
