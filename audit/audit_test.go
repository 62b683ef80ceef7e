// SPDX-License-Identifier: AGPL-3.0-or-later

package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
)

func newService(t *testing.T) (*audit.Service, *pgxpool.Pool) {
	t.Helper()
	pool := dbtest.New(t)
	return audit.New(pool), pool
}

// record writes rows, each in a transaction of its own.
func record(t *testing.T, pool *pgxpool.Pool, objects ...string) {
	t.Helper()
	for _, object := range objects {
		require.NoError(t, audit.Record(t.Context(), db.New(pool), audit.Entry{Action: "job.create", Object: object}))
	}
}

func seal(t *testing.T, a *audit.Service) int {
	t.Helper()
	n, err := a.SealOnce(t.Context())
	require.NoError(t, err)
	return n
}

// tamper does what the triggers refuse, as the owner of the database may.
func tamper(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	require.NoError(t, db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
		for _, table := range []string{"audit", "audit_head"} {
			if _, err := tx.Exec(t.Context(), "ALTER TABLE "+table+" DISABLE TRIGGER USER"); err != nil {
				return err
			}
		}
		tag, err := tx.Exec(t.Context(), sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			err = errors.New("nothing was changed")
		}
		for _, table := range []string{"audit", "audit_head"} {
			if err == nil {
				_, err = tx.Exec(t.Context(), "ALTER TABLE "+table+" ENABLE TRIGGER USER")
			}
		}
		return err
	}))
}

func objects(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("job %d", i+1))
	}
	return all
}

