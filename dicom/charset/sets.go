// SPDX-License-Identifier: AGPL-3.0-or-later

package charset

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const escape = 0x1B

// graphic is a set of graphic characters that ISO 2022 designates as G0 (codes 21–7E) or G1 (A1–FE).
type graphic struct {
	escape string // without the ESC itself (PS3.3 tables C.12-3 and C.12-4)
	right  bool   // G1
	width  int    // bytes per character
	// rune returns the character of width bytes, utf8.RuneError if there is none. Bytes come as they are in the value.
	rune func(b []byte) rune
	// code returns the bytes of a character, nil if there is none.
	code func(r rune) []byte
}

var (
	g0ASCII = &graphic{escape: "(B", width: 1, rune: asciiRune, code: asciiCode}
	g0Roman = &graphic{escape: "(J", width: 1, rune: romanRune, code: romanCode}
	g1Kana  = &graphic{escape: ")I", right: true, width: 1, rune: kanaRune, code: kanaCode}

	g0JISX0208 = &graphic{
		escape: "$B", width: 2, rune: pair(japanese.EUCJP, 0x80), code: codeOf(japanese.EUCJP, 2, 0x7F),
	}
	g0JISX0212 = &graphic{escape: "$(D", width: 2, rune: triple(japanese.EUCJP), code: codeOf(japanese.EUCJP, 3, 0x7F)}
	g1KSX1001  = &graphic{
		escape: "$)C", right: true, width: 2, rune: pair(korean.EUCKR, 0), code: codeOf(korean.EUCKR, 2, 0xFF),
	}
	g1GB2312 = &graphic{escape: "$)A", right: true, width: 2, rune: pair(simplifiedchinese.GBK, 0), code: codeOf(
		simplifiedchinese.GBK, 2, 0xFF,
	)}
)

// codePage makes the G1 half of a single-byte code page.
func codePage(final string, m *charmap.Charmap) *graphic {
	return &graphic{
		escape: "-" + final, right: true, width: 1,
		rune: func(b []byte) rune { return m.DecodeByte(b[0]) },
		code: func(r rune) []byte {
			if c, ok := m.EncodeRune(r); ok && c >= 0xA0 {
				return []byte{c}
			}
			return nil
		},
	}
}

// term is a defined term of Specific Character Set.
type term struct {
	name  string
	sets  []*graphic
	whole encoding.Encoding
	utf8  bool
}

func (t *term) alone() bool { return t.whole != nil || t.utf8 }

// extended returns the name with code extensions, which is how a term is spelled when there are several.
func (t *term) extended() string {
	if number, ok := strings.CutPrefix(t.name, "ISO_IR "); ok && !t.utf8 {
		return "ISO 2022 IR " + number
	}
	return t.name
}

// terms is keyed by the name without blanks, hyphens and underlines, which sources confuse.
var terms = makeTerms()

// escapes finds a set by what follows ESC.
var escapes = map[string]*graphic{
	"(I": {escape: "(I", width: 1, rune: func(b []byte) rune { return kanaRune([]byte{b[0] | 0x80}) }, code: func(rune) []byte { return nil }},
	"$@": {escape: "$@", width: 2, rune: g0JISX0208.rune, code: g0JISX0208.code}, // the set of 1978
}

