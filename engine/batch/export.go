// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"archive/zip"
	"encoding/csv"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/xuri/excelize/v2"

	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/words"
)

// An ExportKind says what the values of a column are.
type ExportKind uint8

// The kinds of exported columns. Values are given as DICOM has them; what is no date, time or number is written as
// text.
const (
	TextExport   ExportKind = iota
	DateExport              // YYYYMMDD
	TimeExport              // HHMMSS.FFFFFF
	NumberExport            // a whole number
)

// ExportColumn is a column of an export.
type ExportColumn struct {
	Name string
	Kind ExportKind
}

// Exporter writes a table row by row, with a value for each column.
type Exporter interface {
	Row(values ...string) error
	// Finish writes what is left. Without it the file is not whole.
	Finish() error
	// Close removes what is left on the disk; it is called in any case.
	Close() error
}

// MaxSheetRows is how many rows Excel shows below the header.
const MaxSheetRows = maxSheetRows - 1

// XLSX writes an .xlsx file. Nothing in it is a formula: text is text, whatever it begins with.
type XLSX struct {
	out     io.Writer
	file    *excelize.File
	sheet   *excelize.StreamWriter
	name    string
	columns []ExportColumn
	styles  styles
	row     int // of the sheet
	part    int // of the sheet, if there are more rows than one takes
	sheets  int
	most    int // rows below the header
	cells   []any
}

// styles are the numbers of the styles of a file.
type styles struct{ text, date, time, number, head int }

// NewXLSX writes to out when it is finished. Sheet comes before the first row.
func NewXLSX(out io.Writer) (*XLSX, error) {
	x := &XLSX{out: out, file: excelize.NewFile(), most: MaxSheetRows}
	format := func(code string) *excelize.Style { return &excelize.Style{CustomNumFmt: &code} }
	for _, s := range []struct {
		to    *int
		style *excelize.Style
	}{
		{&x.styles.text, &excelize.Style{NumFmt: 49}},
		{&x.styles.date, format("yyyy-mm-dd")},
		{&x.styles.time, format("hh:mm:ss")},
		{&x.styles.number, &excelize.Style{NumFmt: 1}},
		{&x.styles.head, &excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true}}},
	} {
		id, err := x.file.NewStyle(s.style)
		if err != nil {
			return nil, errors.Join(err, x.file.Close())
		}
		*s.to = id
	}
	return x, nil
}

// Sheet begins a sheet. Its name has at most 25 characters, and none of :\/?*[].
func (x *XLSX) Sheet(name string, columns []ExportColumn) error {
	x.name, x.columns, x.part = name, columns, 1
	return x.begin(name)
}

func (x *XLSX) begin(name string) error {
	if x.sheet != nil {
		if err := x.sheet.Flush(); err != nil {
			return err
		}
	}
	var err error
	if x.sheets == 0 {
		err = x.file.SetSheetName("Sheet1", name)
	} else {
		_, err = x.file.NewSheet(name)
	}
	if err != nil {
		return err
	}
	if x.sheet, err = x.file.NewStreamWriter(name); err != nil {
		return err
	}
	x.sheets++
	x.row = 1
	head := make([]any, len(x.columns))
	for i, c := range x.columns {
		style, width := x.styles.text, 16.0
		switch {
		case c.Kind == DateExport:
			style, width = x.styles.date, 12
		case c.Kind == TimeExport:
			style, width = x.styles.time, 10
		case c.Kind == NumberExport:
			style = x.styles.number
		case strings.HasSuffix(c.Name, "UID"):
			width = 56
		case c.Name == RemarksColumn:
			width = 80
		}
		if err := errors.Join(x.sheet.SetColStyle(i+1, i+1, style), x.sheet.SetColWidth(i+1, i+1, width)); err != nil {
			return err
		}
		head[i] = excelize.Cell{StyleID: x.styles.head, Value: c.Name}
	}
	if err := x.sheet.SetPanes(&excelize.Panes{
		Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft",
	}); err != nil {
		return err
	}
	return x.sheet.SetRow("A1", head)
}

// Row implements Exporter. More rows than a sheet takes go on in a sheet of their own.
func (x *XLSX) Row(values ...string) error {
	if x.row > x.most {
		x.part++
		if err := x.begin(x.name + " " + strconv.Itoa(x.part)); err != nil {
			return err
		}
	}
	x.cells = x.cells[:0]
	for i, v := range values {
		x.cells = append(x.cells, x.cell(v, x.columns[i].Kind))
	}
	return x.put(x.row+1, x.cells)
}

func (x *XLSX) put(row int, cells []any) error {
	x.row = row
	return x.sheet.SetRow("A"+strconv.Itoa(row), cells)
}

