// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// resultColumns are those of the results of a batch query.
var resultColumns = []ExportColumn{
	{"Pseudonym", TextExport},
	{"PatientID", TextExport},
	{"PatientName", TextExport},
	{"BirthDate", DateExport},
	{"ModalitiesInStudy", TextExport},
	{"StudyDate", DateExport},
	{"StudyTime", TimeExport},
	{"StudyDescription", TextExport},
	{"NumberOfStudyRelatedInstances", NumberExport},
	{"AccessionNumber", TextExport},
	{"StudyInstanceUID", TextExport},
	{"SeriesInstanceUID", TextExport},
	{"SeriesNumber", NumberExport},
}

// results hold what spreadsheets like to change.
var results = [][]string{
	{"SUBJ-1", "0062115936", "Apple, Annie", "19450427", "CT, SR", "20190604", "182803.25", "=1+1", "37", "00123", "1.2.840.1", "1.2.840.1.1", "4"},
	{"SUBJ-2", "'12", "Müller, Zoë", "18991231", "MR", "", "18", "+49 a;=b|@c", "1234", "1E5", "1.20", "", ""},
	{"SUBJ-3", "-7", "山田, 太郎", "0427", "", "19000301", "never", "\t＝cmd|' /C calc'!A0", "-", "0.10", "1.2.3", "1.2.3.1", "-1"},
	{"SUBJ-4", "a\u202eb", "<U+202E>, x", "20190230", "CT", "99991231", "235959", "a\nb", "", "_x000D_", "1.2.4", "", ""},
}

func export(t testing.TB, to func(*bytes.Buffer) (Exporter, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	x, err := to(&out)
	require.NoError(t, err)
	for _, r := range results {
		require.NoError(t, x.Row(r...))
	}
	require.NoError(t, x.Finish())
	require.NoError(t, x.Close())
	return out.Bytes()
}

func exportXLSX(t testing.TB) []byte {
	return export(t, func(out *bytes.Buffer) (Exporter, error) {
		x, err := NewXLSX(out)
		require.NoError(t, err)
		return x, x.Sheet("Results", resultColumns)
	})
}

func exportCSV(t testing.TB, delimiter rune) []byte {
	return export(t, func(out *bytes.Buffer) (Exporter, error) { return NewCSV(out, delimiter, resultColumns) })
}

// TestExportXLSX: text is text, dates and times are real ones, numbers are numbers.
func TestExportXLSX(t *testing.T) {
	f, err := excelize.OpenReader(bytes.NewReader(exportXLSX(t)))
	require.NoError(t, err)
	defer f.Close()
	for cell, want := range map[string]struct {
		value, raw, format string
		kind               excelize.CellType
	}{
		"B2": {"0062115936", "0062115936", "@", excelize.CellTypeInlineString},
		"D2": {"1945-04-27", "16554", "yyyy-mm-dd", excelize.CellTypeUnset},
		"G2": {"18:28:03", "0.769482060185185", "hh:mm:ss", excelize.CellTypeUnset},
		"H2": {"=1+1", "=1+1", "@", excelize.CellTypeInlineString},
		"I2": {"37", "37", "0", excelize.CellTypeUnset},
		"D3": {"1899-12-31", "1899-12-31", "@", excelize.CellTypeInlineString},
		"G3": {"18:00:00", "0.75", "hh:mm:ss", excelize.CellTypeUnset},
		"D4": {"0427", "0427", "@", excelize.CellTypeInlineString},
		"F4": {"1900-03-01", "61", "yyyy-mm-dd", excelize.CellTypeUnset},
		"G4": {"never", "never", "@", excelize.CellTypeInlineString},
		"M4": {"-1", "-1", "0", excelize.CellTypeUnset},
		"F5": {"9999-12-31", "2958465", "yyyy-mm-dd", excelize.CellTypeUnset},
	} {
		value, err := f.GetCellValue("Results", cell)
		require.NoError(t, err)
		require.Equal(t, want.value, value, cell)
		raw, err := f.GetCellValue("Results", cell, excelize.Options{RawCellValue: true})
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(raw, strings.TrimRight(want.raw, "5")), "%s: %s", cell, raw)
		kind, err := f.GetCellType("Results", cell)
		require.NoError(t, err)
		require.Equal(t, want.kind, kind, cell)
		formula, err := f.GetCellFormula("Results", cell)
		require.NoError(t, err)
		require.Empty(t, formula)
		id, err := f.GetCellStyle("Results", cell)
		require.NoError(t, err)
		style, err := f.GetStyle(id)
		require.NoError(t, err)
		switch {
		case style.CustomNumFmt != nil:
			require.Equal(t, want.format, *style.CustomNumFmt, cell)
		default:
			require.Equal(t, want.format, map[int]string{49: "@", 1: "0"}[style.NumFmt], cell)
		}
	}
}

