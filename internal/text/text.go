// SPDX-License-Identifier: AGPL-3.0-or-later

// Package text is the gate for values from outside on their way to a name, a text column of the database, a log, a
// terminal, a mail or a cell of a table. It replaces what can't be stored, and makes visible what is invisible or
// changes how the text around it looks.
package text

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Hidden reports whether a character is no part of a name: it is a control character, turns the direction of writing,
// has no width or ends a line.
func Hidden(r rune) bool {
	return r < ' ' || r >= 0x7f && (unicode.IsControl(r) || unicode.In(
		r, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point,
	))
}

// Plain reports whether a text is UTF-8 in which nothing is hidden.
func Plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, Hidden) }

// PlainLines reports whether a text of several lines is UTF-8 in which nothing is hidden but tabs, ends of lines, and
// what joins or colours the characters around it, as in emoji and Persian.
func PlainLines(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return Hidden(r) &&
			!strings.ContainsRune("\n\r\t\u200c\u200d\ufe0e\ufe0f", r)
	})
}

// Name reports whether a text can be the name of something: plain, in composed characters, with no blanks but single
// spaces between others, and no step of a path (".."). Two such names that look alike for these reasons are the same.
func Name(s string) bool {
	return strings.Trim(s, ".") != "" && Plain(s) && norm.NFC.IsNormalString(s) &&
		strings.Join(strings.FieldsFunc(s, unicode.IsSpace), " ") == s
}

// Latin reports whether a letter is one of ASCII, or one with marks, or one of the few others that Latin alphabets of
// Europe have and that look like none of ASCII.
func Latin(r rune) bool {
	if r < utf8.RuneSelf {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
	}
	if strings.ContainsRune("ßæøœłđðþŋÆØŒŁĐÐÞŊ", r) {
		return true
	}
	parts := norm.NFD.String(string(r))
	return len(parts) > 1 && parts[0] < utf8.RuneSelf && Latin(rune(parts[0])) &&
		!strings.ContainsFunc(parts[1:], func(m rune) bool { return !unicode.Is(unicode.Mn, m) })
}

// Visible returns a text as one line in which nothing is hidden: U+202E is written as "<U+202E>", a byte that is no
// UTF-8 as "<0xFF>". Original undoes it.
func Visible(s string) string { return visible(s, func(rune) bool { return false }) }

// Lines is Visible, but leaves tabs and ends of lines as they are.
func Lines(s string) string { return visible(s, func(r rune) bool { return r == '\n' || r == '\t' }) }

func visible(s string, keep func(rune) bool) string {
	var out strings.Builder
	done := 0
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		var mark string
		switch {
		case r == utf8.RuneError && size == 1:
			mark = fmt.Sprintf("<0x%02X>", s[i])
		case r == '<' && looksMarked(s[i:]), Hidden(r) && !keep(r):
			mark = fmt.Sprintf("<U+%04X>", r)
		}
		if mark != "" {
			out.WriteString(s[done:i])
			out.WriteString(mark)
			done = i + size
		}
		i += size
	}
	if done == 0 {
		return s
	}
	out.WriteString(s[done:])
	return out.String()
}

var marks = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`<(?:U\+[0-9A-F]{4,6}|0x[0-9A-F]{2})>`) })

func looksMarked(s string) bool {
	if !strings.HasPrefix(s, "<U+") && !strings.HasPrefix(s, "<0x") {
		return false
	}
	at := marks().FindStringIndex(s)
	return at != nil && at[0] == 0
}

// Original undoes Visible.
func Original(s string) string {
	if !strings.Contains(s, "<U+") && !strings.Contains(s, "<0x") {
		return s
	}
	return marks().ReplaceAllStringFunc(s, func(mark string) string {
		digits := mark[3 : len(mark)-1]
		n, err := strconv.ParseUint(digits, 16, 32)
		switch {
		case err != nil || n > unicode.MaxRune:
			return mark
		case mark[1] == '0':
			return string([]byte{byte(n)})
		}
		return string(rune(n))
	})
}

// Storable returns a text that PostgreSQL keeps: NUL, and each byte that is no UTF-8, become U+FFFD. What else is
// hidden stays, as values are compared by it, and is made visible where it is shown.
func Storable(s string) string {
	if utf8.ValidString(s) && !strings.Contains(s, "\x00") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == 0 {
			return utf8.RuneError
		}
		return r // utf8.RuneError for what is no UTF-8
	}, s)
}

const (
	// formulaSigns begin what a spreadsheet would run; the wide ones where it is set to Japanese or Chinese. An
	// apostrophe says that text follows.
	formulaSigns = "=+-@＝＋－＠'"

	// otherSeparators part cells where a spreadsheet expects another list separator than the comma, whatever is quoted.
	otherSeparators = ";|"
)

// Cell returns a value as a cell of a table that people open with a spreadsheet: in sight, and with an apostrophe
// before what the spreadsheet would run, be it behind blanks or behind what it may take for a separator. FromCell
// undoes it.
func Cell(s string) string {
	return eachPart(Visible(s), func(part string, _ bool) string {
		if runs(part) {
			return "'" + part
		}
		return part
	})
}

// FromCell reads what Cell has written, or a person, who may put an apostrophe before any text.
func FromCell(s string) string {
	return Original(eachPart(s, func(part string, first bool) string {
		if rest, ok := strings.CutPrefix(part, "'"); ok && (first || runs(rest)) {
			return rest
		}
		return part
	}))
}

// runs reports whether a spreadsheet would run a cell.
func runs(cell string) bool {
	cell = strings.TrimLeftFunc(cell, unicode.IsSpace)
	r, _ := utf8.DecodeRuneInString(cell)
	return cell != "" && strings.ContainsRune(formulaSigns, r)
}

// eachPart has change work on what stands between separators.
func eachPart(s string, change func(part string, first bool) string) string {
	var out strings.Builder
	for first := true; ; first = false {
		i := strings.IndexAny(s, otherSeparators)
		if i < 0 {
			out.WriteString(change(s, first))
			return out.String()
		}
		out.WriteString(change(s[:i], first))
		out.WriteByte(s[i])
		s = s[i+1:]
	}
}

// ShellWord makes a text one word of a shell.
func ShellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
