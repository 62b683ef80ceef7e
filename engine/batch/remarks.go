// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"
)

// noValue stands where a value can't be written so that it is wrong in the same way: what nobody corrects stays a
// fault.
const noValue = "#N/A"

// WriteRemarks writes the rows of a file as .xlsx, each where it stood, with what is wrong with it in a last column,
// and the faulty cells in red. Somebody can correct them there, and upload the file again: the column is then left
// alone. What has a fault has one when it is read again.
func WriteRemarks(ctx context.Context, out io.Writer, in io.ReaderAt, size int64, o Options, list []Fault) error {
	t, err := Open(ctx, in, size, o)
	if err != nil {
		return err
	}
	x, err := NewXLSX(out)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }() // temporary files
	w := &remarker{t: t, x: x, remarks: map[int]string{}, red: map[string]int{}, at: len(t.places)}
	w.collect(list)
	if err := w.begin(); err != nil {
		return err
	}
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return err
		}
		if err := w.row(row); err != nil {
			return err
		}
	}
	return x.Finish()
}

type remarker struct {
	t       *Table
	x       *XLSX
	at      int // the column of the remarks
	remarks map[int]string
	red     map[string]int // styles of faulty cells by their number formats
	begun   bool
}

func (w *remarker) collect(list []Fault) {
	for _, f := range list {
		remark := f.Sentence
		if f.Column != "" {
			remark = f.Column + ": " + remark
		}
		if before := w.remarks[f.Row]; before != "" {
			remark = before + "\n" + remark
		}
		w.remarks[f.Row] = remark
	}
}

func (w *remarker) begin() error {
	columns := make([]ExportColumn, len(w.t.places))
	for i, p := range w.t.places {
		columns[i].Name = p.name
		if p.known >= 0 && w.t.o.Columns[p.known].Kind == DateColumn {
			columns[i].Kind = DateExport
		}
		if p.name == RemarksColumn {
			w.at = i
		}
	}
	if w.at == len(columns) {
		columns = slices.Concat(columns, []ExportColumn{{Name: RemarksColumn}})
	}
	sheet := w.t.Sheet
	if sheet == "" || len([]rune(sheet)) > 25 || strings.ContainsAny(sheet, `:\/?*[]'`) {
		sheet = "Rows"
	}
	return w.x.Sheet(sheet, columns)
}

func (w *remarker) row(row *Row) error {
	cells := make([]any, len(w.x.columns))
	if row.Broken != "" {
		for _, at := range w.t.known {
			if at >= 0 {
				cells[at] = w.faulty(noValue)
			}
		}
	} else {
		for i := range row.cells {
			if c := &row.cells[i]; c.col < len(w.t.places) && c.col != w.at {
				cells[c.col] = w.cell(row, c)
			}
		}
	}
	remark := w.remarks[row.Row]
	if !w.begun { // what is wrong with the header
		if head := w.remarks[w.t.head]; head != "" {
			remark = strings.TrimRight("Row 1: "+head+"\n"+remark, "\n")
		}
		w.begun = true
	}
	if row.Broken != "" {
		remark += "\n" + row.text
	}
	if remark != "" {
		cells[w.at] = w.x.text(remark)
	}
	return w.x.put(row.Record, cells)
}

// cell returns what a cell held, as excelize takes it.
func (w *remarker) cell(row *Row, c *cell) any {
	known := w.t.places[c.col].known
	if known < 0 {
		return w.x.text(w.t.shown(c))
	}
	v := &row.Cells[known]
	date := w.t.o.Columns[known].Kind == DateColumn
	switch {
	case v.Kind == "" && date:
		return w.x.cell(v.Text, DateExport)
	case v.Kind == "":
		return w.x.text(v.Shown)
	}
	switch c.is {
	case numberCell:
		return w.number(c, date)
	case boolCell:
		return excelize.Cell{StyleID: w.style("General"), Value: c.text == "TRUE"}
	case formulaCell, mergedCell, isoCell:
		return w.faulty(noValue)
	}
	return w.faulty(v.Shown)
}

// number keeps the number and its format. The days of the new file are numbered from 1900.
func (w *remarker) number(c *cell, date bool) any {
	n, err := strconv.ParseFloat(c.text, 64)
	if err != nil {
		return w.faulty(noValue)
	}
	if w.t.date1904() && (date || c.format.isDate()) && n >= 0 {
		n += days1904
	}
	code := c.format.code
	if code == "" {
		code = "General"
		if c.format.isDate() {
			code = "yyyy-mm-dd"
		}
	}
	return excelize.Cell{StyleID: w.style(code), Value: n}
}

func (w *remarker) faulty(v string) any {
	if strings.HasPrefix(v, "'") {
		v = "'" + v
	}
	return excelize.Cell{StyleID: w.style("@"), Value: fit(v)}
}

// maxRed bounds how many number formats are kept.
const maxRed = 1000

func (w *remarker) style(format string) int {
	if id, ok := w.red[format]; ok {
		return id
	}
	id, err := w.x.file.NewStyle(&excelize.Style{
		CustomNumFmt: &format, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"FDE8E8"}},
	})
	if err != nil || len(w.red) > maxRed {
		return 0
	}
	w.red[format] = id
	return id
}
