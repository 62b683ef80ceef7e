// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/people"
)

// batchSite starts a site that works, whose servers FIRST and SECOND have the studies of some phantoms, beside RESEARCH
// that has none.
func batchSite(t *testing.T, first, second []*phantom.Study) *site {
	t.Helper()
	s := newSite(t)
	s.work()
	for name, studies := range map[string][]*phantom.Study{"FIRST": first, "SECOND": second, "RESEARCH": nil} {
		p, err := pacs.Start(pacs.Config{AETitle: name, Studies: studies})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		s.addServer(name, name, func(c *client.ServerSettings) { c.Port = p.Port() })
	}
	return s
}

func rowsOf(lines ...string) client.BatchFile {
	return client.BatchFile{File: []byte(strings.Join(lines, "\n") + "\n")}
}

// query makes a batch query and waits for its jobs.
func (s *site) query(file client.BatchFile, sources ...string) []client.Job {
	s.t.Helper()
	made, err := s.client.Batch.Query(s.t.Context(), client.NewBatchQuery{BatchFile: file, Sources: sources}, "")
	require.NoError(s.t, err)
	require.Len(s.t, made, len(sources))
	for i, job := range made {
		made[i], err = s.client.Jobs.Wait(s.t.Context(), job.ID, nil)
		require.NoError(s.t, err)
	}
	return made
}

// workbook returns the rows of the sheets of an .xlsx file, and fails if a cell is a formula.
func workbook(t *testing.T, file []byte) map[string][][]string {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file))
	require.NoError(t, err)
	defer func() { require.NoError(t, book.Close()) }()
	sheets := map[string][][]string{}
	for _, sheet := range book.GetSheetList() {
		rows, err := book.GetRows(sheet)
		require.NoError(t, err)
		sheets[sheet] = rows
		for y, row := range rows {
			for x := range row {
				name, err := excelize.CoordinatesToCellName(x+1, y+1)
				require.NoError(t, err)
				formula, err := book.GetCellFormula(sheet, name)
				require.NoError(t, err)
				require.Empty(t, formula, name)
			}
		}
	}
	return sheets
}

// records returns the rows of a CSV file.
func records(t *testing.T, file []byte, comma rune) [][]string {
	t.Helper()
	text, ok := bytes.CutPrefix(file, []byte("\xef\xbb\xbf"))
	require.True(t, ok, "a byte order mark, by which Excel knows UTF-8")
	in := csv.NewReader(bytes.NewReader(text))
	in.Comma = comma
	rows, err := in.ReadAll()
	require.NoError(t, err)
	return rows
}

// column returns the values below a name.
func column(t *testing.T, rows [][]string, name string) (values []string) {
	t.Helper()
	at := slices.Index(rows[0], name)
	require.GreaterOrEqual(t, at, 0, "%s is none of %v", name, rows[0])
	for _, row := range rows[1:] {
		value := ""
		if at < len(row) {
			value = row[at]
		}
		values = append(values, value)
	}
	return values
}

// asWorkbook writes rows as .xlsx, all of it text.
func asWorkbook(t *testing.T, rows ...[]any) []byte {
	t.Helper()
	book := excelize.NewFile()
	defer func() { require.NoError(t, book.Close()) }()
	for i, row := range rows {
		require.NoError(t, book.SetSheetRow("Sheet1", fmt.Sprintf("A%d", i+1), &row))
	}
	var file bytes.Buffer
	require.NoError(t, book.Write(&file))
	return file.Bytes()
}

