// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"errors"
	"fmt"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

const (
	shortValue = 64 << 10 // bytes of a value that is held whole, whatever is to become of it
	maxHeld    = 16 << 20 // bytes of a private group of the body, which is held until it is known which creators stay
)

// body de-identifies what follows the header, by the same rules, as a stream.BodyFilter: an element or an item at a time.
type body struct {
	w       rewriter // of its own, since the bodies of several objects pass at once
	top     level    // goes on where the header ended
	report  Report   // its counts
	started bool
	behind  bool // pixel data has come
	last    dict.Tag
	under   elem // the element under way
	dummy   bool // its items are to say nothing
	items   int  // of it, so far
	group   []byte
	mask    mask
}

// newBody gives what rewrites the body of the object whose header was rewritten last.
func (s *Session) newBody(report *Report) *body {
	b := &body{top: s.w.top, report: Report{SOPInstanceUID: report.SOPInstanceUID}}
	b.w = rewriter{
		s: s, class: s.w.class, syntax: s.w.syntax, report: &b.report,
		verbatim: s.w.verbatim, utf8: s.w.utf8, strict: s.w.strict, whole: s.w.whole,
	}
	report.body = &b.report
	return b
}

func isPixelData(tag dict.Tag) bool {
	return tag == dict.PixelData || tag == dict.FloatPixelData || tag == dict.DoubleFloatPixelData
}

// changesBody tells whether the body goes through the rules, too. Without a pseudonym it passes as it is, unless its text moves.
func (w *rewriter) changesBody() bool { return !w.verbatim || w.utf8 }

// filterBody has the body of the object whose header was rewritten last go through the rules.
func (s *Session) filterBody(o *stream.Object, report *Report) error {
	first, ok := o.Body()
	if !ok || !s.w.changesBody() {
		return nil
	}
	b := s.newBody(report)
	if first.Tag == dict.PixelData && !s.w.verbatim {
		if _, err := b.pixelData(first); err != nil { // before anything is sent
			return err
		}
	}
	return o.FilterBody(b)
}

// early is the error of an object whose header ends before an attribute that must be known, or written, before the body.
func (s *Session) early(o *stream.Object, uid string) error {
	first, ok := o.Body()
	if !ok || first.Tag > s.assigned[len(s.assigned)-1].tag {
		return nil
	}
	return &UnsafeError{Reason: Unparsable, SOPInstanceUID: uid, Detail: fmt.Sprintf(
		"%s is too large, and stands before attributes that say whose the object is; have the source send it without %s", first.Tag, first.Tag)}
}

// Element decides by an element's head. It is part of stream.BodyFilter.
func (b *body) Element(h stream.Head, out []byte) ([]byte, stream.Fate, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	if h.Tag.Group() != b.top.group {
		out = b.endGroup(out)
		b.top.group = h.Tag.Group()
	}
	b.w.out = out
	fate, err := b.decide(h)
	return b.w.out, fate, b.unsafe(err)
}

// Part rewrites an element or an item. It is part of stream.BodyFilter.
func (b *body) Part(in, out []byte) ([]byte, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	w := &b.w
	switch e := &b.under; {
	case e.Content == stream.Items && !e.Tag.IsPrivate() || e.Content == stream.Items && w.verbatim:
		w.out, w.depth = out, 1
		e.value = in
		item, _ := e.Inside.Head(in)
		_, err := w.itemAt(e, item, 0, b.items, b.dummy, &b.top)
		b.items++
		return w.out, b.unsafe(err)
	case e.Tag.IsPrivate() && !w.verbatim:
		w.out = b.group
		_, err := w.element(in, e.Head, &b.top)
		if b.group = w.out; err == nil && len(b.group) > maxHeld {
			err = fmt.Errorf("%w: the private group of %s", stream.ErrTooLarge, e.Tag)
		}
		return out, b.unsafe(err)
	default:
		w.out = out
		_, err := w.element(in, e.Head, &b.top)
		return w.out, b.unsafe(err)
	}
}

// Value clears the bits of overlays. It is part of stream.BodyFilter.
func (b *body) Value(p []byte) { b.mask.apply(p) }

// End is part of stream.BodyFilter.
func (b *body) End(out []byte) ([]byte, error) {
	b.w.s.mu.Lock()
	defer b.w.s.mu.Unlock()
	return b.endGroup(out), nil
}

