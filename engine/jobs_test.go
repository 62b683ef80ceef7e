// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// jobIn makes a job with one task in the state given.
func jobIn(t *testing.T, n *harness.Node, status string) int64 {
	t.Helper()
	job := n.Transfer("source", "destination", "1.2.3")
	task, counter := status, status
	set := "started = true, started_at = now()"
	switch status {
	case engine.Unverified:
		task, counter, set = engine.Pending, engine.Pending, "verified = false"
	case engine.Pending:
		set = "started = false"
	case engine.InProgress:
		counter = "running"
	case engine.Canceling:
		task, counter, set = engine.InProgress, "running", "started = true, canceled = true"
	case engine.Canceled:
		set = "canceled = true"
	}
	move := "n_pending = 0, n_" + counter + " = 1"
	if counter == engine.Pending {
		move = "n_pending = 1"
	}
	_, err := n.Pool.Exec(t.Context(), fmt.Sprintf(`WITH j AS (UPDATE jobs SET %s, %s WHERE id = $1)
		UPDATE tasks SET status = $2, lease_node = CASE WHEN $2 = 'in_progress' THEN gen_random_uuid() END,
		lease_token = CASE WHEN $2 = 'in_progress' THEN 1 END WHERE job_id = $1`, set, move), job.ID, task)
	require.NoError(t, err)
	got, err := n.Engine.Job(t.Context(), n.Admin, job.ID)
	require.NoError(t, err)
	require.Equal(t, status, got.Status)
	return job.ID
}

// newIdle is a node with a source and a destination that runs nothing.
func newIdle(t *testing.T) *harness.Node {
	t.Helper()
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	n.AddServer("destination", "DST", "127.0.0.1:1", nil)
	return n
}

var allStates = []string{
	engine.Unverified, engine.Pending, engine.InProgress, engine.Canceling, engine.Canceled, engine.Success, engine.Warning, engine.Failure,
}

// TestJobActions walks every action through every state: it is done where product.md allows it, and refused elsewhere
// without changing anything.
func TestJobActions(t *testing.T) {
	n := newIdle(t)
	tests := map[engine.JobAction]map[string]string{ // action → state → state afterwards
		engine.VerifyJob: {engine.Unverified: engine.Pending},
		engine.DeleteJob: { // by staff, when it has ended
			engine.Unverified: "", engine.Pending: "", engine.Canceled: "", engine.Success: "", engine.Warning: "", engine.Failure: "",
		},
		engine.CancelJob:   {engine.Pending: engine.Canceled, engine.InProgress: engine.Canceling},
		engine.ResumeJob:   {engine.Canceled: engine.Pending},
		engine.RetryJob:    {engine.Failure: engine.Pending},
		engine.RestartJob:  {engine.Canceled: engine.Pending, engine.Success: engine.Pending, engine.Warning: engine.Pending, engine.Failure: engine.Pending},
		engine.PauseJob:    {engine.Pending: engine.Pending, engine.InProgress: engine.InProgress},
		engine.ContinueJob: {},
	}
	for action, allowed := range tests {
		for _, state := range allStates {
			t.Run(fmt.Sprintf("%s when %s", action, state), func(t *testing.T) {
				id := jobIn(t, n, state)
				_, err := n.Pool.Exec(t.Context(), `INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status) SELECT id, '1', '1', '1', 1, 0 FROM tasks WHERE job_id = $1`, id)
				require.NoError(t, err)
				before, err := n.Engine.Job(t.Context(), n.Admin, id)
				require.NoError(t, err)
				err = n.Engine.ActOnJob(t.Context(), n.Admin, id, action)
				after, getErr := n.Engine.Job(t.Context(), n.Admin, id)
				want, ok := allowed[state]
				if !ok {
					var conflict *engine.Conflict
					require.ErrorAs(t, err, &conflict)
					require.NoError(t, getErr)
					require.Equal(t, before, after)
					return
				}
				require.NoError(t, err)
				if want == "" {
					require.ErrorIs(t, getErr, engine.ErrNotFound)
					var left int
					require.NoError(t, n.Pool.QueryRow(t.Context(), `SELECT count(*) FROM delivered WHERE NOT EXISTS (SELECT FROM tasks WHERE id = task_id)`).Scan(&left))
					require.Zero(t, left, "the ledger goes with its task")
					return
				}
				require.Equal(t, want, after.Status)
			})
		}
	}
}

// TestTaskActions does the same for single tasks.
func TestTaskActions(t *testing.T) {
	n := newIdle(t)
	final := []string{engine.Canceled, engine.Success, engine.Warning, engine.Failure}
	tests := map[engine.TaskAction][]string{
		engine.KillTask:   {engine.InProgress},
		engine.ResetTask:  final,
		engine.DeleteTask: {}, // the last task of a job can't be deleted
	}
	for action, allowed := range tests {
		for _, state := range append([]string{engine.Pending, engine.InProgress}, final...) {
			t.Run(fmt.Sprintf("%s when %s", action, state), func(t *testing.T) {
				id := jobIn(t, n, state)
				err := n.Engine.ActOnTask(t.Context(), n.Admin, n.Task(id).ID, action)
				if !slices.Contains(allowed, state) {
					var conflict *engine.Conflict
					require.ErrorAs(t, err, &conflict)
					require.Equal(t, state, n.Task(id).Status)
					return
				}
				require.NoError(t, err)
				if action == engine.ResetTask {
					require.Equal(t, engine.Pending, n.Task(id).Status)
				} else {
					require.True(t, n.Task(id).CancelRequested)
				}
			})
		}
	}
}

