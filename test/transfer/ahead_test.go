// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// TestAheadAtTheSameServers: only tasks come before another one that need a server of its own, and that no other server
// keeps from starting.
func TestAheadAtTheSameServers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	p := startPACS(t, pacs.Config{})
	nodes := map[string]nodes.DICOMNode{}
	for name, ae := range map[string]string{"a": "A", "b": "B", "c": "C", "other": "O", "another": "P"} {
		nodes[name] = n.AddServer(name, ae, p.Addr(), nil)
	}
	folder := n.AddFolder("disk", t.TempDir())
	study := ct(790, 1).StudyInstanceUID
	why := func(job int64) string {
		t.Helper()
		tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job, jobs.TaskFilter{Limit: 1})
		require.NoError(t, err)
		return tasks[0].WhyWaiting
	}
	manyTasks(t, n, n.Admin.ID, nodes["other"], nodes["another"], 7, study)
	job := manyTasks(t, n, n.Admin.ID, nodes["a"], nodes["b"], 1, study)
	require.Equal(t, "it starts as soon as a worker is free", why(job))
	manyTasks(t, n, n.Admin.ID, nodes["other"], folder, 3, study)
	disk := manyTasks(t, n, n.Admin.ID, nodes["a"], folder, 1, study)
	require.Equal(t, "1 of your tasks comes before it", why(disk), "that of the same source; a folder has room for all")
	back := manyTasks(t, n, n.Admin.ID, nodes["c"], nodes["a"], 1, study)
	require.Equal(t, "2 of your tasks come before it", why(back), "whichever side the server is on")
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "b", true))
	require.Equal(t, "1 of your tasks comes before it", why(back), "the other one waits for its own server")
}

// twoDestinations starts a source of a study of four instances, a destination that refuses all but so many of them, and
// one that holds them all.
func twoDestinations(t *testing.T, seed uint64, sent int) (
	study *phantom.Study, n *harness.Member, first, second *pacs.PACS,
) {
	t.Helper()
	study = ct(seed, 4)
	refused := map[string]dimse.Status{}
	for _, in := range study.Instances()[sent:] {
		refused[in.SOPInstanceUID] = dimse.CannotUnderstand
	}
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	first = startPACS(t, pacs.Config{
		AETitle: "DST", Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Statuses: refused}},
	})
	second = startPACS(t, pacs.Config{AETitle: "DST", Studies: []*phantom.Study{study}})
	n = harness.New(t, once())
	n.AddServer("source", "SRC", src.Addr(), nil)
	return study, n, first, second
}

// TestAnotherDestinationAsked: what one destination was asked before anything was sent says nothing of the one that is
// under its name now.
func TestAnotherDestinationAsked(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]int{"nothing was sent": 0, "some was sent": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			study, n, first, second := twoDestinations(t, 791, sent)
			n.AddServer("destination", "DST", first.Addr(), withDuplicates(nodes.RefuseDuplicates))
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status)
			require.EqualValues(t, sent, n.Task(job.ID).Delivered)

			moveTo(t, n, second)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Failure, job.Status)
			require.Contains(t, n.Task(job.ID).Message, "its settings refuse duplicates: nothing was sent")
			require.Empty(t, second.Recorder().Log().Stores)
		})
	}
}

// TestAnotherDestinationCounted: nor does what it counted then prove that all of it is new.
func TestAnotherDestinationCounted(t *testing.T) {
	t.Parallel()
	for name, sent := range map[string]int{"nothing was sent": 0, "some was sent": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			study, n, first, second := twoDestinations(t, 792, sent)
			n.AddServer("destination", "DST", first.Addr(), func(s *nodes.NewServer) {
				verifiedBy(nodes.VerifyPresence, 0)(s)
				s.FindImages = new(false)
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status)
			before := func() (text string) {
				require.NoError(t, n.Pool.QueryRow(
					t.Context(), "SELECT counted_before::text FROM tasks WHERE job_id = $1", job.ID,
				).Scan(&text))
				return text
			}
			require.Equal(t, `{"": 0}`, before())
			moveTo(t, n, second)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			require.Eventually(
				t, func() bool { return before() != `{"": 0}` }, harness.Deadline,
				10*time.Millisecond, "the other one holds some",
			)
		})
	}
}