// TestExportCSV: dates are ISO, and nothing begins as a formula does.
func TestExportCSV(t *testing.T) {
	got := string(exportCSV(t, ';'))
	require.Equal(t, "\ufeff"+
		"Pseudonym;PatientID;PatientName;BirthDate;ModalitiesInStudy;StudyDate;StudyTime;StudyDescription;"+
		"NumberOfStudyRelatedInstances;AccessionNumber;StudyInstanceUID;SeriesInstanceUID;SeriesNumber\r\n"+
		"SUBJ-1;0062115936;Apple, Annie;1945-04-27;CT, SR;2019-06-04;18:28:03;'=1+1;37;00123;1.2.840.1;1.2.840.1.1;4\r\n"+
		"SUBJ-2;''12;Müller, Zoë;1899-12-31;MR;;18:00:00;\"'+49 a;'=b|'@c\";1234;1E5;1.20;;\r\n"+
		"SUBJ-3;'-7;山田, 太郎;0427;;1900-03-01;never;<U+0009>＝cmd|'' /C calc'!A0;'-;0.10;1.2.3;1.2.3.1;-1\r\n"+
		"SUBJ-4;a<U+202E>b;<U+003C>U+202E>, x;20190230;CT;9999-12-31;23:59:59;a<U+000A>b;;_x000D_;1.2.4;;\r\n", got)
}

// TestRoundTrip: an export is a valid batch transfer, and each value is what it was.
func TestRoundTrip(t *testing.T) {
	for name, file := range map[string][]byte{
		"xlsx": exportXLSX(t), "csv": exportCSV(t, ','), "semicolons": exportCSV(t, ';'),
	} {
		tr := transfersOf(t, file, true)
		require.Empty(t, tr.Faults, name)
		require.Empty(t, tr.Hints)
		require.Len(t, tr.Tasks, len(results))
		for i, task := range tr.Tasks {
			require.Equal(t, results[i][1], task.PatientID)
			require.Equal(t, results[i][10], task.StudyInstanceUID)
			require.Equal(t, results[i][0], task.Pseudonym)
			require.Equal(t, results[i][11], task.Rows[0].SeriesInstanceUID)
		}
		require.Equal(t, []string{
			"PatientName", "BirthDate", "ModalitiesInStudy", "StudyDate", "StudyTime", "StudyDescription",
			"NumberOfStudyRelatedInstances", "AccessionNumber", "SeriesNumber",
		}, tr.Extra)
		extra := tr.Tasks[0].Rows[0].Extra
		require.Equal(t, []string{"Apple, Annie", "1945-04-27", "CT, SR", "2019-06-04"}, extra[:4])
		require.True(t, strings.HasPrefix(extra[4], "18:28:03"), extra[4])
		require.Equal(t, []string{"=1+1", "37", "00123", "4"}, extra[5:])
	}
}

// TestSheetsOfAnExport: more rows than a sheet takes go on in another one, and a second table has a sheet of its own.
func TestSheetsOfAnExport(t *testing.T) {
	var out bytes.Buffer
	x, err := NewXLSX(&out)
	require.NoError(t, err)
	x.most = 2
	columns := []ExportColumn{{Name: "PatientID"}, {Name: RemarksColumn}}
	require.NoError(t, x.Sheet("Results", columns))
	for i := range 5 {
		require.NoError(t, x.Row(fmt.Sprint(i), strings.Repeat("😀", 20000)))
	}
	require.NoError(t, x.Sheet("Failed rows", columns))
	require.NoError(t, x.Row("6", ""))
	require.NoError(t, x.Finish())
	require.NoError(t, x.Close())
	f, err := excelize.OpenReader(bytes.NewReader(out.Bytes()))
	require.NoError(t, err)
	defer f.Close()
	require.Equal(t, []string{"Results", "Results 2", "Results 3", "Failed rows"}, f.GetSheetList())
	for sheet, want := range map[string]string{"Results": "1", "Results 2": "3", "Results 3": "", "Failed rows": ""} {
		head, err := f.GetCellValue(sheet, "A1")
		require.NoError(t, err)
		require.Equal(t, "PatientID", head)
		v, err := f.GetCellValue(sheet, "A3")
		require.NoError(t, err)
		require.Equal(t, want, v, sheet)
	}
	long, err := f.GetCellValue("Results", "B2")
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("😀", 16383)+"…", long, "Excel counts 32,767 halves of characters")
	require.Equal(t, 1_048_575, MaxSheetRows)
}

