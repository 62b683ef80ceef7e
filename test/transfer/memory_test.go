// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// capped is a source that cuts each IMAGE list short and counts nothing.
func capped(limit int) pacs.FindFaults {
	return pacs.FindFaults{
		Image:    pacs.ListFaults{Cap: limit},
		OmitKeys: []dict.Tag{dict.NumberOfSeriesRelatedInstances, dict.NumberOfStudyRelatedInstances},
	}
}

// TestMissedBefore: an instance that is known only because it came once is not forgotten by a retry: it is asked for by
// name, and missing until it comes, whatever the source answers and whatever stops the runs between.
func TestMissedBefore(t *testing.T) {
	st := threeSeries(180)
	f := st.Series[2].Instances[5].SOPInstanceUID
	for name, m := range map[string]struct {
		get pacs.GetFaults
		dst pacs.Misbehave
	}{
		"the source refuses it":          {get: pacs.GetFaults{Refuse: []string{f}}},
		"refuses it without a list":      {get: pacs.GetFaults{Refuse: []string{f}, NoFailedList: true}},
		"answers 0110":                   {get: pacs.GetFaults{Status: dimse.ProcessingFailure}},
		"sends nothing":                  {get: pacs.GetFaults{Empty: true}},
		"the destination can't be used":  {dst: pacs.Misbehave{Association: pacs.AssociationFaults{NoContexts: true}}},
		"the destination refuses it too": {dst: pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{f: dimse.DataSetMismatch}}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t,
				pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Find: capped(4)}},
			)
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: pacs.Misbehave{
				Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{f: dimse.CannotUnderstand}},
			}})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", st.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status, n.Task(job.ID).Message)

			src.SetMisbehave(pacs.Misbehave{Find: capped(4), Get: m.get})
			dst.SetMisbehave(m.dst)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Failure, job.Status, n.Task(job.ID).Message)

			src.SetMisbehave(pacs.Misbehave{Find: capped(4)})
			dst.SetMisbehave(pacs.Misbehave{})
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.EqualValues(t, 18, task.Delivered)
		})
	}
}

// TestBrokenOff: a whole that was cut off is asked for again where a list alone would have to prove that nothing lacks.
func TestBrokenOff(t *testing.T) {
	st := threeSeries(181)
	for name, m := range map[string]struct {
		get pacs.GetFaults
		dst pacs.StoreFaults
	}{
		"dropped within the list":     {get: pacs.GetFaults{First: 3, DropAtObject: 4}},
		"dropped behind the list":     {get: pacs.GetFaults{First: 3, DropAtObject: 6}},
		"aborted behind the list":     {get: pacs.GetFaults{First: 3, AbortAtObject: 6}},
		"a destination that drops it": {dst: pacs.StoreFaults{First: 6, DropAtObject: 6}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{st},
				Misbehave: pacs.Misbehave{Find: capped(5), Get: m.get},
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: pacs.Misbehave{Store: m.dst}})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", st.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.EqualValues(t, 18, task.Delivered)
		})
	}
}

// TestBrokenOffBefore: a retry does not take the list for all there is where nobody heard the source to the end, and
// does not ask again where somebody did.
func TestBrokenOffBefore(t *testing.T) {
	spec := func(n int) phantom.SeriesSpec {
		return phantom.SeriesSpec{Kind: phantom.CT, Instances: n, Rows: 16, Columns: 16}
	}
	st := phantom.New(183, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{spec(3), spec(6)},
	})
	for name, get := range map[string]pacs.GetFaults{"dropped": {DropAtObject: 6}, "aborted": {AbortAtObject: 6}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{st},
				Misbehave: pacs.Misbehave{Find: capped(5), Get: get},
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, quick())
			n.AddServer(
				"source", "SRC", src.Addr(),
				func(s *nodes.NewServer) { s.Retrieve.Methods = []string{nodes.MethodGet} },
			)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Wait(n.Transfer("source", "destination", st.StudyInstanceUID).ID)
			require.Equal(t, jobs.Failure, job.Status, n.Task(job.ID).Message)
			require.EqualValues(t, 8, n.Task(job.ID).Delivered)

			src.SetMisbehave(pacs.Misbehave{Find: capped(5)})
			asked := len(src.Recorder().Log().Gets)
			require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			require.EqualValues(t, 9, n.Task(job.ID).Delivered)
			for _, q := range src.Recorder().Log().Gets[asked:] {
				require.NotContains(t, q.SeriesInstanceUIDs, st.Series[0].SeriesInstanceUID)
			}
		})
	}
}

