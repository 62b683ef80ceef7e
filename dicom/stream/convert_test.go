// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

var targetSyntaxes = []string{
	dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian,
}

// convert passes a data set as a transfer to a destination that takes another syntax does.
func convert(r io.Reader, from, to string) ([]byte, error) {
	o, err := Open(r, from, Limits{})
	if err != nil {
		return nil, err
	}
	defer o.Close()
	if err := o.ConvertTo(to); err != nil {
		return nil, err
	}
	return io.ReadAll(o)
}

func mustConvert(t testing.TB, b []byte, from, to string) []byte {
	t.Helper()
	out, err := convert(bytes.NewReader(b), from, to)
	require.NoError(t, err)
	return out
}

func mustParse(t testing.TB, b []byte, syntax string) *DataSet {
	t.Helper()
	d, err := ParseDataSet(b, syntax, Limits{Header: 64 << 20})
	require.NoError(t, err)
	return d
}

// sameValues holds two data sets against each other, by tag and value. VRs may differ: implicit VR has none. Group
// lengths depend on the encoding.
func sameValues(t testing.TB, want, got *DataSet) {
	t.Helper()
	list := func(d *DataSet) []Element {
		return slices.DeleteFunc(slices.Clone(d.elems), func(e Element) bool { return e.Tag.IsGroupLength() })
	}
	a, b := list(want), list(got)
	require.Len(t, b, len(a), "number of elements")
	for i := range a {
		require.Equal(t, a[i].Tag, b[i].Tag)
		if a[i].VR != dict.SQ && b[i].VR != dict.SQ {
			x, y := a[i].Value, b[i].Value
			if len(x) == len(y)+1 && len(y)%2 == 1 {
				y = append(bytes.Clone(y), 0) // DCMTK pads what we leave odd
			}
			require.True(t, bytes.Equal(x, y), "%s: % X became % X", a[i].Tag, head40(x), head40(y))
			continue
		}
		x, y := itemsOf(t, a[i]), itemsOf(t, b[i])
		require.Len(t, y, len(x), "items of %s", a[i].Tag)
		for j := range x {
			sameValues(t, x[j], y[j])
		}
	}
}

func head40(b []byte) []byte { return b[:min(len(b), 40)] }

// itemsOf returns the items of a sequence, also of one that is held as UN.
func itemsOf(t testing.TB, e Element) []*DataSet {
	t.Helper()
	if e.VR == dict.SQ {
		return e.Items
	}
	b := syntax{implicit: true}.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, uint32(len(e.Value)))
	return mustParse(t, append(b, e.Value...), dict.ImplicitVRLittleEndian).Items(dict.ReferencedImageSequence)
}

func TestCanConvert(t *testing.T) {
	for _, to := range targetSyntaxes {
		for _, from := range plainSyntaxes {
			require.True(t, CanConvert(from, to))
		}
		for _, from := range []string{
			dict.JPEG2000, dict.RLELossless, dict.JPIPReferencedDeflate,
			dict.Papyrus3ImplicitVRLittleEndian, "1.2.840.113619.5.2", "1.2.3",
		} {
			require.False(t, CanConvert(from, to))
			require.True(t, CanConvert(from, from))
		}
	}
	require.False(t, CanConvert(dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian))
	require.False(t, CanConvert(dict.ExplicitVRLittleEndian, dict.JPEG2000))
}

// convertible leaves out the many images alike that belong to the corpus's DICOMDIRs.
func convertible(f corpusFile) bool {
	return f.pass && CanConvert(f.syntax, dict.ImplicitVRLittleEndian) && !ofASeries.MatchString(f.path)
}

var ofASeries = regexp.MustCompile(`dicomdirtests/\d`)

// TestConvertCorpus converts every file with uncompressed pixel data to every target and back, and compares by value.
func TestConvertCorpus(t *testing.T) {
	count := 0
	for _, f := range corpus(t) {
		if !convertible(f) {
			continue
		}
		want := mustParse(t, f.dataSet, f.syntax)
		for _, to := range targetSyntaxes {
			t.Run(f.path+" to "+dict.UIDName(to), func(t *testing.T) {
				out := mustConvert(t, f.dataSet, f.syntax, to)
				sameValues(t, want, mustParse(t, out, to))
				again := mustConvert(t, out, to, to)
				require.True(t, bytes.Equal(out, again))
				for _, back := range targetSyntaxes[:2] {
					sameValues(t, want, mustParse(t, mustConvert(t, out, to, back), back))
				}
				count++
			})
		}
	}
	require.Greater(t, count, 250)
}

