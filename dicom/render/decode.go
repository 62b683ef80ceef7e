// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"

	"github.com/adit-go/adit/dicom/dict"
)

// raster is a decoded frame: samples of whole bytes in little endian, but for single bits.
type raster struct {
	data        []byte
	bits        int // of a sample: 1, 8, 16, 32, 64
	samples     int
	planar      bool
	photometric string
}

// Decodes reports whether Picture decodes frames of a transfer syntax by itself. The 8-bit images of JPEG Extended are
// decoded, those of 12 bits are ErrUnsupported.
func Decodes(transferSyntaxUID string) bool {
	switch ts := dict.TransferSyntaxOf(transferSyntaxUID); {
	case !ts.Known:
		return false
	case !ts.Encapsulated:
		return true
	}
	switch transferSyntaxUID {
	case dict.EncapsulatedUncompressedExplicitVRLittleEndian, dict.RLELossless, dict.JPEGBaseline8Bit,
		dict.JPEGExtended12Bit:
		return true
	}
	return false
}

func decode(img *Image, frame []byte) (*raster, error) {
	switch {
	case img.TransferSyntax == dict.RLELossless:
		return decodeRLE(img, frame)
	case img.TransferSyntax == dict.JPEGBaseline8Bit, img.TransferSyntax == dict.JPEGExtended12Bit:
		return decodeJPEG(img, frame)
	case !Decodes(img.TransferSyntax):
		return nil, fmt.Errorf("%w: its transfer syntax is not known", ErrUnsupported)
	}
	r := &raster{
		data: frame, bits: img.BitsAllocated, samples: img.Samples, planar: img.Planar, photometric: img.Photometric,
	}
	pixels := img.Rows * img.Columns
	want := (pixels*img.Samples*img.BitsAllocated + 7) / 8
	switch img.Photometric {
	case ybrFull422, ybrPartial422:
		want = want / 3 * 2
		if img.Columns%2 == 1 || img.BitsAllocated != 8 {
			return nil, fmt.Errorf("%w: its colour can't be subsampled so", ErrDamaged)
		}
	case ybrPartial420, ybrReversible, ybrIrreversible:
		return nil, fmt.Errorf("%w: its photometric interpretation is one of compressed images", ErrUnsupported)
	}
	if len(frame) < want {
		return nil, fmt.Errorf("%w: its frame has %d bytes, of %d", ErrDamaged, len(frame), want)
	}
	return r, nil
}

// decodeRLE decodes RLE (PS3.5 annex G): a segment for each byte of a sample, the most significant first.
func decodeRLE(img *Image, frame []byte) (*raster, error) {
	width := img.BitsAllocated / 8
	pixels, segments := img.Rows*img.Columns, img.Samples*width
	if width == 0 || len(frame) < 64 || int(binary.LittleEndian.Uint32(frame)) != segments || segments > 15 {
		return nil, fmt.Errorf("%w: its RLE segments don't match its header", ErrDamaged)
	}
	r := &raster{
		data: make([]byte, pixels*segments), bits: img.BitsAllocated, samples: img.Samples, planar: true,
		photometric: img.Photometric,
	}
	switch r.photometric {
	case ybrFull422, ybrPartial422: // RLE has no subsampling; some encoders leave the word
		r.photometric = ybrFull
	case ybrPartial420, ybrReversible, ybrIrreversible:
		return nil, fmt.Errorf("%w: its photometric interpretation is not one of RLE", ErrUnsupported)
	}
	for s := range segments {
		begin, end := binary.LittleEndian.Uint32(frame[4+4*s:]), uint32(len(frame))
		if s+1 < segments {
			end = binary.LittleEndian.Uint32(frame[8+4*s:])
		}
		if begin < 64 || end < begin || end > uint32(len(frame)) {
			return nil, fmt.Errorf("%w: its RLE segments lie outside of the frame", ErrDamaged)
		}
		// the plane of the sample, and in it the byte, counted from the least significant
		out := r.data[s/width*pixels*width+(width-1-s%width):]
		if !unpackBits(out, width, pixels, frame[begin:end]) {
			return nil, fmt.Errorf("%w: an RLE segment is too short", ErrDamaged)
		}
	}
	return r, nil
}

// unpackBits writes count bytes, every step-th of out.
func unpackBits(out []byte, step, count int, in []byte) bool {
	for n := 0; n < count; {
		if len(in) < 2 {
			return false
		}
		c := int(int8(in[0]))
		switch {
		case c == -128:
			in = in[1:]
		case c < 0:
			for range min(1-c, count-n) {
				out[n*step] = in[1]
				n++
			}
			in = in[2:]
		default:
			run := min(1+c, count-n) // the frame may end within the last one
			if len(in) < 1+run {
				return false
			}
			for _, b := range in[1 : 1+run] {
				out[n*step] = b
				n++
			}
			in = in[min(2+c, len(in)):]
		}
	}
	return true
}

