// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// The VR of a private attribute stands in explicit VR alone. An object is the same object in every encoding, and so must be what
// becomes of it: so the VR is that of the override or of the list of safe attributes, never the stream's, and where neither has one the
// value itself tells what it may be.

// privateRule decides a private element by its block's creator. Its VR is UN where nothing tells.
func (p *Profile) privateRule(tag dict.Tag, creator string) rule {
	known, safe := safePrivate(creator, tag.Group(), uint8(tag))
	if known == 0 {
		known = dict.UN
	}
	d := rule{vr: known, action: Remove, why: "Table E.1-1: private attributes go"}
	for i := range p.overrides {
		o := &p.overrides[i]
		if !o.matchesPrivate(tag, known, creator) {
			continue
		}
		d.action, d.over, d.why = o.action, o, o.why
		if o.vr != 0 {
			d.vr = o.vr
		}
		d.shiftBeside(p)
		return d
	}
	if !safe || p.options&RetainSafePrivate == 0 && p.base != aditBase {
		return d
	}
	d.action, d.why = Keep, "on the list of safe private attributes"
	d.beSafe(p)
	return d
}

// shiftBeside has a private date shifted that an override keeps, where others are: no profile says of private ones that they are dates.
func (r *rule) shiftBeside(p *Profile) {
	if p.shifts && (r.vr == dict.DA || r.vr == dict.DT) && betraysShift(r.action) {
		r.action, r.why = Shift, r.why+"; a date, and the profile shifts them"
	}
}

// beSafe has a safe private attribute treated as others of its VR.
func (r *rule) beSafe(p *Profile) {
	switch r.vr {
	case dict.PN:
		r.action = Remove
	case dict.UI:
		if p.options&RetainUIDs == 0 {
			r.action, r.basic = MapUID, basicU
		}
	case dict.DA, dict.DT:
		switch {
		case p.shifts:
			r.action = Shift
		case p.options&FullDates == 0:
			r.action = Remove
		}
	}
}

// byValue decides for an element of which nothing but the value tells what it is.
func (p *Profile) byValue(d *rule, e *elem, utf8 bool) {
	switch {
	case e.Content != stream.PlainValue, d.action == Remove, d.action == Empty:
		return
	case startsItem(e.value):
		d.vr = dict.SQ
		return
	}
	d.vr = vrOfValue(e.value)
	remove := func(why string) { d.action, d.why = Remove, d.why+"; "+why }
	switch {
	case d.action != Keep:
		if d.vr == dict.UN || e.VR.Known() && e.VR != dict.UN && !e.VR.Text() {
			remove("not a text")
		}
	case d.vr == dict.UN:
		if utf8 && !plainASCII(e.value) {
			remove("nobody knows whether it is text, and the object's moves to ISO_IR 192")
		}
	case d.vr != dict.LO:
		if d.over == nil {
			d.beSafe(p)
		}
		d.shiftBeside(p)
	case p.shifts && mayHoldDate(e.value, d.over != nil):
		remove("it may hold a date, and the profile shifts them")
	case d.over == nil && bytes.IndexByte(e.value, '^') >= 0:
		remove("it may be a name")
	default:
		d.vr = dict.UN // kept as it is
	}
}

// vrOfValue gives the VR that a value may have whose VR nothing tells: DA, DT, UI, LO for other text, UN for bytes.
func vrOfValue(value []byte) dict.VR {
	switch {
	case eachValue(value, func(v []byte) bool { return len(v) == 8 && isDay(v) }):
		return dict.DA
	case eachValue(value, func(v []byte) bool { return len(v) >= 8 && len(v) <= 26 && isDay(v[:8]) && isTimeOfDT(v[8:]) }):
		return dict.DT
	case eachValue(value, func(v []byte) bool { return bytes.Count(v, []byte{'.'}) >= 4 && isUID(v) }):
		return dict.UI
	}
	for _, c := range trimmed(value) {
		if c >= 0x7F || c < ' ' && c != '\r' && c != '\n' && c != '\t' && c != '\f' {
			return dict.UN
		}
	}
	return dict.LO
}

// eachValue tells whether there are values that aren't empty, and all of them are such.
func eachValue(value []byte, is func([]byte) bool) bool {
	found := false
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = trimmed(one); len(one) == 0 {
			continue
		}
		if !is(one) {
			return false
		}
		found = true
	}
	return found
}

// isDay tells whether eight bytes are a day of these centuries.
func isDay(v []byte) bool {
	y, _, _, ok := parseDate(v)
	return ok && y >= 1800 && y < 2200
}

// mayHoldDate reports whether a text names a day, or, of one that a rule of the profile's own keeps, a year.
func mayHoldDate(v []byte, ruled bool) bool { return ruled && holdsYear(v) || len(writtenDates(v)) > 0 }

// holdsYear tells whether a text has four digits in it that may be a year.
func holdsYear(v []byte) bool {
	for i := range len(v) - 3 {
		if allDigits(v[i:i+4]) && (i == 0 || v[i-1] < '0' || v[i-1] > '9') {
			if y := number(v[i : i+4]); y >= 1800 && y < 2200 {
				return true
			}
		}
	}
	return false
}

// startsItem tells whether a value that should be none begins as a sequence does, in either byte order.
func startsItem(v []byte) bool {
	return len(v) >= 8 && (v[0] == 0xFE && v[1] == 0xFF && v[2] == 0x00 && v[3] == 0xE0 || v[0] == 0xFF && v[1] == 0xFE && v[2] == 0xE0 && v[3] == 0x00)
}

// disguised tells whether an element came as what its attribute isn't, so that what it holds would pass as something else: as a sequence, or, in
// explicit VR, as a name or a date.
func (p *Profile) disguised(e *elem, r *rule) bool {
	if r.vr == dict.SQ || r.action == Remove && !r.byType {
		return false
	}
	if e.Content == stream.Items && r.vr != dict.UN || e.Content == stream.PlainValue && startsItem(e.value) {
		return true
	}
	switch {
	case r.action != Keep:
		return false
	case r.vr == dict.UN: // the value has told
		return e.VR == dict.PN && r.over == nil
	case r.over == nil:
		return e.VR != r.vr && p.betrays(e.VR)
	case p.shifts && e.Tag.IsPrivate() && r.vr.Text() && r.vr != dict.TM:
		is := vrOfValue(e.value)
		return is == dict.DA || is == dict.DT
	}
	return false
}

// isUID reports whether a value has the form of a UID (PS3.5 9.1).
func isUID(b []byte) bool {
	for _, c := range b {
		if c != '.' && (c < '0' || c > '9') {
			return false
		}
	}
	return len(b) <= 64
}
