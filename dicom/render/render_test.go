// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// phantom is an image of 16 rows and 24 columns whose samples are random.
func phantom(allocated, stored int, change func(*stream.DataSet)) *stream.DataSet {
	d := &stream.DataSet{}
	d.Set(dict.SOPClassUID, dict.SecondaryCaptureImageStorage)
	d.Set(dict.SOPInstanceUID, "2.25.7")
	d.SetInt(dict.SamplesPerPixel, 1)
	d.Set(dict.PhotometricInterpretation, monochrome2)
	d.SetInt(dict.Rows, 16)
	d.SetInt(dict.Columns, 24)
	d.SetInt(dict.BitsAllocated, allocated)
	d.SetInt(dict.BitsStored, stored)
	d.SetInt(dict.HighBit, stored-1)
	d.SetInt(dict.PixelRepresentation, 0)
	if change != nil {
		change(d)
	}
	samples, _ := d.Int(dict.SamplesPerPixel)
	high, _ := d.Int(dict.HighBit)
	r := rand.New(rand.NewPCG(1, 2))
	pixels := make([]byte, (16*24*samples*allocated+7)/8)
	for i := range pixels {
		pixels[i] = byte(r.Uint32())
	}
	if allocated == 16 {
		for i := 0; i < len(pixels); i += 2 {
			v := r.Uint32() & (1<<stored - 1) << (high + 1 - stored)
			binary.LittleEndian.PutUint16(pixels[i:], uint16(v))
		}
	}
	d.SetBytes(dict.PixelData, dict.OW, pixels)
	return d
}

func words(list ...int) []byte {
	var b []byte
	for _, w := range list {
		b = binary.LittleEndian.AppendUint16(b, uint16(w))
	}
	return b
}

func ramp(n int, f func(int) int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = f(i)
	}
	return list
}

func lut(sequence dict.Tag, first, bits int, vr dict.VR, entries []int) func(*stream.DataSet) {
	d := &stream.DataSet{}
	d.SetBytes(dict.LUTDescriptor, vr, words(len(entries), first, bits))
	d.SetBytes(dict.LUTData, dict.OW, words(entries...))
	return func(to *stream.DataSet) { to.SetSequence(sequence, d) }
}

func palette(d *stream.DataSet, bits, n int, entry func(c, i int) int) {
	d.Set(dict.PhotometricInterpretation, paletteColor)
	for c := range dict.Tag(3) {
		d.SetBytes(dict.RedPaletteColorLookupTableDescriptor+c, dict.US, words(n, 0, bits))
		d.SetBytes(
			dict.RedPaletteColorLookupTableData+c, dict.OW, words(ramp(n, func(i int) int { return entry(int(c), i) })...),
		)
	}
}