// TestBatchCheck: everything that is wrong with a file, by row and cell, and nothing is made.
func TestBatchCheck(t *testing.T) {
	s := newSite(t)
	check := func(t *testing.T, b client.BatchToCheck) client.BatchPreview {
		t.Helper()
		p, err := s.client.Batch.Check(t.Context(), b)
		require.NoError(t, err)
		return p
	}
	said := func(faults []client.BatchFault) map[string]string { // kinds by cell, or by row
		by := map[string]string{}
		for _, f := range faults {
			where := f.Cell
			if where == "" {
				where = fmt.Sprint(f.Row)
			}
			by[where] = f.Kind
			require.NotEmpty(t, f.Says)
		}
		return by
	}
	t.Run("a query without a fault", func(t *testing.T) {
		p := check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: rowsOf(
			"PatientID;Modality;Cohort", "PHANTOM-001;CT;A", "PHANTOM-002;MR;B", "PHANTOM-002;MR;C",
		)})
		require.Equal(t, "same_row", said(p.Hints)["4"])
		p.Hints = nil
		require.Equal(t, client.BatchPreview{
			Encoding: "UTF-8", Delimiter: ";", Columns: []string{"PatientID", "Modality"}, ExtraColumns: []string{"Cohort"},
			Rows: 3, Tasks: 3, Patients: 2, Kinds: []client.BatchKind{}, Faults: []client.BatchFault{},
			Shown: []client.BatchRow{
				{Row: 2, Cells: []string{"PHANTOM-001", "CT", "A"}},
				{Row: 3, Cells: []string{"PHANTOM-002", "MR", "B"}},
				{Row: 4, Cells: []string{"PHANTOM-002", "MR", "C"}},
			},
		}, p)
	})
	t.Run("a query with faults", func(t *testing.T) {
		p := check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: client.BatchFile{File: asWorkbook(t,
			[]any{"PatientID", "From", "Until", "Modality"},
			[]any{"1,001E+10", "", "", "CT"},
			[]any{"0062115936", "2020-01-02", "2020-01-01", "MR"},
			[]any{"0062115937", "", "", "CT"},
			[]any{"", "01.02.2020", "", ""},
		)}})
		require.Equal(t, map[string]string{
			"A2": "spreadsheet", "C3": "order", "A5": "missing", "B5": "date_layout", "D5": "missing",
		}, said(p.Faults))
		require.Equal(t, "1,001E+10", p.Faults[0].Text)
		require.Equal(t, []int{4, 3, 1, 5}, []int{p.Rows, p.FaultyRows, p.Tasks, p.FaultCount})
		require.Equal(t, client.BatchKind{Kind: "missing", Title: "Value missing", Count: 2}, p.Kinds[0])
		require.Equal(t, "Sheet1", p.Sheet)
		shown := []int{}
		for _, row := range p.Shown {
			shown = append(shown, row.Row)
		}
		require.Equal(t, []int{2, 3, 5}, shown, "those with a fault")
	})
	t.Run("the order of dates", func(t *testing.T) {
		file := rowsOf("PatientID,Modality,From", "P,CT,01.02.2020")
		file.Dates = "DD.MM.YYYY"
		require.Empty(t, check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: file}).Faults)
	})
	t.Run("a fault of the header alone", func(t *testing.T) {
		p := check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: rowsOf("PatientID,Modalities", "P,CT", "Q,MR")})
		require.Equal(t, map[string]string{"B1": "column"}, said(p.Faults))
		require.Equal(t, []int{2, 0, 1}, []int{p.Rows, p.FaultyRows, p.FaultCount})
		require.Len(t, p.Shown, 2, "no row has a fault, so the first ones are shown")
	})
	t.Run("a transfer", func(t *testing.T) {
		p := check(t, client.BatchToCheck{Kind: client.BatchTransfer, BatchFile: rowsOf(
			"PatientID,StudyInstanceUID,SeriesInstanceUID,Pseudonym",
			"P,1.2.3,1.2.3.1,A", "P,1.2.3,1.2.3.2,A", "Q,1.2.4,,B", "Q,1.2.x,,B", "R,1.2.5,,A",
		)})
		require.Equal(t, "uid", said(p.Faults)["B5"])
		require.Equal(t, "pseudonym_patients", said(p.Faults)["D6"])
		require.Equal(t, []int{2, 1}, []int{p.Tasks, p.MergedRows})
	})
	t.Run("pseudonyms for some", func(t *testing.T) {
		b := client.BatchToCheck{Kind: client.BatchTransfer, BatchFile: rowsOf(
			"PatientID,StudyInstanceUID,Pseudonym", "P,1.2.3,A", "Q,1.2.4,",
		)}
		p := check(t, b)
		require.Equal(t, map[string]string{"C3": "missing"}, said(p.Faults))
		require.Contains(t, p.Faults[0].Says, "Other rows have one")
		b.Pseudonymize = true
		p = check(t, b)
		require.Empty(t, p.Faults, "the other patient gets one")
		require.Zero(t, p.IdentifiedRows)
		b.Pseudonymize, b.BatchFile = false, rowsOf("PatientID,StudyInstanceUID", "P,1.2.3", "Q,1.2.4")
		p = check(t, b)
		require.Empty(t, p.Faults, "with their identities")
		require.Equal(t, 2, p.IdentifiedRows)
	})
	t.Run("all rows", func(t *testing.T) {
		lines := append([]string{"PatientID,Modality"}, slices.Repeat([]string{"P,CT"}, 1234)...)
		lines[3] = "P*,CT"
		p := check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: rowsOf(lines...)})
		require.Equal(t, []client.BatchRow{{Row: 4, Cells: []string{"P*", "CT"}}}, p.Shown)
		p = check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: rowsOf(lines...), AllRows: true})
		require.Len(t, p.Shown, 1000)
		require.Equal(t, []int{2, 1001}, []int{p.Shown[0].Row, p.Shown[999].Row})
		require.Equal(t, 1234, p.Rows)
	})
	t.Run("the first 1,000 faults", func(t *testing.T) {
		lines := append([]string{"PatientID,Modality"}, slices.Repeat([]string{"P*,CT"}, 1234)...)
		p := check(t, client.BatchToCheck{Kind: client.BatchQuery, BatchFile: rowsOf(lines...)})
		require.Len(t, p.Faults, 1000)
		require.Equal(t, 1234, p.FaultCount)
		require.Len(t, p.Shown, 500)
	})
	for name, file := range map[string][]byte{
		"HTML": []byte("<html><body>PatientID</body></html>"), "bytes": {0x89, 'P', 'N', 'G', 0, 1, 2, 3}, "no known column": []byte("a,b\n1,2\n"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.client.Batch.Check(t.Context(), client.BatchToCheck{
				Kind: client.BatchQuery, BatchFile: client.BatchFile{File: file},
			})
			require.Equal(t, 422, status(err))
		})
	}
	r := s.send("POST", "/api/v1/batch:check", `{"kind":"batch_query","file":"no base64!"}`)
	require.Equal(t, 422, r.StatusCode, r.body)
	counts, err := s.client.Jobs.Count(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Zero(t, counts.Total())
}

