// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
)

// check reads whatever somebody uploads: it is refused in words, or each row is fine or has a fault.
func check(t *testing.T, file []byte, o Options) {
	t.Helper()
	in := func() (*bytes.Reader, int64) { return bytes.NewReader(file), int64(len(file)) }
	r, size := in()
	q, err := ReadQueries(t.Context(), r, size, o)
	var invalid *refusal.Invalid
	if err != nil {
		require.ErrorAs(t, err, &invalid)
		require.NotEmpty(t, invalid.Reason)
		return
	}
	p := q.Preview
	require.Equal(t, p.Rows, len(q.Rows)+p.FaultyRows)
	require.Equal(t, len(q.Faults) == 0, p.Faults == 0)
	for _, row := range q.Rows {
		named := row.PatientName != "" && row.BirthDate != ""
		require.True(t, row.PatientID != "" || row.AccessionNumber != "" || named || p.Faults > 0)
		require.True(t, fault.ValidText(row.PatientID))
		require.False(t, row.AccessionNumber == "" && len(row.Modalities) == 0 && p.Faults == 0)
	}
	for _, f := range append(q.Faults, q.Hints...) {
		require.NotEmpty(t, f.Sentence)
		require.NotEmpty(t, f.Kind.Title(), f.Kind)
	}
	r, size = in()
	tr, err := ReadTransfers(t.Context(), r, size, o, OnlyPseudonyms)
	if err == nil {
		for _, task := range tr.Tasks {
			require.True(t, fault.ValidUID(task.StudyInstanceUID))
			require.NotEmpty(t, task.Pseudonym)
		}
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"PatientID,Modality\n1,CT\n", "sep=;\nPatientID;From\n\"a\nb\";04.06.2019\n", "\ufeffAccessionNumber\r=\"1\"\r'2\r",
		"\xff\xfeP\x00", "PatientID|StudyInstanceUID|Pseudonym\n1|1.2|a\n1|1.2|b\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		if len(file) > 1 && string(file[:2]) == "PK" {
			return
		}
		check(t, file, Options{Dates: DayFirst})
	})
}

func FuzzXLSX(f *testing.F) {
	f.Add(`<row r="2"><c r="A2" s="1"><v>16554</v></c><c t="s"><v>0</v></c></row>`, "<si><t>CT</t></si>", "yyyy-mm-dd", "")
	f.Add(line(3, "1001", "CT")+`<row><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c></row>`, "", "0000000000",
		`<mergeCell ref="A3:A4"/>`)
	f.Add(`<row><c><f>1</f></c><c t="inlineStr"><is><r><t>a_x000D_</t></r><rPh><t>b</t></rPh></is></c></row>`, "", "[h]:mm", "")
	f.Fuzz(func(t *testing.T, rows, shared, format, after string) {
		file := book{
			rows:    line(1, "PatientID", "Modality", "From", "Patient Name") + rows,
			strings: []string{shared}, formats: []string{format}, after: after,
		}
		check(t, file.bytes(t), Options{})
	})
}

// FuzzExport: what is written to CSV is read as it was, and no cell begins as a formula does.
func FuzzExport(f *testing.F) {
	f.Add("=1+1", "'-x", ";|=")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		var out bytes.Buffer
		columns := []ExportColumn{{Name: "PatientID"}, {Name: "b"}, {Name: "c"}}
		w, err := NewCSV(&out, ';', columns)
		require.NoError(t, err)
		require.NoError(t, w.Row("x", b, c))
		require.NoError(t, w.Row(a, "y", "z"))
		require.NoError(t, w.Finish())
		table := open(t, out.Bytes(), Options{Columns: QueryColumns()})
		got := rows(t, table)
		require.Len(t, got, 2)
		extra := append(got[0].Extra, "", "")[:2]
		require.Equal(t, []string{trim(text.Visible(b)), trim(text.Visible(c))}, extra)
		require.NotContains(t, out.String(), "\n=")
	})
}
