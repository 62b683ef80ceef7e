// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// contradiction refuses overrides of which one never applies, since an earlier one decides otherwise on all of its
// attributes: the first match wins, and nobody who wrote both meant that.
func (p *Profile) contradiction() error {
	for j := range p.Overrides {
		for i := range p.Overrides[:j] {
			first, second := &p.Overrides[i], &p.Overrides[j]
			if first.does() != second.does() && first.covers(second) {
				return fmt.Errorf("%s can never apply, since %s (%s) comes first and matches the same attributes; leave "+
					"one of them out, or put the narrower one first",
					second.Why, first.Why, first.Action)
			}
		}
	}
	return nil
}

// does says what an override does to what it applies to.
func (o *OwnRule) does() string {
	pattern := ""
	if o.Pattern != nil {
		pattern = o.Pattern.String()
	}
	return fmt.Sprintf("%s %q %q", o.Action, o.With, pattern)
}

// covers reports whether an override applies to each attribute that another applies to.
func (o *OwnRule) covers(b *OwnRule) bool {
	switch {
	case o.Creator != "":
		return o.Creator == b.Creator && o.Tag == b.Tag
	case b.Creator != "":
		return o.coversBlock(b)
	case o.Tag == b.Tag && o.Mask == b.Mask && (o.VR == b.VR || o.exact()):
		return true
	case b.Mask&o.Mask != o.Mask || b.Tag&o.Mask != o.Tag:
		return false
	case b.exact():
		vr, _ := b.target()
		if b.Tag.IsPrivate() {
			return o.matchesPrivate(b.Tag, vr, "")
		}
		return o.Matches(b.Tag, vr)
	}
	return o.coversMany(b)
}

// coversBlock is covers for an element of a creator's blocks, of any number.
func (o *OwnRule) coversBlock(b *OwnRule) bool {
	return o.Mask&0xFF00 == 0 && b.Tag&o.Mask == o.Tag && (o.private() || o.onlyTakes() && o.VR == 0)
}

// coversMany is covers for an override of many attributes, each of which the other names. What an action can't be done
// to is left to the next override.
func (o *OwnRule) coversMany(b *OwnRule) bool {
	if b.private() && !o.private() && !o.onlyTakes() {
		return false
	}
	return o.VR != 0 && o.VR == b.VR || o.VR == 0 && (o.onlyTakes() || o.Action == Keep)
}

func (o *OwnRule) onlyTakes() bool { return o.Action == Remove || o.Action == Empty }

// required are attributes that PS3.3 requires with a value (type 1, or 1C where the instance has what asks for them)
// wherever they may stand, and that readers go by: whoever takes one away makes an instance that no viewer shows, or
// shows wrong.
var required = map[dict.Tag]string{
	dict.Modality:                "says by what the image was made",
	dict.ImageType:               "says what kind of image it is",
	dict.ConversionType:          "says what the image was made from",
	dict.ImagePositionPatient:    "says where the image lies",
	dict.ImageOrientationPatient: "says how the image lies",
	dict.PixelSpacing:            "says how large the image is",
	dict.RescaleIntercept:        "says what the pixel values mean",
	dict.RescaleSlope:            "says what the pixel values mean",
	dict.ReferencedSOPClassUID:   "says what is referred to",
	dict.ValueType:               "says what a content item is",
	dict.RelationshipType:        "says how content items belong together",
	dict.ContinuityOfContent:     "says how content items belong together",
	dict.CodeMeaning:             "says what a code means",
}

// testimony are the attributes by which an instance says whether it shows who the patient is.
var testimony = map[dict.Tag]bool{
	dict.BurnedInAnnotation: true, dict.RecognizableVisualFeatures: true, dict.SpecimenLabelInImage: true,
}

// breaks says why an override that doesn't keep an attribute makes an instance that nobody can rely on; "" if it
// doesn't.
func (o *OwnRule) breaks(tag dict.Tag) string {
	if testimony[tag] {
		return Named(tag) +
			" says whether the image shows who the patient is, and must say what the source said; leave the " +
			"override out"
	}
	why, is := required[tag]
	if !is || o.Action == Replace && o.With != "" || o.Action == Clean {
		return ""
	}
	return Named(tag) + " " + why +
		", and an instance without it is invalid (PS3.3, type 1); leave the override out, or replace the value " +
		"by another"
}
