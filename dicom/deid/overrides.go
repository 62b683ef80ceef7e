// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dict"
)

// exact tells whether an override names one attribute.
func (o *override) exact() bool { return o.mask == 0xFFFFFFFF && o.creator == "" }

// private tells whether an override is about private attributes alone.
func (o *override) private() bool { return o.mask>>16&1 == 1 && o.tag.IsPrivate() }

// matches tells whether an override applies to an attribute of an even group. One that names many attributes passes those by
// that its action can't be done to, or that must stay. vr is 0 for what no dictionary knows, which only the exact tag keeps.
func (o *override) matches(tag dict.Tag, vr dict.VR) bool {
	switch {
	case tag&o.mask != o.tag || o.creator != "":
		return false
	case o.exact():
		return true
	case vr == 0:
		return o.vr == 0 && silent.has(o.action)
	}
	return (o.vr == 0 || o.vr == vr) && o.forbidden(tag) == "" && o.unfit(tag, vr) == ""
}

// matchesPrivate tells whether an override applies to a private element, of which the list of safe ones knows the VR (UN: it doesn't). One
// that isn't about private attributes alone may only take them away.
func (o *override) matchesPrivate(tag dict.Tag, known dict.VR, creator string) bool {
	switch {
	case o.creator != "":
		return o.creator == creator && tag&0xFFFF00FF == o.tag
	case tag&o.mask != o.tag:
		return false
	case o.private():
		return true
	}
	return (o.action == Remove || o.action == Empty) && (o.vr == 0 || o.vr == known)
}

// check says what is wrong with an override.
func (o *override) check() error {
	vr, known := o.target()
	switch {
	case !o.exact():
	case !known && o.vr == 0 && o.action != Remove && o.action != Empty:
		return fmt.Errorf("the dictionary doesn't know %s; say by vr: what it holds", o.tag)
	case known && o.vr != 0 && o.vr != vr:
		return fmt.Errorf("%s is of VR %s, not %s; leave the VR out", named(o.tag), vr, o.vr)
	default:
		if why := o.forbidden(o.tag); why != "" {
			return errors.New(why)
		}
	}
	if vr = cmp.Or(o.vr, vr); vr == 0 {
		return nil
	}
	var tag dict.Tag // 0 for all of the VR
	if o.exact() || o.private() {
		tag = o.tag
	}
	if why := o.unfit(tag, vr); why != "" {
		return errors.New(why)
	}
	return nil
}

// target gives the VR of what an override names, if it is known: by the dictionary, the table, or the list of safe private attributes.
func (o *override) target() (vr dict.VR, known bool) {
	switch {
	case o.creator != "":
		vr, _ = safePrivate(o.creator, o.tag.Group(), uint8(o.tag))
		return vr, vr != 0 && vr != dict.UN
	case !o.exact() || o.private():
		return 0, false
	}
	if r, listed := rowOf(o.tag); listed {
		return r.vr, true
	}
	e, known := dict.Lookup(o.tag)
	return e.VR, known
}

func named(tag dict.Tag) string { return strings.TrimSpace(tag.Keyword() + " " + tag.String()) }

// forbidden says why an override may not change an attribute without which the result would be no valid instance, or that is
// given a value anyway; "" if it may.
func (o *override) forbidden(tag dict.Tag) string {
	switch tag {
	case dict.PatientName, dict.PatientID:
		return named(tag) + " becomes the pseudonym; leave the override out"
	case dict.PatientIdentityRemoved, dict.DeidentificationMethod, dict.DeidentificationMethodCodeSequence,
		dict.LongitudinalTemporalInformationModified:
		return named(tag) + " says how the instance was de-identified, and is always written; leave the override out"
	}
	if o.action == Keep {
		return ""
	}
	switch tag {
	case dict.ReferencedSOPInstanceUID:
		if o.action == MapUID {
			return ""
		}
		return named(tag) + " says which instance is referred to; take uid or keep"
	case dict.SOPInstanceUID, dict.StudyInstanceUID, dict.SeriesInstanceUID:
		if o.action == MapUID {
			return ""
		}
		return named(tag) + " tells instances apart and must have a UID of its own; take uid or keep"
	case dict.SOPClassUID:
		return named(tag) + " says what the instance is, and stays; leave the override out"
	case dict.SpecificCharacterSet:
		return named(tag) + " says how the instance's text is to be read, and follows it; leave the override out"
	case dict.SamplesPerPixel, dict.PhotometricInterpretation, dict.PlanarConfiguration, dict.NumberOfFrames, dict.Rows, dict.Columns,
		dict.BitsAllocated, dict.BitsStored, dict.HighBit, dict.PixelRepresentation, dict.PixelData, dict.FloatPixelData,
		dict.DoubleFloatPixelData, dict.ExtendedOffsetTable, dict.ExtendedOffsetTableLengths:
		return named(tag) + " is or describes the pixel data, which stays as it is; leave the override out"
	}
	return o.breaks(tag)
}

