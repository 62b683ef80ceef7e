// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// Fate is what becomes of a top-level element of the body.
type Fate uint8

// The fates. Nothing but Whole and ByItem takes memory, and that at most as much as the header may.
const (
	Pass   Fate = iota // it goes out as it is
	Drop               // it doesn't go out
	Change             // its value goes through BodyFilter.Value as it passes
	Whole              // BodyFilter.Part gets all of it
	ByItem             // BodyFilter.Part gets each item of the sequence, which goes out with undefined length
)

// BodyFilter decides what becomes of the body of an object. Elements come as they are sent, in whatever order.
type BodyFilter interface {
	// Element is asked about each top-level element by its head. It appends to out what is to precede it.
	Element(h Head, out []byte) ([]byte, Fate, error)
	// Part appends to out what is to go out instead of in, an element or an item with all that belongs to it.
	Part(in, out []byte) ([]byte, error)
	// Value changes the next bytes of a value in place.
	Value(p []byte)
	// End appends to out what is to follow the last element.
	End(out []byte) ([]byte, error)
}

// unchanged lets all of the body pass.
type unchanged struct{}

func (unchanged) Element(_ Head, out []byte) ([]byte, Fate, error) { return out, Pass, nil }
func (unchanged) Part(_, out []byte) ([]byte, error)               { return out, nil }
func (unchanged) Value([]byte)                                     {}
func (unchanged) End(out []byte) ([]byte, error)                   { return out, nil }

// Body returns what the body begins with; ok is false if there is none.
func (o *Object) Body() (h Head, ok bool) {
	if o.s == nil {
		return h, false
	}
	return Encoding{syntaxOf(o.ts)}.Head(o.rest)
}

// FilterBody has the body, from the element that it begins with to what follows pixel data, go through a filter. What
// the filter makes of it is walked before it goes out. An error of the filter is one of Read.
func (o *Object) FilterBody(by BodyFilter) error {
	switch {
	case o.s == nil:
		return ErrClosed
	case o.started:
		return errReading
	case o.stray != nil:
		return o.stray
	}
	f := &o.s.filter
	f.by, f.limit, f.fate, f.out, f.err = by, o.limit, Pass, nil, nil
	f.w.start(syntaxOf(o.ts), o.s.w.most)
	f.w.strict, f.w.pos = true, o.s.w.pos
	o.filter = f
	return nil
}

// filter stands between the source and the walker that checks the body. Values that pass go straight into the caller's
// buffer.
type filter struct {
	by    BodyFilter
	w     walker
	limit int  // of bytes that are held
	fate  Fate // of the top-level element under way
	tag   dict.Tag
	items syntax // of the sequence under way: what its delimiter is encoded in
	held  []byte // of the element or item under way
	buf   []byte
	out   []byte // of buf, still to be read
	err   error  // what follows out
}

func (f *filter) read(o *Object, p []byte) (int, error) {
	for {
		switch {
		case len(f.out) > 0:
			n := copy(p, f.out)
			f.out = f.out[n:]
			return n, nil
		case f.err != nil:
			return 0, f.err
		case f.w.skip > 0:
			n, err := o.readSource(p[:min(int64(len(p)), f.w.skip)])
			f.w.advance(int64(n))
			f.end(err)
			if n == 0 || f.fate == Drop {
				continue
			}
			if f.fate == Change {
				f.by.Value(p[:n])
			}
			return n, nil
		default:
			f.err = f.next(o)
			f.out = f.buf
		}
	}
}

// next goes on where no value is under way, and puts into f.buf what goes out.
func (f *filter) next(o *Object) error {
	f.buf = f.buf[:0]
	if f.w.depth == 0 {
		return f.element(o)
	}
	if f.fate == ByItem {
		return f.someItems(o)
	}
	for f.w.depth > 0 && f.w.skip == 0 && len(f.buf) < pieceSize {
		_, b, err := f.step(o)
		if err != nil {
			return err
		}
		f.pass(b)
		if n := int(f.w.skip); n > 0 && n <= len(o.rest) { // a short value, which needs no reading of its own
			f.pass(o.rest[:n])
			o.rest = o.rest[n:]
			f.w.advance(int64(n))
		}
	}
	return nil
}

// pass puts what belongs to an element that passes, or goes, among what is to be read, or doesn't.
func (f *filter) pass(b []byte) {
	if f.fate != Drop {
		f.buf = append(f.buf, b...)
	}
}

