// SPDX-License-Identifier: AGPL-3.0-or-later

package batchquery

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/query"
)

// found is a study that was found, or a series where the row asks for series. Its JSON is what InsertResults reads.
type found struct {
	PatientID         string   `json:"patient_id"`
	PatientName       string   `json:"patient_name"`
	PatientBirthDate  string   `json:"birth_date"`
	AccessionNumber   string   `json:"accession_number"`
	Study             string   `json:"study"`
	StudyDate         string   `json:"study_date"`
	StudyTime         string   `json:"study_time"`
	StudyDescription  string   `json:"study_description"`
	Modalities        []string `json:"modalities"`
	Series            string   `json:"series"`
	SeriesDescription string   `json:"series_description"`
	SeriesNumber      *int     `json:"series_number"`
	Instances         int      `json:"instances"`
}

// maxFound is how much a row may find: what it describes is one patient, or one accession number.
const maxFound = 10_000

// asking is what a row asks of a source, over one association.
type asking struct {
	query.Asking
	of db.Query

	others   bool // studies were found that belong to somebody else than the row says
	told     bool // a series has a description
	cut      bool // the source gave a list that can't be shown to be whole
	seriesOf map[string][]query.FoundSeries
}

// ask looks for the studies of the row, and for their series if it asks for series. The patient is looked up only where
// no study is found: it makes a difference whether the source knows nobody of that kind, or knows no such study.
func (q *asking) ask(ctx context.Context) (list []found, remarks []string, err error) {
	studies, answers, err := q.studies(ctx)
	if err != nil {
		return nil, nil, err
	}
	if len(studies) == 0 {
		if err := q.lookUp(ctx); err != nil {
			return nil, nil, err
		}
	}
	if !q.cut && looksCut(answers, int(q.Server.Node.Server.ResultLimit)) {
		remarks = append(remarks, fmt.Sprintf(
			"The source answered with %d studies, which may be the most that it gives: there may be more. Ask for a "+
				"shorter time or fewer modalities in a row.", answers,
		))
	}
	if n := patientsOf(studies); n > 1 {
		remarks = append(remarks, fmt.Sprintf(
			"Studies of %d Patient IDs were found for this row; check that they are the same person.", n,
		))
	}
	if !q.asksForSeries() {
		for _, s := range studies {
			list = append(list, ofStudy(s))
		}
		return list, q.doubts(remarks), nil
	}
	for _, s := range studies {
		series, err := q.series(ctx, s)
		if err != nil {
			return nil, nil, err
		}
		if list = append(list, series...); len(list) > maxFound {
			return nil, nil, tooMuch()
		}
	}
	if q.of.SeriesDescription != "" && len(studies) > 0 && !q.told {
		remarks = append(remarks, "The source says of no series how it is described, so that none could be chosen by that.")
	}
	return list, q.doubts(remarks), nil
}

// doubts adds that the source may have more than it gave, if it may.
func (q *asking) doubts(remarks []string) []string {
	if !q.cut {
		return remarks
	}
	return append(remarks, "The source does not give all of its answers page by page, or says itself that it has more: "+
		"there may be more. Ask for a shorter time or fewer modalities in a row.")
}

func tooMuch() error {
	return fault.Permanent("more than %d results match this row; describe what you look for more closely", maxFound)
}

func (q *asking) asksForSeries() bool {
	return q.of.SeriesDescription != "" || len(q.of.SeriesNumbers) > 0
}

// looksCut reports whether a number of answers is one at which sources stop without saying so.
func looksCut(n, limit int) bool { return n > 0 && n == limit || n >= 100 && n%50 == 0 }

func patientsOf(studies []query.FoundStudy) int {
	ids := map[string]bool{}
	for _, s := range studies {
		ids[s.PatientID] = true
	}
	return len(ids)
}