// TestLikeDCMTK holds pictures of every kind of pixel data against those of DCMTK.
func TestLikeDCMTK(t *testing.T) {
	signed := func(d *stream.DataSet) { d.SetInt(dict.PixelRepresentation, 1) }
	window := func(center, width, function string) func(*stream.DataSet) {
		return func(d *stream.DataSet) {
			d.Set(dict.WindowCenter, center)
			d.Set(dict.WindowWidth, width)
			if function != "" {
				d.Set(dict.VOILUTFunction, function)
			}
		}
	}
	colour := func(photometric, planar string) func(*stream.DataSet) {
		return func(d *stream.DataSet) {
			d.Set(dict.PhotometricInterpretation, photometric)
			d.SetInt(dict.SamplesPerPixel, 3)
			d.Set(dict.PlanarConfiguration, planar)
		}
	}
	for _, c := range []struct {
		name              string
		allocated, stored int
		change            []func(*stream.DataSet)
		most              int // of difference; 0 means 1
	}{
		{name: "8 bits", allocated: 8, stored: 8},
		{name: "8 bits signed", allocated: 8, stored: 8, change: []func(*stream.DataSet){signed}},
		{name: "16 bits", allocated: 16, stored: 16},
		{name: "16 bits signed", allocated: 16, stored: 16, change: []func(*stream.DataSet){signed}},
		{name: "12 of 16 bits", allocated: 16, stored: 12},
		{name: "12 of 16 bits signed", allocated: 16, stored: 12, change: []func(*stream.DataSet){signed}},
		{name: "the upper 12 of 16 bits", allocated: 16, stored: 12, change: []func(*stream.DataSet){signed, func(d *stream.DataSet) { d.SetInt(dict.HighBit, 15) }}},
		{name: "32 bits", allocated: 32, stored: 32},
		{name: "a window", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("1000", "500", "")}},
		{name: "a narrow window", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("1000", "1", "")}},
		{name: "two windows", allocated: 16, stored: 12, change: []func(*stream.DataSet){window(`1000\2000`, `500\600`, "LINEAR")}},
		{name: "sigmoid", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("1000", "500", Sigmoid)}},
		{name: "MONOCHROME1", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("1000", "500", ""), func(d *stream.DataSet) { d.Set(dict.PhotometricInterpretation, monochrome1) }}},
		{name: "inverse", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("1000", "500", ""), func(d *stream.DataSet) { d.Set(dict.PresentationLUTShape, "INVERSE") }}},
		{name: "rescaled", allocated: 16, stored: 12, change: []func(*stream.DataSet){window("40", "400", ""), func(d *stream.DataSet) {
			d.Set(dict.RescaleSlope, "0.5")
			d.Set(dict.RescaleIntercept, "-1024")
		}}},
		{name: "rescaled, no window", allocated: 16, stored: 12, change: []func(*stream.DataSet){func(d *stream.DataSet) {
			d.Set(dict.RescaleSlope, "2.5")
			d.Set(dict.RescaleIntercept, "-100")
		}}},
		{name: "modality LUT", allocated: 16, stored: 12, change: []func(*stream.DataSet){
			lut(dict.ModalityLUTSequence, 100, 16, dict.US, ramp(2000, func(i int) int { return i * i / 100 })),
		}},
		{name: "VOI LUT", allocated: 16, stored: 12, change: []func(*stream.DataSet){
			lut(dict.VOILUTSequence, 500, 12, dict.US, ramp(2000, func(i int) int { return 4095 - i })),
		}},
		{name: "VOI LUT of negative values", allocated: 16, stored: 12, change: []func(*stream.DataSet){
			signed, lut(dict.VOILUTSequence, -500, 8, dict.SS, ramp(1000, func(i int) int { return i / 4 })),
		}},
		{name: "palette", allocated: 8, stored: 8, change: []func(*stream.DataSet){func(d *stream.DataSet) {
			palette(d, 16, 256, func(c, i int) int { return i * (c + 1) * 80 & 0xFFFF })
		}}},
		{name: "palette of 8 bits", allocated: 8, stored: 8, change: []func(*stream.DataSet){func(d *stream.DataSet) {
			palette(d, 8, 200, func(c, i int) int { return i * (c + 1) & 0xFF })
		}}},
		{name: "palette of bytes", allocated: 8, stored: 8, change: []func(*stream.DataSet){func(d *stream.DataSet) {
			palette(d, 8, 256, func(c, i int) int { return i })
			for c := range dict.Tag(3) {
				packed := ramp(128, func(i int) int { return (i*7*int(c+1))&0xFF | i<<8 })
				d.SetBytes(dict.RedPaletteColorLookupTableData+c, dict.OW, words(packed...))
			}
		}}},
		{name: "RGB", allocated: 8, stored: 8, change: []func(*stream.DataSet){colour(rgb, "0")}},
		{name: "RGB by plane", allocated: 8, stored: 8, change: []func(*stream.DataSet){colour(rgb, "1")}},
		{name: "RGB of 16 bits", allocated: 16, stored: 16, change: []func(*stream.DataSet){colour(rgb, "0")}},
		{name: "RGB of 12 bits", allocated: 16, stored: 12, change: []func(*stream.DataSet){colour(rgb, "1")}},
		{name: "YBR", allocated: 8, stored: 8, change: []func(*stream.DataSet){colour(ybrFull, "0")}, most: 2},
		{name: "YBR by plane", allocated: 8, stored: 8, change: []func(*stream.DataSet){colour(ybrFull, "1")}, most: 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := phantom(c.allocated, c.stored, func(d *stream.DataSet) {
				for _, change := range c.change {
					change(d)
				}
			})
			for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
				b, img, got := shown(t, d, syntax, nil)
				path := filepath.Join(t.TempDir(), "x.dcm")
				require.NoError(t, os.WriteFile(path, b, 0o600))
				require.LessOrEqual(t, farthest(t, dcmtk(t, path, img, 1), got), max(1, c.most))
			}
		})
	}
}

