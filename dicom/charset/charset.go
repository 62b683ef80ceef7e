// SPDX-License-Identifier: AGPL-3.0-or-later

// Package charset decodes and encodes the text of a data set by its Specific Character Set (0008,0005): the single-byte
// repertoires, UTF-8, GB18030 and GBK, and code extensions by ISO 2022 escapes (PS3.3 C.12.1.1.2, PS3.5 6.1).
package charset

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"

	"github.com/adit-go/adit/dicom/dict"
)

// Defined terms that are often named.
const (
	Default = ""           // ISO_IR 6, ASCII
	Latin1  = "ISO_IR 100" // ISO 8859-1
	UTF8    = "ISO_IR 192"
)

// ErrUndecodable is wrapped when bytes are not text in the declared character set.
var ErrUndecodable = errors.New("the text cannot be decoded in its Specific Character Set")

// ErrNotRepresentable is wrapped when a character set has no code for a character.
var ErrNotRepresentable = errors.New("the text cannot be written in the Specific Character Set")

// Set is the character repertoire that the values of Specific Character Set declare. It is immutable and may be shared.
type Set struct {
	terms []string
	whole encoding.Encoding // GB18030, GBK: one encoding for all bytes; nil for the others
	utf8  bool
	g0    *graphic   // what codes 21–7E mean at the start of a value
	g1    *graphic   // what codes A1–FE mean there; nil if nothing is declared
	extra []*graphic // designated by escape sequences
}

// ascii is what a data set without Specific Character Set has.
var ascii = &Set{g0: g0ASCII}

// known keeps the sets in use: a site has a handful, and each object names one.
var known sync.Map // terms joined by backslash → *Set

// maxKnown bounds a string that is kept; real ones are shorter than 100 bytes.
const maxKnown = 100

