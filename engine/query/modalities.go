// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/match"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/source"
)

// Modalities in Study (0008,0061) is known to few servers, and asked for by every viewer. Where answers lack it, the
// series of the studies say of which modality they are.

// Bounds of that: a query for each study, of the newest ones.
const (
	maxLookedInto = 200
	lookingTime   = 20 * time.Second
)

// ofModalities leaves out of some studies those that have none of the modalities searched for. What was found out is
// filled into the answers. Those that could not be looked into stay, and the key unheeded.
func (c *collecting) ofModalities(ctx context.Context, studies []*stream.DataSet) ([]*stream.DataSet, error) {
	wanted := c.search.Match.Strings(dict.ModalitiesInStudy)
	if len(wanted) == 0 || !slices.Contains(c.Unheeded, dict.ModalitiesInStudy) {
		return studies, nil
	}
	kept := studies[:0]
	looked, open, until := 0, false, time.Now().Add(lookingTime)
	for _, study := range studies {
		if !tellsModalities(study) && looked < maxLookedInto && time.Now().Before(until) {
			looked++
			if err := c.lookInto(ctx, study); err != nil {
				return nil, err
			}
		}
		has := study.Strings(dict.ModalitiesInStudy)
		open = open || !tellsModalities(study)
		if !tellsModalities(study) ||
			match.Values(dict.CS, folded(dict.ModalitiesInStudy, wanted), folded(dict.ModalitiesInStudy, has)) {
			kept = append(kept, study)
		}
	}
	if !open {
		c.Unheeded = slices.DeleteFunc(c.Unheeded, func(t dict.Tag) bool { return t == dict.ModalitiesInStudy })
	}
	return kept, nil
}

// tellsModalities: there is no study without any, so a server that says none does not know.
func tellsModalities(study *stream.DataSet) bool {
	return slices.ContainsFunc(study.Strings(dict.ModalitiesInStudy), func(m string) bool { return m != "" })
}

// lookInto fills into a study what its series say: their modalities, how many they are, and how many instances they
// have. Of a list that is cut nothing is believed.
func (c *collecting) lookInto(ctx context.Context, study *stream.DataSet) error {
	cutBefore := c.Cut
	c.Cut = false
	defer func() { c.Cut = cutBefore }()
	var modalities, seen []string
	instances, all := 0, true
	err := c.ask(
		ctx, Series, study.String(dict.StudyInstanceUID), "", study.String(dict.PatientID),
		func(series *stream.DataSet) bool {
			uid := series.String(dict.SeriesInstanceUID)
			if uid == "" || slices.Contains(seen, uid) {
				return true
			}
			seen = append(seen, uid)
			modality := series.String(dict.Modality)
			all = all && modality != ""
			if !slices.Contains(modalities, modality) {
				modalities = append(modalities, modality)
			}
			if n := source.Count(series, dict.NumberOfSeriesRelatedInstances); n < 0 || instances < 0 {
				instances = -1
			} else {
				instances += n
			}
			return len(seen) < MaxSeries
		},
	)
	if err != nil || !all || c.Cut || len(seen) == 0 || len(seen) == MaxSeries {
		return err
	}
	slices.Sort(modalities)
	study.Set(dict.ModalitiesInStudy, modalities...)
	if source.Count(study, dict.NumberOfStudyRelatedSeries) < 0 {
		study.SetInt(dict.NumberOfStudyRelatedSeries, len(seen))
	}
	if instances >= 0 && source.Count(study, dict.NumberOfStudyRelatedInstances) < 0 {
		study.SetInt(dict.NumberOfStudyRelatedInstances, instances)
	}
	return nil
}
