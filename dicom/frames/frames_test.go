// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// image is the header of an image of 3 rows and 5 columns.
func image(count string, allocated int) *stream.DataSet {
	d := &stream.DataSet{}
	d.SetInt(dict.SamplesPerPixel, 1)
	d.Set(dict.PhotometricInterpretation, "MONOCHROME2")
	d.Set(dict.NumberOfFrames, count)
	d.SetInt(dict.Rows, 3)
	d.SetInt(dict.Columns, 5)
	d.SetInt(dict.BitsAllocated, allocated)
	return d
}

// file is a file of a data set, and of what is to follow it.
func file(t testing.TB, d *stream.DataSet, syntax string, behind ...byte) []byte {
	t.Helper()
	b, err := d.AppendTo(stream.FileMeta{TransferSyntaxUID: syntax}.AppendTo(nil), syntax)
	require.NoError(t, err)
	return append(b, behind...)
}

// item is an item of encapsulated pixel data.
func item(value ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0, 0xE0}, uint32(len(value))), value...)
}

// encapsulated is pixel data with a Basic Offset Table.
func encapsulated(table []uint32, fragments ...string) []byte {
	b := stream.EncodingOf(dict.TransferSyntaxOf(dict.JPEG2000)).AppendHead(
		nil, dict.PixelData, dict.OB, stream.UndefinedLength,
	)
	var offsets []byte
	for _, n := range table {
		offsets = binary.LittleEndian.AppendUint32(offsets, n)
	}
	b = append(b, item(offsets...)...)
	for _, f := range fragments {
		b = append(b, item([]byte(f)...)...)
	}
	return append(b, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
}

func open(t testing.TB, b []byte) *Index {
	t.Helper()
	x, err := Open(bytes.NewReader(b), int64(len(b)))
	require.NoError(t, err)
	return x
}

// contents reads each frame, in small pieces.
func contents(t testing.TB, x *Index) []string {
	t.Helper()
	var list []string
	for n := 1; n <= x.Count(); n++ {
		f, err := x.Frame(n)
		require.NoError(t, err)
		b, err := io.ReadAll(iotest.OneByteReader(f.Reader()))
		require.NoError(t, err)
		again, err := io.ReadAll(f.Reader())
		require.NoError(t, err)
		require.Equal(t, b, again)
		require.Len(t, b, int(f.Size))
		list = append(list, string(b))
	}
	return list
}

func TestEncapsulated(t *testing.T) {
	const soc, soi, eoc = "\xFF\x4F\xFF\x51", "\xFF\xD8\xFF\xE0", "\xFF\xD9"
	ov := func(numbers ...uint64) []byte {
		var b []byte
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint64(b, n)
		}
		return b
	}
	for _, c := range []struct {
		name    string
		syntax  string
		frames  string
		offsets []byte // of the Extended Offset Table
		lengths []byte
		pixels  []byte
		want    []string
		err     string
	}{
		{name: "one fragment each", frames: "2", pixels: encapsulated(nil, "a1", "b2b2"), want: []string{"a1", "b2b2"}},
		{name: "all fragments are one frame", frames: "", pixels: encapsulated(nil, "a1", "b2b2", ""), want: []string{"a1b2b2"}},
		{name: "one frame, by its table", frames: "1", pixels: encapsulated([]uint32{0}, "a1", "b2"), want: []string{"a1b2"}},
		{name: "no number is one", frames: "0", pixels: encapsulated(nil, "a1"), want: []string{"a1"}},
		{name: "a table", frames: "2", pixels: encapsulated([]uint32{0, 20}, "a1", "b2", "c3"), want: []string{"a1b2", "c3"}},
		{name: "a table that needn't be", frames: "2", pixels: encapsulated([]uint32{0, 10}, "a1", "b2"), want: []string{"a1", "b2"}},
		{name: "offset within a fragment", frames: "2", pixels: encapsulated([]uint32{0, 12}, "a1", "b2", "c3"), err: "doesn't agree"},
		{name: "offset of the value", frames: "2", pixels: encapsulated([]uint32{8, 18}, "a1", "b2", "c3"), err: "doesn't agree"},
		{name: "offset beyond the end", frames: "2", pixels: encapsulated([]uint32{0, 1 << 31}, "a1", "b2", "c3"), err: "doesn't agree"},
		{name: "offsets that go back", frames: "3", pixels: encapsulated([]uint32{0, 20, 10}, "a1", "b2", "c3"), err: "doesn't agree"},
		{name: "offsets twice", frames: "2", pixels: encapsulated([]uint32{0, 0}, "a1", "b2"), err: "doesn't agree"},
		{name: "the first isn't the first", frames: "1", pixels: encapsulated([]uint32{10}, "a1", "b2"), err: "doesn't agree"},
		{name: "a table of too few", frames: "3", pixels: encapsulated([]uint32{0, 10}, "a1", "b2", "c3"), err: "its Basic Offset Table has 8 bytes"},
		{name: "a table of too many", frames: "1", pixels: encapsulated([]uint32{0, 10}, "a1", "b2"), err: "its Basic Offset Table has 8 bytes"},
		{name: "too few fragments", frames: "3", pixels: encapsulated(nil, "a1", "b2"), err: "3 frames, and pixel data has 2 fragments"},
		{name: "none at all", frames: "1", pixels: encapsulated(nil), err: "0 fragments"},
		{name: "by codestreams", frames: "2", pixels: encapsulated(nil, soc+"a", "b", soc+"c"), want: []string{soc + "ab", soc + "c"}},
		{name: "by JPEG images", syntax: dict.JPEGBaseline8Bit, frames: "2", pixels: encapsulated(nil, soi+"a", soi, "c"), want: []string{soi + "a", soi + "c"}},
		{name: "too many codestreams", frames: "2", pixels: encapsulated(nil, soc, soc, soc), err: "2 frames, and of its 3 fragments 3 look"},
		{name: "it begins with none", frames: "2", pixels: encapsulated(nil, "ab", soc, soc), err: "of its 3 fragments 2 look"},
		{name: "RLE is one fragment each", syntax: dict.RLELossless, frames: "2", pixels: encapsulated(nil, "a1", "b2", "c3"), err: "of its 3 fragments 0 look"},
		{name: "a video is one", syntax: dict.MPEG4HP41, frames: "500", pixels: encapsulated(nil, "a1", "b2", "c3"), want: []string{"a1b2c3"}},
		{name: "not a number", frames: "2X", pixels: encapsulated(nil, "a1"), err: "is no number"},
		{name: "a negative number", frames: "-1", pixels: encapsulated(nil, "a1"), err: "is no number"},
		{name: "native by its syntax", syntax: dict.ExplicitVRLittleEndian, frames: "1", pixels: encapsulated(nil, "a1"), err: "in one piece"},
		{name: "a private syntax", syntax: "1.2.3", frames: "1", pixels: encapsulated(nil, "a1"), want: []string{"a1"}},
		{name: "no delimiter", frames: "1", pixels: encapsulated(nil, "a1")[:30], err: "truncated"},

		{name: "an extended table", frames: "2", offsets: ov(0, 12), lengths: ov(3, 2), pixels: encapsulated(nil, "a1"+eoc, "b2"), want: []string{"a1\xFF", "b2"}},
		{name: "an extended table alone", frames: "2", offsets: ov(0, 20), pixels: encapsulated(nil, "a1", "b2", "c3"), want: []string{"a1b2", "c3"}},
		{name: "an extended offset that lies", frames: "2", offsets: ov(0, 1<<63), lengths: ov(2, 2), pixels: encapsulated(nil, "a1", "b2"), err: "Extended Offset Table (7FE0,0001) doesn't agree"},
		{name: "an extended offset above 32 bits", frames: "2", offsets: ov(0, 1<<32|10), pixels: encapsulated(nil, "a1", "b2"), err: "doesn't agree"},
		{name: "a length that lies", frames: "2", offsets: ov(0, 10), lengths: ov(2, 3), pixels: encapsulated(nil, "a1", "b2"), err: "Lengths (7FE0,0002) doesn't agree"},
		{name: "a length missing", frames: "2", offsets: ov(0, 10), lengths: ov(2), pixels: encapsulated(nil, "a1", "b2"), err: "Lengths (7FE0,0002) doesn't agree"},
		{name: "an extended table of too few", frames: "2", offsets: ov(0), pixels: encapsulated(nil, "a1", "b2"), err: "(7FE0,0001) has 8 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := image(c.frames, 8)
			if c.offsets != nil {
				d.SetBytes(dict.ExtendedOffsetTable, dict.OV, c.offsets)
			}
			if c.lengths != nil {
				d.SetBytes(dict.ExtendedOffsetTableLengths, dict.OV, c.lengths)
			}
			if c.syntax == "" {
				c.syntax = dict.JPEG2000
			}
			b := file(t, d, c.syntax, c.pixels...)
			x, err := Open(bytes.NewReader(b), int64(len(b)))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, contents(t, x))
			_, place, fragments, ok := x.PixelData()
			require.True(t, ok && fragments)
			require.Equal(t, c.pixels[12:], b[place.Offset:place.Offset+place.Length])
		})
	}
}

