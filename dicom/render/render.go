// SPDX-License-Identifier: AGPL-3.0-or-later

// Package render makes a picture of one frame, as people see it: 8 bits, windowed, as JPEG or PNG. It is pure: bytes
// in, bytes out. What it is given may be hostile, and Go's decoders may take much memory for it, so the program runs it
// in a process of its own (engine/pictures).
package render

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math"
)

// ErrUnsupported is wrapped where a frame is of a kind that can't be shown here, whatever its bytes are.
var ErrUnsupported = errors.New("this image cannot be shown here")

// ErrDamaged is wrapped where the bytes of a frame are not what its header says.
var ErrDamaged = errors.New("this image cannot be decoded")

// ErrOptions is wrapped where a request asks for what can't be.
var ErrOptions = errors.New("such a picture cannot be made")

// Limits of what is made.
const (
	// MaxFrame is how many bytes a frame may have, compressed or not.
	MaxFrame = 256 << 20
	// MaxSide is how many pixels a viewport may have in either direction.
	MaxSide = 8192
)

// The media types of pictures.
const (
	JPEG = "image/jpeg"
	PNG  = "image/png"
)

// Image is what a header says of a frame (PS3.3 C.7.6.3, C.11.1, C.11.2). Describe makes it of a file.
type Image struct {
	TransferSyntax string
	Rows, Columns  int
	Samples        int
	Photometric    string
	Planar         bool // colour by plane
	BitsAllocated  int
	BitsStored     int
	HighBit        int
	Signed         bool
	Float          bool // Float or Double Float Pixel Data, by BitsAllocated
	Frames         int  // Number of Frames, at least 1
	Representative int  // Representative Frame Number; 0 if there is none

	HasPadding             bool
	PaddingLow, PaddingTop int // stored values from low to top show no pixel

	Palette          []LUT // red, green, blue; nil if there is none
	Modality         *LUT
	Slope, Intercept float64 // 1 and 0 where there are none
	Window           *Window // the first one
	VOI              *LUT    // the first one, which counts without a window
	Inverse          bool    // by Presentation LUT Shape
}

// LUT is a lookup table (PS3.3 C.11.1.1.1). Values below First have its first entry, values beyond it the last.
type LUT struct {
	First   int
	Bits    int // of an entry, 8 to 16
	Entries []uint16
}

func (l *LUT) at(v int64) uint16 {
	return l.Entries[max(0, min(v-int64(l.First), int64(len(l.Entries)-1)))]
}

// The VOI LUT functions (PS3.3 C.11.2.1.2 and C.11.2.1.3).
const (
	Linear      = "LINEAR"
	LinearExact = "LINEAR_EXACT"
	Sigmoid     = "SIGMOID"
)

// Window says which values become gray.
type Window struct {
	Center, Width float64 // in units of the modality LUT's output
	Function      string  // Linear if empty
}

// valid reports whether the window is one (PS3.3 C.11.2.1.2).
func (w *Window) valid() bool {
	least := math.SmallestNonzeroFloat64
	switch w.Function {
	case "", Linear:
		least = 1
	case LinearExact, Sigmoid:
	default:
		return false
	}
	return w.Width >= least && !math.IsInf(w.Width, 0) && !math.IsNaN(w.Center) && !math.IsInf(w.Center, 0)
}

// gray is the brightness of a value, 0 to 1.
func (w *Window) gray(x float64) float64 {
	switch w.Function {
	case Sigmoid:
		return 1 / (1 + math.Exp(-4*(x-w.Center)/w.Width))
	case LinearExact:
		return (x-w.Center)/w.Width + 0.5
	}
	if w.Width == 1 {
		if x <= w.Center-0.5 {
			return 0
		}
		return 1
	}
	return (x-(w.Center-0.5))/(w.Width-1) + 0.5
}

// Options say what a picture is to be like (PS3.18 8.3.5).
type Options struct {
	Type    string  // JPEG or PNG
	Quality int     // of JPEG, 1 to 100; 0 means 90
	Window  *Window // instead of that of the header; it has no effect on colour
	// Width and Height are what the picture is to fit into, with its proportions kept; 0 means as the frame is.
	Width, Height int
	// Source is the part of the frame that is shown: left, top, width, height in pixels. A width or height of 0 goes to
	// the edge; a negative one mirrors the picture (PS3.18 8.3.5.1.3).
	Source [4]int
}

