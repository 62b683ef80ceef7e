// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestLyingSources: whatever a source says, Success means that the destination acknowledged all 40.
func TestLyingSources(t *testing.T) {
	status := func(s dimse.Status) *dimse.Status { return &s }
	counts := []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances}
	instance := func(st *phantom.Study, i int) string { return st.Instances()[i].SOPInstanceUID }
	tests := []struct {
		name      string
		faults    func(st *phantom.Study) pacs.Misbehave
		status    string
		delivered int
		message   string // part of the task's
		missing   []int  // indices of the instances that the task names
	}{
		{
			name: "success after 37 of 40, once",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{First: 1, SuccessAfter: 37}}
			},
			status: jobs.Success, delivered: 40,
		},
		{
			name:   "success, 0 of 0, for ever",
			faults: func(*phantom.Study) pacs.Misbehave { return pacs.Misbehave{Get: pacs.GetFaults{Empty: true}} },
			status: jobs.Failure, message: "40 instances are missing",
		},
		{
			name: "success, 0 of 0, once",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Get: pacs.GetFaults{First: 1, Empty: true},
				}
			},
			status: jobs.Success, delivered: 40,
		},
		{
			name: "the association drops at object 20, once",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{First: 1, DropAtObject: 20}}
			},
			status: jobs.Success, delivered: 40,
		},
		{
			name: "the association drops within object 20, once",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{First: 1, DropAtObject: 20, DropAfterBytes: 1000}}
			},
			status: jobs.Success, delivered: 40,
		},
		{
			name:   "one object twice",
			faults: func(*phantom.Study) pacs.Misbehave { return pacs.Misbehave{Get: pacs.GetFaults{SendTwice: 7}} },
			status: jobs.Success, delivered: 40,
		},
		{
			name: "one refused for good",
			faults: func(st *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Get: pacs.GetFaults{Refuse: []string{instance(st, 12)}, RefusedStatus: dimse.CannotUnderstand},
				}
			},
			status: jobs.Warning, delivered: 39, message: "1 instance is undeliverable", missing: []int{12},
		},
		{
			name: "one refused for good, called a success",
			faults: func(st *phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Get: pacs.GetFaults{
					Refuse: []string{instance(st, 12)}, FinalStatus: status(dimse.Success), NoCounts: true,
				}}
			},
			status: jobs.Failure, delivered: 39, message: "1 instance is missing", missing: []int{12},
		},
		{
			name:   "no counts in the final response",
			faults: func(*phantom.Study) pacs.Misbehave { return pacs.Misbehave{Get: pacs.GetFaults{NoCounts: true}} },
			status: jobs.Success, delivered: 40,
		},
		{
			name: "no IMAGE level, but counts",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}}
			},
			status: jobs.Success, delivered: 40,
		},
		{
			name: "no IMAGE level, and success after 37",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{
					Find: pacs.FindFaults{ImageLevelEmpty: true}, Get: pacs.GetFaults{SuccessAfter: 37},
				}
			},
			status: jobs.Failure, delivered: 37, message: "3 instances are missing",
		},
		{
			name: "neither list nor counts",
			faults: func(*phantom.Study) pacs.Misbehave {
				return pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true, OmitKeys: counts}}
			},
			status: jobs.Warning, delivered: 40, message: "ompleteness not provable",
		},
		{
			name:   "a list cut short without a sign",
			faults: func(*phantom.Study) pacs.Misbehave { return pacs.Misbehave{Find: pacs.FindFaults{Cap: 25}} },
			status: jobs.Success, delivered: 40,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			study := ct(2, 40)
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: tt.faults(study),
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)

			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, tt.status, job.Status, task.Message)
			require.Contains(t, task.Message, tt.message)
			stored := map[string]int{}
			for _, s := range dst.Recorder().Log().Stores {
				stored[s.SOPInstanceUID]++
				require.Equal(t, 1, stored[s.SOPInstanceUID], "stored twice")
			}
			require.Len(t, stored, tt.delivered)
			require.EqualValues(t, tt.delivered, task.Delivered)
			var missing []string
			series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
			require.NoError(t, err)
			for _, m := range series[0].Missing {
				missing = append(missing, m.SOPInstanceUID)
			}
			if tt.missing != nil {
				var want []string
				for _, i := range tt.missing {
					want = append(want, instance(study, i))
				}
				require.Equal(t, want, missing)
			}
		})
	}
}

// TestRetryFetchesOnlyWhatIsMissing looks at the wire: after 37 of 40, three are asked for, by the run itself and by a
// retry of a failed job.
func TestRetryFetchesOnlyWhatIsMissing(t *testing.T) {
	study := ct(3, 40)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	var three []string
	for _, in := range study.Instances()[37:] {
		three = append(three, in.SOPInstanceUID)
	}
	slices.Sort(three)
	src.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{Refuse: three, FinalStatus: new(dimse.Status), NoCounts: true}})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)

	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.Contains(t, n.Task(job.ID).Message, "3 instances are missing")
	for i, g := range src.Recorder().Log().Gets {
		if i == 0 {
			require.Equal(t, "SERIES", g.Level)
			continue
		}
		require.Equal(t, "IMAGE", g.Level)
		require.Subset(t, three, g.SOPInstanceUIDs)
	}

	src.SetMisbehave(pacs.Misbehave{})
	before := len(src.Recorder().Log().Gets)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	gets := src.Recorder().Log().Gets[before:]
	require.Len(t, gets, 1)
	require.Equal(t, "IMAGE", gets[0].Level)
	require.Equal(t, three, gets[0].SOPInstanceUIDs)
	requireSame(t, src, dst, 40)
}
