// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"
)

func utf16Of(order binary.AppendByteOrder, s string) []byte {
	var out []byte
	for _, u := range utf16.Encode([]rune(s)) {
		out = order.AppendUint16(out, u)
	}
	return out
}

// TestCSVEncodings: the byte order mark decides, then whether it is UTF-8, and a guess is told.
func TestCSVEncodings(t *testing.T) {
	const file = "PatientID;PatientName;PatientBirthDate;Modality\n1001;Müller, Zoë;1945-04-27;CT\n"
	tabs := strings.ReplaceAll(file, ";", "\t")
	latin, err := charmap.Windows1252.NewEncoder().String(file)
	require.NoError(t, err)
	mac, err := charmap.Macintosh.NewEncoder().String(file)
	require.NoError(t, err)
	for _, c := range []struct {
		name, encoding string
		file           []byte
		o              Options
		hint           bool
	}{
		{"UTF-8", "UTF-8", []byte(file), Options{}, false},
		{"UTF-8 with a mark", "UTF-8", []byte("\ufeff" + file), Options{}, false},
		{"Excel's Unicode text", "UTF-16LE", utf16Of(binary.LittleEndian, "\ufeff"+tabs), Options{}, false},
		{"UTF-16BE", "UTF-16BE", utf16Of(binary.BigEndian, "\ufeff"+file), Options{}, false},
		{"Windows", "Windows-1252", []byte(latin), Options{}, true},
		{"Macintosh", "MacRoman", []byte(mac), Options{MacRoman: true}, false},
		{"a choice that is not needed", "UTF-8", []byte(file), Options{MacRoman: true}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := queriesOf(t, c.file, c.o)
			require.Equal(t, c.encoding, q.Preview.Encoding)
			require.Empty(t, q.Faults)
			require.Equal(t, "Müller^Zoë", q.Rows[0].PatientName)
			require.Equal(t, c.hint, len(q.Hints) == 1)
			if c.hint {
				require.Contains(t, q.Hints[0].Sentence, "read as Windows-1252")
			}
		})
	}
	q := queriesOf(t, []byte("\ufeffPatientID,Modality\n10\xff01,CT\n"), Options{})
	require.Contains(t, q.Faults[0].Sentence, "The character at position 3 has been lost")
	require.Contains(t, refused(t, utf16Of(binary.LittleEndian, file), Options{}), "NUL byte")
	require.Contains(t, refused(t, []byte("PatientID,Modality\n1\x00,CT\n"), Options{}), "line 2 contains a NUL byte")
}

// TestCSVDelimiters: the one that gives the header the most columns, unless the file names one.
func TestCSVDelimiters(t *testing.T) {
	for _, c := range []struct{ file, delimiter string }{
		{"PatientID;Modality\n1;CT", ";"},
		{"PatientID,Modality\n1,CT", ","},
		{"PatientID\tModality\n1\tCT", "\t"},
		{"PatientID|Modality\n1|CT", "|"},
		{"PatientID,Modality,a;b;c;d\n1,CT,x", ","},
		{"patientid,Modality;a;b;c;d\n1,CT;;;;", ","},
		{"sep=#\r\nPatientID#Modality\r\n1#CT", "#"},
		{"\"sep=\t\"\nPatientID\tModality\n1\tCT", "\t"},
		{"\ufeffSEP=;\nPatientID;Modality\n1;CT", ";"},
		{"AccessionNumber\r1\r", ";"},
		{"PKZ;PatientID;Modality;\nx;1;CT;\n", ";"},
	} {
		q := queriesOf(t, []byte(c.file), Options{})
		require.Empty(t, q.Hints)
		require.Equal(t, c.delimiter, q.Preview.Delimiter, c.file)
		require.Equal(t, 1, q.Preview.Rows, c.file)
	}
}

