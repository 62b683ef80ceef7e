// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// orthancKnowing starts an Orthanc that knows ADIT at a port, to which it reports.
func orthancKnowing(t *testing.T, port int) *testpeer.OrthancServer {
	t.Helper()
	return testpeer.Orthanc(
		t, noDelay, map[string]any{"DicomModalities": map[string]any{"adit": []any{"ADIT", "127.0.0.1", port}}},
	)
}

// TestCommitment: Orthanc takes the responsibility for what it was sent, under a pseudonym, too, and reports so to the
// receiver.
func TestCommitment(t *testing.T) {
	study := ct(51, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	n := harness.New(t, quick())
	dst := orthancKnowing(t, n.ReceiverPort())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "ORTHANC", dst.Addr, verifiedBy(nodes.VerifyCommitment, time.Minute))
	for _, transfer := range []jobs.Transfer{
		{
			Source: "source", Destination: "destination",
			Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
		},
		pseudonymously("source", "destination", study.StudyInstanceUID, "P-0001"),
	} {
		job := n.Wait(n.Create(transfer).ID)
		require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
		require.Contains(t, n.Task(job.ID).Message, "Verified by commitment.")
		requireVerified(t, n, n.Task(job.ID), 12)
	}
	requireLedger(t, n, 0, 0)
}

// TestCommitmentLater: the report comes when another process runs, long after the request; the transaction is known
// from the database.
func TestCommitmentLater(t *testing.T) {
	study := ct(52, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	n := harness.New(t, quick())
	later := testpeer.Port(t) // nobody listens there as yet
	dst := orthancKnowing(t, later)
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "ORTHANC", dst.Addr, verifiedBy(nodes.VerifyCommitment, time.Hour))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	n.WaitFor(id, func(j jobs.Job) bool { return j.NPending == 1 && j.StartedAt != nil })
	require.Contains(t, n.Task(id).WhyWaiting, "does not show 12 instances of 12 yet")
	n.Stop(harness.Deadline)
	var transaction string
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT transaction_uid FROM commitments").Scan(&transaction))
	require.Regexp(t, `^2\.25\.[1-9][0-9]{0,38}$`, transaction)
	n.ReceiverAddr = fmt.Sprintf("127.0.0.1:%d", later)
	n.Start()

	report := dimse.CommitmentReport{TransactionUID: transaction}
	destination, err := n.Engine.Nodes.ByName(t.Context(), "destination")
	require.NoError(t, err)
	source, err := n.Engine.Nodes.ByName(t.Context(), "source")
	require.NoError(t, err)
	require.Equal(
		t, dimse.InvalidArgument, n.Engine.Verify.TakeReport(t.Context(), []int64{source.ID}, &report),
		"not from whom it was asked",
	)
	require.Equal(t, dimse.InvalidArgument, n.Engine.Verify.TakeReport(
		t.Context(), []int64{destination.ID}, &dimse.CommitmentReport{TransactionUID: "1.2.3"},
	))
	require.Equal(t, jobs.Pending, n.Task(id).Status)
	require.Equal(t, 1, dst.Again(t))
	job := n.Wait(id)
	require.Equal(t, jobs.Success, job.Status, n.Task(id).Message)
	requireVerified(t, n, n.Task(id), 12)
	require.Len(t, src.Recorder().Log().Sent, 12)
}

// TestCommitmentRefused: what Orthanc has lost it refuses to take over. That is a warning, and nothing is sent again.
func TestCommitmentRefused(t *testing.T) {
	study := ct(53, 12)
	lost := study.Instances()[4].SOPInstanceUID
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	n := harness.New(t, quick())
	dst := orthancKnowing(t, testpeer.Port(t))
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "ORTHANC", dst.Addr, verifiedBy(nodes.VerifyCommitment, time.Second))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	require.Equal(t, jobs.Warning, n.Wait(id).Status)
	require.Contains(
		t, n.Task(id).Message,
		"Unverified: of 12 instances, 12 instances are not known to be at the destination: "+
			"the destination acknowledged this instance, but did not report its storage commitment within 1s.",
	)

	dst.Lose(t, lost)
	dst.Learn(t, "adit", "ADIT", n.ReceiverPort())
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.RetryJob))
	require.Equal(t, jobs.Warning, n.Wait(id).Status)
	require.Contains(
		t, n.Task(id).Message,
		"Unverified: of 12 instances, 1 instance is not known to be at the destination: the destination refused its storage commitment",
	)
	requireVerified(t, n, n.Task(id), 11, lost)
	require.Len(t, src.Recorder().Log().Sent, 12)
}

// TestCommitmentUnsupported: that is said at once, and a retry may verify in another way.
func TestCommitmentUnsupported(t *testing.T) {
	study := ct(54, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyCommitment, time.Minute))
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Warning, job.Status)
	task := n.Task(job.ID)
	require.Contains(
		t, task.Message,
		"Unverified: of 12 instances, 12 instances are not known to be at the destination: the destination doesn't support storage commitment",
	)
	require.Zero(t, task.Verified)
	require.Len(t, dst.Recorder().Log().Stores, 12)

	// Another way of verifying, and a retry.
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "destination", func(s *nodes.NewServer) error {
		s.Verify.Method = nodes.VerifyPresence
		return nil
	})
	require.NoError(t, err)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Len(t, dst.Recorder().Log().Stores, 12)
}

// TestDirectBetweenOrthancs: one Orthanc sends to another by itself; what that one then holds equals what the first one
// holds.
func TestDirectBetweenOrthancs(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.ExplicitVRLittleEndian)
	b := testpeer.Orthanc(t, noDelay, nil)
	a := testpeer.Orthanc(
		t, noDelay, map[string]any{"DicomModalities": map[string]any{"b": []any{"B", "127.0.0.1", b.Port}}},
	)
	for _, file := range c.files {
		a.Upload(t, file)
	}
	n := harness.New(t, quick())
	n.AddServer("destination", "ORTHANC", b.Addr, nil)
	n.AddServer("source", "A", a.Addr, func(s *nodes.NewServer) {
		directly(s)
		s.Retrieve.Direct["destination"] = "B"
	})
	_, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
	for study, task := range tasks {
		require.Equal(t, jobs.Success, task.Status, "study %s: %s", study, task.Message)
		require.Equal(t, task.Delivered, task.Verified)
		require.Contains(t, task.Message, "0.0 MB through ADIT", "nothing went through ADIT")
	}
	control := testpeer.Orthanc(t, noDelay, nil)
	a.CopyTo(t, control)
	requireSameBytes(t, control.Files(t), b.Files(t))
}

// TestCommitmentBothWays: an instance that a report lists as committed and as failed is not committed.
func TestCommitmentBothWays(t *testing.T) {
	study := ct(171, 6)
	both := study.Instances()[2].SOPInstanceUID
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{
		AETitle: "DST", Commitment: true,
		Misbehave: pacs.Misbehave{Commitment: pacs.CommitmentFaults{Both: []string{both}}},
	})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyCommitment, time.Second))
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Warning, job.Status, task.Message)
	require.Contains(t, task.Message, "1 instance is not known to be at the destination")
	requireVerified(t, n, task, 5, both)
}