// TestConvertPiecewise has the source give one byte at a time and the sink take few: the outcome is the same.
func TestConvertPiecewise(t *testing.T) {
	for _, f := range corpus(t) {
		if !convertible(f) || len(f.dataSet) > 10_000 {
			continue
		}
		for _, to := range targetSyntaxes {
			o, err := Open(&slowReader{b: f.dataSet}, f.syntax, Limits{})
			require.NoError(t, err, f.path)
			require.NoError(t, o.ConvertTo(to))
			out, err := io.ReadAll(iotest.OneByteReader(o))
			require.NoError(t, err, f.path)
			require.NoError(t, o.Close())
			require.True(t, bytes.Equal(mustConvert(t, f.dataSet, f.syntax, to), out), f.path)
		}
	}
}

// TestConvertTruncated: a cut object never passes for a whole one, converted or not.
func TestConvertTruncated(t *testing.T) {
	for _, from := range plainSyntaxes {
		in := withPixels(t, sample(), from, 1000)
		for _, to := range targetSyntaxes {
			for _, cut := range []int{len(in) - 1, len(in) - 9, len(in) - 500} {
				if cut > len(in)/2 && from != dict.DeflatedExplicitVRLittleEndian || cut == len(in)-9 {
					_, err := convert(bytes.NewReader(in[:cut]), from, to)
					require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s to %s, cut at %d", from, to, cut)
				}
			}
		}
	}
}

// TestConvertSecondOpinion has DCMTK convert the same files, and read ours.
func TestConvertSecondOpinion(t *testing.T) {
	dir := t.TempDir()
	dcmconv := func(t *testing.T, in, option string) (string, error) {
		out := filepath.Join(dir, "out.dcm")
		text, err := exec.Command("dcmconv", option, "+e", in, out).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, text)
		}
		return out, err
	}
	dataSet := func(t *testing.T, path string) *DataSet {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return mustParse(t, first(splitMeta(b)), second(splitMeta(b)))
	}
	var all []string // our files
	for _, f := range corpus(t) {
		if !convertible(f) || len(f.bytes) == len(f.dataSet) {
			continue
		}
		for option, to := range map[string]string{
			"+ti": dict.ImplicitVRLittleEndian, "+te": dict.ExplicitVRLittleEndian,
		} {
			if to == f.syntax {
				continue // it goes out as it came
			}
			t.Run(f.path+option, func(t *testing.T) {
				theirs, err := dcmconv(t, filepath.Join(corpusRoot(t), f.path), option)
				if err != nil {
					return // DCMTK refuses the original: no opinion
				}
				want := dataSet(t, theirs)
				ours := filepath.Join(dir, fmt.Sprintf("ours%d.dcm", len(all)))
				all = append(all, ours)
				meta := FileMeta{
					MediaStorageSOPClassUID:    dict.CTImageStorage,
					MediaStorageSOPInstanceUID: "1.2.3", TransferSyntaxUID: to,
				}
				require.NoError(t,
					os.WriteFile(ours, append(meta.AppendTo(nil), mustConvert(t, f.dataSet, f.syntax, to)...), 0o600),
				)
				sameValues(t, want, dataSet(t, ours))
			})
		}
	}
	t.Logf("%d conversions compared", len(all))
	require.Greater(t, len(all), 40)
	text, err := exec.Command("dcmdump", append([]string{"-q"}, all...)...).CombinedOutput()
	require.NoError(t, err, "DCMTK can't read one of ours: %s", text[max(0, len(text)-500):])
}

func first(b []byte, _ string) []byte  { return b }
func second(_ []byte, s string) string { return s }

// encode makes a data set by hand, element by element.
type encode struct {
	syntax
	b []byte
}

func (e *encode) put(tag dict.Tag, vr dict.VR, value ...byte) *encode {
	e.b = append(e.appendHead(e.b, tag, vr, uint32(len(value))), value...)
	return e
}

