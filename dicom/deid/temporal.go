// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// temporal is what became of the dates and times of an object.
type temporal struct{ kept, changed, gone bool }

// counting says how far what becomes of an attribute counts for (0028,0303).
type counting uint8

const (
	isNoDate counting = iota
	// ifAltered: it is none of those that the options of PS3.15 E.3.6 are about, such as a birth date. That it stays or goes says nothing of the
	// others, but a value beside the truth does.
	ifAltered
	counted
)

// add notes what became of one, of which out was written.
func (t *temporal) add(e *elem, a Action, out []byte, how counting) {
	same := bytes.Equal(out, e.in)
	partly := a == Empty && len(out) > e.Size // of several values some stay
	switch {
	case how == isNoDate, len(trimmed(e.value)) == 0:
	case how == ifAltered && (same || a != Replace && silent.has(a) && !partly):
	case silent.has(a) && !partly:
		t.gone = true
	case same:
		t.kept = true
	default:
		t.changed = true
	}
}

// noteDates notes what became of an element's dates, of which w.out[begin:] was written.
func (w *rewriter) noteDates(e *elem, r *rule, a Action, begin int) {
	switch {
	case r.temporal != isNoDate:
		w.dates.add(e, a, w.out[begin:], r.temporal)
	case e.Content == stream.Items && (a == Remove || a == Empty) && !e.Tag.IsPrivate():
		w.losesDates(e)
	}
}

// asksForGone reports whether it matters that a date goes: none is known to have gone or to be changed yet, and the rest may stay as it was.
func (w *rewriter) asksForGone() bool {
	p := w.s.p
	return !w.verbatim && !w.dates.gone && !w.dates.changed && !p.shifts && (p.base != basicBase || p.options&FullDates != 0)
}

// losesDates notes the dates that go with a sequence that goes.
func (w *rewriter) losesDates(e *elem) {
	if !w.asksForGone() {
		return
	}
	_ = eachValueIn(e.value, e.Inside, 0, func(h stream.Head, value []byte) {
		if h.Tag.IsPrivate() || len(trimmed(value)) == 0 {
			return
		}
		r := w.s.p.ruleOf(h.Tag)
		w.dates.gone = w.dates.gone || w.s.p.counts(h.Tag, &r) == counted
	})
}

// losesPrivate notes a private value that goes and is a date. Its VR says nothing, since not every encoding has it.
func (w *rewriter) losesPrivate(e *elem) {
	if e.Content != stream.PlainValue || !w.asksForGone() {
		return
	}
	vr := vrOfValue(e.value)
	w.dates.gone = vr == dict.DA || vr == dict.DT
}

// eachValueIn calls f with the plain values in the items of a sequence, at all depths. The error says that it can't be read.
func eachValueIn(b []byte, enc stream.Encoding, depth int, f func(h stream.Head, value []byte)) error {
	for pos := 0; pos < len(b); {
		h, ok := enc.Head(b[pos:])
		switch {
		case !ok || depth > 2*maxDepth:
			return errMalformed
		case h.Tag.Group() == 0xFFFE: // items and delimiters: what they hold follows
			pos += h.Size
			continue
		}
		pos += h.Size
		end := len(b)
		if h.Length != stream.UndefinedLength {
			if int64(h.Length) > int64(len(b)-pos) {
				return errMalformed
			}
			end = pos + int(h.Length)
		} else if h.Content != stream.PlainValue {
			n, err := skipItems(b[pos:], h, depth)
			if err != nil {
				return err
			}
			end = pos + n
		}
		switch h.Content {
		case stream.Items:
			if err := eachValueIn(b[pos:end], h.Inside, depth+1, f); err != nil {
				return err
			}
		case stream.PlainValue:
			f(h, b[pos:end])
		}
		pos = end
	}
	return nil
}

// temporalOf gives (0028,0303) (PS3.3 C.12.1, PS3.15 E.2, E.3.6): UNMODIFIED if all dates and times are there as they were, REMOVED if none is left,
// else MODIFIED. Of an object that has none it says what the profile does.
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
		r := p.ruleOf(tag)
		if how := p.counts(tag, &r); !r.byType && how != isNoDate && r.possible()&^silent != 0 && (how == counted || r.action != Keep) {
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

// counts says how far what becomes of an attribute counts for (0028,0303). Dates and times that the options of PS3.15 E.3.6 are about do; those that
// Retain Device Identity keeps are the device's. Base adit knows none of these options: there every date and time counts.
func (p *Profile) counts(tag dict.Tag, r *rule) counting {
	row, listed := promises().rows[tag]
	ofOptions := listed && row.keep&FullDates != 0 || !listed && (r.vr == dict.DA || r.vr == dict.DT)
	switch {
	case !ofOptions && !isDated(tag, r.vr):
		return isNoDate
	case p.base != basicBase:
		return counted
	case !ofOptions:
		return ifAltered
	case r.action == Keep && r.over == nil && p.options&FullDates == 0:
		return isNoDate
	}
	return counted
}

// isDated reports whether an attribute holds dates or times.
func isDated(tag dict.Tag, vr dict.VR) bool {
	switch tag {
	case dict.PatientBirthDateInAlternativeCalendar, dict.PatientDeathDateInAlternativeCalendar:
		return true
	}
	return vr == dict.DA || vr == dict.DT || vr == dict.TM
}