// TestNothingIsLeft: an export that was finished, or given up, leaves no file behind.
func TestNothingIsLeft(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	files := func() int {
		list, err := os.ReadDir(dir)
		require.NoError(t, err)
		return len(list)
	}
	for _, finish := range []bool{true, false} {
		x, err := NewXLSX(io.Discard)
		require.NoError(t, err)
		require.NoError(t, x.Sheet("Results", []ExportColumn{{Name: "a"}}))
		for range 700 {
			require.NoError(t, x.Row(strings.Repeat("x", maxInCell)))
		}
		require.Positive(t, files(), "so much is not kept in memory")
		if finish {
			require.NoError(t, x.Finish())
		}
		require.NoError(t, x.Close())
		require.Zero(t, files())
	}
}

// TestSamples are valid as they are.
func TestSamples(t *testing.T) {
	for _, delimiter := range []rune{0, ',', ';'} {
		var query, transfer bytes.Buffer
		if delimiter == 0 {
			require.NoError(t, QuerySample().XLSX(&query))
			require.NoError(t, TransferSample().XLSX(&transfer))
		} else {
			require.NoError(t, QuerySample().CSV(&query, delimiter))
			require.NoError(t, TransferSample().CSV(&transfer, delimiter))
		}
		q, tr := queriesOf(t, query.Bytes(), Options{}), transfersOf(t, transfer.Bytes(), true)
		require.Empty(t, append(q.Faults, tr.Faults...))
		require.Empty(t, append(q.Hints, tr.Hints...))
		require.Equal(t, []int{4, 2}, []int{q.Preview.Tasks, tr.Preview.Tasks})
		require.Equal(t, "0062115936", q.Rows[1].PatientID)
		require.Equal(t, "20180101", q.Rows[0].From)
	}
}

// TestColumns: each column is explained, and its example is a valid value.
func TestColumns(t *testing.T) {
	table := &Table{}
	for _, c := range append(QueryColumns(), TransferColumns()...) {
		require.NotEmpty(t, c.Meaning)
		v := table.value(&cell{text: c.Example}, &c)
		require.Empty(t, v.Sentence, c.Name)
		require.NotEmpty(t, v.Text)
	}
	for kind := range titles {
		require.NotEmpty(t, kind.Title())
	}
}

// TestRemarks: a file with remarks has the faults of the one it was made of until somebody corrects them, and none that
// is new.
func TestRemarks(t *testing.T) {
	formats := []string{"yyyy-mm-dd", "0%", "0.00E+00", `"P"0000`, "0000000000"}
	sheet := book{
		formats: formats, date1904: true, after: `<mergeCells><mergeCell ref="B15:B16"/></mergeCells>`,
		rows: line(1, "PatientID", "Modality", "PatientBirthDate", "Patient Name", "Site") +
			line(3, "'0012", "CT", "1945-04-27", "", "=1+1") +
			`<row r="4"><c r="A4"><v>1234567890123456</v></c><c r="B4" t="b"><v>1</v></c><c r="C4"><v>15092</v></c></row>` +
			`<row r="5"><c r="A5" s="1"><v>15092</v></c><c r="B5" t="e"><v>#REF!</v></c><c r="C5" s="1"><v>15092.5</v></c></row>` +
			`<row r="6"><c r="A6" s="2"><v>0.12</v></c><c r="B6" t="inlineStr"><is><t>CT</t></is></c><c r="C6" s="1"><v>15092</v></c></row>` +
			`<row r="7"><c r="A7" s="3"><v>1200</v></c><c r="B7"><f>A1</f></c><c r="C7" t="d"><v>1945-04-27T11:00:00</v></c></row>` +
			`<row r="8"><c r="A8" s="4"><v>12</v></c><c r="B8" t="d"><v>1945-04-27</v></c></row>` +
			`<row r="9"><c r="A9" s="5"><v>12</v></c><c r="B9"><v>1.5</v></c></row>` +
			line(10, "10\u200b01", "CT", "04.06.2019", "x,y,z,a,b,c") +
			line(11, "1_x0001_2", "C\\T", "00.00.0000", "12_x000D_") +
			line(12, "''12", "CT", "", "") +
			line(15, "1015", "CT", "2020-01-01") + line(16, "1016", "", "2020-01-01"),
	}.bytes(t)
	table := []byte("PatientID;Modality;AccessionNumber\n1;CT;\n2;CT\n3;CT;;4\n\"4\"x;CT;\n;;\n5*;MR;'=1\n")
	for name, file := range map[string][]byte{"xlsx": sheet, "csv": table} {
		t.Run(name, func(t *testing.T) {
			first := queriesOf(t, file, Options{})
			var out bytes.Buffer
			require.NoError(t, WriteRemarks(
				t.Context(), &out, bytes.NewReader(file), int64(len(file)), Options{Columns: QueryColumns()}, first.Faults,
			))
			again := queriesOf(t, out.Bytes(), Options{})
			require.Equal(t, first.Preview.Extra, again.Preview.Extra, "the remarks are no column of the file")
			require.Equal(t, first.Preview.Rows, again.Preview.Rows)
			require.Equal(t, first.Preview.FaultyRows, again.Preview.FaultyRows)
			require.Equal(t, first.Rows, again.Rows)
			if name == "xlsx" {
				faulty := func(q *Queries) (cells []string) {
					for _, f := range q.Faults {
						cells = append(cells, f.Cell)
					}
					return cells
				}
				require.Equal(t, faulty(first), faulty(again))
				require.Contains(
					t, strings.Join(told(again.Faults), "\n"), "As a date it would be 1945-04-27", "numbered from 1900 now",
				)
			}
			f, err := excelize.OpenReader(bytes.NewReader(out.Bytes()))
			require.NoError(t, err)
			defer f.Close()
			got := fmt.Sprint(f.GetRows(f.GetSheetName(0)))
			for _, fault := range first.Faults {
				require.Contains(t, got, fault.Sentence)
			}
		})
	}
}

