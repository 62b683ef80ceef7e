// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"errors"
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// ErrEncapsulated is wrapped when a conversion meets compressed pixel data. Nothing is ever decoded here.
var ErrEncapsulated = errors.New("its pixel data is compressed, and ADIT does not decode it; " +
	"configure the source to send it uncompressed, or choose a destination that accepts it compressed")

// ErrNoConversion is wrapped when a transfer syntax can't be converted to the one that is asked for.
var ErrNoConversion = errors.New("there is no conversion between these transfer syntaxes")

// CanConvert reports whether ConvertTo can bring objects of one transfer syntax into another: implicit VR little
// endian, explicit VR little endian and deflated into each other, explicit VR big endian into these, and each into
// itself.
func CanConvert(from, to string) bool {
	return from == to || (native(from) || from == dict.ExplicitVRBigEndian) && native(to)
}

func native(uid string) bool {
	return uid == dict.ImplicitVRLittleEndian || uid == dict.ExplicitVRLittleEndian ||
		uid == dict.DeflatedExplicitVRLittleEndian
}

// ConvertTo has the object go out in another transfer syntax, with its edits. It comes before reading; the header is
// shown and edited as received. Values stay what they are, byte order apart (PS3.5 7.3); VRs that implicit VR doesn't
// tell come from the dictionary, "US or SS" is resolved by Pixel Representation (0028,0103), and what the dictionary
// doesn't know, or is too long for its VR, becomes UN (PS3.5 6.2.2). Naming file meta accordingly is the caller's.
//
// Errors wrap ErrEncapsulated or ErrNoConversion. ErrEncapsulated may also come of reading, where a compressed icon
// lies within a sequence; reading gives ErrMalformed where an element can't be told in implicit VR, since the
// dictionary has a sequence for it.
func (o *Object) ConvertTo(transferSyntaxUID string) error {
	switch {
	case o.s == nil:
		return ErrClosed
	case o.started:
		return errReading
	}
	to := dict.TransferSyntaxOf(transferSyntaxUID)
	if !CanConvert(o.ts.UID, to.UID) {
		err := ErrNoConversion
		if o.ts.Encapsulated {
			err = ErrEncapsulated
		}
		return fmt.Errorf("%s can't be converted to %s: %w", o.ts.Name, to.Name, err)
	}
	if o.stray != nil && syntaxOf(o.ts) != syntaxOf(to) {
		return o.stray
	}
	body, ok := syntaxOf(o.ts).head(o.rest)
	if ok && syntaxOf(o.ts) != syntaxOf(to) && contentOf(body, syntaxOf(o.ts)) == inFragments {
		return fmt.Errorf("%s can't be converted to %s: %w", o.ts.Name, to.Name, ErrEncapsulated)
	}
	o.to = to
	return nil
}

// converter writes a data set in another syntax while it passes. The header is in memory: there defined lengths stay
// defined, and group lengths are kept right. Behind it nobody knows how long a sequence will get: it goes
// out with undefined length, and without group lengths (which are retired, PS3.5 7.2).
type converter struct {
	to        syntax
	w         walker // over the input
	body      bool   // the header is done
	bodyGroup uint16 // of the element that the body begins with
	depth     int    // of frames, as the walker's
	frames    [2*maxDepth + 2]target
	tag       dict.Tag // of the value under way
	width     int      // of its units to swap, 1 for none
	drop      bool     // it is left out
	begun     int      // bytes in unit
	unit      [8]byte  // a unit that a piece ended in
	out       []byte   // still to be read
	err       error    // what follows out
}

// target is an open sequence or item as it goes out.
type target struct {
	syn      syntax // of its elements
	raw      bool   // content goes out as it came in
	defined  bool   // by its length in the input
	item     bool
	signed   bool // Pixel Representation, that of what encloses it until its own comes
	lengthAt int  // of a length to be written when its end is known, else -1
	groupAt  int  // of a group length likewise
	group    uint16
}

func newConverter(from, to syntax, depth int, signed bool) *converter {
	c := &converter{to: to}
	from.forImplicit = to.implicit
	c.w.start(from, depth)
	c.w.strict = true
	c.frames[0] = target{syn: to, signed: signed, lengthAt: -1, groupAt: -1}
	return c
}

// header converts the edited header into b.
func (c *converter) header(b, in []byte, bodyTag dict.Tag, end int64) error {
	c.bodyGroup = bodyTag.Group()
	out, err := c.feed(b, in)
	if err == nil {
		err = c.w.finish()
	}
	if err != nil {
		return err
	}
	c.endGroup(out, &c.frames[0])
	c.out, c.body, c.w.pos = out, true, end
	return nil
}