func TestNative(t *testing.T) {
	pixels := make([]byte, 240)
	for i := range pixels {
		pixels[i] = byte(i)
	}
	swap := func(width int, b []byte) []byte {
		out := bytes.Clone(b)
		for at := 0; at+width <= len(out); at += width {
			for i := range width {
				out[at+i] = b[at+width-1-i]
			}
		}
		return out
	}
	for _, c := range []struct {
		name      string
		syntax    string
		form      dict.Tag
		vr        dict.VR
		allocated int
		frames    string
		change    func(*stream.DataSet)
		stored    []byte
		want      []string // nil: pixels, cut into frames of size
		size      int
		err       string
	}{
		{name: "bytes", allocated: 8, frames: "3", size: 15},
		{name: "words", vr: dict.OW, allocated: 16, frames: "3", size: 30},
		{name: "words in implicit VR", syntax: dict.ImplicitVRLittleEndian, allocated: 16, frames: "2", size: 30},
		{name: "words in big endian", syntax: dict.ExplicitVRBigEndian, vr: dict.OW, allocated: 16, frames: "2", size: 30, stored: swap(2, pixels)},
		{name: "bytes in words, in big endian", syntax: dict.ExplicitVRBigEndian, vr: dict.OW, allocated: 8, frames: "3", size: 15, stored: swap(2, pixels)},
		{name: "bytes in big endian", syntax: dict.ExplicitVRBigEndian, vr: dict.OB, allocated: 8, frames: "3", size: 15},
		{name: "32 bits in big endian", syntax: dict.ExplicitVRBigEndian, vr: dict.OW, allocated: 32, frames: "4", size: 60, stored: swap(4, pixels)},
		{name: "GE's pixel data is in big endian", syntax: gePrivateImplicit, allocated: 16, frames: "3", size: 30, stored: swap(2, pixels)},
		{name: "colour", allocated: 8, frames: "2", size: 45, change: func(d *stream.DataSet) { d.SetInt(dict.SamplesPerPixel, 3) }},
		{name: "subsampled", allocated: 8, frames: "2", size: 32, change: func(d *stream.DataSet) {
			d.SetInt(dict.SamplesPerPixel, 3)
			d.SetInt(dict.Rows, 4)
			d.SetInt(dict.Columns, 4)
			d.Set(dict.PhotometricInterpretation, "YBR_FULL_422")
		}},
		{name: "float", form: dict.FloatPixelData, vr: dict.OF, frames: "2", size: 60},
		{name: "double", form: dict.DoubleFloatPixelData, vr: dict.OD, frames: "2", size: 120},
		{name: "single bits", allocated: 1, frames: "3", stored: []byte{0xFE, 0, 1, 0x90, 1, 0x50}, want: []string{
			"\xFE\x00", "\x02\x20", "\x06\x40", // bits 0 to 14, 15 to 29, 30 to 44
		}},
		{name: "a single bit", allocated: 1, frames: "9", change: func(d *stream.DataSet) {
			d.SetInt(dict.Rows, 1)
			d.SetInt(dict.Columns, 1)
		}, stored: []byte{0b0010_1101, 1}, want: strings.Split("\x01,\x00,\x01,\x01,\x00,\x01,\x00,\x00,\x01", ",")},
		{name: "too few frames", allocated: 16, frames: "9", err: "9 frames of 30 bytes, and pixel data has 240 bytes"},
		{name: "far too few frames", allocated: 16, frames: "2147483647", err: "pixel data has 240 bytes"},
		{name: "12 bits", allocated: 12, frames: "1", err: "make no frame"},
		{name: "no rows", allocated: 8, frames: "1", change: func(d *stream.DataSet) { d.Remove(dict.Rows) }, err: "make no frame"},
		{name: "no pixels", allocated: 8, frames: "1", stored: []byte{}, err: "pixel data has 0 bytes"},
		{name: "compressed by its syntax", syntax: dict.JPEG2000, allocated: 8, frames: "1", err: "in fragments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := image(c.frames, c.allocated)
			if c.change != nil {
				c.change(d)
			}
			if c.stored == nil {
				c.stored = pixels
			}
			if c.syntax == "" {
				c.syntax = dict.ExplicitVRLittleEndian
			}
			if c.form == 0 {
				c.form = dict.PixelData
			}
			if c.vr == 0 {
				c.vr = dict.OB
			}
			enc := stream.EncodingOf(dict.TransferSyntaxOf(c.syntax))
			b := enc.AppendHead(file(t, d, c.syntax), c.form, c.vr, uint32(len(c.stored)))
			b = append(b, c.stored...)
			x, err := Open(bytes.NewReader(b), int64(len(b)))
			if c.err != "" {
				require.ErrorContains(t, err, c.err)
				return
			}
			require.NoError(t, err)
			for i := 0; c.size > 0 && i < x.Count(); i++ {
				c.want = append(c.want, string(pixels[i*c.size:(i+1)*c.size]))
			}
			require.Equal(t, c.want, contents(t, x))
			require.Equal(t, octetStream, x.MediaType())
			for _, n := range []int{0, -1, x.Count() + 1} {
				_, err = x.Frame(n)
				require.ErrorIs(t, err, ErrNoFrame)
			}
		})
	}
}

