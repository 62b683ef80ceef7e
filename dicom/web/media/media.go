// SPDX-License-Identifier: AGPL-3.0-or-later

// Package media reads the media types of Content-Type and Accept as DICOMweb programs write them (PS3.18 8.7): values
// with quotes or without, "/" and "*" in them, parameters twice. It never refuses a parameter; what it can't read is
// left out.
package media

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is read of a header.
const (
	maxHeader = 16 << 10 // bytes of one header field
	maxParams = 64       // of a type; more are left out
	maxTypes  = 128      // of a list; more are left out
)

// Certain is the weight of a media range without q.
const Certain = 1000

// ErrNoType says that a header has no media type.
var ErrNoType = errors.New("there is no media type")

// Type is a media type, or a range of them, with its parameters.
type Type struct {
	Name string // in lower case: "multipart/related"; of a range "image/*" or "*/*"
	Q    int    // weight in an Accept header, in thousandths: 0 (not acceptable) to 1000
	// Params are in the order of the header, each name once: where it came twice, the first counts.
	Params []Param
}

// Param is a parameter of a media type.
type Param struct {
	Name  string // in lower case
	Value string // without quotes, as it was written
}

// Parse reads a Content-Type (RFC 9110 8.3). A parameter type that has parameters of its own between its quotes, as
// Orthanc writes it, is divided: they become parameters of the whole, behind the others.
func Parse(header string) (Type, error) {
	s := scanner{rest: clip(header)}
	t, ok := s.next()
	if !ok {
		return Type{}, ErrNoType
	}
	return t, nil
}

// ParseList reads the fields of an Accept header (RFC 9110 12.5.1) in the order in which they were written. Members
// that are no media range are left out.
func ParseList(headers ...string) []Type {
	var list []Type
	for _, h := range headers {
		s := scanner{rest: clip(h), list: true}
		for s.rest != "" && len(list) < maxTypes {
			if t, ok := s.next(); ok {
				list = append(list, t)
			}
			s.rest = strings.TrimPrefix(s.rest, ",")
		}
	}
	return list
}

func clip(header string) string { return header[:min(len(header), maxHeader)] }

// ByWeight puts what is wanted most first, and leaves out what isn't acceptable (q=0).
func ByWeight(list []Type) []Type {
	list = slices.DeleteFunc(slices.Clone(list), func(t Type) bool { return t.Q == 0 })
	slices.SortStableFunc(list, func(a, b Type) int { return b.Q - a.Q })
	return list
}

// Param returns a parameter's value, empty if there is none. The name is in lower case.
func (t Type) Param(name string) string {
	for _, p := range t.Params {
		if p.Name == name {
			return p.Value
		}
	}
	return ""
}

// Includes reports whether a range includes a media type, whose name is in lower case. A type includes itself.
func (t Type) Includes(name string) bool {
	if t.Name == name || t.Name == "*/*" {
		return true
	}
	group, ok := strings.CutSuffix(t.Name, "*")
	return ok && strings.HasPrefix(name, group)
}

// String writes the type as the pickiest of readers want it: the parameter type in quotes, others only where they need
// them, and so a transfer syntax without. A weight other than 1 comes last.
func (t Type) String() string {
	var b strings.Builder
	b.WriteString(t.Name)
	for _, p := range t.Params {
		b.WriteString("; " + p.Name + "=")
		if p.Name != "type" && isToken(p.Value) {
			b.WriteString(p.Value)
			continue
		}
		b.WriteByte('"')
		for _, c := range []byte(p.Value) {
			if c == '"' || c == '\\' {
				b.WriteByte('\\')
			}
			b.WriteByte(c)
		}
		b.WriteByte('"')
	}
	if t.Q < Certain {
		b.WriteString("; q=" + strconv.FormatFloat(float64(t.Q)/Certain, 'f', -1, 64))
	}
	return b.String()
}

// isToken reports whether a value needs no quotes (RFC 9110 5.6.2).
func isToken(s string) bool {
	for _, c := range []byte(s) {
		if !isLetterOrDigit(c) && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

func isLetterOrDigit(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z'
}

// scanner reads types one after the other.
type scanner struct {
	rest string
	list bool // a comma ends a type; else it is a character like others
}

// next reads one type with its parameters, up to the comma behind it or the end.
func (s *scanner) next() (Type, bool) {
	t := Type{Name: strings.ToLower(trim(s.until(""))), Q: Certain}
	if t.Name == "*" {
		t.Name = "*/*" // as Java's HttpURLConnection writes it
	}
	var inner []Param // of the parameter type
	for strings.HasPrefix(s.rest, ";") {
		s.rest = s.rest[1:]
		name := strings.ToLower(trim(s.until("=")))
		value := ""
		if strings.HasPrefix(s.rest, "=") {
			s.rest = s.rest[1:]
			value = s.value()
		}
		if q, ok := weight(value); name == "q" && ok {
			t.Q = q
			continue
		}
		if name == "type" {
			value, inner = divide(value, inner)
		}
		t.put(name, value)
	}
	for _, p := range inner {
		t.put(p.Name, p.Value)
	}
	kind, sub, ok := strings.Cut(t.Name, "/")
	return t, ok && kind != "" && sub != "" && !strings.ContainsAny(t.Name, " \t\"=")
}

// put adds a parameter unless it is there.
func (t *Type) put(name, value string) {
	same := func(p Param) bool { return p.Name == name }
	if name != "" && len(t.Params) < maxParams && !slices.ContainsFunc(t.Params, same) {
		t.Params = append(t.Params, Param{name, value})
	}
}

// divide takes the parameters off a media type that is a parameter's value.
func divide(value string, inner []Param) (string, []Param) {
	if !strings.Contains(value, ";") {
		return strings.ToLower(value), inner
	}
	name, params, _ := strings.Cut(value, ";")
	for pair := range strings.SplitSeq(params, ";") {
		if k, v, ok := strings.Cut(pair, "="); ok && len(inner) < maxParams {
			inner = append(inner, Param{strings.ToLower(trim(k)), strings.Trim(trim(v), `"`)})
		}
	}
	return strings.ToLower(trim(name)), inner
}

// until takes what comes before the next of the characters, a semicolon, or what ends the type.
func (s *scanner) until(chars string) string {
	chars += ";"
	if s.list {
		chars += ","
	}
	i := strings.IndexAny(s.rest, chars)
	if i < 0 {
		i = len(s.rest)
	}
	taken := s.rest[:i]
	s.rest = s.rest[i:]
	return taken
}

// value takes the value of a parameter. Quotes that aren't closed go to the end.
func (s *scanner) value() string {
	quoted, ok := strings.CutPrefix(strings.TrimLeft(s.rest, " \t"), `"`)
	if !ok {
		return trim(s.until(""))
	}
	var b strings.Builder
	i := 0
	for ; i < len(quoted) && quoted[i] != '"'; i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		b.WriteByte(quoted[i])
	}
	s.rest = quoted[min(i+1, len(quoted)):]
	s.until("")
	return b.String()
}

// weight reads a q, whose digits behind the third don't count.
func weight(value string) (int, bool) {
	if value == "" || len(value) > 32 || strings.Trim(value, "0123456789.") != "" {
		return 0, false
	}
	q, err := strconv.ParseFloat(value, 64)
	return int(min(q, 1) * Certain), err == nil
}

func trim(s string) string { return strings.Trim(s, " \t\r\n") }
