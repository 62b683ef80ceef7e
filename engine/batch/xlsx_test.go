// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"
)

// TestCells: what a cell of a workbook means, by its type, its value, its number format and its column.
func TestCells(t *testing.T) {
	formats := []string{
		"General", "#,##0", "0", "0000000000", `yyyy\-mm\-dd`, "0%", "0.00E+00", `"P"0000`, "h:mm:ss", "0.00", "[h]:mm",
		`_-* #,##0\ _€_-;\-* #,##0\ _€_-;_-* "-"??\ _€_-;_-@_-`, `[$-407]d\. mmmm yyyy;@`, `[Red]0;[Blue]-0`, "@", "00000000000000000000",
		`dd/mm/yyyy\ hh:mm`,
	}
	const builtIn14 = "18"
	num := func(style, v string) string { return `<c r="A2" s="` + style + `"><v>` + v + `</v></c>` }
	is := func(v string) string {
		return `<c r="A2" t="inlineStr"><is><t xml:space="preserve">` + v + `</t></is></c>`
	}
	shared := []string{
		`<si><t>1001</t></si>`, `<si><r><t>10</t></r><r><rPr><b/></rPr><t>02</t></r><rPh sb="0" eb="1"><t>no</t></rPh></si>`,
		`<si><t>'0062115936</t></si>`, `<si/>`,
	}
	for _, c := range []struct {
		name, column, cell string
		text               string // if there is no fault
		kind               Kind
		sentence           string
	}{
		// Text.
		{"shared string", "PatientID", `<c r="A2" t="s"><v>0</v></c>`, "1001", "", ""},
		{"rich text without its phonetic part", "PatientID", `<c r="A2" t="s"><v>1</v></c>`, "1002", "", ""},
		{"apostrophe and quotePrefix", "PatientID", `<c r="A2" s="18" t="s"><v>2</v></c>`, "0062115936", "", ""},
		{"empty shared string", "PatientID", `<c r="A2" t="s"><v>3</v></c>`, "", "", ""},
		{"inline string, trimmed", "PatientID", is("\u00a0\u200b 0012 \ufeff"), "0012", "", ""},
		{"two apostrophes", "PatientID", is("''12"), "'12", "", ""},
		{"escaped", "StudyDescription", is("a_x005F_b _x00e4_"), "a_b ä", "", ""},
		{"line break", "PatientID", is("12_x000D_\n34"), "", KindCharacter, "a line break at position 3"},
		{"invisible", "PatientID", is("12\u200b34"), "", KindCharacter, "an invisible character (U+200B) at position 3"},
		{"special blank", "AccessionNumber", is("12\u00a034"), "", KindCharacter, "a special blank (U+00A0) at position 3"},
		{"special blank in a name", "PatientName", is("Apple,\u00a0Annie"), "Apple^Annie", "", ""},
		{"written as projects write it", "PatientID", is("12&lt;U+202E&gt;"), "12\u202e", "", ""},
		{"too long", "PatientID", is(strings.Repeat("1", 65)), "", KindLength, "65 characters"},
		{"wildcard", "PatientID", is("12*"), "", KindCharacter, `'*' at position 3`},
		{"backslash", "StudyDescription", is(`a\b`), "", KindCharacter, "backslash at position 2"},
		{"wildcard in a description", "StudyDescription", is("*head?"), "*head?", "", ""},
		// Numbers.
		{"General", "PatientID", num("1", "1001"), "1001", "", ""},
		{"thousands", "PatientID", num("2", "1001"), "1001", "", ""},
		{"accounting", "PatientID", num("12", "1001"), "1001", "", ""},
		{"colour and sections", "PatientID", num("14", "1001"), "1001", "", ""},
		{"text format", "PatientID", num("15", "1001"), "1001", "", ""},
		{"15 digits", "PatientID", num("1", "123456789012345"), "123456789012345", "", ""},
		{"15 digits with an exponent", "PatientID", num("1", "1.23456789012345E14"), "123456789012345", "", ""},
		{"16 digits", "PatientID", num("1", "1234567890123456"), "", KindSpreadsheet, "keeps 15 digits"},
		{"whole float", "PatientID", num("10", "12.0"), "12", "", ""},
		{"fraction", "PatientID", num("1", "1.5"), "", KindSpreadsheet, "1.5 is not a whole number"},
		{"fraction in a description", "StudyDescription", num("1", "0.10000000000000001"), "0.1", "", ""},
		{"zeros", "PatientID", num("4", "62115936"), "0062115936", "", ""},
		{"more zeros than a number has digits", "PatientID", num("16", "12"), "00000000000000000012", "", ""},
		{"percent", "PatientID", num("6", "0.12"), "", KindValue, "12% is a percentage"},
		{"exponent", "PatientID", num("7", "1200000"), "", KindSpreadsheet, "Excel has rewritten this number"},
		{"text around it", "PatientID", num("8", "12"), "", KindSpreadsheet, `shows it as "P"0000`},
		{"number in a list", "SeriesNumber", num("1", "4"), "4", "", ""},
		{"list that became a fraction", "SeriesNumber", num("1", "1.2"), "", KindSpreadsheet, "If it was a list"},
		{"exponent as text", "PatientID", is("6.2E+07"), "", KindSpreadsheet, "Excel has rewritten this number"},
		// Dates.
		{"date", "PatientBirthDate", num("5", "16554"), "19450427", "", ""},
		{"date in format 14", "PatientBirthDate", num(builtIn14, "16554"), "19450427", "", ""},
		{"date in words", "PatientBirthDate", num("13", "16554"), "19450427", "", ""},
		{"date with midnight", "From", num("17", "43620"), "20190604", "", ""},
		{"date with a time", "From", num("17", "43620.5"), "", KindDate, "has a time of day, 12:00:00"},
		{"time", "From", num("9", "1.7694"), "", KindDate, "a time of day, not a date"},
		{"duration in an ID", "PatientID", num("11", "1.5"), "", KindSpreadsheet, "a date or time of it: 12:00:00"},
		{"date in an ID", "PatientID", num("5", "43497"), "", KindSpreadsheet, "a date or time of it: 2019-02-01"},
		{"t=d", "PatientBirthDate", `<c r="A2" t="d"><v>1945-04-27T00:00:00</v></c>`, "19450427", "", ""},
		{"t=d in an ID", "PatientID", `<c r="A2" t="d"><v>1945-04-27</v></c>`, "", KindSpreadsheet, "1945-04-27"},
		{"29 February 1900", "PatientBirthDate", num("5", "60"), "", KindDate, "29 February 1900"},
		{"the day before it", "PatientBirthDate", num("5", "59"), "19000228", "", ""},
		{"the day after it", "PatientBirthDate", num("5", "61"), "19000301", "", ""},
		{"first day", "PatientBirthDate", num("5", "1"), "19000101", "", ""},
		{"day 0", "PatientBirthDate", num("5", "0"), "", KindDate, "the number 0 is no date"},
		{"negative", "PatientBirthDate", num("5", "-3"), "", KindDate, "the number -3 is no date"},
		{"after 9999", "PatientBirthDate", num("5", "2958466"), "", KindDate, "is no date"},
		{"number", "PatientBirthDate", num("1", "16554"), "", KindDate, "As a date it would be 1945-04-27"},
		{"YYYYMMDD", "PatientBirthDate", num("1", "20190604"), "20190604", "", ""},
		{"no YYYYMMDD", "PatientBirthDate", num("1", "20191304"), "", KindDate, "no such day"},
		{"ISO", "PatientBirthDate", is("2019-06-04"), "20190604", "", ""},
		{"digits", "PatientBirthDate", is("20190604"), "20190604", "", ""},
		{"ISO with midnight", "PatientBirthDate", is("2019-06-04 00:00:00"), "20190604", "", ""},
		{"another order", "PatientBirthDate", is("04.06.2019"), "", KindDateLayout, "Choose the order of dates"},
		{"impossible", "PatientBirthDate", is("2019-02-29"), "", KindDate, "no such day"},
		{"zeros for a date", "PatientBirthDate", is("00.00.0000"), "", KindDate, "all zeros"},
		{"words", "PatientBirthDate", is("unknown"), "", KindDate, "This is no date"},
		// What is no text.
		{"formula", "PatientID", `<c r="A2"><f>1000+1</f><v>1001</v></c>`, "1001", "", ""},
		{"formula of text", "PatientID", `<c r="A2" t="str"><f>"0"&amp;1</f><v>01</v></c>`, "01", "", ""},
		{"formula of no text", "PatientID", `<c r="A2" t="str"><f>""</f><v></v></c>`, "", "", ""},
		{"formula without value", "PatientID", `<c r="A2"><f>1000+1</f></c>`, "", KindFormula, "Open the file in Excel, and save it"},
		{"formula as openpyxl writes it", "PatientID", `<c r="A2"><f>1000+1</f><v/></c>`, "", KindFormula, "save it"},
		{"boolean", "PatientID", `<c r="A2" t="b"><v>1</v></c>`, "", KindValue, "the truth value TRUE"},
		{"error", "PatientID", `<c r="A2" t="e"><v>#N/A</v></c>`, "", KindValue, "the error #N/A"},
		{"error as text", "PatientID", is("#NV"), "", KindValue, "the error #NV"},
		{"error in a date", "PatientBirthDate", `<c r="A2" t="e"><v>#REF!</v></c>`, "", KindValue, "the error #REF!"},
		// Names and lists.
		{"name", "PatientName", is("Apple, Annie"), "Apple^Annie", "", ""},
		{"name of five", "PatientName", is("Apple, Annie, , Dr"), "Apple^Annie^^Dr", "", ""},
		{"name in DICOM form", "PatientName", is("Apple^Annie^"), "Apple^Annie", "", ""},
		{"comma within a component", "PatientName", is("Apple, Jr^Annie"), "Apple, Jr^Annie", "", ""},
		{"six parts", "PatientName", is("a,b,c,d,e,f"), "", KindName, "at most five parts"},
		{"no letter", "PatientName", is(","), "", KindName, "no letter"},
		{"modalities", "Modality", is("ct, MR,,CT"), "CT,MR", "", ""},
		{"no modality", "Modality", is("CT;MR"), "", KindModality, `"CT;MR" is no modality`},
		{"series numbers", "SeriesNumber", is("4, 05,4,5"), "4,5", "", ""},
		{"no series number", "SeriesNumber", is("4-5"), "", KindNumber, `"4-5" is no series number`},
		{"pseudonym", "Pseudonym", is("A^B"), "", KindPseudonym, "special meaning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := book{rows: line(1, c.column) + `<row r="2">` + c.cell + `</row>`, formats: formats, strings: shared}
			table := open(t, file.bytes(t), Options{Columns: QueryColumns()})
			cell := Cell{}
			for _, r := range rows(t, table) {
				for i, column := range QueryColumns() {
					if column.Name == c.column {
						cell = r.Cells[i]
					}
				}
			}
			require.Equal(t, c.kind, cell.Kind, cell.Sentence)
			if c.kind == "" {
				require.Equal(t, c.text, cell.Text)
			}
			require.Contains(t, cell.Sentence, c.sentence)
			require.Equal(t, c.sentence == "", cell.Sentence == "")
		})
	}
}