// read returns the converted data set.
func (c *converter) read(o *Object, p []byte) (int, error) {
	for {
		switch {
		case len(c.out) > 0:
			n := copy(p, c.out)
			c.out = c.out[n:]
			return n, nil
		case c.err != nil:
			return 0, c.err
		case c.w.skip > 0 && !c.drop && c.tag != dict.PixelRepresentation && len(p) >= c.width:
			if n := c.direct(o, p); n > 0 {
				return n, nil
			}
		default:
			n, err := o.readBody(o.s.pieceBuffer())
			c.out, c.err = c.feed(o.s.converted[:0], o.s.piece[:n])
			o.s.converted = c.out[:0]
			if c.err == nil {
				c.end(o, err)
			}
		}
	}
}

// direct reads from within a value to p, which holds a unit or more: long values need no buffer.
func (c *converter) direct(o *Object, p []byte) int {
	begun := copy(p, c.unit[:c.begun])
	n, err := o.readBody(p[begun:min(int64(len(p)), int64(begun)+c.w.skip)])
	whole := begun + n
	if c.w.advance(int64(n)); c.w.skip > 0 {
		whole -= whole % c.width
		c.begun = copy(c.unit[:], p[whole:begun+n])
	} else {
		c.begun = 0
		c.out = c.leave(o.s.converted[:0])
	}
	swap(p[:whole], c.width)
	c.end(o, err)
	return whole
}

// end notes how the source ended, if it did.
func (c *converter) end(o *Object, err error) {
	if atEnd(err) {
		if bad := c.w.finish(); bad != nil {
			err = bad
		} else if bad := o.trailer(); bad != nil {
			err = bad
		}
	}
	c.err = err
}

// feed converts the next piece, appending to out.
func (c *converter) feed(out, p []byte) ([]byte, error) {
	for len(p) > 0 {
		if c.w.skip > 0 {
			n := min(c.w.skip, int64(len(p)))
			out = c.value(out, p[:n])
			p = p[n:]
			continue
		}
		inside := *c.w.top()
		h, used, ok, err := c.w.next(p)
		if err != nil {
			return out, err
		}
		p = p[used:]
		if !ok {
			continue
		}
		if out, err = c.head(out, h, inside); err != nil {
			return out, err
		}
		if c.w.skip == 0 {
			out = c.leave(out)
		}
	}
	return out, nil
}

// head converts what precedes a value, an item, a sequence, or ends one.
func (c *converter) head(out []byte, h head, inside frame) ([]byte, error) {
	f := &c.frames[c.depth]
	c.tag, c.width, c.drop, c.begun = h.tag, 1, false, 0
	kind := kindOf(h, inside)
	switch kind {
	case EndToken:
		return c.close(out), nil
	case ItemToken:
		return c.open(out, h, 0, f.syn, f.raw), nil
	case FragmentToken:
		return f.syn.appendHead(out, h.tag, 0, h.length), nil
	}
	if f.raw {
		if kind == ValueToken {
			return f.syn.appendHead(out, h.tag, 0, h.length), nil
		}
		return c.open(out, h, 0, f.syn, true), nil
	}
	if f.groupAt >= 0 && f.group != h.tag.Group() {
		c.endGroup(out, f)
	}
	switch kind {
	case FragmentsToken:
		return out, fmt.Errorf("%s: %w", h.tag, ErrEncapsulated)
	case SequenceToken:
		return c.sequence(out, h, inside.syn)
	}
	return c.element(out, h, inside.syn)
}

// sequence converts the head of an element that has items.
func (c *converter) sequence(out []byte, h head, from syntax) ([]byte, error) {
	vr := dict.SQ
	if h.vr == dict.UN || from.implicit && dict.VROf(h.tag) != dict.SQ {
		vr = dict.UN // items in implicit VR, as they are (CP-246)
	}
	if h.tag == dict.PixelData { // which would be fragments then
		return out, c.w.malformed(h.tag, "holds a sequence")
	}
	content := c.to
	if vr == dict.UN {
		content = syntax{implicit: true}
	}
	return c.open(out, h, vr, content, contentSyntax(h, from).implicit && content.implicit), nil
}