// element reads the head of a top-level element and asks what becomes of it.
func (f *filter) element(o *Object) error {
	enc := Encoding{syntaxOf(o.ts)}
	h, b, err := f.step(o)
	if atEnd(err) {
		var bad error
		if f.buf, bad = f.by.End(f.buf); bad != nil {
			return bad
		}
	}
	if err != nil {
		return err
	}
	f.held = append(f.held[:0], b...)
	shown, _ := enc.Head(f.held)
	if f.buf, f.fate, err = f.by.Element(shown, f.buf); err != nil {
		return err
	}
	f.tag = h.tag
	switch f.fate {
	case Pass, Change:
		f.buf = append(f.buf, f.held...)
	case Whole:
		if err = f.hold(o, 0); err == nil {
			f.buf, err = f.by.Part(f.held, f.buf)
		}
	case ByItem:
		f.items = shown.Inside.s
		// it came as a plain value under UN, or the dictionary doesn't know it for a sequence: implicit VR
		if f.w.skip > 0 {
			f.w.skip, f.items = 0, syntax{implicit: true}
			err = f.w.push(frame{tag: h.tag, kind: inSequence, syn: f.items}, h)
		}
		f.buf = enc.s.appendHead(f.buf, h.tag, h.vr, undefined)
		if f.w.depth == 0 { // it has no items
			f.delimit()
		}
	}
	return err
}

// someItems has items rewritten until there is something to be sent, or the sequence ends.
func (f *filter) someItems(o *Object) error {
	for len(f.buf) < pieceSize {
		h, b, err := f.step(o)
		if err != nil {
			return err
		}
		if h.tag == dict.ItemTag {
			f.held = append(f.held[:0], b...)
			if err = f.hold(o, 1); err != nil {
				return err
			}
			if f.buf, err = f.by.Part(f.held, f.buf); err != nil {
				return err
			}
		}
		if f.w.depth == 0 {
			f.delimit()
			return nil
		}
	}
	return nil
}

func (f *filter) delimit() {
	f.buf = f.items.appendHead(f.buf, dict.SequenceDelimitationTag, 0, 0)
}

// hold reads on into f.held until no more than depth frames are open.
func (f *filter) hold(o *Object, depth int) error {
	for f.w.skip > 0 || f.w.depth > depth {
		if int64(len(f.held))+f.w.skip > int64(f.limit) {
			what := "it is"
			if depth > 0 {
				what = "an item of it is"
			}
			return fmt.Errorf(
				"%w: %s has to be changed, but %s longer than the %d bytes that ADIT holds in memory",
				ErrTooLarge, f.tag, what, f.limit,
			)
		}
		if f.w.skip == 0 {
			_, b, err := f.step(o)
			if err != nil {
				return err
			}
			f.held = append(f.held, b...)
			continue
		}
		b, err := o.peek(1)
		if err != nil {
			return f.cut(err, nil)
		}
		n := min(f.w.skip, int64(len(b)))
		f.held = append(f.held, b[:n]...)
		o.rest = b[n:]
		f.w.advance(n)
	}
	return nil
}

// step reads the next head. Its bytes are valid until more is read.
func (f *filter) step(o *Object) (h head, b []byte, err error) {
	for want := 8; ; want = maxHead {
		b, err = o.peek(want)
		h, ok, bad := f.w.step(b[:min(len(b), maxHead)])
		switch {
		case bad != nil:
			return h, nil, bad
		case ok:
			o.rest = b[h.size:]
			return h, b[:h.size], nil
		case err != nil:
			return h, nil, f.cut(err, b)
		}
	}
}

// peek shows what comes next of the source, n bytes or more unless an error says why not. It stays in o.rest.
func (o *Object) peek(n int) ([]byte, error) {
	for len(o.rest) < n {
		if o.s.ahead == nil {
			o.s.ahead = make([]byte, pieceSize)
		}
		begun := copy(o.s.ahead, o.rest)
		m, err := readSome(o.src, o.s.ahead[begun:])
		o.rest = o.s.ahead[:begun+m]
		if err != nil {
			return o.rest, err
		}
	}
	return o.rest, nil
}

// end notes an error that came while a value was read. The end of input is seen again by who reads on, if it may be
// there.
func (f *filter) end(err error) {
	if atEnd(err) {
		err = f.w.finish()
	}
	f.err = err
}

// cut is the end of input, or an error, where b is all there is of a head.
func (f *filter) cut(err error, b []byte) error {
	if !atEnd(err) {
		return err
	}
	f.w.carryN = copy(f.w.carry[:], b)
	if bad := f.w.finish(); bad != nil {
		return bad
	}
	return err
}
