// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"fmt"
	"io"
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
		t := tokenizer{b: h.o.s.buf[:h.end], size: h.end}
		t.w.start(syntaxOf(h.o.ts), h.o.s.w.most)
		_ = t.run(yield) // there is none: Open walked it
	}
}

// TokensAt returns the whole data set that r holds size bytes of, pixel data and what follows it included. It reads
// heads and hardly any values, so it takes the time of a seek for a value of any length, and a few KB of memory. A data
// set that is deflated can't be read so. The error comes with no token and ends the sequence; errors are those of Open.
func TokensAt(r io.ReaderAt, size int64, transferSyntaxUID string, lim Limits) iter.Seq2[Token, error] {
	return func(yield func(Token, error) bool) {
		ts := dict.TransferSyntaxOf(transferSyntaxUID)
		if ts.Deflated {
			yield(Token{}, fmt.Errorf("%w: a deflated data set has to be inflated first", ErrMalformed))
			return
		}
		t := tokenizer{file: r, size: int(size)}
		t.w.start(syntaxOf(ts), lim.orDefault().Depth)
		if err := t.run(func(tok Token) bool { return yield(tok, nil) }); err != nil {
			yield(Token{}, err)
		}
	}
}

// ValueOf returns the value of a token as received. It is valid until the object is edited or closed, and must not be
// changed.
func (h *Header) ValueOf(t Token) []byte { return h.o.s.buf[t.Value:t.End] }

type tokenizer struct {
	w    walker
	b    []byte // all there is, or what was read of the file from base on
	base int
	size int // of all
	file io.ReaderAt
	path [maxDepth]dict.Tag
}

// window is how much of a file is read at once. Heads are short, and most values of a header are.
const window = 4 << 10

// run yields tokens until the end, or until yield wants no more.
func (t *tokenizer) run(yield func(Token) bool) error {
	for w := &t.w; w.pos < int64(t.size); {
		start, depth, inside := int(w.pos), w.depth, *w.top()
		path := t.path[:w.seqs]
		b, err := t.at(start)
		if err != nil {
			return err
		}
		h, ok, err := w.step(b)
		if err != nil {
			return err
		}
		if !ok {
			w.carryN = copy(w.carry[:], b)
			break
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
			if left := int64(t.size) - w.pos; w.skip > left {
				w.advance(left)
				break
			}
			token.End += int(w.skip)
			w.advance(w.skip)
		}
		if token.Kind == SequenceToken {
			t.path[len(path)] = h.tag
		}
		if !yield(token) || !t.ends(depth, token, yield) {
			return nil
		}
	}
	return t.w.finish()
}

// at shows what begins at pos, a head's length at least unless the end comes before.
func (t *tokenizer) at(pos int) ([]byte, error) {
	if t.file == nil || pos-t.base+maxHead <= len(t.b) {
		return t.b[pos-t.base:], nil
	}
	if t.b == nil {
		t.b = make([]byte, window)
	}
	t.base, t.b = pos, t.b[:min(window, t.size-pos)]
	if n, err := t.file.ReadAt(t.b, int64(pos)); n < len(t.b) {
		if atEnd(err) {
			err = fmt.Errorf("the file became shorter while it was read: %w", io.ErrUnexpectedEOF)
		}
		return nil, err
	}
	return t.b, nil
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
