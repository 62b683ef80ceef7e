// SPDX-License-Identifier: AGPL-3.0-or-later

// Package values reads the bytes of a data set: elements and the items of sequences, values of each VR, and text. It
// decides nothing about them.
package values

import (
	"errors"
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// IsPixelData reports whether an attribute is pixel data, of integers or of floating point numbers.
func IsPixelData(tag dict.Tag) bool {
	return tag == dict.PixelData || tag == dict.FloatPixelData || tag == dict.DoubleFloatPixelData
}

// StartsItem reports whether a value that should be none begins as a sequence does, in either byte order.
func StartsItem(v []byte) bool {
	return len(v) >= 8 && (v[0] == 0xFE && v[1] == 0xFF && v[2] == 0x00 && v[3] == 0xE0 ||
		v[0] == 0xFF && v[1] == 0xFE && v[2] == 0xE0 && v[3] == 0x00)
}

// ErrMalformed is wrapped where bytes don't keep to the encoding: in a header that was opened this happens only within
// what came as UN.
var ErrMalformed = errors.New("not a valid DICOM data set")

// MaxDepth is how deep sequences may lie within each other.
const MaxDepth = 32

// Element is an element as received.
type Element struct {
	stream.Head
	In    []byte // all of it
	Value []byte // without head; of undefined length: with the delimiter
}

// Opaque returns the element as one that nobody can look into.
func (e *Element) Opaque() *Element {
	o := *e
	o.Content = stream.Fragments
	return &o
}

// SkipItems passes items or fragments up to their delimiter, and returns the length.
func SkipItems(in []byte, h stream.Head, depth int) (int, error) {
	if depth > MaxDepth {
		return 0, fmt.Errorf("%w: more than %d nested sequences", ErrMalformed, MaxDepth)
	}
	for pos := 0; ; {
		item, ok := h.Inside.Head(in[pos:])
		switch {
		case !ok || int64(pos+item.Size) > int64(len(in)):
			return 0, fmt.Errorf("%w: %s has no end", ErrMalformed, h.Tag)
		case item.Tag == dict.SequenceDelimitationTag:
			return pos + item.Size, nil
		case item.Tag != dict.ItemTag:
			return 0, fmt.Errorf("%w: %s contains something other than items", ErrMalformed, h.Tag)
		}
		pos += item.Size
		if item.Length != stream.UndefinedLength {
			if int64(item.Length) > int64(len(in)-pos) {
				return 0, fmt.Errorf("%w: an item of %s extends beyond its end", ErrMalformed, h.Tag)
			}
			pos += int(item.Length)
			continue
		}
		n, err := skipElements(in[pos:], h.Inside, depth)
		if err != nil {
			return 0, err
		}
		pos += n
	}
}

// skipElements passes the elements of an item up to its delimiter, which it passes too.
func skipElements(in []byte, enc stream.Encoding, depth int) (int, error) {
	for pos := 0; ; {
		h, ok := enc.Head(in[pos:])
		if !ok {
			return 0, fmt.Errorf("%w: an item has no end", ErrMalformed)
		}
		pos += h.Size
		switch {
		case h.Tag == dict.ItemDelimitationTag:
			return pos, nil
		case h.Length != stream.UndefinedLength:
			if int64(h.Length) > int64(len(in)-pos) {
				return 0, fmt.Errorf("%w: %s extends beyond what encloses it", ErrMalformed, h.Tag)
			}
			pos += int(h.Length)
		case h.Content == stream.PlainValue:
			return 0, fmt.Errorf("%w: %s has no length", ErrMalformed, h.Tag)
		default:
			n, err := SkipItems(in[pos:], h, depth+1)
			if err != nil {
				return 0, err
			}
			pos += n
		}
	}
}

// EachIn calls f with the plain values in the items of a sequence, at all depths. The error says that it can't be read.
func EachIn(b []byte, enc stream.Encoding, depth int, f func(h stream.Head, value []byte)) error {
	for pos := 0; pos < len(b); {
		h, ok := enc.Head(b[pos:])
		switch {
		case !ok || depth > 2*MaxDepth:
			return ErrMalformed
		case h.Tag.Group() == 0xFFFE: // items and delimiters: what they hold follows
			pos += h.Size
			continue
		}
		pos += h.Size
		end := len(b)
		if h.Length != stream.UndefinedLength {
			if int64(h.Length) > int64(len(b)-pos) {
				return ErrMalformed
			}
			end = pos + int(h.Length)
		} else if h.Content != stream.PlainValue {
			n, err := SkipItems(b[pos:], h, depth)
			if err != nil {
				return err
			}
			end = pos + n
		}
		switch h.Content {
		case stream.Items:
			if err := EachIn(b[pos:end], h.Inside, depth+1, f); err != nil {
				return err
			}
		case stream.PlainValue:
			f(h, b[pos:end])
		}
		pos = end
	}
	return nil
}