// element converts the head of a plain value.
func (c *converter) element(out []byte, h head, from syntax) ([]byte, error) {
	f := &c.frames[c.depth]
	if h.tag.IsGroupLength() && h.length == 4 {
		c.drop = true
		if c.body || c.depth == 0 && h.tag.Group() == c.bodyGroup {
			return out, nil
		}
		out = f.syn.appendHead(out, h.tag, dict.UL, 4)
		f.groupAt, f.group = len(out), h.tag.Group()
		return append(out, 0, 0, 0, 0), nil
	}
	vr := h.vr
	switch {
	case from.implicit:
		vr = vrIn(h, f.signed)
	case c.to.implicit && h.length > 0 && dict.VROf(h.tag) == dict.SQ: // UN apart, which went to sequence
		return out, c.w.malformed(h.tag, "has VR "+vrText(h.vr)+", while implicit VR would make a sequence of it")
	}
	if from.big {
		c.width = vr.Width()
	}
	return f.syn.appendHead(out, h.tag, vr, h.length), nil
}

// vrIn returns the VR of an element that came in implicit VR (PS3.5 A.1).
func vrIn(h head, signed bool) dict.VR {
	e, _ := dict.Lookup(h.tag)
	switch {
	case e.VR == 0:
		return dict.UN
	case e.AltVR == dict.SS && signed, e.AltVR == dict.OW && e.VR == dict.US && h.length > maxShort:
		return e.AltVR
	}
	return e.VR
}

// open begins a sequence or an item whose elements go out in syn.
func (c *converter) open(out []byte, h head, vr dict.VR, syn syntax, raw bool) []byte {
	f := &c.frames[c.depth]
	t := target{
		syn: syn, raw: raw, defined: h.length != undefined,
		item: h.tag == dict.ItemTag, signed: f.signed, lengthAt: -1, groupAt: -1,
	}
	length := h.length
	// Nobody could tell a private sequence from a value in implicit VR but for its undefined length.
	known := t.item || !f.syn.implicit || dict.VROf(h.tag) == dict.SQ
	later := t.defined && !raw && !c.body && known
	if !raw {
		length = undefined
	}
	out = f.syn.appendHead(out, h.tag, vr, length)
	if later {
		t.lengthAt = len(out) - 4
	}
	c.depth++
	c.frames[c.depth] = t
	return out
}

// close ends the innermost item or sequence.
func (c *converter) close(out []byte) []byte {
	t := &c.frames[c.depth]
	c.endGroup(out, t)
	c.depth--
	switch {
	case t.raw && t.defined:
	case t.lengthAt >= 0:
		t.syn.order().PutUint32(out[t.lengthAt:], uint32(len(out)-t.lengthAt-4))
	case t.item:
		out = t.syn.appendHead(out, dict.ItemDelimitationTag, 0, 0)
	default:
		out = t.syn.appendHead(out, dict.SequenceDelimitationTag, 0, 0)
	}
	return out
}

// leave ends what the walker has left because its length was reached.
func (c *converter) leave(out []byte) []byte {
	for c.depth > c.w.depth {
		out = c.close(out)
	}
	return out
}

func (c *converter) endGroup(out []byte, t *target) {
	if t.groupAt >= 0 {
		t.syn.order().PutUint32(out[t.groupAt:], uint32(len(out)-t.groupAt-4))
		t.groupAt = -1
	}
}

// value converts a piece of the value under way.
func (c *converter) value(out, p []byte) []byte {
	if c.tag == dict.PixelRepresentation {
		c.frames[c.depth].signed = p[0] == 1 // little endian; in big endian nobody asks
		c.tag = 0
	}
	switch {
	case c.drop:
	case c.width == 1:
		out = append(out, p...)
	default:
		out = c.swapped(out, p)
	}
	c.w.advance(int64(len(p)))
	if c.w.skip == 0 {
		out = append(out, c.unit[:c.begun]...) // a length that is no multiple of the unit
		c.begun = 0
		out = c.leave(out)
	}
	return out
}

// swapped turns the byte order of p round, whose units may be cut anywhere.
func (c *converter) swapped(out, p []byte) []byte {
	if c.begun > 0 {
		n := copy(c.unit[c.begun:c.width], p)
		c.begun += n
		p = p[n:]
		if c.begun < c.width {
			return out
		}
		swap(c.unit[:c.width], c.width)
		out = append(out, c.unit[:c.width]...)
	}
	whole := len(p) - len(p)%c.width
	at := len(out)
	out = append(out, p[:whole]...)
	swap(out[at:], c.width)
	c.begun = copy(c.unit[:], p[whole:])
	return out
}

// pieceBuffer is what a piece of the source is read to.
func (s *scratch) pieceBuffer() []byte {
	if s.piece == nil {
		s.piece = make([]byte, pieceSize)
	}
	return s.piece
}
