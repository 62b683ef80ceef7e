// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/test/harness"
)

// heldUntilCanceled holds a source at an object of every retrieve until it is asked to end it.
func heldUntilCanceled(number int, reached chan<- struct{}) func(context.Context, pacs.Event) {
	return func(ctx context.Context, e pacs.Event) {
		if e.Kind != pacs.AtSubOperation || e.Number != number {
			return
		}
		select {
		case reached <- struct{}{}:
		default: // nobody waits any more
			return
		}
		select {
		case <-e.Canceled:
		case <-ctx.Done():
		}
	}
}

// TestStopPolitely: a member that is told to end while a series is on its way, which doesn't end in time, ends it by
// C-CANCEL and releases its associations; slots are given back, and the next start repeats nothing.
func TestStopPolitely(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]func(*nodes.NewServer){
		"C-GET": func(*nodes.NewServer) {}, "C-MOVE": byMove,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			study := ct(91, 40)
			reached := make(chan struct{}, 1)
			n := harness.New(t, harness.Config{})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study},
				MoveDestinations: movesTo(n), Gate: heldUntilCanceled(20, reached),
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), settings)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Transfer("source", "destination", study.StudyInstanceUID)
			require.NoError(t, src.Recorder().WaitSent(t.Context(), 19))
			n.Stop(4 * time.Second) // two of which the series may take
			task := n.Task(job.ID)
			require.Equal(t, jobs.Pending, task.Status)
			require.Zero(t, task.Failures+task.Losses+task.Waits)
			require.EqualValues(t, 19, task.Delivered)
			for _, p := range []*pacs.PACS{src, dst} {
				require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
				require.Zero(t, p.Recorder().Log().Lost, "every association was released")
			}
			var slots int
			require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
			require.Zero(t, slots)

			n.Start()
			require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
			requireOnce(t, dst, 40)
		})
	}
}

// threeHeldStudies starts a member whose source has three studies of ten instances, and is held at the fifth instance
// of as many retrieves as reached takes.
func threeHeldStudies(t *testing.T, reached chan<- struct{}) (n *harness.Member, src, dst *pacs.PACS, uids []string) {
	t.Helper()
	studies := []*phantom.Study{ct(92, 10), ct(93, 10), ct(94, 10)}
	for _, study := range studies {
		uids = append(uids, study.StudyInstanceUID)
	}
	src = startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, Gate: heldUntilCanceled(5, reached)})
	dst = startPACS(t, pacs.Config{AETitle: "DST"})
	n = harness.New(t, harness.Config{Engine: base.Config{ParkGrace: time.Millisecond}})
	n.AddServer("source", "SRC", src.Addr(), withCap(8))
	n.AddServer("destination", "DST", dst.Addr(), withCap(40))
	return n, src, dst, uids
}

// TestFewerWorkers: when the hour wants fewer workers than run, the newest tasks give way, at the next instance if
// their series take too long, and go on later without repeating anything.
func TestFewerWorkers(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 3)
	n, src, dst, uids := threeHeldStudies(t, reached)
	job := n.Transfer("source", "destination", uids...)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 3 && len(reached) == 3 })
	var oldest int64
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT id FROM tasks ORDER BY lease_token LIMIT 1").Scan(&oldest))
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", &schedule.Workers{Default: 1}))
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 1 && j.NPending == 2 })
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 10})
	require.NoError(t, err)
	for _, task := range tasks {
		require.Equal(t, task.ID == oldest, task.Status == jobs.InProgress)
		require.Zero(t, task.Failures+task.Losses+task.Waits)
	}
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", &schedule.Workers{Default: 0}))
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 0 })
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", nil))
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 30)
	require.Zero(t, src.Recorder().Log().Lost, "each was ended politely")
}

// TestDrain: the tasks of a member that is drained go on at another one where they stopped.
func TestDrain(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 3)
	n, src, dst, uids := threeHeldStudies(t, reached)
	job := n.Transfer("source", "destination", uids...)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 3 && len(reached) == 3 })
	beside(t, n, "other")
	_, err := n.Engine.Lease.Drain(t.Context(), n.Admin, "test", true)
	require.NoError(t, err)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 30)
	require.Zero(t, src.Recorder().Log().Lost, "each was ended politely")
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 10})
	require.NoError(t, err)
	for _, task := range tasks {
		require.Zero(t, task.Failures+task.Losses+task.Waits)
	}
}

