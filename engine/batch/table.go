// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
)

// A Layout is the order of days and months in dates beside ISO 8601, which is always understood.
type Layout string

// The layouts. The person who uploads a file chooses one; nothing else tells 03/04/2020 apart.
const (
	ISOOnly    Layout = ""
	DayFirst   Layout = "DD.MM.YYYY"
	MonthFirst Layout = "MM/DD/YYYY"
)

// Options say how a file is read.
type Options struct {
	Columns  []Column // those that are known; see QueryColumns and TransferColumns
	Dates    Layout
	Rows     int  // at most so many with values; 0: MaxRows
	MacRoman bool // CSV without a byte order mark that is no UTF-8 is MacRoman, not Windows-1252
}

// readingTime bounds how long a file is read: a small one may unpack to a lot. Tests that measure something else change
// it.
var readingTime = 30 * time.Second

// Table is a file whose header has been read. Its rows can be read as often as one likes.
type Table struct {
	Sheet     string   // xlsx: the name of the sheet that is read
	Encoding  string   // CSV: such as UTF-8
	Delimiter string   // CSV
	Extra     []string // the names of the columns that are unknown and kept aside, in order
	Faults    []Fault  // of the header: near misses, names that occur twice
	Hints     []Fault

	o        Options
	book     *workbook // nil: CSV
	csv      *csvFile
	head     int     // the row of the header
	known    []int   // for each known column where it stands, or -1
	places   []place // what stands in each column of the file
	nameless []int   // columns with values below no name, each once
	hidden   []int   // hidden rows with values
}

// place is a column of the file.
type place struct {
	name   string
	known  int // index of the known column, or -1
	extra  int // index of the extra column, or -1
	remark bool
}

// RemarksColumn is the name of the column that WriteRemarks adds, and that is left alone when it is read.
const RemarksColumn = "Remarks"

// Row is a row with values. It and what it points to are good until the next one is read; strings stay.
type Row struct {
	Row    int // as a spreadsheet numbers it; in CSV the line in which the record begins
	Record int // as a spreadsheet would number it; in CSV the number of the record
	Cells  []Cell
	Extra  []string // what stands in the columns of Table.Extra, in their order; may be shorter
	Broken string   // not empty: why its cells may not stand where they should, and Cells is empty

	text  string // of the whole row, if it is broken
	cells []cell
}

// Cell is a value as its column wants it.
type Cell struct {
	Text     string // a date is in DICOM form, YYYYMMDD
	Shown    string // what the cell holds, as somebody sees it
	Kind     Kind   // of the fault; empty: none
	Sentence string
}

// A cellType says what a file has in a cell.
type cellType uint8

const (
	textCell cellType = iota
	numberCell
	isoCell // a date that is written out
	boolCell
	errorCell
	formulaCell // without a value
	mergedCell  // one whose value stands in another
)

// cell is what a file has in a place.
type cell struct {
	col    int // from 0
	is     cellType
	text   string // numberCell: the number; mergedCell: the area
	format *numberFormat
}

// record is a row of a file.
type record struct {
	row, number int
	hidden      bool
	cells       []cell
	broken      string // why cells may not stand where they should
	text        string // then: the record
}

// records reads a file.
type records interface {
	next() (record, error) // io.EOF at the end
	io.Closer
}