// shown writes a file and makes its picture.
func shown(t testing.TB, d *stream.DataSet, syntax string, window *Window) ([]byte, *Image, image.Image) {
	t.Helper()
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: dict.SecondaryCaptureImageStorage, MediaStorageSOPInstanceUID: "2.25.7",
		TransferSyntaxUID: syntax,
	}
	b, err := d.AppendTo(meta.AppendTo(nil), syntax)
	require.NoError(t, err)
	img, frame := frameOf(t, b, 1)
	got, err := Frame(img, frame, window)
	require.NoError(t, err)
	return b, img, got
}

// line is an image of one row.
func line(photometric string, allocated int, pixels ...byte) *stream.DataSet {
	d := phantom(allocated, allocated, nil)
	d.Set(dict.PhotometricInterpretation, photometric)
	d.SetInt(dict.Rows, 1)
	d.SetInt(dict.Columns, len(pixels)*8/allocated)
	d.SetBytes(dict.PixelData, dict.OW, pixels)
	return d
}

func item(tags ...any) *stream.DataSet {
	d := &stream.DataSet{}
	for i := 0; i < len(tags); i += 2 {
		switch v := tags[i+1].(type) {
		case string:
			d.Set(tags[i].(dict.Tag), v)
		case *stream.DataSet:
			d.SetSequence(tags[i].(dict.Tag), v)
		}
	}
	return d
}

