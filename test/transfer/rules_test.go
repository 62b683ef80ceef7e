// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// TestStudyTooYoung: a study waits until it has the age from which on its source lets it be read.
func TestStudyTooYoung(t *testing.T) {
	t.Parallel()
	study := ct(71, 3)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
		Answers: map[dict.Tag][]string{dict.StudyDate: {"20300603"}, dict.StudyTime: {"120000"}},
	}}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", src.Addr(), func(s *engine.NewServer) { s.Rules.MinStudyAge = 4 * time.Hour })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	taken := time.Date(2030, 6, 3, 12, 0, 0, 0, time.Local)
	shiftTo(t, n, taken.Add(3*time.Hour))
	n.Start()
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(j engine.Job) bool { return n.Task(j.ID).Waits == 1 })
	task := n.Task(job.ID)
	require.Contains(t, task.WhyWaiting, "the study is too young: DICOM Server source lets it be read 4h0m0s after its date and time; next attempt in ")
	require.Zero(t, task.Failures)
	require.WithinDuration(t, taken.Add(4*time.Hour), task.NotBefore, 10*time.Second)

	shiftTo(t, n, taken.Add(4*time.Hour+time.Minute))
	require.Equal(t, engine.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 3)
}

// TestStudyOffline: a study that is offline waits with a patience of its own.
func TestStudyOffline(t *testing.T) {
	t.Parallel()
	study := ct(72, 3)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
		Answers: map[dict.Tag][]string{dict.InstanceAvailability: {"OFFLINE"}},
	}}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), func(s *engine.NewServer) { s.Rules.OfflinePatience = time.Second })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(j engine.Job) bool {
		task := n.Task(j.ID)
		return task.Waits == 1 && task.WaitingReason == "the study is offline at DICOM Server source; have it brought back there, or wait"
	})
	src.SetMisbehave(pacs.Misbehave{})
	require.Equal(t, engine.Success, n.Wait(job.ID).Status)
	require.Zero(t, n.Task(job.ID).Failures)
}

// TestClassesNeverTaken: what the destination never takes is left out by rule: it is not even fetched, and the transfer is a success with a note.
func TestClassesNeverTaken(t *testing.T) {
	t.Parallel()
	study := phantom.New(73, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 4, Rows: 8, Columns: 8}, {Kind: phantom.MR, Instances: 3, Rows: 8, Columns: 8}},
	})
	for name, listed := range map[string]bool{"listed by the source": true, "not listed": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), func(s *engine.NewServer) { s.FindImages = &listed })
			n.AddServer("destination", "DST", dst.Addr(), func(s *engine.NewServer) { s.Rules.RefusedSOPClasses = []string{dict.MRImageStorage} })
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			requireOnce(t, dst, 4)
			if listed {
				require.Equal(t, engine.Success, job.Status, task.Message)
				require.Contains(t, task.Message, "3 images left out: a SOP class that the destination never takes.")
				require.EqualValues(t, 4, task.Expected)
			}
		})
	}
}
