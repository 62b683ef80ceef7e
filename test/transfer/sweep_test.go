// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// fourSeries is a study of four series of 20 instances.
func fourSeries() *phantom.Study {
	series := phantom.SeriesSpec{Kind: phantom.CT, Instances: 20, Rows: 64, Columns: 64}
	return phantom.New(11, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-004", Name: "Phantom^Delta"},
		Series:  []phantom.SeriesSpec{series, series, series, series},
	})
}

// TestSeveralSeriesAtOnce: the series of a study are retrieved side by side, each object once, within the cap of the
// source; what one of the associations leaves missing is fetched all the same.
func TestSeveralSeriesAtOnce(t *testing.T) {
	study := fourSeries()
	for _, tt := range []struct {
		name         string
		perTask, cap int
		most         int // associations at once
		fault        pacs.GetFaults
	}{
		{"four", 4, 8, 4, pacs.GetFaults{}},
		{"one by setting", 1, 8, 1, pacs.GetFaults{}},
		{"three by cap", 4, 3, 3, pacs.GetFaults{}},
		{"two C-GETs end early", 4, 8, 4, pacs.GetFaults{First: 2, SuccessAfter: 7}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t,
				pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Get: tt.fault}},
			)
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer(
				"source", "SRC", src.Addr(),
				func(s *nodes.NewServer) { s.AssociationsPerTask, s.BatchCap = tt.perTask, &tt.cap },
			)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, src, dst, 80)
			require.Equal(t, tt.most, src.Recorder().Log().Peak)
		})
	}
}

// TestSeveralMovesAtOnce: series are moved side by side by a source that names the C-MOVE with each object, each over
// two associations within its cap; what one of the C-MOVEs leaves missing is fetched all the same.
func TestSeveralMovesAtOnce(t *testing.T) {
	study := fourSeries()
	for _, tt := range []struct {
		name       string
		originator bool
		cap        int
		most       int // C-MOVEs at once
		fault      pacs.MoveFaults
	}{
		{"four", true, 8, 4, pacs.MoveFaults{}},
		{"three by cap", true, 6, 3, pacs.MoveFaults{}},
		{"two by cap", true, 5, 2, pacs.MoveFaults{}},
		{"one by a cap of two", true, 2, 1, pacs.MoveFaults{}},
		{"one by cap", true, 1, 1, pacs.MoveFaults{}},
		{"its objects don't name the move", false, 8, 1, pacs.MoveFaults{}},
		{"two C-MOVEs end early", true, 8, 4, pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 2, SuccessAfter: 7}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			c := &counted{rows: func() int { return 0 }}
			var begun atomic.Int32
			together := make(chan struct{})
			gate := func(ctx context.Context, e pacs.Event) { // the first C-MOVEs wait for each other
				c.gate(ctx, e)
				if e.Kind == pacs.AtMove && begun.Add(1) == int32(tt.most) {
					close(together)
				}
				if e.Kind == pacs.AtMove {
					select {
					case <-together:
					case <-ctx.Done():
					}
				}
			}
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n),
				Gate: gate, Misbehave: pacs.Misbehave{Move: tt.fault},
			})
			c.here = src
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				byMove(s)
				s.Retrieve.MoveOriginator, s.BatchCap = tt.originator, &tt.cap
			})
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, src, dst, 80)
			require.Equal(t, tt.most, c.most)
			if tt.cap > 1 {
				require.LessOrEqual(t, c.associated, tt.cap)
			}
			var held int
			require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&held))
			require.Zero(t, held)
		})
	}
}
