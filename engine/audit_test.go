// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/test/harness"
)

// lastEntry returns the newest row of the audit log, and how many there are.
func lastEntry(t *testing.T, n *harness.Member) (audit.Row, int) {
	t.Helper()
	rows, err := n.People.Audit().List(t.Context(), audit.Filter{Limit: 500})
	require.NoError(t, err)
	if len(rows) == 0 {
		return audit.Row{}, 0
	}
	return rows[0], len(rows)
}

// TestChangesAreAudited: each change leaves one row, which names who made it; one that is refused leaves none.
func TestChangesAreAudited(t *testing.T) {
	const aMember = "member" // the name of the one that the tests of this package register
	n := newIdle(t)
	ctx := audit.WithActor(
		t.Context(), audit.Actor{UserID: n.Admin.ID, Username: "admin", Via: audit.ViaToken, Peer: "192.0.2.1"},
	)
	e := n.Engine
	register(t, n, uuid.New())
	var job jobs.Job
	task := func() int64 { return n.Task(job.ID).ID }
	no, urgent, profile := "", true, projects.ProfileName{Name: "ps3.15-basic"}
	act := func(a jobs.JobAction) func() error {
		return func() error { return e.Jobs.Act(ctx, n.Admin, job.ID, a) }
	}
	for _, step := range []struct {
		do             func() error
		action, object string
		detail         string
	}{
		{func() (err error) {
			job, err = e.Jobs.Create(ctx, n.Admin, jobs.Transfer{
				Source: "source", Destination: "destination",
				Studies: []jobs.Study{{StudyInstanceUID: "1.2.3", PatientID: "4711"}},
			})
			return err
		}, "job.create", "job 1", `"tasks":1`},
		{act(jobs.PauseJob), "job.pause", "job 1", `"status":"pending"`},
		{act(jobs.ContinueJob), "job.continue", "job 1", ""},
		{func() error { return e.Jobs.SetUrgency(ctx, n.Admin, job.ID, jobs.Urgency{Urgent: &urgent}) }, "job.change", "job 1", `"urgent":true`},
		{act(jobs.CancelJob), "job.cancel", "job 1", ""},
		{func() error { return e.Jobs.ActOnTask(ctx, n.Admin, task(), jobs.ResetTask) }, "task.reset", "task 1", `"job":1`},
		{func() error {
			_, err := e.Nodes.UpdateServer(ctx, n.Admin, "destination", func(s *nodes.NewServer) error {
				s.Port, s.Supports.StudyRootFind = 4242, !s.Supports.StudyRootFind
				return nil
			})
			return err
		}, "server.change", "server destination", `["Port","Supports.StudyRootFind"]`},
		{func() error { return e.Nodes.PauseServer(ctx, n.Admin, "source", true) }, "server.pause", "server source", ""},
		{func() error { return e.Nodes.PauseServer(ctx, n.Admin, "source", false) }, "server.continue", "server source", ""},
		{func() error {
			_, err := e.Nodes.SetSchedule(ctx, n.Admin, "source", schedule.Schedule{Default: schedule.Limits{Batch: 3}})
			return err
		}, "schedule.change", "server source", `"windows":0`},
		{func() error { return e.Lease.SetWorkers(ctx, n.Admin, "machine", &schedule.Workers{Default: 3}) }, "workers.change", "member machine", ""},
		{func() error { return e.Lease.SetWorkers(ctx, n.Admin, "machine", nil) }, "workers.delete", "member machine", ""},
		{func() error { _, err := e.Lease.Drain(ctx, n.Admin, aMember, true); return err }, "member.drain", "member " + aMember, ""},
		{func() error { _, err := e.Lease.Drain(ctx, n.Admin, aMember, false); return err }, "member.resume", "member " + aMember, ""},
		{func() error { _, err := e.Lease.SetRoles(ctx, n.Admin, aMember, []string{"web"}); return err }, "member.change", "member " + aMember, `"roles":["web"]`},
		{func() error {
			_, err := e.Projects.Create(ctx, n.Admin, projects.NewProject{Name: "Trial", Salt: "a secret"})
			return err
		}, "project.create", "project Trial", `"salt":true`},
		{func() error {
			_, err := e.Projects.Change(ctx, n.Admin, "Trial", projects.ProjectChange{Profile: &profile, Salt: &no})
			return err
		}, "project.change", "project Trial", `["profile","salt"]`},
		{func() error {
			_, err := e.Projects.AddProfile(ctx, n.Admin, []byte("name: own\nversion: \"1\"\nbase: adit\n"))
			return err
		}, "profile.create", "profile own", ""},
		{func() error {
			_, err := e.Projects.ImportLinkage(
				ctx, n.Admin, "Trial", []byte("Pseudonym,PatientID\nP1,4711\n"), projects.LinkageImport{},
			)
			return err
		}, "linkage.import", "project Trial", `"added":1`},
		{func() error {
			_, err := e.Projects.Linkage(ctx, n.Admin, "Trial", projects.LinkFilter{PatientID: "4711", Limit: 1})
			return err
		}, "linkage.read", "project Trial", ""},
		{func() error { _, err := e.Projects.ExportLinkage(ctx, n.Admin, "Trial"); return err }, "linkage.export", "project Trial", ""},
		{func() error {
			_, err := e.Nodes.AddFolder(ctx, n.Admin, nodes.NewFolder{Name: "disk", Path: t.TempDir()})
			return err
		}, "rights.grant", "folder disk", `"by":"folder.create"`},
		{func() error { _, err := e.Doctor.Check(ctx, n.Admin, "disk"); return err }, "folder.check", "folder disk", ""},
		{func() error {
			node, err := e.Nodes.ByName(ctx, "disk")
			require.NoError(t, err)
			return e.Nodes.Delete(ctx, n.Admin, node.ID)
		}, "folder.delete", "folder disk", ""},
	} {
		_, before := lastEntry(t, n)
		require.NoError(t, step.do(), step.action)
		row, after := lastEntry(t, n)
		require.Equal(t, before+1, after, step.action)
		require.Equal(
			t, [...]string{step.action, step.object, "admin", "token", "192.0.2.1"},
			[...]string{row.Action, row.Object, row.Username, row.Via, row.Peer},
		)
		require.Contains(t, row.Detail, step.detail)
		require.NotContains(t, row.Detail, "a secret")
	}

	_, before := lastEntry(t, n)
	for name, refused := range map[string]func() error{
		"wrong state": act(jobs.RetryJob),
		"twice":       func() error { return e.Nodes.PauseServer(ctx, n.Admin, "source", false) },
		"bad value": func() error {
			_, err := e.Nodes.UpdateServer(
				ctx, n.Admin, "destination", func(s *nodes.NewServer) error { s.Port = 0; return nil },
			)
			return err
		},
		"not there": func() error { return e.Nodes.Delete(ctx, n.Admin, 4711) },
		"dry run": func() error {
			_, err := e.Projects.ImportLinkage(
				ctx, n.Admin, "Trial", []byte("Pseudonym,PatientID\nP2,4712\n"), projects.LinkageImport{DryRun: true},
			)
			require.NoError(t, err)
			return refusal.ErrNotFound // as the others
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
	member := register(t, n, uuid.New())
	held := claim(t, n, member)
	_, before := lastEntry(t, n)
	require.NoError(t, n.Engine.Lease.Lose(t.Context(), held))
	_, after := lastEntry(t, n)
	require.Equal(t, before, after, "nothing was delivered")

	held = claim(t, n, member)
	progress := &lease.Progress{}
	progress.Delivered.Store(7)
	require.NoError(t, n.Engine.Lease.PushProgress(t.Context(), map[lease.Held]*lease.Progress{held: progress}))
	require.NoError(t, n.Engine.Jobs.Act(context.Background(), n.Admin, job.ID, jobs.CancelJob))
	require.NoError(t, n.Engine.Lease.Lose(t.Context(), held))
	row, _ := lastEntry(t, n)
	require.Equal(t, audit.ActTransfer, row.Action)
	require.Equal(
		t, [...]string{"1.2.3", "source", "destination", "admin", "system"},
		[...]string{row.StudyUID, row.Source, row.Destination, row.Username, row.Via},
	)
	var detail struct {
		Outcome   string `json:"outcome"`
		Delivered int    `json:"delivered"`
		Lost      bool   `json:"lost"`
	}
	require.NoError(t, json.Unmarshal([]byte(row.Detail), &detail))
	require.Equal(t, jobs.Canceled, detail.Outcome)
	require.Equal(t, 7, detail.Delivered)
	require.True(t, detail.Lost)
}
