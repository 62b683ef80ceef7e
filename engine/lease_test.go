// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/test/harness"
)

// register makes a member in a data directory of its own.
func register(t *testing.T, n *harness.Member, dataDir uuid.UUID) uuid.UUID {
	t.Helper()
	id, err := n.Engine.Lease.Register(
		t.Context(), lease.Registration{DataDirID: dataDir, Name: "member", Roles: lease.Roles, Version: "test"},
	)
	require.NoError(t, err)
	return id
}

func claim(t *testing.T, n *harness.Member, member uuid.UUID) lease.Held {
	t.Helper()
	held, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.True(t, ok)
	return held
}

func slots(t *testing.T, n *harness.Member) (live, expiring int) {
	t.Helper()
	require.NoError(t, n.Pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE expires_at IS NULL), count(*) FILTER (WHERE expires_at IS NOT NULL)
		FROM association_slots`).Scan(&live, &expiring))
	return live, expiring
}

// TestRestartTakesBack: a process that starts in the same data directory has its predecessor's tasks and slots back at
// once.
func TestRestartTakesBack(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	first := register(t, n, dir)
	held := claim(t, n, first)
	live, _ := slots(t, n)
	require.Equal(t, 2, live, "one for each server")

	second := register(t, n, dir)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.EqualValues(t, 1, task.Losses)
	live, expiring := slots(t, n)
	require.Zero(t, live+expiring, "that process is dead, and so are its sockets")
	require.ErrorIs(
		t, n.Engine.Lease.Lose(t.Context(), held), fault.ErrFenced, "the first one's token is worth nothing",
	)
	again := claim(t, n, second)
	require.Greater(t, again.Token, held.Token)
}

// TestSilentMemberIsFenced: another member sees the beat stand still for a whole lease by its own clock, and takes the
// tasks; the slots stay counted while the peers may hold the associations open.
func TestSilentMemberIsFenced(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	silent := register(t, n, uuid.New())
	claim(t, n, silent)
	_, err := n.Pool.Exec(t.Context(),
		"INSERT INTO association_slots (server_id, use, member_id) SELECT min(id), 'interactive', $1 FROM servers",
		silent,
	)
	require.NoError(t, err)
	self := register(t, n, uuid.New())

	const term = time.Second
	heart := n.Engine.Lease.NewHeartbeat(n.URL)
	defer heart.Close()
	watcher := n.Engine.Lease.NewWatcher(heart, self, term, term/5)
	began := time.Now()
	look := func() (freed bool) {
		next, freed, err := watcher.Look(t.Context())
		require.NoError(t, err)
		require.LessOrEqual(t, next, term/20, "there is somebody to look at")
		return freed
	}
	require.False(t, look())
	require.Equal(t, jobs.InProgress, n.Task(job.ID).Status, "seen once is no proof")
	tick := time.NewTicker(term / 20)
	defer tick.Stop()
	for !look() {
		<-tick.C
	}
	require.GreaterOrEqual(t, time.Since(began), term)
	require.Equal(t, jobs.Pending, n.Task(job.ID).Status)
	live, expiring := slots(t, n)
	require.Zero(t, live)
	require.Equal(t, 3, expiring, "those of the task, and the one of a person who waited")

	_, err = n.Pool.Exec(t.Context(), "UPDATE association_slots SET expires_at = now() - interval '1 second'")
	require.NoError(t, err)
	_, freed, err := watcher.Look(t.Context())
	require.NoError(t, err)
	require.True(t, freed, "the slots have expired")
	live, expiring = slots(t, n)
	require.Zero(t, live+expiring)
	next, freed, err := watcher.Look(t.Context())
	require.NoError(t, err)
	require.False(t, freed)
	require.Equal(t, term/5, next, "alone")

	_, err = heart.Beat(t.Context(), silent)
	require.ErrorIs(t, err, fault.ErrFenced)
	_, err = heart.Beat(t.Context(), self)
	require.NoError(t, err)
}

// TestWatcherThatWasAway: a member that did not look for a while proves nothing by what it saw before.
func TestWatcherThatWasAway(t *testing.T) {
	n := newIdle(t)
	silent, self := register(t, n, uuid.New()), register(t, n, uuid.New())
	heart := n.Engine.Lease.NewHeartbeat(n.URL)
	defer heart.Close()
	const term = 100 * time.Millisecond
	watcher := n.Engine.Lease.NewWatcher(heart, self, term, term)
	look := func() error {
		_, _, err := watcher.Look(t.Context())
		return err
	}
	fenced := func() (is bool) {
		err := n.Pool.QueryRow(t.Context(), "SELECT fenced_at IS NOT NULL FROM members WHERE id = $1", silent).Scan(&is)
		require.NoError(t, err)
		return is
	}
	require.NoError(t, look())
	<-time.After(2 * term)
	require.NoError(t, look())
	require.False(t, fenced(), "nobody looked in between")

	_, err := n.Pool.Exec(t.Context(), "UPDATE members SET fenced_at = now() WHERE id = $1", self)
	require.NoError(t, err)
	require.ErrorIs(t, look(), fault.ErrFenced)
}

// TestWatchersTellEachOther: a member whose tasks another one gives back finds out at its next look, when that is done.
func TestWatchersTellEachOther(t *testing.T) {
	n := newIdle(t)
	n.Transfer("source", "destination", "1.2.3")
	dead, self := register(t, n, uuid.New()), register(t, n, uuid.New())
	held := claim(t, n, dead)
	heart := n.Engine.Lease.NewHeartbeat(n.URL)
	defer heart.Close()
	watcher := n.Engine.Lease.NewWatcher(heart, self, time.Hour, time.Hour)
	freed := func() bool {
		_, freed, err := watcher.Look(t.Context())
		require.NoError(t, err)
		return freed
	}
	require.False(t, freed())
	_, err := n.Pool.Exec(t.Context(), "UPDATE members SET fenced_at = now() WHERE id = $1", dead)
	require.NoError(t, err)
	require.False(t, freed(), "its task is not pending yet")
	require.NoError(t, n.Engine.Lease.Lose(t.Context(), held))
	require.True(t, freed())
	require.False(t, freed())
}

// TestPoisonTask: a task that takes the process along three times in a row, without one new instance, runs alone. If it
// does so then, too, it fails and says so.
func TestPoisonTask(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	member := register(t, n, dir)
	for range 3 {
		claim(t, n, member)
		member = register(t, n, dir)
	}
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status, task.Message)
	require.Contains(t, task.WhyWaiting, "runs nothing else")
	claim(t, n, member)
	member = register(t, n, dir)
	task = n.Task(job.ID)
	require.Equal(t, jobs.Failure, task.Status)
	require.Contains(
		t, task.Message,
		"ended unexpectedly 4 times while it ran this task, the last time while nothing else ran beside it",
	)
	none(t, n, member)

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	require.False(t, n.Task(job.ID).Alone, "a retry begins anew")
}

// giveBack gives a task back with its slots.
func giveBack(t *testing.T, n *harness.Member, held lease.Held) {
	t.Helper()
	require.NoError(t, n.Engine.Lease.Lose(t.Context(), held))
	_, err := n.Pool.Exec(t.Context(), "DELETE FROM association_slots WHERE task_id = $1", held.TaskID)
	require.NoError(t, err)
}

// TestLossesAndCrashes: leases that were lost by themselves and those that went with the process have a bound each.
func TestLossesAndCrashes(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	member := register(t, n, dir)
	for range 4 {
		giveBack(t, n, claim(t, n, member))
	}
	for range 3 {
		claim(t, n, member)
		member = register(t, n, dir)
	}
	require.Equal(t, jobs.Pending, n.Task(job.ID).Status, "it has not run alone yet")
	giveBack(t, n, claim(t, n, member))
	task := n.Task(job.ID)
	require.Equal(t, jobs.Failure, task.Status)
	require.Contains(t, task.Message, "interrupted 8 times in a row")
}

// TestProgressAlone: an instance that comes through ends the suspicion, but not the run alone.
func TestProgressAlone(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	member := register(t, n, dir)
	for range 3 {
		claim(t, n, member)
		member = register(t, n, dir)
	}
	held := claim(t, n, member)
	one, err := db.New(n.Pool).Deliver(t.Context(), db.DeliverParams{
		TaskID: held.TaskID, Member: &held.Member, Token: &held.Token, First: true,
		SopUids: []string{"1.2.3.1"}, SeriesUids: []string{"1.2.3.0"},
		SopClassUids: []string{""}, Bytes: []int64{1}, Statuses: []int32{0},
		Remarks: []int16{0}, Files: []string{""}, FileBytes: []int64{0},
	})
	require.NoError(t, err)
	require.EqualValues(t, 1, one)
	n.Transfer("source", "destination", "1.2.4")
	none(t, n, member)
	member = register(t, n, dir)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.EqualValues(t, 1, task.Crashes)
	claim(t, n, member)
	claim(t, n, member)
}

// TestAllRunAlone: whoever was running at three crashes runs alone, one after the other. Another member goes on
// meanwhile.
func TestAllRunAlone(t *testing.T) {
	n := newIdle(t)
	n.Transfer("source", "destination", "1.2.3", "1.2.4")
	dir := uuid.New()
	member := register(t, n, dir)
	for range 3 {
		claim(t, n, member)
		claim(t, n, member)
		member = register(t, n, dir)
	}
	n.Transfer("source", "destination", "1.2.5")
	first := claim(t, n, member)
	none(t, n, member)

	other := register(t, n, uuid.New())
	second := claim(t, n, other)
	require.Equal(t, first.JobID, second.JobID)
	none(t, n, other)
	third := claim(t, n, register(t, n, uuid.New()))
	require.NotEqual(t, first.JobID, third.JobID)
}

// none asserts that a member gets no task, and is not asked to make room for one.
func none(t *testing.T, n *harness.Member, member uuid.UUID) {
	t.Helper()
	held, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.False(t, ok)
	require.Zero(t, held.TaskID)
}

// room asserts that a member is asked to make room for the task of a job.
func room(t *testing.T, n *harness.Member, member uuid.UUID, job int64) {
	t.Helper()
	held, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.False(t, ok)
	require.Equal(t, job, held.JobID)
	require.Zero(t, held.Token)
}

// TestRoomForTheLonely: a busy member whose turn it is to take a task that must run alone takes nothing else until it
// is empty. The task waits for one member only, its place at the servers is kept, and if it can't start the member goes
// on.
func TestRoomForTheLonely(t *testing.T) {
	exec := func(t *testing.T, n *harness.Member, sql string, args ...any) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	for name, tt := range map[string]struct {
		meanwhile func(t *testing.T, n *harness.Member, lonely int64, member uuid.UUID)
		given     bool // the task comes to the member once it is empty
		waits     bool // the member goes on waiting for it
	}{
		"it gets empty": {given: true, waits: true},
		"a rate allows no start now": {meanwhile: func(t *testing.T, n *harness.Member, _ int64, _ uuid.UUID) {
			exec(t, n, "UPDATE server_state SET next_start_at = now() + interval '1 hour' FROM dicom_nodes d WHERE d.id = server_id AND d.name = 'source'")
		}, waits: true},
		"its server is paused": {meanwhile: func(t *testing.T, n *harness.Member, _ int64, _ uuid.UUID) {
			exec(
				t, n,
				"UPDATE server_state SET paused = true FROM dicom_nodes d WHERE d.id = server_id AND d.name = 'source'",
			)
		}},
		"its job is paused": {meanwhile: func(t *testing.T, n *harness.Member, lonely int64, _ uuid.UUID) {
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, lonely, jobs.PauseJob))
		}},
		"it is canceled": {meanwhile: func(t *testing.T, n *harness.Member, lonely int64, _ uuid.UUID) {
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, lonely, jobs.CancelJob))
		}},
		"it has to wait": {meanwhile: func(t *testing.T, n *harness.Member, lonely int64, _ uuid.UUID) {
			exec(t, n, "UPDATE tasks SET not_before = now() + interval '1 hour' WHERE job_id = $1", lonely)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			n := newIdle(t)
			n.AddServer("elsewhere", "ELSE", "127.0.0.1:1", nil)
			member, other := register(t, n, uuid.New()), register(t, n, uuid.New())
			n.Transfer("elsewhere", "destination", "1.2.3")
			running := claim(t, n, member)
			lonely := n.Transfer("source", "destination", "1.2.3")
			exec(t, n, "UPDATE tasks SET alone = true WHERE job_id = $1", lonely.ID)
			exec(
				t, n,
				"UPDATE server_state SET batch_cap = 2 FROM dicom_nodes d WHERE d.id = server_id AND d.name = 'source'",
			)
			room(t, n, member, lonely.ID)
			room(t, n, member, lonely.ID)

			beside := n.Transfer("source", "destination", "1.2.3")
			none(t, n, other) // the place at the source is kept
			next := n.Transfer("elsewhere", "destination", "1.2.3", "1.2.4")
			require.Equal(t, next.ID, claim(t, n, other).JobID, "the other member goes on")
			if tt.meanwhile != nil {
				tt.meanwhile(t, n, lonely.ID, member)
			}
			if !tt.waits {
				require.Contains(t, []int64{next.ID, beside.ID}, claim(t, n, member).JobID)
				return
			}
			room(t, n, member, lonely.ID)
			exec(t, n, "UPDATE tasks SET not_before = now() + interval '1 hour' WHERE id = $1", running.TaskID)
			giveBack(t, n, running)
			if !tt.given {
				room(t, n, member, lonely.ID)
				return
			}
			require.Equal(t, lonely.ID, claim(t, n, member).JobID)
			none(t, n, member)
			claim(t, n, other)
		})
	}
}

// TestRoomAtAnotherMember: a member that is gone, or has not made room for ten minutes, doesn't keep a task that must
// run alone.
func TestRoomAtAnotherMember(t *testing.T) {
	for name, sql := range map[string]string{
		"gone":     "UPDATE members SET fenced_at = now() WHERE id = $1",
		"too long": "UPDATE tasks SET alone_until = now() WHERE alone_member = $1",
	} {
		t.Run(name, func(t *testing.T) {
			n := newIdle(t)
			n.Transfer("source", "destination", "1.2.3", "1.2.4")
			member, other := register(t, n, uuid.New()), register(t, n, uuid.New())
			claim(t, n, member)
			claim(t, n, other)
			lonely := n.Transfer("source", "destination", "1.2.3")
			_, err := n.Pool.Exec(t.Context(), "UPDATE tasks SET alone = true WHERE job_id = $1", lonely.ID)
			require.NoError(t, err)
			room(t, n, member, lonely.ID)
			none(t, n, other)
			_, err = n.Pool.Exec(t.Context(), sql, member)
			require.NoError(t, err)
			room(t, n, other, lonely.ID)
		})
	}
}