func TestRecord(t *testing.T) {
	a, pool := newService(t)
	ctx := audit.WithActor(
		t.Context(), audit.Actor{UserID: 7, Username: "reader", Via: audit.ViaToken, Peer: "192.0.2.1:40123"},
	)
	entry := audit.Entry{
		Action: "task.transfer", Object: "task 3", PatientID: "P\x001\xff",
		StudyUID: "1.2.3", Source: "PACS1", Destination: "Research",
		Profile: "default 1", ProfileSHA256: "ab", Detail: map[string]any{"delivered": 40},
	}
	began := time.Now().Truncate(time.Microsecond)
	failed := errors.New("the change failed")
	require.ErrorIs(t, db.InTx(ctx, pool, func(tx pgx.Tx) error {
		require.NoError(t, audit.Record(ctx, db.New(pool).WithTx(tx), entry))
		return failed
	}), failed)
	require.NoError(t, audit.Record(ctx, db.New(pool), entry))
	require.NoError(t, audit.Record(t.Context(), db.New(pool), audit.Entry{Action: "server.pause"}))

	rows, err := a.List(t.Context(), audit.Filter{Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 2, "what did not happen leaves no row")
	require.Equal(t, audit.ViaSystem, rows[0].Via)
	require.JSONEq(t, `{}`, rows[0].Detail)
	got := rows[1]
	require.WithinRange(t, got.At, began, time.Now())
	got.At, got.ID = time.Time{}, 0
	require.Equal(t, audit.Row{
		UserID: 7, Username: "reader", Via: audit.ViaToken, Peer: "192.0.2.1",
		Action: "task.transfer", Object: "task 3", PatientID: "P\uFFFD1\uFFFD", StudyUID: "1.2.3",
		Source: "PACS1", Destination: "Research", Profile: "default 1", ProfileSHA256: "ab", Detail: `{"delivered":40}`,
	}, got)
}

// TestLongDetail: what is more than a row holds is refused in words.
func TestLongDetail(t *testing.T) {
	_, pool := newService(t)
	names := slices.Repeat([]string{"somebody.else"}, 6000)
	var invalid *refusal.Invalid
	err := audit.Record(
		t.Context(), db.New(pool), audit.Entry{Action: "server.pause", Detail: map[string]any{"names": names}},
	)
	require.ErrorAs(t, err, &invalid)
	require.NoError(t, audit.Record(
		t.Context(), db.New(pool), audit.Entry{Action: "server.pause", Detail: map[string]any{"names": names[:4000]}},
	))
}

func TestFilters(t *testing.T) {
	a, pool := newService(t)
	q := db.New(pool)
	as := func(name string) context.Context {
		return audit.WithActor(t.Context(), audit.Actor{UserID: 1, Username: name, Via: audit.ViaToken})
	}
	for i, name := range []string{"Ada", "bob", "ada"} {
		require.NoError(t, audit.Record(as(name), q, audit.Entry{
			Action: "task.transfer", StudyUID: fmt.Sprint("1.2.", i), PatientID: "P", Object: fmt.Sprint(i),
		}))
	}
	require.NoError(t, audit.Record(as("bob"), q, audit.Entry{Action: "server.pause", Object: "3"}))
	var at time.Time
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT at FROM audit WHERE object = '1'").Scan(&at))

	for name, tt := range map[string]struct {
		f    audit.Filter
		want string
	}{
		"all":            {audit.Filter{}, "3210"},
		"page":           {audit.Filter{Limit: 2}, "32"},
		"user, any case": {audit.Filter{Username: "ADA"}, "20"},
		"study":          {audit.Filter{StudyUID: "1.2.1"}, "1"},
		"patient":        {audit.Filter{PatientID: "P"}, "210"},
		"action":         {audit.Filter{Action: "server.pause"}, "3"},
		"from":           {audit.Filter{From: at}, "321"},
		"until":          {audit.Filter{Until: at}, "0"},
		"several":        {audit.Filter{Username: "ada", PatientID: "P", From: at}, "2"},
		"none":           {audit.Filter{StudyUID: "9"}, ""},
	} {
		if tt.f.Limit == 0 {
			tt.f.Limit = 10
		}
		rows, err := a.List(t.Context(), tt.f)
		require.NoError(t, err, name)
		got := ""
		for _, r := range rows {
			got += r.Object
		}
		require.Equal(t, tt.want, got, name)
	}
	first, err := a.List(t.Context(), audit.Filter{Limit: 2})
	require.NoError(t, err)
	next, err := a.List(t.Context(), audit.Filter{Limit: 2, Before: first[1].ID})
	require.NoError(t, err)
	require.Equal(t, "1", next[0].Object)
	_, err = a.List(t.Context(), audit.Filter{Action: "server.reboot' OR true", Limit: 1})
	require.NoError(t, err)
}

// TestAppendOnly: a row may be sealed once; nothing else can happen to it.
func TestAppendOnly(t *testing.T) {
	a, pool := newService(t)
	record(t, pool, objects(3)...)
	require.Equal(t, 3, seal(t, a))
	record(t, pool, "job 4")
	for _, sql := range []string{
		"UPDATE audit SET username = 'another' WHERE seq = 2",
		"UPDATE audit SET seq = 9, hash = sha256('x') WHERE seq = 2",
		"UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 2",
		"UPDATE audit SET object = 'job 5' WHERE object = 'job 4'",
		"UPDATE audit SET object = 'job 5', seq = 4, hash = sha256('x') WHERE object = 'job 4'",
		"DELETE FROM audit WHERE seq = 3",
		"DELETE FROM audit WHERE object = 'job 4'",
		"TRUNCATE audit",
		"INSERT INTO audit (action, seq, hash) VALUES ('job.create', 4, sha256('x'))",
		"UPDATE audit_head SET seq = 2",
		"DELETE FROM audit_head",
		"TRUNCATE audit_head",
	} {
		_, err := pool.Exec(t.Context(), sql)
		require.ErrorContains(t, err, "42501", sql) // insufficient_privilege
	}
	require.Equal(t, 1, seal(t, a))
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.EqualValues(t, 4, report.Rows)
}

// TestVerify: what the owner of a database may do to its log is found, and named.
func TestVerify(t *testing.T) {
	for name, tt := range map[string]struct {
		tamper []string
		kept   bool // with the head that was taken before
		want   string
	}{
		"sound":          {},
		"sound, by head": {kept: true},
		"changed":        {tamper: []string{"UPDATE audit SET username = 'another' WHERE seq = 4"}, want: "Row 4 does not match its hash"},
		"time changed":   {tamper: []string{"UPDATE audit SET at = at + interval '1 microsecond' WHERE seq = 1"}, want: "Row 1 does not match its hash"},
		"detail changed": {tamper: []string{"UPDATE audit SET detail = '{ }' WHERE seq = 10"}, want: "Row 10 does not match its hash"},
		"changed with its hash": {
			tamper: []string{"UPDATE audit SET username = 'another', hash = sha256('x') WHERE seq = 4"},
			want:   "Row 4 does not match its hash: it was changed, or the row before it was changed and given a new hash.\nRow 5 does not match its hash",
		},
		"removed":         {tamper: []string{"DELETE FROM audit WHERE seq = 4"}, want: "Row 4 is missing: it was removed.\n"},
		"several removed": {tamper: []string{"DELETE FROM audit WHERE seq BETWEEN 4 AND 6"}, want: "Rows 4 to 6 are missing: they were removed.\n"},
		"first removed":   {tamper: []string{"DELETE FROM audit WHERE seq = 1"}, want: "Row 1 is missing: it was removed.\n"},
		"unsealed again":  {tamper: []string{"UPDATE audit SET seq = NULL, hash = NULL WHERE seq = 4"}, want: "Row 4 is missing: it was removed.\n"},
		"cut off":         {tamper: []string{"DELETE FROM audit WHERE seq > 8"}, want: "Rows 9 to 10 are missing: the end of the log was cut off.\n"},
		"last removed":    {tamper: []string{"DELETE FROM audit WHERE seq = 10"}, want: "Row 10 is missing: the end of the log was cut off.\n"},
		"all removed":     {tamper: []string{"DELETE FROM audit"}, want: "Rows 1 to 10 are missing: the end of the log was cut off.\n"},
		"cut off with the head set back": {
			tamper: []string{
				"DELETE FROM audit WHERE seq > 8",
				"UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit WHERE seq = 8)",
			},
			kept: true,
			want: "Rows 9 to 10 are missing: the end of the log was cut off.\n",
		},
		"head set back": {
			tamper: []string{"UPDATE audit_head SET seq = 8, hash = (SELECT hash FROM audit WHERE seq = 8)"},
			want:   "Rows 9 to 10 come after the last head that ADIT wrote: ADIT did not seal them.\n",
		},
		"head of another chain": {tamper: []string{"UPDATE audit_head SET hash = sha256('x')"}, want: "Row 10 is not the row that it was when its head was taken"},
	} {
		t.Run(name, func(t *testing.T) {
			a, pool := newService(t)
			record(t, pool, objects(10)...)
			require.Equal(t, 10, seal(t, a))
			head, err := a.Head(t.Context())
			require.NoError(t, err)
			for _, sql := range tt.tamper {
				tamper(t, pool, sql)
			}
			var kept []audit.Head
			if tt.kept {
				kept = append(kept, head)
			}
			report, err := a.Verify(t.Context(), kept...)
			require.NoError(t, err)
			if tt.want == "" {
				require.Empty(t, report.Faults)
				require.Equal(t, head, report.Head)
				return
			}
			require.Contains(t, told(report), tt.want)
			require.NotContains(t, told(report), "Row 7", "a fault is told once")
		})
	}
}

func told(r audit.ChainReport) string {
	var all strings.Builder
	for _, f := range r.Faults {
		fmt.Fprintln(&all, f)
	}
	return all.String()
}

// TestRewrittenChain: who rewrites the chain from a row on, hashes and head included, is found by a head that was kept
// elsewhere.
func TestRewrittenChain(t *testing.T) {
	a, pool := newService(t)
	record(t, pool, objects(5)...)
	require.Equal(t, 5, seal(t, a))
	head, err := a.Head(t.Context())
	require.NoError(t, err)

	tamper(t, pool, "UPDATE audit SET username = 'another' WHERE seq = 3")
	tamper(t, pool, "UPDATE audit_head SET seq = 2, hash = (SELECT hash FROM audit WHERE seq = 2)")
	tamper(t, pool, "UPDATE audit SET seq = NULL, hash = NULL WHERE seq > 2")
	require.Equal(t, 3, seal(t, a))
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Faults, "the chain alone can't show it")
	report, err = a.Verify(t.Context(), head)
	require.NoError(t, err)
	require.Equal(t, []audit.ChainFault{{From: 5, To: 5, Fault: audit.Rewritten}}, report.Faults)
}

