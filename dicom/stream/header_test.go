// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

var plainSyntaxes = []string{
	dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
	dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
}

// sample is a data set with a group length, a sequence and a private block, before pixel data.
func sample() *DataSet {
	item := &DataSet{}
	item.Set(dict.ReferencedSOPClassUID, dict.CTImageStorage)
	item.Set(dict.ReferencedSOPInstanceUID, "1.2.3.4.5")
	d := &DataSet{}
	_ = d.SetCharset(charset.Latin1)
	d.Set(dict.SOPClassUID, dict.CTImageStorage)
	d.Set(dict.SOPInstanceUID, "1.2.3.4")
	d.Set(dict.Modality, "CT")
	d.SetSequence(dict.ReferencedImageSequence, item)
	d.Put(Element{Tag: 0x00100000, VR: dict.UL, Value: make([]byte, 4)})
	d.Set(dict.PatientName, "Müller^Jürgen")
	d.Set(dict.PatientID, "4711")
	d.Set(dict.PatientBirthDate, "19700101")
	d.SetVR(0x00190010, dict.LO, "ADIT TEST")
	d.SetVR(0x00191001, dict.UN, "odd")
	d.SetInt(dict.Rows, 2)
	d.SetInt(dict.Columns, 2)
	return d
}

func withPixels(t testing.TB, d *DataSet, syntax string, n int) []byte {
	t.Helper()
	pixels := make([]byte, n)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	d.SetBytes(dict.PixelData, dict.OW, pixels)
	b, err := d.Encode(syntax)
	require.NoError(t, err)
	return b
}

func TestEdit(t *testing.T) {
	for _, syntax := range plainSyntaxes {
		t.Run(dict.UIDName(syntax), func(t *testing.T) {
			in := withPixels(t, sample(), syntax, 100_000)
			o, err := Open(bytes.NewReader(in), syntax, Limits{})
			require.NoError(t, err)
			defer o.Close()
			h := o.Header()
			require.Equal(t, "Müller^Jürgen", h.Text(dict.PatientName))
			require.Equal(t, dict.CTImageStorage, h.SOPClassUID())
			require.Equal(t, "1.2.3.4", h.SOPInstanceUID())

			require.NoError(t, h.SetText(dict.PatientName, "Ärztin"))
			require.NoError(t, h.Set(dict.PatientID, dict.LO, []byte("first")))
			require.NoError(t, h.Set(dict.PatientID, dict.LO, []byte("P-1")))             // replaces the edit
			require.NoError(t, h.Set(dict.ClinicalTrialProtocolID, dict.LO, []byte("A"))) // added in between
			require.NoError(t, h.Remove(dict.PatientBirthDate))
			require.NoError(t, h.Remove(dict.PatientSex)) // was never there
			require.Equal(t, "P-1", h.Text(dict.PatientID))
			_, has := h.Get(dict.PatientBirthDate)
			require.False(t, has)
			require.ErrorIs(t, h.Set(0xFFFCFFFC, dict.OB, nil), errBehind)
			require.ErrorIs(t, h.Remove(dict.PixelData), errBehind)
			require.ErrorIs(t, h.SetText(dict.PatientComments, "語"), charset.ErrNotRepresentable)

			out, err := io.ReadAll(o)
			require.NoError(t, err)
			require.ErrorIs(t, h.Remove(dict.PatientID), errReading)
			require.Zero(t, len(out)%2)

			want := sample()
			want.Set(dict.PatientName, "Ärztin")
			want.Set(dict.PatientID, "P-1")
			want.Set(dict.ClinicalTrialProtocolID, "A")
			want.Remove(dict.PatientBirthDate)
			require.Equal(t, withPixels(t, want, syntax, 100_000), out) // group length included
		})
	}
}

func TestClosed(t *testing.T) {
	in := withPixels(t, sample(), dict.ExplicitVRLittleEndian, 100)
	o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	h := o.Header()
	require.NoError(t, o.Close())
	require.NoError(t, o.Close())
	require.Empty(t, h.SOPInstanceUID())
	require.ErrorIs(t, h.Set(dict.PatientID, dict.LO, nil), ErrClosed)
	require.ErrorIs(t, h.SetText(dict.PatientID, "x"), ErrClosed)
	require.ErrorIs(t, h.Remove(dict.PatientID), ErrClosed)
	_, err = o.WriteTo(io.Discard)
	require.ErrorIs(t, err, ErrClosed)
}

