// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/dict"
)

// temporal is what became of the dates and times of an object.
type temporal struct{ kept, changed, gone bool }

// add notes what became of one, of which out was written.
func (t *temporal) add(e *elem, a Action, out []byte) {
	switch {
	case len(trimmed(e.value)) == 0:
	case silent.has(a):
		t.gone = true
	case bytes.Equal(out, e.in):
		t.kept = true
	default:
		t.changed = true
	}
}

// temporalOf gives (0028,0303) (PS3.15 E.2, E.3.6): UNMODIFIED if all dates and times are there as they were, REMOVED if none is left, else
// MODIFIED. Of an object that has none it says what the profile does.
func (p *Profile) temporalOf(t temporal) string {
	switch {
	case t.changed, t.kept && (t.gone || p.shifts):
		return "MODIFIED"
	case t.kept:
		return "UNMODIFIED"
	case t.gone:
		return "REMOVED"
	}
	return p.untouched()
}

// foretold is temporalOf the object under way. What is rewritten behind the header is not known when the header goes out: where a date
// may stay there, it is MODIFIED.
func (w *rewriter) foretold() string {
	if w.cut != 0 && w.s.p.keepsDates {
		return "MODIFIED"
	}
	return w.s.p.temporalOf(w.dates)
}

// mayKeepDates reports whether anything of a date may stay that counts for (0028,0303).
func (p *Profile) mayKeepDates() bool {
	if p.shifts || p.options&FullDates != 0 || p.base != basicBase {
		return true
	}
	for i := range p.overrides {
		if o := &p.overrides[i]; !silent.has(o.action) && (o.creator != "" || o.tag.IsPrivate() || o.mask>>16&1 == 0) {
			return true
		}
	}
	for tag := range p.attributes() {
		if r := p.ruleOf(tag); !r.byType && r.possible()&^silent != 0 && p.isTemporal(tag, &r) {
			return true
		}
	}
	return false
}

// untouched is temporalOf of an object without dates.
func (p *Profile) untouched() string {
	switch {
	case p.shifts:
		return "MODIFIED"
	case p.options&FullDates != 0, p.base == aditBase:
		return "UNMODIFIED"
	}
	return "REMOVED"
}

// isTemporal tells whether what becomes of an attribute counts for (0028,0303): dates and times that the options of PS3.15 E.3.6 are about. Those
// that Retain Device Identity keeps are the device's; a birth date is a characteristic of the patient.
func (p *Profile) isTemporal(tag dict.Tag, r *rule) bool {
	row, listed := promises().rows[tag]
	switch {
	case listed && row.keep&FullDates == 0, !listed && r.vr != dict.DA && r.vr != dict.DT:
		return false
	case r.action == Keep && r.over == nil && p.base == basicBase:
		return p.options&FullDates != 0
	}
	return true
}
