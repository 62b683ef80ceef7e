// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/scan"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

const (
	shortValue = 64 << 10 // bytes of a value that is held whole, whatever is to become of it
	maxHeld    = 16 << 20 // bytes of a private group of the body, which is held until it is known which creators stay
)

// body de-identifies what follows the header, by the same rules, as a stream.BodyFilter: an element or an item at a
// time.
type body struct {
	w       rewriter // of its own, since the bodies of several instances pass at once
	top     level    // goes on where the header ended
	removed int      // how many attributes of the header were
	started bool
	behind  bool // pixel data has come
	last    dict.Tag
	under   values.Element // the element under way
	dummy   bool           // its items are to say nothing
	items   int            // of it, so far
	group   []byte
	mask    pixels.Mask
	begin   []byte // of a large value that passes
	watched bool   // it must not begin as a sequence does
	numbers bool   // nor be a text in the place of numbers
	text    values.Characters
	told    tally      // what w.acts held before
	scan    *scan.Body // nil: nobody wants it
	header  *stream.Header
}

// newBody returns what rewrites the body of the instance whose header was rewritten last.
func (s *Session) newBody(report *Report, trace *[]Explained) *body {
	b := s.idle
	if s.idle = nil; b == nil {
		b = &body{}
	}
	*b = body{top: s.w.top, removed: report.Counts[Remove], begin: b.begin[:0], group: b.group[:0]}
	b.top.content = nil // its memory is used again
	w := &s.w
	b.w = rewriter{
		valueWriter: valueWriter{
			output: output{s: s, utf8: w.utf8, report: report, trace: trace, acts: slices.Clone(w.acts)},
			class:  w.class, verbatim: w.verbatim, strict: w.strict, births: w.births, read: w.read, ascii: w.ascii,
		},
		statement: statement{p: w.p, claims: w.claims, told: w.told, dates: w.dates},
		syntax:    w.syntax, whole: w.whole,
	}
	return b
}

// changesBody reports whether the body goes through the rules, too. Without a pseudonym it passes as it is, unless its
// text moves.
func (w *rewriter) changesBody() bool { return !w.verbatim || w.utf8 }

// filterBody has the body of the instance whose header was rewritten last go through the rules.
func (s *Session) filterBody(o *stream.Object, report *Report, trace *[]Explained, behind *scan.Body) error {
	first, ok := o.Body()
	if !ok || !s.w.changesBody() {
		return nil
	}
	b := s.newBody(report, trace)
	b.scan, b.header = behind, o.Header()
	if first.Tag == dict.PixelData && !s.w.verbatim {
		if _, err := b.pixelData(first); err != nil { // before anything is sent
			return err
		}
	}
	return o.FilterBody(b)
}

// early is the error of an instance whose header ends before an attribute that must be known, or written, before the
// body.
func (s *Session) early(o *stream.Object, uid string) error {
	first, ok := o.Body()
	if !ok || first.Tag > s.assigned[len(s.assigned)-1].tag {
		return nil
	}
	return &UnsafeError{Reason: Unparsable, SOPInstanceUID: uid, Detail: fmt.Sprintf(
		"%s is too large, and precedes the attributes that identify the patient; configure the source to send it "+
			"without %s",
		first.Tag, first.Tag)}
}

// Element decides by an element's head. It is part of stream.BodyFilter.
func (b *body) Element(h stream.Head, out []byte) ([]byte, stream.Fate, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	var err error
	if h.Tag.Group() != b.top.group {
		out, err = b.endGroup(out)
		b.top.group = h.Tag.Group()
	}
	b.w.out = out
	if err = cmp.Or(err, b.verified()); err != nil {
		return out, 0, err
	}
	fate, err := b.decide(h)
	return b.w.out, fate, cmp.Or(b.unsafe(err), b.verified())
}

// Part rewrites an element or an item. It is part of stream.BodyFilter.
func (b *body) Part(in, out []byte) ([]byte, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	begin, n := len(out), 0
	if b.under.Content == stream.Items && (!b.under.Tag.IsPrivate() || b.w.verbatim) {
		n = b.items + 1
	}
	out, err := b.part(in, out)
	if err == nil && b.scan != nil {
		err = b.look(n, in, out[begin:])
	}
	if len(b.w.acts) > maxActs {
		b.fold()
	}
	return out, cmp.Or(b.unsafe(err), b.verified())
}