func TestExport(t *testing.T) {
	a, pool := newService(t)
	record(t, pool, objects(6)...)
	require.NoError(t, audit.Record(t.Context(), db.New(pool), audit.Entry{
		Action: "server.search", Detail: map[string]any{"keys": "<Müller&\u2028>"},
	}))
	require.Equal(t, 7, seal(t, a))
	record(t, pool, "not sealed")

	var out bytes.Buffer
	head, err := a.Export(t.Context(), &out, 0)
	require.NoError(t, err)
	text := out.String()
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	require.Len(t, lines, 8)
	require.JSONEq(t, fmt.Sprintf(`{"head":"%s"}`, head), lines[7])
	report, err := audit.VerifyExport(&out)
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.Equal(t, head, report.Head)
	require.EqualValues(t, 7, report.Rows)

	for name, tt := range map[string]struct {
		text, want string
	}{
		"changed":  {strings.Replace(text, "job 3", "job 4", 1), "Row 3 does not match its hash"},
		"removed":  {strings.Replace(text, lines[2], "", 1), "Row 3 is missing: it was removed"},
		"cut off":  {strings.Replace(text, lines[6], "", 1), "Row 7 is missing: the end of the log was cut off"},
		"repeated": {strings.Replace(text, lines[2], lines[2]+lines[2], 1), "Row 3 is in the place of another one"},
	} {
		report, err := audit.VerifyExport(strings.NewReader(tt.text))
		require.NoError(t, err, name)
		require.Contains(t, told(report), tt.want, name)
	}
	for name, tt := range map[string]struct {
		text, want string
	}{
		"without its head": {strings.Join(lines[:7], ""), "truncated"},
		"empty":            {"", "truncated"},
		"goes on":          {text + lines[0], "comes after the head"},
		"not JSON":         {"seq;id\n", "line 1 is not a line"},
		"a long line":      {strings.Repeat(" ", 2<<20), "too long"},
	} {
		_, err := audit.VerifyExport(strings.NewReader(tt.text))
		require.ErrorContains(t, err, tt.want, name)
	}

	t.Run("by somebody else's program", func(t *testing.T) { // docs/admin.md tells how, and it is no more than that
		run := func(text string) (string, error) {
			cmd := exec.CommandContext(t.Context(), "python3", filepath.Join("testdata", "verify.py"))
			cmd.Stdin = strings.NewReader(text)
			out, err := cmd.CombinedOutput()
			return string(out), err
		}
		said, err := run(text)
		require.NoError(t, err, said)
		require.Equal(t, head.String()+"\n", said)
		_, err = run(strings.Replace(text, "job 3", "job 4", 1))
		require.Error(t, err)
	})

	t.Run("in parts", func(t *testing.T) {
		require.Equal(t, 1, seal(t, a))
		var rest bytes.Buffer
		newest, err := a.Export(t.Context(), &rest, head.Seq)
		require.NoError(t, err)
		part := rest.String()
		report, err := audit.VerifyExport(strings.NewReader(part), head)
		require.NoError(t, err)
		require.Empty(t, report.Faults)
		require.Equal(t, newest, report.Head)
		report, err = audit.VerifyExport(strings.NewReader(part))
		require.NoError(t, err)
		require.Contains(t, told(report), "Rows 1 to 7 are missing")
	})
}

