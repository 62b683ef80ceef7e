// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"fmt"
	"io"
	"math"

	"github.com/adit-go/adit/dicom/dict"
)

type frameKind uint8

const (
	inDataSet   frameKind = iota // elements: the data set itself, or an item
	inSequence                   // items
	inFragments                  // fragments of encapsulated pixel data (PS3.5 A.4)
)

// frame is an open sequence, item or run of fragments.
type frame struct {
	tag     dict.Tag // of the sequence
	kind    frameKind
	defined bool   // it ends at end; else at its delimiter
	syn     syntax // UN of undefined length holds implicit VR (PS3.5 6.2.2 note 2)
	end     int64  // nothing inside may pass it: its own end or that of the nearest enclosing frame with one
}

// walker follows the structure of a data set as its bytes go by, however they are cut into pieces. It allocates
// nothing, and its frames are an array: depth can't exhaust a stack.
type walker struct {
	pos    int64 // offset of the next byte
	skip   int64 // bytes of the current value still to come
	depth  int   // frames open, not counting frames[0]
	seqs   int   // sequences open
	most   int   // of sequences
	strict bool  // delimiters that end nothing are errors
	stray  error // the first of them, as an error; nil if there was none
	closed int64 // where a sequence of defined length ended last
	carryN int
	carry  [maxHead]byte // start of a head that a piece ended in
	frames [2*maxDepth + 2]frame
}

func (w *walker) start(syn syntax, depth int) {
	w.pos, w.skip, w.depth, w.seqs, w.carryN, w.strict, w.stray, w.closed = 0, 0, 0, 0, 0, false, nil, -1
	w.most = depth
	w.frames[0] = frame{kind: inDataSet, syn: syn, end: math.MaxInt64}
}

// top is the innermost open frame.
func (w *walker) top() *frame { return &w.frames[w.depth] }

// feed takes the next piece.
func (w *walker) feed(p []byte) error {
	for len(p) > 0 {
		if w.skip > 0 {
			n := min(w.skip, int64(len(p)))
			w.advance(n)
			p = p[n:]
			continue
		}
		_, used, _, err := w.next(p)
		if err != nil {
			return err
		}
		p = p[used:]
	}
	return nil
}

// next reads the head that p begins with, or goes on with. used bytes of p belong to it; ok is false if it goes on.
func (w *walker) next(p []byte) (h head, used int, ok bool, err error) {
	if w.carryN == 0 {
		if h, ok, err = w.step(p); ok || err != nil {
			return h, h.size, ok, err
		}
	}
	// A head cut in two: byte by byte, at most twelve times.
	for used < len(p) {
		w.carry[w.carryN] = p[used]
		w.carryN++
		used++
		if h, ok, err = w.step(w.carry[:w.carryN]); err != nil {
			return h, used, false, err
		}
		if ok {
			w.carryN = 0
			return h, used, true, nil
		}
	}
	return h, used, false, nil
}

// advance passes n bytes of the current value.
func (w *walker) advance(n int64) {
	w.pos += n
	w.skip -= n
	if w.skip == 0 {
		w.leave()
	}
}

// leave closes the frames of defined length that end here.
func (w *walker) leave() {
	for w.depth > 0 && w.top().defined && w.top().end == w.pos {
		w.pop()
	}
}

func (w *walker) pop() {
	if w.top().kind == inSequence {
		w.seqs--
		if w.top().defined {
			w.closed = w.pos
		}
	}
	w.depth--
}

// step reads the head at the start of b, when no value is under way. ok is false if b is too short for it.
func (w *walker) step(b []byte) (h head, ok bool, err error) {
	f := w.top()
	h, ok = f.syn.head(b)
	if !ok {
		return h, false, nil
	}
	w.pos += int64(h.size)
	if w.pos > f.end {
		return h, false, w.malformed(h.tag, "extends beyond what encloses it")
	}
	switch f.kind {
	case inSequence:
		err = w.inSequence(f, h)
	case inFragments:
		err = w.inFragments(f, h)
	default:
		err = w.inDataSet(f, h)
	}
	if err == nil && w.skip == 0 {
		w.leave()
	}
	return h, err == nil, err
}

func (w *walker) inSequence(f *frame, h head) error {
	switch {
	case h.tag == dict.ItemTag:
		return w.push(frame{tag: f.tag, kind: inDataSet, syn: f.syn}, h)
	case h.tag == dict.SequenceDelimitationTag && !f.defined:
		return w.delimiter(h)
	case isDelimiter(h):
		return w.endsNothing(h)
	}
	return w.malformed(h.tag, fmt.Sprintf("is in sequence %s where an item is expected", f.tag))
}

func (w *walker) inFragments(_ *frame, h head) error {
	switch {
	case h.tag == dict.ItemTag && h.length != undefined:
		return w.value(h)
	case h.tag == dict.SequenceDelimitationTag:
		return w.delimiter(h)
	}
	return w.malformed(h.tag, "is where a fragment of pixel data is expected")
}