// studies asks for studies, oldest first. A name is asked for as it stands; if that finds nothing, the birth date alone
// is, since some servers match names letter by letter. answers is how many the source gave to the last question.
func (q *asking) studies(ctx context.Context) (list []query.FoundStudy, answers int, err error) {
	s := query.Search{
		PatientID: q.of.PatientID, AccessionNumber: q.of.AccessionNumber,
		StudyDateFrom: q.of.StudyDateFrom, StudyDateTo: q.of.StudyDateTo,
		Modality: strings.Join(q.of.Modalities, ","), Cut: &q.cut,
	}
	if q.of.PatientID == "" { // of a Patient ID it is told below whether it is somebody else's
		s.PatientBirthDateFrom, s.PatientBirthDateTo = q.of.PatientBirthDate, q.of.PatientBirthDate
		if q.of.PatientName != "" {
			s.PatientName = q.of.PatientName + "*"
		}
	}
	if list, answers, err = q.matching(ctx, s); err != nil || len(list) > 0 {
		return list, answers, err
	}
	if s.PatientName == "" || s.PatientBirthDateFrom == "" {
		return nil, answers, nil
	}
	s.PatientName = ""
	return q.matching(ctx, s)
}

// matching gives those of a search's studies that the row describes.
func (q *asking) matching(ctx context.Context, s query.Search) (list []query.FoundStudy, answers int, err error) {
	for study, err := range q.Studies(ctx, s) {
		if err != nil {
			return nil, 0, err
		}
		answers++
		switch {
		case !q.isPatient(study):
			q.others = q.of.PatientID != "" || q.of.AccessionNumber != ""
		case q.of.StudyDescription != "" && !query.MatchesText(q.of.StudyDescription, study.StudyDescription):
		case len(list) == maxFound:
			return nil, 0, tooMuch()
		default:
			list = append(list, study)
		}
	}
	if list, err = q.ofModalities(ctx, list); err != nil {
		return nil, 0, err
	}
	slices.SortStableFunc(list, func(a, b query.FoundStudy) int {
		return strings.Compare(a.StudyDate+a.StudyTime, b.StudyDate+b.StudyTime)
	})
	return list, answers, nil
}

// ofModalities asks for the series of studies whose modalities the source does not say, and leaves those out that have
// none of the row's: some sources neither filter by modalities nor say them.
func (q *asking) ofModalities(ctx context.Context, list []query.FoundStudy) ([]query.FoundStudy, error) {
	if len(q.of.Modalities) == 0 {
		return list, nil
	}
	kept := list[:0]
	for _, s := range list {
		if len(s.ModalitiesInStudy) > 0 {
			kept = append(kept, s)
			continue
		}
		series, err := q.listed(ctx, s)
		if err != nil {
			return nil, err
		}
		for _, one := range series {
			if one.Modality != "" && !slices.Contains(s.ModalitiesInStudy, one.Modality) {
				s.ModalitiesInStudy = append(s.ModalitiesInStudy, one.Modality)
			}
		}
		if len(s.ModalitiesInStudy) == 0 || slices.ContainsFunc(s.ModalitiesInStudy, q.wants) {
			kept = append(kept, s)
		}
	}
	return kept, nil
}

// wants reports whether the row asks for a modality.
func (q *asking) wants(modality string) bool {
	return len(q.of.Modalities) == 0 ||
		slices.ContainsFunc(q.of.Modalities, func(m string) bool { return strings.EqualFold(m, modality) })
}

// listed asks for the series of a study, once.
func (q *asking) listed(ctx context.Context, s query.FoundStudy) (list []query.FoundSeries, err error) {
	key := s.StudyInstanceUID + "\\" + s.PatientID
	if list, ok := q.seriesOf[key]; ok {
		return list, nil
	}
	for series, err := range q.Series(ctx, s.StudyInstanceUID, s.PatientID) {
		if query.NotWhole(err) {
			q.cut = true
			break
		}
		if err != nil {
			return nil, err
		}
		list = append(list, series)
	}
	if q.seriesOf == nil {
		q.seriesOf = map[string][]query.FoundSeries{}
	}
	q.seriesOf[key] = list
	return list, nil
}