// TestPool has objects in parallel share the pool; under -race it shows that no two have the same memory.
func TestPool(t *testing.T) {
	for g := range 4 {
		id := fmt.Sprintf("P-%d", g)
		t.Run(id, func(t *testing.T) {
			t.Parallel()
			for range 50 {
				out := edited(t, string(withPixels(t, sample(), dict.JPEGBaseline8Bit, 1000)), func(h *Header) {
					require.NoError(t, h.SetText(dict.PatientID, id))
				})
				d, err := ParseDataSet([]byte(out), dict.JPEGBaseline8Bit, Limits{})
				require.NoError(t, err)
				require.Equal(t, id, d.String(dict.PatientID))
			}
		})
	}
}

// TestEditKeepsBytes edits beside what an encoder of ours would never write: odd lengths, null padding in text, a
// private sequence of undefined length as UN, unsorted tags, a tag that occurs twice.
func TestEditKeepsBytes(t *testing.T) {
	part := func(tag dict.Tag, vr dict.VR, length uint32, value string) string {
		return string(syntax{}.appendHead(nil, tag, vr, length)) + value
	}
	uid := part(dict.SOPInstanceUID, dict.UI, 4, "1.2\x00")
	name := part(dict.PatientName, dict.PN, 5, "A^B\x00 ")
	un := part(0x00091010, dict.UN, undefined, "\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"+
		"\x08\x00\x60\x00\x02\x00\x00\x00CT"+ // implicit inside (CP-246)
		"\xFE\xFF\x0D\xE0\x00\x00\x00\x00"+"\xFE\xFF\xDD\xE0\x00\x00\x00\x00")
	blank := part(0x00091011, blankVR, 2, "xx")
	blank = strings.Replace(blank, "UN\x00\x00\x02\x00\x00\x00", "  \x02\x00", 1)
	id := part(dict.PatientID, dict.LO, 2, "1 ")
	again := part(dict.PatientID, dict.LO, 2, "2 ")
	pixels := part(
		dict.PixelData, dict.OB, undefined,
		"\xFE\xFF\x00\xE0\x00\x00\x00\x00"+"\xFE\xFF\x00\xE0\x02\x00\x00\x00px"+
			"\xFE\xFF\xDD\xE0\x00\x00\x00\x00"+part(0xFFFCFFFC, dict.OB, 2, "\x00\x00"),
	)

	t.Run("sorted", func(t *testing.T) {
		out := edited(t, uid+un+blank+name+id+again+pixels, func(h *Header) {
			require.NoError(t, h.Set(dict.PatientID, dict.LO, []byte("new")))
		})
		require.Equal(t, uid+un+blank+name+part(dict.PatientID, dict.LO, 4, "new ")+pixels, out)
	})
	t.Run("unsorted", func(t *testing.T) {
		in := id + name + uid + again + pixels
		require.Equal(t, in, edited(t, in, func(*Header) {}))
		out := edited(t, in, func(h *Header) { require.NoError(t, h.Remove(dict.PatientID)) })
		require.Equal(t, uid+name+pixels, out) // both are gone, the rest in order
	})
}

func edited(t *testing.T, in string, edit func(*Header)) string {
	t.Helper()
	o, err := Open(strings.NewReader(in), dict.JPEGBaseline8Bit, Limits{})
	require.NoError(t, err)
	defer o.Close()
	edit(o.Header())
	var out bytes.Buffer
	n, err := o.WriteTo(&out)
	require.NoError(t, err)
	require.EqualValues(t, out.Len(), n)
	return out.String()
}

