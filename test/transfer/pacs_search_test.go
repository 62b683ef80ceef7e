// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/query"
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

// TestSearchOfMisbehavingServers: what a person is shown of the twelve studies of a server that errs. The third and
// fourth are of the patient PHANTOM-002; the eighth is of the 6th of May.
func TestSearchOfMisbehavingServers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	day := query.Search{StudyDateFrom: "20240506", StudyDateTo: "20240506"}
	birth := phantom.DemoStudies()[2].Spec.Patient.BirthDate
	any2 := query.Search{StudyDateFrom: "20000101", Limit: 2}
	for _, tt := range []struct {
		name   string
		faults pacs.FindFaults
		gate   func(context.Context, pacs.Event)
		search query.Search
		want   []int
		err    string
	}{
		{name: "filters by no date", search: day, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDate}}, want: []int{7}},
		{name: "filters by no PatientID", search: query.Search{PatientID: "PHANTOM-002"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientID}}, want: []int{2, 3}},
		{name: "filters by no name", search: query.Search{PatientName: "phantom, b*"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName}}, want: []int{2, 3}},
		{name: "filters by no accession number", search: query.Search{AccessionNumber: "DEMO-0005"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.AccessionNumber}}, want: []int{4}},
		{name: "filters by no modality", search: query.Search{PatientID: "PHANTOM-002", Modality: "zz"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.ModalitiesInStudy}}},
		{name: "filters by no description", search: query.Search{StudyDescription: "mr *"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDescription}}, want: []int{2, 4, 7}},
		{name: "filters by no time", search: query.Search{StudyTimeFrom: "1515", StudyTimeTo: "1515"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyTime}}, want: []int{7}},
		{name: "filters by no birth date", search: query.Search{PatientBirthDateFrom: birth, PatientBirthDateTo: birth}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientBirthDate}}, want: []int{2, 3}},
		{name: "filters by what is asked", search: query.Search{PatientBirthDateFrom: birth, PatientBirthDateTo: birth, StudyDescription: "Ultra*", StudyTimeFrom: "11"}, want: []int{3}},
		{name: "filters by no UID", search: query.Search{StudyInstanceUID: phantom.DemoStudies()[5].StudyInstanceUID}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyInstanceUID}}, want: []int{5}},
		{name: "filters by nothing", search: query.Search{PatientName: "Nobody"}, faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName, dict.PatientID, dict.StudyDate}}},
		{name: "names nobody", search: query.Search{PatientName: "Phantom*"}, faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.PatientName}}},
		{
			name:   "cuts accession numbers",
			search: query.Search{AccessionNumber: "ACCESSION-1234567890"}, want: []int{0},
			faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.AccessionNumber}, First: 1, Cap: 1, Answers: map[dict.Tag][]string{dict.AccessionNumber: {"ACCESSION-123456"}}},
		},
		{
			name:   "has long accession numbers",
			search: query.Search{AccessionNumber: "ACCESSION-1234567890"}, want: []int{0},
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
			src := startPACS(t, pacs.Config{
				Studies: studies, Misbehave: pacs.Misbehave{Find: tt.faults}, Gate: tt.gate,
			})
			source, _ := addPair(n, src, startPACS(t, pacs.Config{}), nil)
			var want, got []string
			for _, i := range tt.want {
				want = append(want, studies[i].StudyInstanceUID)
			}
			var failed error
			for st, err := range n.Engine.Query.Studies(t.Context(), n.Admin, source, tt.search) {
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

// muller are studies of a patient with an umlaut, as a server in Latin-1 keeps them, and of another one.
func muller() []*phantom.Study {
	var studies []*phantom.Study
	for i, name := range []string{"Phäntom^Bêta", "Phontom^Beta"} {
		studies = append(studies, phantom.New(uint64(70+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-070", Name: name, CharacterSet: []string{"ISO_IR 100"}},
			Date:    "20240512",
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16}, {Kind: phantom.Report, Instances: 1}},
		}))
	}
	return studies
}