func (e *encode) open(tag dict.Tag, vr dict.VR) *encode {
	e.b = e.appendHead(e.b, tag, vr, undefined)
	return e
}

func (e *encode) end(tag dict.Tag) *encode {
	e.b = e.appendHead(e.b, tag, 0, 0)
	return e
}

var (
	implicitLE = syntax{implicit: true}
	explicitLE = syntax{}
	explicitBE = syntax{big: true}
)

func TestConvertElements(t *testing.T) {
	long := bytes.Repeat([]byte{'7', ' '}, maxShort/2+1)
	for _, c := range []struct {
		name     string
		in, want *encode
		from, to string
	}{
		{
			"US or SS without Pixel Representation",
			(&encode{syntax: implicitLE}).put(dict.SmallestImagePixelValue, 0, 1, 0xFF),
			(&encode{syntax: explicitLE}).put(dict.SmallestImagePixelValue, dict.US, 1, 0xFF),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"US or SS, signed, before and behind Pixel Representation",
			(&encode{syntax: implicitLE}).put(dict.ZeroVelocityPixelValue, 0, 1, 0xFF).
				put(dict.PixelRepresentation, 0, 1, 0).put(dict.SmallestImagePixelValue, 0, 1, 0xFF),
			(&encode{syntax: explicitLE}).put(dict.ZeroVelocityPixelValue, dict.SS, 1, 0xFF).
				put(dict.PixelRepresentation, dict.US, 1, 0).put(dict.SmallestImagePixelValue, dict.SS, 1, 0xFF),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"an icon has its own Pixel Representation",
			(&encode{syntax: implicitLE}).put(dict.PixelRepresentation, 0, 1, 0).
				open(dict.IconImageSequence, 0).open(dict.ItemTag, 0).
				put(dict.PixelRepresentation, 0, 0, 0).put(dict.SmallestImagePixelValue, 0, 1, 0xFF).
				end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag),
			(&encode{syntax: explicitLE}).put(dict.PixelRepresentation, dict.US, 1, 0).
				open(dict.IconImageSequence, dict.SQ).open(dict.ItemTag, 0).
				put(dict.PixelRepresentation, dict.US, 0, 0).put(dict.SmallestImagePixelValue, dict.US, 1, 0xFF).
				end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"private and unknown",
			(&encode{syntax: implicitLE}).put(0x00090010, 0, 'A', ' ').put(0x00091001, 0, 1, 2).put(0x00101234, 0),
			(&encode{syntax: explicitLE}).put(0x00090010, dict.LO, 'A', ' ').
				put(0x00091001, dict.UN, 1, 2).put(0x00101234, dict.UN),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"too long for the VR",
			(&encode{syntax: implicitLE}).put(dict.ImageComments, 0, long...).put(dict.LUTData, 0, long...),
			(&encode{syntax: explicitLE}).put(dict.ImageComments, dict.UN, long...).put(dict.LUTData, dict.OW, long...),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"a private sequence of undefined length stays in implicit VR (CP-246)",
			(&encode{syntax: implicitLE}).open(0x00091010, 0).open(dict.ItemTag, 0).put(dict.PatientID, 0, '1', '2').
				end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag).put(dict.PatientID, 0, '3', ' '),
			func() *encode {
				e := &encode{syntax: explicitLE}
				e.open(0x00091010, dict.UN)
				inner := (&encode{syntax: implicitLE}).open(dict.ItemTag, 0).put(dict.PatientID, 0, '1', '2').
					end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag)
				e.b = append(e.b, inner.b...)
				return e.put(dict.PatientID, dict.LO, '3', ' ')
			}(),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"a private sequence in explicit VR can still be told in implicit VR",
			(&encode{syntax: explicitLE}).put(0x00091010, dict.SQ, (&encode{syntax: explicitLE}).put(
				dict.ItemTag, 0, (&encode{syntax: explicitLE}).put(dict.PatientID, dict.LO, '1', '2').b...,
			).b...),
			(&encode{syntax: implicitLE}).open(0x00091010, 0).
				put(dict.ItemTag, 0, (&encode{syntax: implicitLE}).put(dict.PatientID, 0, '1', '2').b...).
				end(dict.SequenceDelimitationTag),
			dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		},
		{
			"lengths are written anew at every depth",
			(&encode{syntax: implicitLE}).put(dict.ReferencedStudySequence, 0, (&encode{syntax: implicitLE}).put(
				dict.ItemTag, 0,
				(&encode{syntax: implicitLE}).put(
					dict.PurposeOfReferenceCodeSequence, 0,
					(&encode{syntax: implicitLE}).put(dict.ItemTag, 0).put(
						dict.ItemTag, 0, (&encode{syntax: implicitLE}).put(dict.TextValue, 0, 'x', ' ').b...,
					).b...,
				).b...,
			).b...),
			(&encode{syntax: explicitLE}).put(dict.ReferencedStudySequence, dict.SQ, (&encode{syntax: explicitLE}).put(
				dict.ItemTag, 0,
				(&encode{syntax: explicitLE}).put(
					dict.PurposeOfReferenceCodeSequence, dict.SQ,
					(&encode{syntax: explicitLE}).put(dict.ItemTag, 0).put(
						dict.ItemTag, 0, (&encode{syntax: explicitLE}).put(dict.TextValue, dict.UT, 'x', ' ').b...,
					).b...,
				).b...,
			).b...),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"UN of a sequence that the dictionary knows",
			(&encode{syntax: explicitLE}).put(
				dict.ReferencedImageSequence, dict.UN, (&encode{syntax: implicitLE}).put(dict.ItemTag, 0).b...,
			),
			(&encode{syntax: implicitLE}).put(
				dict.ReferencedImageSequence, 0, (&encode{syntax: implicitLE}).put(dict.ItemTag, 0).b...,
			),
			dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		},
		{
			"group lengths, that of the body's group apart",
			(&encode{syntax: implicitLE}).put(0x00080000, 0, 9, 9, 0, 0).put(dict.Modality, 0, 'C', 'T').
				put(dict.EncapsulatedDocument&0xFFFF0000, 0, 10, 0, 0, 0).put(dict.EncapsulatedDocument, 0, 1, 2).
				put(0x7FE00000, 0, 10, 0, 0, 0).put(dict.PixelData, 0, 1, 2),
			(&encode{syntax: explicitLE}).put(0x00080000, dict.UL, 10, 0, 0, 0).put(dict.Modality, dict.CS, 'C', 'T').
				put(dict.EncapsulatedDocument&0xFFFF0000, dict.UL, 14, 0, 0, 0).
				put(dict.EncapsulatedDocument, dict.OB, 1, 2).put(dict.PixelData, dict.OW, 1, 2),
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"big endian by VR",
			(&encode{syntax: explicitBE}).put(dict.FrameIncrementPointer, dict.AT, 0, 0x18, 0x10, 0x63).
				put(dict.Rows, dict.US, 1, 2).
				put(0x00191001, dict.OF, 1, 2, 3, 4).put(0x00191002, dict.OL, 1, 2, 3, 4).put(
				0x00191003, dict.OD, 1, 2, 3, 4, 5, 6, 7, 8,
			).
				put(0x00191004, dict.UN, 1, 2).put(0x00191005, dict.OB, 1, 2).
				put(0x00191006, dict.SV, 1, 2, 3, 4, 5, 6, 7, 8).put(0x00191007, dict.UL, 1, 2, 3, 4, 5, 6).
				put(dict.PixelData, dict.OW, 1, 2, 3, 4),
			(&encode{syntax: explicitLE}).put(dict.FrameIncrementPointer, dict.AT, 0x18, 0, 0x63, 0x10).
				put(dict.Rows, dict.US, 2, 1).
				put(0x00191001, dict.OF, 4, 3, 2, 1).put(0x00191002, dict.OL, 4, 3, 2, 1).put(
				0x00191003, dict.OD, 8, 7, 6, 5, 4, 3, 2, 1,
			).
				put(0x00191004, dict.UN, 1, 2).put(0x00191005, dict.OB, 1, 2).
				put(0x00191006, dict.SV, 8, 7, 6, 5, 4, 3, 2, 1).put(0x00191007, dict.UL, 4, 3, 2, 1, 5, 6).
				put(dict.PixelData, dict.OW, 2, 1, 4, 3),
			dict.ExplicitVRBigEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"behind pixel data lengths aren't known",
			(&encode{syntax: explicitBE}).put(dict.PixelData, dict.OB, 1, 2).put(0xFFFA0000, dict.UL, 0, 0, 0, 20).
				put(dict.DigitalSignaturesSequence, dict.SQ, (&encode{syntax: explicitBE}).put(
					dict.ItemTag, 0, (&encode{syntax: explicitBE}).put(dict.MACIDNumber, dict.US, 0, 1).b...,
				).b...),
			(&encode{syntax: explicitLE}).put(dict.PixelData, dict.OB, 1, 2).
				open(dict.DigitalSignaturesSequence, dict.SQ).open(dict.ItemTag, 0).
				put(dict.MACIDNumber, dict.US, 1, 0).end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag),
			dict.ExplicitVRBigEndian, dict.ExplicitVRLittleEndian,
		},
		{
			"no VR",
			(&encode{syntax: explicitBE, b: []byte{0, 0x10, 0, 0x10, ' ', ' ', 0, 2, 'A', 'B'}}),
			(&encode{syntax: explicitLE}).put(dict.PatientName, dict.UN, 'A', 'B'),
			dict.ExplicitVRBigEndian, dict.ExplicitVRLittleEndian,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want.b, mustConvert(t, c.in.b, c.from, c.to))
			require.Equal(t, c.want.b, mustConvert(
				t, mustConvert(t, c.in.b, c.from, dict.DeflatedExplicitVRLittleEndian),
				dict.DeflatedExplicitVRLittleEndian, c.to,
			),
				"by way of deflated")
		})
	}
}

