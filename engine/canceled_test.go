// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"context"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/test/harness"
)

// ran makes a pending task look like one that has run and delivered so many of 41 instances.
func ran(t *testing.T, n *harness.Member, job int64, delivered int) {
	t.Helper()
	_, err := n.Pool.Exec(t.Context(),
		"UPDATE tasks SET started_at = now(), expected = 41, received = $2, delivered = $2, bytes = 4000 * $2 WHERE job_id = $1",
		job, delivered,
	)
	require.NoError(t, err)
	_, err = n.Pool.Exec(t.Context(), `INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status)
		SELECT id, '1.2.' || i, '1.2', '1.2', 4000, CASE i WHEN 1 THEN 273 ELSE 0 END FROM tasks, generate_series(1, $2) i WHERE job_id = $1`, job, delivered)
	require.NoError(t, err)
}

// TestEndSaysWhatWasDone: however a task that has run is ended by somebody, its message says what it had done by then,
// and its counters don't fall behind the ledger.
func TestEndSaysWhatWasDone(t *testing.T) {
	const done = "24 instances transferred, 0.1 MB; at the destination already: 1 instance"
	act := func(t *testing.T, n *harness.Member, job int64, action jobs.JobAction) {
		require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job, action))
	}
	run := func(t *testing.T, n *harness.Member, held lease.Held) {
		outcome := n.Engine.Transfer.Run(t.Context(), held, lease.NewStopSignals(), &lease.Progress{})
		require.NoError(t, n.Engine.Lease.End(t.Context(), outcome))
	}
	for name, tt := range map[string]struct {
		delivered int
		end       func(t *testing.T, n *harness.Member, job int64)
		status    string
		says      string
	}{
		"it went on waiting": {25, func(t *testing.T, n *harness.Member, job int64) {
			act(t, n, job, jobs.CancelJob)
		}, jobs.Canceled, "Canceled while it waited to go on; " + done + "."},
		"nothing was delivered": {0, func(t *testing.T, n *harness.Member, job int64) {
			act(t, n, job, jobs.CancelJob)
		}, jobs.Canceled, "Canceled while it waited to go on; no instance transferred."},
		"it waited for its verification": {25, func(t *testing.T, n *harness.Member, job int64) {
			_, err := n.Pool.Exec(t.Context(), `INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message)
				SELECT id, job_id, 'X', '1.2.3', 'success', '' FROM tasks WHERE job_id = $1`, job)
			require.NoError(t, err)
			act(t, n, job, jobs.CancelJob)
		}, jobs.Canceled, "Canceled while it waited for its verification; " + done + "."},
		"its process ended meanwhile": {25, func(t *testing.T, n *harness.Member, job int64) {
			dir := uuid.New()
			claim(t, n, register(t, n, dir))
			act(t, n, job, jobs.CancelJob)
			register(t, n, dir)
		}, jobs.Canceled, "Canceled while it ran; " + done + "."},
		"it was killed and its process ended meanwhile": {25, func(t *testing.T, n *harness.Member, job int64) {
			dir := uuid.New()
			held := claim(t, n, register(t, n, dir))
			require.NoError(t, n.Engine.Jobs.ActOnTask(t.Context(), n.Admin, held.TaskID, jobs.KillTask))
			register(t, n, dir)
		}, jobs.Canceled, "Canceled while it ran; " + done + "."},
		// nobody answers at the source
		"its run was about to wait": {25, func(t *testing.T, n *harness.Member, job int64) {
			held := claim(t, n, register(t, n, uuid.New()))
			act(t, n, job, jobs.CancelJob)
			run(t, n, held)
		}, jobs.Canceled, "Canceled while it ran; " + done + "."},
		"its run has just begun": {25, func(t *testing.T, n *harness.Member, job int64) {
			held := claim(t, n, register(t, n, uuid.New()))
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(&lease.RevokedError{Reason: "gone"})
			require.NoError(t, n.Engine.Lease.End(
				t.Context(), n.Engine.Transfer.Run(ctx, held, lease.NewStopSignals(), &lease.Progress{}),
			))
		}, jobs.Canceled, "Canceled while it ran; " + done + ". The owner of this job may no longer continue it: gone."},
		"its right is gone": {25, func(t *testing.T, n *harness.Member, job int64) {
			held := claim(t, n, register(t, n, uuid.New()))
			_, err := n.Pool.Exec(t.Context(), "DELETE FROM node_access")
			require.NoError(t, err)
			run(t, n, held)
		}, jobs.Failure, " Before that: " + done + "."},
	} {
		t.Run(name, func(t *testing.T) {
			n := newIdle(t)
			job := n.Transfer("source", "destination", "1.2.3").ID
			ran(t, n, job, tt.delivered)
			tt.end(t, n, job)
			task := n.Task(job)
			require.Equal(t, tt.status, task.Status)
			require.Contains(t, task.Message, tt.says)
			require.Equal(t, []int32{41, int32(tt.delivered)}, []int32{task.Expected, task.Delivered})
			require.EqualValues(t, 4000*tt.delivered, task.Bytes)
		})
	}
	t.Run("it never ran", func(t *testing.T) {
		n := newIdle(t)
		job := n.Transfer("source", "destination", "1.2.3").ID
		act(t, n, job, jobs.CancelJob)
		require.Equal(t, "Canceled before it started.", n.Task(job).Message)
	})
}

// TestProgressIsNotTakenBack: a beat that finds a run which has not looked into its ledger yet leaves the counters as
// they were; one that the ledger has left behind is believed.
func TestProgressIsNotTakenBack(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3").ID
	ran(t, n, job, 25)
	held := claim(t, n, register(t, n, uuid.New()))
	for _, tt := range []struct {
		progress  int32
		forget    bool
		delivered int32
	}{{progress: 0, delivered: 25}, {progress: 30, delivered: 30}, {progress: 3, forget: true, delivered: 3}} {
		if tt.forget {
			_, err := n.Pool.Exec(t.Context(), "DELETE FROM delivered WHERE task_id = $1", held.TaskID)
			require.NoError(t, err)
		}
		p := &lease.Progress{}
		p.Delivered.Store(tt.progress)
		require.NoError(t, n.Engine.Lease.PushProgress(t.Context(), map[lease.Held]*lease.Progress{held: p}))
		task := n.Task(job)
		require.Equal(t, tt.delivered, task.Delivered)
		require.EqualValues(t, 41, task.Expected)
	}
}
