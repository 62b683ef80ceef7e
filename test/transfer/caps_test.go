// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

func withCap(n int) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) { s.BatchCap = &n }
}

// TestCapsHold counts open associations at the PACS itself: 50 tasks, batch cap 3.
func TestCapsHold(t *testing.T) {
	var studies []*phantom.Study
	var uids []string
	for i := range 50 {
		st := ct(uint64(100+i), 6)
		studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
	}
	var begun atomic.Int32
	together := make(chan struct{})
	// the first C-GETs wait for each other
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind != pacs.AtGet {
			return
		}
		if begun.Add(1) == 3 {
			close(together)
		}
		select {
		case <-together:
		case <-ctx.Done():
		}
	}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Workers: 20})
	n.AddServer("source", "SRC", src.Addr(), withCap(3))
	n.AddServer("destination", "DST", dst.Addr(), withCap(3))

	job := n.Wait(n.Transfer("source", "destination", uids...).ID)
	require.Equal(t, jobs.Success, job.Status)
	require.Len(t, dst.Recorder().Log().Stores, 300)
	for _, p := range []*pacs.PACS{src, dst} {
		log := p.Recorder().Log()
		require.LessOrEqual(t, log.Peak, 3)
		require.Equal(t, 3, log.Peak, "the cap is used")
		require.Zero(t, log.Lost, "every association was released politely")
	}
}

// TestInteractiveSlotsAreTheirOwn: a search answers while jobs hold every batch slot, and does not borrow from them.
func TestInteractiveSlotsAreTheirOwn(t *testing.T) {
	study := ct(4, 3)
	held, let := make(chan struct{}), make(chan struct{})
	var once sync.Once
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation {
				once.Do(func() { close(held) })
				select {
				case <-let:
				case <-ctx.Done():
				}
			}
		}},
	)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		one := 1
		s.BatchCap, s.InteractiveCap = &one, &one
	})
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-held

	found := 0
	for st, err := range n.Engine.Query.Studies(
		t.Context(), n.Admin, "source", query.Search{PatientID: "PHANTOM-001"},
	) {
		require.NoError(t, err)
		require.Equal(t, study.StudyInstanceUID, st.StudyInstanceUID)
		found++
	}
	require.Equal(t, 1, found)
	require.Equal(t, 2, src.Recorder().Log().Peak)
	close(let)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
}

// TestNoInteractiveSlot: with the slot taken, a search gives up with a sentence; with a cap of 0 at once.
func TestNoInteractiveSlot(t *testing.T) {
	src := startPACS(t, pacs.Config{AETitle: "SRC"})
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("closed", "SRC", src.Addr(), func(s *nodes.NewServer) { zero := 0; s.InteractiveCap = &zero })
	for _, err := range n.Engine.Query.Studies(t.Context(), n.Admin, "closed", query.Search{PatientID: "X"}) {
		var closed *door.Closed
		require.ErrorAs(t, err, &closed)
	}
	require.Zero(t, src.Recorder().Log().Total)
}

// manyTasks makes jobs with so many tasks by SQL, since no person makes that many by hand in this version.
func manyTasks(
	t *testing.T, n *harness.Member, owner int64, source, destination nodes.DICOMNode, tasks int, studies ...string,
) int64 {
	t.Helper()
	ctx := t.Context()
	var job int64
	require.NoError(t, n.Pool.QueryRow(ctx, `INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_pending)
		SELECT 'selective_transfer', $1, min(id), $2, $3, 4, $4 FROM projects RETURNING id`, owner, source.ID, destination.ID, tasks).Scan(&job))
	_, err := n.Pool.Exec(ctx, `INSERT INTO tasks (job_id, seq, study_instance_uid)
		SELECT $1, i, ($3::text[])[1 + i % array_length($3::text[], 1)] FROM generate_series(1, $2::integer) i`, job, tasks, studies)
	require.NoError(t, err)
	_, err = n.Pool.Exec(ctx, `ANALYZE`)
	require.NoError(t, err)
	return job
}

