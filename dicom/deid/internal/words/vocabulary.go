// SPDX-License-Identifier: AGPL-3.0-or-later

// Package words distinguishes words that describe an examination, which may stay, from unknown ones. It holds the
// vocabulary, extended by a profile, months and units, and compares letters.
package words

import (
	_ "embed"
	"strings"
	"sync"
	"unicode"
)

//go:embed vocabulary.txt
var vocabularyText string

//go:embed names.txt
var namesText string

// Vocabulary holds the words of vocabulary.txt; true stands for those that may be a part of a name (names.txt). It is
// made at first use: most instances have a description, but a program that only refuses or only keeps needs none.
var Vocabulary = sync.OnceValue(func() map[string]bool {
	words := make(map[string]bool, 4096)
	for line := range strings.Lines(vocabularyText) {
		if line[0] == '#' {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			words[word] = false
		}
	}
	for line := range strings.Lines(namesText) {
		if line[0] == '#' || line[0] == '=' {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			if !strings.HasSuffix(word, "*") {
				words[word] = true
			}
		}
	}
	return words
})

// Own are words of a profile's own, in lower case, which may stay beside those of the vocabulary.
type Own map[string]struct{}

// term is a word of a descriptor, or a piece of one that nobody knows.
type term struct {
	text   string
	known  bool
	name   bool // known, but a name, too
	amount bool // known as a measure
	number bool // unknown, and holds a digit or is a month
}

// termOf looks a word up: anatomy, technique, sequences, contrast, planes, phases, kernels and modalities, English and
// German, as vocabulary.txt lists them; a word of the profile's own; or, if it stands whole, a measure.
func (w Own) termOf(word string, whole bool) term {
	lower := strings.ToLower(word)
	t := term{text: word}
	if _, t.known = w[lower]; t.known {
		return t
	}
	if t.name, t.known = Vocabulary()[lower]; t.known {
		return t
	}
	t.amount = whole && IsMeasure(lower)
	t.known = t.amount
	t.number = !t.known && (strings.ContainsFunc(word, unicode.IsDigit) || isMonth(lower))
	return t
}

// terms splits a text into words, and what nobody knows at its points and hyphens. A piece never is a measure: it may
// be what is left of a date.
func (w Own) terms(list []term, text string) []term {
	for word := range strings.FieldsFuncSeq(text, separates) {
		if word = strings.Trim(word, ".,-+!#%"); word == "" {
			continue
		}
		if t := w.termOf(word, true); t.known || !strings.ContainsAny(word, "-+.,") {
			list = append(list, t)
			continue
		}
		for piece := range strings.FieldsFuncSeq(word, func(c rune) bool { return strings.ContainsRune("-+.,", c) }) {
			list = append(list, w.termOf(piece, false))
		}
	}
	return list
}

// stays reports whether a term may stay between its neighbours: not a measure or a month beside a number that nobody
// knows, as in a date, a time or a telephone number; not what may be a name beside a word that nobody knows.
func (t term) stays(before, after term) bool {
	unknown := func(n term) bool { return n.text != "" && !n.known && !isSide(n.text) }
	switch {
	case !t.known:
		return false
	case t.amount:
		return !before.number && !after.number
	case strings.EqualFold(t.text, "oct"): // optical coherence tomography, and October
		return !before.number && !after.number && !before.amount && !after.amount
	case t.name:
		return !(unknown(before) && !before.number) && !(unknown(after) && !after.number)
	}
	return true
}

// isMonth reports whether a word in lower case is a month, or its common short form, and no other word.
func isMonth(word string) bool {
	word = BareWord([]byte(word))
	return Months[word] > 0 && !IsOtherWord(word)
}

// isSide reports whether an unknown word is the common short form of left or right: Li is a name, but "Hand li." tells
// none.
func isSide(word string) bool {
	switch strings.ToLower(word) {
	case "l", "r", "li", "re":
		return true
	}
	return false
}

// IsMeasure reports whether a word is a number of at most four digits, with at most two more behind a point or comma,
// and a technical unit right behind it: "5mm", "0.6mm", "120kv", "3d". A number without a unit never is one, since it
// may be a part of a date, an identifier or a telephone number. A splitter of words keeps point and comma between two
// digits, so that "12.05.1960" stays one word, and none. What reads like a year is none either, nor is a field strength
// that no magnet has.
func IsMeasure(word string) bool {
	whole, rest := leadingDigits(word)
	if whole == 0 || whole > 4 {
		return false
	}
	if whole == 4 && (strings.HasPrefix(word, "19") || strings.HasPrefix(word, "20")) {
		return false
	}
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		var part int
		if part, rest = leadingDigits(rest[1:]); part == 0 || part > 2 {
			return false
		}
	}
	switch rest {
	case "t":
		return whole == 1 || whole == 2 && word < "12"
	case "mm", "cm", "um", "µm", "kv", "kvp", "ma", "mas", "kev", "mev", "mv", "hz", "khz", "mhz", "ms",
		"s", "sec", "sek", "min",
		"ml", "cc", "mg", "mci", "mbq", "gy", "cgy", "mgy", "deg", "grad", "d", "x", "ch", "dir", "fps",
		"bpm", "hu", "iso", "nex":
		return true
	}
	return false
}

func leadingDigits(s string) (n int, rest string) {
	for n < len(s) && s[n] >= '0' && s[n] <= '9' {
		n++
	}
	return n, s[n:]
}
