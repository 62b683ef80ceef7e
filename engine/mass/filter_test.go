// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/refusal"
)

func TestAge(t *testing.T) {
	for _, test := range []struct {
		born, day string
		years     int
		known     bool
	}{
		{"20000115", "20240114", 23, true},
		{"20000115", "20240115", 24, true},
		{"20000229", "20230228", 22, true}, // the birthday is on 1 March in common years
		{"20000229", "20230301", 23, true},
		{"20000229", "20240229", 24, true},
		{"1950.01.01", "20240101", 74, true},
		{"20240101", "20240101", 0, true},
		{"20240102", "20240101", 0, false},
		{"", "20240101", 0, false},
		{"19500000", "20240101", 0, false},
		{"20000101", "", 0, false},
	} {
		years, known := age(test.born, test.day)
		require.Equal(t, test.known, known, "%s on %s", test.born, test.day)
		require.Equal(t, test.years, years, "%s on %s", test.born, test.day)
	}
}

func TestFilters(t *testing.T) {
	study := query.FoundStudy{
		StudyDescription: "CT Schädel", StudyDate: "20240301", PatientBirthDate: "20060301",
		ModalitiesInStudy: []string{"CT"},
	}
	nobody := study
	nobody.PatientBirthDate = ""
	all := []query.FoundSeries{
		{SeriesInstanceUID: "axial", Modality: "CT", SeriesDescription: "Axial 2 mm", SeriesNumber: new(2), Instances: 40, InstitutionName: "Neuro"},
		{SeriesInstanceUID: "scout", Modality: "CT", SeriesDescription: "Scout", Instances: 2},
		{SeriesInstanceUID: "report", Modality: "SR", SeriesDescription: "Report", SeriesNumber: new(-1), Instances: -1, InstitutionName: "Archive"},
	}
	ct := Filter{Modality: "CT"}
	for _, test := range []struct {
		name    string
		filters Filters
		study   query.FoundStudy
		want    []string
	}{
		{"a modality", Filters{ct}, study, []string{"axial", "scout"}},
		{"no criterion", Filters{{}}, study, []string{"axial", "scout", "report"}},
		{"capitals and accents don't matter", Filters{{StudyDescription: "*SCHADEL"}}, study, []string{"axial", "scout", "report"}},
		{"a text matches as a whole", Filters{{StudyDescription: "CT"}}, study, nil},
		{"a series described", Filters{{SeriesDescription: "axial ? MM"}}, study, []string{"axial"}},
		{"a number", Filters{{SeriesNumber: new(2)}}, study, []string{"axial"}},
		{"a negative number", Filters{{SeriesNumber: new(-1)}}, study, []string{"report"}},
		{"no number is none", Filters{{SeriesNumber: new(0)}}, study, nil},
		{"enough images", Filters{{MinInstances: new(3)}}, study, []string{"axial"}},
		{"old enough on the birthday", Filters{{MinAge: new(18)}}, study, []string{"axial", "scout", "report"}},
		{"not old enough", Filters{{MinAge: new(19)}}, study, nil},
		{"young enough", Filters{{MaxAge: new(18)}}, study, []string{"axial", "scout", "report"}},
		{"too old", Filters{{MaxAge: new(17)}}, study, nil},
		{"an unknown age is within no bounds", Filters{{MinAge: new(0)}}, nobody, nil},
		{"an unknown age is excluded", Filters{{}, {Mode: Exclude, MaxAge: new(17)}}, nobody, nil},
		{"an institution of the whole study", Filters{{InstitutionName: "neuro"}}, study, []string{"axial", "scout", "report"}},
		{"an institution of each series", Filters{{InstitutionName: "neuro", InstitutionOnStudy: new(false)}}, study, []string{"axial"}},
		{"an excluded institution is of each series", Filters{{}, {Mode: Exclude, InstitutionName: "NEURO"}}, study, []string{"scout", "report"}},
		{"excluded", Filters{ct, {Mode: Exclude, SeriesDescription: "SCOUT"}}, study, []string{"axial"}},
		{"excluded by all criteria of a filter", Filters{ct, {Mode: Exclude, Modality: "SR", SeriesDescription: "Scout"}}, study, []string{"axial", "scout"}},
		{"one of several", Filters{{SeriesDescription: "Scout"}, {Modality: "SR"}}, study, []string{"scout", "report"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, s := range test.filters.taken(test.study, all) {
				got = append(got, s.SeriesInstanceUID)
			}
			require.Equal(t, test.want, got)
			require.True(t, len(got) == 0 || test.filters.mayTake(test.study), "the study alone must not rule it out")
		})
	}
}

