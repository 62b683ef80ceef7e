// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// inventory is what the source says that it has of a task's study: the measure of completeness.
type inventory struct {
	patientID  string
	study      string
	modalities []string
	series     []*seriesInventory
	young      bool           // the study may still grow
	whole      bool           // the task is about the whole study
	counted    int            // instances of the study; -1: the source doesn't say
	unnamed    int            // series that the source lists without a UID that one can be asked for by
	again      bool           // it was asked for as a whole once more, since the source counts more than it lists
	kinds      []string       // SOP classes to expect then, beside those of the series
	omitted    map[string]int // instances of modalities that the job leaves out, as far as the source counts them
	// leftOutSeries are the series of those modalities.
	leftOutSeries []string
	noteSeries    []string // series of key objects that the task is not about, and that are read for rejection notes
}

// seriesInventory is what the source says that it has of one series.
type seriesInventory struct {
	uid      string
	modality string
	number   int
	counted  int  // instances; -1: the source doesn't say
	listed   bool // the source lists its instances, as far as it says
	// instances by SOP Instance UID that the source named; all of them if listed.
	instances map[string]instance
	unusable  []string // what the source lists as SOP Instance UIDs, and are none
	twice     []string // SOP Instance UIDs that the source lists more than once
	kinds     []string // the SOP classes to expect, if not those of instances or modality
	again     bool     // it was asked for as a whole once more, since the source counts more than it lists
	claimed   int      // instances that the source says to have sent when it was asked for as a whole
	broken    bool     // it was asked for as a whole, and that broke off
	ended     bool     // it was asked for as a whole, and the source answered to the end
}

// instance is what the source says of an instance.
type instance struct {
	class    string
	syntaxes []string // that the source holds it in, if it says so
	lossy    bool     // its pixel data has been compressed with loss
}

// expected gives how many instances a series must have, -1 if nobody can tell.
func (s *seriesInventory) expected() int {
	if s.listed {
		return len(s.instances)
	}
	return s.counted
}

// provable tells whether it can be proven that all of a series has arrived.
func (s *seriesInventory) provable() bool { return s.listed || s.counted >= 0 }

// classes gives the SOP classes to expect in a series: from its instances, else from its modality.
func (s *seriesInventory) classes() []string {
	if s.kinds != nil {
		return s.kinds
	}
	seen := map[string]bool{}
	for _, i := range s.instances {
		if i.class != "" {
			seen[i.class] = true
		}
	}
	if len(seen) == 0 {
		return dict.StorageClassesOf(s.modality)
	}
	return slices.Sorted(maps.Keys(seen))
}

// lookUp finds the task's study at the source and lists what it has. It notes for people what is odd about it.
func (r *run) lookUp(ctx context.Context) (*inventory, error) {
	study, err := r.findStudy(ctx)
	if err != nil {
		return nil, err
	}
	inv := &inventory{
		patientID: study.String(dict.PatientID), study: r.task.StudyInstanceUid, whole: len(r.task.SeriesInstanceUids) == 0,
		modalities: slices.DeleteFunc(study.Strings(dict.ModalitiesInStudy), r.omits),
		counted:    r.counted(study, dict.NumberOfStudyRelatedInstances), young: r.isYoung(study),
	}
	if err := r.checkStudy(study); err != nil {
		return nil, err
	}
	if err := r.listSeries(ctx, inv); err != nil {
		return nil, err
	}
	if r.src.Server.FindImages {
		r.openLanes(ctx, inv.series)
	}
	err = r.sideBySide(ctx, inv.series, func(from *source, s *seriesInventory) error { return r.listInstances(ctx, from, inv, s, imageKeys) })
	if err != nil {
		return inv, err
	}
	if err := r.heedStrays(ctx, inv); err != nil {
		return inv, err
	}
	r.instances.list(inv)
	return inv, nil
}

// heedStrays adds the series that instances have come of, or that an earlier run knew, and that the source does not list.
func (r *run) heedStrays(ctx context.Context, inv *inventory) error {
	for _, uid := range r.instances.strays(inv) {
		s := &seriesInventory{uid: uid, counted: -1}
		if err := r.listInstances(ctx, r.source, inv, s, imageKeys); err != nil {
			return err
		}
		inv.series = append(inv.series, s)
	}
	return nil
}

// counted returns a count of the source's; -1 if it gives none, or is known to count wrongly.
func (r *run) counted(ds *stream.DataSet, tag dict.Tag) int {
	if r.src.Server.IgnoreCounts {
		return -1
	}
	return count(ds, tag)
}

