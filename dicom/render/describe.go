// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// maxValue bounds what is read of one element: a lookup table of 65,536 entries, as segments that don't save anything.
const maxValue = 512 << 10

// place is where in a data set an element can stand.
type place uint8

const (
	top place = iota
	modalityLUT
	voiLUT
	shared   // in the functional groups that all frames have (PS3.3 C.7.6.16)
	perFrame // in those of the frame
	nowhere
)

type key struct {
	tag dict.Tag
	at  place
}

// span is a value in the file; the first of its key counts.
type span struct {
	offset, length int64
	vr             dict.VR
}

// header are the values that matter for a picture, where they lie.
type header struct {
	file   io.ReaderAt
	enc    stream.Encoding
	values map[key]span
	err    error
}

// Describe reads what the header of a file (PS3.10 7) says of a frame, counted from 1. It reads heads, and a few short
// values and lookup tables. The errors wrap ErrUnsupported, ErrDamaged, or are those of stream.TokensAt.
func Describe(file io.ReaderAt, size int64, frame int) (*Image, error) {
	meta, begin, err := stream.FileMetaAt(file, size)
	if err != nil {
		return nil, err
	}
	ts := dict.TransferSyntaxOf(meta.TransferSyntaxUID)
	if ts.Deflated {
		return nil, fmt.Errorf("%w: its data set is deflated", ErrUnsupported)
	}
	h := header{file: file, enc: stream.EncodingOf(ts), values: map[key]span{}}
	if err := h.scan(size, begin, meta.TransferSyntaxUID, frame); err != nil {
		return nil, err
	}
	img := h.image(meta.TransferSyntaxUID)
	return img, h.err
}

func (h *header) scan(size, begin int64, syntax string, frame int) error {
	var items [3]int // which item of each open sequence
	in := io.NewSectionReader(h.file, begin, size-begin)
	for t, err := range stream.TokensAt(in, size-begin, syntax, stream.Limits{}) {
		if err != nil {
			return err
		}
		depth := len(t.Path)
		switch {
		case depth == 0 && isPixelData(t.Tag):
			h.values[key{t.Tag, top}] = span{}
			return nil
		case t.Kind == stream.SequenceToken && depth < len(items):
			items[depth] = 0
		case t.Kind == stream.ItemToken && depth <= len(items):
			items[depth-1]++
		case t.Kind == stream.ValueToken && depth < len(items) && t.End > t.Value:
			k := key{t.Tag, placeOf(t.Path, items, frame)}
			if _, ok := h.values[k]; !ok && k.at != nowhere && wanted(t.Tag) {
				h.values[k] = span{begin + int64(t.Value), int64(t.End - t.Value), t.VR}
			}
		}
	}
	return nil
}

func isPixelData(t dict.Tag) bool {
	return t == dict.PixelData || t == dict.FloatPixelData || t == dict.DoubleFloatPixelData
}

func placeOf(path []dict.Tag, items [3]int, frame int) place {
	switch {
	case len(path) == 0:
		return top
	case len(path) == 1 && items[0] == 1 && path[0] == dict.ModalityLUTSequence:
		return modalityLUT
	case len(path) == 1 && items[0] == 1 && path[0] == dict.VOILUTSequence:
		return voiLUT
	case len(path) != 2 || items[1] != 1 ||
		path[1] != dict.FrameVOILUTSequence && path[1] != dict.PixelValueTransformationSequence:
	case items[0] == 1 && path[0] == dict.SharedFunctionalGroupsSequence:
		return shared
	case items[0] == frame && path[0] == dict.PerFrameFunctionalGroupsSequence:
		return perFrame
	}
	return nowhere
}

// wanted reports whether an element is one that image may read.
func wanted(t dict.Tag) bool {
	return t.Group() == 0x0028 || t == dict.PresentationLUTShape
}