func TestGray(t *testing.T) {
	frameWindow := func(center, width string) *stream.DataSet {
		return item(dict.FrameVOILUTSequence, item(dict.WindowCenter, center, dict.WindowWidth, width))
	}
	for _, c := range []struct {
		name   string
		d      *stream.DataSet
		change func(*stream.DataSet)
		window *Window
		want   []byte
	}{
		{name: "no window", d: line(monochrome2, 8, 10, 15, 20, 12), want: []byte{0, 128, 255, 51}},
		{name: "one value", d: line(monochrome2, 8, 7, 7), want: []byte{0, 0}},
		{name: "padding", d: line(monochrome2, 8, 10, 255, 20, 15), change: func(d *stream.DataSet) { d.SetVR(dict.PixelPaddingValue, dict.US, "255") }, want: []byte{0, 255, 255, 128}},
		{name: "a range of padding", d: line(monochrome2, 8, 10, 3, 0, 20), change: func(d *stream.DataSet) {
			d.SetVR(dict.PixelPaddingValue, dict.US, "5")
			d.SetVR(dict.PixelPaddingRangeLimit, dict.US, "0")
		}, want: []byte{0, 0, 0, 255}},
		{name: "single bits", d: line(monochrome2, 1, 0b0101_0011, 0), want: []byte{255, 255, 0, 0, 255, 0, 255, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		{name: "all bits are set", d: line(monochrome1, 1, 0xFF, 0xFF), want: make([]byte, 16)},
		{name: "linear", d: line(monochrome2, 8, 0, 100, 200, 150), window: &Window{Center: 150, Width: 101}, want: []byte{0, 1, 255, 129}},
		{name: "linear exact", d: line(monochrome2, 8, 0, 100, 200, 150), window: &Window{Center: 150, Width: 100, Function: LinearExact}, want: []byte{0, 0, 255, 128}},
		{name: "sigmoid", d: line(monochrome2, 8, 0, 150, 200, 255), window: &Window{Center: 150, Width: 100, Function: Sigmoid}, want: []byte{1, 128, 225, 251}},
		{name: "a window that is none", d: line(monochrome2, 8, 10, 20), change: func(d *stream.DataSet) {
			d.Set(dict.WindowCenter, "5")
			d.Set(dict.WindowWidth, "0")
		}, want: []byte{0, 255}},
		{name: "MONOCHROME1 and INVERSE say the same", d: line(monochrome1, 8, 0, 255), change: func(d *stream.DataSet) { d.Set(dict.PresentationLUTShape, "INVERSE") }, want: []byte{255, 0}},
		{name: "groups of all frames", d: line(monochrome2, 8, 0, 100, 50, 200), change: func(d *stream.DataSet) {
			d.SetSequence(dict.SharedFunctionalGroupsSequence, frameWindow("50.5", "101"))
		}, want: []byte{0, 255, 128, 255}},
		{name: "groups of the frame", d: line(monochrome2, 8, 0, 100, 50, 200), change: func(d *stream.DataSet) {
			d.Set(dict.WindowCenter, "1")
			d.Set(dict.WindowWidth, "1")
			d.SetSequence(dict.SharedFunctionalGroupsSequence, frameWindow("7", "7"))
			groups := frameWindow("101", "201")
			groups.SetSequence(dict.PixelValueTransformationSequence, item(dict.RescaleSlope, "2", dict.RescaleIntercept, "0.5"))
			d.SetSequence(dict.PerFrameFunctionalGroupsSequence, groups, frameWindow("1", "1"))
		}, want: []byte{0, 255, 128, 255}},
		{name: "partial range", d: line(ybrPartial422, 8, 16, 235, 128, 128), change: func(d *stream.DataSet) {
			d.SetInt(dict.SamplesPerPixel, 3)
			d.SetInt(dict.Columns, 2)
		}, want: []byte{0, 0, 0, 255, 255, 255, 255, 255}},
		{name: "segmented palette", d: line(paletteColor, 8, 0, 1, 2, 3, 4, 5), change: func(d *stream.DataSet) {
			palette(d, 16, 6, func(_, _ int) int { return 0 })
			for c := range dict.Tag(3) {
				d.Remove(dict.RedPaletteColorLookupTableData + c)
				d.SetBytes(dict.SegmentedRedPaletteColorLookupTableData+c, dict.OW, words(
					0, 1, 0x1000, 1, 2, 0x3000, 2, 2, 0, 0, // one value, two on the way to another, and both again
				))
			}
		}, want: bytes.Repeat([]byte{0x10, 0x10, 0x10, 255, 0x20, 0x20, 0x20, 255, 0x30, 0x30, 0x30, 255}, 2)},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.change != nil {
				c.change(c.d)
			}
			_, _, got := shown(t, c.d, dict.ExplicitVRLittleEndian, c.window)
			switch p := got.(type) {
			case *image.Gray:
				require.Equal(t, c.want, p.Pix)
			case *image.RGBA:
				require.Equal(t, c.want, p.Pix)
			}
		})
	}
}

func TestFloat(t *testing.T) {
	d := line(monochrome2, 32, words(0, 0x4000, 0, 0x4080, 0, 0x40C0, 0, 0x7FC0)...) // 2, 4, 6, no number
	d.Remove(dict.PixelData)
	d.SetBytes(dict.FloatPixelData, dict.OF, words(0, 0x4000, 0, 0x4080, 0, 0x40C0, 0, 0x7FC0))
	_, _, got := shown(t, d, dict.ExplicitVRLittleEndian, nil)
	require.Equal(t, []byte{0, 128, 255, 0}, got.(*image.Gray).Pix)
}

