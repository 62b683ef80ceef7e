// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// heavy is a study of so many CT images of half a megabyte.
func heavy(seed uint64, instances int) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: instances, Rows: 512, Columns: 512}},
	})
}

// TestMBPerSecond: what jobs move keeps to the limits in MB/s of source and destination, whichever is the stricter, by
// every way. It takes no less time than the limit wants; a second may be made up for.
func TestMBPerSecond(t *testing.T) {
	t.Parallel()
	const image = 512 * 512 * 2
	for _, tt := range []struct {
		name                string
		source, destination float64 // MB/s; 0: no limit
		studies, instances  int
		move                bool
		further             int // store associations of a task
		idle                time.Duration
	}{
		{"source", 4, 0, 1, 16, false, 1, 0},
		{"destination", 0, 4, 1, 16, false, 1, 0},
		{"both, destination stricter", 50, 4, 1, 16, false, 1, 0},
		{"both, source stricter", 4, 50, 1, 16, false, 1, 0},
		{"destination, by C-MOVE", 0, 4, 1, 16, true, 1, 0},
		{"destination, four store associations", 0, 4, 1, 16, false, 4, 0},
		{"destination, four tasks", 0, 4, 4, 4, false, 1, 0},
		{"destination, low, and an impatient source", 0, 1, 1, 6, false, 1, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var studies []*phantom.Study
			var uids []string
			for i := range tt.studies {
				st := heavy(uint64(7000+i), tt.instances)
				studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
			}
			// The job waits when the member starts: what is claimed first is held to the limits, too.
			n := harness.New(t, harness.Config{Idle: true, Workers: 8, Lease: time.Minute})
			n.ReceiverAddr = fmt.Sprintf("127.0.0.1:%d", testpeer.Port(t))
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, MoveDestinations: movesTo(n)})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				s.IdleTimeout = tt.idle
				if tt.move {
					byMove(s)
				}
			})
			n.AddServer(
				"destination", "DST", dst.Addr(), func(s *nodes.NewServer) { s.AssociationsPerTask = tt.further },
			)
			for server, limit := range map[string]float64{"source": tt.source, "destination": tt.destination} {
				setSchedule(t, n, server, schedule.Schedule{
					Default: schedule.Limits{Batch: 8, Interactive: 2, MBPerSecond: limit},
				})
			}
			job := n.Transfer("source", "destination", uids...)
			begin := time.Now()
			n.Start()
			job = n.Wait(job.ID)
			took := time.Since(begin)
			require.Equal(t, jobs.Success, job.Status)
			requireOnce(t, dst, tt.studies*tt.instances)
			limit := tt.destination
			if limit == 0 || tt.source > 0 && tt.source < limit {
				limit = tt.source
			}
			least := time.Duration((float64(tt.studies*tt.instances*image)/1e6/limit - 1) * float64(time.Second))
			require.GreaterOrEqual(t, took, least, "%.1f MB", float64(tt.studies*tt.instances*image)/1e6)
		})
	}
}

// TestMBPerSecondOfAWindow: what is claimed in the moment in which a window opens keeps to the window's limit, though
// the member has not looked since.
func TestMBPerSecondOfAWindow(t *testing.T) {
	t.Parallel()
	const images, limit = 16, 4
	study := heavy(7100, images)
	n := harness.New(t, harness.Config{Idle: true, Workers: 8, Lease: time.Minute})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	shiftTo(t, n, berlin(t, "2030-06-03 12:00:00"))
	week := night(8)
	week.Windows[0].MBPerSecond = limit
	setSchedule(t, n, "source", week)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.Start()
	n.WaitFor(job.ID, func(j jobs.Job) bool { return strings.Contains(n.Task(j.ID).WhyWaiting, "closed") })
	shiftTo(t, n, berlin(t, "2030-06-03 20:00:10"))
	begin := time.Now()
	n.Engine.Jobs.Signals.Wake()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	least := time.Duration((float64(images*512*512*2)/1e6/limit - 1) * float64(time.Second))
	require.GreaterOrEqual(t, time.Since(begin), least)
}
