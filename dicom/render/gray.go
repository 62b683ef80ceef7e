// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"encoding/binary"
	"fmt"
	"image"
	"math"
)

// stored gives the value of a sample of which raw are the bits allocated (PS3.5 8.1.1).
func (img *Image) stored(raw uint32, bits int) int64 {
	n, shift := img.BitsStored, img.HighBit+1-img.BitsStored
	if n < 1 || n > bits {
		n = bits
	}
	if shift < 0 || shift+n > bits {
		shift = 0
	}
	v := int64(raw>>shift) & (1<<n - 1)
	if img.Signed && v >= 1<<(n-1) {
		v -= 1 << n
	}
	return v
}

// modality applies the Modality LUT or rescale (PS3.3 C.11.1).
func (img *Image) modality(v float64) float64 {
	if img.Modality != nil {
		return float64(img.Modality.at(int64(v)))
	}
	return v*img.Slope + img.Intercept
}

func (img *Image) padded(v int64) bool {
	return img.HasPadding && v >= int64(img.PaddingLow) && v <= int64(img.PaddingTop)
}

// values says how stored values become gray.
type values struct {
	img      *Image
	window   *Window
	min, max float64 // of the frame, where there is neither window nor VOI LUT
}

// gray is the brightness of a value that the modality LUT gave, 0 to 255.
func (v *values) gray(x float64) uint8 {
	var y float64
	switch {
	case v.window != nil:
		y = v.window.gray(x)
	case v.img.VOI != nil:
		lut := v.img.VOI
		y = float64(lut.at(int64(math.Floor(max(-1e9, min(x, 1e9)))))) / float64(int(1)<<lut.Bits-1)
	case v.max > v.min:
		y = (x - v.min) / (v.max - v.min)
	}
	if !(y > 0) { // or NaN
		y = 0
	}
	g := uint8(min(y, 1)*255 + 0.5)
	if v.img.Photometric == monochrome1 || v.img.Inverse { // both say the same (PS3.3 C.11.6.1.2)
		g = 255 - g
	}
	return g
}

// grays makes an image of gray values: by the window of the request, that of the header or its VOI LUT, and else from
// the least to the greatest value of the frame, padding left out.
func grays(img *Image, r *raster, window *Window) (image.Image, error) {
	if window == nil {
		if window = img.Window; window != nil && !window.valid() {
			window = nil
		}
	}
	v := &values{img: img, window: window}
	out := image.NewGray(image.Rect(0, 0, img.Columns, img.Rows))
	switch {
	case r.bits == 1:
		grayBits(v, r, out.Pix)
	case r.bits <= 16:
		grayTable(v, r, out.Pix)
	default:
		if err := grayWide(v, r, out.Pix); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// grayBits shows single bits: without a window, 0 is black and 1 white in each frame.
func grayBits(v *values, r *raster, out []byte) {
	v.min, v.max = v.img.modality(0), v.img.modality(1)
	table := [2]uint8{v.gray(v.img.modality(0)), v.gray(v.img.modality(1))}
	for i := range out {
		out[i] = table[r.data[i/8]>>(i%8)&1]
	}
}

// grayTable looks each value up that a sample of 8 or 16 bits can have.
func grayTable(v *values, r *raster, out []byte) {
	raw := func(i int) uint32 { return uint32(r.data[i]) }
	if r.bits == 16 {
		raw = func(i int) uint32 { return uint32(binary.LittleEndian.Uint16(r.data[2*i:])) }
	}
	used := make([]bool, 1<<r.bits)
	for i := range out {
		used[raw(i)] = true
	}
	v.min, v.max = math.Inf(1), math.Inf(-1)
	for b, ok := range used {
		if s := v.img.stored(uint32(b), r.bits); ok && !v.img.padded(s) {
			x := v.img.modality(float64(s))
			v.min, v.max = min(v.min, x), max(v.max, x)
		}
	}
	table := make([]uint8, 1<<r.bits)
	for b, ok := range used {
		if ok {
			table[b] = v.gray(v.img.modality(float64(v.img.stored(uint32(b), r.bits))))
		}
	}
	for i := range out {
		out[i] = table[raw(i)]
	}
}

// grayWide computes each value of 32 bits, or of a floating-point number.
func grayWide(v *values, r *raster, out []byte) error {
	var value func(i int) (x float64, padded bool)
	switch {
	case v.img.Float && r.bits == 32:
		value = func(i int) (float64, bool) {
			return float64(math.Float32frombits(binary.LittleEndian.Uint32(r.data[4*i:]))), false
		}
	case v.img.Float && r.bits == 64:
		value = func(i int) (float64, bool) {
			return math.Float64frombits(binary.LittleEndian.Uint64(r.data[8*i:])), false
		}
	case r.bits == 32:
		value = func(i int) (float64, bool) {
			s := v.img.stored(binary.LittleEndian.Uint32(r.data[4*i:]), 32)
			return v.img.modality(float64(s)), v.img.padded(s)
		}
	default:
		return fmt.Errorf("%w: its kind of pixel data is not known", ErrUnsupported)
	}
	v.min, v.max = math.Inf(1), math.Inf(-1)
	for i := range out {
		if x, padded := value(i); !padded && !math.IsNaN(x) && !math.IsInf(x, 0) {
			v.min, v.max = min(v.min, x), max(v.max, x)
		}
	}
	for i := range out {
		x, _ := value(i)
		out[i] = v.gray(x)
	}
	return nil
}