// plain is an image of 8-bit gray.
func plain(rows, columns int) *Image {
	return &Image{
		TransferSyntax: dict.ExplicitVRLittleEndian, Rows: rows, Columns: columns, Samples: 1, Photometric: monochrome2,
		BitsAllocated: 8, BitsStored: 8, HighBit: 7, Slope: 1,
	}
}

func TestRefused(t *testing.T) {
	rle := func(img *Image) { img.TransferSyntax = dict.RLELossless }
	segments := func(n uint32, offset uint32, data ...byte) []byte {
		b := make([]byte, 64, 80)
		binary.LittleEndian.PutUint32(b, n)
		binary.LittleEndian.PutUint32(b[4:], offset)
		return append(b, data...)
	}
	for _, c := range []struct {
		name   string
		change func(*Image)
		frame  []byte
		err    error
		says   string
	}{
		{"unknown colour", func(i *Image) { i.Photometric = "CMYK" }, make([]byte, 4), ErrUnsupported, "photometric"},
		{"no colour", func(i *Image) { i.Photometric = "" }, make([]byte, 4), ErrUnsupported, "photometric"},
		{"no palette", func(i *Image) { i.Photometric = paletteColor }, make([]byte, 4), ErrDamaged, "palette"},
		{"gray of three samples", func(i *Image) { i.Samples = 3 }, make([]byte, 12), ErrDamaged, "samples"},
		{"no rows", func(i *Image) { i.Rows = 0 }, nil, ErrDamaged, "rows"},
		{"12 bits allocated", func(i *Image) { i.BitsAllocated = 12 }, make([]byte, 6), ErrUnsupported, "12 bits"},
		{"huge", func(i *Image) { i.Rows, i.Columns = 60000, 60000 }, nil, ErrUnsupported, "256 MiB"},
		{"cut", func(*Image) {}, make([]byte, 3), ErrDamaged, "3 bytes, of 4"},
		{"JPEG 2000", func(i *Image) { i.TransferSyntax = dict.JPEG2000 }, nil, ErrUnsupported, "transfer syntax"},
		{"not JPEG", func(i *Image) { i.TransferSyntax = dict.JPEGBaseline8Bit }, []byte("no"), ErrDamaged, "JPEG"},
		{"RLE without a head", rle, make([]byte, 60), ErrDamaged, "segments"},
		{"RLE of two segments", rle, segments(2, 64), ErrDamaged, "segments"},
		{"RLE outside", rle, segments(1, 1<<31), ErrDamaged, "outside"},
		{"RLE in its head", rle, segments(1, 4), ErrDamaged, "outside"},
		{"RLE too short", rle, segments(1, 64, 0xFE, 7), ErrDamaged, "too short"},
		{"RLE run cut", rle, segments(1, 64, 3, 7, 7), ErrDamaged, "too short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			img := plain(2, 2)
			c.change(img)
			_, err := Frame(img, c.frame, nil)
			require.ErrorIs(t, err, c.err)
			require.ErrorContains(t, err, c.says)
		})
	}
	img := plain(2, 2)
	rle(img)
	// nothing, a run of two, and six of which the frame ends after two
	got, err := Frame(img, segments(1, 64, 0x80, 0xFF, 0, 5, 9, 10, 1), nil)
	require.NoError(t, err)
	require.Equal(t, []byte{0, 0, 230, 255}, got.(*image.Gray).Pix)
}