// TestLateCommit: a row whose transaction began first and was committed last is not lost.
func TestLateCommit(t *testing.T) {
	a, pool := newService(t)
	late, err := pool.Begin(t.Context())
	require.NoError(t, err)
	require.NoError(t, audit.Record(
		t.Context(), db.New(pool).WithTx(late), audit.Entry{Action: "job.create", Object: "late"},
	))
	record(t, pool, "early")
	require.Equal(t, 1, seal(t, a), "nobody waits for who is not done")
	require.NoError(t, late.Commit(t.Context()))
	require.Equal(t, 1, seal(t, a))
	require.Zero(t, seal(t, a))
	rows, err := a.List(t.Context(), audit.Filter{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, "early", rows[0].Object)
	require.EqualValues(t, 1, rows[0].Seq)
	require.Equal(t, "late", rows[1].Object)
	require.EqualValues(t, 2, rows[1].Seq)
	require.Less(t, rows[1].ID, rows[0].ID)
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Faults)
}

// TestManyWritersTwoSealers: rows of many writers, half of whose transactions are rolled back, are chained by two
// sealers while they are written: each row once, none is lost, and the chain is sound whenever somebody looks.
func TestManyWritersTwoSealers(t *testing.T) {
	a, pool := newService(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	sealing, stop := context.WithCancel(ctx)
	var sealers, writers sync.WaitGroup
	for range 2 {
		sealers.Go(func() { audit.New(pool).Seal(sealing, testpeer.Log(t), nil) })
	}
	const writer, each = 6, 40
	for range writer {
		writers.Go(func() {
			for i := range each {
				err := db.InTx(ctx, pool, func(tx pgx.Tx) error {
					if err := audit.Record(
						ctx, db.New(pool).WithTx(tx), audit.Entry{Action: "job.create"},
					); err != nil || i%2 == 0 {
						return err
					}
					return pgx.ErrTxClosed
				})
				if err != nil && !errors.Is(err, pgx.ErrTxClosed) {
					t.Error(err)
				}
			}
		})
	}
	for report := (audit.ChainReport{}); report.Rows < writer*each/2; {
		var err error
		report, err = a.Verify(ctx)
		require.NoError(t, err)
		require.Empty(t, report.Faults)
	}
	writers.Wait()
	stop()
	sealers.Wait()
	report, err := a.Verify(ctx)
	require.NoError(t, err)
	require.Empty(t, report.Faults)
	require.EqualValues(t, writer*each/2, report.Rows)
	require.Zero(t, report.Unsealed)
}

// TestOneSealer: while one process seals, another one leaves it to it and does not wait.
func TestOneSealer(t *testing.T) {
	a, pool := newService(t)
	began := time.Now().Truncate(time.Microsecond)
	record(t, pool, "job 1")
	other, err := pool.Begin(t.Context())
	require.NoError(t, err)
	ours, err := db.New(pool).WithTx(other).LockAuditChain(t.Context())
	require.NoError(t, err)
	require.True(t, ours)
	require.Zero(t, seal(t, a))
	report, err := a.Verify(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, report.Unsealed)
	require.WithinRange(t, report.Oldest, began, time.Now())
	require.NoError(t, other.Rollback(t.Context())) // as when the process dies
	require.Equal(t, 1, seal(t, a))
}