// TestBatchRemarks: somebody gets their rows back with what is wrong with them, and has the same faults until they are
// corrected.
func TestBatchRemarks(t *testing.T) {
	s := newSite(t)
	for name, b := range map[string]client.BatchToCheck{
		"a query": {Kind: client.BatchQuery, BatchFile: rowsOf(
			"PatientID,Modality,Cohort", "P,CT,A", "=P*,CT,B", "Q,,C",
		)},
		"a transfer": {Kind: client.BatchTransfer, Pseudonymize: true, BatchFile: rowsOf(
			"PatientID,StudyInstanceUID,Pseudonym", "P,1.2.3,A", "Q,1.2.x,", "R,1.2.4,A",
		)},
		"one without a fault": {Kind: client.BatchQuery, BatchFile: rowsOf("PatientID,Modality", "P,CT")},
	} {
		t.Run(name, func(t *testing.T) {
			first, err := s.client.Batch.Check(t.Context(), b)
			require.NoError(t, err)
			var file bytes.Buffer
			require.NoError(t, s.client.Batch.Remarks(t.Context(), b, &file))
			rows := workbook(t, file.Bytes())["Rows"]
			remarks := strings.Join(column(t, rows, "Remarks"), "\n")
			for _, f := range first.Faults {
				require.Contains(t, remarks, f.Says)
			}
			b.File = file.Bytes()
			again, err := s.client.Batch.Check(t.Context(), b)
			require.NoError(t, err)
			require.Equal(t, []any{first.Rows, first.FaultyRows, first.ExtraColumns, first.Kinds},
				[]any{again.Rows, again.FaultyRows, again.ExtraColumns, again.Kinds})
		})
	}
	err := s.client.Batch.Remarks(t.Context(), client.BatchToCheck{
		Kind: client.BatchQuery, BatchFile: client.BatchFile{File: []byte("<html></html>")},
	}, new(bytes.Buffer))
	require.Equal(t, 422, status(err))
}