// TestDate1904: one serial means two days, 1,462 apart.
func TestDate1904(t *testing.T) {
	for serial, want := range map[string]string{"15092": "19450427", "0": "19040101", "-1": ""} {
		file := book{
			rows:     line(1, "PatientBirthDate") + `<row r="2"><c r="A2" s="1"><v>` + serial + `</v></c></row>`,
			formats:  []string{"yyyy-mm-dd"},
			date1904: true,
		}
		table := open(t, file.bytes(t), Options{Columns: QueryColumns()})
		require.Equal(t, want, strings.TrimPrefix(rows(t, table)[0].Cells[queryBirthDate].Text, serial))
	}
}

// TestLayouts: the order of days and months is the one that was chosen.
func TestLayouts(t *testing.T) {
	for _, c := range []struct {
		layout Layout
		text   string
		want   string
		kind   Kind
	}{
		{DayFirst, "03.04.2020", "20200403", ""},
		{DayFirst, "3.4.2020", "20200403", ""},
		{DayFirst, "2020-04-03", "20200403", ""},
		{DayFirst, "03/04/2020", "", KindDateLayout},
		{DayFirst, "03.04.20", "", KindDate},
		{DayFirst, "31.02.2020", "", KindDate},
		{DayFirst, "00.00.0000", "", KindDate},
		{MonthFirst, "03/04/2020", "20200304", ""},
		{MonthFirst, "13/04/2020", "", KindDate},
		{MonthFirst, "03.04.2020", "", KindDateLayout},
		{ISOOnly, "03/04/2020", "", KindDateLayout},
	} {
		file := book{rows: line(1, "From") + line(2, c.text)}
		cell := rows(t, open(t, file.bytes(t), Options{Columns: QueryColumns(), Dates: c.layout}))[0].Cells[queryFrom]
		require.Equal(t, c.kind, cell.Kind, c.text)
		if c.kind == "" {
			require.Equal(t, c.want, cell.Text)
		}
	}
}

