// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// tellable is an instance with something for each way that an element may take: all of it is to be told.
func tellable() *stream.DataSet {
	d := sample()
	bytesOf := func(tag dict.Tag, vr dict.VR, text string) { d.SetBytes(tag, vr, []byte(text)) }
	d.SetInt(dict.NewTag(0x0010, 0x0000), 4) // a group length that is wrong, and stays so
	d.SetInt(dict.NewTag(0x0019, 0x0000), 4) // one whose group goes
	bytesOf(dict.NewTag(0x0018, 0x0000), dict.LO, "Meier in a length")
	bytesOf(dict.NewTag(0x0019, 0x0010), dict.LO, "ACME PRIVATE")
	bytesOf(dict.NewTag(0x0019, 0x1001), dict.LO, "Meier ")
	bytesOf(dict.NewTag(0x2001, 0x0010), dict.LO, "Philips Imaging DD 001")
	bytesOf(dict.NewTag(0x2001, 0x1003), dict.FL, "\x00\x00\x80\x3f")
	bytesOf(dict.NewTag(0x2001, 0x0011), dict.LO, "Meier's block ")
	item := func(name string) *stream.DataSet {
		var i stream.DataSet
		i.Set(dict.ReferencedSOPClassUID, dict.CTImageStorage)
		i.Set(dict.ReferencedSOPInstanceUID, "1.2.3.4")
		i.Set(dict.PersonName, name)
		return &i
	}
	d.SetSequence(dict.ContentSequence, item("Meier^A"), item("Meier^B"), item("Meier^C")) // D: one item stays
	d.SetSequence(dict.ReferencedImageSequence, item("Meier^D"), item("Meier^E"))
	method := &stream.DataSet{}
	method.Set(dict.CodeValue, "113107")
	method.Set(dict.CodingSchemeDesignator, "DCM")
	d.SetSequence(dict.DeidentificationMethodCodeSequence, method)
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
	bytesOf(dict.NewTag(0x7FE1, 0x0010), dict.LO, "ACME BEHIND ")
	bytesOf(dict.NewTag(0x7FE1, 0x1001), dict.LO, "Meier^F ")
	d.SetSequence(dict.NewTag(0x7FE3, 0x1001), item("Meier^G"))
	d.SetSequence(dict.DigitalSignaturesSequence, item("Meier^H"))
	bytesOf(dict.DataSetTrailingPadding, dict.OB, "Meier is in here")
	return d
}

// paths walks a data set as Explained.Path does.
func paths(d *stream.DataSet, before string, into map[string]bool) map[string]bool {
	for e := range d.All() {
		into[before+e.Tag.String()] = true
		for i, item := range e.Items {
			paths(item, fmt.Sprintf("%s%s[%d] ", before, e.Tag, i+1), into)
		}
	}
	return into
}

// TestExplainTellsAll: each attribute of what comes in is told, and each of what goes out; what is said to be gone is,
// and the report counts what the list shows.
func TestExplainTellsAll(t *testing.T) {
	for _, c := range []struct {
		name, pseudonym string
		pixels          bool
	}{
		{"plain", "SUBJ-001", true},
		{"moved to UTF-8", "Jürgen", true},
		{"no pixel data", "SUBJ-001", false},
	} {
		for _, syntax := range []string{
			dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
			dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
		} {
			for _, profile := range []string{DefaultProfile, "ps3.15-basic", "adit"} {
				t.Run(strings.Join([]string{c.name, syntax, profile}, "/"), func(t *testing.T) {
					d := tellable()
					if !c.pixels {
						d.Remove(dict.PixelData)
					}
					in, err := d.Encode(syntax)
					require.NoError(t, err)
					p, _ := BuiltinProfile(profile)
					sub := subject()
					sub.Pseudonym = c.pseudonym
					s, err := p.Session(sub)
					require.NoError(t, err)
					out, report, err := deidentify(t, s, in, syntax)
					require.NoError(t, err)
					o, err := stream.Open(bytes.NewReader(in), syntax, stream.Limits{})
					require.NoError(t, err)
					defer o.Close()
					list, _, err := s.Explain(o)
					require.NoError(t, err)

					var counts [rules.Actions]int
					told := map[string]Explained{}
					for _, x := range list {
						counts[x.Action]++
						path := strings.ReplaceAll(x.Path, "[new]", "[1]") // of (0012,0064)
						if _, twice := told[path]; !twice || x.Action != Remove {
							told[path] = x
						}
					}
					require.Equal(t, report.Counts, counts)
					got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
					require.NoError(t, err)
					sent := map[string]bool{}
					for path := range paths(got, "", map[string]bool{}) {
						if method := dict.DeidentificationMethodCodeSequence.String() +
							"["; strings.HasPrefix(path, method) {
							path = method + "1" + path[len(method)+1:]
						}
						sent[path] = true
						require.Contains(t, told, path, "is sent")
						require.NotEqual(t, Remove, told[path].Action, path)
					}
					for path, x := range told {
						require.True(
							t, x.Action == Remove || sent[path], "%s is not sent, but told as %s", path, x.Action,
						)
					}
					for path := range paths(d, "", map[string]bool{}) {
						outer := path[:strings.LastIndex(path, " ")+1]
						if outer != "" {
							outer = outer[:strings.LastIndex(outer, "[")]
						}
						if x, ok := told[outer]; ok && (x.Action == Remove || x.Action == Empty) {
							continue // the sequence goes as a whole
						}
						require.Contains(t, told, path, "came in")
					}
					require.NotContains(t, string(out), "Meier")
					behind := 0
					if c.pixels {
						behind = 5
						require.Equal(t, "8 bytes", told["(7FE1,1001)"].Before)
						require.Equal(t, "4 bytes", told["(7FE0,0010)"].After)
					}
					require.Equal(t, behind, report.Behind)
				})
			}
		}
	}
}

