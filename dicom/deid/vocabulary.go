// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	_ "embed"
	"strings"
	"sync"
)

//go:embed vocabulary.txt
var vocabularyText string

// vocabulary is the set of the words of vocabulary.txt. It is made at first use: most objects have a description, but
// a program that only refuses or only keeps needs none.
var vocabulary = sync.OnceValue(func() map[string]struct{} {
	words := make(map[string]struct{}, 2048)
	for line := range strings.Lines(vocabularyText) {
		if line[0] == '#' {
			continue
		}
		for word := range strings.FieldsSeq(line) {
			words[word] = struct{}{}
		}
	}
	return words
})

// inVocabulary tells whether a word, in lower case, is one that cleaned descriptors may keep: anatomy, technique,
// sequences, contrast, planes, phases, kernels and modalities, English and German, as vocabulary.txt lists them; or a
// measure (see isMeasure).
func inVocabulary(word string) bool {
	if _, ok := vocabulary()[word]; ok {
		return true
	}
	return isMeasure(word)
}

// isMeasure tells whether a word is a number of at most four digits, with at most two more behind a point or comma,
// and a technical unit right behind it: "5mm", "0.6mm", "120kv", "3d". A number without a unit never is one, since it
// may be a part of a date, an identifier or a telephone number. A splitter of words keeps point and comma between two
// digits, so that "12.05.1960" stays one word, and none.
func isMeasure(word string) bool {
	whole, rest := leadingDigits(word)
	if whole == 0 || whole > 4 {
		return false
	}
	if rest != "" && (rest[0] == '.' || rest[0] == ',') {
		var part int
		if part, rest = leadingDigits(rest[1:]); part == 0 || part > 2 {
			return false
		}
	}
	switch rest {
	case "mm", "cm", "um", "µm", "kv", "kvp", "ma", "mas", "kev", "mev", "mv", "t", "hz", "khz", "mhz", "ms", "s", "sec", "sek", "min",
		"ml", "cc", "mg", "mci", "mbq", "gy", "cgy", "mgy", "deg", "grad", "d", "x", "ch", "dir", "fps", "bpm", "hu", "iso", "nex":
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
