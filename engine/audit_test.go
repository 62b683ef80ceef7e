// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// lastEntry gives the newest row of the audit log, and how many there are.
func lastEntry(t *testing.T, n *harness.Node) (people.AuditRow, int) {
	t.Helper()
	rows, err := n.People.Audit().List(t.Context(), people.AuditFilter{Limit: 500})
	require.NoError(t, err)
	if len(rows) == 0 {
		return people.AuditRow{}, 0
	}
	return rows[0], len(rows)
}

// TestChangesAreAudited: each change leaves one row, which names who made it; one that is refused leaves none.
func TestChangesAreAudited(t *testing.T) {
	n := newIdle(t)
	ctx := people.WithActor(t.Context(), people.Actor{UserID: n.Admin.ID, Username: "admin", Via: people.ViaToken, Peer: "192.0.2.1"})
	e := n.Engine
	var job engine.Job
	task := func() int64 { return n.Task(job.ID).ID }
	no, urgent, profile := "", true, engine.ProfileName{Name: "ps3.15-basic"}
	act := func(a engine.JobAction) func() error {
		return func() error { return e.ActOnJob(ctx, n.Admin, job.ID, a) }
	}
	for _, step := range []struct {
		do             func() error
		action, object string
		detail         string
	}{
		{func() (err error) {
			job, err = e.CreateTransfer(ctx, n.Admin, engine.Transfer{Source: "source", Destination: "destination", Studies: []engine.Study{{StudyInstanceUID: "1.2.3", PatientID: "4711"}}})
			return err
		}, "job.create", "job 1", `"tasks":1`},
		{act(engine.PauseJob), "job.pause", "job 1", `"status":"pending"`},
		{act(engine.ContinueJob), "job.continue", "job 1", ""},
		{func() error { return e.SetUrgency(ctx, n.Admin, job.ID, engine.Urgency{Urgent: &urgent}) }, "job.change", "job 1", `"urgent":true`},
		{act(engine.CancelJob), "job.cancel", "job 1", ""},
		{func() error { return e.ActOnTask(ctx, n.Admin, task(), engine.ResetTask) }, "task.reset", "task 1", `"job":1`},
		{func() error {
			_, err := e.UpdateServer(ctx, n.Admin, "destination", func(s *engine.NewServer) error {
				s.Port, s.Supports.StudyRootFind = 4242, !s.Supports.StudyRootFind
				return nil
			})
			return err
		}, "server.change", "server destination", `["Port","Supports.StudyRootFind"]`},
		{func() error { return e.PauseServer(ctx, n.Admin, "source", true) }, "server.pause", "server source", ""},
		{func() error { return e.PauseServer(ctx, n.Admin, "source", false) }, "server.continue", "server source", ""},
		{func() error {
			_, err := e.SetSchedule(ctx, n.Admin, "source", schedule.Schedule{Default: schedule.Limits{Batch: 3}})
			return err
		}, "schedule.change", "server source", `"windows":0`},
		{func() error { return e.SetWorkers(ctx, n.Admin, "machine", &schedule.Workers{Default: 3}) }, "workers.change", "node machine", ""},
		{func() error { return e.SetWorkers(ctx, n.Admin, "machine", nil) }, "workers.delete", "node machine", ""},
		{func() error {
			_, err := e.CreateProject(ctx, n.Admin, engine.NewProject{Name: "Trial", Salt: "a secret"})
			return err
		}, "project.create", "project Trial", `"salt":true`},
		{func() error {
			_, err := e.ChangeProject(ctx, n.Admin, "Trial", engine.ProjectChange{Profile: &profile, Salt: &no})
			return err
		}, "project.change", "project Trial", `["profile","salt"]`},
		{func() error {
			_, err := e.AddProfile(ctx, n.Admin, []byte("name: own\nversion: \"1\"\nbase: adit\n"))
			return err
		}, "profile.create", "profile own", ""},
		{func() error {
			_, err := e.ImportLinkage(ctx, n.Admin, "Trial", []byte("Pseudonym,PatientID\nP1,4711\n"), engine.LinkageImport{})
			return err
		}, "linkage.import", "project Trial", `"added":1`},
		{func() error {
			_, err := e.Linkage(ctx, n.Admin, "Trial", engine.LinkFilter{PatientID: "4711", Limit: 1})
			return err
		}, "linkage.read", "project Trial", ""},
		{func() error { _, err := e.ExportLinkage(ctx, n.Admin, "Trial"); return err }, "linkage.export", "project Trial", ""},
		{func() error {
			_, err := e.AddFolder(ctx, n.Admin, engine.NewFolder{Name: "disk", Path: t.TempDir()})
			return err
		}, "folder.create", "folder disk", "path"},
		{func() error { _, err := e.CheckNode(ctx, n.Admin, "disk"); return err }, "folder.check", "folder disk", ""},
		{func() error {
			node, err := e.DICOMNodeByName(ctx, "disk")
			require.NoError(t, err)
			return e.DeleteDICOMNode(ctx, n.Admin, node.ID)
		}, "folder.delete", "folder disk", ""},
	} {
		_, before := lastEntry(t, n)
		require.NoError(t, step.do(), step.action)
		row, after := lastEntry(t, n)
		require.Equal(t, before+1, after, step.action)
		require.Equal(t, [...]string{step.action, step.object, "admin", "token", "192.0.2.1"}, [...]string{row.Action, row.Object, row.Username, row.Via, row.Peer})
		require.Contains(t, row.Detail, step.detail)
		require.NotContains(t, row.Detail, "a secret")
	}

	_, before := lastEntry(t, n)
	for name, refused := range map[string]func() error{
		"wrong state": act(engine.RetryJob),
		"twice":       func() error { return e.PauseServer(ctx, n.Admin, "source", false) },
		"bad value": func() error {
			_, err := e.UpdateServer(ctx, n.Admin, "destination", func(s *engine.NewServer) error { s.Port = 0; return nil })
			return err
		},
		"not there": func() error { return e.DeleteDICOMNode(ctx, n.Admin, 4711) },
		"dry run": func() error {
			_, err := e.ImportLinkage(ctx, n.Admin, "Trial", []byte("Pseudonym,PatientID\nP2,4712\n"), engine.LinkageImport{DryRun: true})
			require.NoError(t, err)
			return engine.ErrNotFound // as the others
		},
	} {
		require.Error(t, refused(), name)
	}
	_, after := lastEntry(t, n)
	require.Equal(t, before, after)
}

