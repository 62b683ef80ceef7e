// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// errUndeclared ends a pass over an object that declares no character set, and needs one.
var errUndeclared = errors.New("text of a character set that isn't declared")

// undeclared reports whether a text that has to be read is none of ASCII, and nothing else is declared that it could be read in.
func (w *rewriter) undeclared(value []byte, vr dict.VR, lv *level) bool {
	return w.ascii && w.read == nil && (!w.verbatim || w.utf8) && vr.CharSet() && beyondASCII(value) &&
		lv.set != nil && lv.set.IsASCII() && !w.s.fallback.IsASCII()
}

// undeclared gives what an object is read in that declares no character set: UTF-8 if all of its text is valid as such, else the fallback.
func (s *Session) undeclared(h *stream.Header) *charset.Set {
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
			set := s.charset(value)
			declares[depth] = set == nil || !set.IsASCII()
		case vr.CharSet() && !declares[depth] && beyondASCII(value) && (!utf8.Valid(value) || bytes.IndexByte(value, 0x1B) >= 0):
			return s.fallback
		}
	}
	utf, _ := charset.New([]string{charset.UTF8}) // it is defined
	return utf
}

// assume has the text of an object that declares no character set read in one.
func (w *rewriter) assume(set *charset.Set) {
	w.read = set
	w.report.AssumedCharset = strings.Join(set.Terms(), `\`)
}

func isUndecodable(err error) bool {
	unsafe, ok := errors.AsType[*UnsafeError](err)
	return ok && unsafe.Reason == Undecodable
}

// maxLevels is more than sequences may lie within each other.
const maxLevels = maxDepth + 2

func beyondASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return true
		}
	}
	return false
}
