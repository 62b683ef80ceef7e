// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
)

// TestClockPutBack: no wait gets longer than it was meant to by a clock of the database that goes back, which is the
// same as all times that were kept lying ahead.
func TestClockPutBack(t *testing.T) {
	n := newIdle(t)
	waiting, fresh, verifying := n.Transfer("source", "destination", "1.2.1").ID,
		n.Transfer("source", "destination", "1.2.2").ID, n.Transfer("source", "destination", "1.2.3").ID
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	seconds := func(sql string, args ...any) (s float64) {
		t.Helper()
		require.NoError(t, n.Pool.QueryRow(
			t.Context(), "SELECT coalesce(extract(epoch FROM ("+sql+") - now()), -1)::float8", args...,
		).Scan(&s))
		return s
	}
	orders := func() {
		t.Helper()
		_, err := n.Engine.Lease.Orders(t.Context(), uuid.New(), "test")
		require.NoError(t, err)
	}
	exec("UPDATE servers SET studies_per_minute = 2, idle_timeout_s = 60")
	for _, jump := range []string{"1 hour", "1 year"} {
		set := func(by string) {
			exec("UPDATE tasks SET wait_seconds = 120, not_before = now() + interval '2 minutes' + $2::text::interval, unavailable_since = now() + $2::text::interval WHERE job_id = $1", waiting, by)
			exec(
				"UPDATE tasks SET wait_seconds = 0, not_before = now() + $2::text::interval WHERE job_id = $1",
				fresh, by,
			)
			exec(
				"UPDATE tasks SET wait_seconds = 300, not_before = now() + interval '5 minutes' + $2::text::interval WHERE job_id = $1",
				verifying, by,
			)
			exec(`INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message, since, due_at)
				SELECT id, job_id, '', '1.2.3', 'success', '', now() + $2::text::interval, now() + interval '5 minutes' + $2::text::interval FROM tasks WHERE job_id = $1
				ON CONFLICT (task_id) DO UPDATE SET since = excluded.since, due_at = excluded.due_at`, verifying, by)
			exec("UPDATE server_state SET breaker = 'open', probe_at = now() + $1::text::interval, next_start_at = now() + interval '30 seconds' + $1::text::interval", by)
			exec("DELETE FROM association_slots")
			exec("INSERT INTO association_slots (server_id, use, member_id, expires_at) SELECT id, 'batch', gen_random_uuid(), now() + interval '1 minute' + $1::text::interval FROM servers", by)
			exec("DELETE FROM expectations")
			exec("INSERT INTO expectations (source_id, message_id, task_id, lease_member, lease_token, study_uid, ended_at) VALUES (1, 1, 1, gen_random_uuid(), 1, '1.2', now() + $1::text::interval)", by)
		}
		const all = `SELECT string_agg(x::text, '; ' ORDER BY x::text) FROM (
			SELECT (not_before, unavailable_since) FROM tasks UNION ALL SELECT (since, due_at) FROM verifications UNION ALL
			SELECT (probe_at, next_start_at) FROM server_state UNION ALL SELECT (expires_at, expires_at) FROM association_slots) AS v (x)`
		set("0")
		orders() // works the caps out, and sets the rate
		var before, after string
		require.NoError(t, n.Pool.QueryRow(t.Context(), all).Scan(&before))
		orders()
		require.NoError(t, n.Pool.QueryRow(t.Context(), all).Scan(&after))
		require.Equal(t, before, after, "a clock that goes on changes nothing")

		set(jump)
		orders()
		for what, c := range map[string]struct {
			sql  string
			most float64
		}{
			"a task that waits":       {"SELECT max(not_before) FROM tasks WHERE wait_seconds = 120", 120},
			"a task that doesn't":     {"SELECT max(not_before) FROM tasks WHERE wait_seconds = 0", 0},
			"the patience with both":  {"SELECT max(unavailable_since) FROM tasks", 0},
			"the next check":          {"SELECT max(due_at) FROM verifications", 300},
			"the patience of a check": {"SELECT max(since) FROM verifications", 0},
			"the next probe":          {"SELECT max(probe_at) FROM server_state", 1},
			"the rate":                {"SELECT max(next_start_at) FROM server_state", 31},
			"slots of a member":       {"SELECT max(expires_at) FROM association_slots", 60},
			"a C-MOVE that has ended": {"SELECT max(ended_at) FROM expectations", 0},
		} {
			require.LessOrEqual(t, seconds(c.sql), c.most, "%s, after %s", what, jump)
		}
	}

	// What is asked for by itself, not at a beat.
	q := db.New(n.Pool)
	exec("INSERT INTO chores (name, next_at) VALUES ('test', now() + interval '1 year')")
	taken, err := q.TakeChore(t.Context(), db.TakeChoreParams{Name: "test", LeaseSeconds: 60})
	require.NoError(t, err)
	require.EqualValues(t, 1, taken, "a daily chore")
	taken, err = q.TakeChore(t.Context(), db.TakeChoreParams{Name: "test", LeaseSeconds: 60})
	require.NoError(t, err)
	require.Zero(t, taken, "its lease")

	exec("INSERT INTO outbox (recipient, subject, body, next_at, created_at) VALUES ('a@example.org', '', '', now() + interval '1 hour', now() + interval '1 hour')")
	mail, err := q.ClaimMail(t.Context(), 60)
	require.NoError(t, err, "a mail")
	require.Zero(t, mail.AgeSeconds)
	_, err = q.ClaimMail(t.Context(), 60)
	require.ErrorIs(t, err, pgx.ErrNoRows, "its lease")
	_, err = q.EndMail(
		t.Context(), db.EndMailParams{Status: "pending", WaitSeconds: 60, ID: mail.ID, Attempts: mail.Attempts},
	)
	require.NoError(t, err)
	_, err = q.ClaimMail(t.Context(), 60)
	require.ErrorIs(t, err, pgx.ErrNoRows, "the pause after an attempt")
	exec("UPDATE outbox SET next_at = next_at + interval '1 hour'")
	_, err = q.ClaimMail(t.Context(), 60)
	require.NoError(t, err, "the pause after an attempt, an hour later")

	key := make([]byte, 32)
	exec(
		"INSERT INTO attempts (key, at) VALUES ($1, now()), ($1, now() + interval '1 hour'), ($1, now() + interval '1 year')",
		key,
	)
	tried, err := q.CountAttempts(t.Context(), db.CountAttemptsParams{WindowSeconds: 900, Key: key})
	require.NoError(t, err)
	require.EqualValues(t, 1, tried.N, "tries of the future don't count")
	require.LessOrEqual(t, tried.WaitSeconds, 900.0)

	for _, holder := range []uuid.UUID{uuid.New(), uuid.New()} {
		_, err = q.HoldAuditReceiver(t.Context(), db.HoldAuditReceiverParams{Receiver: "siem", Holder: holder})
		require.NoError(t, err, "the hold of another process")
		exec("UPDATE audit_receivers SET held_until = held_until + interval '1 hour'")
	}
}