// cell returns a value as excelize takes it.
func (x *XLSX) cell(v string, kind ExportKind) any {
	if v == "" {
		return nil
	}
	switch kind {
	case DateExport:
		if day, ok := dayOf(v); ok && !day.Before(firstDay) {
			return excelize.Cell{StyleID: x.styles.date, Value: serialOf(day)}
		}
		return x.text(words.Day(v))
	case TimeExport:
		if t, ok := timeOf(v); ok {
			return excelize.Cell{StyleID: x.styles.time, Value: float64(t) / float64(24*time.Hour)}
		}
	case NumberExport:
		if n, err := strconv.ParseInt(v, 10, 64); err == nil && n > -1e15 && n < 1e15 {
			return excelize.Cell{StyleID: x.styles.number, Value: n}
		}
	}
	return x.text(text.Visible(v))
}

// text is a cell that stays text, even if somebody edits it. An apostrophe is doubled, as reading takes one away.
func (x *XLSX) text(v string) any {
	if strings.HasPrefix(v, "'") {
		v = "'" + v
	}
	return excelize.Cell{StyleID: x.styles.text, Value: fit(v)}
}

// fit cuts what a cell does not hold.
func fit(v string) string {
	if len(v) <= maxInCell {
		return v
	}
	units := utf16.Encode([]rune(v))
	if len(units) <= maxInCell {
		return v
	}
	return strings.TrimRight(string(utf16.Decode(units[:maxInCell-1])), "\ufffd") + "…"
}

// Finish implements Exporter.
func (x *XLSX) Finish() error {
	if x.sheet != nil {
		if err := x.sheet.Flush(); err != nil {
			return err
		}
	}
	// Else excelize makes the whole file in memory first.
	x.file.SetZipWriter(func(io.Writer) excelize.ZipWriter { return zip.NewWriter(x.out) })
	return x.file.Write(io.Discard)
}

// Close implements Exporter.
func (x *XLSX) Close() error { return x.file.Close() }

// firstDay is the first one that all spreadsheets number alike.
var firstDay = time.Date(1900, 3, 1, 0, 0, 0, 0, time.UTC)

func serialOf(day time.Time) float64 {
	const perDay = 24 * 60 * 60 // a Duration ends after 292 years
	return float64((day.Unix() - time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).Unix()) / perDay)
}

// dayOf reads a date in DICOM form.
func dayOf(v string) (time.Time, bool) {
	day, err := time.Parse("20060102", v)
	return day, err == nil
}

// timeOf reads a time of day in DICOM form.
func timeOf(v string) (time.Duration, bool) {
	v = strings.ReplaceAll(v, ":", "")
	whole, _, _ := strings.Cut(v, ".")
	if n := len(whole); n < 2 || n > 6 || n%2 != 0 {
		return 0, false
	}
	t, err := time.Parse("150405.999999", whole+"000000"[len(whole):]+v[len(whole):])
	return t.Sub(t.Truncate(24 * time.Hour)), err == nil
}

// CSV writes a CSV file, in UTF-8 with a byte order mark, by which Excel knows it. What a spreadsheet would run gets an
// apostrophe, which reading takes away again.
type CSV struct {
	out     *csv.Writer
	columns []ExportColumn
	cells   []string
}

// NewCSV writes the header to out. The delimiter is a comma or a semicolon: what Excel expects depends on its language.
func NewCSV(out io.Writer, delimiter rune, columns []ExportColumn) (*CSV, error) {
	if _, err := io.WriteString(out, "\ufeff"); err != nil {
		return nil, err
	}
	c := &CSV{out: csv.NewWriter(out), columns: columns}
	c.out.Comma, c.out.UseCRLF = delimiter, true
	head := make([]string, len(columns))
	for i := range columns {
		head[i] = text.Cell(columns[i].Name)
	}
	return c, c.out.Write(head)
}

// Row implements Exporter.
func (c *CSV) Row(values ...string) error {
	c.cells = c.cells[:0]
	for i, v := range values {
		c.cells = append(c.cells, csvCell(v, c.columns[i].Kind))
	}
	return c.out.Write(c.cells)
}

func csvCell(v string, kind ExportKind) string {
	switch kind {
	case DateExport:
		if day, ok := dayOf(v); ok {
			return day.Format(time.DateOnly)
		}
	case TimeExport:
		if t, ok := timeOf(v); ok {
			return time.Time{}.Add(t).Format("15:04:05")
		}
	case NumberExport:
		if _, err := strconv.ParseInt(v, 10, 64); err == nil {
			return v
		}
	}
	return text.Cell(fit(v))
}

// Finish implements Exporter.
func (c *CSV) Finish() error {
	c.out.Flush()
	return c.out.Error()
}

// Close implements Exporter.
func (*CSV) Close() error { return nil }
