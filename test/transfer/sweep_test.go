// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// TestSeveralSeriesAtOnce: the series of a study are retrieved side by side, each object once, within the cap of the source; what one of the
// associations leaves missing is fetched all the same.
func TestSeveralSeriesAtOnce(t *testing.T) {
	series := phantom.SeriesSpec{Kind: phantom.CT, Instances: 20, Rows: 64, Columns: 64}
	study := phantom.New(11, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-004", Name: "Phantom^Delta"}, Series: []phantom.SeriesSpec{series, series, series, series},
	})
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
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Get: tt.fault}})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), func(s *engine.NewServer) { s.AssociationsPerTask, s.BatchCap = tt.perTask, &tt.cap })
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, engine.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, src, dst, 80)
			require.Equal(t, tt.most, src.Recorder().Log().Peak)
		})
	}
}
