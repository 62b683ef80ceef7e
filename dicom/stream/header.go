// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

// Element is an attribute with its value. In a Header, Value is as received: raw bytes in the object's byte order,
// padding included, the encoded items of a sequence. In a DataSet numbers are little endian and a sequence has Items.
type Element struct {
	Tag   dict.Tag
	VR    dict.VR
	Value []byte
	Items []*DataSet
}

// element places a top-level element within the header.
type element struct {
	tag             dict.Tag
	vr              dict.VR // 0 in implicit VR
	off, value, end int32   // of the head, of the value, behind the value
}

// edit replaces, adds or removes one top-level element.
type edit struct {
	tag         dict.Tag
	vr          dict.VR
	remove      bool
	first, last int32 // elements of the index that it replaces: [first, last)
	off, end    int32 // its value within scratch.values
}

// Header holds the top-level elements before the body, and the edits made to them.
type Header struct {
	o       *Object
	end     int // length as received
	charset *charset.Set
	// reordered: the index isn't in the order of the bytes.
	reordered bool
}

var (
	errReading = errors.New("the object is being read; its header cannot be edited any more")
	errBehind  = errors.New("the attribute belongs behind the object's body, where nothing can be edited")
)

// Get returns a top-level element, with edits applied. Value is valid until the next edit or Close, and must not be
// changed.
func (h *Header) Get(tag dict.Tag) (Element, bool) {
	if h.o == nil { // closed
		return Element{}, false
	}
	s := h.o.s
	if i, ok := h.findEdit(tag); ok {
		e := &s.edits[i]
		return Element{Tag: tag, VR: e.vr, Value: s.values[e.off:e.end:e.end]}, !e.remove
	}
	first, last := h.find(tag)
	if first == last {
		return Element{}, false
	}
	e := &s.index[first]
	return Element{Tag: tag, VR: h.vrOf(e), Value: s.buf[e.value:e.end:e.end]}, true
}

// Repeated yields the tags that more than one top-level element has, as received.
func (h *Header) Repeated(yield func(dict.Tag) bool) {
	if h.o == nil { // closed
		return
	}
	index := h.o.s.index
	for i := 1; i < len(index); i++ {
		if index[i].tag == index[i-1].tag && !yield(index[i].tag) {
			return
		}
	}
}

// All gives the top-level elements as received, without edits, in their order.
func (h *Header) All(yield func(Element) bool) {
	if h.o == nil { // closed
		return
	}
	for i := range h.o.s.index {
		e := &h.o.s.index[i]
		if !yield(Element{Tag: e.tag, VR: h.vrOf(e), Value: h.o.s.buf[e.value:e.end:e.end]}) {
			return
		}
	}
}

func (h *Header) vrOf(e *element) dict.VR {
	if h.o.ts.Implicit {
		return dict.VROf(e.tag)
	}
	return e.vr
}

// Bytes returns the header as it would go out, its top-level elements in the order of their tags. It is valid until the
// next edit or Close, and must not be changed.
func (h *Header) Bytes() []byte {
	if h.o == nil { // closed
		return nil
	}
	if len(h.o.s.edits) > 0 || h.reordered {
		return h.build()
	}
	return h.o.s.buf[:h.end]
}

// Text returns the first value of a text attribute, decoded and without padding; empty if there is none.
func (h *Header) Text(tag dict.Tag) string {
	e, ok := h.Get(tag)
	if !ok {
		return ""
	}
	vr := textVR(e)
	return firstValue(h.Charset().Decode(e.Value, vr), vr)
}

