// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"bytes"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// Temporal is what became of the dates and times of an instance.
type Temporal struct{ Kept, Changed, Gone bool }

// Counting says how far what becomes of an attribute counts for (0028,0303).
type Counting uint8

// How far what becomes of an attribute counts.
const (
	IsNoDate Counting = iota // not at all
	// IfAltered: it is none of those that the options of PS3.15 E.3.6 are about, such as a birth date. That it stays or
	// goes says nothing of the others, but a value beside the truth does.
	IfAltered
	Counted // as each date does
)

// Add notes what became of one, of which out was written.
func (t *Temporal) Add(e *values.Element, a Action, out []byte, how Counting) {
	same := bytes.Equal(out, e.In)
	partly := a == Empty && len(out) > e.Size // of several values some stay
	switch {
	case how == IsNoDate, len(values.Trimmed(e.Value)) == 0:
	case how == IfAltered && (same || a != Replace && Silent.Has(a) && !partly):
	case Silent.Has(a) && !partly:
		t.Gone = true
	case same:
		t.Kept = true
	default:
		t.Changed = true
	}
}

// TemporalOf returns (0028,0303) (PS3.3 C.12.1, PS3.15 E.2, E.3.6): UNMODIFIED if all dates and times are there as they
// were, REMOVED if none is left, else MODIFIED. Of an instance that has none it says what the profile does.
func (p *Profile) TemporalOf(t Temporal) string {
	switch {
	case t.Changed, t.Kept && (t.Gone || p.Shifts):
		return "MODIFIED"
	case t.Kept:
		return "UNMODIFIED"
	case t.Gone:
		return "REMOVED"
	}
	return p.Untouched()
}

// mayKeepDates reports whether anything of a date may stay that counts for (0028,0303).
func (p *Profile) mayKeepDates() bool {
	if p.Shifts || p.Options&table.FullDates != 0 || p.Base != BasicBase {
		return true
	}
	for i := range p.Overrides {
		if o := &p.Overrides[i]; !Silent.Has(o.Action) && (o.Creator != "" || o.Tag.IsPrivate() || o.Mask>>16&1 == 0) {
			return true
		}
	}
	for tag := range p.attributes() {
		r := p.RuleOf(tag)
		if how := p.Counts(tag, &r); !r.ByType && how != IsNoDate &&
			r.possible()&^Silent != 0 && (how == Counted || r.Action != Keep) {
			return true
		}
	}
	return false
}

// Untouched is TemporalOf of an instance without dates.
func (p *Profile) Untouched() string {
	switch {
	case p.Shifts:
		return "MODIFIED"
	case p.Options&table.FullDates != 0, p.Base == AditBase:
		return "UNMODIFIED"
	}
	return "REMOVED"
}

// Counts says how far what becomes of an attribute counts for (0028,0303). Dates and times that the options of PS3.15
// E.3.6 are about do; those that Retain Device Identity keeps are the device's. Base adit knows none of these options:
// there every date and time counts.
func (p *Profile) Counts(tag dict.Tag, r *Rule) Counting {
	row, listed := table.Promises().Rows[tag]
	ofOptions := listed && row.Keep&table.FullDates != 0 || !listed && (r.VR == dict.DA || r.VR == dict.DT)
	switch {
	case !ofOptions && !dates.IsDated(tag, r.VR):
		return IsNoDate
	case p.Base != BasicBase:
		return Counted
	case !ofOptions:
		return IfAltered
	case r.Action == Keep && r.Over == nil && p.Options&table.FullDates == 0:
		return IsNoDate
	}
	return Counted
}
