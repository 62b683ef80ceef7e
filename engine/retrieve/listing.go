// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/source"
)

// Listing is what the source says that it has.
type Listing struct {
	*Task
	associations *Associations
	nearline     bool // the study has to be brought back by its source
}

// LookUp finds the task's study at the source and lists what it has. It notes for people what is odd about it.
func (r *Listing) LookUp(ctx context.Context) (*source.Inventory, error) {
	study, err := r.findStudy(ctx)
	if err != nil {
		return nil, err
	}
	inv := &source.Inventory{
		PatientID: study.String(dict.PatientID), Study: r.Row.StudyInstanceUid,
		Answer: study, Whole: len(r.Row.SeriesInstanceUids) == 0,
		Chosen: r.Row.SeriesInstanceUids, Omits: r.omits, Notes: r.HeedsNotes(),
		Modalities: slices.DeleteFunc(study.Strings(dict.ModalitiesInStudy), r.omits),
		Counted:    source.TrustedCount(r.Src.Server, study, dict.NumberOfStudyRelatedInstances),
		Young:      r.isYoung(study),
	}
	if err := r.checkStudy(study); err != nil {
		return nil, err
	}
	if err := r.associations.Source.ListSeries(ctx, inv); err != nil {
		return nil, err
	}
	if r.Src.Server.FindImages {
		r.associations.openParallel(ctx, inv.Series)
	}
	err = r.associations.sideBySide(ctx, inv.Series, func(from *Connection, s *source.SeriesInventory) error {
		return r.listInstances(ctx, from, inv, s, source.ImageKeys)
	})
	if err != nil {
		return inv, err
	}
	if err := r.heedStrays(ctx, inv); err != nil {
		return inv, err
	}
	r.Instances.List(inv)
	return inv, nil
}

// findStudy looks for the study by patient and UID; without a match by UID alone, which is a warning.
func (r *Listing) findStudy(ctx context.Context) (*stream.DataSet, error) {
	if r.Row.PatientID != "" {
		study, err := r.associations.Source.OneStudy(ctx, r.Row.StudyInstanceUid, r.Row.PatientID)
		if !errors.Is(err, source.ErrNoStudy) {
			return study, err
		}
	}
	study, err := r.associations.Source.OneStudy(ctx, r.Row.StudyInstanceUid, "")
	switch {
	case errors.Is(err, source.ErrNoStudy):
		return nil, fault.Permanent(
			"The source %s has no study %s; check the Study Instance UID.", r.Src.Name, r.Row.StudyInstanceUid,
		)
	// nothing is worse than the wrong patient under a pseudonym
	case err == nil && r.Row.PatientID != "" && jobs.Pseudonymized(r.Row, r.Job.Job):
		return nil, fault.Permanent("Mismatching PatientIDs: the source %s has study %s under another PatientID than "+
			"the given one, so ADIT did not send it under a pseudonym; correct the PatientID, or leave it out.",
			r.Src.Name, r.Row.StudyInstanceUid)
	case err == nil && r.Row.PatientID != "":
		r.Warn("Mismatching PatientIDs: the source has the study under another PatientID than the given one.")
	}
	return study, err
}

// isYoung reports whether a study may still grow, by its date and time. One without a date counts as young, and one
// without a time as of the end of its day: a list too many does less harm than a study that is not whole.
func (r *Listing) isYoung(study *stream.DataSet) bool {
	age := time.Duration(r.Src.Server.YoungStudyS) * time.Second
	taken, known := studyTime(study, "235959")
	return age > 0 && (!known || taken.Add(age).After(r.now()))
}

// checkStudy reports whether ADIT has to wait for a study: it is too young, or offline. A nearline one is retrieved
// with more patience.
func (r *Listing) checkStudy(study *stream.DataSet) error {
	if err := r.checkAvailability(study); err != nil {
		return err
	}
	age := time.Duration(r.Src.Server.MinStudyAgeS) * time.Second
	taken, known := studyTime(study, "")
	if age == 0 || !known {
		return nil
	}
	if left := taken.Add(age).Sub(r.now()); left > 0 {
		return fault.WaitFor(
			left, "the study is too young: DICOM Server %s allows reading it %s after its date and time", r.Src.Name, age,
		)
	}
	return nil
}

// studyTime returns the date and time of a study (PS3.3 C.7.2.1), which are local ones unless the server names an
// offset (PS3.3 C.12.1). A study that has no time is taken at the one given.
func studyTime(study *stream.DataSet, timeless string) (time.Time, bool) {
	loc := time.Local
	if offset, err := time.Parse("-0700", study.String(dict.TimezoneOffsetFromUTC)); err == nil {
		loc = offset.Location()
	}
	clock, _, _ := strings.Cut(study.String(dict.StudyTime), ".")
	if clock == "" {
		clock = timeless
	}
	text := study.String(dict.StudyDate) + clock + "000000"[min(len(clock), 6):]
	t, err := time.ParseInLocation("20060102150405", text, loc)
	return t, err == nil
}

