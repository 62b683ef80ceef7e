// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// untilCanceled holds a query at the third match until C-CANCEL has come.
func untilCanceled(ctx context.Context, e pacs.Event) {
	if e.Kind == pacs.AtMatch && e.Number == 3 {
		select {
		case <-e.Canceled:
		case <-ctx.Done():
		}
	}
}

// TestSearchOfMisbehavingServers: what a person is shown of the twelve studies of a server that errs. The third and fourth are of the
// patient PHANTOM-002; the eighth is of the 6th of May.
func TestSearchOfMisbehavingServers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	day := engine.Search{StudyDateFrom: "20240506", StudyDateTo: "20240506"}
	any2 := engine.Search{StudyDateFrom: "20000101", Limit: 2}
	for _, tt := range []struct {
		name   string
		faults pacs.FindFaults
		gate   func(context.Context, pacs.Event)
		search engine.Search
		want   []int
		err    string
	}{
		{name: "filters by no date", search: day, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDate}}, want: []int{7}},
		{name: "filters by no PatientID", search: engine.Search{PatientID: "PHANTOM-002"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientID}}, want: []int{2, 3}},
		{name: "filters by no name", search: engine.Search{PatientName: "phantom, b*"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName}}, want: []int{2, 3}},
		{name: "filters by no accession number", search: engine.Search{AccessionNumber: "DEMO-0005"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.AccessionNumber}}, want: []int{4}},
		{name: "filters by no modality", search: engine.Search{PatientID: "PHANTOM-002", Modality: "zz"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.ModalitiesInStudy}}},
		{name: "filters by nothing", search: engine.Search{PatientName: "Nobody"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName, dict.PatientID, dict.StudyDate}}},
		{name: "names nobody", search: engine.Search{PatientName: "Phantom*"}, faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.PatientName}}},
		{
			name: "cuts accession numbers", search: engine.Search{AccessionNumber: "ACCESSION-1234567890"}, want: []int{0},
			faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.AccessionNumber}, First: 1, Cap: 1, Answers: map[dict.Tag][]string{dict.AccessionNumber: {"ACCESSION-123456"}}},
		},
		{
			name: "has long accession numbers", search: engine.Search{AccessionNumber: "ACCESSION-1234567890"}, want: []int{0},
			faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.AccessionNumber}, First: 1, Cap: 1, Answers: map[dict.Tag][]string{dict.AccessionNumber: {"ACCESSION-1234567890"}}},
		},
		{name: "has no date", search: day, faults: pacs.FindFaults{Answers: map[dict.Tag][]string{dict.StudyDate: nil}}, want: []int{7}},
		{name: "leaves out what was asked for", search: day, faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.StudyDate, dict.ModalitiesInStudy, dict.NumberOfStudyRelatedInstances}}, want: []int{7}},
		{name: "answers without identifiers", search: day, faults: pacs.FindFaults{EmptyPending: 2}, want: []int{7}},
		{name: "is busy", search: day, faults: pacs.FindFaults{Status: dimse.OutOfResources}, err: "status A700H"},
		{name: "heeds C-CANCEL", search: any2, gate: untilCanceled, want: []int{0, 1}},
		{name: "ignores C-CANCEL", search: any2, gate: untilCanceled, faults: pacs.FindFaults{IgnoreCancel: true}, want: []int{0, 1}},
		{name: "answers C-CANCEL by an abort", search: any2, gate: untilCanceled, faults: pacs.FindFaults{AbortOnCancel: true}, want: []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			studies := phantom.DemoStudies()
			src := startPACS(t, pacs.Config{Studies: studies, Misbehave: pacs.Misbehave{Find: tt.faults}, Gate: tt.gate})
			source, _ := addPair(n, src, startPACS(t, pacs.Config{}), nil)
			var want, got []string
			for _, i := range tt.want {
				want = append(want, studies[i].StudyInstanceUID)
			}
			var failed error
			for st, err := range n.Engine.SearchStudies(t.Context(), n.Admin, source, tt.search) {
				if failed = err; err == nil {
					got = append(got, st.StudyInstanceUID)
				}
			}
			require.Equal(t, want, got)
			if tt.err == "" {
				require.NoError(t, failed)
				return
			}
			require.ErrorContains(t, failed, tt.err)
		})
	}
}

// TestSearchIsLeft: who leaves the loop has what there was, also if the server answers C-CANCEL by an abort.
func TestSearchIsLeft(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	src := startPACS(t, pacs.Config{
		Studies: phantom.DemoStudies(), Misbehave: pacs.Misbehave{Find: pacs.FindFaults{AbortOnCancel: true}}, Gate: untilCanceled,
	})
	n.AddServer("source", "SRC", src.Addr(), nil)
	found := 0
	for _, err := range n.Engine.SearchStudies(t.Context(), n.Admin, "source", engine.Search{StudyDateFrom: "20000101"}) {
		require.NoError(t, err)
		if found++; found == 2 {
			break
		}
	}
	require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
	require.Equal(t, 1, src.Recorder().Log().Lost)
}