func TestConvertEdited(t *testing.T) {
	for _, from := range plainSyntaxes {
		for _, to := range targetSyntaxes {
			t.Run(dict.UIDName(from)+" to "+dict.UIDName(to), func(t *testing.T) {
				o, err := Open(bytes.NewReader(withPixels(t, sample(), from, 100_000)), from, Limits{})
				require.NoError(t, err)
				defer o.Close()
				require.NoError(t, o.ConvertTo(to))
				require.NoError(t, o.Header().SetText(dict.PatientName, "Ärztin"))
				require.NoError(t, o.Header().Set(dict.SeriesNumber, dict.IS, []byte("7")))
				require.NoError(t, o.Header().Remove(dict.PatientBirthDate))
				require.Equal(t, from, o.TransferSyntax().UID)
				var out bytes.Buffer
				_, err = o.WriteTo(&out)
				require.NoError(t, err)
				require.ErrorIs(t, o.ConvertTo(to), errReading)

				want := sample()
				want.Set(dict.PatientName, "Ärztin")
				want.Set(dict.SeriesNumber, "7")
				want.Remove(dict.PatientBirthDate)
				if from == dict.ImplicitVRLittleEndian {
					want.SetVR(0x00191001, dict.UN, "odd")
				}
				plain, err := want.Encode(to)
				require.NoError(t, err)
				got := out.Bytes()
				if to != dict.DeflatedExplicitVRLittleEndian {
					require.True(t, bytes.HasPrefix(got, plain), "group length included")
				}
				sameValues(t, mustParse(t, withPixels(t, want, to, 100_000), to), mustParse(t, got, to))
			})
		}
	}
}