func TestFiltersRefused(t *testing.T) {
	for _, test := range []struct {
		name    string
		filters Filters
		field   string
	}{
		{"none", nil, "filters"},
		{"none that includes", Filters{{Mode: Exclude, Modality: "CT"}}, "filters"},
		{"excludes everything", Filters{{}, {Mode: Exclude}}, "filters[1]"},
		{"another mode", Filters{{Mode: "maybe"}}, "filters[0].mode"},
		{"several modalities", Filters{{Modality: `CT\MR`}}, "filters[0].modality"},
		{"ages the wrong way round", Filters{{MinAge: new(5), MaxAge: new(4)}}, "filters[0].max_age"},
		{"no images", Filters{{MinInstances: new(0)}}, "filters[0].min_number_of_series_related_instances"},
		{"a hidden character", Filters{{StudyDescription: "a\u200bb\x01"}}, "filters[0].study_description"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.filters.tidied()
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, test.field, invalid.Field)
		})
	}
}

// TestPartitions counts days of a calendar: summer time begins and ends in some of them, and no day is there twice or
// missing.
func TestPartitions(t *testing.T) {
	day := func(text string) time.Time {
		d, err := time.Parse(time.DateOnly, text)
		require.NoError(t, err)
		return d
	}
	for _, test := range []struct {
		name, first, last string
		weekly            bool
		want              []jobs.Days
	}{
		{"a day", "2024-02-29", "2024-02-29", false, []jobs.Days{{First: "20240229", Last: "20240229"}}},
		{"clocks go forward", "2026-03-28", "2026-03-30", false, []jobs.Days{{First: "20260328", Last: "20260328"}, {First: "20260329", Last: "20260329"}, {First: "20260330", Last: "20260330"}}},
		{"clocks go back, by weeks", "2026-10-20", "2026-11-04", true, []jobs.Days{{First: "20261020", Last: "20261026"}, {First: "20261027", Last: "20261102"}, {First: "20261103", Last: "20261104"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := partitioned(day(test.first), day(test.last), test.weekly)
			require.NoError(t, err)
			require.Equal(t, test.want, got)
		})
	}
	ten, err := partitioned(day("2015-01-01"), day("2024-12-31"), false)
	require.NoError(t, err)
	require.Len(t, ten, 3653)
	_, err = partitioned(day("2024-01-02"), day("2024-01-01"), false)
	require.Error(t, err)
	_, err = partitioned(day("1900-01-01"), day("2200-12-31"), false)
	require.Error(t, err, "too many")
}

func TestReadFilters(t *testing.T) {
	table := "modality;study_description;series_number;min_age;mode\r\n" +
		"CT;CT head*;;18;\r\nCT;CT head*;;18;\r\n;;4;;exclude\r\n"
	got, err := Read(t.Context(), []byte(table))
	require.NoError(t, err)
	require.Equal(t, Filters{
		{Mode: Include, Modality: "CT", StudyDescription: "CT head*", MinAge: new(18)},
		{Mode: Exclude, SeriesNumber: new(4)},
	}, got)
	for name, bad := range map[string]string{
		"an unknown mode": "modality,mode\nCT,perhaps\n", "no number": "modality,min_age\nCT,old\n", "no column": "a,b\n1,2\n",
		"no row": "modality\n", "a near miss": "Modality\nCT\n",
		"an unknown column": "modality,eye_colour\nCT,blue\n",
	} {
		_, err := Read(t.Context(), []byte(bad))
		require.Error(t, err, name)
	}
}