// findStudy looks for the study by patient and UID; without a match by UID alone, which is a warning.
func (r *run) findStudy(ctx context.Context) (*stream.DataSet, error) {
	if r.task.PatientID != "" {
		study, err := r.oneStudy(ctx, r.task.PatientID)
		if !errors.Is(err, errNoStudy) {
			return study, err
		}
	}
	study, err := r.oneStudy(ctx, "")
	switch {
	case errors.Is(err, errNoStudy):
		return nil, permanent("The source %s has no study %s; check the Study Instance UID.", r.src.Name, r.task.StudyInstanceUid)
	case err == nil && r.task.PatientID != "" && pseudonymized(r.task, r.job.Job): // nothing is worse than the wrong patient under a pseudonym
		return nil, permanent("Mismatching PatientIDs: the source %s has study %s under another PatientID than the one given, so it was not sent under a pseudonym; correct the PatientID, or leave it out.",
			r.src.Name, r.task.StudyInstanceUid)
	case err == nil && r.task.PatientID != "":
		r.warn("Mismatching PatientIDs: the source has the study under another PatientID than the one given.")
	}
	return study, err
}

var errNoStudy = errors.New("no such study")

// oneStudy gives the study, or errNoStudy.
func (r *run) oneStudy(ctx context.Context, patientID string) (*stream.DataSet, error) {
	id := levelQuery("STUDY", append(slices.Clone(studyKeys), dict.InstanceAvailability, dict.TimezoneOffsetFromUTC))
	id.Set(dict.StudyInstanceUID, r.task.StudyInstanceUid)
	setKey(id, dict.PatientID, patientID)
	var found []*stream.DataSet
	for ds, err := range r.source.find(ctx, id) {
		if err != nil {
			return nil, fmt.Errorf("the study can't be looked up at %s: %w", r.src.Name, err)
		}
		if ds.String(dict.StudyInstanceUID) != r.task.StudyInstanceUid || patientID != "" && ds.String(dict.PatientID) != patientID {
			continue // a server that doesn't filter by this key
		}
		if len(found) == 1 && found[0].String(dict.PatientID) == ds.String(dict.PatientID) {
			continue // the same answer twice
		}
		if found = append(found, ds); len(found) > 1 {
			break
		}
	}
	if len(found) > 1 {
		return nil, permanent("The source %s has several studies with the UID %s; have its administrator merge or correct them.", r.src.Name, r.task.StudyInstanceUid)
	}
	if len(found) == 0 {
		return nil, errNoStudy
	}
	return found[0], nil
}

var seriesKeys = []dict.Tag{dict.SeriesInstanceUID, dict.Modality, dict.SeriesNumber, dict.NumberOfSeriesRelatedInstances}

// listSeries asks for the series that the task is about, in the order of their numbers.
func (r *run) listSeries(ctx context.Context, inv *inventory) error {
	id := levelQuery("SERIES", seriesKeys)
	id.Set(dict.StudyInstanceUID, inv.study)
	r.source.keyPatient(id, inv.patientID)
	wanted := r.task.SeriesInstanceUids
	inv.series, inv.omitted, inv.leftOutSeries, inv.noteSeries, inv.unnamed = nil, nil, nil, nil, 0
	for ds, err := range r.source.find(ctx, id) {
		if err != nil {
			return fmt.Errorf("the series can't be listed at %s: %w", r.src.Name, err)
		}
		s := &seriesInventory{uid: ds.String(dict.SeriesInstanceUID), modality: ds.String(dict.Modality), counted: r.counted(ds, dict.NumberOfSeriesRelatedInstances)}
		s.number, _ = ds.Int(dict.SeriesNumber)
		if uid := ds.String(dict.StudyInstanceUID); uid != "" && uid != inv.study {
			continue
		}
		if !validUID(s.uid) {
			inv.unnamed++
			continue
		}
		if len(wanted) > 0 && !slices.Contains(wanted, s.uid) {
			if (s.modality == keyObjectModality || s.modality == "") && r.heedsNotes() && !slices.Contains(inv.noteSeries, s.uid) {
				inv.noteSeries = append(inv.noteSeries, s.uid)
			}
			continue
		}
		if !slices.ContainsFunc(inv.series, func(o *seriesInventory) bool { return o.uid == s.uid }) {
			inv.series = append(inv.series, s)
		}
	}
	if err := r.findWanted(ctx, inv); err != nil {
		return err
	}
	listed := len(inv.series) + inv.unnamed
	inv.series = slices.DeleteFunc(inv.series, func(s *seriesInventory) bool {
		if !r.omits(s.modality) {
			return false
		}
		inv.omit(s)
		return true
	})
	if listed == 0 {
		return permanent("The source %s lists no series for the study %s; it may have been moved to an archive.", r.src.Name, inv.study)
	}
	slices.SortFunc(inv.series, func(a, b *seriesInventory) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.uid, b.uid))
	})
	return nil
}