func (h *header) image(syntax string) *Image {
	img := &Image{
		TransferSyntax: syntax,
		Rows:           h.uint16(dict.Rows), Columns: h.uint16(dict.Columns),
		Samples:     h.or1(dict.SamplesPerPixel),
		Photometric: h.text(key{dict.PhotometricInterpretation, top}),
		Planar:      h.uint16(dict.PlanarConfiguration) == 1,
		BitsStored:  h.uint16(dict.BitsStored), BitsAllocated: h.uint16(dict.BitsAllocated),
		HighBit: h.uint16(dict.HighBit), Signed: h.uint16(dict.PixelRepresentation) == 1,
		Frames:         max(1, h.int(dict.NumberOfFrames)),
		Representative: h.uint16(dict.RepresentativeFrameNumber),
		Inverse:        h.text(key{dict.PresentationLUTShape, top}) == "INVERSE",
	}
	if _, ok := h.values[key{dict.FloatPixelData, top}]; ok {
		img.Float, img.BitsAllocated = true, 32
	}
	if _, ok := h.values[key{dict.DoubleFloatPixelData, top}]; ok {
		img.Float, img.BitsAllocated = true, 64
	}
	h.padding(img)
	if img.Photometric == paletteColor {
		h.palette(img)
		return img
	}
	img.Modality = h.lut(dict.LUTDescriptor, dict.LUTData, 0, modalityLUT, img.Signed)
	img.Slope, img.Intercept = 1, 0
	if slope, ok := h.decimal(dict.RescaleSlope); ok && slope != 0 {
		img.Slope = slope
	}
	if intercept, ok := h.decimal(dict.RescaleIntercept); ok {
		img.Intercept = intercept
	}
	center, ok := h.decimal(dict.WindowCenter)
	if width, hasWidth := h.decimal(dict.WindowWidth); ok && hasWidth {
		img.Window = &Window{Center: center, Width: width, Function: h.text(h.find(dict.VOILUTFunction))}
		if !img.Window.valid() {
			img.Window = nil
		}
	}
	// what the modality LUT gives may be negative, whatever is stored (PS3.3 C.11.2.1.1)
	img.VOI = h.lut(dict.LUTDescriptor, dict.LUTData, 0, voiLUT, img.Signed || img.Intercept < 0)
	return img
}

// find looks for an element in the groups of the frame, in those of all frames, and at the top level.
func (h *header) find(tag dict.Tag) key {
	for _, at := range []place{perFrame, shared} {
		if _, ok := h.values[key{tag, at}]; ok {
			return key{tag, at}
		}
	}
	return key{tag, top}
}

// bytes reads a value, of which at most maxValue bytes.
func (h *header) bytes(k key) []byte {
	v, ok := h.values[k]
	if !ok {
		return nil
	}
	b := make([]byte, min(v.length, maxValue))
	if n, err := h.file.ReadAt(b, v.offset); n < len(b) {
		h.err = err
		return nil
	}
	return b
}

