// SPDX-License-Identifier: AGPL-3.0-or-later

package charset

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dict"
)

// delimiter reports whether what is active falls back to the start at this code (PS3.5 6.1.2.5.3): line ends and tabs,
// the backslash between values, and the ^ and = of person names.
func delimiter(c rune, vr dict.VR) bool {
	switch c {
	case '\n', '\r', '\f', '\t':
		return true
	case '\\':
		return vr.MultiValued()
	case '^', '=':
		return vr == dict.PN
	}
	return false
}

// decode2022 follows escape sequences. bad is the offset of the first byte that strict reading can't take, else -1.
func (s *Set) decode2022(b []byte, vr dict.VR, strict bool) (text string, bad int) {
	var out strings.Builder
	out.Grow(len(b))
	g0, g1 := s.g0, s.g1
	bad = -1
	fail := func(at int) {
		if bad < 0 {
			bad = at
		}
	}
	for i := 0; i < len(b); {
		c := b[i]
		if c == escape {
			g, n := designated(b[i+1:])
			if g == nil || strict && !slices.Contains(s.extra, g) {
				fail(i)
			}
			switch {
			case g == nil:
				out.WriteRune(utf8.RuneError)
			case g.right:
				g1 = g
			default:
				g0 = g
			}
			i += 1 + n
			continue
		}
		active := g0
		if c >= 0x80 {
			active = g1
		}
		if c <= ' ' || c == 0x7F || c < 0x80 && active.width == 1 && delimiter(rune(c), vr) {
			if delimiter(rune(c), vr) {
				g0, g1 = s.g0, s.g1
			}
			out.WriteByte(c)
			i++
			continue
		}
		r, n := next(active, b[i:])
		if r == utf8.RuneError {
			fail(i)
		}
		out.WriteRune(r)
		i += n
	}
	return out.String(), bad
}

func next(g *graphic, b []byte) (rune, int) {
	if g == nil || len(b) < g.width {
		return utf8.RuneError, 1
	}
	r := g.rune(b[:g.width])
	if r == utf8.RuneError {
		return r, 1
	}
	return r, g.width
}

// designated reads what follows ESC. Without a known set it takes just the ESC itself for the fault.
func designated(b []byte) (*graphic, int) {
	for n := 2; n <= 3 && n <= len(b); n++ {
		if g, ok := escapes[string(b[:n])]; ok {
			return g, n
		}
	}
	return nil, 0
}

// encode2022 writes each character in the first declared set that has it, and is back at the start before every
// delimiter and at the end.
func (s *Set) encode2022(text string, vr dict.VR) ([]byte, error) {
	var out []byte
	g0, g1 := s.g0, s.g1
	home := func() {
		if g0 != s.g0 {
			out = append(out, escape)
			out = append(out, s.g0.escape...)
		}
		g0, g1 = s.g0, s.g1
	}
	for _, r := range text {
		if delimiter(r, vr) {
			home()
			out = append(out, byte(r))
			continue
		}
		if r < ' ' && r != escape {
			out = append(out, byte(r))
			continue
		}
		g, code := s.find(r, g0, g1)
		if g == nil {
			return nil, fmt.Errorf("%w: a character is missing from %s", ErrNotRepresentable, s.name())
		}
		if g != g0 && g != g1 {
			out = append(out, escape)
			out = append(out, g.escape...)
			if g.right {
				g1 = g
			} else {
				g0 = g
			}
		}
		out = append(out, code...)
	}
	home()
	return out, nil
}

// find looks first at what is active, so that no needless escape sequence is written.
func (s *Set) find(r rune, g0, g1 *graphic) (*graphic, []byte) {
	for _, g := range []*graphic{g0, g1, s.g0} {
		if g == nil {
			continue
		}
		if code := g.code(r); code != nil {
			return g, code
		}
	}
	for _, g := range s.extra {
		if code := g.code(r); code != nil {
			return g, code
		}
	}
	return nil, nil
}

func (s *Set) name() string {
	if len(s.terms) == 0 {
		return "ASCII"
	}
	return strings.Join(s.terms, `\`)
}
