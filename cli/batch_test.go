// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/xuri/excelize/v2"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// TestBatch: from a file of rows to what it found, and from there to a destination that holds exactly that.
func TestBatch(t *testing.T) {
	work := t.TempDir()
	s := process.ServePhantoms(t, t.TempDir(), "--database-url", dbtest.URL(t))
	demo := phantom.DemoStudies()
	write := func(name string, lines ...string) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(work, name), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	}
	adit := func(code int, args ...string) (out, stderr string) {
		t.Helper()
		out, stderr, got := aditIn(t, s, work, append([]string{"batch"}, args...))
		require.Equal(t, code, got, "%s\n%s%s", args, out, stderr)
		return out, stderr
	}
	write("rows.csv", "PatientID,Modality,Cohort", "PHANTOM-001,CT,A", "PHANTOM-002,MR,B")
	write("faulty.csv", "PatientID,Modality,From", "PHANTOM-*,CT,", "PHANTOM-002,,01.02.2020", "PHANTOM-002,MR,")
	write("unknown.csv", "PatientID;Modality;Cohort", "PHANTOM-001;CT;A", "0099;MR;007")

	out, _ := adit(0, "query", "rows.csv", "--source", "PACS-A", "--dry-run")
	require.Equal(t, "ADIT does not know these columns and keeps them beside: Cohort.\n2 rows, 2 queries of 2 patients.\n", out)
	out, _ = adit(command.ExitFailure, "query", "faulty.csv", "--source", "PACS-A", "--dry-run")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	require.Len(t, lines, 4, out)
	for i, begin := range []string{"Cell A2: ", "Cell ", "Cell ", "2 of 3 rows have faults. "} {
		require.True(t, strings.HasPrefix(lines[i], begin), out)
	}
	require.Contains(t, out, "Cell B3: Modality is missing.")
	require.Contains(t, out, "Cell C3: Which part is the day")
	out, _ = adit(command.ExitFailure, "query", "faulty.csv", "--source", "PACS-A", "--dry-run", "--dates", "DD.MM.YYYY")
	require.NotContains(t, out, "Cell C3")
	out, _ = adit(
		command.ExitFailure, "query", "faulty.csv", "--source", "PACS-A", "--dry-run", "--remarks", "remarks.xlsx",
	)
	require.Contains(t, out, "remarks.xlsx was written.\n")
	again, _ := adit(command.ExitFailure, "query", "remarks.xlsx", "--source", "PACS-A", "--dry-run")
	require.Contains(t, again, "Cell B3: Modality is missing.")
	_, stderr := adit(command.ExitUsage, "query", "rows.csv", "--source", "PACS-A", "--remarks", "rows.xlsx")
	require.Contains(t, stderr, "--remarks needs --dry-run")
	_, stderr = adit(command.ExitUsage, "query", "faulty.csv", "--source", "PACS-A")
	require.Contains(t, stderr, "nothing was made; the first is in cell A2: ")
	_, stderr = adit(command.ExitUsage, "query", "rows.csv", "--source", "PACS-A", "--give-up-after", "1s")
	require.Contains(t, stderr, "goes with --wait")
	_, stderr = adit(command.ExitFailure, "query", "nowhere.csv", "--source", "PACS-A")
	require.Contains(t, stderr, "nowhere.csv")
	out, code := s.Adit("job", "list")
	require.Zero(t, code)
	require.Equal(t, "There are no jobs.\n", out)

	out, _ = adit(0, "query", "rows.csv", "--source", "PACS-A", "--title", "Stroke imaging", "--wait")
	require.Contains(t, out, "Job 1 was made, which asks PACS-A.\n")
	require.Contains(t, out, "Job 1: success.")
	out, _ = adit(command.ExitFailure, "query", "unknown.csv", "--source", "PACS-A,RESEARCH", "--wait")
	require.Contains(t, out, "row 3: failure\n    The source knows no patient with this Patient ID")
	require.NotContains(t, out, "instances", "a query moves nothing")
	out, code = s.Adit("job", "get", "1")
	require.Zero(t, code)
	require.Contains(t, out, "Job 1: success; batch query at PACS-A, by admin\nTitle: Stroke imaging\nTasks: 0 pending")
	require.Contains(t, out, ": row 2: success\n    2 studies found.\n")
	require.NotContains(t, out, "Instances")
	out, _ = s.Adit("job", "list")
	require.Regexp(t, `(?m)^1 +success +2 of 2 +PACS-A +- +- +admin`, out)

	found := []string{demo[0].StudyInstanceUID, demo[1].StudyInstanceUID, demo[2].StudyInstanceUID}
	out, _ = adit(0, "results", "1")
	rows, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	require.ElementsMatch(t, found, below(t, rows, "StudyInstanceUID"))
	require.ElementsMatch(t, []string{"A", "A", "B"}, below(t, rows, "Cohort"))
	out, _ = adit(0, "results", "1", "--output", "results.xlsx")
	require.Contains(t, out, "results.xlsx was written.\n")
	book, err := excelize.OpenFile(filepath.Join(work, "results.xlsx"))
	require.NoError(t, err)
	rows, err = book.GetRows("Results")
	require.NoError(t, err)
	require.NoError(t, book.Close())
	require.ElementsMatch(t, found, below(t, rows, "StudyInstanceUID"))
	_, stderr = adit(command.ExitFailure, "results", "1", "-o", "results.xlsx")
	require.Contains(t, stderr, "exists already")
	_, stderr = adit(command.ExitFailure, "results", "4711", "-o", "none.csv")
	require.Contains(t, stderr, "not found")
	require.NoFileExists(t, filepath.Join(work, "none.csv"))
	out, _ = adit(0, "results", "3", "--all-sources", "--format", "csv-semicolon")
	require.Contains(t, out, ";Source;Row;Cohort")

	out, _ = adit(0, "failed", "2")
	rows, err = csv.NewReader(strings.NewReader(strings.TrimPrefix(out, "\ufeff"))).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Contains(t, below(t, rows, "PatientID")[0], "0099", "with its zeros")
	require.Contains(t, below(t, rows, "Cohort")[0], "007")
	adit(0, "failed", "2", "-o", "failed.xlsx")
	out, _ = adit(0, "query", "failed.xlsx", "--source", "PACS-A", "--dry-run")
	require.Contains(t, out, "1 row, 1 query of 1 patient.")

	for _, kind := range []string{"query", "transfer"} {
		adit(0, "sample", kind, "--output", kind+".xlsx")
		args := []string{kind, kind + ".xlsx", "--source", "PACS-A", "--dry-run"}
		if kind == "transfer" {
			args = append(args, "--destination", "RESEARCH")
		}
		out, _ = adit(0, args...)
		require.NotContains(t, out, "Cell")
	}

	out, _ = adit(0, "results", "1", "--output", "results.csv")
	require.Contains(t, out, "was written")
	out, _ = adit(0, "transfer", "results.csv", "--source", "PACS-A", "--destination", "RESEARCH", "--wait")
	require.Contains(t, out, "Job 4: success.")
	c, err := client.New(s.URL, client.WithToken(tokenOf(t, s)))
	require.NoError(t, err)
	want := slices.Clone(found)
	for _, own := range demo[len(demo)-3:] { // it had them before
		want = append(want, own.StudyInstanceUID)
	}
	var got []string
	for study, err := range c.Servers.Studies(t.Context(), "RESEARCH", client.StudyQuery{StudyDateFrom: "19000101"}) {
		require.NoError(t, err)
		got = append(got, study.StudyInstanceUID)
	}
	require.ElementsMatch(t, want, got, "exactly these")
}

// below returns the values of a column.
func below(t *testing.T, rows [][]string, name string) (values []string) {
	t.Helper()
	at := slices.Index(rows[0], name)
	require.GreaterOrEqual(t, at, 0, "%s is none of %v", name, rows[0])
	for _, row := range rows[1:] {
		values = append(values, row[at])
	}
	return values
}

// tokenOf is the administrator's.
func tokenOf(t *testing.T, s *process.Server) string {
	t.Helper()
	token, err := os.ReadFile(filepath.Join(s.DataDir, server.TokenFile))
	require.NoError(t, err)
	return strings.TrimSpace(string(token))
}
