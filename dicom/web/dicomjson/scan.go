// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomjson

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	bufferSize = 32 << 10
	maxSkipped = 64 // depth of what is passed over
)

// scanner reads JSON (RFC 8259) in one pass, with a bound on all of it and on the object under way. Its errors at the
// end of the input are io.EOF.
type scanner struct {
	r     io.Reader
	bytes int64 // that may still be read
	buf   []byte
	pos   int
	// of the object under way: bytes that it may still take, of those beyond start in buf
	left  int
	most  int // 0: no object is under way
	start int
	text  []byte // of the last scalar
	wide  bool   // there was text beyond ASCII in the object under way
}

// fill reads more. All that was read before has been used.
func (s *scanner) fill() error {
	if err := s.spent(); err != nil {
		return err
	}
	if s.buf == nil {
		s.buf = make([]byte, 0, bufferSize)
	}
	s.start = 0
	for tries := 0; ; tries++ {
		n, err := s.r.Read(s.buf[:cap(s.buf)])
		s.buf, s.pos = s.buf[:n], 0
		if s.bytes -= int64(n); s.bytes < 0 {
			return fmt.Errorf("%w: the answer has more bytes than that", ErrTooLarge)
		}
		if n > 0 {
			return nil
		}
		if err != nil {
			return err
		}
		if tries == 100 {
			return io.ErrNoProgress
		}
	}
}

// object begins the bound of an object, objectEnd ends it.
func (s *scanner) object(most int) { s.left, s.most, s.start, s.wide = most, most, s.pos, false }

func (s *scanner) objectEnd() error {
	err := s.spent()
	s.most = 0
	return err
}

// spent counts what the object under way took of the buffer.
func (s *scanner) spent() error {
	if s.most == 0 {
		return nil
	}
	s.left -= s.pos - s.start
	s.start = s.pos
	if s.left < 0 {
		return fmt.Errorf("%w: a data set has more than %d bytes", ErrTooLarge, s.most)
	}
	return nil
}

// byteOrderMark passes what some servers begin with, which JSON must not.
func (s *scanner) byteOrderMark() error {
	c, err := s.next()
	if err == io.EOF { //nolint:errorlint // as a reader gives it
		return nil
	}
	if err != nil {
		return err
	}
	if c != 0xEF {
		s.pos--
		return nil
	}
	for range 2 {
		if _, err := s.byte(); err != nil {
			return whole(err)
		}
	}
	return nil
}

func (s *scanner) byte() (byte, error) {
	if s.pos == len(s.buf) {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// next returns the next byte that is no blank.
func (s *scanner) next() (byte, error) {
	for {
		c, err := s.byte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			return c, nil
		}
	}
}

// list reads what follows the bracket of a list, and calls f with the first byte of each value.
func (s *scanner) list(end byte, f func(c byte) error) error {
	c, err := s.next()
	if err != nil || c == end {
		return err
	}
	for {
		if err := f(c); err != nil {
			return err
		}
		if c, err = s.next(); err != nil || c == end {
			return err
		}
		if c != ',' {
			return malformed("a comma or the end of a list is missing")
		}
		if c, err = s.next(); err != nil {
			return err
		}
	}
}

// members reads what follows the brace of an object, and calls f with each key and the first byte of its value.
func (s *scanner) members(f func(key string, c byte) error) error {
	return s.list('}', func(c byte) error {
		if c != '"' {
			return malformed("a name is missing in an object")
		}
		if err := s.quoted(); err != nil {
			return err
		}
		key := string(s.text)
		c, err := s.next()
		if err != nil {
			return err
		}
		if c != ':' {
			return malformed("a colon is missing in an object")
		}
		if c, err = s.next(); err != nil {
			return err
		}
		return f(key, c)
	})
}

// scalar reads a string, a number or a word that begins with c, and returns its text, empty for null. It is valid until
// the next is read.
func (s *scanner) scalar(c byte) ([]byte, error) {
	var err error
	switch {
	case c == '"':
		err = s.quoted()
	case c == 'n':
		err = s.word("null")
		s.text = s.text[:0]
	case c == 't':
		err = s.word("true")
		s.text = append(s.text[:0], "true"...)
	case c == 'f':
		err = s.word("false")
		s.text = append(s.text[:0], "false"...)
	case c == '-' || '0' <= c && c <= '9':
		err = s.number(c)
	default:
		err = malformed("a value is expected, and something else stands there")
	}
	return s.text, err
}

// word reads what follows the first letter of a word.
func (s *scanner) word(w string) error {
	for i := 1; i < len(w); i++ {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c != w[i] {
			return malformed("there is a word that JSON doesn't have")
		}
	}
	return nil
}

// number reads a number. NaN and the like are no JSON; digits are taken as they are.
func (s *scanner) number(c byte) error {
	s.text = append(s.text[:0], c)
	for {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
			s.pos--
			break
		}
		s.text = append(s.text, c)
	}
	if _, err := strconv.ParseFloat(string(s.text), 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return malformed("there is a number that is none")
	}
	return nil
}