// beside starts another member on the same database, without a receiver.
func beside(t *testing.T, n *harness.Member, name string) {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	member, err := actors.Start(actors.Config{
		Engine: engine.New(n.Pool, n.People, door.NewDoor(n.Pool), log, base.Config{}), DatabaseURL: n.URL,
		Lease: 10 * time.Second, Log: log,
		Registration: lease.Registration{
			DataDirID: uuid.New(), Name: name, Roles: []string{lease.RoleWorker}, Workers: 8, Version: "test",
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), harness.Deadline)
		defer cancel()
		require.NoError(t, member.Stop(ctx))
	})
}

// claimHeld makes a job whose claim by the member has begun, and does not end before release.
func claimHeld(t *testing.T, n *harness.Member, uid string) (job jobs.Job, release func()) {
	t.Helper()
	holding, err := n.Pool.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = holding.Rollback(context.WithoutCancel(t.Context())) })
	_, err = holding.Exec(t.Context(), "SELECT pg_advisory_xact_lock(1)")
	require.NoError(t, err)
	_, err = n.Pool.Exec(t.Context(), `
		CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(1); RETURN new; END';
		CREATE TRIGGER hold BEFORE INSERT ON association_slots FOR EACH ROW EXECUTE FUNCTION hold()`)
	require.NoError(t, err)
	job = n.Transfer("source", "destination", uid)
	n.WaitFor(job.ID, func(jobs.Job) bool {
		var held bool
		require.NoError(t, n.Pool.QueryRow(t.Context(),
			"SELECT EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database "+
				"WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.objid = 1 AND NOT l.granted)",
		).Scan(&held))
		return held
	})
	return job, func() { require.NoError(t, holding.Rollback(t.Context())) }
}

// TestStopWhileClaiming: a member that stops while its claim is under way gives the task back first, so that the next
// one need not wait for a lease.
func TestStopWhileClaiming(t *testing.T) {
	t.Parallel()
	study := ct(95, 10)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Lease: time.Hour})
	n.AddServer("source", "SRC", src.Addr(), withCap(8))
	n.AddServer("destination", "DST", dst.Addr(), withCap(40))
	job, release := claimHeld(t, n, study.StudyInstanceUID)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		n.Stop(harness.Deadline)
	}()
	select {
	case <-stopped:
		t.Fatal("it stopped before its claim had ended")
	case <-time.After(100 * time.Millisecond):
	}
	release()
	<-stopped
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.Zero(t, task.Failures+task.Losses+task.Waits)
	n.Start()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 10)
}

// TestClaimComesLate: a task whose claim was under way while the hour took its worker away is given back at once,
// without a loss.
func TestClaimComesLate(t *testing.T) {
	t.Parallel()
	reached := make(chan struct{}, 2)
	n, _, dst, uids := threeHeldStudies(t, reached)
	var list []jobs.Job
	for i, uid := range uids[:2] {
		list = append(list, n.Transfer("source", "destination", uid))
		n.WaitFor(list[i].ID, func(j jobs.Job) bool { return len(reached) == i+1 })
	}
	late, release := claimHeld(t, n, uids[2])
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", &schedule.Workers{Default: 1}))
	n.WaitFor(list[1].ID, func(j jobs.Job) bool { return j.NPending == 1 })
	release()
	n.WaitFor(late.ID, func(jobs.Job) bool {
		task := n.Task(late.ID)
		return task.StartedAt != nil && task.Status != jobs.InProgress
	})
	for _, job := range []jobs.Job{list[1], late} {
		task := n.Task(job.ID)
		require.Equal(t, jobs.Pending, task.Status)
		require.Zero(t, task.Failures+task.Losses+task.Waits)
	}
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", &schedule.Workers{Default: 0}))
	n.WaitFor(list[0].ID, func(j jobs.Job) bool { return j.NRunning == 0 })
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", nil))
	for _, job := range append(list, late) {
		require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	}
	requireOnce(t, dst, 30)
}