func TestStaffActions(t *testing.T) {
	n := newIdle(t)
	id := jobIn(t, n, engine.Unverified)
	owner := n.Admin
	owner.IsStaff = false
	var denied *people.Denied
	require.ErrorAs(t, n.Engine.ActOnJob(t.Context(), owner, id, engine.VerifyJob), &denied)
	require.ErrorAs(t, n.Engine.ActOnJob(t.Context(), owner, id, engine.RestartJob), &denied)
	stranger := people.User{ID: owner.ID + 1}
	require.ErrorIs(t, n.Engine.ActOnJob(t.Context(), stranger, id, engine.DeleteJob), engine.ErrNotFound)
	_, err := n.Engine.Task(t.Context(), stranger, n.Task(id).ID)
	require.ErrorIs(t, err, engine.ErrNotFound)
}

func TestCreateTransferRefuses(t *testing.T) {
	n := newIdle(t)
	folder := n.AddFolder("folder", t.TempDir())
	n.AddServer("mute", "MUTE", "127.0.0.1:1", func(s *engine.NewServer) { s.Supports = engine.Supports{StudyRootFind: true} })
	study := []engine.Study{{StudyInstanceUID: "1.2.3"}}
	good := engine.Transfer{Source: "source", Destination: "destination", Studies: study}
	tests := []struct {
		name   string
		change func(*engine.Transfer)
		field  string
		reason string
	}{
		{"no studies", func(t *engine.Transfer) { t.Studies = nil }, "studies", "at least one"},
		{"malformed UID", func(t *engine.Transfer) { t.Studies = []engine.Study{{StudyInstanceUID: "1..2"}} }, "studies[0].study_instance_uid", "not a DICOM UID"},
		{"wildcard UID", func(t *engine.Transfer) { t.Studies = []engine.Study{{StudyInstanceUID: "1.2.*"}} }, "studies[0].study_instance_uid", "not a DICOM UID"},
		{"malformed series UID", func(t *engine.Transfer) {
			t.Studies = []engine.Study{{StudyInstanceUID: "1.2", SeriesInstanceUIDs: []string{"x"}}}
		}, "studies[0].series_instance_uids", "not a DICOM UID"},
		{"study twice", func(t *engine.Transfer) { t.Studies = slices.Concat(study, study) }, "studies[1]", "named twice"},
		{"wildcard patient", func(t *engine.Transfer) {
			t.Studies = []engine.Study{{StudyInstanceUID: "1.2", PatientID: "12*"}}
		}, "studies[0].patient_id", "without *"},
		{"pseudonym", func(t *engine.Transfer) {
			t.Studies = []engine.Study{{StudyInstanceUID: "1.2", Pseudonym: "P^1"}}
		}, "studies[0].pseudonym", "mean something else in DICOM"},
		{"trial ID", func(t *engine.Transfer) { t.TrialProtocolID = "a\\b" }, "trial_protocol_id", "backslash"},
		{"unknown source", func(t *engine.Transfer) { t.Source = "nowhere" }, "source", `no DICOM node named "nowhere"`},
		{"unknown destination", func(t *engine.Transfer) { t.Destination = "nowhere" }, "destination", `no DICOM node named "nowhere"`},
		{"folder as source", func(t *engine.Transfer) { t.Source = folder.Name }, "source", "folder can't be a source"},
		{"same node", func(t *engine.Transfer) { t.Destination = t.Source }, "destination", "the same"},
		{"source without get", func(t *engine.Transfer) { t.Source = "mute" }, "source", "C-GET"},
		{"destination without store", func(t *engine.Transfer) { t.Destination = "mute" }, "destination", "C-STORE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := good
			tt.change(&tr)
			_, err := n.Engine.CreateTransfer(t.Context(), n.Admin, tr)
			var invalid *engine.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, tt.field, invalid.Field)
			require.Contains(t, invalid.Reason, tt.reason)
		})
	}
	_, err := n.Pool.Exec(t.Context(), "DELETE FROM node_access")
	require.NoError(t, err)
	_, err = n.Engine.CreateTransfer(t.Context(), n.Admin, good)
	var denied *people.Denied
	require.ErrorAs(t, err, &denied, "administrators need a row of access too")
}

func TestIdempotencyKey(t *testing.T) {
	n := newIdle(t)
	tr := engine.Transfer{Source: "source", Destination: "destination", Studies: []engine.Study{{StudyInstanceUID: "1.2.3"}}, IdempotencyKey: "k1"}
	first := n.Create(tr)
	require.Equal(t, first.ID, n.Create(tr).ID)
	other := tr
	other.Urgent = true
	_, err := n.Engine.CreateTransfer(t.Context(), n.Admin, other)
	var invalid *engine.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "Idempotency-Key", invalid.Field)
	other.IdempotencyKey = "k2"
	require.NotEqual(t, first.ID, n.Create(other).ID)
	var jobs int
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM jobs").Scan(&jobs))
	require.Equal(t, 2, jobs)
}
