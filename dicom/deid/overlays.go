// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/stream"
)

// maskOf returns what clears the bits of overlays that go, in the pixel data with this head.
func (w *rewriter) maskOf(h *stream.Head, lv *level) (pixels.Mask, error) {
	m, why := lv.pixels.Mask(*h, lv.enc, w.syntax)
	if why == "" {
		return m, nil
	}
	return m, &UnsafeError{
		Reason: OverlayInPixels, SOPInstanceUID: w.report.SOPInstanceUID,
		Detail: "an overlay, which the profile removes, is in bits of its pixel data, and " + why,
	}
}

// nestedPixels clears the bits of overlays in pixel data within an item, whose value was written behind begin.
func (w *rewriter) nestedPixels(e *values.Element, begin int, lv *level) error {
	lv.pixels.Passed = true
	m, err := w.maskOf(&e.Head, lv)
	if m.On && len(w.out)-begin == len(e.In) { // it stays
		m.Apply(w.out[begin+e.Size:])
	}
	return err
}

// lateOverlay refuses an item in which an overlay comes behind the pixel data that it lies in.
func (w *rewriter) lateOverlay(lv *level) error {
	_, err := w.maskOf(&stream.Head{Content: stream.Fragments}, lv)
	return err
}
