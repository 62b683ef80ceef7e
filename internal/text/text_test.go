// SPDX-License-Identifier: AGPL-3.0-or-later

package text

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"":                     "",
		"Müller^Jürgen":        "Müller^Jürgen",
		"山田^太郎":                "山田^太郎",
		"a\u202eb":             "a<U+202E>b",
		"\u2066x\u2069":        "<U+2066>x<U+2069>",
		"a\u200bb\u200d\ufeff": "a<U+200B>b<U+200D><U+FEFF>",
		"\u3164":               "<U+3164>", // a filler that has no ink
		"\x1b[31m":             "<U+001B>[31m",
		"a\r\nb\tc":            "a<U+000D><U+000A>b<U+0009>c",
		"a\u0085\u2028b":       "a<U+0085><U+2028>b",
		"a\xffb":               "a<0xFF>b",
		"\U000e0041":           "<U+E0041>",
		"<U+202E>":             "<U+003C>U+202E>",
		"<0xFF>":               "<U+003C>0xFF>",
		"<U+>, a < b":          "<U+>, a < b",
	} {
		require.Equal(t, want, Visible(in))
		require.Equal(t, in, Original(Visible(in)))
		require.Equal(t, in == want && in != "<U+202E>", Plain(in) && Visible(in) == in)
	}
	require.Equal(t, "a\n\tb<U+000D>", Lines("a\n\tb\r"))
	require.Equal(t, "<U+FFFFFF>", Original("<U+FFFFFF>"), "no character")
}

func TestName(t *testing.T) {
	for in, want := range map[string]bool{
		"PACS 1": true, "Müller": true, "山田": true, "β-Studie": true, "a": true,
		"": false, ".": false, "..": false, ".a": true, " a": false, "a ": false, "a  b": false,
		"a\u00a0b": false, "a\u2003b": false, "a\tb": false, "a\u202eb": false, "a\u200bb": false,
		"Mu\u0308ller": false, "a\xff": false, "\u3000": false, "a\u3164": false,
	} {
		require.Equal(t, want, Name(in), "%q", in)
	}
}

func TestPlainLines(t *testing.T) {
	for in, want := range map[string]bool{
		"": true, "one\ntwo\r\n\tthree": true, "\u26a0\ufe0f": true, "می\u200cخواهم": true,
		"a\u202eb": false, "a\u2066b": false, "a\u200fb": false, "a\u200bb": false,
		"\x1b[31m": false, "a\x00": false, "a\xff": false, "a\u0085": false, "a\u2028b": false,
	} {
		require.Equal(t, want, PlainLines(in), "%q", in)
	}
}

func TestLatin(t *testing.T) {
	for _, r := range "azAZäöüßéñçøłőžİẹ" {
		require.True(t, Latin(r), "%q", r)
	}
	for _, r := range "аеорсАΑοıɑɡ１ａ0_-山\u0301\u200d" {
		require.False(t, Latin(r), "%q", r)
	}
}

func TestStorable(t *testing.T) {
	for in, want := range map[string]string{
		"a\tb\r\nc": "a\tb\r\nc", "a\x00b": "a�b", "a\xff\xfeb": "a��b",
		"a\x1b\x7f\u0085": "a\x1b\x7f\u0085", "a\u202e": "a\u202e", "ä": "ä",
	} {
		require.Equal(t, want, Storable(in))
	}
}

func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"P1":          "P1",
		"=1+1":        "'=1+1",
		"  =1+1":      "'  =1+1",
		"\u00a0-1":    "'\u00a0-1",
		"＝1+1":        "'＝1+1",
		"'x":          "''x",
		"x'":          "x'",
		"x;=1+1":      "x;'=1+1",
		"x; @SUM(1)":  "x;' @SUM(1)",
		"x|-1;;+2":    "x|'-1;;'+2",
		"x;'=1":       "x;''=1",
		"x;'y":        "x;''y",
		"\t=1":        "<U+0009>=1",
		"x\r\n=1":     "x<U+000D><U+000A>=1",
		"a-b@c":       "a-b@c",
		"\u202e=1":    "<U+202E>=1",
		"\x00":        "<U+0000>",
		"a,b \"c\" d": "a,b \"c\" d",
	} {
		require.Equal(t, want, Cell(in))
		require.Equal(t, in, FromCell(Cell(in)))
	}
	require.Equal(t, "0012", FromCell("'0012"), "as people mark text")
}

func FuzzCell(f *testing.F) {
	for _, s := range []string{"", "=1", ";'|'='", "<U+003C>", "<0xFF>\xff", "\u202e;\t=", "'';'-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		require.Equal(t, s, Original(Visible(s)))
		require.Equal(t, s, FromCell(Cell(s)))
		require.True(t, Plain(Cell(s)))
		require.True(t, utf8.ValidString(Storable(s)))
		require.NotContains(t, Storable(s), "\x00")
	})
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "PACS-1": "PACS-1", "a b": "'a b'", "it's": `'it'\''s'`, "$(x)": "'$(x)'",
	} {
		require.Equal(t, want, ShellWord(in))
	}
}