func makeTerms() map[string]*term {
	m := map[string]*term{}
	add := func(t *term) { m[squeeze(t.name)] = t }
	both := func(number string, sets ...*graphic) {
		add(&term{name: "ISO_IR " + number, sets: sets})
		add(&term{name: "ISO 2022 IR " + number, sets: sets})
		for _, g := range sets {
			escapes[g.escape] = g
		}
	}
	both("6", g0ASCII)
	both("13", g0Roman, g1Kana)
	for _, p := range []struct {
		number, final string
		page          *charmap.Charmap
	}{
		{"100", "A", charmap.ISO8859_1},
		{"101", "B", charmap.ISO8859_2},
		{"109", "C", charmap.ISO8859_3},
		{"110", "D", charmap.ISO8859_4},
		{"126", "F", charmap.ISO8859_7},
		{"127", "G", charmap.ISO8859_6},
		{"138", "H", charmap.ISO8859_8},
		{"144", "L", charmap.ISO8859_5},
		{"148", "M", charmap.ISO8859_9},
		{"166", "T", charmap.Windows874},
		{"203", "b", charmap.ISO8859_15},
	} {
		both(p.number, g0ASCII, codePage(p.final, p.page))
	}
	for number, g := range map[string]*graphic{"87": g0JISX0208, "159": g0JISX0212, "149": g1KSX1001, "58": g1GB2312} {
		add(&term{name: "ISO 2022 IR " + number, sets: []*graphic{g}})
		escapes[g.escape] = g
	}
	add(&term{name: UTF8, utf8: true})
	add(&term{name: "GB18030", whole: gb18030})
	add(&term{name: "GBK", whole: gbk})
	m[squeeze("ISO 2022 IR 192")] = m[squeeze(UTF8)]
	m[""] = m[squeeze("ISO_IR 6")] // an empty first value
	return m
}

func termOf(value string) (*term, bool) {
	t, ok := terms[squeeze(value)]
	return t, ok
}

func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '_' || r == '-' || r == 0:
			return -1
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func asciiRune(b []byte) rune {
	if b[0] < 0x80 {
		return rune(b[0])
	}
	return utf8.RuneError
}

func asciiCode(r rune) []byte {
	if r < 0x80 && r != escape {
		return []byte{byte(r)}
	}
	return nil
}

// romanRune is the left half of JIS X 0201: ASCII but for two characters.
func romanRune(b []byte) rune {
	switch b[0] {
	case '\\':
		return '¥'
	case '~':
		return '‾'
	}
	return asciiRune(b)
}

func romanCode(r rune) []byte {
	switch r {
	case '¥':
		return []byte{'\\'}
	case '‾':
		return []byte{'~'}
	case '\\', '~':
		return nil
	}
	return asciiCode(r)
}

// Half-width katakana: A1–DF are U+FF61–U+FF9F.
func kanaRune(b []byte) rune {
	if b[0] >= 0xA1 && b[0] <= 0xDF {
		return rune(b[0]) - 0xA1 + 0xFF61
	}
	return utf8.RuneError
}

func kanaCode(r rune) []byte {
	if r >= 0xFF61 && r <= 0xFF9F {
		return []byte{byte(r - 0xFF61 + 0xA1)}
	}
	return nil
}

// pair decodes two bytes with an EUC encoding once the given bits are set.
func pair(e encoding.Encoding, set byte) func([]byte) rune {
	return func(b []byte) rune { return decodeOne(e, []byte{b[0] | set, b[1] | set}) }
}

// triple decodes a character of EUC-JP's third code set, which is JIS X 0212.
func triple(e encoding.Encoding) func([]byte) rune {
	return func(b []byte) rune { return decodeOne(e, []byte{0x8F, b[0] | 0x80, b[1] | 0x80}) }
}

func decodeOne(e encoding.Encoding, b []byte) rune {
	if b[len(b)-1] < 0xA1 || b[len(b)-2] < 0xA1 { // vendors' extensions are not of the set
		return utf8.RuneError
	}
	out, err := e.NewDecoder().Bytes(b)
	r, n := utf8.DecodeRune(out)
	if err != nil || n != len(out) {
		return utf8.RuneError
	}
	return r
}

// codeOf encodes with an EUC encoding; only codes of length n count, and mask makes them what the set needs.
func codeOf(e encoding.Encoding, n int, mask byte) func(rune) []byte {
	return func(r rune) []byte {
		if r < 0x80 {
			return nil
		}
		out, err := e.NewEncoder().Bytes([]byte(string(r)))
		if err != nil || len(out) != n || n == 3 && out[0] != 0x8F {
			return nil
		}
		a, b := out[n-2], out[n-1]
		if a < 0xA1 || b < 0xA1 {
			return nil
		}
		return []byte{a & mask, b & mask}
	}
}