func TestLongTextBecomesUN(t *testing.T) {
	in, err := sample().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	out := edited(t, string(in), func(h *Header) {
		require.NoError(t, h.Set(dict.PatientComments, dict.LT, make([]byte, 70_000)))
	})
	d, err := ParseDataSet([]byte(out), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	e, ok := d.Get(dict.PatientComments)
	require.True(t, ok)
	require.Equal(t, dict.UN, e.VR)
	require.Len(t, e.Value, 70_000)
}

// TestHeaderLimit: what passes the limit, be it many elements or one large value, goes through as body.
func TestHeaderLimit(t *testing.T) {
	lim := Limits{Header: 64 << 10}
	many := &DataSet{}
	for i := range 2000 {
		many.SetVR(dict.NewTag(0x0011, uint16(0x1000+i)), dict.LO, strings.Repeat("x", 40))
	}
	b, err := many.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	o, err := Open(bytes.NewReader(b), dict.ExplicitVRLittleEndian, lim)
	require.NoError(t, err)
	first, ok := o.Body()
	require.True(t, ok)
	require.Equal(t, dict.NewTag(0x0011, uint16(0x1000+(64<<10)/48)), first.Tag)
	out, err := io.ReadAll(o)
	require.NoError(t, err)
	require.True(t, bytes.Equal(b, out))
	require.NoError(t, o.Close())

	// A document of defined length, and a waveform deep within a sequence of undefined length.
	document := sample()
	document.SetBytes(dict.EncapsulatedDocument, dict.OB, make([]byte, 200_000))
	document.Set(dict.MIMETypeOfEncapsulatedDocument, "application/pdf")
	defined, err := document.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	head, err := sample().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	syn := syntax{}
	wave := syn.appendHead(head, dict.WaveformSequence, dict.SQ, undefined)
	wave = syn.appendHead(wave, dict.ItemTag, 0, undefined)
	wave = append(syn.appendHead(wave, dict.WaveformData, dict.OW, 200_000), make([]byte, 200_000)...)
	wave = syn.appendHead(wave, dict.ItemDelimitationTag, 0, 0)
	wave = syn.appendHead(wave, dict.SequenceDelimitationTag, 0, 0)

	for name, in := range map[string][]byte{"defined": defined, "nested": wave} {
		o, err := Open(bytes.NewReader(in), dict.ExplicitVRLittleEndian, lim)
		require.NoError(t, err, name)
		require.Equal(t, "4711", o.Header().Text(dict.PatientID))
		require.ErrorIs(t, o.Header().Remove(dict.PixelData), errBehind)
		out, err := io.ReadAll(o)
		require.NoError(t, err, name)
		require.True(t, bytes.Equal(in, out), name)
		require.NoError(t, o.Close())

		o, err = Open(bytes.NewReader(in[:len(in)-1]), dict.ExplicitVRLittleEndian, lim)
		require.NoError(t, err, name)
		_, err = io.ReadAll(o)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, name)
		require.NoError(t, o.Close())
	}
}

func TestMalformed(t *testing.T) {
	syn := syntax{}
	item := string(syn.appendHead(nil, dict.ItemTag, 0, undefined))
	sequence := string(syn.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, undefined))
	deep := strings.Repeat(sequence+item, 33)
	huge := string(syn.appendHead(nil, dict.EncapsulatedDocument, dict.OB, 0xFFFFFFFE))
	for name, c := range map[string]struct {
		in   string
		want error
	}{
		"too many elements":             {strings.Repeat(string(syn.appendHead(nil, dict.PatientID, dict.LO, 0)), maxElements+1), ErrTooLarge},
		"too deep":                      {deep, ErrTooLarge},
		"bomb of nested sequences":      {strings.Repeat(sequence+item, 100_000), ErrTooLarge},
		"element passes its item":       {string(syn.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, 20)) + string(syn.appendHead(nil, dict.ItemTag, 0, 12)) + string(syn.appendHead(nil, dict.PatientID, dict.LO, 6)) + "123456", ErrMalformed},
		"item passes its sequence":      {string(syn.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, 20)) + string(syn.appendHead(nil, dict.ItemTag, 0, 14)), ErrMalformed},
		"element in place of an item":   {sequence + string(syn.appendHead(nil, dict.PatientID, dict.LO, 0)), ErrMalformed},
		"item at top level":             {item, ErrMalformed},
		"item's end without an item":    {sequence + item + string(syn.appendHead(nil, dict.SequenceDelimitationTag, 0, 0)), ErrMalformed},
		"delimiter with a length":       {sequence + string(syn.appendHead(nil, dict.SequenceDelimitationTag, 0, 2)) + "xx", ErrMalformed},
		"text of undefined length":      {string(syn.appendHead(nil, dict.EncapsulatedDocument, dict.UT, undefined)), ErrMalformed},
		"fragment of undefined length":  {string(syn.appendHead(nil, dict.PixelData, dict.OB, undefined)) + item, ErrMalformed},
		"four gigabytes that are not":   {huge, io.ErrUnexpectedEOF},
		"pixel data without delimiter":  {string(syn.appendHead(nil, dict.PixelData, dict.OB, undefined)) + string(syn.appendHead(nil, dict.ItemTag, 0, 0)), io.ErrUnexpectedEOF},
		"element cut off after pixels":  {string(syn.appendHead(nil, dict.PixelData, dict.OB, 0)) + "\xFC\xFF\xFC\xFFOB", io.ErrUnexpectedEOF},
		"implicit VR declared explicit": {"\x08\x00\x05\x00\x0A\x00\x00\x00ISO_IR 100", ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := through([]byte(c.in), dict.ExplicitVRLittleEndian)
			require.ErrorIs(t, err, c.want)
			_, err = ParseDataSet([]byte(c.in), dict.ExplicitVRLittleEndian, Limits{})
			require.ErrorIs(t, err, c.want)
		})
	}
}