// TestBatchMakesNothing: what is refused, by whom, and that nothing is made then.
func TestBatchMakesNothing(t *testing.T) {
	m := newMatrix(t)
	query := func(change func(*client.NewBatchQuery)) (string, any) {
		b := client.NewBatchQuery{BatchFile: rowsOf("PatientID,Modality", "P,CT"), Sources: []string{"SRC"}}
		change(&b)
		return "POST /api/v1/batch-queries", b
	}
	transfer := func(change func(*client.NewBatchTransfer)) (string, any) {
		b := client.NewBatchTransfer{
			BatchFile: rowsOf("PatientID,StudyInstanceUID,Pseudonym", "P,1.2.3,SUBJ-1"), Source: "SRC", Destination: "DST",
		}
		change(&b)
		return "POST /api/v1/batch-transfers", b
	}
	m.addPerson("bare", both, false, false)
	m.exec(`DELETE FROM group_permissions WHERE permission = 'transfer_unpseudonymized' AND group_id = (SELECT active_group_id FROM users WHERE username = 'bare')`)
	m.addPerson("no rights", both, false, false)
	m.exec(`DELETE FROM group_permissions WHERE group_id = (SELECT active_group_id FROM users WHERE username = 'no rights')`)
	many := func(n int, head string, row func(i int) string) client.BatchFile {
		lines := []string{head}
		for i := range n {
			lines = append(lines, row(i))
		}
		return rowsOf(lines...)
	}
	queries := func(n int) client.BatchFile {
		return many(n, "PatientID,Modality", func(i int) string { return fmt.Sprintf("P%d,CT", i) })
	}
	studies := func(n int) client.BatchFile {
		return many(n, "PatientID,StudyInstanceUID,Pseudonym", func(i int) string { return fmt.Sprintf("P%d,1.2.%d,S-%d", i, i+1, i) })
	}
	large := client.BatchFile{File: []byte("PatientID,Modality\nP,CT\n" + strings.Repeat(" ,\n", 5<<20/3))}
	for name, tt := range map[string]struct {
		who    string // owner3 by default
		query  func(*client.NewBatchQuery)
		other  func(*client.NewBatchTransfer)
		locked string
		status int
		says   string
	}{
		"a fault": {
			query:  func(b *client.NewBatchQuery) { b.BatchFile = rowsOf("PatientID,Modality", "P,CT", "P*,CT", "Q,") },
			status: 422, says: "2 faults in 2 of 3 rows, so that nothing was made; the first is in cell A3: ",
		},
		"a fault of a transfer": {
			other:  func(b *client.NewBatchTransfer) { b.BatchFile = rowsOf("PatientID,StudyInstanceUID", "P,1.2.x") },
			status: 422, says: "1 fault in 1 of 1 rows, so that nothing was made; the first is in cell B2: ",
		},
		"no table":          {query: func(b *client.NewBatchQuery) { b.File = []byte("<html></html>") }, status: 422, says: "HTML or XML"},
		"no rows":           {query: func(b *client.NewBatchQuery) { b.BatchFile = rowsOf("PatientID,Modality") }, status: 422, says: "no row"},
		"no rows to move":   {other: func(b *client.NewBatchTransfer) { b.BatchFile = rowsOf("PatientID,StudyInstanceUID") }, status: 422},
		"too large":         {query: func(b *client.NewBatchQuery) { b.BatchFile = large }, status: 422, says: "larger than 5 MiB"},
		"too many rows":     {query: func(b *client.NewBatchQuery) { b.BatchFile = queries(1001) }, status: 422, says: "more than 1000 rows"},
		"too many studies":  {other: func(b *client.NewBatchTransfer) { b.BatchFile = studies(501) }, status: 422, says: "more than 500 rows"},
		"no permission":     {who: "no rights", query: func(*client.NewBatchQuery) {}, status: 403},
		"none to transfer":  {who: "no rights", other: func(*client.NewBatchTransfer) {}, status: 403},
		"no right to ask":   {who: "owner2", query: func(*client.NewBatchQuery) {}, status: 403},
		"no right to write": {who: "owner1", other: func(*client.NewBatchTransfer) {}, status: 403},
		"locked":            {locked: people.BatchQuery, query: func(*client.NewBatchQuery) {}, status: 403, says: `"batch query" is locked`},
		"locked transfers":  {locked: people.BatchTransfer, other: func(*client.NewBatchTransfer) {}, status: 403, says: `"batch transfer" is locked`},
		"no pseudonym": {
			who: "bare", other: func(b *client.NewBatchTransfer) { b.BatchFile = rowsOf("PatientID,StudyInstanceUID", "P,1.2.3") },
			status: 422, says: "You may transfer under pseudonyms only",
		},
		"unknown project":     {query: func(b *client.NewBatchQuery) { b.Project = "none" }, status: 422},
		"unknown source":      {query: func(b *client.NewBatchQuery) { b.Sources = []string{"SRC", "NONE"} }, status: 422, says: "NONE"},
		"a source twice":      {query: func(b *client.NewBatchQuery) { b.Sources = []string{"SRC", "SRC"} }, status: 422, says: "twice"},
		"unknown destination": {other: func(b *client.NewBatchTransfer) { b.Destination = "NONE" }, status: 422},
	} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			var route string
			var body any
			if tt.query != nil {
				route, body = query(tt.query)
			} else {
				route, body = transfer(tt.other)
			}
			text, err := json.Marshal(body)
			require.NoError(t, err)
			who := tt.who
			if who == "" {
				who = "owner3"
			}
			if tt.locked != "" {
				m.lock(tt.locked)
				defer m.lock()
			}
			_, path, _ := strings.Cut(route, " ")
			audited := m.one(`SELECT count(*) FROM audit`)
			r := m.ask(row{route: route}, m.people[who], path, string(text))
			require.Equal(t, tt.status, r.StatusCode, r.body)
			p := r.problem(t)
			said := p.Detail
			for _, e := range p.Errors {
				said += " " + e.Message
			}
			require.Contains(t, said, tt.says)
			require.Zero(t, m.one(`SELECT count(*) FROM jobs`))
			require.Equal(t, audited, m.one(`SELECT count(*) FROM audit`))
		})
	}
	m.t = t
	for name, body := range map[string]any{"1000 rows": queries(1000), "staff": queries(1001)} {
		who := map[string]string{"1000 rows": "owner3", "staff": "staff3"}[name]
		text, err := json.Marshal(client.NewBatchQuery{BatchFile: body.(client.BatchFile), Sources: []string{"SRC"}})
		require.NoError(t, err)
		r := m.ask(row{route: "POST /api/v1/batch-queries"}, m.people[who], "/api/v1/batch-queries", string(text))
		require.Equal(t, 201, r.StatusCode, "%s: %s", name, r.body)
	}
	big := func(size int) client.BatchFile {
		blank := strings.Repeat(" ", 1022) + ",\n"
		return client.BatchFile{File: []byte("PatientID,Modality\nP,CT\n" + strings.Repeat(blank, size/1024-1))}
	}
	for _, tt := range []struct {
		who    string
		size   int
		status int
	}{{"owner3", 5 << 20, 201}, {"staff3", 6 << 20, 201}} { // 32 MiB take the race detector a minute
		text, err := json.Marshal(client.NewBatchQuery{BatchFile: big(tt.size), Sources: []string{"SRC"}})
		require.NoError(t, err)
		r := m.ask(row{route: "POST /api/v1/batch-queries"}, m.people[tt.who], "/api/v1/batch-queries", string(text))
		require.Equal(t, tt.status, r.StatusCode, "%s with %d bytes: %s", tt.who, tt.size, r.body)
	}
	_, body := transfer(func(b *client.NewBatchTransfer) {
		b.BatchFile, b.Pseudonymize = rowsOf("PatientID,StudyInstanceUID", "P,1.2.3"), true
	})
	text, err := json.Marshal(body)
	require.NoError(t, err)
	r := m.ask(row{route: "POST /api/v1/batch-transfers"}, m.people["bare"], "/api/v1/batch-transfers", string(text))
	require.Equal(t, 201, r.StatusCode, "a pseudonym is made: %s", r.body)
}

