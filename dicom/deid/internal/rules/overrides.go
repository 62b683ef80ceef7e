// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// exact reports whether an override names one attribute.
func (o *OwnRule) exact() bool { return o.Mask == 0xFFFFFFFF && o.Creator == "" }

// private reports whether an override is about private attributes alone.
func (o *OwnRule) private() bool { return o.Mask>>16&1 == 1 && o.Tag.IsPrivate() }

// Matches reports whether an override applies to an attribute of an even group. One that names many attributes passes
// those by that its action can't be done to, or that must stay. vr is 0 for what no dictionary knows, which only the
// exact tag keeps.
func (o *OwnRule) Matches(tag dict.Tag, vr dict.VR) bool {
	switch {
	case tag&o.Mask != o.Tag || o.Creator != "":
		return false
	case o.exact():
		return true
	case vr == 0:
		return o.VR == 0 && Silent.Has(o.Action)
	}
	return (o.VR == 0 || o.VR == vr) && o.forbidden(tag) == "" && o.unfit(tag, vr) == ""
}

// matchesPrivate reports whether an override applies to a private element, of which the list of safe ones knows the VR
// (UN: it doesn't). One that isn't about private attributes alone may only take them away.
func (o *OwnRule) matchesPrivate(tag dict.Tag, known dict.VR, creator string) bool {
	switch {
	case o.Creator != "":
		return o.Creator == creator && tag&0xFFFF00FF == o.Tag
	case tag&o.Mask != o.Tag:
		return false
	case o.private():
		return true
	}
	return (o.Action == Remove || o.Action == Empty) && (o.VR == 0 || o.VR == known)
}

// check says what is wrong with an override.
func (o *OwnRule) check() error {
	vr, known := o.target()
	switch {
	case !o.exact():
	case !known && o.VR == 0 && o.Action != Remove && o.Action != Empty:
		return fmt.Errorf("the dictionary doesn't know %s; say by vr: what it holds", o.Tag)
	case known && o.VR != 0 && o.VR != vr:
		return fmt.Errorf("%s is of VR %s, not %s; leave the VR out", Named(o.Tag), vr, o.VR)
	default:
		if why := o.forbidden(o.Tag); why != "" {
			return errors.New(why)
		}
	}
	if vr = cmp.Or(o.VR, vr); vr == 0 {
		return nil
	}
	var tag dict.Tag // 0 for all of the VR
	if o.exact() || o.private() {
		tag = o.Tag
	}
	if why := o.unfit(tag, vr); why != "" {
		return errors.New(why)
	}
	return nil
}

// target returns the VR of what an override names, if it is known: by the dictionary, the table, or the list of safe
// private attributes.
func (o *OwnRule) target() (vr dict.VR, known bool) {
	switch {
	case o.Creator != "":
		vr, _ = table.SafePrivate(o.Creator, o.Tag.Group(), uint8(o.Tag))
		return vr, vr != 0 && vr != dict.UN
	case !o.exact() || o.private():
		return 0, false
	}
	if r, listed := table.RowOf(o.Tag); listed {
		return r.VR, true
	}
	e, known := dict.Lookup(o.Tag)
	return e.VR, known
}

// Named returns keyword and number of an attribute.
func Named(tag dict.Tag) string { return strings.TrimSpace(tag.Keyword() + " " + tag.String()) }

// forbidden says why an override may not change an attribute without which the result would be no valid instance, or
// that is given a value anyway; "" if it may.
func (o *OwnRule) forbidden(tag dict.Tag) string {
	switch tag {
	case dict.PatientName, dict.PatientID:
		return Named(tag) + " becomes the pseudonym; leave the override out"
	case dict.PatientIdentityRemoved, dict.DeidentificationMethod, dict.DeidentificationMethodCodeSequence,
		dict.LongitudinalTemporalInformationModified:
		return Named(tag) + " says how the instance was de-identified, and is always written; leave the override out"
	}
	if o.Action == Keep {
		return ""
	}
	switch tag {
	case dict.ReferencedSOPInstanceUID:
		if o.Action == MapUID {
			return ""
		}
		return Named(tag) + " says which instance is referred to; take uid or keep"
	case dict.SOPInstanceUID, dict.StudyInstanceUID, dict.SeriesInstanceUID:
		if o.Action == MapUID {
			return ""
		}
		return Named(tag) + " tells instances apart and must have a UID of its own; take uid or keep"
	case dict.SOPClassUID:
		return Named(tag) + " says what the instance is, and stays; leave the override out"
	case dict.SpecificCharacterSet:
		return Named(tag) + " says how the instance's text is to be read, and follows it; leave the override out"
	case dict.SamplesPerPixel, dict.PhotometricInterpretation, dict.PlanarConfiguration, dict.NumberOfFrames,
		dict.Rows, dict.Columns,
		dict.BitsAllocated, dict.BitsStored, dict.HighBit, dict.PixelRepresentation, dict.PixelData,
		dict.FloatPixelData,
		dict.DoubleFloatPixelData, dict.ExtendedOffsetTable, dict.ExtendedOffsetTableLengths:
		return Named(tag) + " is or describes the pixel data, which stays as it is; leave the override out"
	}
	return o.breaks(tag)
}