// findWanted looks for the series that were chosen and not listed.
func (r *run) findWanted(ctx context.Context, inv *inventory) error {
	for _, uid := range r.task.SeriesInstanceUids {
		if slices.ContainsFunc(inv.series, func(o *seriesInventory) bool { return o.uid == uid }) {
			continue
		}
		s, err := r.askForSeries(ctx, inv, uid)
		switch {
		case err != nil:
			return err
		case s != nil:
			inv.series = append(inv.series, s)
		case inv.unnamed > 0: // it may be one of them
			inv.series = append(inv.series, &seriesInventory{uid: uid, counted: -1})
		default:
			return permanent("The source %s has no series %s in this study; check the Series Instance UID.", r.src.Name, uid)
		}
	}
	return nil
}

// askForSeries asks for a series by its UID, which a list of all series may lack that is cut short; nil if the source does not have it.
func (r *run) askForSeries(ctx context.Context, inv *inventory, uid string) (found *seriesInventory, _ error) {
	id := r.source.seriesQuery("SERIES", seriesKeys, inv.patientID, inv.study, uid)
	for ds, err := range r.source.find(ctx, id) {
		if err != nil {
			return nil, fmt.Errorf("the series can't be listed at %s: %w", r.src.Name, err)
		}
		if ds.String(dict.SeriesInstanceUID) == uid {
			found = &seriesInventory{uid: uid, modality: ds.String(dict.Modality), counted: r.counted(ds, dict.NumberOfSeriesRelatedInstances)}
			found.number, _ = ds.Int(dict.SeriesNumber)
		}
	}
	return found, nil
}

// omit counts a series that the job leaves out, away from what is expected of the study.
func (inv *inventory) omit(s *seriesInventory) {
	if inv.omitted == nil {
		inv.omitted = map[string]int{}
	}
	inv.leftOutSeries = append(inv.leftOutSeries, s.uid)
	inv.omitted[s.modality] += max(0, s.counted)
	if inv.counted -= s.counted; s.counted < 0 || inv.counted < 0 {
		inv.counted = -1
	}
}

var imageKeys = []dict.Tag{dict.SOPInstanceUID, dict.SOPClassUID, dict.AvailableTransferSyntaxUID, dict.LossyImageCompression}

// presenceKeys ask for the UIDs alone: a source may have to read each file for the other keys (Orthanc needs a third of the time without).
var presenceKeys = imageKeys[:1]

// listInstances asks for the instances of a series. A source that has no IMAGE level leaves the series unlisted; what it named before it
// said so is evidence all the same.
func (r *run) listInstances(ctx context.Context, from *source, inv *inventory, s *seriesInventory, keys []dict.Tag) error {
	s.listed, s.instances, s.unusable, s.twice = false, nil, nil, nil
	if !r.src.Server.FindImages {
		return nil
	}
	id := from.seriesQuery("IMAGE", keys, inv.patientID, inv.study, s.uid)
	instances, n, named := map[string]instance{}, 0, true
	for ds, err := range from.find(ctx, id) {
		var status *dimse.StatusError
		if errors.As(err, &status) && !outOfResources(status.Status) {
			s.instances = instances // it knows no IMAGE level
			return nil
		}
		if err != nil {
			return fmt.Errorf("the images of series %s can't be listed at %s: %w", s.uid, r.src.Name, err)
		}
		if !answers(ds, dict.SeriesInstanceUID, s.uid) || !answers(ds, dict.StudyInstanceUID, inv.study) || ds.String(dict.SOPInstanceUID) == "" {
			continue
		}
		n++
		named = named && ds.String(dict.SeriesInstanceUID) != ""
		s.take(ds, instances)
	}
	if s.counted != n { // the same answer twice
		s.twice = nil
	}
	if n == 0 && s.counted != 0 { // an empty answer is no list
		return nil
	}
	if !named && s.counted >= 0 && len(instances) > s.counted {
		if strangers, err := r.answersForAnySeries(ctx, from, inv); strangers || err != nil {
			s.unusable = nil // they may be any series'
			r.instances.unplace(slices.Collect(maps.Keys(instances)))
			return err
		}
	}
	s.listed, s.instances = true, instances
	return nil
}