// unfit says why an action can't be done to an attribute of a VR; "" if it can. The tag is 0 for all of the VR.
func (o *override) unfit(tag dict.Tag, vr dict.VR) string {
	what := func() string {
		if tag == 0 {
			return "VR " + vr.String()
		}
		return fmt.Sprintf("%s of VR %s", named(tag), vr)
	}
	switch o.action {
	case Hash, Clean:
		switch vr {
		case dict.AE, dict.CS, dict.LO, dict.LT, dict.PN, dict.SH, dict.ST, dict.UC, dict.UT:
			return ""
		}
		return fmt.Sprintf("%s is for text, not for %s; take another action, such as remove or empty", o.action, what())
	case MapUID:
		if vr != dict.UI {
			return fmt.Sprintf("uid is for UIDs, not for %s; take another action, such as remove, or keep for a sequence, whose items are de-identified", what())
		}
	case Shift:
		if vr != dict.DA && vr != dict.DT && vr != dict.TM && tag != dict.TimezoneOffsetFromUTC {
			return fmt.Sprintf("shift is for dates and times, not for %s; take another action, such as clean or remove", what())
		}
	case Truncate:
		if vr != dict.DA && vr != dict.DT {
			return fmt.Sprintf("truncate is for dates, not for %s; take another action, such as remove or empty", what())
		}
	case Edit:
		if !vr.Text() {
			return fmt.Sprintf("regex is for text, not for %s; take another action, such as remove or empty", what())
		}
	case Replace:
		if !isValid(vr, o.with) {
			return fmt.Sprintf("the value is none that %s can have (PS3.5 6.2); give another, or take remove or empty", what())
		}
	default:
	}
	return ""
}

// isValid tells whether a text is a value, or values, of a VR (PS3.5 6.2). The empty one is of all that text can be of.
func isValid(vr dict.VR, text string) bool {
	if !vr.Text() {
		return false
	}
	if !vr.MultiValued() {
		return isValue(vr, text)
	}
	for one := range strings.SplitSeq(text, `\`) {
		if !isValue(vr, one) {
			return false
		}
	}
	return true
}

// most is how many characters a value of a text VR may have; those that aren't here have no bound that matters.
var most = map[dict.VR]int{
	dict.AE: 16, dict.AS: 4, dict.CS: 16, dict.DS: 16, dict.IS: 12, dict.LO: 64, dict.LT: 10240, dict.PN: 3*64 + 2, dict.SH: 16, dict.ST: 1024, dict.UI: 64,
}

// forms tell whether a value that isn't empty has the form of its VR. VRs that aren't here have none.
var forms = map[dict.VR]func(v string) bool{
	dict.AE: func(v string) bool { return plainASCII([]byte(v)) },
	dict.AS: func(v string) bool {
		return len(v) == 4 && allDigits([]byte(v[:3])) && strings.ContainsRune("DWMY", rune(v[3]))
	},
	dict.CS: func(v string) bool { return plainASCII([]byte(v)) && !slices.ContainsFunc([]byte(v), notCode) },
	dict.DA: func(v string) bool { return len(v) == 8 && isCalendarDate([]byte(v)) },
	dict.DS: func(v string) bool {
		_, err := strconv.ParseFloat(v, 64)
		return err == nil && strings.Trim(v, "0123456789+-.eE") == ""
	},
	dict.DT: func(v string) bool { return isDateTime([]byte(v)) },
	dict.IS: func(v string) bool {
		_, err := strconv.ParseInt(v, 10, 32)
		return err == nil
	},
	dict.PN: func(v string) bool {
		groups := strings.Split(v, "=")
		return len(groups) <= 3 && !slices.ContainsFunc(groups, func(g string) bool { return utf8.RuneCountInString(g) > 64 })
	},
	dict.TM: func(v string) bool { return !strings.Contains(v, ":") && isTime([]byte(v)) },
	dict.UI: dict.ValidUID,
	dict.UR: func(v string) bool { return !strings.ContainsAny(v, " \t") },
}

func isValue(vr dict.VR, v string) bool {
	breaks := ""
	if vr == dict.LT || vr == dict.ST || vr == dict.UT {
		breaks = "\r\n\t\f"
	}
	control := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(breaks, r) }
	if long, bound := most[vr]; !utf8.ValidString(v) || strings.ContainsFunc(v, control) || bound && utf8.RuneCountInString(v) > long {
		return false
	}
	v = strings.TrimSpace(v)
	form, has := forms[vr]
	return v == "" || !has || form(v)
}

// isCalendarDate tells whether eight bytes are a day.
func isCalendarDate(v []byte) bool {
	_, _, _, ok := parseDate(v) //nolint:dogsled // only whether
	return ok
}

// isDateTime tells whether a value is a DT, which may end after the year, the month or the day.
func isDateTime(v []byte) bool {
	switch len(v) {
	case 4, 6:
		return isCalendarDate(append(slices.Clone(v), "0101"[len(v)-4:]...))
	case 0, 1, 2, 3, 5, 7:
		return false
	}
	return len(v) <= 26 && isCalendarDate(v[:8]) && isTimeOfDT(v[8:])
}