// TestBatchIsMadeOnce: the same key and content give the same jobs; what people wrote about them stays.
func TestBatchIsMadeOnce(t *testing.T) {
	s := newSite(t)
	s.addServer("FIRST", "FIRST", nil)
	s.addServer("SECOND", "SECOND", nil)
	about := client.BatchAbout{
		Title: "Stroke imaging", Description: "CT within a day\nof admission", EthicsID: "S-123/2026",
	}
	query := client.NewBatchQuery{
		BatchFile: rowsOf("PatientID,Modality", "P,CT", "Q,MR"), BatchAbout: about, Sources: []string{"SECOND", "FIRST"},
	}
	made, err := s.client.Batch.Query(t.Context(), query, "key")
	require.NoError(t, err)
	require.Len(t, made, 2)
	again, err := s.client.Batch.Query(t.Context(), query, "key")
	require.NoError(t, err)
	require.Equal(t, made, again)
	require.Equal(t, []string{"SECOND", "FIRST"}, []string{made[0].Source, made[1].Source})
	require.Equal(t, []int64{0, made[0].ID}, []int64{made[0].FirstJobID, made[1].FirstJobID})
	for _, job := range made {
		require.Equal(t, client.BatchQuery, job.Kind)
		require.Equal(t, about, aboutOf(job))
		require.Equal(t, 2, job.Tasks.Pending)
		require.Empty(t, job.Destination)
		seen, err := s.client.Jobs.Get(t.Context(), job.ID)
		require.NoError(t, err)
		require.Equal(t, job.Title, seen.Title)
		require.Equal(t, job.FirstJobID, seen.FirstJobID)
		rows := [][]int32{}
		for task, err := range s.client.Tasks.List(t.Context(), job.ID, client.TaskFilter{}) {
			require.NoError(t, err)
			rows = append(rows, task.Rows)
		}
		require.Equal(t, [][]int32{{2}, {3}}, rows)
	}
	query.Title = "Another"
	_, err = s.client.Batch.Query(t.Context(), query, "key")
	require.Equal(t, 422, status(err))

	transfer := client.NewBatchTransfer{
		BatchFile: rowsOf("PatientID,StudyInstanceUID,SeriesInstanceUID", "P,1.2.3,1.2.3.1", "Q,1.2.4,", "P,1.2.3,1.2.3.2"),
		Source:    "FIRST", Destination: "SECOND", BatchAbout: about,
	}
	job, err := s.client.Batch.Transfer(t.Context(), transfer, "key2")
	require.NoError(t, err)
	same, err := s.client.Batch.Transfer(t.Context(), transfer, "key2")
	require.NoError(t, err)
	require.Equal(t, job.ID, same.ID)
	require.Equal(t, client.BatchTransfer, job.Kind)
	require.Equal(t, about, aboutOf(job))
	type part struct {
		study  string
		series []string
		rows   []int32
	}
	var parts []part
	for task, err := range s.client.Tasks.List(t.Context(), job.ID, client.TaskFilter{}) {
		require.NoError(t, err)
		parts = append(parts, part{task.StudyInstanceUID, task.SeriesInstanceUIDs, task.Rows})
	}
	require.Equal(t, []part{{"1.2.3", []string{"1.2.3.1", "1.2.3.2"}, []int32{2, 4}}, {"1.2.4", nil, []int32{3}}}, parts)
	for name, about := range map[string]client.BatchAbout{
		"a long title": {Title: strings.Repeat("x", 151)}, "a hidden character": {Title: "a\u200bb"}, "a long number": {EthicsID: strings.Repeat("1", 101)},
	} {
		transfer.BatchAbout = about
		_, err = s.client.Batch.Transfer(t.Context(), transfer, "")
		require.Equal(t, 422, status(err), name)
	}
	counts, err := s.client.Jobs.Count(t.Context(), client.JobFilter{})
	require.NoError(t, err)
	require.Equal(t, 3, counts.Total())
}