// look has the scan look at what became of the element under way, or of its n-th item.
func (b *body) look(n int, in, out []byte) error {
	found, err := b.scan.Piece(b.under.Head, n, in, out, b.top.enc, b.top.set)
	if err != nil {
		return err
	}
	return shout(found, b.w.report.SOPInstanceUID)
}

// maxActs is how many acts are held one by one.
const maxActs = 1 << 12

func (b *body) fold() {
	if b.told == nil {
		b.told = tally{}
	}
	b.told.add(b.w.acts)
	b.w.acts = b.w.acts[:0]
}

func (b *body) part(in, out []byte) ([]byte, error) {
	w := &b.w
	switch e := &b.under; {
	case e.Content == stream.Items && !e.Tag.IsPrivate() || e.Content == stream.Items && w.verbatim:
		w.out, w.depth = out, 1
		e.Value = in
		item, _ := e.Inside.Head(in)
		_, err := w.itemAt(e, item, 0, b.items, b.dummy, &b.top)
		b.items++
		return w.out, err
	case e.Tag.IsPrivate() && !w.verbatim:
		w.out = b.group
		_, err := w.element(in, e.Head, &b.top)
		if b.group = w.out; err == nil && len(b.group) > maxHeld {
			err = fmt.Errorf("%w: the private group of %s", stream.ErrTooLarge, e.Tag)
		}
		return out, err
	default:
		w.out = out
		_, err := w.element(in, e.Head, &b.top)
		return w.out, err
	}
}

// Value clears the bits of overlays, and looks at how a large value begins, and for what it holds. It is part of
// stream.BodyFilter.
func (b *body) Value(p []byte) {
	if b.watched {
		if b.scan != nil {
			b.w.s.mu.Lock()
			b.scan.Pass(p)
			b.w.s.mu.Unlock()
		}
		b.begin = append(b.begin, p[:min(len(p), 8-len(b.begin))]...)
		if b.numbers && !b.text.Other {
			b.text.See(bytes.ReplaceAll(p, []byte{0}, nil))
		}
		return
	}
	b.mask.Apply(p)
}

// End completes the report. It is part of stream.BodyFilter.
func (b *body) End(out []byte) ([]byte, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	out, err := b.endGroup(out)
	b.w.report.Behind = b.w.report.Counts[Remove] - b.removed
	if b.told == nil {
		b.w.report.Done = b.w.s.accounts.of(b.w.acts)
	} else {
		b.fold()
		b.w.report.Done = b.told.done()
	}
	if err = cmp.Or(err, b.verified()); err == nil {
		b.w.s.idle = b
	}
	return out, err
}

// verified is the error of a body in which something makes untrue what the header, which has gone out, says of the
// instance, or in which a sequence passed as a value.
func (b *body) verified() error {
	bad := func(detail string) error {
		return &UnsafeError{
			Reason: Unparsable, SOPInstanceUID: b.w.report.SOPInstanceUID,
			Detail: b.under.Tag.String() + " " + detail,
		}
	}
	w := &b.w
	switch {
	case b.scan != nil && len(b.scan.Passed()) > 0:
		return shout(b.scan.Passed(), b.w.report.SOPInstanceUID)
	case values.StartsItem(b.begin):
		return bad(
			"is a sequence where the dictionary has none, and too large to be examined; correct that at the source",
		)
	case b.numbers && b.text.HoldWords(1):
		return bad("has a text where the dictionary has numbers, and is too large to be emptied afterwards; " +
			"correct that at the source")
	case w.verbatim:
	case w.broken&w.claims != 0:
		return bad("keeps something by a rule of the profile, but the beginning of the instance, already sent, says it was " +
			"removed; correct that rule")
	case w.told != "MODIFIED" && (w.dates.Kept || w.dates.Gone || w.dates.Changed) &&
		w.s.p.TemporalOf(w.dates) != w.told:
		return bad("has dates of which the instance, whose beginning has gone out, says something else; have the " +
			"profile treat them like those of the header")
	}
	return nil
}