// New returns the set of the values of Specific Character Set. No value, or one empty value, is ASCII. The error names
// a term that is not defined; spelling such as "ISO-IR 100" is understood.
func New(values []string) (*Set, error) {
	if len(values) == 0 || len(values) == 1 && strings.TrimSpace(values[0]) == "" {
		return ascii, nil
	}
	key := strings.Join(values, `\`)
	if s, ok := known.Load(key); ok {
		return s.(*Set), nil
	}
	s, err := build(values)
	if err != nil {
		return nil, err
	}
	if len(key) <= maxKnown && s.canonical(values) {
		known.Store(key, s)
	}
	return s, nil
}

// ForReading returns the set to show and to match the text of a source by, which may name what isn't defined. A set
// that can only stand alone (ISO_IR 192, GB18030, GBK) and comes first does so, whatever stands beside it (PS3.3
// C.12.1.1.2 allows nothing there). Else it is ASCII, and Decode guesses.
func ForReading(values []string) *Set {
	if s, err := New(values); err == nil {
		return s
	}
	if s, err := New(values[:1]); err == nil && (s.utf8 || s.whole != nil) {
		return s
	}
	return ascii
}

// canonical reports whether the values are spelled as the standard does. Only such sets are kept, each term once, so
// that foreign data can't grow the table at will.
func (s *Set) canonical(values []string) bool {
	if len(values) > 3 {
		return false
	}
	for i, v := range values {
		if v != s.terms[i] || slices.Contains(values[:i], v) {
			return false
		}
	}
	return true
}

func build(values []string) (*Set, error) {
	s := &Set{g0: g0ASCII}
	for i, v := range values {
		t, ok := termOf(v)
		if !ok {
			return nil,
				fmt.Errorf(
					"the Specific Character Set has a value that DICOM does not define (value %d); correct it at "+
						"the source",
					i+1,
				)
		}
		name := t.name
		if len(values) > 1 {
			name = t.extended()
		}
		s.terms = append(s.terms, name)
		if t.alone() {
			if len(values) > 1 {
				return nil,
					fmt.Errorf("the Specific Character Set names %s beside others; it can only stand alone", t.name)
			}
			s.whole, s.utf8 = t.whole, t.utf8
			return s, nil
		}
		if i == 0 {
			s.start(t)
		}
		if len(values) > 1 || strings.HasPrefix(t.name, "ISO 2022") {
			s.extra = append(s.extra, t.sets...)
		}
	}
	if len(s.extra) > 0 && !slices.Contains(s.extra, g0ASCII) {
		s.extra = append(s.extra, g0ASCII) // always there (PS3.5 6.1.2.5.2)
	}
	return s, nil
}

// start sets what is active before the first escape sequence. Two-byte sets of G0 never are.
func (s *Set) start(t *term) {
	for _, g := range t.sets {
		switch {
		case g.right:
			s.g1 = g
		case g.width == 1:
			s.g0 = g
		}
	}
}

// Terms returns the values for Specific Character Set, empty for ASCII.
func (s *Set) Terms() []string { return slices.Clone(s.terms) }

// IsUTF8 reports whether the set is ISO_IR 192, which holds every text.
func (s *Set) IsUTF8() bool { return s.utf8 }

// IsASCII reports whether the set is the one of a data set that declares none, or ISO_IR 6 alone: no byte above 7F, and
// no other set by an escape sequence.
func (s *Set) IsASCII() bool {
	return s.g0 == g0ASCII && s.g1 == nil && s.whole == nil && !s.utf8 &&
		!slices.ContainsFunc(s.extra, func(g *graphic) bool { return g != g0ASCII })
}

// Decode returns the text of a value. It is lenient, for showing and matching: what can't be decoded becomes U+FFFD,
// escape sequences of undeclared sets are followed, and bytes over 7F where only ASCII is declared are taken for UTF-8
// if they are valid, else for Latin-1, as sources that forget to declare a set mean one of the two.
func (s *Set) Decode(b []byte, vr dict.VR) string {
	text, _ := s.decode(b, vr, false)
	return text
}

// DecodeStrict is Decode without leniency: the error wraps ErrUndecodable and says where, not what.
func (s *Set) DecodeStrict(b []byte, vr dict.VR) (string, error) {
	text, bad := s.decode(b, vr, true)
	if bad >= 0 {
		return "", fmt.Errorf("%w: byte %d of %d", ErrUndecodable, bad+1, len(b))
	}
	return text, nil
}

func (s *Set) decode(b []byte, vr dict.VR, strict bool) (text string, bad int) {
	if plain(b) && (s.g0 == g0ASCII || s.utf8) {
		return string(b), -1
	}
	if !vr.CharSet() {
		s = ascii // Specific Character Set doesn't apply (PS3.5 6.1.2.2)
	}
	switch {
	case s.utf8:
		return decodeUTF8(b)
	case s.whole != nil:
		return decodeWhole(s.whole, b)
	case !strict && s.g1 == nil && len(s.extra) == 0 && !slices.Contains(b, escape):
		if utf8.Valid(b) && s.g0 == g0ASCII {
			return string(b), -1
		}
		if s.g0 == g0ASCII {
			return decodeLatin1(b), -1
		}
	}
	return s.decode2022(b, vr, strict)
}

// plain reports whether the bytes mean ASCII in every set but JIS X 0201.
func plain(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 || c == escape {
			return false
		}
	}
	return true
}

func decodeUTF8(b []byte) (string, int) {
	if utf8.Valid(b) {
		return string(b), -1
	}
	bad := 0
	for bad < len(b) {
		r, n := utf8.DecodeRune(b[bad:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		bad += n
	}
	return strings.ToValidUTF8(string(b), string(utf8.RuneError)), bad
}

func decodeLatin1(b []byte) string {
	var out strings.Builder
	for _, c := range b {
		out.WriteRune(rune(c))
	}
	return out.String()
}

func decodeWhole(e encoding.Encoding, b []byte) (string, int) {
	out, err := e.NewDecoder().Bytes(b)
	text := strings.ToValidUTF8(string(out), string(utf8.RuneError))
	// U+FFFD itself has a code in GB18030 only, and nobody's name has it.
	if err != nil || strings.ContainsRune(text, utf8.RuneError) {
		return text, 0
	}
	return text, -1
}

// Encode returns the bytes of a text, without padding. The error wraps ErrNotRepresentable.
func (s *Set) Encode(text string, vr dict.VR) ([]byte, error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("%w: it is not valid UTF-8", ErrNotRepresentable)
	}
	if plain([]byte(text)) && s.g0 == g0ASCII {
		return []byte(text), nil
	}
	if !vr.CharSet() {
		s = ascii
	}
	switch {
	case s.utf8:
		return []byte(text), nil
	case s.whole != nil:
		return s.encodeWhole(text)
	}
	return s.encode2022(text, vr)
}

func (s *Set) encodeWhole(text string) ([]byte, error) {
	out, err := s.whole.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("%w: a character is missing from %s", ErrNotRepresentable, s.terms[0])
	}
	return out, nil
}

var (
	gb18030 = simplifiedchinese.GB18030
	gbk     = simplifiedchinese.GBK
)
