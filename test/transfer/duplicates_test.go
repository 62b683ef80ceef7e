// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

func withDuplicates(policy string) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) { s.Rules.Duplicates = policy }
}

// partOf is a study with some of the instances of another.
func partOf(study *phantom.Study, instances ...int) *phantom.Study {
	part, series := *study, *study.Series[0]
	series.Instances = nil
	for _, i := range instances {
		series.Instances = append(series.Instances, study.Series[0].Instances[i])
	}
	part.Series = []*phantom.Series{&series}
	return &part
}

// TestDuplicates: what a destination holds already is sent all the same, is not fetched at all, or makes the task fail
// before anything is sent; by way of ADIT and straight from the source.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	const all, held = 12, 5
	study := ct(81, all)
	there := partOf(study, 0, 1, 2, 3, 7)
	for name, tt := range map[string]struct {
		policy  string
		dst     pacs.Misbehave
		settled func(*nodes.NewServer) // of the destination
		direct  bool
		empty   bool // the destination holds nothing
		stored  int
		status  string
		message string
	}{
		"sent all the same":             {policy: nodes.SendDuplicates, stored: all, status: jobs.Success, message: "12 instances transferred, "},
		"by default":                    {stored: all, status: jobs.Success, message: "12 instances transferred, "},
		"skipped":                       {policy: nodes.SkipDuplicates, stored: all - held, status: jobs.Success, message: "7 instances transferred, "},
		"skipped, and said so":          {policy: nodes.SkipDuplicates, stored: all - held, status: jobs.Success, message: "5 instances were at the destination already"},
		"none to skip":                  {policy: nodes.SkipDuplicates, empty: true, stored: all, status: jobs.Success, message: "12 instances transferred, "},
		"skipped, and verified":         {policy: nodes.SkipDuplicates, stored: all - held, status: jobs.Success, message: "Verified by presence.", settled: verifiedBy(nodes.VerifyPresence, 0)},
		"skipped, straight from source": {policy: nodes.SkipDuplicates, direct: true, stored: all - held, status: jobs.Success, message: "7 instances transferred, 7 of them directly from the source"},
		"not to be asked instance by instance": {
			policy: nodes.SkipDuplicates, stored: all, status: jobs.Success,
			dst:     pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
			message: "For some series ADIT could not find out which instances the destination already held; it sent them all the same.",
		},
		"refused": {policy: nodes.RefuseDuplicates, status: jobs.Failure, message: " holds 5 instances of series "},
		"refused, straight from source": {
			policy: nodes.RefuseDuplicates, direct: true, status: jobs.Failure,
			message: "its settings refuse duplicates: nothing was sent.",
		},
		"refused, by count": {
			policy: nodes.RefuseDuplicates, status: jobs.Failure,
			dst:     pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
			message: " holds 5 instances of series ",
		},
		"none to refuse": {policy: nodes.RefuseDuplicates, empty: true, stored: all, status: jobs.Success, message: "12 instances transferred, "},
		"none to refuse, by count": {
			policy: nodes.RefuseDuplicates, empty: true, stored: all,
			status: jobs.Success, message: "12 instances transferred, ",
			dst: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: tt.dst})
			if !tt.empty {
				dst.AddStudies(there)
			}
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study},
				MoveDestinations: map[string]string{"DST": dst.Addr()},
			})
			n := harness.New(t, quick())
			n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) {
				withDuplicates(tt.policy)(s)
				if tt.settled != nil {
					tt.settled(s)
				}
			})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				if tt.direct {
					directly(s)
				}
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, tt.status, job.Status, task.Message)
			require.Contains(t, task.Message, tt.message)
			require.Zero(t, task.Failures)
			requireOnce(t, dst, tt.stored)
			require.Len(t, src.Recorder().Log().Sent, tt.stored, "what is not to be sent isn't fetched")
			if tt.status == jobs.Success {
				require.EqualValues(t, all, task.Delivered)
			}
			if tt.stored == all-held {
				for _, s := range dst.Recorder().Log().Stores {
					require.False(t, slices.ContainsFunc(
						there.Instances(),
						func(in *phantom.Instance) bool { return in.SOPInstanceUID == s.SOPInstanceUID },
					))
				}
			}
		})
	}
}

// TestDuplicatesOfOwn: what a task has brought itself is no duplicate: after a failure, a stop and a retry it goes on
// where it was.
func TestDuplicatesOfOwn(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{nodes.SkipDuplicates, nodes.RefuseDuplicates} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			study := ct(82, 12)
			refused := study.Instances()[6].SOPInstanceUID
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{
				AETitle:   "DST",
				Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{refused: 0xC000}}},
			})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), withDuplicates(policy))
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status)
			dst.SetMisbehave(pacs.Misbehave{})
			// As after a crash that came before the ledger was written.
			_, err := n.Pool.Exec(t.Context(), "DELETE FROM delivered")
			require.NoError(t, err)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			if policy == nodes.SkipDuplicates {
				stores := dst.Recorder().Log().Stores
				require.Equal(t, refused, stores[len(stores)-1].SOPInstanceUID)
				require.Len(t, stores, 11+3+1, "each attempt brought the refused one alone")
			}

			// A restart is another transfer.
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RestartJob))
			job = n.Wait(job.ID)
			if policy == nodes.RefuseDuplicates {
				require.Equal(t, jobs.Failure, job.Status)
				require.Contains(t, n.Task(job.ID).Message, "holds 12 instances")
			} else {
				require.Equal(t, jobs.Success, job.Status)
				require.Contains(
					t, n.Task(job.ID).Message,
					"0 instances transferred, 0.0 MB; 12 instances were at the destination already.",
				)
			}
		})
	}
}

// TestDuplicatesUnderPseudonym: a destination is asked for the UIDs that would be sent.
func TestDuplicatesUnderPseudonym(t *testing.T) {
	t.Parallel()
	study := ct(83, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), withDuplicates(nodes.SkipDuplicates))
	for range 2 {
		job := n.Wait(n.Create(pseudonymously("source", "destination", study.StudyInstanceUID, "P-0001")).ID)
		require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	}
	requireOnce(t, dst, 12)
	for _, f := range dst.Recorder().Log().Finds {
		require.NotContains(t, f.StudyInstanceUIDs, study.StudyInstanceUID)
	}
}

// TestDuplicatesAtOrthanc: a PACS that exists: what it holds is not sent again.
func TestDuplicatesAtOrthanc(t *testing.T) {
	t.Parallel()
	study := ct(84, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	o := testpeer.Orthanc(t, noDelay, nil)
	file := t.TempDir() + "/image.dcm"
	for _, in := range study.Instances()[:5] {
		require.NoError(t, in.WriteFile(file))
		o.Upload(t, file)
	}
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "ORTHANC", o.Addr, withDuplicates(nodes.SkipDuplicates))
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Contains(t, n.Task(job.ID).Message, "5 instances were at the destination already.")
	require.Len(t, src.Recorder().Log().Sent, 7)

	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "destination", func(s *nodes.NewServer) error {
		s.Rules.Duplicates = nodes.RefuseDuplicates
		return nil
	})
	require.NoError(t, err)
	job = n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.Contains(t, n.Task(job.ID).Message, "holds 12 instances of series")
	require.Len(t, src.Recorder().Log().Sent, 7)
	var invalid *refusal.Invalid
	_, err = n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "destination", func(s *nodes.NewServer) error {
		s.Supports.StudyRootFind = false
		return nil
	})
	require.ErrorAs(t, err, &invalid, "it can't be asked then")
}
