// SPDX-License-Identifier: AGPL-3.0-or-later

package mass

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/refusal"
)

// Modes of a filter.
const (
	Include = "include"
	Exclude = "exclude"
)

// Filter says which series are taken, or left out. Empty fields fit everything. Texts fit as a whole, without regard to
// case, accents and blanks, with * for any characters and ? for one.
type Filter struct {
	Mode               string `json:"mode,omitempty"` // Include, by default, or Exclude
	Modality           string `json:"modality,omitempty"`
	InstitutionName    string `json:"institution_name,omitempty"`
	InstitutionOnStudy *bool  `json:"apply_institution_on_study,omitempty"` // one series is enough; true by default
	StudyDescription   string `json:"study_description,omitempty"`
	SeriesDescription  string `json:"series_description,omitempty"`
	SeriesNumber       *int   `json:"series_number,omitempty"`
	MinAge             *int   `json:"min_age,omitempty"` // completed years on the day of the study
	MaxAge             *int   `json:"max_age,omitempty"`
	MinInstances       *int   `json:"min_number_of_series_related_instances,omitempty"`
}

func (f Filter) excludes() bool { return f.Mode == Exclude }

// Filters are those of one mass transfer.
type Filters []Filter

const maxFilters = 1000

// tidied returns the filters as they are kept, or what is wrong with them.
func (fs Filters) tidied() (Filters, error) {
	if len(fs) == 0 || !slices.ContainsFunc(fs, func(f Filter) bool { return !f.excludes() }) {
		return nil, &refusal.Invalid{Field: "filters", Reason: "give at least one filter that includes"}
	}
	if len(fs) > maxFilters {
		return nil, &refusal.Invalid{Field: "filters", Reason: fmt.Sprintf("at most %d filters", maxFilters)}
	}
	out := make(Filters, len(fs))
	for i, f := range fs {
		field, reason := f.tidy()
		if reason != "" {
			return nil, &refusal.Invalid{Field: fmt.Sprintf("filters[%d]%s", i, field), Reason: reason}
		}
		out[i] = f
	}
	return out, nil
}

// tidy takes blanks from the texts of a filter and says what is wrong with it.
func (f *Filter) tidy() (field, reason string) {
	if f.Mode == "" {
		f.Mode = Include
	}
	if field, reason = f.tidyTexts(); reason != "" {
		return field, reason
	}
	switch {
	case f.Mode != Include && f.Mode != Exclude:
		return ".mode", "must be include or exclude"
	case f.excludes() && *f == (Filter{Mode: Exclude, InstitutionOnStudy: f.InstitutionOnStudy}):
		return "", "a filter that excludes needs at least one criterion; without one it would leave out everything"
	case f.MinInstances != nil && *f.MinInstances < 1:
		return ".min_number_of_series_related_instances", "must be 1 or more"
	}
	return f.checkAges()
}

func (f *Filter) tidyTexts() (field, reason string) {
	f.Modality = strings.ToUpper(strings.TrimSpace(f.Modality))
	if f.Modality != "" &&
		(dimse.CheckKey(dict.CS, f.Modality) != nil || strings.ContainsFunc(f.Modality, fault.BadInExactKey)) {
		return ".modality", "one modality such as CT; make a filter for each"
	}
	for name, text := range map[string]*string{
		".institution_name": &f.InstitutionName, ".study_description": &f.StudyDescription,
		".series_description": &f.SeriesDescription,
	} {
		*text = strings.TrimSpace(*text)
		if *text != "" && (!fault.ValidText(*text) || len([]rune(*text)) > maxText) {
			return name, fault.TextReason
		}
	}
	return "", ""
}

func (f *Filter) checkAges() (field, reason string) {
	switch {
	case f.MinAge != nil && *f.MinAge < 0:
		return ".min_age", "must be 0 or more"
	case f.MaxAge != nil && *f.MaxAge < 0:
		return ".max_age", "must be 0 or more"
	case f.MinAge != nil && f.MaxAge != nil && *f.MinAge > *f.MaxAge:
		return ".max_age", "must not be below min_age"
	}
	return "", ""
}

