// SPDX-License-Identifier: AGPL-3.0-or-later

package feed

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/engine/base"
)

func TestRead(t *testing.T) {
	for payload, want := range map[string]Change{
		"job 7":      {Job: 7},
		"job 7 3":    {Job: 7, Owner: 3},
		"task 7 12":  {Job: 7, Task: 12},
		"tasks 7":    {Job: 7, AllTasks: true},
		"jobs":       {AllJobs: true},
		"profile":    {Profile: true},
		"people":     {People: true},
		"nodes":      {Nodes: true},
		"audit":      {Audit: true},
		"task 7":     {},
		"job":        {},
		"job x":      {},
		"tasks":      {},
		"":           {},
		"volume 5 6": {},
	} {
		c, ok := read(payload)
		require.Equal(t, want != Change{}, ok, payload)
		if ok {
			require.Equal(t, want, c, payload)
		}
	}
}

// TestFollow: what any session commits is told, what it rolls back is not; a connection that is lost is opened again.
func TestFollow(t *testing.T) {
	pool := dbtest.New(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	svc := New(base.New(pool, nil, nil, slog.New(slog.DiscardHandler), base.Config{}))
	changes := make(chan Change, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		svc.Follow(ctx, func(c Change) { changes <- c })
	}()
	require.Equal(t, Change{Anything: true}, <-changes)

	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(ctx, sql)
		require.NoError(t, err)
	}
	exec("UPDATE users SET phone = '1'")
	require.Equal(t, Change{Profile: true}, <-changes)
	exec("DELETE FROM sessions")
	require.Equal(t, Change{People: true}, <-changes)
	exec("BEGIN; SELECT pg_notify('adit', 'job 5'); ROLLBACK")
	exec("SELECT pg_notify('adit', 'job 6'), pg_notify('adit', 'job 6')")
	require.Equal(t, Change{Job: 6}, <-changes)

	cut(t, pool)
	require.Equal(t, Change{Anything: true}, <-changes)
	exec("SELECT pg_notify('adit', 'nodes')")
	require.Equal(t, Change{Nodes: true}, <-changes)
	cancel()
	<-done
}

// cut ends the connection that listens.
func cut(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	var n int
	require.NoError(t, pool.QueryRow(t.Context(), `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
		WHERE datname = current_database() AND query = 'LISTEN adit'`).Scan(&n))
	require.Equal(t, 1, n)
}