// TestWithoutPreamble: pydicom writes files so that have no preamble.
func TestWithoutPreamble(t *testing.T) {
	b := file(t, image("1", 8), dict.JPEG2000, encapsulated(nil, "a1")...)[132:]
	require.Equal(t, []string{"a1"}, contents(t, open(t, b)))
	b = file(t, image("1", 8), dict.JPEG2000)[132:]
	x := open(t, b)
	require.Zero(t, x.Count())
	_, err := x.Frame(1)
	require.ErrorIs(t, err, ErrNoPixelData)
	_, err = Open(strings.NewReader("nothing of ours"), 15)
	require.ErrorIs(t, err, stream.ErrNotPart10)
	b = file(t, image("1", 8), dict.DeflatedExplicitVRLittleEndian)
	_, err = Open(bytes.NewReader(b), int64(len(b)))
	require.ErrorIs(t, err, ErrDeflated)
}

// sparse is a file of which most is never stored: zeros after its beginning, and what it has at its end.
type sparse struct {
	begin, end []byte
	size       int64
	read       int64
}

func (s *sparse) ReadAt(p []byte, at int64) (int, error) {
	clear(p)
	if at < int64(len(s.begin)) {
		copy(p, s.begin[at:])
	}
	tail := s.size - int64(len(s.end))
	if at+int64(len(p)) > tail {
		copy(p[max(0, tail-at):], s.end[max(0, at-tail):])
	}
	s.read += int64(len(p))
	if at+int64(len(p)) > s.size {
		return int(s.size - at), io.EOF
	}
	return len(p), nil
}