// quoted reads what follows the quote of a string.
func (s *scanner) quoted() error {
	s.text = s.text[:0]
	for {
		if s.pos == len(s.buf) {
			if err := s.fill(); err != nil {
				return err
			}
		}
		begin := s.pos
		for s.pos < len(s.buf) && s.buf[s.pos] != '"' && s.buf[s.pos] != '\\' && s.buf[s.pos] >= ' ' {
			s.wide = s.wide || s.buf[s.pos] >= utf8.RuneSelf
			s.pos++
		}
		s.text = append(s.text, s.buf[begin:s.pos]...)
		if s.pos == len(s.buf) {
			continue
		}
		c := s.buf[s.pos]
		s.pos++
		switch {
		case c == '"':
			if s.wide && !utf8.Valid(s.text) {
				return malformed("there is text that is not UTF-8")
			}
			return nil
		case c == '\\':
			if err := s.escape(); err != nil {
				return err
			}
		default: // control characters must be escaped; they are met as they are
			s.text = append(s.text, c)
		}
	}
}

// escape reads what follows the backslash in a string.
func (s *scanner) escape() error {
	c, err := s.byte()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/':
		s.text = append(s.text, c)
	case 'b':
		s.text = append(s.text, '\b')
	case 'f':
		s.text = append(s.text, '\f')
	case 'n':
		s.text = append(s.text, '\n')
	case 'r':
		s.text = append(s.text, '\r')
	case 't':
		s.text = append(s.text, '\t')
	case 'u':
		return s.unicode()
	default:
		return malformed("there is an escape that JSON doesn't have")
	}
	return nil
}

// unicode reads what follows \u. Half of a pair becomes U+FFFD.
func (s *scanner) unicode() error {
	r, err := s.hex()
	if err != nil {
		return err
	}
	for utf16.IsSurrogate(r) {
		c, err := s.byte()
		if err != nil {
			return err
		}
		if c != '\\' {
			s.pos--
			r = utf8.RuneError
			break
		}
		if c, err = s.byte(); err != nil {
			return err
		}
		if c != 'u' {
			s.add(utf8.RuneError)
			s.pos-- // both may stand at the buffer's begin: it holds the last byte
			return s.escape()
		}
		second, err := s.hex()
		if err != nil {
			return err
		}
		if both := utf16.DecodeRune(r, second); both != utf8.RuneError {
			r = both
			break
		}
		s.add(utf8.RuneError)
		r = second
	}
	s.add(r)
	return nil
}

func (s *scanner) add(r rune) {
	s.wide = s.wide || r >= utf8.RuneSelf
	s.text = utf8.AppendRune(s.text, r)
}

func (s *scanner) hex() (rune, error) {
	var r rune
	for range 4 {
		c, err := s.byte()
		if err != nil {
			return 0, err
		}
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, malformed("there is an escape that JSON doesn't have")
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// skip passes over a value that begins with c.
func (s *scanner) skip(c byte) error { return s.skipDeep(c, maxSkipped) }

func (s *scanner) skipDeep(c byte, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%w: it is nested deeper than %d", ErrTooLarge, maxSkipped)
	}
	switch c {
	case '{':
		return s.members(func(_ string, c byte) error { return s.skipDeep(c, depth-1) })
	case '[':
		return s.list(']', func(c byte) error { return s.skipDeep(c, depth-1) })
	}
	_, err := s.scalar(c)
	return err
}
