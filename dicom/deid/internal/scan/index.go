// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// shortest is the length in bytes of what is looked for in texts: what is shorter stands in clean instances too, by
// chance.
const shortest = 5

// shortestInside is the number of letters or digits of what is looked for within longer words, too. Pydicom's files and
// the phantoms keep 259 words, under the built-in profiles, that are none of the standard's or the vocabulary's. Of the
// 14,149 most common names of the US census one of five letters is within one of them (Smart in SmartScore), and none
// of six or more; of four letters there are 16, of three 36.
const shortestInside = 5

// How many forms of identifiers are known at once. Beyond the first what is remembered begins anew with the next
// instance, and no instance may tell more than the second.
const (
	maxForms  = 1 << 12
	mostForms = 1 << 17
)

// errManyIdentifiers says that the scan would take too much memory.
var errManyIdentifiers = errors.New("it contains more names and numbers than the scan of the result can handle")

// index has identifiers in all the forms in which they are looked for. Only those count that were taken since begin:
// what other instances told is remembered for its forms alone, since hardly any instance brings new ones.
type index struct {
	turn   uint64            // counts the instances
	now    []told            // what this one tells, in order
	forms  int               // in how many forms
	taken  map[uint64]*taken // by a hash of nature, character set and value
	list   []word
	filter [1 << 10]uint64   // of windows, by hash
	at     map[uint32][]spot // of windows: four bytes, made alike in case
	key    []byte
	sets   []*charset.Set // that values were read in
	seed   maphash.Seed
}

// taken is what a value tells, whoever holds it.
type taken struct {
	turn  uint64 // of the last instance that has it
	forms []wordForm
}

// told is a value that the instance under way has, and where.
type told struct {
	*taken
	of dict.Tag
}

// wordForm is a form of an identifier.
type wordForm struct {
	at      int32  // in the list of words
	bytes   []byte // ASCII letters in lower case
	text    string // what it is a form of, in lower case
	kind    Kind
	apart   bool // stands apart from letters and digits around
	inside  bool // or within a word that is none of the standard's
	machine bool // a machine's
}

// word is a form of an identifier as the instance under way tells it, if its turn is that instance's.
type word struct {
	*wordForm
	turn    uint64
	rank    int // among those of the instance
	of      dict.Tag
	machine bool // told by machines alone
}

// spot is a window of a word: it begins at offset.
type spot struct {
	word   int32
	offset int32
}

func newIndex() *index {
	return &index{turn: 1, taken: map[uint64]*taken{}, at: map[uint32][]spot{}, seed: maphash.MakeSeed()}
}

// begin begins an instance. What is returned knows nothing of those before it.
func (w *index) begin() *index {
	if len(w.list) > maxForms || len(w.taken) > maxForms || len(w.sets) > maxTexts {
		return newIndex()
	}
	w.turn++
	w.now, w.forms = w.now[:0], 0
	return w
}

// take adds what a value of the original tells, and reports whether it tells something.
func (w *index) take(value []byte, n nature, of dict.Tag, set *charset.Set) bool {
	i := slices.Index(w.sets, set)
	if i < 0 {
		i = len(w.sets)
		w.sets = append(w.sets, set)
	}
	w.key = append(append(w.key[:0], byte(n), byte(i), byte(i>>8)), value...)
	hash := maphash.Bytes(w.seed, w.key)
	t, known := w.taken[hash]
	if !known {
		t = &taken{forms: formsOf(value, n, set)}
		for i := range t.forms {
			t.forms[i].at = w.place(t.forms[i].bytes)
		}
		w.taken[hash] = t
	}
	w.tell(told{t, of})
	return len(t.forms) > 0
}

// tell has what a value tells count for the instance under way.
func (w *index) tell(t told) {
	if t.turn == w.turn || w.forms > mostForms {
		return
	}
	t.turn = w.turn
	if len(t.forms) == 0 {
		return
	}
	w.now = append(w.now, t)
	for i := range t.forms {
		f := &t.forms[i]
		if x := &w.list[f.at]; x.turn == w.turn {
			x.machine = x.machine && f.machine
		} else {
			*x = word{f, w.turn, w.forms, t.of, f.machine}
			w.forms++
		}
	}
}

// copyOf returns words that know what those know that tell, and that others may be added to.
func copyOf(tell []told) *index {
	w := newIndex()
	for _, t := range tell {
		forms := slices.Clone(t.forms)
		for i := range forms {
			forms[i].at = w.place(forms[i].bytes)
		}
		w.tell(told{&taken{forms: forms}, t.of})
	}
	return w
}

