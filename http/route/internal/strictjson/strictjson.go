// SPDX-License-Identifier: AGPL-3.0-or-later

// Package strictjson refuses JSON that readers understand in more than one way, or that takes too much memory, while it
// is being read.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"unicode/utf8"
)

const (
	valuesOfObject = 4  // an empty object takes as much memory as so many other values
	maxDepth       = 64 // of values in values
)

// What a body may be refused for, besides a property that is there twice or null.
var (
	ErrTooManyValues = errors.New("the body holds too many values for its size, or is nested too deeply")
	ErrNotText       = errors.New("the body holds text that is not valid Unicode")
)

// TwiceError is about a property that an object has more than once: one reader takes the first, another the last.
type TwiceError struct{ Name string }

func (e *TwiceError) Error() string { return "the body has a property more than once" }

// NullError is about a property that is null: no schema has that, and decoders treat it as if it were not there.
type NullError struct{ Name string }

func (e *NullError) Error() string { return "the body has a property that is null" }

// New passes a body of JSON on to its decoder, and ends one that decoders take in more than one way, or that takes too
// much memory: with a property twice in an object, with null, with text that is not UTF-8 or half of a surrogate pair
// (which become U+FFFD), or with more values than it may have, where an object counts as four and each value but the
// first stands behind a comma or an opening bracket. The decoder has to refuse anything that is no JSON.
func New(body io.ReadCloser, values int64) io.ReadCloser {
	return &reader{ReadCloser: body, left: values}
}

type reader struct {
	io.ReadCloser
	left int64

	within          []properties // that are open, from the outside in
	inText, escaped bool
	text            []byte // as far as it was read, as it was sent
	ofNull          int    // letters of null that were read
}

// properties are the names of an object that is being read; nil: it is an array.
type properties struct {
	names  map[string]bool
	naming bool   // the next text is a name
	last   string // the name that was read last
}

func (c *reader) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	for _, b := range p[:n] {
		if fault := c.next(b); fault != nil {
			return 0, fault
		}
	}
	return n, err
}

func (c *reader) next(b byte) error {
	if c.inText {
		return c.nextOfText(b)
	}
	switch b {
	case '"':
		c.inText, c.text = true, c.text[:0]
	case ',':
		c.left--
		if open := c.innermost(); open != nil {
			open.naming = open.names != nil
		}
	case '[':
		c.left--
		c.within = append(c.within, properties{})
	case '{':
		c.left -= valuesOfObject
		c.within = append(c.within, properties{names: map[string]bool{}, naming: true})
	case ']', '}':
		c.within = c.within[:max(0, len(c.within)-1)]
	}
	if c.left < 0 || len(c.within) > maxDepth {
		return ErrTooManyValues
	}
	return c.nextOfWord(b)
}

func (c *reader) nextOfWord(b byte) error {
	const null = "null"
	if b != null[c.ofNull] {
		c.ofNull = 0
		return nil
	}
	if c.ofNull++; c.ofNull < len(null) {
		return nil
	}
	c.ofNull = 0
	for _, open := range slices.Backward(c.within) {
		if open.names != nil {
			return &NullError{open.last}
		}
	}
	return &NullError{}
}

func (c *reader) nextOfText(b byte) error {
	switch {
	case c.escaped:
		c.escaped = false
	case b == '\\':
		c.escaped = true
	case b == '"':
		c.inText = false
		return c.endOfText()
	}
	c.text = append(c.text, b)
	return nil
}

func (c *reader) endOfText() error {
	if !utf8.Valid(c.text) || halfPair(c.text) {
		return ErrNotText
	}
	open := c.innermost()
	if open == nil || !open.naming {
		return nil
	}
	open.naming = false
	name := string(c.text)
	if bytes.IndexByte(c.text, '\\') >= 0 {
		_ = json.Unmarshal([]byte(`"`+name+`"`), &name) // what is no JSON stays as it is
	}
	if open.names[name] {
		return &TwiceError{name}
	}
	open.names[name], open.last = true, name
	return nil
}

func (c *reader) innermost() *properties {
	if len(c.within) == 0 {
		return nil
	}
	return &c.within[len(c.within)-1]
}

// halfPair reports whether one half of a surrogate pair is escaped in a text without the other.
func halfPair(text []byte) bool {
	high := false // the escape before was the first half
	for i := 0; i < len(text); i++ {
		var unit uint16
		if text[i] == '\\' {
			unit, i = escapedUnit(text, i)
		}
		low := unit >= 0xdc00 && unit < 0xe000
		if high != low {
			return true
		}
		high = unit >= 0xd800 && unit < 0xdc00
	}
	return high
}

// escapedUnit returns the UTF-16 unit that \uXXXX at i stands for, and where that ends; 0 for other escapes.
func escapedUnit(text []byte, i int) (unit uint16, end int) {
	if i+6 > len(text) || text[i+1] != 'u' {
		return 0, i + 1
	}
	for _, digit := range text[i+2 : i+6] {
		switch {
		case digit >= '0' && digit <= '9':
			digit -= '0'
		case digit >= 'a' && digit <= 'f':
			digit -= 'a' - 10
		case digit >= 'A' && digit <= 'F':
			digit -= 'A' - 10
		default:
			return 0, i + 1 // no JSON
		}
		unit = unit<<4 | uint16(digit)
	}
	return unit, i + 5
}
