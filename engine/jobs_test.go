// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// jobIn makes a job with one task in the state given.
func jobIn(t *testing.T, n *harness.Member, status string) int64 {
	t.Helper()
	job := n.Transfer("source", "destination", "1.2.3")
	task, counter := status, status
	set := "started = true, started_at = now()"
	switch status {
	case jobs.Unverified:
		task, counter, set = jobs.Pending, jobs.Pending, "verified = false"
	case jobs.Pending:
		set = "started = false"
	case jobs.InProgress:
		counter = "running"
	case jobs.Canceling:
		task, counter, set = jobs.InProgress, "running", "started = true, canceled = true"
	case jobs.Canceled:
		set = "canceled = true"
	}
	move := "n_pending = 0, n_" + counter + " = 1"
	if counter == jobs.Pending {
		move = "n_pending = 1"
	}
	_, err := n.Pool.Exec(t.Context(), fmt.Sprintf(`WITH j AS (UPDATE jobs SET %s, %s WHERE id = $1)
		UPDATE tasks SET status = $2, lease_member = CASE WHEN $2 = 'in_progress' THEN gen_random_uuid() END,
		lease_token = CASE WHEN $2 = 'in_progress' THEN 1 END WHERE job_id = $1`, set, move), job.ID, task)
	require.NoError(t, err)
	got, err := n.Engine.Jobs.Get(t.Context(), n.Admin, job.ID)
	require.NoError(t, err)
	require.Equal(t, status, got.Status)
	return job.ID
}

// newIdle is a member with a source and a destination that runs nothing.
func newIdle(t *testing.T) *harness.Member {
	t.Helper()
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	n.AddServer("destination", "DST", "127.0.0.1:1", nil)
	return n
}

var allStates = []string{
	jobs.Unverified, jobs.Pending, jobs.InProgress, jobs.Canceling,
	jobs.Canceled, jobs.Success, jobs.Warning, jobs.Failure,
}

// jobActions are the actions, and by state that allows them the state afterwards; none: the job is gone.
var jobActions = map[jobs.JobAction]map[string]string{
	jobs.VerifyJob: {jobs.Unverified: jobs.Pending},
	jobs.DeleteJob: { // by staff, when it has ended
		jobs.Unverified: "", jobs.Pending: "", jobs.Canceled: "", jobs.Success: "", jobs.Warning: "", jobs.Failure: "",
	},
	jobs.CancelJob:   {jobs.Pending: jobs.Canceled, jobs.InProgress: jobs.Canceling},
	jobs.ResumeJob:   {jobs.Canceled: jobs.Pending},
	jobs.RetryJob:    {jobs.Failure: jobs.Pending},
	jobs.RestartJob:  {jobs.Canceled: jobs.Pending, jobs.Success: jobs.Pending, jobs.Warning: jobs.Pending, jobs.Failure: jobs.Pending},
	jobs.PauseJob:    {jobs.Pending: jobs.Pending, jobs.InProgress: jobs.InProgress},
	jobs.ContinueJob: {},
}

// TestJobActions walks every action through every state: it is done where jobActions says so, and refused elsewhere
// without changing anything.
func TestJobActions(t *testing.T) {
	n := newIdle(t)
	for action, allowed := range jobActions {
		for _, state := range allStates {
			t.Run(fmt.Sprintf("%s when %s", action, state), func(t *testing.T) {
				id := jobIn(t, n, state)
				_, err := n.Pool.Exec(t.Context(),
					`INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status) SELECT id, '1', '1', '1', 1, 0 FROM tasks WHERE job_id = $1`,
					id,
				)
				require.NoError(t, err)
				before, err := n.Engine.Jobs.Get(t.Context(), n.Admin, id)
				require.NoError(t, err)
				err = n.Engine.Jobs.Act(t.Context(), n.Admin, id, action)
				after, getErr := n.Engine.Jobs.Get(t.Context(), n.Admin, id)
				want, ok := allowed[state]
				if !ok {
					var conflict *refusal.Conflict
					require.ErrorAs(t, err, &conflict)
					require.NoError(t, getErr)
					require.Equal(t, before, after)
					return
				}
				require.NoError(t, err)
				if want == "" {
					require.ErrorIs(t, getErr, refusal.ErrNotFound)
					var left int
					require.NoError(t, n.Pool.QueryRow(t.Context(),
						`SELECT count(*) FROM delivered WHERE NOT EXISTS (SELECT FROM tasks WHERE id = task_id)`,
					).Scan(&left))
					require.Zero(t, left, "the ledger goes with its task")
					return
				}
				require.Equal(t, want, after.Status)
			})
		}
	}
}

var finalStates = []string{jobs.Canceled, jobs.Success, jobs.Warning, jobs.Failure}

var taskActions = map[jobs.TaskAction][]string{
	jobs.KillTask:   {jobs.InProgress},
	jobs.ResetTask:  finalStates,
	jobs.DeleteTask: {}, // the last task of a job can't be deleted
}

// TestTaskActions does the same for single tasks.
func TestTaskActions(t *testing.T) {
	n := newIdle(t)
	for action, allowed := range taskActions {
		for _, state := range append([]string{jobs.Pending, jobs.InProgress}, finalStates...) {
			t.Run(fmt.Sprintf("%s when %s", action, state), func(t *testing.T) {
				id := jobIn(t, n, state)
				err := n.Engine.Jobs.ActOnTask(t.Context(), n.Admin, n.Task(id).ID, action)
				if !slices.Contains(allowed, state) {
					var conflict *refusal.Conflict
					require.ErrorAs(t, err, &conflict)
					require.Equal(t, state, n.Task(id).Status)
					return
				}
				require.NoError(t, err)
				if action == jobs.ResetTask {
					require.Equal(t, jobs.Pending, n.Task(id).Status)
				} else {
					require.True(t, n.Task(id).CancelRequested)
				}
			})
		}
	}
}

