// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// TestReceiverOutOfReach: a source that can't reach the receiver refuses no image for good: the task fails, says what
// to check, and a retry brings all of it once the source can.
func TestReceiverOutOfReach(t *testing.T) {
	study := ct(160, 12)
	for name, status := range map[string]dimse.Status{
		"A702": 0, "C000": dimse.CannotUnderstand,
		"B000": dimse.SubOperationsIncomplete, "0110": dimse.ProcessingFailure,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study},
				MoveDestinations: map[string]string{"ADIT": "127.0.0.1:1"},
				Misbehave:        move(pacs.MoveFaults{GetFaults: pacs.GetFaults{RefusedStatus: status}}),
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { byMove(s); impatient(s) })
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Failure, job.Status, task.Message)
			require.Contains(
				t, task.Message,
				"perhaps it can't reach ADIT's receiver; check the address and port that it has for this title",
			)
			src.SetMisbehave(pacs.Misbehave{})
			for title, addr := range movesTo(n) {
				src.AddMoveDestination(title, addr)
			}
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
		})
	}
}

// TestWhatStoppedIt: what is missing after a run that was stopped has for its reason what stopped it, and what was
// delivered before stays counted.
func TestWhatStoppedIt(t *testing.T) {
	study := ct(161, 12)
	hold := pacs.StopAt(pacs.AtSubOperation, 5)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: hold.Gate})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	require.NoError(t, dst.Recorder().WaitStores(t.Context(), 4))
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.CancelJob))
	hold.Release()
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Canceled, job.Status)
	task := n.Task(job.ID)
	require.NotZero(t, task.Delivered)
	require.Contains(t, task.Message, "Canceled while it ran")
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
	require.NoError(t, err)
	require.NotEmpty(t, series[0].Missing)
	for _, m := range series[0].Missing {
		require.Equal(t, "not transferred before the task was canceled", m.Reason)
	}

	// The owner loses the right: what was delivered stays counted, and the source is not blamed.
	_, err = n.Pool.Exec(t.Context(), "DELETE FROM node_access")
	require.NoError(t, err)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.ResumeJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Failure, job.Status)
	after := n.Task(job.ID)
	require.Equal(t, task.Delivered, after.Delivered, after.Message)
	require.NotContains(t, after.Message, "the source")
}
