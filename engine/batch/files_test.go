// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"html"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
)

// book describes an .xlsx file that no library would write.
type book struct {
	rows     string   // the content of sheetData
	after    string   // what follows it
	formats  []string // codes of the styles 1, 2, …
	strings  []string // <si> elements
	date1904 bool
	sheets   string            // <sheet> elements, if not one
	more     map[string]string // parts that are added or replaced
	prefix   string            // of the elements of the sheet, as in "x:"
}

const (
	spreadsheetNS = `xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"`
	relationsNS   = `xmlns="http://schemas.openxmlformats.org/package/2006/relationships"`
	relationType  = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/"
)

func (b book) bytes(t testing.TB) []byte {
	t.Helper()
	if b.sheets == "" {
		b.sheets = `<sheet name="Rows" sheetId="1" r:id="rId1"/>`
	}
	var formats, styles strings.Builder
	for i, code := range b.formats {
		fmt.Fprintf(&formats, `<numFmt numFmtId="%d" formatCode="%s"/>`, 164+i, html.EscapeString(code))
		fmt.Fprintf(&styles, `<xf numFmtId="%d" applyNumberFormat="1"/>`, 164+i)
	}
	parts := map[string]string{
		"_rels/.rels": `<Relationships ` + relationsNS + `><Relationship Id="rId1" Type="` + relationType +
			`officeDocument" Target="xl/workbook.xml"/></Relationships>`,
		"xl/workbook.xml": fmt.Sprintf(`<workbook %s><workbookPr date1904="%t"/><sheets>%s</sheets></workbook>`,
			spreadsheetNS, b.date1904, b.sheets),
		"xl/_rels/workbook.xml.rels": `<Relationships ` + relationsNS + `>` +
			`<Relationship Id="rId1" Type="` + relationType + `worksheet" Target="worksheets/sheet1.xml"/>` +
			`<Relationship Id="rId2" Type="` + relationType + `worksheet" Target="/xl/worksheets/sheet2.xml"/>` +
			`<Relationship Id="rId8" Type="` + relationType + `styles" Target="styles.xml"/>` +
			`<Relationship Id="rId9" Type="` + relationType + `sharedStrings" Target="sharedStrings.xml"/></Relationships>`,
		"xl/styles.xml": `<styleSheet ` + spreadsheetNS + `><numFmts>` + formats.String() + `</numFmts><cellStyleXfs><xf ` +
			`numFmtId="9"/></cellStyleXfs><cellXfs><xf numFmtId="0"/>` + styles.String() + `<xf numFmtId="14" quotePrefix="1"/>` +
			`</cellXfs></styleSheet>`,
		"xl/worksheets/sheet1.xml": b.sheet(),
	}
	if b.strings != nil {
		parts["xl/sharedStrings.xml"] = `<sst ` + spreadsheetNS + `>` + strings.Join(b.strings, "") + `</sst>`
	}
	maps.Copy(parts, b.more)
	return zipped(t, parts)
}

func (b book) sheet() string {
	s := `<worksheet ` + spreadsheetNS + `><sheetData>` + b.rows + `</sheetData>` + b.after + `</worksheet>`
	if b.prefix != "" {
		s = strings.NewReplacer("</", "</"+b.prefix, "<", "<"+b.prefix, "xmlns=", "xmlns:"+strings.Trim(b.prefix, ":")+"=").
			Replace(s)
	}
	return s
}

func zipped(t testing.TB, parts map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zip.NewWriter(&out)
	for name, content := range parts {
		w, err := z.Create(name)
		require.NoError(t, err)
		_, err = w.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, z.Close())
	return out.Bytes()
}

// line is a row of inline strings; an empty one is left out.
func line(row int, values ...string) string {
	var out strings.Builder
	fmt.Fprintf(&out, `<row r="%d">`, row)
	for i, v := range values {
		if v != "" {
			fmt.Fprintf(&out, `<c r="%s%d" t="inlineStr"><is><t xml:space="preserve">%s</t></is></c>`, columnLetters(i), row,
				html.EscapeString(v))
		}
	}
	return out.String() + `</row>`
}

func open(t testing.TB, file []byte, o Options) *Table {
	t.Helper()
	table, err := Open(t.Context(), bytes.NewReader(file), int64(len(file)), o)
	require.NoError(t, err)
	return table
}

// rows reads a table to its end; what a row holds is copied.
func rows(t testing.TB, table *Table) []Row {
	t.Helper()
	var out []Row
	for r, err := range table.Rows(t.Context()) {
		require.NoError(t, err)
		one := *r
		one.Cells = slices.Clone(r.Cells)
		out = append(out, one)
	}
	return out
}

func queriesOf(t testing.TB, file []byte, o Options) *Queries {
	t.Helper()
	q, err := ReadQueries(t.Context(), bytes.NewReader(file), int64(len(file)), o)
	require.NoError(t, err)
	return q
}

func transfersOf(t testing.TB, file []byte, pseudonymRequired bool) *Transfers {
	t.Helper()
	why := ""
	if pseudonymRequired {
		why = OnlyPseudonyms
	}
	tr, err := ReadTransfers(t.Context(), bytes.NewReader(file), int64(len(file)), Options{}, why)
	require.NoError(t, err)
	return tr
}

// refused reads a file that can't be read, and returns why.
func refused(t testing.TB, file []byte, o Options) string {
	t.Helper()
	_, err := ReadQueries(context.Background(), bytes.NewReader(file), int64(len(file)), o)
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "file", invalid.Field)
	return invalid.Reason
}