// Open reads the header of a file. Whether it is .xlsx or CSV is told by its content. The error is a *refusal.Invalid
// if it can't be read at all; near misses are Faults.
func Open(ctx context.Context, r io.ReaderAt, size int64, o Options) (*Table, error) {
	ctx, cancel := context.WithTimeout(ctx, readingTime)
	defer cancel()
	if o.Rows == 0 || o.Rows > MaxRows {
		o.Rows = MaxRows
	}
	start := make([]byte, min(size, 512))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), start); err != nil {
		return nil, err
	}
	t := &Table{o: o}
	var err error
	switch {
	case len(bytes.TrimSpace(start)) == 0 && size <= 512:
		return nil, refuse("the file is empty")
	case bytes.HasPrefix(start, []byte("PK\x03\x04")), bytes.HasPrefix(start, []byte("PK\x05\x06")):
		t.book, err = openWorkbook(ctx, r, size)
	case bytes.HasPrefix(start, oleSignature):
		return nil, refuseOLE(ctx, r, size)
	case bytes.HasPrefix(bytes.TrimSpace(start), []byte("<")):
		return nil, refuse("the file is HTML or XML, whatever its name says; open it in a spreadsheet program and save " +
			"it as .xlsx")
	default:
		t.csv, err = openCSV(ctx, r, size, o)
	}
	if err == nil {
		err = t.readHead(ctx)
	}
	if err != nil {
		return nil, tooLong(ctx, err)
	}
	return t, nil
}

// tooLong says so if an error comes from there being no time left.
func tooLong(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return refuse("the file takes longer than %d seconds to read; split it, or save only the rows and columns that are "+
			"needed", int(readingTime.Seconds()))
	}
	return err
}

func (t *Table) open(ctx context.Context) (records, error) {
	if t.book != nil {
		return t.book.records(ctx)
	}
	return t.csv.records(ctx), nil
}

func (t *Table) readHead(ctx context.Context) error {
	in, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // was only read
	first, err := in.next()
	switch {
	case errors.Is(err, io.EOF):
		return refuse("the file has no values; the first row must name the columns")
	case err != nil:
		return err
	case first.broken != "":
		return refuse("the names of the columns can't be read. %s", first.broken)
	case first.number != 1:
		return refuse("row 1 is empty; the columns must be named in row 1, and here the first values stand in row %d",
			first.number)
	}
	t.head = first.row
	if t.book != nil {
		t.Sheet = t.book.sheet
		if t.book.skipped != "" {
			t.hint(Fault{Kind: HintSheet, Sentence: "The sheet \"" + t.book.skipped + "\" is hidden, so \"" + t.Sheet +
				"\" was read."})
		}
	} else {
		t.Encoding, t.Delimiter = t.csv.encoding, string(t.csv.delimiter)
		if t.csv.guessed {
			t.hint(Fault{Kind: HintEncoding, Sentence: "The file is not in UTF-8, so it was read as " + t.Encoding +
				". Check that umlauts and accents are right; \"CSV UTF-8\" is safe."})
		}
	}
	return t.takeHead(first)
}

func (t *Table) hint(h Fault) { t.Hints = append(t.Hints, h) }

// takeHead finds where the columns are.
func (t *Table) takeHead(first record) error {
	t.known = slices.Repeat([]int{-1}, len(t.o.Columns))
	seen := map[string]bool{}
	for _, c := range first.cells {
		name := strings.Clone(clean(c.text))
		if c.is == mergedCell || name == "" {
			continue
		}
		for len(t.places) <= c.col {
			t.places = append(t.places, place{known: -1, extra: -1})
		}
		p := &t.places[c.col]
		p.name, p.remark = name, name == RemarksColumn
		if seen[name] {
			t.fault(p.name, c.col, "The column "+name+" occurs twice. Remove one of them, or give it another name.")
			p.remark = true
			continue
		}
		seen[name] = true
		if i := slices.IndexFunc(t.o.Columns, func(k Column) bool { return k.Name == name }); i >= 0 {
			p.known, t.known[i] = i, c.col
		}
	}
	t.nearMisses()
	if !slices.ContainsFunc(t.known, func(at int) bool { return at >= 0 }) {
		return t.noColumn()
	}
	for i := range t.places {
		if p := &t.places[i]; p.name != "" && p.known < 0 && !p.remark {
			p.extra = len(t.Extra)
			t.Extra = append(t.Extra, p.name)
		}
	}
	return nil
}