// TestExplainFailsAsRewrite: what Rewrite or reading refuses, Explain refuses by the same words, with what was told
// before.
func TestExplainFailsAsRewrite(t *testing.T) {
	pixels := func(d *stream.DataSet) { d.SetBytes(dict.PixelData, dict.OW, make([]byte, 64)) }
	for name, c := range map[string]struct {
		edit func(d *stream.DataSet)
		cut  int
		want string
	}{
		"other patient": {edit: func(d *stream.DataSet) { d.Set(dict.PatientID, "another") }, want: "another patient"},
		"burned in":     {edit: func(d *stream.DataSet) { d.Set(dict.BurnedInAnnotation, "YES") }, want: "text burned in"},
		"undecodable":   {edit: func(d *stream.DataSet) { d.SetBytes(dict.Manufacturer, dict.LO, []byte("M\xfcller")) }, want: "(0008,0070)"},
		"cut off":       {edit: pixels, cut: 16, want: "truncated"},
		"behind pixels": {edit: func(d *stream.DataSet) {
			pixels(d)
			d.SetSequence(dict.NewTag(0xFFFA, 0xFFF8))
			d.Set(dict.NewTag(0x7FE2, 0x0010), "x")
		}, want: ""},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			c.edit(d)
			in, err := d.Encode(dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			in = in[:len(in)-c.cut]
			_, _, want := deidentify(t, session(t, DefaultProfile), in, dict.ExplicitVRLittleEndian)
			o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
			require.NoError(t, err)
			defer o.Close()
			_, _, got := session(t, DefaultProfile).Explain(o)
			if want == nil {
				require.NoError(t, got)
				return
			}
			require.EqualError(t, got, want.Error())
			require.ErrorContains(t, got, c.want)
		})
	}
}