// formsOf returns the forms in which what a value tells is looked for.
func formsOf(value []byte, n nature, set *charset.Set) (list []wordForm) {
	add := func(f wordForm) {
		if f.bytes = lower(f.bytes); len(f.bytes) >= shortest {
			list = append(list, f)
		}
	}
	vr := dict.LO
	if n.isName() {
		vr = dict.PN
	}
	for _, id := range identifying(decodeText(value, vr, set), n) {
		text := strings.ToLower(id.text)
		for _, f := range id.forms() {
			add(wordForm{bytes: f.bytes, text: text, kind: id.kind, apart: f.apart, inside: f.apart &&
				id.inside, machine: n == aMachine})
		}
	}
	// as it came, in whatever character set
	if n.isName() && (!utf8.Valid(value) || bytes.IndexByte(value, 0x1B) >= 0) {
		for _, part := range strings.FieldsFunc(
			string(value), func(r rune) bool { return r == '^' || r == '=' || r == '\\' },
		) {
			if b := []byte(values.Trim(part)); !values.PlainASCII(b) && len(b) > shortest {
				add(wordForm{bytes: b, text: string(b), kind: NameLeft})
			}
		}
	}
	return list
}

// place returns where a word is in the list, which it may be new to.
func (w *index) place(b []byte) int32 {
	for _, p := range w.at[window(b)] {
		if p.offset == 0 && string(w.list[p.word].bytes) == string(b) {
			return p.word
		}
	}
	i := int32(len(w.list))
	w.list = append(w.list, word{wordForm: &wordForm{bytes: b}})
	for offset := range int32(2) { // texts are looked at in steps of two
		v := window(b[offset:])
		w.at[v] = append(w.at[v], spot{i, offset})
		h := v * 2654435761 >> 16
		w.filter[h>>6] |= 1 << (h & 63)
	}
	return i
}

// window returns four bytes without what tells upper from lower case.
func window(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | 0x20202020 }

// lower makes ASCII letters those of lower case, in place.
func lower(b []byte) []byte {
	for i, c := range b {
		b[i] = lowered(c)
	}
	return b
}

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// find returns the first word that a value holds, of those that accept takes; of several at one place the one that was
// told first. least is the length that it must have.
func (w *index) find(value []byte, least int, accept func(*word) bool) (found *word) {
	for i := 0; i+4 <= len(value); i += 2 {
		v := window(value[i:])
		h := v * 2654435761 >> 16
		if w.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, p := range w.at[v] {
			x := &w.list[p.word]
			if x.turn == w.turn && (found == nil || x.rank < found.rank) &&
				len(x.bytes) >= least && x.stands(value, i-int(p.offset)) && accept(x) {
				found = x
			}
		}
		if found != nil {
			return found
		}
	}
	return nil
}

// stands reports whether a word is at a place of a value, apart from what is around.
func (x *word) stands(value []byte, at int) bool {
	end := at + len(x.bytes)
	if at < 0 || end > len(value) {
		return false
	}
	for i, c := range x.bytes {
		if lowered(value[at+i]) != c {
			return false
		}
	}
	if !x.apart {
		return true
	}
	before, after := joins(value, at), joins(value, end)
	switch {
	case before == parted && after == parted:
		return true
	case before == number1 || after == number1:
		return false
	}
	return x.inside && !isStandardAround(value, at, end)
}

// joint is how what stands on both sides of a place belongs together.
type joint uint8

const (
	parted  joint = iota
	word1         // letters of one word
	number1       // digits of one number
)

// joins tells how what stands on both sides of a place, an edge of an identifier, belongs together.
func joins(value []byte, at int) joint {
	if at == 0 || at == len(value) {
		return parted
	}
	beside, edge := value[at-1], value[at]
	switch {
	case values.IsDigit(beside) && values.IsDigit(edge):
		return number1
	case isLetter(beside) && isLetter(edge):
		return word1
	case beside < 0x80 && edge < 0x80:
		return parted
	}
	a, _ := utf8.DecodeLastRune(value[max(0, at-utf8.UTFMax):at])
	b, _ := utf8.DecodeRune(value[at:])
	if isSpelled(a) && isSpelled(b) {
		return word1
	}
	return parted
}

// isSpelled reports whether a rune is a letter of a script whose words stand apart.
func isSpelled(r rune) bool {
	return r != utf8.RuneError && unicode.IsLetter(r) && !unicode.In(
		r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer,
	)
}

// isStandardAround reports whether a part of a value lies within a word of the standard or of the vocabulary: Ender in
// Gender.
func isStandardAround(value []byte, at, end int) bool {
	for at > 0 && (isLetter(value[at-1]) || value[at-1] >= 0x80) {
		at--
	}
	for end < len(value) && (isLetter(value[end]) || value[end] >= 0x80) {
		end++
	}
	return allStandard(string(value[at:end]))
}
