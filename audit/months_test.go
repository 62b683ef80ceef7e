// SPDX-License-Identifier: AGPL-3.0-or-later

package audit_test

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/refusal"
)

// oldLog is a log with rows of January to March 2020, sealed in the order given: "1" is a row of January. What was
// sealed by then is in the database for good.
func oldLog(t *testing.T, months string) (*audit.Service, *pgxpool.Pool) {
	t.Helper()
	pool := dbtest.New(t)
	a := audit.New(pool)
	_, err := pool.Exec(
		t.Context(), "SELECT audit_add_month(make_timestamptz(2020, m, 5, 0, 0, 0)) FROM generate_series(1, 3) m",
	)
	require.NoError(t, err)
	for i, m := range months {
		_, err := pool.Exec(t.Context(),
			"INSERT INTO audit (at, action, object) VALUES (make_timestamptz(2020, $1, 20, 12, 0, 0), 'job.create', $2)",
			int(m-'0'), fmt.Sprint("job ", i+1),
		)
		require.NoError(t, err)
		require.Equal(t, 1, seal(t, a))
	}
	return a, pool
}

// detach exports a month and takes it out of the database.
func detach(t *testing.T, a *audit.Service, month string) (audit.MonthExport, string) {
	t.Helper()
	var out bytes.Buffer
	x, err := a.ExportMonth(t.Context(), &out, month)
	require.NoError(t, err)
	report, err := audit.VerifyExport(bytes.NewReader(out.Bytes()), x.Before)
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.Equal(t, x.Head, report.Head)
	require.NoError(t, a.DetachMonth(t.Context(), x, "sum of "+month))
	return x, out.String()
}

// TestDetach: the chain goes on over months that were detached, however their rows lie between those of others, and
// each export is verified by itself, by us and by somebody else's program.
func TestDetach(t *testing.T) {
	for name, tt := range map[string]struct {
		months string
		gone   []string // what is told after each month
	}{
		"one after the other":           {"111222333", []string{"1-3", "1-6", "1-9"}},
		"late rows of the month before": {"1121233", []string{"1-2 4-4", "1-5", "1-7"}},
		"a clock that was put back":     {"13122331", []string{"1-1 3-3 8-8", "1-1 3-5 8-8", "1-8"}},
		"a month without rows":          {"1133", []string{"1-2", "", "1-4"}},
		"not the first month":           {"22333", []string{"", "1-2", "1-5"}},
	} {
		t.Run(name, func(t *testing.T) {
			a, pool := oldLog(t, tt.months)
			first, err := a.Head(t.Context())
			require.NoError(t, err)
			for i, want := range tt.gone {
				month := fmt.Sprintf("2020-%02d", i+1)
				if want == "" {
					_, err := a.ExportMonth(t.Context(), &bytes.Buffer{}, month)
					require.ErrorContains(t, err, "has no rows of "+month)
					continue
				}
				x, text := detach(t, a, month)
				cmd := exec.CommandContext(
					t.Context(), "python3", filepath.Join("testdata", "verify.py"), x.Before.String(),
				)
				cmd.Stdin = strings.NewReader(text)
				said, err := cmd.CombinedOutput()
				require.NoError(t, err, string(said))
				require.Equal(t, x.Head.String()+"\n", string(said))

				report, err := a.Verify(t.Context(), first)
				require.NoError(t, err)
				require.Empty(t, report.Faults)
				var gone []string
				for _, g := range report.Gone {
					gone = append(gone, fmt.Sprintf("%d-%d", g.From, g.To))
				}
				require.Equal(t, want, strings.Join(gone, " "))
				require.Equal(t, month, report.Months[len(report.Months)-1].Month)
				require.Equal(t, "sum of "+month, report.Months[len(report.Months)-1].SHA256)
			}
			record(t, pool, "job 100")
			require.Equal(t, 1, seal(t, a))
			var out bytes.Buffer
			head, err := a.Export(t.Context(), &out, 0)
			require.NoError(t, err)
			report, err := audit.VerifyExport(&out)
			require.NoError(t, err)
			require.Empty(t, report.Faults)
			require.Equal(t, head, report.Head)
			require.NotEmpty(t, report.Gone)
		})
	}
}

// TestDetachCarriesOn: the row that tells of a month goes with its own month, and what it told is not forgotten.
func TestDetachCarriesOn(t *testing.T) {
	a, pool := oldLog(t, "11")
	detach(t, a, "2020-01")
	tamper(t, pool, "UPDATE audit SET seq = NULL, hash = NULL WHERE seq > 2")
	tamper(t, pool, "UPDATE audit_head SET seq = 2, hash = decode((SELECT detail::json->'gone'->0->>'hash' FROM audit WHERE action = 'audit.detach'), 'hex')")
	tamper(t, pool, "UPDATE audit SET at = '2020-02-03' WHERE action = 'audit.detach'") // as if it had been done then
	require.Equal(t, 1, seal(t, a))
	x, text := detach(t, a, "2020-02")
	require.Contains(t, text, audit.ActDetach)
	require.EqualValues(t, 3, x.Head.Seq)
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.Len(t, report.Months, 2)
	require.Len(t, report.Gone, 1)
	require.EqualValues(t, 3, report.Gone[0].To)
}

