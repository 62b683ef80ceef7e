// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pixels judges the image of an instance without decoding it: whether text may be burned in, which of its bits
// hold overlays, and what follows its last frame.
package pixels

import (
	"bytes"
	"slices"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Images judges objects by whether their images are likely to show who somebody is. It remembers SOP classes, and what
// it said of the last instance.
type Images struct {
	classes           map[string]Class
	conversion, image []byte // of the last instance
	isCaptured        bool
}

// maxClasses is how many SOP classes are remembered; beyond that it begins anew.
const maxClasses = 1 << 10

// NewImages returns what judges the images of a subject's instances.
func NewImages() Images { return Images{classes: map[string]Class{}} }

// Class is what the refusals need to know of a SOP class.
type Class struct {
	Storage bool
	Text    TextIn
}

// Class returns what is known of a SOP class.
func (j *Images) Class(uid []byte) Class {
	c, ok := j.classes[string(uid)]
	if !ok {
		c = Class{Storage: dict.IsStorageClass(string(uid)), Text: textOf(string(uid))}
		if len(j.classes) >= maxClasses {
			clear(j.classes)
		}
		if len(uid) <= 64 {
			j.classes[string(uid)] = c
		}
	}
	return c
}

// Answer is what an attribute of YES and NO says.
type Answer uint8

// What such an attribute may say.
const (
	saysNothing Answer = iota // absent, or empty
	saysNo                    // one value, NO, as CS or UN
	SaysOther                 // YES, or anything else
)

// Says returns what an attribute of YES and NO says.
func Says(h *stream.Header, tag dict.Tag) Answer {
	e, ok := h.Get(tag)
	value := values.Trimmed(e.Value)
	switch {
	case !ok || len(value) == 0:
		return saysNothing
	// archives that do not know an attribute send UN
	case (e.VR == dict.CS || e.VR == dict.UN) && string(value) == "NO":
		return saysNo
	}
	return SaysOther
}

// BurnedIn returns, as a clause, why text is burned in, or may be: the instance doesn't plainly say NO, and is of a
// kind that often has it. It is empty of others.
func (j *Images) BurnedIn(o *stream.Object, c Class) string {
	h := o.Header()
	burned, label := Says(h, dict.BurnedInAnnotation), Says(h, dict.SpecimenLabelInImage)
	const (
		notNo   = ", and (0028,0301) BurnedInAnnotation isn't NO"
		capture = "(0008,0008) ImageType or (0008,0064) ConversionType says that it was captured from a screen, a " +
			"film or paper" + notNo
	)
	switch {
	case burned == SaysOther:
		return "(0028,0301) BurnedInAnnotation is present and is not NO"
	case label == SaysOther:
		return "(0048,0010) SpecimenLabelInImage is present and is not NO"
	case c.Text == textUnlikely && (burned == saysNo || !j.captured(h)):
		return ""
	case c.Text == textUnlikely:
		return capture
	case shows(h, "LABEL"), c.Text == slide && label != saysNo && shows(h, "OVERVIEW", "LOCALIZER", "MACRO"):
		// whatever it says of annotations: the label of a slide, or of a jar, is no annotation
		return "(0008,0008) ImageType says that it shows a label"
	case burned == saysNo:
		return ""
	case c.Storage && c.Text != noImage && c.Text != Document:
		return "images of its SOP class often show text" + notNo
	case hasPixels(o):
		return "it has an image, unlike others of its SOP class" + notNo
	case j.captured(h):
		return capture
	}
	return ""
}

// hasPixels reports whether an instance has an image.
func hasPixels(o *stream.Object) bool {
	h := o.Header()
	if body, ok := o.Body(); ok {
		switch body.Tag {
		case dict.PixelData, dict.FloatPixelData, dict.DoubleFloatPixelData:
			return true
		}
		return has(h, dict.Rows) // it may stand behind this
	}
	return has(h, dict.PixelData) || has(h, dict.FloatPixelData) ||
		has(h, dict.DoubleFloatPixelData) || has(h, dict.PixelDataProviderURL)
}

func has(h *stream.Header, tag dict.Tag) bool {
	_, ok := h.Get(tag)
	return ok
}

// captured remembers what it reports of the last instance: those of a series are alike.
func (j *Images) captured(h *stream.Header) bool {
	conversion, _ := h.Get(dict.ConversionType)
	image, _ := h.Get(dict.ImageType)
	if !bytes.Equal(j.conversion, conversion.Value) || !bytes.Equal(j.image, image.Value) {
		j.conversion, j.image = append(j.conversion[:0], conversion.Value...), append(j.image[:0], image.Value...)
		j.isCaptured = captured(h)
	}
	return j.isCaptured
}

// captured reports whether an image was made from a screen, a film or paper, or to be read like one, whatever its
// class.
func captured(h *stream.Header) bool {
	if e, ok := h.Get(dict.ConversionType); ok {
		var room [16]byte
		switch string(letters(room[:0], e.Value)) {
		// of a workstation, scanned, a film, video, drawn, put together (PS3.3 C.8.6.1)
		case "WSD", "SD", "SI", "DF", "DV", "DRW", "SYN":
			return true
		}
	}
	return shows(
		h, "SCREEN", "CAPTURE", "SNAPSHOT", "HARDCOPY", "PRINTOUT",
		"SCANNED", "REPORT", "DOSEINFO", "PROTOCOL", "SOM5PROT",
	)
}

// shows reports whether a value of Image Type (0008,0008) has one of these parts, in whatever case, and whatever stands
// between its letters: "Screen Save" has SCREEN. "Screening" hasn't, it is an examination.
func shows(h *stream.Header, parts ...string) bool {
	e, ok := h.Get(dict.ImageType)
	if !ok {
		return false
	}
	var room [128]byte
	text := bytes.ReplaceAll(letters(room[:0], e.Value), []byte("SCREENING"), nil)
	return slices.ContainsFunc(parts, func(part string) bool { return bytes.Contains(text, []byte(part)) })
}

// letters appends the letters and digits of values, in capitals, and what parts values.
func letters(b, values []byte) []byte {
	for _, c := range values {
		switch {
		case c >= 'a' && c <= 'z':
			b = append(b, c-'a'+'A')
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '\\':
			b = append(b, c)
		}
	}
	return b
}
