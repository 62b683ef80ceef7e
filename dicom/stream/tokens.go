// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"iter"

	"github.com/adit-go/adit/dicom/dict"
)

// TokenKind says what of a header a Token is.
type TokenKind uint8

// The parts that a header consists of.
const (
	ValueToken     TokenKind = iota // an element with a plain value
	SequenceToken                   // an element whose items follow
	FragmentsToken                  // an element whose fragments follow: encapsulated pixel data within an icon
	ItemToken                       // an item whose elements follow
	FragmentToken                   // a fragment
	EndToken                        // end of the innermost sequence, item or fragments, by its length or by a delimiter
)

// Token is a part of the header as received, at any depth. Start, Value and End are offsets in the header: of the head,
// of the value, behind the value. A container's End is where its content begins; an EndToken covers the delimiter, or
// nothing where a length ends the container.
type Token struct {
	Kind              TokenKind
	Tag               dict.Tag   // of the element, of the item or delimiter; 0 where a length ends the container
	VR                dict.VR    // by the dictionary in implicit VR; 0 for items and ends
	Path              []dict.Tag // the enclosing sequences, outermost first; valid until the next token
	Start, Value, End int
}

// Tokens returns the whole header as received, in one pass without recursion. It allocates nothing per token.
func (h *Header) Tokens() iter.Seq[Token] {
	return func(yield func(Token) bool) {
		t := tokenizer{b: h.o.s.buf[:h.end]}
		t.w.start(syntaxOf(h.o.ts), h.o.s.w.most)
		t.run(yield)
	}
}

// ValueOf returns the value of a token as received. It is valid until the object is edited or closed, and must not be
// changed.
func (h *Header) ValueOf(t Token) []byte { return h.o.s.buf[t.Value:t.End] }

type tokenizer struct {
	w    walker
	b    []byte
	path [maxDepth]dict.Tag
}

// run relies on the header being sound: Open walked it.
func (t *tokenizer) run(yield func(Token) bool) {
	for w := &t.w; w.pos < int64(len(t.b)); {
		start, depth, inside := int(w.pos), w.depth, *w.top()
		path := t.path[:w.seqs]
		h, ok, err := w.step(t.b[start:])
		if !ok || err != nil {
			return
		}
		token := Token{Tag: h.tag, Path: path, Start: start, Value: start + h.size, End: start + h.size}
		token.Kind = kindOf(h, inside)
		if token.Kind == EndToken {
			token.Path = t.path[:depth/2]
		}
		if token.Kind <= FragmentsToken {
			token.VR = h.vr
			if inside.syn.implicit {
				token.VR = dict.VROf(h.tag)
			}
		}
		if w.skip > 0 {
			token.End += int(w.skip)
			w.advance(w.skip)
		}
		if token.Kind == SequenceToken {
			t.path[len(path)] = h.tag
		}
		if !yield(token) || !t.ends(depth, token, yield) {
			return
		}
	}
}

func kindOf(h head, inside frame) TokenKind {
	switch {
	case h.tag == dict.ItemDelimitationTag, h.tag == dict.SequenceDelimitationTag:
		return EndToken
	case inside.kind == inFragments:
		return FragmentToken
	case inside.kind == inSequence:
		return ItemToken
	}
	switch contentOf(h, inside.syn) {
	case inSequence:
		return SequenceToken
	case inFragments:
		return FragmentsToken
	}
	return ValueToken
}

// A sequence's frame has an odd depth, that of its items the next: half the depth of a frame is the number of
// sequences around it.

// ends returns the ends that no delimiter marks: what the walker closed beyond what the token itself did.
func (t *tokenizer) ends(depth int, last Token, yield func(Token) bool) bool {
	open := depth
	switch last.Kind {
	case EndToken:
		open--
	case SequenceToken, FragmentsToken, ItemToken:
		open++
	}
	for ; open > t.w.depth; open-- {
		if !yield(Token{Kind: EndToken, Path: t.path[:open/2], Start: last.End, Value: last.End, End: last.End}) {
			return false
		}
	}
	return true
}