// TestMerged: a merged area has one value, in its first cell.
func TestMerged(t *testing.T) {
	file := book{
		rows: line(1, "PatientID", "Modality", "Site") + line(2, "1001", "CT", "a") + line(3, "", "CT") + line(4, "", "MR") +
			line(5, "1002", "CT"),
		after: `<mergeCells count="2"><mergeCell ref="A2:A4"/><mergeCell ref="C2:C9"/></mergeCells>`,
	}
	for _, prefix := range []string{"", "x:"} {
		file.prefix = prefix
		q := queriesOf(t, file.bytes(t), Options{})
		require.Equal(t, 2, q.Preview.FaultyRows)
		require.Equal(t, []KindCount{{KindMerged, 2}}, q.Preview.Kinds)
		require.Equal(t, "A3", q.Faults[0].Cell)
		require.Contains(t, q.Faults[0].Sentence, "the merged area A2:A4")
		require.Len(t, q.Rows, 2)
	}
}

// TestSheets: the first sheet that can be seen is read, with its hidden rows, and the preview says so.
func TestSheets(t *testing.T) {
	file := book{
		rows: line(1, "Codes"),
		sheets: `<sheet name="Old" sheetId="1" state="hidden" r:id="rId1"/><sheet name="Sheet2" sheetId="2" r:id="rId2"/>` +
			`<sheet name="Later" sheetId="1" r:id="rId1"/>`,
		more: map[string]string{"xl/worksheets/sheet2.xml": book{rows: line(1, "AccessionNumber") + line(2, "1") +
			strings.Replace(line(3, "2"), "<row ", `<row hidden="1" `, 1) + `<row r="4" s="1" hidden="1"/>`}.sheet()},
	}
	q := queriesOf(t, file.bytes(t), Options{})
	require.Equal(t, "Sheet2", q.Preview.Sheet)
	require.Len(t, q.Rows, 2)
	require.Len(t, q.Hints, 2)
	require.Equal(t, `The sheet "Old" is hidden, so "Sheet2" was read.`, q.Hints[0].Sentence)
	require.Equal(t, "1 row is hidden, and read all the same. Delete what should not be used.",
		strings.ReplaceAll(q.Hints[1].Sentence, " (3)", ""))

	file.sheets = `<sheet name="Old" sheetId="1" state="veryHidden" r:id="rId1"/>`
	require.Contains(t, refused(t, file.bytes(t), Options{}), "no sheet that can be seen")
}

