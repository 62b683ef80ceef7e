// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"io"
	"maps"
	nethttp "net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// lie is what a server says that doesn't fit together.
type lie struct {
	pacs.Misbehave

	one bool // a series is read, and not the study
}

func liesAbout(study *phantom.Study) map[string]lie {
	uid := func(i int) string { return study.Series[i].SeriesInstanceUID }
	of := func(i int) (list []string) {
		for _, in := range study.Series[i].Instances {
			list = append(list, in.SOPInstanceUID)
		}
		return list
	}
	instead := func(uid string, tag dict.Tag, values ...string) map[string]map[dict.Tag][]string {
		return map[string]map[dict.Tag][]string{uid: {tag: values}}
	}
	unproven := pacs.FindFaults{
		ImageLevelRefused: true, Series: pacs.ListFaults{OmitKeys: []dict.Tag{dict.NumberOfSeriesRelatedInstances}},
	}
	return map[string]lie{
		"list of series cut short": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{Series: pacs.ListFaults{Cap: 2}}}},
		"hidden series":            {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{Series: pacs.ListFaults{Hidden: []string{uid(1)}}}}},
		"hidden series, uncounted": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Study:  pacs.ListFaults{OmitKeys: []dict.Tag{dict.NumberOfStudyRelatedSeries}},
			Series: pacs.ListFaults{Hidden: []string{uid(1)}, OmitKeys: []dict.Tag{dict.NumberOfSeriesRelatedInstances}},
		}}},
		"series without a UID": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Series: pacs.ListFaults{Answers: instead(uid(1), dict.SeriesInstanceUID)},
		}}},
		"series with a bad UID": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Series: pacs.ListFaults{Answers: instead(uid(1), dict.SeriesInstanceUID, "1.2.x")},
		}}},
		"two series under one UID": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Series: pacs.ListFaults{Answers: instead(uid(1), dict.SeriesInstanceUID, uid(0))},
		}}},
		"more series counted": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Study: pacs.ListFaults{Answers: instead(study.StudyInstanceUID, dict.NumberOfStudyRelatedSeries, "4")},
		}}},
		"more instances counted": {Misbehave: pacs.Misbehave{Find: pacs.FindFaults{
			Study: pacs.ListFaults{Answers: instead(study.StudyInstanceUID, dict.NumberOfStudyRelatedInstances, "20")},
		}}},
		"a series that counts none and has some": {Misbehave: pacs.Misbehave{
			Find: pacs.FindFaults{
				Image:  pacs.ListFaults{Hidden: of(1)},
				Series: pacs.ListFaults{Answers: instead(uid(1), dict.NumberOfSeriesRelatedInstances, "0")},
			},
			Get: pacs.GetFaults{Refuse: of(1)},
		}},
		"list and retrieve short of the count": {Misbehave: pacs.Misbehave{
			Find: pacs.FindFaults{Image: pacs.ListFaults{Cap: 3}}, Get: pacs.GetFaults{SuccessAfter: 3},
		}, one: true},
		"nothing proves": {Misbehave: pacs.Misbehave{
			Find: unproven,
			Get:  pacs.GetFaults{Refuse: of(0)[2:3], FinalStatus: new(dimse.Success), NoCounts: true},
		}, one: true},
		"only the study counts": {Misbehave: pacs.Misbehave{Find: unproven, Get: pacs.GetFaults{SuccessAfter: 2}}},
	}
}

// TestReadWhole: whatever a server says that doesn't fit together, nobody gets a part for the whole, neither by WADO-RS
// nor as a zip.
func TestReadWhole(t *testing.T) {
	series := phantom.SeriesSpec{Kind: phantom.CT, Instances: 5, Rows: 16, Columns: 16}
	studies := map[string]*phantom.Study{} // one for each lie: what is there already is whole
	for name := range liesAbout(phantom.New(1, phantom.StudySpec{Series: []phantom.SeriesSpec{series, series, series}})) {
		studies[name] = phantom.New(uint64(2700+len(studies)), phantom.StudySpec{
			Patient: phantom.Patient{ID: "WHOLE-1", Name: "Whole^One"}, Series: []phantom.SeriesSpec{series, series, series},
		})
	}
	s, p := searchSite(t, slices.Collect(maps.Values(studies)))
	for name, study := range studies {
		t.Run(name, func(t *testing.T) {
			s.t = t
			c := liesAbout(study)[name]
			p.SetMisbehave(c.Misbehave)
			paths := []string{
				"/dicom-web/PACS/studies/" + study.StudyInstanceUID,
				"/api/v1/servers/pacs/studies/" + study.StudyInstanceUID + "/download",
			}
			if c.one {
				paths[0] += "/series/" + study.Series[0].SeriesInstanceUID
				paths[1] += "?series=" + study.Series[0].SeriesInstanceUID
			}
			for _, path := range paths {
				got := s.get(t.Context(), path)
				body, err := io.ReadAll(got.Body)
				_ = got.Body.Close()
				require.False(t, got.StatusCode == nethttp.StatusOK && err == nil, "%s: %d bytes for the whole", path, len(body))
				if got.StatusCode != nethttp.StatusOK {
					require.Equal(t, nethttp.StatusBadGateway, got.StatusCode, "%s", body)
				}
			}
		})
	}
}