// isPatient reports whether a study is of the patient that the row describes, as far as the source says who it is.
func (q *asking) isPatient(s query.FoundStudy) bool {
	if q.of.PatientName != "" && s.PatientName != "" && !query.SameName(q.of.PatientName, s.PatientName) {
		return false
	}
	born := query.DateOf(s.PatientBirthDate)
	return q.of.PatientBirthDate == "" || born == "" || born == q.of.PatientBirthDate
}

// lookUp says why nothing was found, if it is for the patient's sake.
func (q *asking) lookUp(ctx context.Context) error {
	if q.others {
		return fault.Permanent("the source has this %s under another name or birth date; check the row, so that you don't "+
			"get somebody else's images", q.namedBy())
	}
	if q.of.AccessionNumber != "" && q.of.PatientID == "" {
		return nil
	}
	if q.cut {
		return fault.Permanent("none of the studies that the source gave fits this row, and it may have more than it gave; " +
			"ask for a shorter time or fewer modalities in the row")
	}
	s := query.Search{PatientID: q.of.PatientID, Limit: 1, Cut: &q.cut}
	if q.of.PatientID == "" {
		s.PatientBirthDateFrom, s.PatientBirthDateTo, s.Limit = q.of.PatientBirthDate, q.of.PatientBirthDate, 0
	}
	known := false
	for study, err := range q.Studies(ctx, s) {
		switch {
		case err != nil:
			return err
		case q.isPatient(study):
			return nil
		}
		known = true
	}
	switch {
	case q.cut:
		return q.lookUp(ctx)
	case known && q.of.PatientID != "":
		q.others = true
		return q.lookUp(ctx)
	case q.of.PatientID != "":
		return fault.Permanent("the source knows no patient with this Patient ID; check it, leading zeros too")
	}
	return fault.Permanent("the source knows no patient with this name and birth date; check them")
}

// namedBy is what the row names the patient or the study by.
func (q *asking) namedBy() string {
	if q.of.PatientID == "" && q.of.AccessionNumber != "" {
		return "Accession Number"
	}
	return "Patient ID"
}

// series asks for the series of a study that the row describes.
func (q *asking) series(ctx context.Context, s query.FoundStudy) (list []found, err error) {
	all, err := q.listed(ctx, s)
	if err != nil {
		return nil, err
	}
	for _, series := range all {
		if !q.isSeries(series) {
			continue
		}
		f := ofStudy(s)
		f.Series, f.SeriesDescription = series.SeriesInstanceUID, series.SeriesDescription
		f.SeriesNumber, f.Modalities, f.Instances = series.SeriesNumber, []string{series.Modality}, series.Instances
		list = append(list, f)
	}
	return list, nil
}

func (q *asking) isSeries(s query.FoundSeries) bool {
	if !q.wants(s.Modality) {
		return false
	}
	q.told = q.told || s.SeriesDescription != ""
	if q.of.SeriesDescription != "" && !query.MatchesText(q.of.SeriesDescription, s.SeriesDescription) {
		return false
	}
	return len(q.of.SeriesNumbers) == 0 ||
		s.SeriesNumber != nil && slices.Contains(q.of.SeriesNumbers, int32(*s.SeriesNumber))
}

func ofStudy(s query.FoundStudy) found {
	return found{
		PatientID: s.PatientID, PatientName: s.PatientName, PatientBirthDate: s.PatientBirthDate,
		AccessionNumber: s.AccessionNumber, Study: s.StudyInstanceUID, StudyDate: s.StudyDate, StudyTime: s.StudyTime,
		StudyDescription: s.StudyDescription, Modalities: append([]string{}, s.ModalitiesInStudy...), Instances: s.Instances,
	}
}
