// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

const (
	owner    = "reader"
	ownGroup = "Readers"
	project  = "Trial"
)

// losses are the ways to lose the right to a transfer, and what is said then.
var losses = []struct {
	name, says string
	lose       func(ctx context.Context, n *harness.Member) error
}{
	{"account disabled", "account is disabled", func(ctx context.Context, n *harness.Member) error {
		_, err := n.People.Users.Change(ctx, n.Admin, owner, people.AccountChange{Active: new(false)})
		return err
	}},
	{"permission", `the permission "selective_transfer"`, func(ctx context.Context, n *harness.Member) error {
		_, err := n.People.Groups.Change(
			ctx, n.Admin, ownGroup, people.GroupChange{Permissions: &[]string{people.TransferUnpseudonymized}},
		)
		return err
	}},
	{
		"permission to show patients", `the permission "transfer_unpseudonymized"`,
		func(ctx context.Context, n *harness.Member) error {
			_, err := n.People.Groups.Change(
				ctx, n.Admin, ownGroup, people.GroupChange{Permissions: &[]string{people.SelectiveTransfer}},
			)
			return err
		},
	},
	{"source", "as a source", func(ctx context.Context, n *harness.Member) error {
		_, err := n.People.Groups.SetAccess(ctx, n.Admin, ownGroup, "source", false, true)
		return err
	}},
	{"destination", "as a destination", func(ctx context.Context, n *harness.Member) error {
		_, err := n.People.Groups.SetAccess(ctx, n.Admin, ownGroup, "destination", false, false)
		return err
	}},
	{"group", "groups lack the permission", func(ctx context.Context, n *harness.Member) error {
		return n.People.Groups.RemoveMember(ctx, n.Admin, ownGroup, owner)
	}},
	{"project", "neither to this project", func(ctx context.Context, n *harness.Member) error {
		_, err := n.Engine.Projects.Change(ctx, n.Admin, project, projects.ProjectChange{Members: &[]string{}})
		return err
	}},
}

// addOwner makes somebody who may do this transfer and nothing else, as a member of another group's project.
func addOwner(t *testing.T, n *harness.Member) people.User {
	t.Helper()
	ctx := t.Context()
	_, err := n.People.Groups.Create(
		ctx, n.Admin, ownGroup, []string{people.SelectiveTransfer, people.TransferUnpseudonymized},
	)
	require.NoError(t, err)
	for node, source := range map[string]bool{"source": true, "destination": false} {
		_, err := n.People.Groups.SetAccess(ctx, n.Admin, ownGroup, node, source, !source)
		require.NoError(t, err)
	}
	a, err := n.People.Users.Create(ctx, n.Admin, people.NewAccount{Username: owner, Groups: []string{ownGroup}})
	require.NoError(t, err)
	_, err = n.Engine.Projects.Create(ctx, n.Admin, projects.NewProject{Name: project, Members: []string{owner}})
	require.NoError(t, err)
	return people.User{ID: a.ID, Username: a.Username}
}

func transferOf(t *testing.T, n *harness.Member, user people.User, study *phantom.Study) jobs.Job {
	t.Helper()
	job, err := n.Engine.Jobs.Create(t.Context(), user, jobs.Transfer{
		Source: "source", Destination: "destination", Project: project,
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
	})
	require.NoError(t, err)
	return job
}

// TestRightLostWhileRunning: a right that its owner loses cancels a running transfer by the second heartbeat of its
// member: one may have looked just before the loss was committed.
func TestRightLostWhileRunning(t *testing.T) {
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			study, stop := ct(70, 40), pacs.StopAt(pacs.AtSubOperation, 10)
			src, dst := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: stop.Gate}),
				startPACS(t, pacs.Config{AETitle: "DST"})
			t.Cleanup(stop.Release)
			n := harness.New(t, harness.Config{Lease: 5 * time.Second}) // a beat each second
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := transferOf(t, n, addOwner(t, n), study)
			select {
			case <-stop.Reached():
			case <-time.After(harness.Deadline):
				t.Fatal("the transfer did not come so far")
			}
			// The beat at which the task ends is noted by the database itself.
			_, err := n.Pool.Exec(t.Context(), `
				CREATE TABLE ends (beat bigint);
				CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ends SELECT max(beat) FROM members; RETURN NULL; END $$;
				CREATE TRIGGER note_end AFTER UPDATE ON tasks FOR EACH ROW WHEN (NEW.status = 'canceled') EXECUTE FUNCTION note_end()`)
			require.NoError(t, err)
			require.NoError(t, tt.lose(t.Context(), n))
			var lost, ended int64
			require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT max(beat) FROM members").Scan(&lost))

			job = n.Wait(job.ID)
			require.Equal(t, jobs.Canceled, job.Status)
			task := n.Task(job.ID)
			require.Contains(t, task.Message, "Canceled while it ran")
			require.Contains(t, task.Message, "The owner of this job may no longer continue it: ")
			require.Contains(t, task.Message, tt.says)
			require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT beat FROM ends").Scan(&ended))
			require.LessOrEqual(t, ended-lost, int64(2), "heartbeats")
			stop.Release()
			require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
			require.NoError(t, dst.Recorder().WaitOpen(t.Context(), 0))
			require.Less(t, len(dst.Recorder().Log().Stores), 40)
		})
	}
}

// TestRightLostBeforeStart: what waits is judged anew when it starts, before anybody is called.
func TestRightLostBeforeStart(t *testing.T) {
	for _, tt := range losses {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			study := ct(71, 3)
			src, dst := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}}),
				startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{Idle: true})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := transferOf(t, n, addOwner(t, n), study)
			require.NoError(t, tt.lose(t.Context(), n))
			n.Start()
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Failure, job.Status)
			require.Contains(t, n.Task(job.ID).Message, tt.says)
			require.Zero(t, src.Recorder().Log().Total+dst.Recorder().Log().Total)
		})
	}
}

// TestRightsByOneQuery: however many tasks a member runs, a heartbeat asks once for all of them.
func TestRightsByOneQuery(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	source, destination := n.AddServer("source", "SRC", "127.0.0.1:1", nil),
		n.AddServer("destination", "DST", "127.0.0.1:2", nil)
	user := addOwner(t, n)
	running := make([]lease.HeldTask, 500)
	for i := range running {
		running[i] = lease.HeldTask{Owner: user.ID, Source: source.ID, Destination: destination.ID}
		running[i].TaskID = int64(i)
		if i%100 == 7 {
			running[i].Source = destination.ID // which they may not read from
		}
	}
	before := n.Pool.Stat().AcquireCount()
	revoked, err := n.Engine.Lease.Revoked(t.Context(), running)
	require.NoError(t, err)
	require.EqualValues(t, 1, n.Pool.Stat().AcquireCount()-before)
	ids := []int64{}
	for held := range revoked {
		ids = append(ids, held.TaskID)
	}
	slices.Sort(ids)
	require.Equal(t, []int64{7, 107, 207, 307, 407}, ids)
}