// TestExplainNumbers: binary values are shown as numbers, in the byte order in which they came.
func TestExplainNumbers(t *testing.T) {
	d := sample()
	d.SetInt(dict.Rows, 512)
	d.SetInt(dict.NewTag(0x0028, 0x0106), 40000)                                 // US or SS
	d.SetVR(dict.NewTag(0x0028, 0x0107), dict.SS, "-2")                          // the same, as SS
	d.SetVR(dict.NewTag(0x0018, 0x9073), dict.FD, "1.5")                         // FD
	d.SetVR(dict.NewTag(0x0018, 0x605A), dict.FL, "0.25")                        // FL
	d.SetVR(dict.NewTag(0x0018, 0x6020), dict.SL, "-70000")                      // SL
	d.SetVR(dict.NewTag(0x0028, 0x0009), dict.AT, "(0018,1063)")                 // AT
	d.SetVR(dict.NewTag(0x0018, 0x9219), dict.SS, strings.Split("-1,2", ",")...) // two
	var item stream.DataSet
	item.SetInt(dict.ReferencedFrameNumber, 3)
	item.SetVR(dict.NewTag(0x0028, 0x0010), dict.US, "258")
	d.SetSequence(dict.ReferencedImageSequence, &item)
	d.SetBytes(dict.RedPaletteColorLookupTableData, dict.OW, []byte{1, 2})
	want := map[string]string{
		"(0028,0010)": "512", "(0028,0106)": "40000", "(0028,0107)": "-2",
		"(0018,9073)": "1.5", "(0018,605A)": "0.25", "(0018,6020)": "-70000",
		"(0028,0009)": "(0018,1063)", "(0018,9219)": `-1\2`, "(0008,1140)[1] (0028,0010)": "258",
	}
	for _, syntax := range []string{
		dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		in, err := d.Encode(syntax)
		require.NoError(t, err)
		o, err := stream.Open(bytes.NewReader(in), syntax, stream.Limits{})
		require.NoError(t, err)
		list, _, err := session(t, DefaultProfile).Explain(o)
		require.NoError(t, err)
		require.NoError(t, o.Close())
		left := maps.Clone(want)
		for _, x := range list {
			// whose sign is lost there
			if text, ok := want[x.Path]; ok && !(syntax == dict.ImplicitVRLittleEndian && x.Path == "(0028,0107)") {
				require.Equal(t, text, x.Before, "%s in %s", x.Path, syntax)
				require.True(t, x.Action == Remove || x.Action == Empty ||
					x.After == text, "%s in %s: %s", x.Path, syntax, x.After)
			}
			delete(left, x.Path)
		}
		require.Empty(t, slices.Collect(maps.Keys(left)), syntax)
	}
}

// TestExplainLead: preamble and file meta information are shown, with what is private in them.
func TestExplainLead(t *testing.T) {
	enc := stream.EncodingOf(dict.TransferSyntaxOf(dict.ExplicitVRLittleEndian))
	lead := append([]byte("Meier in the preamble"), make([]byte, 107)...)
	lead = append(lead, "DICM"...)
	for _, e := range []struct {
		tag   dict.Tag
		vr    dict.VR
		value string
	}{
		{dict.MediaStorageSOPClassUID, dict.UI, dict.CTImageStorage + "\x00"},
		{dict.MediaStorageSOPInstanceUID, dict.UI, "1.2.3.4\x00"},
		{dict.TransferSyntaxUID, dict.UI, dict.ExplicitVRLittleEndian + "\x00"},
		{dict.NewTag(2, 0x16), dict.AE, "MEIER-CT"},
		{dict.NewTag(2, 0x102), dict.OB, "Meier's own"[:10]},
	} {
		lead = append(enc.AppendHead(lead, e.tag, e.vr, uint32(len(e.value))), e.value...)
	}
	lead = append(lead, "\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"...)
	var got strings.Builder
	for _, x := range ExplainLead(lead, stream.FileMeta{
		MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: "2.25.7",
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}) {
		fmt.Fprintf(&got, "%s %s %q %q\n", x.Path, x.Action, x.Before, x.After)
	}
	require.Equal(t, `preamble replace "128 bytes" "128 null bytes"
(0002,0000) assign "" "154"
(0002,0001) assign "" "00 01"
(0002,0002) keep "1.2.840.10008.5.1.4.1.1.2" "1.2.840.10008.5.1.4.1.1.2"
(0002,0003) uid "1.2.3.4" "2.25.7"
(0002,0010) keep "1.2.840.10008.1.2.1" "1.2.840.10008.1.2.1"
(0002,0012) assign "" "`+stream.ImplementationClassUID+`"
(0002,0013) assign "" "ADIT"
(0002,0016) remove "MEIER-CT" ""
(0002,0102) remove "4D 65 69 65 72 27 73 20 6F 77" ""
`, got.String())
	require.NotEmpty(t, ExplainLead(nil, stream.FileMeta{}), "whatever a file begins with")
}

// TestReportIsCompleteAtTheEnd: what stands behind the pixel data is counted when it has passed, once.
func TestReportIsCompleteAtTheEnd(t *testing.T) {
	in, err := tellable().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	o, err := stream.Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	report, err := session(t, DefaultProfile).Rewrite(o)
	require.NoError(t, err)
	require.Zero(t, report.Behind)
	header := report.Count(Remove)
	_, err = io.Copy(io.Discard, o)
	require.NoError(t, err)
	require.Equal(t, 5, report.Behind)
	require.Equal(t, header+5, report.Count(Remove))
}