// TestRemarksByChance: what is faulty stays so until somebody corrects it, and nothing else becomes faulty.
func TestRemarksByChance(t *testing.T) {
	pieces := []string{
		"1001", "'", "=", ";", ";", ";", "\n", "\n", "\n", "\"", "CT", "CT", "MR,",
		"2019-06-04", "20190604", "04.06.2019", "*", "#N/A",
		"\u200b", "\u00a0", "\\", "<U+202E>", "\u202e", "TRUE", "1.5", " ", "6.2E+07", "\t", "\ufffd", "_x000D_", "=\"07\"",
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var table strings.Builder
		table.WriteString("\ufeffPatientID;Modality;From\n")
		for range 40 {
			table.WriteString(pieces[random.IntN(len(pieces))])
		}
		file := []byte(table.String())
		first := queriesOf(t, file, Options{})
		var out bytes.Buffer
		require.NoError(t, WriteRemarks(
			t.Context(), &out, bytes.NewReader(file), int64(len(file)), Options{Columns: QueryColumns()}, first.Faults,
		))
		again := queriesOf(t, out.Bytes(), Options{})
		require.Equal(t, first.Preview.Rows, again.Preview.Rows, table.String())
		require.Equal(t, first.Preview.FaultyRows, again.Preview.FaultyRows, table.String())
		for i := range first.Rows { // lines in CSV, records here
			first.Rows[i].Row, again.Rows[i].Row = 0, 0
		}
		require.Equal(t, first.Rows, again.Rows, table.String())
	}
}