func (w *walker) inDataSet(f *frame, h head) error {
	switch {
	case h.tag == dict.ItemDelimitationTag && w.depth > 0 && !f.defined:
		return w.delimiter(h)
	case isDelimiter(h) && (w.depth == 0 || f.defined || w.closed == w.pos-int64(h.size)):
		return w.endsNothing(h)
	case h.tag.Group() == 0xFFFE:
		return w.malformed(h.tag, "is where an element is expected")
	case !f.syn.implicit && !letters(h.vr) && h.vr != blankVR && h.vr != questionVR:
		return w.malformed(h.tag, "has no VR; its transfer syntax may not be the one that is declared")
	}
	switch contentOf(h, f.syn) {
	case inSequence:
		return w.push(frame{tag: h.tag, kind: inSequence, syn: contentSyntax(h, f.syn)}, h)
	case inFragments:
		return w.push(frame{tag: h.tag, kind: inFragments, syn: f.syn}, h)
	}
	if h.length == undefined {
		return w.malformed(h.tag, "has no length, which its VR "+vrText(h.vr)+" must have")
	}
	return w.value(h)
}

// contentOf says what an element holds: items, fragments, or else (inDataSet) a plain value.
func contentOf(h head, syn syntax) frameKind {
	switch {
	case h.length == undefined:
		switch {
		case h.tag == dict.PixelData, h.vr == dict.OB, h.vr == dict.OW:
			return inFragments
		case syn.implicit, h.vr == dict.SQ, h.vr == dict.UN:
			return inSequence
		}
	case h.vr == dict.SQ, (syn.implicit || syn.forImplicit && h.vr == dict.UN) && dict.VROf(h.tag) == dict.SQ:
		return inSequence
	}
	return inDataSet
}

// contentSyntax is what the items of a sequence are encoded in.
func contentSyntax(h head, syn syntax) syntax {
	if h.vr == dict.UN {
		return syntax{implicit: true}
	}
	return syn
}

// push opens a frame whose content begins here.
func (w *walker) push(f frame, h head) error {
	f.end = w.top().end
	if h.length != undefined {
		if err := w.fits(h); err != nil {
			return err
		}
		f.defined, f.end = true, w.pos+int64(h.length)
	}
	if f.kind == inSequence {
		if w.seqs == w.most {
			return fmt.Errorf("%w: more than %d nested sequences at %s", ErrTooLarge, w.most, h.tag)
		}
		w.seqs++
	}
	w.depth++
	w.frames[w.depth] = f
	return nil
}

func (w *walker) value(h head) error {
	w.skip = int64(h.length)
	return w.fits(h)
}

func (w *walker) fits(h head) error {
	if w.pos+int64(h.length) > w.top().end {
		return w.malformed(h.tag, fmt.Sprintf("has a length of %d that extends beyond what encloses it", h.length))
	}
	return nil
}

func (w *walker) delimiter(h head) error {
	if h.length != 0 {
		return w.malformed(h.tag, "is a delimiter with a length")
	}
	w.pop()
	return nil
}

// isDelimiter reports whether a head is a delimiter without a length.
func isDelimiter(h head) bool {
	return (h.tag == dict.ItemDelimitationTag || h.tag == dict.SequenceDelimitationTag) && h.length == 0
}

// endsNothing passes a delimiter beside a defined length, or at the top level. It changes nothing for who hands the
// data set on as it is.
func (w *walker) endsNothing(h head) error {
	err := w.malformed(
		h.tag, "is a delimiter that ends nothing; the data set can be sent unchanged, but not be changed",
	)
	if w.strict {
		return err
	}
	if w.stray == nil {
		w.stray = err
	}
	return nil
}

// padding reports whether b, which is all that is left, is the NULL byte that makes a data set of odd length even.
func (w *walker) padding(b []byte) bool {
	return w.depth == 0 && w.skip == 0 && w.pos%2 == 1 && len(b) == 1 && b[0] == 0
}

// finish reports whether the data set may end here.
func (w *walker) finish() error {
	if w.depth == 0 && w.skip == 0 && w.carryN == 0 || w.padding(w.carry[:w.carryN]) {
		return nil
	}
	inside := "an element"
	if w.depth > 0 {
		inside = w.top().tag.String()
	}
	return fmt.Errorf(
		"the data set ends at byte %d, within %s; it is truncated: %w",
		w.pos+int64(w.carryN), inside, io.ErrUnexpectedEOF,
	)
}

func (w *walker) malformed(tag dict.Tag, what string) error {
	return fmt.Errorf("%w: %s at byte %d %s", ErrMalformed, tag, w.pos, what)
}

// vrText shows a VR that may be any two bytes.
func vrText(v dict.VR) string {
	if v.Known() {
		return v.String()
	}
	return fmt.Sprintf("%04X", uint16(v))
}