func TestConvertRefused(t *testing.T) {
	fragments := func(syn syntax, e *encode) []byte {
		e.b = append(syn.appendHead(e.b, dict.PixelData, dict.OB, undefined), syn.appendHead(
			syn.appendHead(nil, dict.ItemTag, 0, 0), dict.SequenceDelimitationTag, 0, 0,
		)...)
		return e.b
	}
	open := func(b []byte, syntax string) *Object {
		o, err := Open(bytes.NewReader(b), syntax, Limits{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = o.Close() })
		return o
	}
	compressed := fragments(explicitLE, &encode{})
	require.ErrorIs(t, open(compressed, dict.JPEG2000).ConvertTo(dict.ExplicitVRLittleEndian), ErrEncapsulated)
	require.NoError(t, open(compressed, dict.JPEG2000).ConvertTo(dict.JPEG2000))
	require.ErrorIs(
		t, open(compressed, dict.ExplicitVRLittleEndian).ConvertTo(dict.ImplicitVRLittleEndian),
		ErrEncapsulated, "its syntax lies",
	)
	require.ErrorIs(t, open(nil, dict.ExplicitVRLittleEndian).ConvertTo(dict.JPEG2000), ErrNoConversion)
	require.ErrorIs(t, open(nil, "1.2.3").ConvertTo(dict.ExplicitVRLittleEndian), ErrNoConversion)
	closed := open(nil, dict.ExplicitVRLittleEndian)
	require.NoError(t, closed.Close())
	require.ErrorIs(t, closed.ConvertTo(dict.ImplicitVRLittleEndian), ErrClosed)

	icon := (&encode{}).open(dict.IconImageSequence, dict.SQ).open(dict.ItemTag, 0)
	fragments(explicitLE, icon)
	icon.end(dict.ItemDelimitationTag).end(dict.SequenceDelimitationTag)
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"a compressed icon":           {icon.b, ErrEncapsulated},
		"text where a sequence is":    {(&encode{}).put(dict.ReferencedImageSequence, dict.LO, 'x', 'y').b, ErrMalformed},
		"UN that holds no sequence":   {(&encode{}).put(dict.ReferencedImageSequence, dict.UN, 1, 2, 3, 4, 5, 6, 7, 8).b, ErrMalformed},
		"a sequence named pixel data": {(&encode{}).put(dict.PixelData, dict.SQ).b, ErrMalformed},
		"a cut sequence by an edit":   {nil, io.ErrUnexpectedEOF},
	} {
		o := open(c.in, dict.ExplicitVRLittleEndian)
		require.NoError(t, o.ConvertTo(dict.ImplicitVRLittleEndian))
		if c.in == nil {
			require.NoError(t, o.Header().Set(
				dict.ReferencedImageSequence, dict.SQ, []byte{0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF},
			))
		}
		_, err := io.ReadAll(o)
		require.ErrorIs(t, err, c.want, name)
		_, err = o.Read(make([]byte, 1))
		require.ErrorIs(t, err, c.want, name)
	}
}