// TestHugeHeader: what stands before pixel data may be larger than any header that is held (functional groups).
func TestHugeHeader(t *testing.T) {
	d := image("1", 8)
	begin := stream.EncodingOf(dict.TransferSyntaxOf(dict.JPEG2000)).AppendHead(
		file(t, d, dict.JPEG2000), dict.EncapsulatedDocument, dict.OB, 1<<31,
	)
	s := &sparse{begin: begin, end: encapsulated(nil, "a1"), size: int64(len(begin)) + 1<<31 + 38}
	x, err := Open(s, s.size)
	require.NoError(t, err)
	require.Equal(t, []string{"a1"}, contents(t, x))
	require.Less(t, s.read, int64(32<<10))
}

// TestManyFrames: the index of 100,000 frames takes a few MB.
func TestManyFrames(t *testing.T) {
	const count = 100_000
	fragments := make([]string, 2*count)
	table := make([]uint32, count)
	for i := range fragments {
		fragments[i] = "ab"
		table[i/2] = uint32(i / 2 * 20)
	}
	b := file(t, image(fmt.Sprint(count), 8), dict.JPEG2000, encapsulated(table, fragments...)...)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	x := open(t, b)
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Less(t, int64(after.HeapAlloc)-int64(before.HeapAlloc), int64(6<<20))
	f, err := x.Frame(count)
	require.NoError(t, err)
	got, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	require.Equal(t, "abab", string(got))
}