// TestDetachRefused: what others still need stays.
func TestDetachRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		sql   string // before
		month string
		after string // it was exported
		want  string
	}{
		"no month":       {month: "2020-1", want: "such as 2026-11"},
		"without rows":   {month: "2019-12", want: "no rows of 2019-12"},
		"not the oldest": {month: "2020-02", want: "the oldest one is 2020-01"},
		"not over": {
			sql: "TRUNCATE_MONTHS", month: time.Now().UTC().Format("2006-01"), want: "one day after it ends",
		},
		"not sealed": {sql: "INSERT INTO audit (at, action) VALUES ('2020-01-31', 'job.create')", month: "2020-01", want: "1 rows of 2020-01 are not sealed"},
		"not sent": {
			sql:   "INSERT INTO audit_receivers VALUES ('somewhere', 1, '" + uuid.NewString() + "', now())",
			month: "2020-01", want: "has not received all rows",
		},
		"more since": {
			month: "2020-01", after: "INSERT INTO audit (at, action) VALUES ('2020-01-31', 'job.create')",
			want: "has 1 new rows since it was exported",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, pool := oldLog(t, "1122")
			if tt.sql == "TRUNCATE_MONTHS" {
				detach(t, a, "2020-01")
				detach(t, a, "2020-02")
			} else if tt.sql != "" {
				_, err := pool.Exec(t.Context(), tt.sql)
				require.NoError(t, err)
			}
			x, err := a.ExportMonth(t.Context(), &bytes.Buffer{}, tt.month)
			if tt.after != "" {
				require.NoError(t, err)
				_, err = pool.Exec(t.Context(), tt.after)
				require.NoError(t, err)
				err = a.DetachMonth(t.Context(), x, "sum")
				require.ErrorContains(t, err, "nothing was removed")
			}
			require.ErrorContains(t, err, tt.want)
			var invalid *refusal.Invalid
			var conflict *refusal.Conflict
			require.True(t, errors.As(err, &invalid) || errors.As(err, &conflict))
			report, err := a.Verify(t.Context())
			require.NoError(t, err)
			require.Empty(t, report.Faults)
		})
	}
}

// TestVerifyAfterDetach: what is done to a log of which a month was detached is found as before.
func TestVerifyAfterDetach(t *testing.T) {
	for name, tt := range map[string]struct {
		tamper []string
		want   string
	}{
		"a month that nobody detached": {[]string{"DELETE FROM audit WHERE at < '2020-03-01'"}, "Rows 4 to 6 are missing: they were removed."},
		"the row that tells of it":     {[]string{"DELETE FROM audit WHERE action = 'audit.detach'"}, "Rows 1 to 3 are missing: they were removed."},
		"what it tells":                {[]string{`UPDATE audit SET detail = replace(detail, '"to":3', '"to":4') WHERE action = 'audit.detach'`}, "Row 10 does not match its hash"},
		"a row after the gap":          {[]string{"UPDATE audit SET object = 'job 7' WHERE seq = 4"}, "Row 4 does not match its hash"},
		"the row after the gap":        {[]string{"DELETE FROM audit WHERE seq = 4"}, "Row 4 is missing: it was removed."},
		"another one":                  {[]string{"DELETE FROM audit WHERE seq = 8"}, "Row 8 is missing: it was removed."},
		"cut off":                      {[]string{"DELETE FROM audit WHERE seq > 8"}, "are missing"},
	} {
		t.Run(name, func(t *testing.T) {
			a, pool := oldLog(t, "111222333")
			detach(t, a, "2020-01")
			for _, sql := range tt.tamper {
				tamper(t, pool, sql)
			}
			report, err := a.Verify(t.Context())
			require.NoError(t, err)
			require.Contains(t, told(report), tt.want)
		})
	}

	t.Run("heads that were kept", func(t *testing.T) {
		a, _ := oldLog(t, "111222333")
		var out bytes.Buffer
		_, err := a.Export(t.Context(), &out, 0)
		require.NoError(t, err)
		x, _ := detach(t, a, "2020-01")
		report, err := a.Verify(t.Context(), audit.Head{Seq: 2}, x.Head)
		require.NoError(t, err)
		require.Empty(t, report.Faults)
		require.Equal(t, []audit.Head{{Seq: 2}}, report.Passed, "nobody can tell any more, and it is said")
		wrong := x.Head
		wrong.Hash[0] ^= 1
		report, err = a.Verify(t.Context(), wrong)
		require.NoError(t, err)
		require.Equal(t, []audit.ChainFault{{From: 3, To: 3, Fault: audit.Rewritten}}, report.Faults)
	})
}

// TestMonths: rows go into the month that they are of, and those of a month that nobody foresaw are part of the log all
// the same.
func TestMonths(t *testing.T) {
	a, pool := newService(t)
	record(t, pool, "job 1")
	for range 2 {
		_, err := pool.Exec(
			t.Context(), "INSERT INTO audit (at, action) VALUES (now() + interval '1 year', 'job.create')",
		)
		require.NoError(t, err)
		require.NoError(t, a.AddMonths(t.Context()))
		// that instant has come, and rows of it are there
		_, err = pool.Exec(t.Context(), "SELECT audit_add_month(now() + interval '1 year')")
		require.NoError(t, err)
	}
	require.Equal(t, 3, seal(t, a))
	months, err := a.Months(t.Context())
	require.NoError(t, err)
	require.Len(t, months, 2)
	require.Equal(t, time.Now().UTC().Format("2006-01"), months[0].String())
	require.Equal(t, "other", months[1].String())
	require.EqualValues(t, 2, months[1].Rows)
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	for _, table := range []string{"audit_" + time.Now().UTC().Format("2006_01"), "audit_other"} {
		for _, sql := range []string{"TRUNCATE ", "DELETE FROM ", "UPDATE %s SET object = 'x' -- "} {
			if strings.Contains(sql, "%s") {
				sql = fmt.Sprintf(sql, table)
			}
			_, err := pool.Exec(t.Context(), sql+table)
			require.ErrorContains(t, err, "42501", sql+table)
		}
	}
}
