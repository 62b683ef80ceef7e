// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/test/harness"
)

// ownClock gives the database a clock of its own, which the function returned puts ahead of the machine's: every
// now() that a statement, a function or a default asks is answered by it.
func ownClock(t *testing.T, n *harness.Member) (ahead func(by string)) {
	t.Helper()
	for _, sql := range []string{
		"CREATE SCHEMA clock", "CREATE TABLE clock.ahead (by interval NOT NULL)",
		"INSERT INTO clock.ahead VALUES ('0')",
		"CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT pg_catalog.now() + by FROM clock.ahead'",
		"CREATE FUNCTION clock.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.clock_timestamp() + by FROM clock.ahead'",
		"DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = clock, pg_catalog, public', current_database()); END $$",
	} {
		_, err := n.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	n.Pool.Reset()
	_, err := n.Pool.Exec(t.Context(), `DO $$ DECLARE c record; BEGIN
		FOR c IN SELECT table_name, column_name, substring(column_default FROM '(now|clock_timestamp)\(\)$') AS f FROM information_schema.columns
			WHERE table_schema = 'public' AND column_default ~ '^(pg_catalog\.)?(now|clock_timestamp)\(\)$' LOOP
			EXECUTE format('ALTER TABLE public.%I ALTER %I SET DEFAULT clock.%s()', c.table_name, c.column_name, c.f);
		END LOOP; END $$`)
	require.NoError(t, err)
	return func(by string) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), "UPDATE clock.ahead SET by = $1::text::interval", by)
		require.NoError(t, err)
	}
}

// TestClockRanAhead: the database's clock shows a time in a year while everything runs once, and is put right. Work,
// figures, clean-up and mails go on at once, and nothing holds longer than it may.
func TestClockRanAhead(t *testing.T) {
	for _, by := range []string{"3 days", "1 year"} {
		t.Run(by, func(t *testing.T) { ranAhead(t, by) })
	}
}

func ranAhead(t *testing.T, by string) {
	studies := []*phantom.Study{ct(1, 1), ct(2, 1), ct(3, 1), ct(4, 1)}
	port := testpeer.Port(t)
	n := harness.New(t, harness.Config{Idle: true})
	ahead := ownClock(t, n)
	n.Start()
	n.AddServer("source", "SRC", startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies}).Addr(), nil)
	n.AddServer("slow", "SLOW", startPACS(t, pacs.Config{AETitle: "SLOW", Studies: studies}).Addr(), nil)
	n.AddServer("gone", "GONE", fmt.Sprintf("127.0.0.1:%d", port), nil)
	n.AddServer("destination", "DST", startPACS(t, pacs.Config{AETitle: "DST"}).Addr(), nil)
	setSchedule(
		t, n, "slow", schedule.Schedule{Default: schedule.Limits{Batch: 2, Interactive: 2, StudiesPerMinute: 0.01}},
	)
	q := db.New(n.Pool)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	exec("UPDATE users SET mail = 'admin@example.org'")
	chores := func() {
		t.Helper()
		require.NoError(t, n.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}))
	}
	run := func(study int) {
		t.Helper()
		require.Equal(
			t, jobs.Success, n.Wait(n.Transfer("source", "destination", studies[study].StudyInstanceUID).ID).Status,
		)
	}
	today := func() housekeeping.Moved {
		t.Helper()
		s, err := n.Engine.Housekeeping.Stats(t.Context(), n.Admin, 7)
		require.NoError(t, err)
		return s.Days[len(s.Days)-1]
	}
	run(0)
	exec("UPDATE tasks SET ended_at = ended_at - interval '2 days'") // of a day that is to be summed up
	chores()

	ahead(by)
	exec("UPDATE chores SET next_at = now()")
	run(1)
	require.Equal(t, jobs.Success, n.Wait(n.Transfer("slow", "destination", studies[2].StudyInstanceUID).ID).Status)
	waits := n.Transfer("source", "gone", studies[3].StudyInstanceUID)
	n.WaitFor(waits.ID, func(j jobs.Job) bool { return n.Task(j.ID).WaitingReason != "" })
	chores()
	chores()
	cookie := sha256.Sum256([]byte("cookie"))
	require.NoError(t, q.InsertSession(t.Context(),
		db.InsertSessionParams{Sha256: cookie[:], UserID: n.Admin.ID, Seconds: (14 * 24 * time.Hour).Seconds()},
	))
	require.NoError(t, mail.Post(
		t.Context(), q, mail.Message{To: []string{"admin@example.org"}, Subject: "x", Body: "x"},
	))
	_, err := q.ClaimMail(t.Context(), 3600)
	require.NoError(t, err)

	require.Eventually(t, func() bool { // a member has to have seen that clock
		var seen bool
		require.NoError(t, n.Pool.QueryRow(
			context.Background(), "SELECT max(beat_at) > now() - interval '1 minute' FROM members",
		).Scan(&seen))
		return seen
	}, time.Minute, 20*time.Millisecond)

	ahead("0")
	startPACS(t, pacs.Config{AETitle: "GONE", Listen: fmt.Sprintf("127.0.0.1:%d", port)})
	require.Equal(t, jobs.Success, n.Wait(waits.ID).Status, "what waited for a server")
	run(1)
	require.EqualValues(t, 4, today().Tasks, "the figures")

	late := n.Transfer("slow", "destination", studies[3].StudyInstanceUID)
	setSchedule(t, n, "slow", schedule.Schedule{Default: schedule.Limits{Batch: 2, Interactive: 2}})
	require.Equal(t, jobs.Success, n.Wait(late.ID).Status, "a rate that was taken away")

	taken, err := q.TakeChore(t.Context(), db.TakeChoreParams{Name: "clean-up", LeaseSeconds: 0})
	require.NoError(t, err)
	require.EqualValues(t, 1, taken, "the clean-up")
	chores()
	require.EqualValues(t, 5, today().Tasks, "the figures after the clean-up")
	_, err = q.ClaimMail(t.Context(), 60)
	require.NoError(t, err, "a mail")
	for what, sql := range map[string]string{
		"the session":        "SELECT expires_at FROM sessions",
		"ends":               "SELECT max(ended_at) FROM tasks",
		"days summed up":     "SELECT coalesce(max(day), 'epoch')::timestamptz FROM daily_transfers",
		"when it is planned": "SELECT next_at - interval '1 day' FROM chores WHERE name = 'clean-up'",
	} {
		var at time.Time
		require.NoError(t, n.Pool.QueryRow(context.Background(), sql).Scan(&at))
		require.Less(t, time.Until(at), 14*24*time.Hour, what)
		if what != "the session" {
			require.False(t, at.After(time.Now()), what)
		}
	}
}