func (h *header) text(k key) string {
	if h.values[k].length > 1024 {
		return ""
	}
	first, _, _ := strings.Cut(string(h.bytes(k)), `\`)
	return strings.Trim(first, " \x00")
}

func (h *header) decimal(tag dict.Tag) (float64, bool) {
	v, err := strconv.ParseFloat(h.text(h.find(tag)), 64)
	return v, err == nil && !math.IsInf(v, 0) && !math.IsNaN(v)
}

// int reads a whole number (IS), 0 if there is none.
func (h *header) int(tag dict.Tag) int {
	n, err := strconv.ParseInt(h.text(key{tag, top}), 10, 32)
	if err != nil {
		return 0
	}
	return int(n)
}

func (h *header) words(k key) []uint16 {
	b := h.bytes(k)
	list := make([]uint16, len(b)/2)
	for i := range list {
		lo, hi := b[2*i], b[2*i+1]
		if h.enc.BigEndian() {
			lo, hi = hi, lo
		}
		list[i] = uint16(lo) | uint16(hi)<<8
	}
	return list
}

// uint16 reads a number (US), 0 if there is none.
func (h *header) uint16(tag dict.Tag) int {
	if h.values[key{tag, top}].length > 64 {
		return 0
	}
	if w := h.words(key{tag, top}); len(w) > 0 {
		return int(w[0])
	}
	return 0
}

func (h *header) or1(tag dict.Tag) int {
	if n := h.uint16(tag); n > 0 {
		return n
	}
	return 1
}

// padding reads Pixel Padding Value and Range Limit, in which order they are (PS3.3 C.7.5.1.1.2).
func (h *header) padding(img *Image) {
	w := h.words(key{dict.PixelPaddingValue, top})
	if len(w) == 0 || img.Float {
		return
	}
	number := func(w uint16) int {
		if img.Signed {
			return int(int16(w))
		}
		return int(w)
	}
	img.HasPadding, img.PaddingLow = true, number(w[0])
	img.PaddingTop = img.PaddingLow
	if w := h.words(key{dict.PixelPaddingRangeLimit, top}); len(w) > 0 {
		img.PaddingTop = number(w[0])
	}
	img.PaddingLow, img.PaddingTop = min(img.PaddingLow, img.PaddingTop), max(img.PaddingLow, img.PaddingTop)
}

func (h *header) palette(img *Image) {
	for _, c := range [][3]dict.Tag{
		{dict.RedPaletteColorLookupTableDescriptor, dict.RedPaletteColorLookupTableData, dict.SegmentedRedPaletteColorLookupTableData},
		{dict.GreenPaletteColorLookupTableDescriptor, dict.GreenPaletteColorLookupTableData, dict.SegmentedGreenPaletteColorLookupTableData},
		{dict.BluePaletteColorLookupTableDescriptor, dict.BluePaletteColorLookupTableData, dict.SegmentedBluePaletteColorLookupTableData},
	} {
		lut := h.lut(c[0], c[1], c[2], top, img.Signed)
		if lut == nil {
			img.Palette = nil
			return
		}
		img.Palette = append(img.Palette, *lut)
	}
}

// lut reads a lookup table; nil if there is none, or none of use.
func (h *header) lut(descriptor, data, segmented dict.Tag, at place, signed bool) *LUT {
	d := h.words(key{descriptor, at})
	if len(d) < 3 || d[2] < 8 || d[2] > 16 {
		return nil
	}
	lut := &LUT{First: int(d[1]), Bits: int(d[2])}
	if signed {
		lut.First = int(int16(d[1]))
	}
	entries := int(d[0])
	if entries == 0 {
		entries = 1 << 16
	}
	k := key{data, at}
	v, ok := h.values[k]
	bytes := ok && lut.Bits == 8 && v.length < int64(2*entries) // two in a word, the first in its lower half
	switch {
	case !ok && segmented != 0:
		lut.Entries = expand(h.words(key{segmented, at}), entries)
	case bytes:
		for _, w := range h.words(k) {
			lut.Entries = append(lut.Entries, w&0xFF, w>>8)
		}
	default:
		lut.Entries = h.words(k)
	}
	if len(lut.Entries) < entries {
		return nil
	}
	lut.Entries = lut.Entries[:entries]
	return lut
}

// expand expands a segmented palette to at most n entries (PS3.3 C.7.9.2).
func expand(in []uint16, n int) []uint16 {
	e := expander{all: in, most: n}
	e.run(in, len(in), true)
	return e.out
}

type expander struct {
	all  []uint16
	out  []uint16
	most int
}

// run expands so many segments. An indirect segment repeats others, none of which may be indirect.
func (e *expander) run(in []uint16, segments int, indirect bool) {
	for ; segments > 0 && len(in) >= 2 && len(e.out) < e.most; segments-- {
		op, n := in[0], int(in[1])
		in = in[2:]
		switch {
		case op == 0 && len(in) >= n: // discrete
			e.out = append(e.out, in[:n]...)
			in = in[n:]
		case op == 1 && len(in) >= 1 && len(e.out) > 0: // linear, from the last entry to this
			last := float64(e.out[len(e.out)-1])
			by := (float64(in[0]) - last) / float64(n)
			for i := range n {
				e.out = append(e.out, uint16(math.Round(last+by*float64(i+1))))
			}
			in = in[1:]
		case op == 2 && len(in) >= 2 && indirect: // by an offset in bytes
			at := int(in[0]) | int(in[1])<<16
			if at%2 == 1 || at/2 > len(e.all) {
				return
			}
			e.run(e.all[at/2:], n, false)
			in = in[2:]
		default:
			return
		}
	}
}
