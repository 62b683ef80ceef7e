// SPDX-License-Identifier: AGPL-3.0-or-later

package house

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stumblers are phrases at which a reader stumbles, in lower case, and what to write instead.
var stumblers = map[string]string{
	"can't be had":              "is not available",
	"cannot be had":             "is not available",
	"could not be had":          "was not available",
	"can be had again":          "is available again",
	"nothing to be had":         "nothing available",
	"no association to be had":  "no association can be opened",
	"house-keeping":             "housekeeping",
	"administrates":             "administers",
	"what misses":               "what is missing",
	"who runs adit for":         "anyone who lets others use ADIT",
	"that it knows that by":     "which it knows by",
	"to be changed of":          "unchanged",
	"isn't to be changed":       "unchanged",
	"ended by itself":           "ended unexpectedly",
	"may stand nowhere":         "may occur nowhere",
	"is none (ps3.5":            "is invalid (PS3.5",
	"others that can't be seen": "other invisible characters",
}

// history keeps its words: decisions that were made, and migrations that ran.
var history = []string{"docs/decisions/", "db/migrations/", "test/house/words_test.go"}

// TestWords: no document, comment or message has a phrase at which a reader stumbles.
func TestWords(t *testing.T) {
	root := filepath.Join("..", "..")
	checked := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root &&
			(strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "node_modules"):
			return fs.SkipDir
		case d.IsDir() || !slices.Contains([]string{".go", ".md", ".sql"}, filepath.Ext(path)):
			return nil
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		name = filepath.ToSlash(name)
		for _, part := range history {
			if strings.HasPrefix(name, part) || strings.HasSuffix(name, part) {
				return nil
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		checked++
		text = bytes.ToLower(joined(text))
		for phrase, instead := range stumblers {
			if bytes.Contains(text, []byte(phrase)) {
				t.Errorf("%s says %q: write %q", name, phrase, instead)
			}
		}
		return nil
	})
	require.NoError(t, err)
	require.NotZero(t, checked)
}

// joined returns a text with its lines, and the lines of its comments, joined: a phrase may go over the end of one.
func joined(text []byte) []byte {
	for _, comment := range []string{"//", "--"} {
		text = bytes.ReplaceAll(text, []byte("\n"+comment+" "), []byte(" "))
		text = bytes.ReplaceAll(text, []byte("\n\t"+comment+" "), []byte(" "))
	}
	return bytes.ReplaceAll(text, []byte("\n"), []byte(" "))
}
