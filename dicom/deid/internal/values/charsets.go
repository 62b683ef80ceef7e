// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Bounds of what is remembered; beyond them it begins anew, and what is longer is looked up each time.
const (
	maxKept  = 1 << 10
	maxTerms = 256
)

// Charsets remembers character sets by the value of (0008,0005): a site has a handful.
type Charsets map[string]*charset.Set

// Of returns the character set of a value of (0008,0005), nil if it names a term that is not defined.
func (m Charsets) Of(value []byte) *charset.Set {
	if set, ok := m[string(value)]; ok {
		return set
	}
	set, err := charset.New(strings.Split(Trim(string(value)), `\`))
	if err != nil {
		set = nil
	}
	if len(m) >= maxKept {
		clear(m)
	}
	if len(value) <= maxTerms {
		m[string(value)] = set
	}
	return set
}

// Undeclared returns what an instance is read in that declares no character set: UTF-8 if all of its text is valid as
// such, else the fallback.
func (m Charsets) Undeclared(h *stream.Header, fallback *charset.Set) *charset.Set {
	var declares [maxLevels]bool // by depth: the item declares a character set
	for t := range h.Tokens() {
		depth := min(len(t.Path), maxLevels-1)
		vr := t.VR
		if vr == dict.UN {
			vr = dict.VROf(t.Tag)
		}
		switch value := h.ValueOf(t); {
		case t.Kind == stream.ItemToken:
			declares[depth] = declares[max(0, depth-1)]
		case t.Kind != stream.ValueToken:
		case t.Tag == dict.SpecificCharacterSet && depth > 0:
			set := m.Of(value)
			declares[depth] = set == nil || !set.IsASCII()
		case vr.CharSet() && !declares[depth] && BeyondASCII(value) &&
			(!utf8.Valid(value) || bytes.IndexByte(value, 0x1B) >= 0):
			return fallback
		}
	}
	utf, _ := charset.New([]string{charset.UTF8}) // it is defined
	return utf
}

// maxLevels is more than sequences may lie within each other.
const maxLevels = MaxDepth + 2

// Creators remembers the texts of private creators.
type Creators map[string]string

// Of returns the text of a Private Creator. A program's life sees a few hundred.
func (m Creators) Of(value []byte) string {
	value = Trimmed(value)
	if c, ok := m[string(value)]; ok {
		return c
	}
	if len(m) >= maxKept {
		clear(m)
	}
	c := string(value)
	if len(c) <= MaxText {
		m[c] = c
	}
	return c
}