// TestRowNumbers are those of the spreadsheet; rows that only have a style don't count.
func TestRowNumbers(t *testing.T) {
	file := book{rows: line(1, "AccessionNumber", "Modality") + line(7, "1") + `<row r="8" s="1"><c r="A8" s="1"/></row>` +
		`<row><c t="inlineStr"><is><t>2</t></is></c></row>` + line(1000000, "", "CT") +
		`<row r="1048576" s="1"><c r="XFD1048576" s="1"/></row>`, formats: []string{"@"}}
	q := queriesOf(t, file.bytes(t), Options{Rows: 3})
	require.Equal(t, []int{7, 9}, []int{q.Rows[0].Row, q.Rows[1].Row})
	require.Equal(t, "2", q.Rows[1].AccessionNumber)
	require.Equal(t, Fault{
		Row: 1000000, Column: "PatientID", Kind: KindMissing,
		Sentence: "The row does not say which patient or study is meant. " + identify,
	}, q.Faults[0])
	require.Equal(t, 3, q.Preview.Rows)
	require.Contains(t, refused(t, file.bytes(t), Options{Rows: 2}), "more than 2 rows")
}

// TestHeader: names are exact; what nearly is one is asked about.
func TestHeader(t *testing.T) {
	read := func(names ...string) *Queries {
		return queriesOf(t, book{rows: line(1, names...) + line(2, "1001", "CT", "x")}.bytes(t), Options{})
	}
	q := read(" PatientID\u00a0", "Modality", "Site")
	require.Empty(t, q.Faults)
	require.Equal(t, []string{"Site"}, q.Preview.Extra)
	require.Equal(t, []string{"x"}, q.Rows[0].Extra)
	require.Equal(t, []string{"PatientID", "Modality"}, q.Preview.Columns)

	for name, meant := range map[string]string{
		"Patient ID": "PatientID", "patientid": "PatientID", "PatientlD": "PatientID", "Patient\u200bID": "PatientID",
	} {
		q := read(name, "Modality")
		require.Equal(t, []Fault{{
			Row: 1, Column: name, Cell: "A1", Text: name, Kind: KindColumn,
			Sentence: `There is no column "` + name + `". Did you mean ` + meant + "?",
		}}, q.Faults)
		require.Len(t, q.Rows, 1, "its rows are checked all the same")
		require.Zero(t, q.Preview.FaultyRows)
	}
	require.Contains(t, read("PatientID", "Modality", "BirthDate").Faults[0].Sentence, "Did you mean PatientBirthDate?")
	require.Empty(t, read("PatientID", "Modality", "PatientAge").Faults, "another attribute")
	require.Contains(t, read("PatientID", "PatientID", "Modality").Faults[0].Sentence, "PatientID occurs twice")
	require.Contains(t, read("PatientID", "Modality", "").Hints[0].Sentence, "Column C has values, but no name")
	require.Contains(t, read("PatientID").Faults[0].Sentence, "The file has no column Modality")
	require.Contains(t, read("Modality", "From").Faults[0].Sentence, "No column says which patient")

	foreign, low := book{rows: line(1, "Name of site", "Room")}, book{rows: line(3, "PatientID")}
	require.Contains(t, refused(t, foreign.bytes(t), Options{}), "names none of the columns")
	require.Contains(t, refused(t, low.bytes(t), Options{}), "the first values stand in row 3")
	require.Contains(t, refused(t, book{}.bytes(t), Options{}), "no values")
}