// TestBatchResults: what two sources found, page by page, counted, and as tables that a batch transfer takes.
func TestBatchResults(t *testing.T) {
	studies := phantom.DemoStudies()
	zeros := phantom.New(4711, phantom.StudySpec{
		Patient:         phantom.Patient{ID: "0062115936", Name: "Phantom^Zero", BirthDate: "19700102"},
		Description:     "=cmd|'/c calc'!A0",
		AccessionNumber: "0000123", Date: "20240301", Time: "081500", Series: []phantom.SeriesSpec{{Kind: phantom.CT}},
	})
	s := batchSite(t, []*phantom.Study{studies[0], zeros}, studies[1:3])
	made := s.query(rowsOf(
		"PatientID,Modality,Pseudonym,Cohort,Row,StudyInstanceUID",
		"PHANTOM-001,CT,SUBJ-1,A,x,1.2.3", "0062115936,CT,,007,,", "PHANTOM-404,CT,,B,,",
	), "FIRST", "SECOND")
	first, second := made[0], made[1]
	require.Equal(t, client.Failure, first.Status, "a patient that it does not know")
	list := func(job int64, f client.ResultFilter) (uids []string) {
		for r, err := range s.client.Batch.Results(t.Context(), job, f) {
			require.NoError(t, err)
			uids = append(uids, r.StudyInstanceUID)
		}
		return uids
	}
	found := []string{studies[0].StudyInstanceUID, zeros.StudyInstanceUID, studies[1].StudyInstanceUID}
	require.ElementsMatch(t, found[:2], list(first.ID, client.ResultFilter{Limit: 1}))
	require.ElementsMatch(t, found[2:], list(second.ID, client.ResultFilter{}))
	for _, job := range made {
		require.ElementsMatch(t, found, list(job.ID, client.ResultFilter{AllSources: true, Limit: 2}))
	}
	var one client.QueryResult
	for r, err := range s.client.Batch.Results(t.Context(), first.ID, client.ResultFilter{}) {
		require.NoError(t, err)
		if r.StudyInstanceUID == found[0] {
			one = r
		}
	}
	require.Equal(t, client.QueryResult{
		ID: one.ID, JobID: first.ID, TaskID: one.TaskID, Source: "FIRST", Row: 2, Pseudonym: "SUBJ-1",
		PatientID: "PHANTOM-001", PatientName: "Phantom^Alpha", PatientBirthDate: "19500101",
		AccessionNumber: one.AccessionNumber, StudyInstanceUID: found[0], StudyDate: one.StudyDate, StudyTime: one.StudyTime,
		StudyDescription: one.StudyDescription, Modalities: one.Modalities, Instances: new(len(studies[0].Instances())),
		Extra: []string{"A", "x", "1.2.3"},
	}, one)
	require.NotEmpty(t, one.StudyDate)
	require.Equal(t, []string{found[0]}, list(first.ID, client.ResultFilter{Task: one.TaskID}))

	count, err := s.client.Batch.Count(t.Context(), second.ID, true)
	require.NoError(t, err)
	require.Equal(t, client.QueryCount{
		Results: 3, Studies: 3, Patients: 2, Pseudonyms: true, ExtraColumns: []string{"Cohort", "Row", "StudyInstanceUID"},
		Jobs: []client.JobOfSource{{ID: first.ID, Source: "FIRST"}, {ID: second.ID, Source: "SECOND"}},
	}, count)
	count, err = s.client.Batch.Count(t.Context(), second.ID, false)
	require.NoError(t, err)
	require.EqualValues(t, 1, count.Results)
	require.Equal(t, []client.JobOfSource{{ID: second.ID, Source: "SECOND"}}, count.Jobs)

	export := func(job int64, all bool, f client.Format) []byte {
		var file bytes.Buffer
		require.NoError(t, s.client.Batch.Export(t.Context(), job, all, f, &file))
		return file.Bytes()
	}
	book := export(first.ID, true, client.XLSX)
	for name, rows := range map[string][][]string{
		"xlsx": workbook(t, book)["Results"], "csv": records(t, export(first.ID, true, client.CSV), ','),
		"csv-semicolon": records(t, export(second.ID, true, client.CSVSemicolon), ';'),
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, []string{
				"Pseudonym", "PatientID", "PatientName", "BirthDate", "ModalitiesInStudy", "StudyDate", "StudyTime",
				"StudyDescription", "NumberOfStudyRelatedInstances", "AccessionNumber", "StudyInstanceUID", "Source", "Row",
				"Cohort", "Row (file)", "StudyInstanceUID (file)",
			}, rows[0])
			require.ElementsMatch(t, found, column(t, rows, "StudyInstanceUID"))
			at := slices.Index(column(t, rows, "StudyInstanceUID"), found[1])
			of := func(name string) string { return column(t, rows, name)[at] }
			require.Equal(t, []string{"FIRST", "3", "Phantom, Zero"}, []string{of("Source"), of("Row"), of("PatientName")})
			if name == "xlsx" {
				require.Equal(t,
					[]string{"0062115936", "0000123", "007"}, []string{of("PatientID"), of("AccessionNumber"), of("Cohort")},
				)
				require.Equal(t, "=cmd|'/c calc'!A0", of("StudyDescription"), "text, which is no formula")
				require.Equal(t,
					[]string{"1970-01-02", "2024-03-01", "08:15:00"}, []string{of("BirthDate"), of("StudyDate"), of("StudyTime")},
				)
			} else {
				for _, cells := range rows {
					for _, cell := range cells {
						require.False(t, strings.HasPrefix(cell, "="), cell)
					}
				}
				require.Contains(t, of("PatientID"), "0062115936")
			}
		})
	}
	require.NotContains(t, records(t, export(second.ID, false, client.CSV), ',')[0], "Source", "there is one source")

	failed := workbook(t, book)["Failed rows"]
	require.ElementsMatch(t, []string{"0062115936", "PHANTOM-404", "PHANTOM-404"}, column(t, failed, "PatientID"),
		"what either source does not know")
	var file bytes.Buffer
	require.NoError(t, s.client.Batch.FailedRows(t.Context(), first.ID, client.CSV, &file))
	rows := records(t, file.Bytes(), ',')
	require.Equal(t, []string{"PHANTOM-404"}, column(t, rows, "PatientID"))
	require.Contains(t, column(t, rows, "Remarks")[0], "knows no patient with this Patient ID")
	require.Equal(t, []string{"B"}, column(t, rows, "Cohort"))
	p, err := s.client.Batch.Check(t.Context(), client.BatchToCheck{
		Kind: client.BatchQuery, BatchFile: client.BatchFile{File: file.Bytes()},
	})
	require.NoError(t, err)
	require.Empty(t, p.Faults, "it can be used again")
	require.Equal(t, []string{"Cohort", "Row", "StudyInstanceUID"}, p.ExtraColumns)
	file.Reset()
	require.NoError(t, s.client.Batch.FailedRows(t.Context(), first.ID, client.XLSX, &file))
	require.Equal(t, []string{"PHANTOM-404"}, column(t, workbook(t, file.Bytes())["Failed rows"], "PatientID"))

	for _, f := range []client.Format{client.XLSX, client.CSV, client.CSVSemicolon} {
		p, err = s.client.Batch.Check(t.Context(), client.BatchToCheck{
			Kind: client.BatchTransfer, BatchFile: client.BatchFile{File: export(first.ID, true, f)}, Pseudonymize: true,
		})
		require.NoError(t, err)
		require.Empty(t, p.Faults, "%s: a batch transfer takes it as it is", f)
		require.Equal(t, 3, p.Tasks)
	}
	job, err := s.client.Batch.Transfer(t.Context(), client.NewBatchTransfer{
		BatchFile: client.BatchFile{File: export(first.ID, false, client.XLSX)}, Source: "FIRST", Destination: "RESEARCH",
		Pseudonymize: true,
	}, "")
	require.NoError(t, err)
	job, err = s.client.Jobs.Wait(t.Context(), job.ID, nil)
	require.NoError(t, err)
	require.Equal(t, client.Success, job.Status, job.Message)
	var moved []string
	all := client.StudyQuery{StudyDateFrom: "19000101"}
	for study, err := range s.client.Servers.Studies(t.Context(), "RESEARCH", all) {
		require.NoError(t, err)
		moved = append(moved, study.PatientID)
	}
	require.Len(t, moved, 2)
	require.Contains(t, moved, "SUBJ-1")
	require.NotContains(t, moved, zeros.Spec.Patient.ID)

	for name, err := range s.ofResults(t, s.otherUser(), first.ID) {
		require.Equal(t, 404, status(err), name)
	}
	for name, err := range s.ofResults(t, s.client, job.ID) {
		require.Equal(t, 409, status(err), name)
	}
	for name, err := range s.ofResults(t, s.client, 4711) {
		require.Equal(t, 404, status(err), name)
	}
}