// endGroup appends the private group that was held.
func (b *body) endGroup(out []byte) ([]byte, error) {
	b.w.out = b.group
	b.w.closeGroup(&b.top, 0)
	var err error
	if b.scan != nil && len(b.w.out) > 0 {
		err = b.look(0, nil, b.w.out)
	}
	out = append(out, b.w.out...)
	b.group = b.w.out[:0]
	return out, b.unsafe(err)
}

// unsafe makes an error of rewriting the body one that names the instance.
func (b *body) unsafe(err error) error {
	if errors.Is(err, errUndeclared) {
		return &UnsafeError{
			Reason: Undecodable, SOPInstanceUID: b.w.report.SOPInstanceUID,
			Detail: fmt.Sprintf(
				"it declares no Specific Character Set, and only %s, which is too large for its header, has text "+
					"beyond ASCII; "+
					"correct that at the source", b.under.Tag,
			),
		}
	}
	if errors.Is(err, charset.ErrNotRepresentable) {
		return &UnsafeError{
			Reason: Undecodable, SOPInstanceUID: b.w.report.SOPInstanceUID, Err: err,
			Detail: fmt.Sprintf(
				"the profile writes a text into %s that the instance's character set lacks, and the instance is too large "+
					"to convert to another; "+
					"have the profile write plain letters there", b.under.Tag,
			),
		}
	}
	return unsafe(err, b.w.report.SOPInstanceUID)
}

func (b *body) decide(h stream.Head) (stream.Fate, error) {
	w := &b.w
	bad := func(detail string) (stream.Fate, error) {
		return 0, &UnsafeError{
			Reason: Unparsable, SOPInstanceUID: w.report.SOPInstanceUID, Detail: h.Tag.String() + " " + detail,
		}
	}
	switch {
	case w.verbatim:
	case b.started && h.Tag <= b.last:
		return bad("is out of order behind the header, where ADIT does not de-identify such attributes")
	case slices.Contains(deciding[:], h.Tag):
		return bad("decides whether the instance may be sent, and follows a value too large for the header; configure " +
			"the source to send it without that")
	}
	b.started, b.last = true, h.Tag
	b.under, b.items, b.dummy, b.watched, b.begin = values.Element{Head: h}, 0, false, false, b.begin[:0]
	b.numbers, b.text = false, values.Characters{}
	switch {
	case values.IsPixelData(h.Tag):
		b.behind = true
		why := "pixel data stays"
		if w.report.Trailing = pixels.Trailing(
			h.Length, pixels.ImageSize(b.header, b.top.enc, h.Tag),
		); w.report.Trailing > 0 {
			why = "pixel data stays, and so do the bytes behind its last frame"
		}
		fate := b.fixed(Keep, &rules.Rule{Why: why}, len(w.out))
		if h.Tag == dict.PixelData && !w.verbatim {
			return b.pixelData(h)
		}
		return fate, nil
	case h.Tag.IsGroupLength(): // nobody knows it yet
		return b.fixed(
			Remove, &rules.Rule{Why: "behind the header the length of a group is not known yet"}, len(w.out),
		), nil
	case h.Tag.IsPrivate() && !w.verbatim:
		return b.private(h), nil
	}
	var odd rules.Rule
	return b.public(w.rule(&b.under, &b.top, &odd)), nil
}

// pixelData tells whether bits of the pixels have to be cleared.
func (b *body) pixelData(h stream.Head) (stream.Fate, error) {
	var err error
	if b.mask, err = b.w.maskOf(&h, &b.top); b.mask.On {
		return stream.Change, err
	}
	return stream.Pass, err
}

// private lets what may stay be held with its group. Behind pixel data nothing private stays.
func (b *body) private(h stream.Head) stream.Fate {
	w := &b.w
	stays := w.whole && !b.behind
	if stays && !h.Tag.IsPrivateCreator() {
		i := w.blockOf(h.Tag, &b.top)
		stays = i >= 0 && w.s.p.PrivateRule(h.Tag, w.blocks[i].creator).Action != Remove
	}
	if stays {
		return stream.Whole
	}
	why := "Table E.1-1: private attributes go"
	if b.behind {
		why = "behind pixel data private attributes go"
	}
	return b.fixed(Remove, &rules.Rule{Why: why}, len(w.out))
}