// counted counts how often a file is read.
type counted struct {
	*bytes.Reader

	reads int
}

func (c *counted) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	return c.Reader.ReadAt(p, off)
}

// TestTinyFragments: a frame of many tiny fragments is read with few reads, and into whole buffers.
func TestTinyFragments(t *testing.T) {
	const n = 200_000
	tiny, want := make([]string, n), make([]byte, 0, 2*n)
	for i := range tiny {
		tiny[i] = string([]byte{byte(i), byte(i >> 8)})
		want = append(want, tiny[i]...)
	}
	d := &stream.DataSet{}
	d.SetInt(dict.Rows, 1)
	b := file(t, d, dict.JPEG2000, encapsulated(nil, tiny...)...)
	c := &counted{Reader: bytes.NewReader(b)}
	x, err := Open(c, int64(len(b)))
	require.NoError(t, err)
	f, err := x.Frame(1)
	require.NoError(t, err)
	c.reads = 0
	r, got, pieces := f.Reader(), make([]byte, 0, len(want)), 0
	for piece := make([]byte, 32<<10); err == nil; pieces++ {
		var n int
		n, err = r.Read(piece)
		got = append(got, piece[:n]...)
	}
	require.Equal(t, io.EOF, err)
	require.True(t, bytes.Equal(want, got))
	require.LessOrEqual(t, c.reads, len(b)/pieceSize+2)
	require.LessOrEqual(t, pieces, len(want)/(32<<10)+2)
}

func TestMediaType(t *testing.T) {
	for syntax, want := range map[string]string{
		dict.RLELossless: "image/dicom-rle", dict.JPEGBaseline8Bit: "image/jpeg", dict.JPEGLosslessSV1: "image/jpeg",
		dict.JPEGLSNearLossless: "image/jls", dict.JPEG2000: "image/jp2", dict.JPEG2000MC: "image/jpx",
		dict.HTJ2KLossless: "image/jphc", dict.JPEGXL: "image/jxl", "1.2.840.10008.1.2.4.100": "video/mpeg2",
		"1.2.840.10008.1.2.4.100.1": "video/mpeg2", dict.MPEG4HP41: "video/mp4", "1.2.840.10008.1.2.4.107": "video/H265",
		dict.EncapsulatedUncompressedExplicitVRLittleEndian: octetStream, "1.2.3": octetStream,
		"1.2.840.10008.1.2.4.94": octetStream,
	} {
		require.Equal(t, want, MediaType(syntax), syntax)
	}
}

func TestFileBecomesShorter(t *testing.T) {
	b := file(t, image("2", 8), dict.JPEG2000, encapsulated(nil, "a1", "b2")...)
	x := open(t, b)
	x.file = bytes.NewReader(b[:len(b)-9])
	f, err := x.Frame(2)
	require.NoError(t, err)
	_, err = io.ReadAll(f.Reader())
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
