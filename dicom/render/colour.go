// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"math"
)

// colours makes an image of colour, by the palette or of three samples.
func colours(img *Image, r *raster) (image.Image, error) {
	out := image.NewRGBA(image.Rect(0, 0, img.Columns, img.Rows))
	raw, err := r.sample(img)
	if err != nil {
		return nil, err
	}
	if img.Photometric == paletteColor {
		paint(img, r, raw, out.Pix)
		return out, nil
	}
	pixels := img.Rows * img.Columns
	eight := func(i int) uint8 { // the upper bits of a sample
		n := img.BitsStored
		if n < 8 || n > r.bits {
			n = r.bits
		}
		return uint8(raw(i) >> max(0, n-8))
	}
	convert := toRGB(r.photometric)
	for i := range pixels {
		var a, b, c uint8
		switch {
		case r.photometric == ybrFull422 || r.photometric == ybrPartial422: // two of Y, Cb, Cr
			two := i / 2 * 4
			a, b, c = r.data[two+i%2], r.data[two+2], r.data[two+3]
		case r.planar:
			a, b, c = eight(i), eight(pixels+i), eight(2*pixels+i)
		default:
			a, b, c = eight(3*i), eight(3*i+1), eight(3*i+2)
		}
		a, b, c = convert(a, b, c)
		p := out.Pix[4*i:][:4]
		p[0], p[1], p[2], p[3] = a, b, c, 0xFF
	}
	return out, nil
}

// sample gives the bits allocated of each sample.
func (r *raster) sample(img *Image) (func(i int) uint32, error) {
	switch r.bits {
	case 1:
		return func(i int) uint32 { return uint32(r.data[i/8] >> (i % 8) & 1) }, nil
	case 8:
		return func(i int) uint32 { return uint32(r.data[i]) }, nil
	case 16:
		return func(i int) uint32 { return uint32(binary.LittleEndian.Uint16(r.data[2*i:])) }, nil
	case 32:
		return func(i int) uint32 { return binary.LittleEndian.Uint32(r.data[4*i:]) }, nil
	}
	return nil, fmt.Errorf("%w: colour of %d bits is not known", ErrUnsupported, img.BitsAllocated)
}

// paint looks colours up in the palette (PS3.3 C.7.6.3.1.5).
func paint(img *Image, r *raster, raw func(int) uint32, out []byte) {
	for i := range img.Rows * img.Columns {
		v := img.stored(raw(i), r.bits)
		p := out[4*i:][:4]
		for c := range 3 {
			lut := &img.Palette[c]
			p[c] = uint8(lut.at(v) >> max(0, lut.Bits-8))
		}
		p[3] = 0xFF
	}
}

// toRGB gives the conversion of a photometric interpretation (PS3.3 C.7.6.3.1.2).
func toRGB(photometric string) func(a, b, c uint8) (red, green, blue uint8) {
	switch photometric {
	case ybrFull, ybrFull422:
		return color.YCbCrToRGB
	case ybrPartial422:
		return func(a, b, c uint8) (red, green, blue uint8) {
			y, cb, cr := 1.1644*(float64(a)-16), float64(b)-128, float64(c)-128
			return clamp(y + 1.5960*cr), clamp(y - 0.3917*cb - 0.8130*cr), clamp(y + 2.0173*cb)
		}
	}
	return func(a, b, c uint8) (red, green, blue uint8) { return a, b, c }
}

func clamp(v float64) uint8 { return uint8(math.Round(max(0, min(v, 255)))) }