// answers reports whether an answer fits a unique key, or does not tell.
func answers(ds *stream.DataSet, key dict.Tag, uid string) bool {
	said := ds.String(key)
	return said == "" || said == uid
}

// take takes an answer at IMAGE level over.
func (s *seriesInventory) take(ds *stream.DataSet, instances map[string]instance) {
	uid := ds.String(dict.SOPInstanceUID)
	if !validUID(uid) {
		s.unusable = append(s.unusable, uid)
		return
	}
	if _, known := instances[uid]; known {
		s.twice = append(s.twice, uid)
	}
	instances[uid] = instance{
		class: ds.String(dict.SOPClassUID), syntaxes: ds.Strings(dict.AvailableTransferSyntaxUID), lossy: ds.String(dict.LossyImageCompression) == "01",
	}
}

// answersForAnySeries reports whether a source lists instances for a series that can't exist: it doesn't filter by the series, and what it
// lists says nothing about one.
func (r *run) answersForAnySeries(ctx context.Context, from *source, inv *inventory) (bool, error) {
	id := from.seriesQuery("IMAGE", presenceKeys, inv.patientID, inv.study, newTransactionUID())
	found := false
	for ds, err := range from.find(ctx, id) {
		var status *dimse.StatusError
		if errors.As(err, &status) && !outOfResources(status.Status) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("the images of a series can't be listed at %s: %w", r.src.Name, err)
		}
		found = found || ds.String(dict.SOPInstanceUID) != ""
	}
	return found, nil
}

// newcomers lists again and adds to the inventory what has come since, and what has arrived without being listed; it reports whether
// there was anything.
func (r *run) newcomers(ctx context.Context) (bool, error) {
	again := *r.inv
	if err := r.listSeries(ctx, &again); err != nil {
		return false, err
	}
	known := func(uid string) int {
		return slices.IndexFunc(r.inv.series, func(s *seriesInventory) bool { return s.uid == uid })
	}
	was := slices.DeleteFunc(slices.Clone(again.series), func(s *seriesInventory) bool { return known(s.uid) < 0 })
	err := r.sideBySide(ctx, was, func(from *source, s *seriesInventory) error {
		return r.listInstances(ctx, from, &again, s, presenceKeys)
	})
	r.closeLanes(ctx) // for the usual case that nothing has come
	if err != nil {
		return false, err
	}
	found, listed := false, len(r.inv.series)
	for _, s := range again.series {
		i := known(s.uid)
		if i < 0 || r.inv.series[i].lacks(s) {
			if err := r.listInstances(ctx, r.source, &again, s, imageKeys); err != nil {
				return false, err
			}
		}
		if i < 0 {
			r.inv.series = append(r.inv.series, s)
			found = true
			continue
		}
		found = r.inv.series[i].merge(s) || found
	}
	if err := r.heedStrays(ctx, r.inv); err != nil {
		return false, err
	}
	r.inv.unnamed = max(r.inv.unnamed, again.unnamed)
	r.inv.omitted, r.inv.leftOutSeries = again.omitted, union(r.inv.leftOutSeries, again.leftOutSeries)
	notes := len(r.inv.noteSeries)
	r.inv.noteSeries = union(r.inv.noteSeries, again.noteSeries)
	found = found || len(r.inv.noteSeries) > notes
	r.instances.list(r.inv)
	return found || len(r.inv.series) > listed, nil
}

// lacks reports whether a later list has instances that this one hasn't.
func (s *seriesInventory) lacks(later *seriesInventory) bool {
	for uid := range later.instances {
		if _, known := s.instances[uid]; !known {
			return true
		}
	}
	return false
}

// merge takes over what a later list adds; it reports whether that was anything.
func (s *seriesInventory) merge(later *seriesInventory) bool {
	found := false
	if later.counted > s.counted {
		found = !s.listed && s.counted >= 0
		s.counted = later.counted
	}
	if later.listed && !s.listed {
		s.listed, s.twice = true, later.twice
	}
	for _, uid := range later.unusable {
		if !slices.Contains(s.unusable, uid) {
			s.unusable = append(s.unusable, uid)
		}
	}
	for uid, i := range later.instances {
		if _, known := s.instances[uid]; !known {
			if s.instances == nil {
				s.instances = map[string]instance{}
			}
			s.instances[uid] = i
			found = true
		}
	}
	return found
}