// TestServerReset: whoever does something about a server has it tried again, however long its breaker or its rate would
// have kept tasks away.
func TestServerReset(t *testing.T) {
	n := newIdle(t)
	live, err := pacs.Start(pacs.Config{AETitle: "LIVE"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, live.Close()) })
	n.AddServer("live", "LIVE", live.Addr(), nil)
	exec := func(sql string) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	setRate := func(server string) error {
		_, err := n.Engine.Nodes.SetSchedule(t.Context(), n.Admin, server, schedule.Schedule{
			Default: schedule.Limits{Batch: 2, Interactive: 2, StudiesPerMinute: 1},
		})
		return err
	}
	check := func(server string) error {
		_, err := n.Engine.Doctor.Check(t.Context(), n.Admin, server)
		return err
	}
	for name, c := range map[string]struct {
		server string
		does   func(server string) error
		reset  bool
	}{
		"another setting": {"source", func(server string) error {
			_, err := n.Engine.Nodes.UpdateServer(
				t.Context(), n.Admin, server, func(s *nodes.NewServer) error { s.Port = 2; return nil },
			)
			return err
		}, true},
		"another schedule": {"source", setRate, true},
		"pause and continue": {"source", func(server string) error {
			return errors.Join(
				n.Engine.Nodes.PauseServer(t.Context(), n.Admin, server, true),
				n.Engine.Nodes.PauseServer(t.Context(), n.Admin, server, false),
			)
		}, true},
		"a check that succeeds": {"live", check, true},
		"a check that fails":    {"destination", check, false},
	} {
		require.NoError(t, setRate(c.server))
		for _, within := range []bool{true, false} {
			exec("UPDATE server_state SET breaker = 'open', breaker_reason = 'x', breaker_at = now(), probe_at = now() + interval '1 year', next_start_at = now() + interval '1 year'")
			if within {
				exec("UPDATE server_state SET next_start_at = now() + interval '50 seconds'")
			}
			require.NoError(t, c.does(c.server), name)
			var closed, free bool
			require.NoError(t, n.Pool.QueryRow(t.Context(), `SELECT breaker = 'closed' AND probe_at IS NULL, coalesce(next_start_at <= now(), true)
				FROM server_state JOIN dicom_nodes ON id = server_id WHERE name = $1`, c.server).Scan(&closed, &free))
			require.Equal(t, c.reset, closed, name)
			require.Equal(t, c.reset && !within, free, "%s: what is within the rate stays", name)
		}
	}
}

