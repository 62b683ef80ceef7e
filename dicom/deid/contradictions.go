// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// contradiction refuses overrides of which one never applies, since an earlier one decides otherwise on all of its attributes: the first match wins,
// and nobody who wrote both meant that.
func (p *Profile) contradiction() error {
	for j := range p.overrides {
		for i := range p.overrides[:j] {
			first, second := &p.overrides[i], &p.overrides[j]
			if first.does() != second.does() && first.covers(second) {
				return fmt.Errorf("%s can never apply, since %s (%s) decides before it on the same attributes; leave one of them out, or put the narrower one first",
					second.why, first.why, first.action)
			}
		}
	}
	return nil
}

// does says what an override does to what it applies to.
func (o *override) does() string {
	pattern := ""
	if o.pattern != nil {
		pattern = o.pattern.String()
	}
	return fmt.Sprintf("%s %q %q", o.action, o.with, pattern)
}

// covers reports whether an override applies to each attribute that another applies to.
func (o *override) covers(b *override) bool {
	switch {
	case o.creator != "":
		return o.creator == b.creator && o.tag == b.tag
	case b.creator != "":
		return o.coversBlock(b)
	case o.tag == b.tag && o.mask == b.mask && (o.vr == b.vr || o.exact()):
		return true
	case b.mask&o.mask != o.mask || b.tag&o.mask != o.tag:
		return false
	case b.exact():
		vr, _ := b.target()
		if b.tag.IsPrivate() {
			return o.matchesPrivate(b.tag, vr, "")
		}
		return o.matches(b.tag, vr)
	}
	return o.coversMany(b)
}

// coversBlock is covers for an element of a creator's blocks, of any number.
func (o *override) coversBlock(b *override) bool {
	return o.mask&0xFF00 == 0 && b.tag&o.mask == o.tag && (o.private() || o.onlyTakes() && o.vr == 0)
}

// coversMany is covers for an override of many attributes, each of which the other names. What an action can't be done to is left to the next override.
func (o *override) coversMany(b *override) bool {
	if b.private() && !o.private() && !o.onlyTakes() {
		return false
	}
	return o.vr != 0 && o.vr == b.vr || o.vr == 0 && (o.onlyTakes() || o.action == Keep)
}

func (o *override) onlyTakes() bool { return o.action == Remove || o.action == Empty }

// required are attributes that PS3.3 requires with a value (type 1, or 1C where the object has what asks for them) wherever they may stand, and that
// readers go by: whoever takes one away makes an object that no viewer shows, or shows wrong.
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

// testimony are the attributes by which an object says whether it shows who the patient is.
var testimony = map[dict.Tag]bool{
	dict.BurnedInAnnotation: true, dict.RecognizableVisualFeatures: true, dict.SpecimenLabelInImage: true,
}

// breaks says why an override that doesn't keep an attribute makes an object that nobody can rely on; "" if it doesn't.
func (o *override) breaks(tag dict.Tag) string {
	if testimony[tag] {
		return named(tag) + " says whether the image shows who the patient is, and must say what the source said; leave the override out"
	}
	why, is := required[tag]
	if !is || o.action == Replace && o.with != "" || o.action == Clean {
		return ""
	}
	return named(tag) + " " + why + ", and an instance without it is invalid (PS3.3, type 1); leave the override out, or replace the value by another"
}