// TestCSVRows: records, their numbers, and what is wrong with them.
func TestCSVRows(t *testing.T) {
	const file = "sep=,\r\n" + // line 1 is no record
		"PatientID,Modality,StudyDescription\r\n" +
		"1001,CT,\"a \"\"b\"\", c\"\r\n" + // line 3, record 2
		"\r\n" +
		",,\r" + // line 5, ended by CR alone
		"1002,MR,\"two\nlines\"\n" + // line 6, record 5
		"\"1003\" ,CT,5\" disk\n" + // line 8, record 6
		"1004,CT\n" +
		"1005,CT,,\n" +
		"\"10\"06,CT,\n" +
		"=\"00123\",CT,\"=\"\"007\"\"\"\n" +
		"'=1+1,CT,'-x;'+y\n" +
		"''7,CT,<U+202E>\n" +
		"\"1,001E+10\",CT,\n" +
		"6.2E+07,CT,6.2E+07\n" +
		"#NV,CT,\n" +
		"1009,CT,\"open\n1010,CT,\n"
	table := open(t, []byte(file), Options{Columns: QueryColumns()})
	var got []string
	for _, r := range rows(t, table) {
		id, description := r.Cells[queryPatientID], r.Cells[queryStudyDescription]
		kind, sentence := id.Kind+description.Kind, id.Sentence+description.Sentence
		if r.Broken != "" {
			kind, sentence = KindFields, r.Broken
		}
		one := fmt.Sprintf("%d/%d %s|%s", r.Row, r.Record, id.Text, description.Text)
		if kind != "" {
			one = fmt.Sprintf("%d/%d %s %s", r.Row, r.Record, kind, sentence)
		}
		got = append(got, one)
	}
	require.Equal(t, []string{
		`3/2 1001|a "b", c`,
		"6/5 character There is a line break at position 4. Remove it.",
		`8/6 1003|5" disk`,
		"9/7 fields The row has 2 fields, and the header has 3. Is a quotation mark missing around a value that contains the delimiter?",
		"10/8 fields The row has 4 fields, and the header has 3. Is a quotation mark missing around a value that contains the delimiter?",
		"11/9 fields There is text behind a closing quotation mark. Write a quotation mark within a value twice.",
		"12/10 00123|007",
		"13/11 =1+1|-x;+y",
		"14/12 '7|\u202e",
		"15/13 spreadsheet Excel has rewritten this number. " + asText,
		"16/14 spreadsheet Excel has rewritten this number. " + asText,
		"17/15 value The cell holds the error #NV. Correct it in the spreadsheet.",
		"18/16 fields The quotation mark in line 18 is never closed, so the rows below could not be read.",
	}, got)

	q := queriesOf(t, []byte(file), Options{})
	require.Equal(t, 13, q.Preview.Rows)
	require.Equal(t, Fault{
		Row: 9, Text: "1004,CT", Kind: KindFields, Sentence: strings.TrimPrefix(got[3], "9/7 fields "),
	}, q.Faults[1])
	require.Equal(t, "A13", q.Faults[4].Cell, "as a spreadsheet shows the record")

	q = queriesOf(t, []byte("PatientID,Modality\n\"1\" \"2\",CT\n"), Options{})
	require.Equal(t, KindFields, q.Faults[0].Kind)

	german := "PatientID;AccessionNumber;From;Modality\n;1;04.06.2019;CT"
	q = queriesOf(t, []byte(german), Options{Dates: DayFirst})
	require.Equal(t, "20190604", q.Rows[0].From)
}

// TestCSVBounds: what would take a lot of memory is refused, or the end of what is read.
func TestCSVBounds(t *testing.T) {
	wide := []byte("PatientID" + strings.Repeat(",", 300))
	require.Contains(t, refused(t, wide, Options{}), "line 1 has more than 256 fields")
	open := []byte("PatientID,Modality\n1,\"" + strings.Repeat("x", 2*maxRecord))
	q := queriesOf(t, open, Options{})
	require.Contains(t, q.Faults[0].Sentence, "The quotation mark in line 2 is never closed")
	require.LessOrEqual(t, len(q.Faults[0].Text), 4*maxFaultText)
	many := []byte("PatientID,Modality\n" + strings.Repeat("*,\n", 2*maxFaults))
	q = queriesOf(t, many, Options{})
	require.Len(t, q.Faults, maxFaults)
	require.Equal(t, 4*maxFaults, q.Preview.Faults)
	require.Equal(t, []KindCount{{KindCharacter, 2 * maxFaults}, {KindMissing, 2 * maxFaults}}, q.Preview.Kinds)
	require.Contains(t, refused(t, many, Options{Rows: 1000}), "more than 1000 rows")
}