// TestLibreOffice: what a real spreadsheet program writes is read, and it sees in our files what we meant.
func TestLibreOffice(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, content, 0o600))
		return path
	}
	office := func(format string, files ...string) {
		cmd := exec.CommandContext(t.Context(), "soffice", append([]string{
			"-env:UserInstallation=file://" + filepath.Join(dir, "profile"), "--headless", "--convert-to", format,
			"--outdir", filepath.Join(dir, "out"),
		}, files...)...)
		cmd.Env = append(os.Environ(), "HOME="+dir, "LC_ALL=C.UTF-8")
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\nscripts/setup test installs what the tests need", output)
	}
	read := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, "out", name))
		require.NoError(t, err)
		return content
	}
	var sample bytes.Buffer
	require.NoError(t, QuerySample().XLSX(&sample))

	// Into .xlsx: a table that somebody made, and our own files, which somebody has saved again.
	office("xlsx", write("made.fods", []byte(madeInOffice)), write("sample.xlsx", sample.Bytes()),
		write("results.xlsx", exportXLSX(t)))
	q := queriesOf(t, read("made.xlsx"), Options{})
	require.Equal(t, "Rows", q.Preview.Sheet)
	require.Equal(t, []string{
		"0012 19450427 [CT MR]", "1001 19450427 [CT]", "0062115936  [CT]", "1002  [MR]", "1003  [CT]",
	}, func() (out []string) {
		for _, r := range q.Rows {
			out = append(out, fmt.Sprint(r.PatientID, " ", r.BirthDate, " ", r.Modalities))
		}
		return out
	}())
	require.Equal(t, []string{
		`6 A6 spreadsheet: The spreadsheet has made a date or time of it: 2019-02-01. ` + asText,
		`7 A7 value: The cell holds the error #N/A. Correct it in the spreadsheet.`,
		`8 A8 value: The cell holds the truth value TRUE. ` + asText,
		`9 A9 value: 12% is a percentage. ` + asText,
		`11 A11 merged: The cell belongs to the merged area A10:A11, whose value stands in its first cell alone. Unmerge the area, and write the value into each row.`,
	}, told(q.Faults))
	require.Equal(t, []KindCount{{HintHiddenRows, 1}}, q.Preview.HintKinds)
	q = queriesOf(t, read("sample.xlsx"), Options{})
	require.Empty(t, q.Faults)
	require.Equal(t, "0062115936", q.Rows[1].PatientID)
	tr := transfersOf(t, read("results.xlsx"), true)
	require.Empty(t, tr.Faults)
	require.Equal(t, "0062115936", tr.Tasks[0].PatientID)
	require.Equal(t, "'12", tr.Tasks[1].PatientID)
	require.Equal(t, "=1+1", tr.Tasks[0].Rows[0].Extra[5])
	f, err := excelize.OpenReader(bytes.NewReader(read("results.xlsx")))
	require.NoError(t, err)
	defer f.Close()
	for row := range 6 {
		for col := range resultColumns {
			formula, err := f.GetCellFormula("Results", columnLetters(col)+itoa(row+1))
			require.NoError(t, err)
			require.Empty(t, formula)
		}
	}

	// Into CSV: as it shows our files.
	office("csv:Text - txt - csv (StarCalc):44,34,76", filepath.Join(dir, "results.xlsx"))
	shown := string(read("results.csv"))
	require.Contains(t, shown, `SUBJ-1,0062115936,"Apple, Annie",1945-04-27,"CT, SR",2019-06-04,18:28:03,=1+1,37,00123,1.2.840.1,1.2.840.1.1,4`)
	require.Contains(t, shown, "1899-12-31")
}

// madeInOffice is a workbook with what people make in a spreadsheet program.
const madeInOffice = `<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:number="urn:oasis:names:tc:opendocument:xmlns:datastyle:1.0" xmlns:of="urn:oasis:names:tc:opendocument:xmlns:of:1.2" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.spreadsheet">
<office:automatic-styles>
<number:number-style style:name="N1"><number:number number:decimal-places="0" number:min-integer-digits="10"/></number:number-style>
<number:date-style style:name="N2"><number:year number:style="long"/><number:text>-</number:text><number:month number:style="long"/><number:text>-</number:text><number:day number:style="long"/></number:date-style>
<number:percentage-style style:name="N3"><number:number number:decimal-places="0" number:min-integer-digits="1"/><number:text>%</number:text></number:percentage-style>
<number:boolean-style style:name="N4"><number:boolean/></number:boolean-style>
<style:style style:name="truth" style:family="table-cell" style:data-style-name="N4"/>
<style:style style:name="zeros" style:family="table-cell" style:data-style-name="N1"/>
<style:style style:name="date" style:family="table-cell" style:data-style-name="N2"/>
<style:style style:name="percent" style:family="table-cell" style:data-style-name="N3"/>
</office:automatic-styles>
<office:body><office:spreadsheet>
<table:table table:name="Rows">
<table:table-row><table:table-cell office:value-type="string"><text:p>PatientID</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Modality</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>PatientBirthDate</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell office:value-type="string"><text:p>0012</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>CT, MR</text:p></table:table-cell><table:table-cell table:style-name="date" office:value-type="date" office:date-value="1945-04-27"/></table:table-row>
<table:table-row><table:table-cell office:value-type="float" office:value="1001"/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>1945-04-27</text:p></table:table-cell></table:table-row>
<table:table-row table:visibility="collapse"><table:table-cell table:style-name="zeros" office:value-type="float" office:value="62115936"/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=1000+2" office:value-type="float" office:value="1002"/><table:table-cell office:value-type="string"><text:p>MR</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:style-name="date" office:value-type="date" office:date-value="2019-02-01"/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:formula="of:=NA()" office:value-type="string" office:string-value=""/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:style-name="truth" office:value-type="boolean" office:boolean-value="true"/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:style-name="percent" office:value-type="percentage" office:value="0.12"/><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:table-cell table:number-rows-spanned="2" office:value-type="string"><text:p>1003</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>CT</text:p></table:table-cell></table:table-row>
<table:table-row><table:covered-table-cell/><table:table-cell office:value-type="string"><text:p>MR</text:p></table:table-cell></table:table-row>
</table:table>
</office:spreadsheet></office:body></office:document>
`
