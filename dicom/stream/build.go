// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// order sorts the index of a header whose elements were not in ascending order, as PS3.5 7.1 wants them. As long as
// nothing is edited the bytes go out as they came; an edited header goes out in order.
func (h *Header) order() {
	byTag := func(a, b element) int { return int(int64(a.tag) - int64(b.tag)) }
	if !slices.IsSortedFunc(h.o.s.index, byTag) {
		h.reordered = true
		slices.SortStableFunc(h.o.s.index, byTag)
	}
}

// build writes the edited header into scratch.out: runs of untouched elements as they are, edits in their place.
func (h *Header) build() []byte {
	s, syn := h.o.s, syntaxOf(h.o.ts)
	h.fixGroupLengths(syn)
	if need := h.end + len(s.values) + maxHead*len(s.edits); cap(s.out) < need {
		s.out = make([]byte, 0, need)
	}
	out := s.out[:0]
	next := 0
	for i := range s.edits {
		e := &s.edits[i]
		out = h.appendRange(out, next, int(e.first))
		next = int(e.last)
		if !e.remove {
			out = syn.appendHead(out, e.tag, e.vr, uint32(e.end-e.off))
			out = append(out, s.values[e.off:e.end]...)
		}
	}
	s.out = h.appendRange(out, next, len(s.index))
	return s.out
}

// appendRange copies the elements index[from:to] as received.
func (h *Header) appendRange(out []byte, from, to int) []byte {
	s := h.o.s
	if from >= to {
		return out
	}
	if !h.reordered {
		return append(out, s.buf[s.index[from].off:s.index[to-1].end]...)
	}
	for _, e := range s.index[from:to] {
		out = append(out, s.buf[e.off:e.end]...)
	}
	return out
}

// fixGroupLengths adds an edit for the group length element of each group whose size the edits change. Group lengths
// are retired, yet a reader that trusts a wrong one loses the rest of the group (PS3.5 7.2).
func (h *Header) fixGroupLengths(syn syntax) {
	s := h.o.s
	for i := 0; i < len(s.edits); {
		group := s.edits[i].tag.Group()
		delta := 0
		for ; i < len(s.edits) && s.edits[i].tag.Group() == group; i++ {
			if !s.edits[i].tag.IsGroupLength() {
				delta += h.growth(&s.edits[i], syn)
			}
		}
		tag := dict.NewTag(group, 0)
		first, last := h.find(tag)
		if delta == 0 || first == last || s.index[first].end-s.index[first].value != 4 {
			continue
		}
		if _, edited := h.findEdit(tag); edited {
			continue
		}
		old := syn.uint32(s.buf[s.index[first].value:])
		e := edit{tag: tag, vr: dict.UL, first: int32(first), last: int32(last), off: int32(len(s.values))}
		s.values = syn.appendUint32(s.values, uint32(int64(old)+int64(delta)))
		e.end = int32(len(s.values))
		h.putEdit(e)
		i++ // what was added stands before
	}
}

// growth is the number of bytes that an edit adds.
func (h *Header) growth(e *edit, syn syntax) int {
	n := 0
	if !e.remove {
		var head [maxHead]byte
		n = len(syn.appendHead(head[:0], e.tag, e.vr, uint32(e.end-e.off))) + int(e.end-e.off)
	}
	for _, old := range h.o.s.index[e.first:e.last] {
		n -= int(old.end - old.off)
	}
	return n
}