// endGroup appends the private group that was held.
func (b *body) endGroup(out []byte) []byte {
	b.w.out = b.group
	b.w.closeGroup(&b.top, 0)
	out = append(out, b.w.out...)
	b.group = b.w.out[:0]
	return out
}

// unsafe makes an error of rewriting the body one that names the object.
func (b *body) unsafe(err error) error {
	if errors.Is(err, charset.ErrNotRepresentable) {
		return &UnsafeError{
			Reason: Undecodable, SOPInstanceUID: b.report.SOPInstanceUID, Err: err,
			Detail: fmt.Sprintf("the profile puts a text into %s that the object's character set lacks, and the object is too large to move to another; "+
				"have the profile write plain letters there", b.under.Tag),
		}
	}
	return unsafe(err, b.report.SOPInstanceUID)
}

func (b *body) decide(h stream.Head) (stream.Fate, error) {
	w := &b.w
	if b.started && h.Tag <= b.last && !w.verbatim {
		return 0, &UnsafeError{
			Reason: Unparsable, SOPInstanceUID: b.report.SOPInstanceUID,
			Detail: h.Tag.String() + " stands out of order behind its header, where attributes in disorder are not de-identified",
		}
	}
	b.started, b.last = true, h.Tag
	b.under, b.items, b.dummy = elem{Head: h}, 0, false
	switch {
	case isPixelData(h.Tag):
		b.behind = true
		if h.Tag == dict.PixelData && !w.verbatim {
			return b.pixelData(h)
		}
		return stream.Pass, nil
	case h.Tag.IsGroupLength(): // nobody knows it yet
		return stream.Drop, nil
	case h.Tag.IsPrivate() && !w.verbatim:
		return b.private(h), nil
	}
	var odd rule
	return b.public(w.rule(&b.under, &b.top, &odd)), nil
}

// pixelData tells whether bits of the pixels have to be cleared.
func (b *body) pixelData(h stream.Head) (stream.Fate, error) {
	var err error
	if b.mask, err = b.top.pixels.mask(h, b.top.enc, b.w.syntax, b.report.SOPInstanceUID); b.mask.on {
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
		stays = i >= 0 && w.s.p.privateRule(h.Tag, h.VR, w.blocks[i].creator).action != Remove
	}
	if stays {
		return stream.Whole
	}
	if h.Tag.IsPrivateCreator() { // which nobody counts
		return stream.Drop
	}
	return b.fixed(Remove)
}

// public decides on an element of an even group by its rule. What is short is held whole, so that the same code judges its
// value as in the header.
func (b *body) public(r *rule) stream.Fate {
	e := &b.under
	if e.Content == stream.PlainValue && r.vr == dict.SQ && !b.undisguise() {
		return b.fixed(Remove)
	}
	action := r.action
	if r.byType {
		action = b.w.byType(e.Tag, &b.top)
	}
	switch {
	case e.Content == stream.PlainValue && e.Length <= shortValue:
		return stream.Whole // which counts it
	case e.Content == stream.PlainValue:
		return b.large(action, r)
	case action == Empty && e.Content == stream.Items:
		b.w.put(&b.top, e.Tag, dict.SQ, nil)
	case action == Empty:
		b.w.put(&b.top, e.Tag, written(e, r), nil)
	case e.Content == stream.Items && (action == Keep || action == Clean || action == MapUID || action == Dummy):
		b.dummy = action == Dummy
		b.w.note(action)
		return stream.ByItem
	case action != Keep:
		action = Remove
	}
	return b.fixed(action)
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

// large decides on a value that need not be held, since nothing of it is to be read.
func (b *body) large(action Action, r *rule) stream.Fate {
	w, e := &b.w, &b.under
	switch vr := effective(e, r); {
	case action == Empty:
		w.put(&b.top, e.Tag, written(e, r), nil)
	case action == Dummy && vr != dict.UI:
		w.value = appendDummy(w.value[:0], vr, int(e.Length))
		w.put(&b.top, e.Tag, written(e, r), w.value)
	case action == Keep && vr.Text(), action != Keep && action != Remove:
		return stream.Whole
	}
	return b.fixed(action)
}

// fixed counts what is done to an element, which passes or goes.
func (b *body) fixed(action Action) stream.Fate {
	b.w.note(action)
	if action == Keep {
		return stream.Pass
	}
	return stream.Drop
}