// TestLossIsAudited: what a process delivered before it died is in the log, whatever becomes of the task.
func TestLossIsAudited(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	node := register(t, n, uuid.New())
	held := claim(t, n, node)
	_, before := lastEntry(t, n)
	require.NoError(t, n.Engine.Lose(t.Context(), held))
	_, after := lastEntry(t, n)
	require.Equal(t, before, after, "nothing was delivered")

	held = claim(t, n, node)
	progress := &engine.Progress{}
	progress.Delivered.Store(7)
	require.NoError(t, n.Engine.PushProgress(t.Context(), map[engine.Held]*engine.Progress{held: progress}))
	require.NoError(t, n.Engine.ActOnJob(context.Background(), n.Admin, job.ID, engine.CancelJob))
	require.NoError(t, n.Engine.Lose(t.Context(), held))
	row, _ := lastEntry(t, n)
	require.Equal(t, people.ActTransfer, row.Action)
	require.Equal(t, [...]string{"1.2.3", "source", "destination", "admin", "system"}, [...]string{row.StudyUID, row.Source, row.Destination, row.Username, row.Via})
	var detail struct {
		Outcome   string `json:"outcome"`
		Delivered int    `json:"delivered"`
		Lost      bool   `json:"lost"`
	}
	require.NoError(t, json.Unmarshal([]byte(row.Detail), &detail))
	require.Equal(t, engine.Canceled, detail.Outcome)
	require.Equal(t, 7, detail.Delivered)
	require.True(t, detail.Lost)
}