// ofResults asks everything that can be asked of a job's results, and gives the errors.
func (s *site) ofResults(t *testing.T, c *client.Client, job int64) map[string]error {
	t.Helper()
	errs := map[string]error{}
	var file bytes.Buffer
	for _, err := range c.Batch.Results(t.Context(), job, client.ResultFilter{AllSources: true}) {
		errs["list"] = err
	}
	_, errs["count"] = c.Batch.Count(t.Context(), job, false)
	errs["export"] = c.Batch.Export(t.Context(), job, true, client.CSV, &file)
	errs["failed rows"] = c.Batch.FailedRows(t.Context(), job, client.XLSX, &file)
	require.Empty(t, file.Bytes())
	require.Len(t, slices.Collect(maps.Keys(errs)), 4)
	return errs
}

// TestBatchOfSeries: a row that asks for series finds series, and the export has columns for them.
func TestBatchOfSeries(t *testing.T) {
	studies := phantom.DemoStudies()
	s := batchSite(t, studies, nil)
	job := s.query(rowsOf("PatientID,Modality,SeriesDescription", "PHANTOM-002,MR,t? axial"), "FIRST")[0]
	require.Equal(t, client.Success, job.Status)
	count, err := s.client.Batch.Count(t.Context(), job.ID, false)
	require.NoError(t, err)
	require.Equal(t, client.QueryCount{
		Results: 2, Studies: 1, Patients: 1, OfSeries: true, ExtraColumns: []string{},
		Jobs: []client.JobOfSource{{ID: job.ID, Source: "FIRST"}},
	}, count)
	var file bytes.Buffer
	require.NoError(t, s.client.Batch.Export(t.Context(), job.ID, false, client.CSV, &file))
	rows := records(t, file.Bytes(), ',')
	require.Equal(t, []string{
		"PatientID", "PatientName", "BirthDate", "ModalitiesInStudy", "StudyDate", "StudyTime", "StudyDescription",
		"NumberOfSeriesRelatedInstances", "AccessionNumber", "StudyInstanceUID", "SeriesInstanceUID", "SeriesDescription",
		"SeriesNumber", "Row",
	}, rows[0])
	require.Len(t, rows, 3)
	p, err := s.client.Batch.Check(t.Context(), client.BatchToCheck{
		Kind: client.BatchTransfer, BatchFile: client.BatchFile{File: file.Bytes()},
	})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1, 1}, []int{p.FaultCount, p.Tasks, p.MergedRows})
}