// TestUnclearNote: a key object that could not be understood is told by every run, also by one that has nothing of it
// to fetch.
func TestUnclearNote(t *testing.T) {
	yes := true
	st := phantom.New(184, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16}},
	})
	note := st.Select(phantom.Title{Code: "113037", Meaning: "Rejected for Patient Safety Reasons"}).SOPInstanceUID
	refused := st.Series[0].Instances[1].SOPInstanceUID
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{st}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: pacs.Misbehave{
		Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{refused: dimse.CannotUnderstand}},
	}})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Create(jobs.Transfer{
		Source: "source", Destination: "destination",
		Studies: []jobs.Study{{StudyInstanceUID: st.StudyInstanceUID}}, LeaveOutRejected: &yes,
	}).ID)
	require.Equal(t, jobs.Failure, job.Status, n.Task(job.ID).Message)

	dst.SetMisbehave(pacs.Misbehave{})
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Warning, job.Status, n.Task(job.ID).Message)
	require.Contains(t, n.Task(job.ID).Message, note)
}

// TestDirectHeedsFailures: what a source says that it could not send straight to the destination is evidence as by
// C-GET.
func TestDirectHeedsFailures(t *testing.T) {
	st := threeSeries(182)
	f := []string{st.Series[2].Instances[5].SOPInstanceUID}
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{st}, MoveDestinations: map[string]string{"DST": dst.Addr()},
		Misbehave: pacs.Misbehave{Find: capped(4), Get: pacs.GetFaults{Refuse: f}, Move: pacs.MoveFaults{GetFaults: pacs.GetFaults{Refuse: f}}},
	})
	n := harness.New(t, quick())
	n.AddServer("destination", "DST", dst.Addr(), nil)
	n.AddServer(
		"source", "SRC", src.Addr(),
		func(s *nodes.NewServer) { directly(s); s.Retrieve.Methods = []string{nodes.MethodGet} },
	)
	job := n.Wait(n.Transfer("source", "destination", st.StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.NotEqual(t, jobs.Success, job.Status, task.Message)
	require.EqualValues(t, 17, task.Delivered, task.Message)
}

// TestRejectedElsewhere: notes are read, too, where the source could send straight to the destination, and where that
// holds the note already.
func TestRejectedElsewhere(t *testing.T) {
	yes := true
	for name, change := range map[string]func(source, destination *nodes.NewServer){
		"straight from the source": func(source, _ *nodes.NewServer) { directly(source) },
		"held already":             func(_, destination *nodes.NewServer) { destination.Rules.Duplicates = nodes.SkipDuplicates },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, rejected := rejectedStudy()
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			dst.AddInstance(st.Series[3].Instances[0], nil)
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{st},
				MoveDestinations: map[string]string{"DST": dst.Addr()},
			})
			n := harness.New(t, quick())
			n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) { change(&nodes.NewServer{}, s) })
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) { change(s, &nodes.NewServer{}) })
			job := n.Wait(n.Create(jobs.Transfer{
				Source: "source", Destination: "destination",
				Studies: []jobs.Study{{StudyInstanceUID: st.StudyInstanceUID}}, LeaveOutRejected: &yes,
			}).ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			for _, s := range dst.Recorder().Log().Stores {
				require.NotContains(t, rejected, s.SOPInstanceUID)
			}
		})
	}
}