func TestStaffActions(t *testing.T) {
	n := newIdle(t)
	id := jobIn(t, n, jobs.Unverified)
	owner := n.Admin
	owner.IsStaff = false
	var denied *people.Denied
	require.ErrorAs(t, n.Engine.Jobs.Act(t.Context(), owner, id, jobs.VerifyJob), &denied)
	require.ErrorAs(t, n.Engine.Jobs.Act(t.Context(), owner, id, jobs.RestartJob), &denied)
	stranger := people.User{ID: owner.ID + 1}
	require.ErrorIs(t, n.Engine.Jobs.Act(t.Context(), stranger, id, jobs.DeleteJob), refusal.ErrNotFound)
	_, err := n.Engine.Jobs.Task(t.Context(), stranger, n.Task(id).ID)
	require.ErrorIs(t, err, refusal.ErrNotFound)
}

func TestCreateTransferRefuses(t *testing.T) {
	n := newIdle(t)
	folder := n.AddFolder("folder", t.TempDir())
	n.AddServer(
		"mute", "MUTE", "127.0.0.1:1", func(s *nodes.NewServer) { s.Supports = nodes.Supports{StudyRootFind: true} },
	)
	study := []jobs.Study{{StudyInstanceUID: "1.2.3"}}
	good := jobs.Transfer{Source: "source", Destination: "destination", Studies: study}
	tests := []struct {
		name   string
		change func(*jobs.Transfer)
		field  string
		reason string
	}{
		{"no studies", func(t *jobs.Transfer) { t.Studies = nil }, "studies", "at least one"},
		{"malformed UID", func(t *jobs.Transfer) { t.Studies = []jobs.Study{{StudyInstanceUID: "1..2"}} }, "studies[0].study_instance_uid", "not a DICOM UID"},
		{"wildcard UID", func(t *jobs.Transfer) { t.Studies = []jobs.Study{{StudyInstanceUID: "1.2.*"}} }, "studies[0].study_instance_uid", "not a DICOM UID"},
		{"malformed series UID", func(t *jobs.Transfer) {
			t.Studies = []jobs.Study{{StudyInstanceUID: "1.2", SeriesInstanceUIDs: []string{"x"}}}
		}, "studies[0].series_instance_uids", "not a DICOM UID"},
		{"study twice", func(t *jobs.Transfer) { t.Studies = slices.Concat(study, study) }, "studies[1]", "names this study twice"},
		{"wildcard patient", func(t *jobs.Transfer) {
			t.Studies = []jobs.Study{{StudyInstanceUID: "1.2", PatientID: "12*"}}
		}, "studies[0].patient_id", "without *"},
		{"pseudonym", func(t *jobs.Transfer) {
			t.Studies = []jobs.Study{{StudyInstanceUID: "1.2", Pseudonym: "P^1"}}
		}, "studies[0].pseudonym", "have a special meaning in DICOM"},
		{"trial ID", func(t *jobs.Transfer) { t.TrialProtocolID = "a\\b" }, "trial_protocol_id", "backslash"},
		{"unknown source", func(t *jobs.Transfer) { t.Source = "nowhere" }, "source", `no DICOM node named "nowhere"`},
		{"unknown destination", func(t *jobs.Transfer) { t.Destination = "nowhere" }, "destination", `no DICOM node named "nowhere"`},
		{"folder as source", func(t *jobs.Transfer) { t.Source = folder.Name }, "source", "folder can't be a source"},
		{"same node", func(t *jobs.Transfer) { t.Destination = t.Source }, "destination", "the same"},
		{"source without get", func(t *jobs.Transfer) { t.Source = "mute" }, "source", "C-GET"},
		{"destination without store", func(t *jobs.Transfer) { t.Destination = "mute" }, "destination", "C-STORE"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tr := good
			tt.change(&tr)
			_, err := n.Engine.Jobs.Create(t.Context(), n.Admin, tr)
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, tt.field, invalid.Field)
			require.Contains(t, invalid.Reason, tt.reason)
		})
	}
	_, err := n.Pool.Exec(t.Context(), "DELETE FROM node_access")
	require.NoError(t, err)
	_, err = n.Engine.Jobs.Create(t.Context(), n.Admin, good)
	var denied *people.Denied
	require.ErrorAs(t, err, &denied, "administrators need a row of access too")
}

func TestIdempotencyKey(t *testing.T) {
	n := newIdle(t)
	tr := jobs.Transfer{
		Source: "source", Destination: "destination",
		Studies: []jobs.Study{{StudyInstanceUID: "1.2.3"}}, IdempotencyKey: "k1",
	}
	first := n.Create(tr)
	require.Equal(t, first.ID, n.Create(tr).ID)
	other := tr
	other.Urgent = true
	_, err := n.Engine.Jobs.Create(t.Context(), n.Admin, other)
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "Idempotency-Key", invalid.Field)
	other.IdempotencyKey = "k2"
	require.NotEqual(t, first.ID, n.Create(other).ID)
	var jobs int
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM jobs").Scan(&jobs))
	require.Equal(t, 2, jobs)
}