// unfit says why an action can't be done to an attribute of a VR; "" if it can. The tag is 0 for all of the VR.
func (o *OwnRule) unfit(tag dict.Tag, vr dict.VR) string {
	what := func() string {
		if tag == 0 {
			return "VR " + vr.String()
		}
		return fmt.Sprintf("%s of VR %s", Named(tag), vr)
	}
	switch o.Action {
	case Hash, Clean:
		switch vr {
		case dict.AE, dict.CS, dict.LO, dict.LT, dict.PN, dict.SH, dict.ST, dict.UC, dict.UT:
			return ""
		}
		return fmt.Sprintf("%s is for text, not for %s; use another action, such as remove or empty", o.Action, what())
	case MapUID:
		if vr != dict.UI {
			return fmt.Sprintf(
				"uid is for UIDs, not for %s; use another action, such as remove, or keep for a sequence, whose "+
					"items are de-identified",
				what(),
			)
		}
	case Shift:
		if vr != dict.DA && vr != dict.DT && vr != dict.TM && tag != dict.TimezoneOffsetFromUTC {
			return fmt.Sprintf(
				"shift is for dates and times, not for %s; use another action, such as clean or remove", what(),
			)
		}
	case Truncate:
		if vr != dict.DA && vr != dict.DT {
			return fmt.Sprintf(
				"truncate is for dates, not for %s; use another action, such as remove or empty", what(),
			)
		}
	case Edit:
		if !vr.Text() {
			return fmt.Sprintf("regex is for text, not for %s; use another action, such as remove or empty", what())
		}
	case Replace:
		if !IsValid(vr, o.With) {
			return fmt.Sprintf(
				"%s can't have this value (PS3.5 6.2); give another, or use remove or empty", what(),
			)
		}
	default:
	}
	return ""
}

// IsValid reports whether a text is a value, or values, of a VR (PS3.5 6.2). The empty one is of all that text can be
// of.
func IsValid(vr dict.VR, text string) bool {
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
	dict.AE: 16, dict.AS: 4, dict.CS: 16, dict.DS: 16, dict.IS: 12, dict.LO: 64,
	dict.LT: 10240, dict.PN: 3*64 + 2, dict.SH: 16, dict.ST: 1024, dict.UI: 64,
}

// forms tell whether a value that isn't empty has the form of its VR. VRs that aren't here have none.
var forms = map[dict.VR]func(v string) bool{
	dict.AE: func(v string) bool { return values.PlainASCII([]byte(v)) },
	dict.AS: func(v string) bool {
		return len(v) == 4 && values.AllDigits([]byte(v[:3])) && strings.ContainsRune("DWMY", rune(v[3]))
	},
	dict.CS: func(v string) bool {
		return values.PlainASCII([]byte(v)) && !slices.ContainsFunc([]byte(v), values.NotCode)
	},
	dict.DA: func(v string) bool { return len(v) == 8 && dates.IsCalendarDate([]byte(v)) },
	dict.DS: func(v string) bool {
		_, err := strconv.ParseFloat(v, 64)
		return err == nil && strings.Trim(v, "0123456789+-.eE") == ""
	},
	dict.DT: func(v string) bool { return dates.IsDateTime([]byte(v)) },
	dict.IS: func(v string) bool {
		_, err := strconv.ParseInt(v, 10, 32)
		return err == nil
	},
	dict.PN: func(v string) bool {
		groups := strings.Split(v, "=")
		return len(groups) <= 3 &&
			!slices.ContainsFunc(groups, func(g string) bool { return utf8.RuneCountInString(g) > 64 })
	},
	dict.TM: func(v string) bool { return !strings.Contains(v, ":") && values.IsTime([]byte(v)) },
	dict.UI: dict.ValidUID,
	dict.UR: func(v string) bool { return !strings.ContainsAny(v, " \t") },
}

func isValue(vr dict.VR, v string) bool {
	breaks := ""
	if vr == dict.LT || vr == dict.ST || vr == dict.UT {
		breaks = "\r\n\t\f"
	}
	control := func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(breaks, r) }
	if long, bound := most[vr]; !utf8.ValidString(v) ||
		strings.ContainsFunc(v, control) || bound && utf8.RuneCountInString(v) > long {
		return false
	}
	v = strings.TrimSpace(v)
	form, has := forms[vr]
	return v == "" || !has || form(v)
}