// decodeJPEG decodes 8-bit JPEG. Whether three components are YCbCr is what an Adobe marker says, and else what the
// header says: encoders of DICOM leave the JFIF marker out, and libraries guess then.
func decodeJPEG(img *Image, frame []byte) (*raster, error) {
	config, err := jpeg.DecodeConfig(bytes.NewReader(frame))
	if _, ok := err.(jpeg.UnsupportedError); ok { //nolint:errorlint // the decoder wraps none
		return nil, fmt.Errorf("%w: its kind of JPEG is not decoded in this program", ErrUnsupported)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its JPEG image is damaged", ErrDamaged)
	}
	if config.Width != img.Columns || config.Height != img.Rows {
		return nil, fmt.Errorf("%w: its JPEG image has another size than its header says", ErrDamaged)
	}
	decoded, err := jpeg.Decode(bytes.NewReader(frame))
	if _, ok := err.(jpeg.UnsupportedError); ok { //nolint:errorlint // the decoder wraps none
		return nil, fmt.Errorf("%w: its kind of JPEG is not decoded in this program", ErrUnsupported)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its JPEG image is damaged", ErrDamaged)
	}
	r := &raster{bits: 8, samples: img.Samples, photometric: img.Photometric}
	switch d := decoded.(type) {
	case *image.Gray:
		if img.Samples != 1 {
			break
		}
		r.data = make([]byte, 0, img.Rows*img.Columns)
		for y := range img.Rows {
			r.data = append(r.data, d.Pix[y*d.Stride:][:img.Columns]...)
		}
		return r, nil
	case *image.YCbCr:
		if img.Samples != 3 {
			break
		}
		r.photometric = rgb
		full := d.SubsampleRatio == image.YCbCrSubsampleRatio444 // what is subsampled isn't RGB, whatever is said of it
		r.data = fromYCbCr(d, img.Photometric == rgb && full && !adobe(frame))
		return r, nil
	case *image.RGBA: // an Adobe marker, or the names of the components, say so
		if img.Samples != 3 {
			break
		}
		r.photometric = rgb
		r.data = make([]byte, 0, img.Rows*img.Columns*3)
		for y := range img.Rows {
			for x := range img.Columns {
				r.data = append(r.data, d.Pix[y*d.Stride+4*x:][:3]...)
			}
		}
		return r, nil
	default:
		return nil, fmt.Errorf("%w: its JPEG image has four components", ErrUnsupported)
	}
	return nil, fmt.Errorf("%w: its JPEG image has other components than its header says", ErrDamaged)
}

// fromYCbCr gives RGB; asIs if the components are that already.
func fromYCbCr(d *image.YCbCr, asIs bool) []byte {
	b := d.Bounds()
	w := b.Dx()
	out := make([]byte, 0, w*b.Dy()*3)
	cb, cr := make([]uint8, w), make([]uint8, w)
	for y := range b.Dy() {
		chroma(cb, d, d.Cb, y)
		chroma(cr, d, d.Cr, y)
		for x, first := range d.Y[y*d.YStride:][:w] {
			second, third := cb[x], cr[x]
			if !asIs {
				first, second, third = color.YCbCrToRGB(first, second, third)
			}
			out = append(out, first, second, third)
		}
	}
	return out
}

// chroma gives a row of one colour component at full width. Between subsampled values it goes smoothly, three parts of
// the nearer to one of the farther in each direction, as other decoders of DICOM do (libjpeg's "fancy upsampling").
func chroma(out []uint8, d *image.YCbCr, plane []uint8, y int) {
	w, h := d.Rect.Dx(), d.Rect.Dy()
	if d.SubsampleRatio != image.YCbCrSubsampleRatio422 && d.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		for x := range out {
			out[x] = plane[d.COffset(x, y)]
		}
		return
	}
	near, far := y, y
	if d.SubsampleRatio == image.YCbCrSubsampleRatio420 {
		near = y / 2
		far = max(0, min(near+2*(y%2)-1, (h+1)/2-1))
	}
	half := (w + 1) / 2
	a, b := plane[near*d.CStride:][:half], plane[far*d.CStride:][:half]
	sum := func(x int) int { return 3*int(a[x]) + int(b[x]) }
	for x := range out {
		i := x / 2
		if x%2 == 0 {
			out[x] = uint8((3*sum(i) + sum(max(0, i-1)) + 8) >> 4)
		} else {
			out[x] = uint8((3*sum(i) + sum(min(half-1, i+1)) + 7) >> 4)
		}
	}
}

// adobe reports whether a JPEG image has an Adobe marker (APP14) before its first scan.
func adobe(b []byte) bool {
	for b = b[min(2, len(b)):]; len(b) >= 4 && b[0] == 0xFF; {
		if b[1] == 0xFF { // fill
			b = b[1:]
			continue
		}
		size := int(b[2])<<8 | int(b[3])
		switch {
		case b[1] == 0xEE && bytes.HasPrefix(b[4:], []byte("Adobe")):
			return true
		case b[1] == 0xDA || size+2 > len(b):
			return false
		}
		b = b[size+2:]
	}
	return false
}
