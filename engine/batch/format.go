// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import "io"

// Format is how a table is written.
type Format string

// The formats. Those of CSV are UTF-8 with a byte order mark.
const (
	FormatXLSX         Format = "xlsx"
	FormatCSV          Format = "csv"
	FormatCSVSemicolon Format = "csv-semicolon"
)

// NewTable begins a table in a format; a workbook has it on a sheet of this name.
func NewTable(w io.Writer, f Format, sheet string, columns []ExportColumn) (Exporter, error) {
	switch f {
	case FormatCSV:
		return NewCSV(w, ',', columns)
	case FormatCSVSemicolon:
		return NewCSV(w, ';', columns)
	}
	book, err := NewXLSX(w)
	if err != nil {
		return nil, err
	}
	return book, book.Sheet(sheet, columns)
}
