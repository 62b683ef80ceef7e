// SPDX-License-Identifier: AGPL-3.0-or-later

// Command names tells which words of vocabulary.txt are in lists of first or last names: files of one name a line, of
// which the first word counts. It leaves out those that names.txt keeps. What it tells belongs out of the vocabulary
// and into dicom/deid/testdata/names_removed.txt, or, with the reason, into names.txt. Run it from
// dicom/deid/internal/words: go run ../gen/names LIST...
//
// Last checked against the census lists of the Python package names 0.3.0 (94,293 names), all locales of Faker 40.63
// (68,263) and gender-guesser 0.4.0 (45,417).
package main

import (
	"log"
	"os"
	"strings"
)

func main() {
	log.SetFlags(0)
	words := read("vocabulary.txt")
	for w := range read("names.txt") {
		delete(words, w)
	}
	for _, list := range os.Args[1:] {
		text, err := os.ReadFile(list)
		if err != nil {
			log.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(strings.ToLower(line)); len(f) > 0 && words[f[0]] {
				log.Println(f[0], list) //nolint:gosec // both are the developer's own
			}
		}
	}
}

// read returns the words of a list of ours.
func read(path string) map[string]bool {
	text, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	words := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line[0] == '#' || line[0] == '=' {
			continue
		}
		for w := range strings.FieldsSeq(line) {
			words[strings.TrimSuffix(w, "*")] = true
		}
	}
	return words
}
