// SPDX-License-Identifier: AGPL-3.0-or-later

// Package batch reads the files of batch queries and batch transfers, and writes the tables that people download: .xlsx
// and CSV. It knows nothing of jobs, servers and the database.
package batch

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/internal/refusal"
)

// A Kind says in one word what kind of fault or hint something is; the words do not change.
type Kind string

// The kinds of faults.
const (
	KindMissing           Kind = "missing"            // a value that must be there is not
	KindCharacter         Kind = "character"          // a character that can't be in such a value
	KindLength            Kind = "length"             // too long
	KindUID               Kind = "uid"                // no UID
	KindDate              Kind = "date"               // no date
	KindDateLayout        Kind = "date_layout"        // a date that says which one only with a chosen layout
	KindOrder             Kind = "order"              // From after Until
	KindModality          Kind = "modality"           // no modality
	KindNumber            Kind = "number"             // no whole number
	KindSpreadsheet       Kind = "spreadsheet"        // a value that a spreadsheet has changed
	KindFormula           Kind = "formula"            // a formula without a value
	KindValue             Kind = "value"              // TRUE, #N/A, a percentage: no text
	KindMerged            Kind = "merged"             // a cell within a merged area
	KindFields            Kind = "fields"             // a CSV row that has more or fewer fields than the header
	KindColumn            Kind = "column"             // in the header
	KindName              Kind = "name"               // no person name
	KindPseudonym         Kind = "pseudonym"          // one that can't be used
	KindStudyPatients     Kind = "study_patients"     // one study of two patients
	KindPatientPseudonyms Kind = "patient_pseudonyms" // one patient with two pseudonyms
	KindPseudonymPatients Kind = "pseudonym_patients" // one pseudonym of two patients
	KindPseudonymIsID     Kind = "pseudonym_is_id"    // a pseudonym that is a Patient ID of the file
	HintLeadingZeros      Kind = "leading_zeros"      // an ID that is shorter than the others
	HintSheet             Kind = "sheet"              // not the first sheet was read
	HintHiddenRows        Kind = "hidden_rows"        // hidden rows were read
	HintEncoding          Kind = "encoding"           // the encoding is a guess
	HintNamelessColumn    Kind = "nameless_column"    // values below no name
	HintSameRow           Kind = "same_row"           // a row that asks for what another one asks for
)

// titles are what people read in place of a kind.
var titles = map[Kind]string{
	KindMissing: "Value missing", KindCharacter: "Character not allowed", KindLength: "Too long", KindUID: "No UID",
	KindDate: "No date", KindDateLayout: "Date in an unknown order", KindOrder: "From after Until",
	KindModality: "No modality", KindNumber: "No whole number", KindSpreadsheet: "Changed by the spreadsheet",
	KindFormula: "Formula without a value", KindValue: "No text", KindMerged: "Merged cells",
	KindFields: "Wrong number of fields", KindColumn: "Column names", KindName: "No name",
	KindPseudonym: "Pseudonym not allowed", KindStudyPatients: "Study of two patients",
	KindPatientPseudonyms: "Two pseudonyms for one patient", KindPseudonymPatients: "One pseudonym for two patients",
	KindPseudonymIsID: "Pseudonym is a Patient ID",
	HintLeadingZeros:  "Leading zeros lost?", HintSheet: "Sheet", HintHiddenRows: "Hidden rows",
	HintEncoding: "Encoding", HintNamelessColumn: "Column without a name", HintSameRow: "Same row twice",
}

// Title returns what people read in place of a kind.
func (k Kind) Title() string { return titles[k] }

// A Fault says why a row can't be used. A hint (Result.Hints) has the same shape, and the row can be used.
type Fault struct {
	Row      int    // as a spreadsheet numbers it; in CSV the line in which the record begins; 0: the whole file
	Column   string // its name; empty: the row as a whole
	Cell     string // "C17", as a spreadsheet names it; in CSV by the number of the record; empty without a column
	Text     string // what the cell holds, at most maxFaultText characters
	Kind     Kind
	Sentence string // for the person who gave the file; may hold values of theirs
}

const (
	// MaxRows is how many rows with values a file has at the most, whoever gives it.
	MaxRows = 200_000
	// maxColumns is how far to the right values may stand.
	maxColumns = 256
	// maxFaults is how many faults, and how many hints, are kept; the others are counted.
	maxFaults    = 10_000
	maxFaultText = 200
)

// KindCount is how many faults there are of a kind.
type KindCount struct {
	Kind  Kind
	Count int
}

// faults are collected while a file is read.
type faults struct {
	list  []Fault
	count int
	kinds map[Kind]int
	rows  map[int]struct{}
}

func newFaults() *faults { return &faults{kinds: map[Kind]int{}, rows: map[int]struct{}{}} }

func (f *faults) add(one Fault) {
	f.count++
	f.kinds[one.Kind]++
	if one.Row > 0 {
		f.rows[one.Row] = struct{}{}
	}
	if len(f.list) < maxFaults {
		one.Text = cut(strings.Clone(one.Text), maxFaultText)
		f.list = append(f.list, one)
	}
}

func (f *faults) faulty(row int) bool { _, ok := f.rows[row]; return ok }

// sorted returns what is kept, by row.
func (f *faults) sorted() []Fault {
	slices.SortStableFunc(f.list, func(a, b Fault) int { return cmp.Compare(a.Row, b.Row) })
	return f.list
}

// counts returns the kinds, the most frequent first.
func (f *faults) counts() []KindCount {
	out := make([]KindCount, 0, len(f.kinds))
	for _, k := range slices.Sorted(maps.Keys(f.kinds)) {
		out = append(out, KindCount{k, f.kinds[k]})
	}
	slices.SortStableFunc(out, func(a, b KindCount) int { return cmp.Compare(b.Count, a.Count) })
	return out
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if len(s) <= n || utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// refuse says that a file can't be read at all.
func refuse(format string, args ...any) error {
	return &refusal.Invalid{Field: "file", Reason: fmt.Sprintf(format, args...)}
}

// columnLetters names a column as spreadsheets do, counted from 0.
func columnLetters(col int) string {
	name := ""
	for col++; col > 0; col = (col - 1) / 26 {
		name = string(rune('A'+(col-1)%26)) + name
	}
	return name
}
