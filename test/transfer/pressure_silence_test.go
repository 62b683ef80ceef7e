// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// TestSilenceHoldsNobodyElsesSlots: a source that accepts associations and says nothing keeps no place at a destination from others, not even the
// only one. When it answers, its task goes on in the same attempt, without waiting for anything but a place.
func TestSilenceHoldsNobodyElsesSlots(t *testing.T) {
	for name, silentAt := range map[string]pacs.EventKind{"before the first answer": pacs.AtFind, "before the first match": pacs.AtMatch} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quiet, study := ct(760, 3), ct(761, 3)
			asked, speak := make(chan struct{}, 10), make(chan struct{})
			silent := startPACS(t, pacs.Config{Studies: []*phantom.Study{quiet}, Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind != silentAt {
					return
				}
				asked <- struct{}{}
				select {
				case <-speak:
				case <-ctx.Done():
				}
			}})
			healthy := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{})
			n := harness.New(t, harness.Config{})
			n.AddServer("silent", "SILENT", silent.Addr(), nil)
			n.AddServer("healthy", "HEALTHY", healthy.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), withCap(1))

			waits := n.Transfer("silent", "destination", quiet.StudyInstanceUID)
			<-asked
			job := n.Wait(n.Transfer("healthy", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, engine.Success, job.Status)
			require.Equal(t, engine.InProgress, n.Task(waits.ID).Status, "it still waits for the source")
			close(speak)
			job = n.Wait(waits.ID)
			task := n.Task(waits.ID)
			require.Equal(t, engine.Success, job.Status, task.Message)
			require.Zero(t, task.Failures+task.Waits+task.Losses)
			require.Equal(t, 1, dst.Recorder().Log().Peak)
		})
	}
}
