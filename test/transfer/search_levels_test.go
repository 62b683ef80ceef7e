// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// TestSearchBelowStudies: what a person is shown of a study's series, and of the instances of one of them, by servers
// of either model and by some that err.
func TestSearchBelowStudies(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	studies := phantom.DemoStudies()
	study := studies[2] // two series of 30 instances
	var uids []string
	for _, se := range study.Series {
		uids = append(uids, se.SeriesInstanceUID)
	}
	patient := study.Spec.Patient.ID
	patientRoot := func(s *nodes.NewServer) {
		s.Supports = nodes.Supports{PatientRootFind: true, PatientRootGet: true}
	}
	for name, tt := range map[string]struct {
		change    func(*nodes.NewServer)
		faults    pacs.FindFaults
		search    query.SeriesSearch
		series    int
		instances int
		cut       bool
		finds     int // for the series
		err       string
	}{
		"study root":                    {series: 2, instances: 30, finds: 1},
		"of a patient":                  {search: query.SeriesSearch{PatientID: patient}, series: 2, instances: 30, finds: 1},
		"patient root":                  {change: patientRoot, series: 2, instances: 30, finds: 2},
		"patient root, of a patient":    {change: patientRoot, search: query.SeriesSearch{PatientID: patient}, series: 2, instances: 30, finds: 1},
		"patient root, of another one":  {change: patientRoot, search: query.SeriesSearch{PatientID: "PHANTOM-001"}, finds: 1},
		"cut":                           {search: query.SeriesSearch{Limit: 1}, series: 1, instances: 1, cut: true, finds: 1},
		"no more than the limit":        {search: query.SeriesSearch{Limit: 2}, series: 2, instances: 2, finds: 1},
		"a study that isn't there":      {search: query.SeriesSearch{StudyInstanceUID: "1.2.3"}, finds: 1},
		"filters by no UID":             {faults: pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyInstanceUID, dict.SeriesInstanceUID}}, series: 2, instances: 30, finds: 1},
		"answers each twice":            {faults: pacs.FindFaults{SendTwice: 1}, series: 2, instances: 30, finds: 1},
		"answers without the study":     {faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.StudyInstanceUID}}, series: 2, instances: 30, finds: 1},
		"answers without a UID":         {faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.SeriesInstanceUID, dict.SOPInstanceUID}}, finds: 1},
		"answers without what it knows": {faults: pacs.FindFaults{OmitKeys: []dict.Tag{dict.Modality, dict.SeriesNumber, dict.NumberOfSeriesRelatedInstances, dict.Rows}}, series: 2, instances: 30, finds: 1},
		"is busy":                       {faults: pacs.FindFaults{Status: dimse.OutOfResources}, finds: 1, err: "status A700H"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{Studies: studies, Misbehave: pacs.Misbehave{Find: tt.faults}})
			source, _ := addPair(n, src, startPACS(t, pacs.Config{}), tt.change)
			var cut bool
			s := tt.search
			if s.Cut = &cut; s.StudyInstanceUID == "" {
				s.StudyInstanceUID = study.StudyInstanceUID
			}
			var got []string
			var failed error
			for se, err := range n.Engine.Query.Series(t.Context(), n.Admin, source, s) {
				if failed = err; err != nil {
					break
				}
				got = append(got, se.SeriesInstanceUID)
				if tt.faults.OmitKeys == nil {
					require.Equal(t, "MR", se.Modality)
					require.Equal(t, 30, se.Instances)
					require.Equal(t, slices.Index(uids, se.SeriesInstanceUID)+1, *se.SeriesNumber)
					require.Contains(t, se.SeriesDescription, "axial")
				} else if len(tt.faults.OmitKeys) > 2 {
					require.Nil(t, se.SeriesNumber)
					require.Equal(t, -1, se.Instances)
				}
			}
			require.Len(t, src.Recorder().Log().Finds, tt.finds)
			if tt.err != "" {
				require.ErrorContains(t, failed, tt.err)
				return
			}
			require.NoError(t, failed)
			require.Equal(t, tt.cut, cut)
			require.Len(t, got, tt.series)
			require.Subset(t, uids, got)

			seen := map[string]bool{}
			for in, err := range n.Engine.Query.Instances(t.Context(), n.Admin, source, query.InstanceSearch{
				StudyInstanceUID: s.StudyInstanceUID, SeriesInstanceUID: uids[1], PatientID: s.PatientID,
				Limit: s.Limit, Cut: &cut,
			}) {
				require.NoError(t, err)
				seen[in.SOPInstanceUID] = true
				require.Equal(t, dict.MRImageStorage, in.SOPClassUID)
				require.NotNil(t, in.InstanceNumber)
				require.Equal(t, -1, in.Frames, "it has one frame and doesn't say so")
				require.Positive(t, in.Columns)
			}
			require.Len(t, seen, tt.instances)
			require.Equal(t, tt.cut || s.Limit > 0, cut)
		})
	}
}

