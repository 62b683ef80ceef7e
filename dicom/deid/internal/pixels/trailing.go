// SPDX-License-Identifier: AGPL-3.0-or-later

package pixels

import (
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ImageSize returns how many bytes the frames of an instance take in pixel data that isn't compressed, by Rows, Columns
// and what else its header says; -1 where that doesn't say it.
func ImageSize(h *stream.Header, enc stream.Encoding, pixels dict.Tag) int64 {
	samples, bits := short(h, enc, dict.SamplesPerPixel), short(h, enc, dict.BitsAllocated)
	switch pixels {
	case dict.FloatPixelData:
		samples, bits = 1, 32
	case dict.DoubleFloatPixelData:
		samples, bits = 1, 64
	}
	// two pixels share two of them
	if samples == 3 && strings.HasSuffix(h.Text(dict.PhotometricInterpretation), "_422") {
		samples = 2
	}
	frames := 1
	if text := h.Text(dict.NumberOfFrames); text != "" {
		frames, _ = strconv.Atoi(text) // 0 if it is none
	}
	size := short(h, enc, dict.Rows) * short(h, enc, dict.Columns)
	if samples > 16 || bits > 64 {
		return -1
	}
	if size *= samples * bits; size == 0 || frames <= 0 || int64(frames) > 1<<50/size {
		return -1
	}
	return (size*int64(frames) + 15) / 16 * 2 // of even length
}

// short reads a number of two bytes, 0 if there is none.
func short(h *stream.Header, enc stream.Encoding, tag dict.Tag) int64 {
	e, _ := h.Get(tag)
	switch {
	case e.VR != dict.US || len(e.Value) != 2:
		return 0
	case enc.BigEndian():
		return int64(e.Value[0])<<8 | int64(e.Value[1])
	}
	return int64(e.Value[1])<<8 | int64(e.Value[0])
}

// Trailing returns how many bytes of pixel data stand behind the image, where it is known how many the image takes.
func Trailing(length uint32, image int64) int64 {
	if length == stream.UndefinedLength || image < 0 {
		return 0
	}
	return max(0, int64(length)-image)
}
