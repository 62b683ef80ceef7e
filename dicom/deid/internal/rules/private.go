// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"bytes"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// The VR of a private attribute stands in explicit VR alone. An instance is the same instance in every encoding, and so
// must be what becomes of it: so the VR is that of the override or of the list of safe attributes, never the stream's,
// and where neither has one the value itself tells what it may be.

// PrivateRule returns the rule of a private element, by its block's creator. Its VR is UN where nothing tells.
func (p *Profile) PrivateRule(tag dict.Tag, creator string) Rule {
	known, safe := table.SafePrivate(creator, tag.Group(), uint8(tag))
	if known == 0 {
		known = dict.UN
	}
	d := Rule{VR: known, Action: Remove, Why: "Table E.1-1: private attributes go"}
	for i := range p.Overrides {
		o := &p.Overrides[i]
		if !o.matchesPrivate(tag, known, creator) {
			continue
		}
		d.Action, d.Over, d.Why = o.Action, o, o.Why
		if o.VR != 0 {
			d.VR = o.VR
		}
		d.shiftBeside(p)
		return d
	}
	if !safe || p.Options&table.RetainSafePrivate == 0 && p.Base != AditBase {
		return d
	}
	d.Action, d.Why = Keep, "on the list of safe private attributes"
	d.beSafe(p)
	return d
}

// shiftBeside has a private date shifted that an override keeps, where others are: no profile says of private ones that
// they are dates.
func (r *Rule) shiftBeside(p *Profile) {
	if p.Shifts && (r.VR == dict.DA || r.VR == dict.DT) && betraysShift(r.Action) {
		r.Action, r.Why = Shift, r.Why+"; a date, and the profile shifts them"
	}
}

// beSafe has a safe private attribute treated as others of its VR.
func (r *Rule) beSafe(p *Profile) {
	switch r.VR {
	case dict.PN:
		r.Action = Remove
	case dict.UI:
		if p.Options&table.RetainUIDs == 0 {
			r.Action, r.Basic = MapUID, table.BasicU
		}
	case dict.DA, dict.DT:
		switch {
		case p.Shifts:
			r.Action = Shift
		case p.Options&table.FullDates == 0:
			r.Action = Remove
		}
	}
}

// ByValue decides for an element of which nothing but the value tells what it is.
func (p *Profile) ByValue(d *Rule, e *values.Element, utf8 bool) {
	switch {
	case e.Content != stream.PlainValue, d.Action == Remove, d.Action == Empty:
		return
	case values.StartsItem(e.Value):
		d.VR = dict.SQ
		return
	}
	d.VR = VROfValue(e.Value)
	remove := func(why string) { d.Action, d.Why = Remove, d.Why+"; "+why }
	switch {
	case d.Action != Keep:
		if d.VR == dict.UN || e.VR.Known() && e.VR != dict.UN && !e.VR.Text() {
			remove("not a text")
		}
	case d.VR == dict.UN:
		if utf8 && !values.PlainASCII(e.Value) {
			remove("it may be text, and the text of the instance moves to ISO_IR 192")
		}
	case d.VR != dict.LO:
		if d.Over == nil {
			d.beSafe(p)
		}
		d.shiftBeside(p)
	case p.Shifts && mayHoldDate(e.Value, d.Over != nil):
		remove("it may hold a date, and the profile shifts them")
	case d.Over == nil && bytes.IndexByte(e.Value, '^') >= 0:
		remove("it may be a name")
	default:
		d.VR = dict.UN // kept as it is
	}
}

// VROfValue returns the VR that a value may have whose VR nothing tells: DA, DT, UI, LO for other text, UN for bytes.
func VROfValue(value []byte) dict.VR {
	switch {
	case values.All(value, func(v []byte) bool { return len(v) == 8 && dates.IsDay(v) }):
		return dict.DA
	case values.All(value, func(v []byte) bool {
		return len(v) >= 8 && len(v) <= 26 && dates.IsDay(v[:8]) && values.IsTimeOfDT(v[8:])
	}):
		return dict.DT
	case values.All(value, func(v []byte) bool { return bytes.Count(v, []byte{'.'}) >= 4 && values.IsUID(v) }):
		return dict.UI
	}
	for _, c := range values.Trimmed(value) {
		if c >= 0x7F || c < ' ' && c != '\r' && c != '\n' && c != '\t' && c != '\f' {
			return dict.UN
		}
	}
	return dict.LO
}

// mayHoldDate reports whether a text names a day, or, of one that a rule of the profile's own keeps, a year.
func mayHoldDate(v []byte, ruled bool) bool {
	return ruled && dates.HoldsYear(v) || len(dates.Written(v)) > 0
}

// Disguised reports whether an element came as what its attribute isn't, so that what it holds would pass as something
// else: as a sequence, or, in explicit VR, as a name or a date.
func (p *Profile) Disguised(e *values.Element, r *Rule) bool {
	if r.VR == dict.SQ || r.Action == Remove && !r.ByType {
		return false
	}
	if e.Content == stream.Items && r.VR != dict.UN || e.Content == stream.PlainValue && values.StartsItem(e.Value) {
		return true
	}
	switch {
	case r.Action != Keep:
		return false
	case r.VR == dict.UN: // the value has told
		return e.VR == dict.PN && r.Over == nil
	case r.Over == nil:
		return e.VR != r.VR && p.betrays(e.VR)
	case p.Shifts && e.Tag.IsPrivate() && r.VR.Text() && r.VR != dict.TM:
		is := VROfValue(e.Value)
		return is == dict.DA || is == dict.DT
	}
	return false
}