const maxText = 64 // characters of a description at the most (PS3.5 6.2, LO)

// modalities are those that the filters take; none: any.
func (fs Filters) modalities() (list []string) {
	for _, f := range fs {
		switch {
		case f.excludes():
		case f.Modality == "":
			return nil
		case !slices.Contains(list, f.Modality):
			list = append(list, f.Modality)
		}
	}
	return list
}

// mayTake reports whether some series of a study may be taken, by what is said of the study alone.
func (fs Filters) mayTake(s query.FoundStudy) bool {
	return slices.ContainsFunc(fs, func(f Filter) bool {
		return !f.excludes() && f.fitsStudy(s) &&
			(f.Modality == "" || len(s.ModalitiesInStudy) == 0 || query.HasModality(s.ModalitiesInStudy, f.Modality))
	})
}

// fitsStudy reports whether a study fits what the filter says of studies. Of a patient whose birth date is not known
// the age is within no bounds, and a filter that excludes by age leaves the study out.
func (f Filter) fitsStudy(s query.FoundStudy) bool {
	if f.StudyDescription != "" && !query.MatchesText(f.StudyDescription, s.StudyDescription) {
		return false
	}
	if f.MinAge == nil && f.MaxAge == nil {
		return true
	}
	years, ok := age(s.PatientBirthDate, s.StudyDate)
	if !ok {
		return f.excludes()
	}
	return (f.MinAge == nil || years >= *f.MinAge) && (f.MaxAge == nil || years <= *f.MaxAge)
}

// age returns the completed years between two dates. Who was born on 29 February has the birthday on 1 March in common
// years.
func age(birthDate, day string) (years int, ok bool) {
	born, err := time.Parse(dayForm, query.DateOf(birthDate))
	if err != nil {
		return 0, false
	}
	on, err := time.Parse(dayForm, query.DateOf(day))
	if err != nil || on.Before(born) {
		return 0, false
	}
	years = on.Year() - born.Year()
	if on.Month() < born.Month() || on.Month() == born.Month() && on.Day() < born.Day() {
		years--
	}
	return years, true
}

// taken returns those series of a study that the filters take.
func (fs Filters) taken(s query.FoundStudy, all []query.FoundSeries) (list []query.FoundSeries) {
	fits := func(series query.FoundSeries, excludes bool) bool {
		return slices.ContainsFunc(fs, func(f Filter) bool {
			return f.excludes() == excludes && f.fitsStudy(s) && f.fitsSeries(series, all)
		})
	}
	for _, series := range all {
		if fits(series, false) && !fits(series, true) {
			list = append(list, series)
		}
	}
	return list
}

// fitsSeries reports whether a series, one of all of its study, fits what the filter says of series. A series without a
// number has none that would fit.
func (f Filter) fitsSeries(s query.FoundSeries, all []query.FoundSeries) bool {
	switch {
	case f.Modality != "" && !strings.EqualFold(f.Modality, s.Modality),
		f.SeriesDescription != "" && !query.MatchesText(f.SeriesDescription, s.SeriesDescription),
		f.SeriesNumber != nil && (s.SeriesNumber == nil || *s.SeriesNumber != *f.SeriesNumber),
		f.MinInstances != nil && s.Instances < *f.MinInstances:
		return false
	case f.InstitutionName == "":
		return true
	case f.ofWholeStudy():
		return slices.ContainsFunc(all, f.atInstitution)
	}
	return f.atInstitution(s)
}

// ofWholeStudy reports whether one series at the institution is enough for its study.
func (f Filter) ofWholeStudy() bool {
	return !f.excludes() && (f.InstitutionOnStudy == nil || *f.InstitutionOnStudy)
}

func (f Filter) atInstitution(s query.FoundSeries) bool {
	return query.MatchesText(f.InstitutionName, s.InstitutionName)
}