// Charset returns the object's character set; ASCII where it names one that isn't defined.
func (h *Header) Charset() *charset.Set {
	if h.charset == nil {
		var terms []string
		if e, ok := h.Get(dict.SpecificCharacterSet); ok {
			terms = strings.Split(trimText(string(e.Value)), `\`)
		}
		h.charset = charset.ForReading(terms)
	}
	return h.charset
}

// SOPClassUID returns SOP Class UID (0008,0016).
func (h *Header) SOPClassUID() string { return h.Text(dict.SOPClassUID) }

// SOPInstanceUID returns SOP Instance UID (0008,0018).
func (h *Header) SOPInstanceUID() string { return h.Text(dict.SOPInstanceUID) }

// Set puts a top-level element in its place, or replaces all elements of that tag. value is in the object's byte order;
// it is copied, and padded to even length. A group length (gggg,0000) that the header has is kept right.
func (h *Header) Set(tag dict.Tag, vr dict.VR, value []byte) error {
	e, err := h.newEdit(tag)
	if err != nil {
		return err
	}
	s := h.o.s
	if int64(len(value))+int64(len(s.values)) > defaultHeader {
		return fmt.Errorf("%w: the new values together exceed %d bytes", ErrTooLarge, defaultHeader)
	}
	e.vr, e.off = vr, int32(len(s.values))
	s.values = append(s.values, value...)
	if len(value)%2 == 1 {
		s.values = append(s.values, vr.Padding())
	}
	e.end = int32(len(s.values))
	h.putEdit(e)
	return nil
}

// SetText is Set for a text attribute of the dictionary, encoded in the object's character set. The error wraps
// charset.ErrNotRepresentable if that has no code for a character.
func (h *Header) SetText(tag dict.Tag, text string) error {
	vr := dict.VROf(tag)
	b, err := h.Charset().Encode(text, vr)
	if err != nil {
		return fmt.Errorf("%s: %w", tag, err)
	}
	return h.Set(tag, vr, b)
}

// Remove takes all top-level elements of a tag away. It is no error if there are none.
func (h *Header) Remove(tag dict.Tag) error {
	e, err := h.newEdit(tag)
	if err != nil {
		return err
	}
	e.remove = true
	h.putEdit(e)
	return nil
}

func (h *Header) newEdit(tag dict.Tag) (edit, error) {
	if h.o == nil {
		return edit{}, ErrClosed
	}
	if h.o.started {
		return edit{}, errReading
	}
	if h.o.stray != nil {
		return edit{}, h.o.stray
	}
	e := edit{tag: tag}
	first, last := h.find(tag)
	e.first, e.last = int32(first), int32(last)
	if first == last && first == len(h.o.s.index) && h.bodyTag() <= tag {
		return edit{}, fmt.Errorf("%s: %w", tag, errBehind)
	}
	return e, nil
}

// bodyTag is the tag that the body begins with; all tags are below it if there is no body.
func (h *Header) bodyTag() dict.Tag {
	if head, ok := syntaxOf(h.o.ts).head(h.o.rest); ok {
		return head.tag
	}
	return 0xFFFFFFFF
}

func (h *Header) putEdit(e edit) {
	if e.tag == dict.SpecificCharacterSet {
		h.charset = nil
	}
	s := h.o.s
	if n := len(s.edits); n == 0 || s.edits[n-1].tag < e.tag { // most rewriters go by tag
		s.edits = append(s.edits, e)
		return
	}
	i, ok := h.findEdit(e.tag)
	if ok {
		s.edits[i] = e
	} else {
		s.edits = slices.Insert(s.edits, i, e)
	}
}

func (h *Header) findEdit(tag dict.Tag) (int, bool) {
	return slices.BinarySearchFunc(h.o.s.edits, tag, func(e edit, t dict.Tag) int { return cmp.Compare(e.tag, t) })
}

// find returns the elements of a tag as a range of the index; an empty range is where the tag belongs.
func (h *Header) find(tag dict.Tag) (first, last int) {
	s := h.o.s
	end := len(s.index)
	for first < end {
		if m := (first + end) / 2; s.index[m].tag < tag {
			first = m + 1
		} else {
			end = m
		}
	}
	for last = first; last < len(s.index) && s.index[last].tag == tag; {
		last++
	}
	return first, last
}
