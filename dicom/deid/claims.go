// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// An instance says of itself by what it was de-identified: (0012,0062), and the codes of CID 7050 in (0012,0064). What
// it may say is not read off the profile's options: each option, and the basic profile, promises something of every
// attribute, and a promise that the rules don't keep takes its code away. The promises come from the table of the
// standard by another way than the rules (table.Promises), and are held against the rules when a profile is made
// (rules.New), and against each attribute as it was written (statement.verify).

// verify holds what became of an attribute, of which out was written, against what the profile's options promise, and
// takes the claims away that aren't true.
func (w *statement) verify(e *values.Element, r *rules.Rule, a Action, out []byte) {
	if r.May == 0 || r.May.Has(Keep) {
		return
	}
	if !r.May.Has(a) || bytes.Equal(out, e.In) && !excused(e, r, a) {
		w.broken |= w.p.Spoils(e.Tag)
	}
}

// excused reports whether a value may be what it was although it isn't kept.
func excused(e *values.Element, r *rules.Rule, a Action) bool {
	v := values.Trimmed(e.Value)
	vr := effective(e, r)
	switch {
	case a == Remove:
		return false
	case len(v) == 0 && (vr.Text() || len(e.Value) == 0), a == Empty && len(e.Value) == 0, a == Clean, a == Replace:
		return true
	case a == Shift && vr != dict.DA && vr != dict.DT:
		return true // times and time zones
	case e.Content != stream.PlainValue, vr == dict.SQ:
		return true // by its items
	case vr == dict.UI:
		for one := range bytes.SplitSeq(e.Value, []byte{'\\'}) {
			if _, registered := dict.LookupUID(string(values.Trimmed(one))); !registered &&
				len(values.Trimmed(one)) > 0 {
				return false
			}
		}
		return true
	}
	return bytes.Equal(v, values.Trimmed(values.AppendDummy(nil, vr, len(e.Value))))
}

// verifyPrivate is verify for an element of an odd group that was written.
func (w *statement) verifyPrivate(e *values.Element, r *rules.Rule, creator string) {
	if r.Action != Remove && rules.Silent.Has(r.Action) {
		return
	}
	if _, safe := table.SafePrivate(creator, e.Tag.Group(), uint8(e.Tag)); !safe ||
		w.p.Options&table.RetainSafePrivate == 0 {
		w.broken |= rules.BasicProfile | table.RetainSafePrivate
	}
}

// codes returns what the instance under way says of itself, as items and as values.
func (w *statement) codes() ([]rules.Method, []string) {
	if w.claims == w.p.Claims {
		return w.p.Codes, w.p.CodeValues
	}
	return rules.CodesOf(w.claims)
}