// TestSearchBelowStudiesIsGuarded: it takes the rights of a search, refuses what can't be found, and the audit log
// keeps for whom and what.
func TestSearchBelowStudiesIsGuarded(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	study := phantom.DemoStudies()[2]
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("blind", "BLIND", src.Addr(), func(s *nodes.NewServer) { s.FindImages = new(bool) })
	n.AddFolder("folder", t.TempDir())
	uid, series := study.StudyInstanceUID, study.Series[0].SeriesInstanceUID
	refused := func(user people.User, server string, s query.InstanceSearch) (err error) {
		for _, err = range n.Engine.Query.Instances(t.Context(), user, server, s) {
			require.Error(t, err)
		}
		return err
	}
	for _, tt := range []struct {
		server, field string
		s             query.InstanceSearch
	}{
		{"source", "study_instance_uid", query.InstanceSearch{SeriesInstanceUID: series}},
		{"source", "series_instance_uid", query.InstanceSearch{StudyInstanceUID: uid}},
		{"source", "series_instance_uid", query.InstanceSearch{StudyInstanceUID: uid, SeriesInstanceUID: "1.2.*"}},
		{"source", "patient_id", query.InstanceSearch{StudyInstanceUID: uid, SeriesInstanceUID: series, PatientID: "A*"}},
		{"source", "limit", query.InstanceSearch{StudyInstanceUID: uid, SeriesInstanceUID: series, Limit: -1}},
		{"blind", "source", query.InstanceSearch{StudyInstanceUID: uid, SeriesInstanceUID: series}},
		{"folder", "source", query.InstanceSearch{StudyInstanceUID: uid, SeriesInstanceUID: series}},
	} {
		var invalid *refusal.Invalid
		require.ErrorAs(t, refused(n.Admin, tt.server, tt.s), &invalid, "%+v", tt)
		require.Equal(t, tt.field, invalid.Field)
	}
	var denied *people.Denied
	require.ErrorAs(t, refused(people.User{ID: 4711}, "source", query.InstanceSearch{
		StudyInstanceUID: uid, SeriesInstanceUID: series,
	}), &denied)
	require.Empty(t, src.Recorder().Log().Finds)

	patient := study.Spec.Patient.ID
	for range n.Engine.Query.Series(t.Context(), n.Admin, "source", query.SeriesSearch{
		StudyInstanceUID: " " + uid, PatientID: patient,
	}) {
		break // leaves the loop, which ends the query
	}
	require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
	rows, err := n.People.ReadAudit(t.Context(), n.Admin, audit.Filter{
		Action: audit.ActSearch, PatientID: patient, StudyUID: uid, Limit: 10,
	})
	require.NoError(t, err)
	require.Len(t, rows, 1)
	require.Equal(t, "source", rows[0].Source)
	require.Contains(t, rows[0].Detail, uid)
}