// public decides on an element of an even group by its rule. What is short is held whole, so that the same code judges
// its value as in the header, and counts it.
func (b *body) public(r *rules.Rule) stream.Fate {
	w, e := &b.w, &b.under
	if e.Content == stream.PlainValue && e.Length <= shortValue {
		return stream.Whole
	}
	begin := len(w.out)
	if e.Content == stream.PlainValue && r.VR == dict.SQ && !b.undisguise() {
		return b.fixed(Remove, &rules.Rule{Why: "a sequence with a value of another kind"}, begin)
	}
	action := r.Action
	if r.ByType {
		action = w.byType(e.Tag, &b.top)
	}
	switch {
	case e.Content == stream.PlainValue:
		return b.large(action, r)
	case action == Empty && e.Content == stream.Items:
		w.put(&b.top, e.Tag, dict.SQ, nil)
	case action == Empty:
		w.put(&b.top, e.Tag, written(e, r), nil)
	case e.Content == stream.Items && (action == Keep || action == Clean || action == MapUID || action == Dummy):
		if b.dummy = action == Dummy; !b.dummy {
			action = rules.Keep
		}
		b.fixed(action, r, begin)
		return stream.ByItem
	case action != Keep:
		action = rules.Remove
	}
	return b.fixed(action, r, begin)
}

// undisguise takes a plain value for the sequence that it is, as sequenceInDisguise does; false if it can be none.
func (b *body) undisguise() bool {
	e := &b.under
	switch e.VR {
	case 0:
		e.Inside = b.top.enc
	case dict.UN:
		e.Inside = stream.ItemsOfUN()
	default:
		return false
	}
	e.Content = stream.Items
	return true
}

// large decides on a value that need not be held, since nothing of it is to be read but how it begins.
func (b *body) large(action Action, r *rules.Rule) stream.Fate {
	w, e, begin := &b.w, &b.under, len(b.w.out)
	vr := effective(e, r)
	if action == Keep && !vr.Text() && !e.VR.Text() && !w.verbatim &&
		!values.AllowedLength(int(e.Length), vr, r.Single) {
		action = rules.Empty
	}
	switch {
	case action == Empty:
		w.put(&b.top, e.Tag, written(e, r), nil)
	case action == Dummy && vr != dict.UI:
		w.value = values.AppendDummy(w.value[:0], vr, int(e.Length))
		w.put(&b.top, e.Tag, written(e, r), w.value)
	case action == Keep && (vr.Text() || e.VR.Text()), action != Keep && action != Remove:
		return stream.Whole
	case action == Keep && !w.verbatim:
		b.watched, b.numbers = true, values.IsBinary(vr)
		if b.scan != nil {
			b.scan.Begin(e.Head)
		}
		b.fixed(action, r, begin)
		return stream.Change
	}
	return b.fixed(action, r, begin)
}

// fixed tells what is done to an element, which passes or goes; what was written instead is w.out[begin:].
func (b *body) fixed(action Action, r *rules.Rule, begin int) stream.Fate {
	w, e := &b.w, &b.under
	w.note(action)
	w.act(e.Tag, action, r.Why)
	if r.May != 0 && !r.May.Has(Keep) && !r.May.Has(action) {
		w.broken |= w.s.p.Spoils(e.Tag)
	}
	if r.Temporal == rules.Counted && rules.Silent.Has(action) {
		w.dates.Gone = true
	}
	if w.trace != nil {
		x := explainHead(e.Head, action, r.Why)
		if h, ok := b.top.enc.Head(w.out[begin:]); ok {
			x.After = show(w.out[begin+h.Size:], h, r.VR, b.top.enc, b.top.set)
		}
		*w.trace = append(*w.trace, x)
	}
	if action == Keep {
		return stream.Pass
	}
	return stream.Drop
}