// nearMisses takes a column that is not there for the one that is called nearly so, which is a fault all the same: rows
// would be read without it.
func (t *Table) nearMisses() {
	for i := range t.places {
		p := &t.places[i]
		if p.name == "" || p.known >= 0 || p.remark {
			continue
		}
		k := slices.IndexFunc(t.o.Columns, func(k Column) bool { return k.Near(p.name) })
		if k < 0 || t.known[k] >= 0 {
			continue
		}
		p.known, t.known[k] = k, i
		t.fault(p.name, i, "There is no column \""+p.name+"\". Did you mean "+t.o.Columns[k].Name+"?")
	}
}

func (t *Table) noColumn() error {
	names := make([]string, len(t.o.Columns))
	for i, c := range t.o.Columns {
		names[i] = c.Name
	}
	return refuse("the first row names none of the columns %s", strings.Join(names, ", "))
}

func (t *Table) fault(column string, col int, sentence string) {
	f := Fault{Row: t.head, Column: column, Text: column, Kind: KindColumn, Sentence: sentence}
	if col >= 0 {
		f.Cell = columnLetters(col) + "1"
	}
	t.Faults = append(t.Faults, f)
}

// has reports whether the file has a column, by its index among the known ones.
func (t *Table) has(known int) bool { return t.known[known] >= 0 }

// at names a cell of a known column.
func (t *Table) at(r *Row, known int) string { return columnLetters(t.known[known]) + itoa(r.Record) }

// Rows reads the rows with values, the header left out; one iteration after the other, not side by side. The error is a
// *refusal.Invalid if the file can't be read to its end.
func (t *Table) Rows(ctx context.Context) iter.Seq2[*Row, error] {
	return func(yield func(*Row, error) bool) {
		ctx, cancel := context.WithTimeout(ctx, readingTime)
		defer cancel()
		if err := t.read(ctx, func(r *Row) bool { return yield(r, nil) }); err != nil {
			yield(nil, tooLong(ctx, err))
		}
	}
}

// maxCells and maxText bound what the rows of a file may take in memory: a small file may unpack to a lot.
const (
	maxCells = 3_000_000
	maxText  = 64 << 20
)

func (t *Table) read(ctx context.Context, yield func(*Row) bool) error {
	in, err := t.open(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }() // was only read
	t.nameless, t.hidden = nil, nil
	row := &Row{Cells: make([]Cell, len(t.o.Columns))}
	count, cells := 0, 0
	for {
		r, err := in.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case r.number == 1:
			continue
		}
		count++
		cells += len(r.cells)
		switch {
		case count > t.o.Rows:
			return refuse("the file has more than %d rows; split it into several files", t.o.Rows)
		case cells > maxCells:
			return refuse("the file has more than %d cells; remove columns that are not needed, or split it", maxCells)
		}
		if r.hidden {
			t.hidden = append(t.hidden, r.row)
		}
		t.fill(row, r)
		if !yield(row) {
			return nil
		}
	}
}

// fill makes a row of a record.
func (t *Table) fill(row *Row, r record) {
	row.Row, row.Record, row.Broken, row.text = r.row, r.number, r.broken, r.text
	row.cells, row.Extra = r.cells, nil
	clear(row.Cells)
	if r.broken != "" {
		return
	}
	for i := range r.cells {
		c := &r.cells[i]
		if c.col >= len(t.places) || t.places[c.col].name == "" {
			if t.shown(c) != "" && !slices.Contains(t.nameless, c.col) {
				t.nameless = append(t.nameless, c.col)
			}
			continue
		}
		switch p := t.places[c.col]; {
		case p.known >= 0:
			row.Cells[p.known] = t.value(c, &t.o.Columns[p.known])
		case p.extra >= 0:
			if row.Extra == nil {
				row.Extra = make([]string, p.extra+1, len(t.Extra))
			}
			row.Extra = append(row.Extra, make([]string, max(0, p.extra+1-len(row.Extra)))...)
			row.Extra[p.extra] = t.shown(c)
		}
	}
}
