// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// TestStudyTooYoung: a study waits until it has the age from which on its source lets it be read.
func TestStudyTooYoung(t *testing.T) {
	t.Parallel()
	study := ct(71, 3)
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Answers: map[dict.Tag][]string{dict.StudyDate: {"20300603"}, dict.StudyTime: {"120000"}},
		}}},
	)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { s.Rules.MinStudyAge = 4 * time.Hour })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	taken := time.Date(2030, 6, 3, 12, 0, 0, 0, time.Local)
	shiftTo(t, n, taken.Add(3*time.Hour))
	n.Start()
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return n.Task(j.ID).Waits == 1 })
	task := n.Task(job.ID)
	require.Contains(
		t, task.WhyWaiting,
		"the study is too young: DICOM Server source allows reading it 4h0m0s after its date and time; next attempt in ",
	)
	require.Zero(t, task.Failures)
	require.WithinDuration(t, taken.Add(4*time.Hour), task.NotBefore, 10*time.Second)

	shiftTo(t, n, taken.Add(4*time.Hour+time.Minute))
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 3)
}

// TestStudyOffline: a study that is offline waits with a patience of its own.
func TestStudyOffline(t *testing.T) {
	t.Parallel()
	study := ct(72, 3)
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study},
		Misbehave: pacs.Misbehave{Archive: pacs.ArchiveFaults{Availability: "OFFLINE"}},
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(j jobs.Job) bool {
		task := n.Task(j.ID)
		return task.Waits > 1 && strings.HasPrefix(
			task.WhyWaiting,
			"the study is offline at DICOM Server source; ask for it to be brought back there, or wait; next attempt in ",
		)
	})
	require.Empty(t, src.Recorder().Log().Gets, "somebody has to bring it back, which no retrieve does")
	src.SetMisbehave(pacs.Misbehave{})
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	require.Zero(t, n.Task(job.ID).Failures)
	requireOnce(t, dst, 3)
}

// TestStudyNearline: a study that the source has to bring back is asked for until it is there, whatever the source
// answers meanwhile. No attempt is counted, nothing is held in between, and nothing is repeated.
func TestStudyNearline(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		status   dimse.Status
		settings func(*nodes.NewServer)
	}{
		"success, 0 of 0, by C-GET":  {},
		"out of resources, by C-GET": {status: 0xA701},
		"failed, by C-GET":           {status: 0xC123},
		"success, 0 of 0, by C-MOVE": {settings: byMove},
		"A702, by C-MOVE":            {status: dimse.OutOfResourcesSubOps, settings: byMove},
		"failed, by both": {status: 0xC123, settings: func(s *nodes.NewServer) {
			s.Supports.StudyRootMove = true
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			study := ct(74, 3)
			n := harness.New(t, harness.Config{})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n),
				Misbehave: pacs.Misbehave{Archive: pacs.ArchiveFaults{Availability: "NEARLINE", Retrieves: 4, Status: tt.status}},
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				s.Retrieve.MovePatience = time.Second
				if tt.settings != nil {
					tt.settings(s)
				}
			})
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Transfer("source", "destination", study.StudyInstanceUID)
			n.WaitFor(job.ID, func(j jobs.Job) bool {
				return strings.HasPrefix(
					n.Task(j.ID).WhyWaiting,
					"the study is nearline at DICOM Server source, which has not brought it back yet; next attempt in ",
				)
			})
			require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
			log := src.Recorder().Log()
			require.Equal(
				t, 5, len(log.Gets)+len(log.Moves),
				"one retrieve each time that it is asked for, and the one that brings it",
			)
			require.Zero(t, n.Task(job.ID).Failures)
			requireOnce(t, dst, 3)
			schedule, err := n.Engine.Nodes.Schedule(t.Context(), "source")
			require.NoError(t, err)
			require.Empty(t, schedule.Now.Down, "other studies are not kept waiting")
		})
	}
}

// TestStudyNeverBack: the patience ends with a sentence, and a retry begins it anew.
func TestStudyNeverBack(t *testing.T) {
	t.Parallel()
	for _, availability := range []string{"OFFLINE", "NEARLINE"} {
		t.Run(availability, func(t *testing.T) {
			t.Parallel()
			study := ct(75, 3)
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study},
				Misbehave: pacs.Misbehave{Archive: pacs.ArchiveFaults{Availability: availability}},
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { s.Rules.OfflinePatience = time.Second })
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status)
			task := n.Task(job.ID)
			require.Equal(t,
				"DICOM Server source did not bring the study back within 1s: it is still offline or nearline there; ask for it to be brought back, then retry.",
				task.Message,
			)
			require.Zero(t, task.Failures)
			require.Nil(t, task.UnavailableSince)

			src.SetMisbehave(pacs.Misbehave{})
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
			requireOnce(t, dst, 3)
		})
	}
}

// TestStudyComesSlowly: a source that says nothing for longer than it may otherwise, because it brings a nearline study
// back, is waited for.
func TestStudyComesSlowly(t *testing.T) {
	t.Parallel()
	study := ct(76, 3)
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study},
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{Answers: map[dict.Tag][]string{dict.InstanceAvailability: {"NEARLINE"}}}},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind != pacs.AtGet {
				return
			}
			tape := time.NewTimer(2500 * time.Millisecond) // the idle timeout is one second
			defer tape.Stop()
			select {
			case <-tape.C:
			case <-ctx.Done():
			}
		},
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { s.IdleTimeout = time.Second })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Len(t, src.Recorder().Log().Gets, 1)
	require.Zero(t, src.Recorder().Log().Lost)
}

// TestClassesNeverTaken: what the destination never takes is left out by rule: it is not even fetched, and the transfer
// is a success with a note.
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
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { s.FindImages = &listed })
			n.AddServer(
				"destination", "DST", dst.Addr(),
				func(s *nodes.NewServer) { s.Rules.RefusedSOPClasses = []string{dict.MRImageStorage} },
			)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			requireOnce(t, dst, 4)
			if listed {
				require.Equal(t, jobs.Success, job.Status, task.Message)
				require.Contains(t, task.Message, "3 instances left out: a SOP class that the destination never takes.")
				require.EqualValues(t, 4, task.Expected)
			}
		})
	}
}
