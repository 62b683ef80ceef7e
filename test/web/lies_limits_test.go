// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/test/harness"
)

func capped(most, perTask int) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) { s.BatchCap, s.AssociationsPerTask = &most, perTask }
}

// TestCaps counts requests and connections at the servers themselves: never more requests at once than the cap, nor
// more of one task than it may use; and the cap is used.
func TestCaps(t *testing.T) {
	for name, tt := range map[string]struct{ tasks, cap, perTask, most int }{
		"many tasks, three at once":   {30, 3, 1, 3},
		"one task, two at once":       {1, 8, 2, 2},
		"one task, one after another": {1, 8, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			var studies []*phantom.Study
			var uids []string
			for i := range tt.tasks {
				st := liars(uint64(100 + i))
				studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
			}
			var begun atomic.Int32
			together := make(chan struct{})
			src := startPACS(t, pacs.Config{Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind != pacs.AtWebObject || e.Number != 1 {
					return
				}
				if begun.Add(1) == int32(tt.most) { // as many as may come wait for each other
					close(together)
				}
				select {
				case <-together:
				case <-ctx.Done():
				}
			}})
			dst := startPACS(t, pacs.Config{})
			n := harness.New(t, harness.Config{Workers: 12})
			job := n.Wait(n.Transfer(
				add(n, src, byWeb(src), capped(tt.cap, tt.perTask)), add(n, dst, byWeb(dst), capped(tt.cap, tt.perTask)), uids...,
			).ID)
			require.Equal(t, jobs.Success, job.Status)
			require.Len(t, dst.Recorder().Log().Stores, objects*tt.tasks)
			log := src.Recorder().Log().Web
			require.Equal(t, tt.most, log.Peak, "requests to the source")
			// a server sees the end of a connection later than the beginning of the one that took its place
			require.LessOrEqual(t, log.PeakConnections, 2*tt.most, "connections to the source")
			log = dst.Recorder().Log().Web
			require.LessOrEqual(t, log.Peak, tt.most, "requests to the destination")
			require.LessOrEqual(t, log.PeakConnections, 2*tt.most, "connections to the destination")
			var slots int
			require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
			require.Zero(t, slots, "all were given back")
		})
	}
}

// TestPace: what goes by DICOMweb keeps to the limit in MB/s of either side
func TestPace(t *testing.T) {
	const images, limit = 12, 4
	study := phantom.New(31, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: images, Rows: 512, Columns: 512}},
	})
	n := harness.New(t, harness.Config{Workers: 4, Lease: time.Minute})
	for name, atSource := range map[string]bool{"source": true, "destination": false} {
		t.Run(name, func(t *testing.T) {
			src, dst := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}}), startPACS(t, pacs.Config{})
			source, destination := add(n, src, byWeb(src)), add(n, dst, byWeb(dst))
			_, err := n.Engine.Nodes.SetSchedule(
				t.Context(), n.Admin, map[bool]string{true: source, false: destination}[atSource],
				schedule.Schedule{Default: schedule.Limits{Batch: 8, Interactive: 2, MBPerSecond: limit}},
			)
			require.NoError(t, err)
			begin := time.Now()
			job := n.Wait(n.Transfer(source, destination, study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			require.Len(t, kept(t, study, dst, false), images)
			least := time.Duration((float64(images*512*512*2)/1e6/limit - 1) * float64(time.Second))
			require.GreaterOrEqual(t, time.Since(begin), least)
		})
	}
}

// TestPark: a retrieve by WADO-RS that has to stop, since the hour takes its place away or the job is paused, ends
// behind the object under way, and goes on later without one that is sent again.
func TestPark(t *testing.T) {
	for name, stop := range map[string]func(n *harness.Member, job int64) (goOn func()){
		"no workers": func(n *harness.Member, _ int64) func() {
			require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", &schedule.Workers{Default: 0}))
			return func() { require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", nil)) }
		},
		"the member ends": func(n *harness.Member, _ int64) func() {
			n.Stop(2 * time.Second)
			return n.Start
		},
	} {
		t.Run(name, func(t *testing.T) {
			study := ct(32, 40)
			reached := make(chan struct{})
			var once sync.Once
			var ended atomic.Bool
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind != pacs.AtWebObject || e.Number != 20 {
					return
				}
				first := false
				once.Do(func() { first = true; close(reached) })
				if first { // the client goes away, or has the rest
					<-ctx.Done()
					ended.Store(true)
				}
			}})
			dst := startPACS(t, pacs.Config{})
			n := harness.New(t, harness.Config{Engine: base.Config{ParkGrace: time.Millisecond}})
			job := n.Transfer(add(n, src, byWeb(src)), add(n, dst, byWeb(dst)), study.StudyInstanceUID)
			<-reached
			goOn := stop(n, job.ID)
			n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 0 })
			task := n.Task(job.ID)
			require.Equal(t, jobs.Pending, task.Status, task.Message)
			require.Zero(t, task.Failures+task.Losses+task.Waits)
			require.Positive(t, task.Delivered)
			require.True(t, ended.Load(), "the retrieve was ended")
			goOn()
			n.Wait(job.ID)
			task = n.Task(job.ID)
			require.Zero(t, task.Failures+task.Losses)
			told{delivered: -1}.require(t, n, task, study, dst)
			sent := map[string]bool{}
			for _, s := range src.Recorder().Log().Sent {
				require.NotContains(t, sent, s.SOPInstanceUID, "retrieved again")
				sent[s.SOPInstanceUID] = true
			}
		})
	}
}