// TestNoWorkbook: what is no .xlsx file is named.
func TestNoWorkbook(t *testing.T) {
	ole := func(stream string) []byte {
		file := append(bytes.Clone(oleSignature), make([]byte, 1<<16)...)
		for _, u := range utf16.Encode([]rune(stream)) {
			file = append(file, byte(u), byte(u>>8))
		}
		return append(file, make([]byte, 1<<17)...)
	}
	whole := book{rows: line(1, "PatientID")}.bytes(t)
	for want, file := range map[string][]byte{
		"the file is empty":                     {},
		"old format of Excel (.xls)":            ole("Workbook"),
		"protected by a password":               ole("EncryptedPackage"),
		"one of an old Office program":          ole("WordDocument"),
		"not a whole .xlsx file":                whole[:len(whole)/2],
		"an OpenDocument (.ods)":                zipped(t, map[string]string{"content.xml": "<x/>", "mimetype": "x"}),
		"a zip archive, but no .xlsx file":      zipped(t, map[string]string{"a.txt": "x"}),
		"a binary workbook (.xlsb)":             zipped(t, map[string]string{"xl/workbook.bin": "x", "_rels/.rels": `<Relationships><Relationship Type="x/officeDocument" Target="xl/workbook.bin"/></Relationships>`}),
		"HTML or XML, whatever its name says":   []byte("\n <html><table>"),
		"the file is damaged":                   book{rows: `<row r="2"><c`}.bytes(t),
		"names none of the columns PatientID, ": []byte("some text"),
	} {
		require.Contains(t, refused(t, file, Options{}), want)
	}
	f := excelize.NewFile()
	var encrypted bytes.Buffer
	require.NoError(t, f.Write(&encrypted, excelize.Options{Password: "secret"}))
	require.NoError(t, f.Close())
	require.Contains(t, refused(t, encrypted.Bytes(), Options{}), "protected by a password")
}

// TestExcelize: what another library writes is read: shared strings, dates, times, formulas without a value.
func TestExcelize(t *testing.T) {
	f := excelize.NewFile()
	defer f.Close()
	for cell, v := range map[string]any{
		"A1": "PatientID", "B1": "Modality", "C1": "From", "A2": 1001, "B2": "CT", "C2": "2019-06-04", "A3": "0012", "B3": "MR",
	} {
		require.NoError(t, f.SetCellValue("Sheet1", cell, v))
	}
	require.NoError(t, f.SetCellFormula("Sheet1", "A4", "A2+1"))
	var out bytes.Buffer
	require.NoError(t, f.Write(&out))
	q := queriesOf(t, out.Bytes(), Options{})
	require.Equal(t, "1001", q.Rows[0].PatientID)
	require.Equal(t, "20190604", q.Rows[0].From)
	require.Equal(t, "0012", q.Rows[1].PatientID)
	require.Equal(t, KindFormula, q.Faults[0].Kind)
}
