// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// noteDates notes what became of an element's dates, of which out was written.
func (w *statement) noteDates(e *values.Element, r *rules.Rule, a Action, out []byte) {
	switch {
	case r.Temporal != rules.IsNoDate:
		w.dates.Add(e, a, out, r.Temporal)
	case e.Content == stream.Items && (a == Remove || a == Empty) && !e.Tag.IsPrivate():
		w.losesDates(e)
	}
}

// asksForGone reports whether it matters that a date goes: none is known to have gone or to be changed yet, and the
// rest may stay as it was.
func (w *statement) asksForGone() bool {
	p := w.p
	return !w.dates.Gone && !w.dates.Changed && !p.Shifts &&
		(p.Base != rules.BasicBase || p.Options&table.FullDates != 0)
}

// losesDates notes the dates that go with a sequence that goes.
func (w *statement) losesDates(e *values.Element) {
	if !w.asksForGone() {
		return
	}
	_ = values.EachIn(e.Value, e.Inside, 0, func(h stream.Head, value []byte) {
		if h.Tag.IsPrivate() || len(values.Trimmed(value)) == 0 {
			return
		}
		r := w.p.RuleOf(h.Tag)
		w.dates.Gone = w.dates.Gone || w.p.Counts(h.Tag, &r) == rules.Counted
	})
}

// losesPrivate notes a private value that goes and is a date. Its VR says nothing, since not every encoding has it.
func (w *statement) losesPrivate(e *values.Element) {
	if e.Content != stream.PlainValue || !w.asksForGone() {
		return
	}
	vr := rules.VROfValue(e.Value)
	w.dates.Gone = vr == dict.DA || vr == dict.DT
}

// foretold is temporalOf the instance under way; cut says that its body is rewritten too. What becomes of that is not
// known when the header goes out: where a date may stay there, it is MODIFIED.
func (w *statement) foretold(cut bool) string {
	if cut && w.p.KeepsDates {
		return "MODIFIED"
	}
	return w.p.TemporalOf(w.dates)
}