// secondUser makes another user of the same group.
func secondUser(t *testing.T, n *harness.Member) people.User {
	t.Helper()
	u := people.User{Username: "second", IsStaff: true, ActiveGroupID: n.Admin.ActiveGroupID}
	require.NoError(t, n.Pool.QueryRow(t.Context(), `WITH u AS (INSERT INTO users (username, is_staff, active_group_id) VALUES ('second', true, $1) RETURNING id)
		INSERT INTO group_members (group_id, user_id) SELECT $1, id FROM u RETURNING user_id`, *n.Admin.ActiveGroupID).Scan(&u.ID))
	return u
}

// TestFairShare: one owner has 100,000 pending tasks, another 10; the second's first task starts with the next slot
// that is freed.
func TestFairShare(t *testing.T) {
	study := ct(5, 1)
	gate := make(chan struct{})
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtGet {
				select {
				case <-gate:
				case <-ctx.Done():
				}
			}
		}},
	)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", src.Addr(), withCap(3))
	destination := n.AddServer("destination", "DST", dst.Addr(), withCap(3))
	big := manyTasks(t, n, n.Admin.ID, source, destination, 100_000, study.StudyInstanceUID)
	n.Start()
	n.WaitFor(big, func(j jobs.Job) bool { return j.NRunning == 3 })

	second := secondUser(t, n)
	small := manyTasks(t, n, second.ID, source, destination, 10, study.StudyInstanceUID)
	gate <- struct{}{} // one task of the first owner goes on and frees its slots
	n.WaitFor(small, func(j jobs.Job) bool { return j.NRunning == 1 })
	// written down after its slots were given back
	first := n.WaitFor(big, func(j jobs.Job) bool { return j.NSuccess == 1 })
	require.EqualValues(t, 2, first.NRunning)

	tasks, err := n.Engine.Jobs.Tasks(t.Context(), second, small, jobs.TaskFilter{Status: jobs.Pending, Limit: 1})
	require.NoError(t, err)
	require.Contains(t, tasks[0].WhyWaiting, "are in use")
}

// TestClaimCost: on 100,000 pending tasks the claim reads at most 200 buffers and never scans the tasks.
func TestClaimCost(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	destination := n.AddServer("destination", "DST", "127.0.0.1:2", nil)
	for i := range 20 {
		manyTasks(t, n, n.Admin.ID, source, destination, 5000, fmt.Sprintf("1.2.%d", i))
	}
	plan, buffers := explainClaim(t, n)
	require.NotContains(t, plan, "Seq Scan on tasks")
	require.LessOrEqual(t, buffers, 200, plan)
	t.Logf("claim on 100,000 pending tasks: %d buffers", buffers)
}

func TestWaitingReasons(t *testing.T) {
	study := ct(6, 2)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	n := harness.New(t, harness.Config{Engine: base.Config{WaitPauses: []time.Duration{time.Hour}}})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("closed", "DST", "127.0.0.1:1", withCap(0))
	n.AddServer("down", "DOWN", "127.0.0.1:1", nil)

	closed := n.Transfer("source", "closed", study.StudyInstanceUID)
	require.Equal(t, "DICOM Server closed is closed for jobs now", n.Task(closed.ID).WhyWaiting)

	down := n.Transfer("source", "down", study.StudyInstanceUID)
	n.WaitFor(down.ID, func(j jobs.Job) bool { return n.Task(j.ID).Waits == 1 })
	task := n.Task(down.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.Zero(t, task.Failures)
	require.Contains(t, task.WhyWaiting, "nothing listens there")
	require.Contains(t, task.WhyWaiting, "next attempt in")

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, closed.ID, jobs.PauseJob))
	require.Contains(t, n.Task(closed.ID).WhyWaiting, "the job is paused")
}