// TestBatchSamples: each sample is a file that has no fault.
func TestBatchSamples(t *testing.T) {
	s := newSite(t)
	for _, kind := range []string{client.BatchQuery, client.BatchTransfer} {
		for _, f := range []client.Format{client.XLSX, client.CSV, client.CSVSemicolon} {
			var file bytes.Buffer
			require.NoError(t, s.client.Batch.Sample(t.Context(), kind, f, &file))
			p, err := s.client.Batch.Check(t.Context(), client.BatchToCheck{
				Kind: kind, BatchFile: client.BatchFile{File: file.Bytes()},
			})
			require.NoError(t, err)
			require.Empty(t, p.Faults, "%s as %s", kind, f)
			require.Positive(t, p.Tasks)
		}
	}
	r := s.send("GET", "/api/v1/batch-samples/batch_query", "")
	require.Equal(t, "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", r.Header.Get("Content-Type"))
	require.Equal(t, `attachment; filename="adit-batch_query.xlsx"`, r.Header.Get("Content-Disposition"))
	require.Equal(t, 422, s.send("GET", "/api/v1/batch-samples/mass_transfer", "").StatusCode)
}

// aboutOf returns what people wrote about a job.
func aboutOf(job client.Job) client.BatchAbout {
	return client.BatchAbout{Title: job.Title, Description: job.Description, EthicsID: job.EthicsID}
}