func TestOptions(t *testing.T) {
	img := plain(2, 4)
	frame := []byte{0, 10, 20, 30, 40, 50, 60, 255}
	for _, c := range []struct {
		name string
		o    Options
		want []byte // of a PNG
		size image.Point
		says string
	}{
		{name: "as it is", want: frame, size: image.Pt(4, 2)},
		{name: "half", o: Options{Width: 2, Height: 100}, size: image.Pt(2, 1)},
		{name: "to a height", o: Options{Height: 1}, size: image.Pt(2, 1)},
		{name: "larger", o: Options{Width: 100, Height: 100}, size: image.Pt(100, 50)},
		{name: "a part", o: Options{Source: [4]int{1, 0, 2, 1}}, want: []byte{10, 20}, size: image.Pt(2, 1)},
		{name: "to the edge", o: Options{Source: [4]int{2, 1, 0, 0}}, want: []byte{60, 255}, size: image.Pt(2, 1)},
		{name: "beyond the edge", o: Options{Source: [4]int{2, 1, 9, 9}}, want: []byte{60, 255}, size: image.Pt(2, 1)},
		{name: "mirrored", o: Options{Source: [4]int{0, 0, -4, -2}}, want: []byte{255, 60, 50, 40, 30, 20, 10, 0}, size: image.Pt(4, 2)},
		{name: "outside", o: Options{Source: [4]int{4, 0, 0, 0}}, says: "outside"},
		{name: "before", o: Options{Source: [4]int{-1, 0, 0, 0}}, says: "within"},
		{name: "type", o: Options{Type: "image/gif"}, says: "image/png"},
		{name: "quality", o: Options{Quality: 101}, says: "quality"},
		{name: "viewport", o: Options{Width: 10000}, says: "viewport"},
		{name: "window", o: Options{Window: &Window{Width: 0.5}}, says: "window"},
		{name: "function", o: Options{Window: &Window{Width: 5, Function: "CUBIC"}}, says: "window"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Type == "" {
				c.o.Type = PNG
			}
			b, err := Picture(img, frame, &c.o)
			if c.says != "" {
				require.ErrorIs(t, err, ErrOptions)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			got, err := png.Decode(bytes.NewReader(b))
			require.NoError(t, err)
			require.Equal(t, c.size, got.Bounds().Size())
			if c.want != nil {
				require.Equal(t, c.want, got.(*image.Gray).Pix)
			}
			c.o.Type = JPEG
			b, err = Picture(img, frame, &c.o)
			require.NoError(t, err)
			got, err = jpeg.Decode(bytes.NewReader(b))
			require.NoError(t, err)
			require.Equal(t, c.size, got.Bounds().Size())
		})
	}
}

// TestScaleIsEven: an even image stays even at any size, and a gradient stays one.
func TestScaleIsEven(t *testing.T) {
	for _, size := range []int{1, 2, 3, 7, 40, 64, 100} {
		even, slope := make([]byte, 40*40), make([]byte, 40*40)
		for i := range even {
			even[i], slope[i] = 77, byte(i%40*6)
		}
		shares := weigh(0, 40, size, false)
		out := make([]byte, size*size)
		scale(out, even, 40, 1, shares, shares)
		for _, v := range out {
			require.Equal(t, byte(77), v)
		}
		scale(out, slope, 40, 1, shares, shares)
		for i := 1; i < size; i++ {
			require.GreaterOrEqual(t, out[i], out[i-1])
		}
	}
}

// FuzzFrame: nothing makes it panic, and a picture has the size that the header says.
func FuzzFrame(f *testing.F) {
	for i, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian} {
		d := phantom(8, 8, nil)
		b, err := d.AppendTo(stream.FileMeta{TransferSyntaxUID: syntax}.AppendTo(nil), syntax)
		require.NoError(f, err)
		f.Add(b, []byte{1, 2, byte(i)})
	}
	f.Fuzz(func(t *testing.T, file, frame []byte) {
		img, err := Describe(bytes.NewReader(file), int64(len(file)), 1)
		if err != nil || img.Rows*img.Columns > 1<<16 {
			return
		}
		for _, syntax := range []string{img.TransferSyntax, dict.RLELossless, dict.JPEGBaseline8Bit} {
			img.TransferSyntax = syntax
			got, err := Frame(img, frame, nil)
			if err == nil {
				require.Equal(t, image.Pt(img.Columns, img.Rows), got.Bounds().Size())
			}
		}
	})
}
