// SPDX-License-Identifier: AGPL-3.0-or-later

package actors_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServer()...) }

// held is a transfer of 20 instances that stands still at the tenth.
type held struct {
	*harness.Member
	src, dst *pacs.PACS
	stop     *pacs.Stop
	job      jobs.Job
}

func newHeld(t *testing.T) *held {
	t.Helper()
	return newHeldWith(t, base.Config{})
}

func newHeldWith(t *testing.T, cfg base.Config) *held {
	t.Helper()
	study := phantom.New(1, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 20, Rows: 32, Columns: 32}},
	})
	h := &held{stop: pacs.StopAt(pacs.AtSubOperation, 10)}
	var err error
	h.src, err = pacs.Start(pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: h.stop.Gate})
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.src.Close() })
	h.dst, err = pacs.Start(pacs.Config{AETitle: "DST"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.dst.Close() })
	t.Cleanup(h.stop.Release)
	h.Member = harness.New(t, harness.Config{Lease: time.Second, Engine: cfg})
	h.AddServer("source", "SRC", h.src.Addr(), nil)
	h.AddServer("destination", "DST", h.dst.Addr(), nil)
	h.job = h.Transfer("source", "destination", study.StudyInstanceUID)
	select {
	case <-h.stop.Reached():
	case <-time.After(harness.Deadline):
		t.Fatal("the transfer did not come so far")
	}
	return h
}

// finish lets the source go on and asserts that everything arrives in the end.
func (h *held) finish(t *testing.T) {
	t.Helper()
	h.stop.Release()
	job := h.Wait(h.job.ID)
	require.Equal(t, jobs.Success, job.Status, h.Task(job.ID).Message)
	uids := map[string]bool{}
	for _, s := range h.dst.Recorder().Log().Stores {
		uids[s.SOPInstanceUID] = true
	}
	require.Len(t, uids, 20)
}

// TestFencedMember: a member that was declared dead closes its sockets, and goes on under a new incarnation.
func TestFencedMember(t *testing.T) {
	h := newHeld(t)
	first := h.Task(h.job.ID)
	_, err := h.Pool.Exec(t.Context(), "UPDATE members SET fenced_at = now() WHERE id = $1", *first.LeaseMember)
	require.NoError(t, err)
	h.WaitFor(h.job.ID, func(jobs.Job) bool {
		task := h.Task(h.job.ID) // it may be over already
		return task.LeaseToken != nil && *task.LeaseToken > *first.LeaseToken || task.Status == jobs.Success
	})
	require.NotEqual(t, first.LeaseMember, h.Task(h.job.ID).LeaseMember)
	h.finish(t)
	require.EqualValues(t, 0, h.Task(h.job.ID).Failures)
}

// TestRevokedRight: a right that is lost while the task runs is a cancel, within a heartbeat.
func TestRevokedRight(t *testing.T) {
	h := newHeld(t)
	_, err := h.Pool.Exec(t.Context(), "DELETE FROM node_access")
	require.NoError(t, err)
	h.Wait(h.job.ID)
	task := h.Task(h.job.ID)
	require.Equal(t, jobs.Canceled, task.Status)
	h.stop.Release()
	require.NoError(t, h.dst.Recorder().WaitOpen(t.Context(), 0))
}

// TestStray: a row that says that this member runs a task which it doesn't run is given back after two beats.
func TestStray(t *testing.T) {
	h := newHeld(t)
	member := *h.Task(h.job.ID).LeaseMember
	stray := h.Transfer("source", "destination", "1.2.3.4")
	h.Wait(stray.ID) // there is no such study
	_, err := h.Pool.Exec(t.Context(), `WITH j AS (UPDATE jobs SET n_failure = 0, n_running = 1 WHERE id = $1)
		UPDATE tasks SET status = 'in_progress', lease_member = $2, lease_token = nextval('lease_tokens'), losses = 0 WHERE job_id = $1`, stray.ID, member)
	require.NoError(t, err)
	h.Wait(stray.ID) // given back, claimed again, and failed again
	require.Equal(t, jobs.Failure, h.Task(stray.ID).Status)
	require.EqualValues(t, 1, h.Task(stray.ID).Losses)
	h.finish(t)
}

// TestRunsAlone: what a member runs gives way to a task that has to run alone, without a loss, and goes on after it.
func TestRunsAlone(t *testing.T) {
	h := newHeldWith(t, base.Config{ParkGrace: time.Millisecond, ParkPatience: 50 * time.Millisecond})
	empty, err := pacs.Start(pacs.Config{AETitle: "ELSE"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = empty.Close() })
	h.AddServer("elsewhere", "ELSE", empty.Addr(), nil)
	pause := func(paused bool) {
		_, err := h.Pool.Exec(t.Context(),
			"UPDATE server_state SET paused = $1 FROM dicom_nodes d WHERE d.id = server_id AND d.name = 'elsewhere'",
			paused,
		)
		require.NoError(t, err)
	}
	pause(true)
	lonely := h.Transfer("elsewhere", "destination", "1.2.3.4")
	_, err = h.Pool.Exec(t.Context(), "UPDATE tasks SET alone = true WHERE job_id = $1", lonely.ID)
	require.NoError(t, err)
	before := *h.Task(h.job.ID).LeaseToken
	pause(false)
	h.Wait(lonely.ID)
	require.Equal(t, jobs.Failure, h.Task(lonely.ID).Status, "there is no such study")
	h.WaitFor(h.job.ID, func(jobs.Job) bool {
		task := h.Task(h.job.ID)
		return task.Status != jobs.InProgress || *task.LeaseToken > before
	})
	h.finish(t)
	task := h.Task(h.job.ID)
	require.Zero(t, task.Losses+task.Failures)
}

// TestStopCuts: a stop whose patience is over stops the series in hand too; the next start repeats only what was not
// acknowledged.
func TestStopCuts(t *testing.T) {
	h := newHeld(t)
	require.NoError(t, h.dst.Recorder().WaitStores(t.Context(), 9))
	h.Stop(0)
	task := h.Task(h.job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.Zero(t, task.Losses+task.Failures)
	require.GreaterOrEqual(
		t, task.Delivered, int32(5), "at most one instance per store association was not acknowledged yet",
	)
	h.Start()
	h.finish(t)
	require.Len(t, h.dst.Recorder().Log().Stores, 20+9-int(task.Delivered))
}