// listInstances asks a source for the instances of a series.
func (r *Listing) listInstances(
	ctx context.Context, from source.Source, inv *source.Inventory, s *source.SeriesInventory, keys []dict.Tag,
) error {
	strangers, err := from.ListInstances(ctx, inv, s, keys)
	r.Instances.Summary.Unplace(strangers)
	return err
}

// doubts reports whether the lists have to be asked for again at the end of a run: the study may still grow, or what
// the source says of it, what came of it, and what was acknowledged are not one and the same. Nothing may be on its
// way.
func (r *Listing) doubts() bool {
	inv := r.Inv
	if inv.Young || inv.Unnamed > 0 || len(inv.ListedTwice()) > 0 ||
		len(r.Instances.Summary.Strays(inv)) > 0 || r.Instances.Summary.Doubtful() {
		return true
	}
	if inv.Whole && inv.Counted >= 0 && inv.Counted != r.Instances.Known("") {
		return true
	}
	return slices.ContainsFunc(inv.Series, r.doubtsSeries)
}

// doubtsSeries reports whether the evidence of a series does not agree, or rests on its list alone: where the source
// counts nothing, the retrieve of the whole, heard to its end, has to bear it out.
func (r *Listing) doubtsSeries(s *source.SeriesInventory) bool {
	known := r.Instances.Known(s.UID)
	switch {
	case s.Broken || len(s.Unusable)+len(s.Twice) > 0 || s.Claimed > known || s.Listed && len(s.Instances) != known:
		return true
	case s.Counted >= 0:
		return s.Counted != known
	}
	return !s.Listed || !s.Ended || r.Before > 0
}

// newcomers lists again and adds to the inventory what has come since, and what has arrived without being listed; it
// reports whether there was anything.
func (r *Listing) newcomers(ctx context.Context) (bool, error) {
	again := *r.Inv
	if err := r.associations.Source.ListSeries(ctx, &again); err != nil {
		return false, err
	}
	known := func(uid string) int {
		return slices.IndexFunc(r.Inv.Series, func(s *source.SeriesInventory) bool { return s.UID == uid })
	}
	was := slices.DeleteFunc(
		slices.Clone(again.Series), func(s *source.SeriesInventory) bool { return known(s.UID) < 0 },
	)
	err := r.associations.sideBySide(ctx, was, func(from *Connection, s *source.SeriesInventory) error {
		return r.listInstances(ctx, from, &again, s, source.PresenceKeys)
	})
	r.associations.CloseParallel(ctx) // for the usual case that nothing has come
	if err != nil {
		return false, err
	}
	found, listed := false, len(r.Inv.Series)
	for _, s := range again.Series {
		i := known(s.UID)
		if i < 0 || r.Inv.Series[i].Lacks(s) {
			if err := r.listInstances(ctx, r.associations.Source, &again, s, source.ImageKeys); err != nil {
				return false, err
			}
		}
		if i < 0 {
			r.Inv.Series = append(r.Inv.Series, s)
			found = true
			continue
		}
		found = r.Inv.Series[i].Merge(s) || found
	}
	if err := r.heedStrays(ctx, r.Inv); err != nil {
		return false, err
	}
	r.Inv.Unnamed = max(r.Inv.Unnamed, again.Unnamed)
	r.Inv.Omitted, r.Inv.LeftOutSeries = again.Omitted, source.Union(r.Inv.LeftOutSeries, again.LeftOutSeries)
	notes := len(r.Inv.NoteSeries)
	r.Inv.NoteSeries = source.Union(r.Inv.NoteSeries, again.NoteSeries)
	found = found || len(r.Inv.NoteSeries) > notes
	r.Instances.List(r.Inv)
	return found || len(r.Inv.Series) > listed, nil
}

// heedStrays adds the series that instances have come of, or that an earlier run knew, and that the source does not
// list.
func (r *Listing) heedStrays(ctx context.Context, inv *source.Inventory) error {
	for _, uid := range r.Instances.Summary.Strays(inv) {
		s := &source.SeriesInventory{UID: uid, Counted: -1}
		if err := r.listInstances(ctx, r.associations.Source, inv, s, source.ImageKeys); err != nil {
			return err
		}
		inv.Series = append(inv.Series, s)
	}
	return nil
}

// RecallHeard takes up what earlier runs heard of series for which the list alone has to prove that nothing lacks. One
// of which something was delivered, and that nobody heard to the end, counts as broken off: its list may be cut short.
// So does one that is to be heard again.
func (r *Listing) RecallHeard() {
	for _, s := range r.Inv.Series {
		s.Ended = slices.Contains(r.Row.Heard, s.UID) && r.Instances.Summary.Nameless(s.UID) == 0
		s.Broken = !s.Ended && r.Instances.DeliveredOf(s.UID) > 0 && (!r.Inv.Whole || r.Inv.Counted < 0)
	}
}

// Heard returns the series that the source was heard to the end of, in this run or before, and that it counts nothing
// of.
func (r *Listing) Heard() []string {
	uids := append([]string{}, r.Row.Heard...)
	if r.Inv == nil {
		return uids
	}
	for _, s := range r.Inv.Series {
		if s.Ended && s.Counted < 0 {
			uids = source.Union(uids, []string{s.UID})
		}
	}
	return uids
}