func TestDepthAtTheLimitPasses(t *testing.T) {
	d := &DataSet{}
	for range 32 {
		outer := &DataSet{}
		outer.SetSequence(dict.ReferencedImageSequence, d)
		d = outer
	}
	b, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	out, err := through(b, dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	require.Equal(t, b, out)
}

// TestDeflated has the faults that only a deflated data set can have.
func TestDeflated(t *testing.T) {
	syntax := dict.DeflatedExplicitVRLittleEndian
	in := withPixels(t, sample(), syntax, 100_000)
	out, err := through(in, syntax)
	require.NoError(t, err)
	require.Equal(t, in, out)

	_, err = through(append(bytes.Clone(in), make([]byte, 20)...), syntax)
	require.ErrorIs(t, err, ErrMalformed)

	corrupt := bytes.Clone(in)
	copy(corrupt[10:], "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
	_, err = through(corrupt, syntax)
	require.Error(t, err)

	// A sound deflate stream of a truncated data set.
	plain := withPixels(t, sample(), dict.ExplicitVRLittleEndian, 100_000)
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	require.NoError(t, err)
	_, err = w.Write(plain[:len(plain)-1])
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, err = through(b.Bytes(), syntax)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	// Empty blocks, stored or of fixed codes (four in five bytes), inflate to nothing for ever.
	for _, empty := range [][]byte{{0, 0, 0, 0xFF, 0xFF}, {0x02, 0x08, 0x20, 0x80, 0}} {
		_, err = Open(bytes.NewReader(bytes.Repeat(empty, 1<<20)), syntax, Limits{Header: 1 << 20})
		require.ErrorIs(t, err, ErrTooLarge)
	}
}

func TestSourceErrorIsPassedOn(t *testing.T) {
	in := withPixels(t, sample(), dict.ExplicitVRLittleEndian, 200_000)
	for _, at := range []int{20, 150_000} {
		broken := fmt.Errorf("the association was aborted")
		r := io.MultiReader(bytes.NewReader(in[:at]), iotestErr{broken})
		o, err := Open(r, dict.ExplicitVRLittleEndian, Limits{})
		if err == nil {
			_, err = io.ReadAll(o)
			require.NoError(t, o.Close())
			_, after := o.Read(make([]byte, 1))
			require.ErrorIs(t, after, ErrClosed)
		}
		require.ErrorIs(t, err, broken)
	}
}

// TestOnlyEOFEnds has a source whose error wraps io.EOF where the data set might end.
func TestOnlyEOFEnds(t *testing.T) {
	in := withPixels(t, sample(), dict.ExplicitVRLittleEndian, 100_000)
	lost := fmt.Errorf("connection lost: %w", io.EOF)
	o, err := Open(io.MultiReader(bytes.NewReader(in), iotestErr{lost}), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	_, err = io.Copy(io.Discard, o)
	require.ErrorContains(t, err, "connection lost")

	noPixels, err := sample().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	_, err = Open(io.MultiReader(bytes.NewReader(noPixels), iotestErr{lost}), dict.ExplicitVRLittleEndian, Limits{})
	require.ErrorContains(t, err, "connection lost")
}

type iotestErr struct{ err error }

func (e iotestErr) Read([]byte) (int, error) { return 0, e.err }

func TestGroupLengthInBigEndian(t *testing.T) {
	in := withPixels(t, sample(), dict.ExplicitVRBigEndian, 10)
	o, err := Open(bytes.NewReader(in), dict.ExplicitVRBigEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	e, ok := o.Header().Get(0x00100000)
	require.True(t, ok)
	before := binary.BigEndian.Uint32(e.Value)
	require.NoError(t, o.Header().Remove(dict.PatientID))
	out, err := io.ReadAll(o)
	require.NoError(t, err)
	d, err := ParseDataSet(out, dict.ExplicitVRBigEndian, Limits{})
	require.NoError(t, err)
	after, ok := d.Int(0x00100000)
	require.True(t, ok)
	require.EqualValues(t, before-12, after)
}

// TestBigObject passes a gigabyte in constant memory, header edited.
func TestBigObject(t *testing.T) {
	head, err := sample().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	const size = 1 << 30
	head = syntax{}.appendHead(head, dict.PixelData, dict.OW, size)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	o, err := Open(
		io.MultiReader(bytes.NewReader(head), io.LimitReader(zeros{}, size)), dict.ExplicitVRLittleEndian, Limits{},
	)
	require.NoError(t, err)
	require.NoError(t, o.Header().Set(dict.PatientID, dict.LO, []byte("x")))
	n, err := o.WriteTo(io.Discard)
	require.NoError(t, err)
	require.NoError(t, o.Close())
	runtime.ReadMemStats(&after)
	require.Greater(t, n, int64(size))
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(2*writeChunk))
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestHeaderCut: a header that was cut says so when it is opened, and where, also if the cut is in an element's head.
func TestHeaderCut(t *testing.T) {
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		in, err := sample().Encode(syntax)
		require.NoError(t, err)
		between := boundaries(in, dict.TransferSyntaxOf(syntax))
		require.Greater(t, len(between), 10)
		for end := range in {
			o, err := Open(bytes.NewReader(in[:end]), syntax, Limits{})
			if end == 0 || slices.Contains(between, end) { // a cut between elements can't be seen
				require.NoError(t, err, "%s: %d", syntax, end)
				require.NoError(t, o.Close())
				continue
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s: %d", syntax, end)
			require.ErrorContains(t, err, fmt.Sprintf("the data set ends at byte %d, within", end))
		}
	}
}

// TestHeaderEnd: where the header ends is the same however the bytes arrive, and at whatever byte the limit lies.
func TestHeaderEnd(t *testing.T) {
	item := &DataSet{}
	item.Set(dict.PatientComments, "in an item")
	d := sample()
	d.SetSequence(dict.ReferencedImageSequence, item, item)
	d.SetBytes(dict.PixelData, dict.OW, make([]byte, 100))
	b, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	syn := syntax{}
	at := bytes.Index(b, syn.appendHead(nil, dict.ReferencedImageSequence, dict.SQ, 0)[:8])
	undefinedLength := bytes.Clone(b[:at+8])
	undefinedLength = append(undefinedLength, 0xFF, 0xFF, 0xFF, 0xFF)
	length := int(syn.uint32(b[at+8:]))
	undefinedLength = append(undefinedLength, b[at+12:at+12+length]...)
	undefinedLength = syn.appendHead(undefinedLength, dict.SequenceDelimitationTag, 0, 0)
	undefinedLength = append(undefinedLength, b[at+12+length:]...)
	for name, in := range map[string][]byte{"defined": b, "undefined": undefinedLength} {
		for limit := 1; limit < len(in); limit++ {
			var end int
			for i, piece := range []int{len(in), 1, 7} {
				o, err := Open(slow{bytes.NewReader(in), piece}, dict.ExplicitVRLittleEndian, Limits{Header: limit})
				require.NoError(t, err, "%s %d", name, limit)
				require.LessOrEqual(t, o.header.end, limit)
				if i > 0 {
					require.Equal(t, end, o.header.end, "%s %d", name, limit)
				}
				end = o.header.end
				out, err := io.ReadAll(o)
				require.NoError(t, err)
				require.True(t, bytes.Equal(in, out))
				require.NoError(t, o.Close())
			}
		}
	}
}