// TestSearchInCharacterSets: text beyond ASCII is found whatever the server understands, and shown whatever it
// declares; it is asked no more often than that needs.
func TestSearchInCharacterSets(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	for name, tt := range map[string]struct {
		faults pacs.FindFaults
		wanted string
		asked  []string // the character sets of the queries
		found  bool
	}{
		"UTF-8":                                {wanted: "Phäntom, B", asked: []string{"ISO_IR 192"}, found: true},
		"ASCII":                                {wanted: "Phontom, B", asked: []string{""}},
		"Latin-1":                              {faults: pacs.FindFaults{Understands: "ISO_IR 100"}, wanted: "Phäntom, B", asked: []string{"ISO_IR 192", "ISO_IR 100"}, found: true},
		"Latin-1 alone":                        {faults: pacs.FindFaults{Understands: "ISO_IR 100", Refuses: true}, wanted: "Phäntom, B", asked: []string{"ISO_IR 192", "ISO_IR 100"}, found: true},
		"decomposed":                           {faults: pacs.FindFaults{Understands: "ISO_IR 100"}, wanted: "Pha\u0308ntom*", asked: []string{"ISO_IR 192", "ISO_IR 100"}, found: true},
		"nobody of that name":                  {wanted: "Phörntom", asked: []string{"ISO_IR 192", "ISO_IR 100"}},
		"Greek":                                {faults: pacs.FindFaults{Understands: "ISO_IR 100"}, wanted: "Φάντασμα", asked: []string{"ISO_IR 192", "ISO_IR 126"}},
		"in no other character set":            {wanted: "Phäntom Φ", asked: []string{"ISO_IR 192", "GB18030"}},
		"declared UTF-8, which it isn't":       {faults: pacs.FindFaults{CharacterSet: "ISO_IR 192"}, wanted: "Phäntom, B", asked: []string{"ISO_IR 192"}, found: true},
		"filtered by nothing, declared UTF-8":  {faults: pacs.FindFaults{CharacterSet: "ISO_IR 192", IgnoreKeys: []dict.Tag{dict.PatientName}}, wanted: "Phäntom, B", asked: []string{"ISO_IR 192"}, found: true},
		"filtered by nothing, another's":       {faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.PatientName}}, wanted: "Phüntom, B", asked: []string{"ISO_IR 192"}},
		"out of resources, and not asked more": {faults: pacs.FindFaults{Status: dimse.OutOfResources}, wanted: "Phäntom, B", asked: []string{"ISO_IR 192"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{Studies: muller(), Misbehave: pacs.Misbehave{Find: tt.faults}})
			source, _ := addPair(n, src, startPACS(t, pacs.Config{}), nil)
			var got []query.FoundStudy
			for st, err := range n.Engine.Query.Studies(
				t.Context(), n.Admin, source, query.Search{PatientName: tt.wanted, StudyDateFrom: "20240101"},
			) {
				if err == nil {
					got = append(got, st)
				}
			}
			var asked []string
			for _, q := range src.Recorder().Log().Finds {
				asked = append(asked, strings.Join(q.Keys["SpecificCharacterSet"], `\`))
			}
			require.Equal(t, tt.asked, asked)
			if name == "ASCII" {
				require.Len(t, got, 1)
				return
			}
			require.Equal(t, tt.found, len(got) == 1, "%+v", got)
			if tt.found {
				require.Equal(t, "Phäntom^Bêta", got[0].PatientName)
			}
		})
	}
}

// TestSearchForModalities: a list is a query for each, and a study with several of them is shown once.
func TestSearchForModalities(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	studies := append(muller(), phantom.DemoStudies()...)
	src := startPACS(t, pacs.Config{Studies: studies})
	source, _ := addPair(n, src, startPACS(t, pacs.Config{}), nil)
	found := func(s query.Search) (uids []string) {
		for st, err := range n.Engine.Query.Studies(t.Context(), n.Admin, source, s) {
			require.NoError(t, err)
			uids = append(uids, st.StudyInstanceUID)
		}
		return uids
	}
	ct, sr, mr := found(query.Search{Modality: "CT"}), found(query.Search{Modality: " sr "}),
		found(query.Search{Modality: "mr"})
	require.Subset(t, ct, []string{studies[0].StudyInstanceUID, studies[1].StudyInstanceUID})
	require.Subset(t, sr, []string{studies[0].StudyInstanceUID, studies[1].StudyInstanceUID})
	require.NotEmpty(t, mr)
	all := map[string]bool{}
	for _, uid := range slices.Concat(ct, sr, mr) {
		all[uid] = true
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(all)), found(query.Search{Modality: "ct, SR,MR,ct"}))
	require.Len(t, found(query.Search{Modality: "CT,SR,MR", Limit: 3}), 3)
}

// TestSearchOfUnfilteredAnswers: an answer that lacks what was asked for is shown where the server filters by it, as
// far as its other answers tell.
func TestSearchOfUnfilteredAnswers(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	undated := phantom.New(80, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-080", Name: "Phantom^Undated"}, Date: " ",
		Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16}},
	})
	day := query.Search{StudyDateFrom: "20240506", StudyDateTo: "20240506"}
	for name, tt := range map[string]struct {
		search  query.Search
		faults  pacs.FindFaults
		studies int // of the demo's, after the one without a date
		want    int
	}{
		"the date, of a server that ignores it":          {day, pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDate}}, 12, 1},
		"the date, of a server that may filter by it":    {day, pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDate}}, 0, 1},
		"all modalities, of a server that may filter":    {query.Search{Modality: "CT"}, pacs.FindFaults{OmitKeys: []dict.Tag{dict.ModalitiesInStudy}}, 0, 1},
		"the date and the limit, of one that ignores it": {query.Search{StudyDateFrom: "20240506", StudyDateTo: "20240506", Limit: 1}, pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyDate}}, 12, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{
				Studies:   append([]*phantom.Study{undated}, phantom.DemoStudies()[:tt.studies]...),
				Misbehave: pacs.Misbehave{Find: tt.faults},
			})
			source, _ := addPair(n, src, startPACS(t, pacs.Config{}), nil)
			found := 0
			for _, err := range n.Engine.Query.Studies(t.Context(), n.Admin, source, tt.search) {
				require.NoError(t, err)
				found++
			}
			require.Equal(t, tt.want, found)
		})
	}
}

// TestSearchIsLeft: who leaves the loop has what there was, also if the server answers C-CANCEL by an abort.
func TestSearchIsLeft(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	src := startPACS(t, pacs.Config{
		Studies:   phantom.DemoStudies(),
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{AbortOnCancel: true}}, Gate: untilCanceled,
	})
	n.AddServer("source", "SRC", src.Addr(), nil)
	found := 0
	for _, err := range n.Engine.Query.Studies(
		t.Context(), n.Admin, "source", query.Search{StudyDateFrom: "20000101"},
	) {
		require.NoError(t, err)
		if found++; found == 2 {
			break
		}
	}
	require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
	require.Equal(t, 1, src.Recorder().Log().Lost)
}
