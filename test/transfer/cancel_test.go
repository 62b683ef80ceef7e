// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// large is a study that takes a while: 400 instances of 0.5 MB.
func large(seed uint64) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-002", Name: "Phantom^Beta"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 400}},
	})
}

// TestCancel: a second after the cancel every association is closed at both ends, on stalled peers too; resuming
// finishes the job without sending anything twice that was acknowledged.
func TestCancel(t *testing.T) {
	type gate = func(context.Context, pacs.Event)
	tests := []struct {
		name string
		at   pacs.EventKind
		set  func(src, dst *pacs.Config, g gate)
	}{
		{"source stalls between two objects", pacs.AtSubOperation, func(src, _ *pacs.Config, g gate) { src.Gate = g }},
		{"destination doesn't answer", pacs.AtStoreResponse, func(_, dst *pacs.Config, g gate) { dst.Gate = g }},
		{"destination reads nothing", pacs.AtStore, func(_, dst *pacs.Config, g gate) { dst.Gate = g }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			study := large(7)
			srcCfg, dstCfg := pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}}, pacs.Config{AETitle: "DST"}
			reached, let := make(chan struct{}), make(chan struct{})
			var once sync.Once
			tt.set(&srcCfg, &dstCfg, func(_ context.Context, e pacs.Event) {
				if e.Kind == tt.at && e.Number == 100 {
					once.Do(func() { close(reached) })
					<-let
				}
			})
			src, dst := startPACS(t, srcCfg), startPACS(t, dstCfg)
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), withCap(1))
			job := n.Transfer("source", "destination", study.StudyInstanceUID)
			select {
			case <-reached:
			case <-time.After(harness.Deadline):
				t.Fatal("the transfer did not come so far")
			}

			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.NoError(t, n.Engine.Jobs.Act(ctx, n.Admin, job.ID, jobs.CancelJob))
			job = n.Wait(job.ID)
			require.NoError(t, ctx.Err(), "canceled within a second: our sockets are closed")
			require.Equal(t, jobs.Canceled, job.Status)
			require.Contains(t, n.Task(job.ID).Message, "Canceled while it ran")
			stored := len(dst.Recorder().Log().Stores)
			close(let) // the stalled peer goes on, and finds the association gone
			require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
			require.NoError(t, dst.Recorder().WaitOpen(t.Context(), 0))
			require.LessOrEqual(
				t, len(dst.Recorder().Log().Stores), stored+1, "what lay in the peer's own buffers, no more",
			)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.ResumeJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			log := dst.Recorder().Log()
			require.LessOrEqual(t, len(log.Stores), 400+2, "only what was not acknowledged is sent again")
			require.GreaterOrEqual(t, stored, 90)
		})
	}
}

// TestKillTask cancels one task of a job and lets the others finish.
func TestKillTask(t *testing.T) {
	first, second := ct(8, 3), ct(9, 3)
	reached := make(chan struct{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{first, second},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.SOPInstanceUID == first.Instances()[1].SOPInstanceUID {
				close(reached)
				<-ctx.Done()
			}
		},
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", first.StudyInstanceUID, second.StudyInstanceUID)
	<-reached
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 2})
	require.NoError(t, err)
	require.NoError(t, n.Engine.Jobs.ActOnTask(t.Context(), n.Admin, tasks[0].ID, jobs.KillTask))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status)
	require.EqualValues(t, 1, job.NCanceled)
	require.Equal(t, "Some tasks were canceled.", job.Message())
}

// TestParkAndGoOn: a stop lets the series in hand finish, gives everything back, and the next start repeats nothing.
func TestParkAndGoOn(t *testing.T) {
	study := phantom.New(10, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-003", Name: "Phantom^Gamma"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 20, Rows: 64, Columns: 64}, {Kind: phantom.CT, Instances: 20, Rows: 64, Columns: 64}},
	})
	reached, let := make(chan struct{}), make(chan struct{})
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: func(_ context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.SOPInstanceUID == study.Instances()[10].SOPInstanceUID {
				close(reached)
				<-let
			}
		}},
	)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	// one series after the other
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { s.AssociationsPerTask = 1 })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-reached
	time.AfterFunc(100*time.Millisecond, func() { close(let) }) // while the member stops
	n.Stop(harness.Deadline)

	require.Len(t, dst.Recorder().Log().Stores, 20, "the series in hand was finished, no other begun")
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.Zero(t, task.Failures+task.Losses)
	var slots int
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
	require.Zero(t, slots)
	require.Zero(t, src.Recorder().Log().Lost+dst.Recorder().Log().Lost)

	n.Start()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireSame(t, src, dst, 40)
}
