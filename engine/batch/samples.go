// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import "io"

// sampleRows are those of the sample files; all patients are made up.
var (
	querySample = [][]string{
		{"PHANTOM-0001", "", "", "", "20180101", "20191231", "CT", "", "", "", "SUBJ-0001"},
		{"0062115936", "", "", "", "", "", "CT, MR", "*head*", "", "", "SUBJ-0002"},
		{"", "Banana, Ben", "19620218", "", "20190604", "", "MR", "", "t2*", "", "SUBJ-0003"},
		{"", "", "", "0062115904", "", "", "", "", "", "4, 5", "SUBJ-0004"},
	}
	transferSample = [][]string{
		{"PHANTOM-0001", "1.2.840.113845.11.1000000001951524609.20200705182951.2689481", "", "SUBJ-0001"},
		{
			"0062115936", "1.2.840.113845.11.1000000001951524609.20200705182951.2689491",
			"1.2.840.113845.11.1000000001951524609.20200705182951.2689492", "SUBJ-0002",
		},
		{
			"0062115936", "1.2.840.113845.11.1000000001951524609.20200705182951.2689491",
			"1.2.840.113845.11.1000000001951524609.20200705182951.2689493", "SUBJ-0002",
		},
	}
)

// A Sample writes rows that are a valid file.
type Sample struct {
	Columns []Column
	rows    [][]string
}

// QuerySample is a sample of a batch query.
func QuerySample() Sample { return Sample{QueryColumns(), querySample} }

// TransferSample is a sample of a batch transfer.
func TransferSample() Sample { return Sample{TransferColumns(), transferSample} }

func (s Sample) columns() []ExportColumn {
	out := make([]ExportColumn, len(s.Columns))
	for i, c := range s.Columns {
		out[i].Name = c.Name
		if c.Kind == DateColumn {
			out[i].Kind = DateExport
		}
	}
	return out
}

// XLSX writes the sample as .xlsx. Its columns are formatted, so that what somebody types stays what it is.
func (s Sample) XLSX(out io.Writer) error {
	x, err := NewXLSX(out)
	if err != nil {
		return err
	}
	defer func() { _ = x.Close() }() // temporary files
	if err := x.Sheet("Rows", s.columns()); err != nil {
		return err
	}
	return s.write(x)
}

// CSV writes the sample as CSV.
func (s Sample) CSV(out io.Writer, delimiter rune) error {
	c, err := NewCSV(out, delimiter, s.columns())
	if err != nil {
		return err
	}
	return s.write(c)
}

func (s Sample) write(to Exporter) error {
	for _, row := range s.rows {
		if err := to.Row(row...); err != nil {
			return err
		}
	}
	return to.Finish()
}