// Check says what of the options can't be done. The error wraps ErrOptions.
func (o *Options) Check() error {
	switch {
	case o.Type != JPEG && o.Type != PNG:
		return fmt.Errorf("%w: only as image/jpeg and image/png", ErrOptions)
	case o.Quality < 0 || o.Quality > 100:
		return fmt.Errorf("%w: the quality must be from 1 to 100", ErrOptions)
	case o.Width < 0 || o.Width > MaxSide || o.Height < 0 || o.Height > MaxSide:
		return fmt.Errorf("%w: the viewport must have at most %d pixels in each direction", ErrOptions, MaxSide)
	case o.Window != nil && !o.Window.valid():
		return fmt.Errorf(
			"%w: the window must have a width above 0 (LINEAR: at least 1) and a function LINEAR, LINEAR_EXACT or SIGMOID",
			ErrOptions,
		)
	case o.Source[0] < 0 || o.Source[1] < 0:
		return fmt.Errorf("%w: the part to be shown must begin within the image", ErrOptions)
	}
	return nil
}

// Picture makes a picture of a frame, of which Describe made img. The errors wrap ErrUnsupported, ErrDamaged or
// ErrOptions; their text has nothing of the header's values.
func Picture(img *Image, frame []byte, o *Options) ([]byte, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	full, err := Frame(img, frame, o.Window)
	if err != nil {
		return nil, err
	}
	shown, err := fit(full, o)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if o.Type == PNG {
		err = png.Encode(&out, shown)
	} else {
		quality := o.Quality
		if quality == 0 {
			quality = 90
		}
		err = jpeg.Encode(&out, shown, &jpeg.Options{Quality: quality})
	}
	return out.Bytes(), err
}

// Frame is Picture without its scaling and encoding: an image.Gray or an opaque image.RGBA. A window counts instead of
// that of the header.
func Frame(img *Image, frame []byte, window *Window) (image.Image, error) {
	if err := img.check(); err != nil {
		return nil, err
	}
	if len(frame) > MaxFrame {
		return nil, fmt.Errorf("%w: its frame has more than %d MiB", ErrUnsupported, MaxFrame>>20)
	}
	r, err := decode(img, frame)
	if err != nil {
		return nil, err
	}
	if r.samples == 1 && img.Photometric != paletteColor {
		return grays(img, r, window)
	}
	return colours(img, r)
}

// The photometric interpretations (PS3.3 C.7.6.3.1.2) that can be shown.
const (
	monochrome1     = "MONOCHROME1"
	monochrome2     = "MONOCHROME2"
	paletteColor    = "PALETTE COLOR"
	rgb             = "RGB"
	ybrFull         = "YBR_FULL"
	ybrFull422      = "YBR_FULL_422"
	ybrPartial422   = "YBR_PARTIAL_422"
	ybrPartial420   = "YBR_PARTIAL_420"
	ybrReversible   = "YBR_RCT"
	ybrIrreversible = "YBR_ICT"
)

func (img *Image) check() error {
	samples := 3
	switch img.Photometric {
	case monochrome1, monochrome2, paletteColor:
		samples = 1
	case rgb, ybrFull, ybrFull422, ybrPartial422, ybrPartial420, ybrReversible, ybrIrreversible:
	default:
		return fmt.Errorf("%w: its photometric interpretation is not known", ErrUnsupported)
	}
	switch {
	case img.Samples != samples:
		return fmt.Errorf("%w: samples per pixel and photometric interpretation contradict each other", ErrDamaged)
	case img.Photometric == paletteColor && len(img.Palette) != 3:
		return fmt.Errorf("%w: it has no complete palette", ErrDamaged)
	case img.Rows < 1 || img.Columns < 1:
		return fmt.Errorf("%w: it has no rows or columns", ErrDamaged)
	}
	switch img.BitsAllocated {
	case 1, 8, 16, 32, 64:
	default:
		return fmt.Errorf("%w: it has %d bits allocated", ErrUnsupported, img.BitsAllocated)
	}
	if img.Float != (img.BitsAllocated == 64) && (!img.Float || img.BitsAllocated != 32) ||
		samples > 1 && (img.Float || img.BitsAllocated == 1) {
		return fmt.Errorf("%w: its kind of pixel data is not known", ErrUnsupported)
	}
	if int64(img.Rows)*int64(img.Columns)*int64(samples)*int64(img.BitsAllocated) > 8*MaxFrame {
		return fmt.Errorf("%w: decoded, it has more than %d MiB", ErrUnsupported, MaxFrame>>20)
	}
	return nil
}
