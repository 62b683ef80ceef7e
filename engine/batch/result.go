// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"fmt"
	"strconv"
	"strings"
)

// Preview says in numbers what a file holds. A row is fine if it has no fault.
type Preview struct {
	Sheet, Encoding, Delimiter string   // see Table
	Columns, Extra             []string // the known ones that the file has, as it orders them; those kept aside
	Rows                       int      // with values
	FaultyRows                 int
	Tasks                      int // that the rows that are fine make: queries, or studies
	MergedRows                 int // of a transfer: rows that are fine and belong to the study of another one
	Patients                   int // of the rows that are fine, as far as the file tells
	IdentifiedRows             int // of a transfer: rows that are fine and give no pseudonym
	Faults, Hints              int // all of them, also those that were not kept
	Kinds, HintKinds           []KindCount
}

// Result is what reading a file has found out. Nothing should be made of it while it has faults.
type Result struct {
	Preview Preview
	Faults  []Fault // by row; at most maxFaults
	Hints   []Fault // what somebody should look at; none of it is a fault
}

// reading is what both modules do with each row.
type reading struct {
	t       *Table
	faults  *faults
	hints   *faults
	rows    int
	lengths lengths
}

func (t *Table) reading() *reading {
	r := &reading{t: t, faults: newFaults(), hints: newFaults()}
	for _, f := range t.Faults {
		r.faults.add(f)
	}
	for _, h := range t.Hints {
		r.hints.add(h)
	}
	return r
}

// lacks says that a column isn't there, if so. Its rows are then not told one by one that a value is missing.
func (r *reading) lacks(known int, sentence string) bool {
	if r.t.has(known) {
		return false
	}
	name := r.t.o.Columns[known].Name
	r.faults.add(Fault{
		Row: r.t.head, Column: name, Kind: KindColumn, Sentence: "The file has no column " + name + ". " + sentence,
	})
	return true
}

// take notes the faults of a row's cells, and reports whether there is none.
func (r *reading) take(row *Row) bool {
	r.rows++
	if row.Broken != "" {
		r.faults.add(Fault{Row: row.Row, Text: row.text, Kind: KindFields, Sentence: row.Broken})
		return false
	}
	fine := true
	for i := range row.Cells {
		if c := &row.Cells[i]; c.Kind != "" {
			r.fault(row, i, c.Kind, c.Sentence)
			fine = false
		}
	}
	return fine
}

func (r *reading) fault(row *Row, known int, kind Kind, sentence string) {
	f := Fault{
		Row: row.Row, Column: r.t.o.Columns[known].Name, Text: row.Cells[known].Shown, Kind: kind, Sentence: sentence,
	}
	if r.t.has(known) {
		f.Cell = r.t.at(row, known)
	}
	r.faults.add(f)
}

// result sums up.
func (r *reading) result() Result {
	t := r.t
	r.lengths.hint(r)
	if n := len(t.hidden); n > 0 {
		r.hints.add(Fault{Row: t.hidden[0], Kind: HintHiddenRows, Sentence: fmt.Sprintf(
			"%s hidden, and read all the same. Delete what should not be used.", few("row is", "rows are", t.hidden),
		)})
	}
	for _, col := range t.nameless {
		r.hints.add(Fault{Kind: HintNamelessColumn, Sentence: "Column " + columnLetters(col) +
			" has values, but no name in row 1. It was not read."})
	}
	p := Preview{
		Sheet: t.Sheet, Encoding: t.Encoding, Delimiter: t.Delimiter, Extra: t.Extra,
		Rows: r.rows, FaultyRows: len(r.faults.rows), Faults: r.faults.count, Hints: r.hints.count,
		Kinds: r.faults.counts(), HintKinds: r.hints.counts(),
	}
	if r.faults.faulty(t.head) {
		p.FaultyRows--
	}
	for _, c := range t.places {
		if c.known >= 0 {
			p.Columns = append(p.Columns, t.o.Columns[c.known].Name)
		}
	}
	return Result{Preview: p, Faults: r.faults.sorted(), Hints: r.hints.sorted()}
}

// few names the first of some numbers.
func few(one, several string, numbers []int) string {
	var out strings.Builder
	for i, n := range numbers {
		if i == 10 {
			out.WriteString(" and others")
			break
		}
		if i > 0 {
			out.WriteString(", ")
		}
		out.WriteString(strconv.Itoa(n))
	}
	if len(numbers) == 1 {
		return fmt.Sprintf("1 %s (%s)", one, out.String())
	}
	return fmt.Sprintf("%d %s (%s)", len(numbers), several, out.String())
}

// lengths finds IDs of digits alone that are shorter than most: a spreadsheet takes the zeros before a number away.
// Short IDs exist, so nobody is told that it is a fault.
type lengths struct {
	rows   []idLength
	counts [65]int
}

type idLength struct {
	id          string
	row, record int32
}

func (l *lengths) take(row *Row, id string) {
	if id == "" || len(id) >= len(l.counts) || strings.Trim(id, "0123456789") != "" {
		return
	}
	l.counts[len(id)]++
	l.rows = append(l.rows, idLength{id, int32(row.Row), int32(row.Record)})
}

// hint needs three IDs: of two, nobody knows which one is short.
func (l *lengths) hint(r *reading) {
	usual := 0
	for n, count := range l.counts {
		if count > len(l.rows)/2 && len(l.rows) >= 3 {
			usual = n
		}
	}
	for _, id := range l.rows {
		if len(id.id) >= usual {
			continue
		}
		r.hints.add(Fault{
			Row: int(id.row), Column: "PatientID", Cell: columnLetters(r.t.known[0]) + itoa(int(id.record)), Text: id.id,
			Kind: HintLeadingZeros, Sentence: fmt.Sprintf("This ID has %d digits, and most others have %d. If zeros before it "+
				"were lost, format the column as text, and write the ID again.", len(id.id), usual),
		})
	}
}