// TestBoundsTouchNothingElse: one wait that is bounded makes no other one.
func TestBoundsTouchNothingElse(t *testing.T) {
	n := newIdle(t)
	task := n.Task(n.Transfer("source", "destination", "1.2.1").ID)
	alone := n.Task(n.Transfer("source", "destination", "1.2.2").ID)
	_, err := n.Engine.Lease.Orders(t.Context(), uuid.New(), "test")
	require.NoError(t, err)
	for _, sql := range []string{
		"UPDATE tasks SET not_before = now() + interval '1 year'",
		"UPDATE server_state SET probe_at = NULL, studies_per_minute = 1, next_start_at = now() + interval '1 year'",
		"UPDATE tasks SET not_before = now() - interval '1 hour', alone = true, alone_member = gen_random_uuid(), alone_until = now() + interval '1 year' WHERE id = " +
			strconv.FormatInt(alone.ID, 10),
	} {
		_, err := n.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	_, err = n.Engine.Lease.Orders(t.Context(), uuid.New(), "test")
	require.NoError(t, err)
	for what, sql := range map[string]string{
		"a study that is no longer waited for": "SELECT bool_and(unavailable_since IS NULL AND not_before <= now()) FROM tasks",
		"a server that is not to be probed":    "SELECT bool_and(probe_at IS NULL) FROM server_state",
		"a task that is left to a member":      "SELECT alone_until <= now() + interval '10 minutes' FROM tasks WHERE id = " + strconv.FormatInt(alone.ID, 10),
		"a task that was never to run alone":   "SELECT alone_until IS NULL FROM tasks WHERE id = " + strconv.FormatInt(task.ID, 10),
		"the next start":                       "SELECT bool_and(next_start_at <= now() + interval '1 minute') FROM server_state",
	} {
		var ok bool
		require.NoError(t, n.Pool.QueryRow(t.Context(), sql).Scan(&ok))
		require.True(t, ok, what)
	}
}

// TestTrialIsNoClockPutBack: the time that a trial has at a server that refused is no wait that a clock has stretched.
func TestTrialIsNoClockPutBack(t *testing.T) {
	n := newIdle(t)
	n.Transfer("source", "destination", "1.2.1")
	member, err := n.Engine.Lease.Register(
		t.Context(), lease.Registration{DataDirID: uuid.New(), Name: "test", Roles: lease.Roles, Version: "test"},
	)
	require.NoError(t, err)
	_, err = n.Pool.Exec(t.Context(),
		"UPDATE server_state SET breaker = 'open', breaker_reason = 'x', allowance = 0, echo = false, probe_at = now()",
	)
	require.NoError(t, err)
	_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.True(t, ok)
	due := func() (at []time.Time) {
		require.NoError(t, n.Pool.QueryRow(
			t.Context(), "SELECT array_agg(probe_at ORDER BY server_id) FROM server_state WHERE trial_task IS NOT NULL",
		).Scan(&at))
		return at
	}
	before := due()
	require.Len(t, before, 2)
	_, err = n.Engine.Lease.Orders(t.Context(), member, "test")
	require.NoError(t, err)
	require.Equal(t, before, due())
}
