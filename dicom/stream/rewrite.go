// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"errors"
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// Encoding is how elements are encoded: what of a transfer syntax matters for heads and numbers. The items of a
// sequence may have another than what encloses them (Head.Inside).
type Encoding struct{ s syntax }

// EncodingOf returns the encoding of the data sets of a transfer syntax.
func EncodingOf(t dict.TransferSyntax) Encoding { return Encoding{syntaxOf(t)} }

// Implicit reports whether elements come without VR.
func (e Encoding) Implicit() bool { return e.s.implicit }

// BigEndian is the byte order of heads and numbers.
func (e Encoding) BigEndian() bool { return e.s.big }

// Uint32 reads a number of four bytes, which b must have.
func (e Encoding) Uint32(b []byte) uint32 { return e.s.uint32(b) }

// PutUint32 writes a number of four bytes.
func (e Encoding) PutUint32(b []byte, v uint32) { e.s.order().PutUint32(b, v) }

// UndefinedLength stands for "up to the delimiter" (PS3.5 7.1.1).
const UndefinedLength = undefined

// Content says what an element holds.
type Content uint8

// What elements hold.
const (
	PlainValue Content = iota
	Items              // a sequence
	Fragments          // encapsulated pixel data (PS3.5 A.4)
)

// Head is what precedes a value, an item or the content of a sequence (PS3.5 7.1).
type Head struct {
	Tag     dict.Tag
	VR      dict.VR // as written: 0 in implicit VR and for items and delimiters
	Length  uint32  // UndefinedLength where a delimiter ends the content
	Size    int     // bytes of the head itself: 8 or 12
	Content Content
	Inside  Encoding // of the items of a sequence
}

// Head reads the head that b begins with; ok is false if b is too short for it. That what it promises is there is for
// the caller to check.
func (e Encoding) Head(b []byte) (h Head, ok bool) {
	in, ok := e.s.head(b)
	if !ok {
		return h, false
	}
	h = Head{Tag: in.tag, VR: in.vr, Length: in.length, Size: in.size, Inside: e}
	if in.tag.Group() == 0xFFFE {
		return h, true
	}
	switch contentOf(in, e.s) {
	case inSequence:
		h.Content, h.Inside.s = Items, contentSyntax(in, e.s)
	case inFragments:
		h.Content = Fragments
	}
	return h, true
}

// ItemsOfUN returns the encoding that the content of a sequence under VR UN has, be its length defined or not: implicit
// VR little endian (PS3.5 6.2.2 note 2).
func ItemsOfUN() Encoding { return Encoding{syntax{implicit: true}} }

// AppendHead writes a head. In explicit VR a value too long for a VR with 16 bits of length goes as UN (PS3.5 6.2.2).
func (e Encoding) AppendHead(b []byte, tag dict.Tag, vr dict.VR, length uint32) []byte {
	return e.s.appendHead(b, tag, vr, length)
}

var errRewritten = errors.New("the header was already rewritten, which is possible only once")

// Rewrite replaces the header as a whole: f gets it as it would go out, its top-level elements in the order of their
// tags, and appends the new one to out. in is valid until f returns. The new header is walked before it is taken, so
// what goes out has a sound structure; it is then what Header shows, and can be edited.
func (o *Object) Rewrite(f func(in, out []byte) ([]byte, error)) error {
	switch {
	case o.s == nil:
		return ErrClosed
	case o.started:
		return errReading
	case o.rewritten:
		return errRewritten
	case o.stray != nil:
		return o.stray
	}
	s, h := o.s, &o.header
	in := h.Bytes()
	if need := len(in) + len(in)/4 + 1024; cap(s.spare) < need {
		s.spare = make([]byte, 0, need)
	}
	out, err := f(in, s.spare[:0])
	if err != nil {
		return err
	}
	bodyTag := h.bodyTag()
	if err := s.reindex(out, syntaxOf(o.ts), s.w.most); err != nil {
		return fmt.Errorf("the rewritten header: %w", err)
	}
	if n := len(s.index); n > 0 && s.index[n-1].tag >= bodyTag {
		return fmt.Errorf("the rewritten header: %s: %w", s.index[n-1].tag, errBehind)
	}
	s.spare, s.buf = s.buf, out // what was read beyond the header stays where it is, in o.rest
	s.edits, s.values = s.edits[:0], s.values[:0]
	*h = Header{o: o, end: len(out)}
	o.head, o.rewritten = s.buf, true
	return nil
}

// reindex walks a header and notes its top-level elements, which must be in order.
func (s *scratch) reindex(b []byte, syn syntax, depth int) error {
	pos := s.w.pos // the walker stands where the body begins, at top level: leave it so
	defer func() {
		s.w.start(syn, depth)
		s.w.pos = pos
	}()
	w := &s.w
	w.start(syn, depth)
	w.strict = true
	s.index = s.index[:0]
	for w.pos < int64(len(b)) {
		begin, atTop := w.pos, w.depth == 0
		h, ok, err := w.step(b[begin:])
		if err != nil {
			return err
		}
		if !ok || w.skip > int64(len(b))-w.pos {
			return w.malformed(h.tag, "extends beyond the end of the header")
		}
		if atTop {
			if n := len(s.index); n > 0 && s.index[n-1].tag > h.tag {
				return w.malformed(h.tag, "is out of order")
			}
			if len(s.index) == maxElements {
				return fmt.Errorf("%w: more than %d elements in its header", ErrTooLarge, maxElements)
			}
			s.index = append(s.index, element{tag: h.tag, vr: h.vr, off: int32(begin), value: int32(w.pos)})
		}
		if w.skip > 0 {
			w.advance(w.skip)
		}
		if w.depth == 0 {
			s.index[len(s.index)-1].end = int32(w.pos)
		}
	}
	return w.finish()
}
