// SPDX-License-Identifier: AGPL-3.0-or-later

package apiuse_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people/apiuse"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServer()...) }

// newUse returns what counts on a database with the users ada (1), who has the token 1, and bob (2).
func newUse(t *testing.T) (*apiuse.Service, *pgxpool.Pool) {
	t.Helper()
	pool := dbtest.New(t)
	_, err := pool.Exec(t.Context(), `INSERT INTO users (username) VALUES ('ada'), ('bob');
		INSERT INTO api_tokens (user_id, description, sha256) VALUES (1, 'nightly export', sha256('x'))`)
	require.NoError(t, err)
	return apiuse.New(db.New(pool)), pool
}

func list(t *testing.T, s *apiuse.Service, f apiuse.Filter) (said []string) {
	t.Helper()
	f.Limit = 100
	rows, err := s.List(t.Context(), f)
	require.NoError(t, err)
	for _, r := range rows {
		said = append(said, fmt.Sprintf(
			"%s %d %s %s: %d %d %d %d", r.Username, r.TokenID, r.Token, r.Operation, r.Requests, r.ClientErrors,
			r.ServerErrors, r.Bytes,
		))
	}
	return said
}

// TestCounts: requests are counted by user, token and operation, and added to what is there already.
func TestCounts(t *testing.T) {
	s, pool := newUse(t)
	ctx := t.Context()
	require.NoError(t, s.Flush(ctx), "nothing was asked")
	for _, status := range []int{200, 304, 404, 429, 500, 503} {
		s.Count(apiuse.Request{UserID: 1, TokenID: 1, Operation: "get-job", Status: status, Bytes: 100})
	}
	require.NoError(t, s.Flush(ctx))
	s.Count(apiuse.Request{UserID: 1, TokenID: 1, Operation: "get-job", Status: 200, Bytes: 1})
	s.Count(apiuse.Request{UserID: 1, Operation: "get-job", Status: 200, Bytes: 2})
	s.Count(apiuse.Request{UserID: 2, TokenID: 77, Operation: "get-me", Status: 200, Bytes: 3}) // revoked meanwhile
	s.Count(apiuse.Request{UserID: 99, TokenID: 9, Operation: "get-me", Status: 200})           // deleted meanwhile
	require.NoError(t, s.Flush(ctx))
	require.NoError(t, s.Flush(ctx), "all of it was written")
	want := []string{
		"ada 1 nightly export get-job: 7 2 2 601", "ada 0  get-job: 1 0 0 2", "bob 77  get-me: 1 0 0 3",
	}
	require.ElementsMatch(t, want, list(t, s, apiuse.Filter{}))
	require.ElementsMatch(t, want[:2], list(t, s, apiuse.Filter{Username: "ADA"}))
	_, err := s.List(ctx, apiuse.Filter{Username: "nobody", Limit: 1})
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)

	_, err = pool.Exec(ctx, "UPDATE api_use SET day = current_date - 50 WHERE token_id = 77")
	require.NoError(t, err)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	before := today.AddDate(0, 0, -2)
	require.ElementsMatch(t, want[:2], list(t, s, apiuse.Filter{From: &before}))
	require.ElementsMatch(t, want[2:], list(t, s, apiuse.Filter{To: &before}))

	_, err = pool.Exec(ctx, "DELETE FROM users WHERE id = 2")
	require.NoError(t, err)
	require.ElementsMatch(t, want[:2], list(t, s, apiuse.Filter{}), "it goes with the user")
}

// statements counts what the database is asked for.
type statements struct{ atomic.Int64 }

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	s.Add(1)
	return ctx
}

func (*statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestOneStatement: counting asks the database for nothing, and all of it is written by one statement.
func TestOneStatement(t *testing.T) {
	cfg, err := pgxpool.ParseConfig(dbtest.URL(t))
	require.NoError(t, err)
	asked := &statements{}
	cfg.ConnConfig.Tracer = asked
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	require.NoError(t, err)
	defer pool.Close()
	s := apiuse.New(db.New(pool))
	for n := range int64(1000) {
		s.Count(apiuse.Request{UserID: n % 7, TokenID: n % 11, Operation: "get-me", Status: 200})
	}
	require.Zero(t, asked.Load())
	require.NoError(t, s.Flush(t.Context()))
	require.EqualValues(t, 1, asked.Load())
	require.NoError(t, s.Flush(t.Context()))
	require.EqualValues(t, 1, asked.Load(), "nothing was counted since")
}

// TestDatabaseAway: what can't be written waits, and is written once when the database is there again.
func TestDatabaseAway(t *testing.T) {
	s, pool := newUse(t)
	_, err := pool.Exec(t.Context(), "ALTER TABLE api_use RENAME TO away")
	require.NoError(t, err)
	for n := range 3 {
		s.Count(apiuse.Request{UserID: 1, Operation: "get-me", Status: 200, Bytes: 1})
		require.Error(t, s.Flush(t.Context()), n)
	}
	_, err = pool.Exec(t.Context(), "ALTER TABLE away RENAME TO api_use")
	require.NoError(t, err)
	s.Count(apiuse.Request{UserID: 1, Operation: "get-me", Status: 400, Bytes: 1})
	require.NoError(t, s.Flush(t.Context()))
	require.Equal(t, []string{"ada 0  get-me: 4 1 0 4"}, list(t, s, apiuse.Filter{}))
}

// TestTooManyKinds: what is held in memory is bounded, and no request is lost.
func TestTooManyKinds(t *testing.T) {
	s, pool := newUse(t)
	const many = 12_000
	var all sync.WaitGroup
	for part := range 4 {
		all.Go(func() {
			for n := range many / 4 {
				s.Count(apiuse.Request{UserID: 1, TokenID: int64(part*many + n), Operation: "get-me", Status: 200})
			}
		})
	}
	all.Wait()
	require.NoError(t, s.Flush(t.Context()))
	var rows, requests int
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*), sum(requests) FROM api_use").Scan(&rows, &requests))
	require.Equal(t, many, requests)
	require.LessOrEqual(t, rows, 5001)
}

// TestRun: what was counted is written down at the end of the process, if not before.
func TestRun(t *testing.T) {
	s, _ := newUse(t)
	s.Count(apiuse.Request{UserID: 1, Operation: "get-me", Status: 200})
	ctx, stop := context.WithCancel(t.Context())
	stop()
	s.Run(ctx, nil)
	require.Len(t, list(t, s, apiuse.Filter{}), 1)
}

// TestOldUseGoes: the clean-up removes what is older than it is kept.
func TestOldUseGoes(t *testing.T) {
	s, pool := newUse(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO api_use (day, user_id, token_id, token, operation, requests, client_errors, server_errors, bytes, last_at)
		SELECT current_date - n, 1, n, '', 'get-me', 1, 0, 0, 0, now() FROM unnest(ARRAY[1, $1, $1 + 1, $1 + 200]) n`, apiuse.Kept)
	require.NoError(t, err)
	n, err := db.New(pool).DeleteOldAPIUse(t.Context(), db.DeleteOldAPIUseParams{Days: apiuse.Kept, Max: 1})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	_, err = db.New(pool).DeleteOldAPIUse(t.Context(), db.DeleteOldAPIUseParams{Days: apiuse.Kept, Max: 100})
	require.NoError(t, err)
	require.Len(t, list(t, s, apiuse.Filter{}), 2)
}