// TestConvertStreams converts 16 MB of pixel data within the memory of a few buffers.
func TestConvertStreams(t *testing.T) {
	const size = 16 << 20
	for _, from := range []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian} {
		for _, to := range []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian} {
			syn := syntaxOf(dict.TransferSyntaxOf(from))
			begin := syn.appendHead(
				(&encode{syntax: syn}).put(dict.Modality, dict.CS, 'M', 'R').b, dict.PixelData, dict.OW, size,
			)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			o, err := Open(io.MultiReader(bytes.NewReader(begin), io.LimitReader(zeros{}, size)), from, Limits{})
			require.NoError(t, err)
			require.NoError(t, o.ConvertTo(to))
			n, err := io.Copy(io.Discard, o)
			require.NoError(t, err)
			require.NoError(t, o.Close())
			runtime.ReadMemStats(&after)
			require.GreaterOrEqual(t, n, int64(size))
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2<<20), "%s to %s", from, to)
		}
	}
}

func TestConvertEmptyReads(t *testing.T) {
	in := withPixels(t, sample(), dict.ExplicitVRBigEndian, 1000)
	for _, to := range targetSyntaxes {
		_, err := convert(io.MultiReader(bytes.NewReader(in), idle{}), dict.ExplicitVRBigEndian, to)
		require.ErrorIs(t, err, io.ErrNoProgress, to)
	}
}

// idle gives nothing for ever.
type idle struct{}

func (idle) Read([]byte) (int, error) { return 0, nil }

func TestSwap(t *testing.T) {
	for _, width := range []int{1, 2, 4, 8} {
		for n := range 40 {
			b := make([]byte, n)
			want := make([]byte, n)
			for i := range b {
				b[i], want[i] = byte(i), byte(i)
			}
			for at := 0; at+width <= n; at += width {
				slices.Reverse(want[at : at+width])
			}
			swap(b, width)
			require.Equal(t, want, b, "%d bytes, %d wide", n, width)
		}
	}
}
