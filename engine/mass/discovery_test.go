// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/query"
)

// simulated is a source as badly behaved as a test wants it.
type simulated struct {
	studies []query.FoundStudy

	limit       int  // most answers; 0: all
	says        bool // it fails after its limit
	refuses     bool // it gives no answer at all where there are more
	noTimes     bool // it does not heed times
	noModality  bool // it does not heed modalities
	noWildcards bool // it takes wildcards in Patient IDs for letters
	noFractions bool // it refuses fractions of a second
	combined    bool // date and time are one instant
	asked       int
}

func (s *simulated) ask(_ context.Context, w query.Window) (a query.Answers, err error) {
	s.asked++
	if s.noFractions && strings.Contains(w.ToTime, ".") {
		return a, &dimse.StatusError{Status: 0xA900}
	}
	var all []query.FoundStudy
	for _, study := range s.studies {
		if s.has(w, study) {
			all = append(all, study)
		}
	}
	if s.limit > 0 && len(all) > s.limit {
		if s.refuses {
			return a, &dimse.StatusError{Status: 0xA700}
		}
		all, a.Cut = all[:s.limit], s.says
	}
	a.Count = len(all)
	for _, study := range all {
		if study.StudyDate < w.FirstDay || study.StudyDate > w.LastDay {
			a.Beside.Days = true
			continue
		}
		a.Beside.Times = a.Beside.Times || w.FromTime != "" && study.StudyTime != "" &&
			(study.StudyTime[:6] < w.FromTime || study.StudyTime[:6] > w.ToTime[:6])
		a.Beside.Modality = a.Beside.Modality || w.Modality != "" && !slices.Contains(study.ModalitiesInStudy, w.Modality)
		a.Beside.PatientIDs = a.Beside.PatientIDs || !strings.HasPrefix(study.PatientID, w.PatientIDs)
		a.Studies = append(a.Studies, study)
	}
	return a, nil
}

func (s *simulated) has(w query.Window, study query.FoundStudy) bool {
	switch {
	case w.Modality != "" && !s.noModality && !slices.Contains(study.ModalitiesInStudy, w.Modality):
		return false
	case w.PatientIDs != "" && s.noWildcards, w.PatientIDs != "" && !strings.HasPrefix(study.PatientID, w.PatientIDs):
		return false
	case w.FromTime == "" || s.noTimes:
		return study.StudyDate >= w.FirstDay && study.StudyDate <= w.LastDay
	case study.StudyTime == "":
		return false
	case s.combined:
		at := study.StudyDate + study.StudyTime
		return at >= w.FirstDay+w.FromTime && at <= w.LastDay+w.ToTime
	}
	return study.StudyDate >= w.FirstDay && study.StudyDate <= w.LastDay &&
		study.StudyTime >= w.FromTime && study.StudyTime <= w.ToTime
}

// studiesOf makes n studies of some days: at all times, of both halves, and some at the edges.
func studiesOf(r *rand.Rand, n int, days ...string) (list []query.FoundStudy) {
	edges := []string{"000000", "120000", "120000.5", "235959", "235959.5", "115959.999"}
	for i := range n {
		clock := fmt.Sprintf("%02d%02d%02d", r.IntN(24), r.IntN(60), r.IntN(60))
		if i < len(edges) {
			clock = edges[i]
		}
		list = append(list, query.FoundStudy{
			StudyInstanceUID: fmt.Sprintf("1.2.%d", len(list)+1), PatientID: fmt.Sprintf("%c%06d", "01234AZz"[r.IntN(8)], i),
			StudyDate: days[r.IntN(len(days))], StudyTime: clock,
			ModalitiesInStudy: []string{[]string{"CT", "MR", "US"}[r.IntN(3)]}, Series: -1, Instances: -1,
		})
	}
	r.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list
}

// TestDiscovery tries sources that keep studies to themselves: all are found, or it is said that there may be more.
func TestDiscovery(t *testing.T) {
	week := []string{"20240101", "20240102", "20240103", "20240104", "20240105", "20240106", "20240107"}
	for _, test := range []struct {
		name   string
		source simulated
		n      int
		days   []string
		bare   int // studies without a time
		limit  int // that is configured
		doubts bool
		asked  int // questions at most; 0: no matter
	}{
		{name: "few", n: 12, days: week, asked: 1},
		{name: "no limit", n: 300, days: week},
		{name: "a silent limit", source: simulated{limit: 50}, n: 400, days: week},
		{name: "a silent limit that is no round number", source: simulated{limit: 37}, n: 400, days: week},
		{name: "one more than a silent limit", source: simulated{limit: 37}, n: 38, days: week[:1]},
		{name: "a limit of which it tells", source: simulated{limit: 37, says: true}, n: 400, days: week},
		{name: "a limit beyond which it refuses", source: simulated{limit: 40, refuses: true}, n: 200, days: week},
		{name: "a configured limit", source: simulated{limit: 23}, n: 200, days: week[:1], limit: 23},
		{name: "studies without time", source: simulated{limit: 50}, n: 200, days: week[:1], bare: 20},
		{name: "more than one limit at an instant", source: simulated{limit: 30}, n: 0, days: week[:1], bare: 100},
		{
			name: "studies without time, and no wildcards", source: simulated{limit: 50, noWildcards: true}, n: 200,
			days: week[:1], bare: 20, doubts: true,
		},
		{name: "no times", source: simulated{limit: 50, noTimes: true}, n: 200, days: week[:1]},
		{
			name: "neither times nor wildcards", source: simulated{limit: 50, noTimes: true, noWildcards: true}, n: 200,
			days: week[:1], doubts: true,
		},
		{name: "no modalities", source: simulated{limit: 50, noModality: true}, n: 200, days: week[:2]},
		{name: "date and time as one instant", source: simulated{limit: 50, combined: true}, n: 200, days: week[:2]},
		{name: "no fractions", source: simulated{limit: 50, noFractions: true}, n: 200, days: week[:1], doubts: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			for seed := range uint64(5) {
				r := rand.New(rand.NewPCG(seed, 1))
				source := test.source
				source.studies = studiesOf(r, test.n, test.days...)
				for _, s := range studiesOf(r, test.bare, test.days...) {
					s.StudyInstanceUID, s.StudyTime = "1.3"+s.StudyInstanceUID[3:], ""
					source.studies = append(source.studies, s)
				}
				r.Shuffle(len(source.studies), func(i, j int) {
					source.studies[i], source.studies[j] = source.studies[j], source.studies[i]
				})
				d := &discovery{ask: source.ask, limit: test.limit}
				require.NoError(t, d.whole(t.Context(), test.days[0], test.days[len(test.days)-1], nil))
				t.Logf("%d studies, %d questions", len(source.studies), source.asked)
				if !test.doubts {
					require.Empty(t, d.doubts)
					require.Equal(t, uidsOf(source.studies), uidsOf(d.studies))
				} else if !slices.Equal(uidsOf(source.studies), uidsOf(d.studies)) {
					require.NotEmpty(t, d.doubts, "some are missing, and nothing is said")
				}
				if test.asked > 0 {
					require.LessOrEqual(t, source.asked, test.asked)
				}
			}
		})
	}
}

func uidsOf(list []query.FoundStudy) (uids []string) {
	for _, s := range list {
		uids = append(uids, s.StudyInstanceUID)
	}
	slices.Sort(uids)
	return slices.Compact(uids)
}
