// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
)

// KeyObjectModality is that of series of key objects.
const KeyObjectModality = "KO"

// Inventory is what the source says that it has of a task's study: the measure of completeness.
type Inventory struct {
	PatientID  string
	Study      string
	Chosen     []string                   // the series that the task is about; none: the whole study
	Omits      func(modality string) bool // series of which modalities the job leaves out; nil: none
	Notes      bool                       // series of key objects are looked for that the task is not about
	Answer     *stream.DataSet            // to the search for the study
	Modalities []string
	Series     []*SeriesInventory
	Young      bool // the study may still grow
	Whole      bool // the task is about the whole study
	Counted    int  // instances of the study; -1: the source doesn't say
	// series that the source lists without a UID of their own by which they could be asked for
	Unnamed int
	Again   bool           // it was asked for as a whole once more, since the source counts more than it lists
	Ended   bool           // it was asked for as a whole, and the source answered to the end
	Kinds   []string       // SOP classes to expect then, beside those of the series
	Omitted map[string]int // instances of modalities that the job leaves out, as far as the source counts them
	// leftOutSeries are the series of those modalities.
	LeftOutSeries []string
	NoteSeries    []string // series of key objects that the task is not about, and that are read for rejection notes
}

// SeriesInventory is what the source says that it has of one series.
type SeriesInventory struct {
	UID      string
	modality string
	number   int
	Counted  int  // instances; -1: the source doesn't say
	Listed   bool // the source lists its instances, as far as it says
	// instances by SOP Instance UID that the source named; all of them if listed.
	Instances map[string]Instance
	Unusable  []string // what the source lists as SOP Instance UIDs, and are none
	Twice     []string // SOP Instance UIDs that the source lists more than once
	Kinds     []string // the SOP classes to expect, if not those of instances or modality
	Again     bool     // it was asked for as a whole once more, since the source counts more than it lists
	Claimed   int      // instances that the source says to have sent when it was asked for as a whole
	Broken    bool     // it was asked for as a whole, and that broke off
	Ended     bool     // it was asked for as a whole, and the source answered to the end
}

// Instance is what the source says of an instance.
type Instance struct {
	Class    string
	Syntaxes []string // that the source holds it in, if it says so
	lossy    bool     // its pixel data has been compressed with loss
}

// Modality is what the source says; empty: nothing.
func (s *SeriesInventory) Modality() string { return s.modality }

// Expected returns how many instances a series must have, -1 if nobody can tell.
func (s *SeriesInventory) Expected() int {
	if s.Listed {
		return len(s.Instances)
	}
	return s.Counted
}

// HeardOf reports whether the source was heard to the end about a series: when it was asked for it, or for the study.
func (inv *Inventory) HeardOf(series string) bool {
	return inv.Ended || slices.ContainsFunc(inv.Series, func(s *SeriesInventory) bool {
		return s.UID == series && s.Ended
	})
}

// Provable reports whether it can be proven that all of a series has arrived.
func (s *SeriesInventory) Provable() bool { return s.Listed || s.Counted >= 0 }

// Classes returns the SOP classes to expect in a series: from its instances, else from its modality.
func (s *SeriesInventory) Classes() []string {
	if s.Kinds != nil {
		return s.Kinds
	}
	seen := map[string]bool{}
	for _, i := range s.Instances {
		if i.Class != "" {
			seen[i.Class] = true
		}
	}
	if len(seen) == 0 {
		return dict.StorageClassesOf(s.modality)
	}
	return slices.Sorted(maps.Keys(seen))
}

// TrustedCount returns a count of a server's; -1 if it gives none, or is known to count wrongly.
func TrustedCount(of *db.Server, ds *stream.DataSet, tag dict.Tag) int {
	if of.IgnoreCounts {
		return -1
	}
	return Count(ds, tag)
}

// ErrNoStudy says that a source does not have the study.
var ErrNoStudy = errors.New("no such study")

// OneStudy looks the study up, of the patient if one is named. The error is ErrNoStudy if there is none.
func (s *Server) OneStudy(ctx context.Context, study, patientID string) (*stream.DataSet, error) {
	id := LevelQuery("STUDY", append(slices.Clone(StudyKeys), dict.InstanceAvailability, dict.TimezoneOffsetFromUTC))
	id.Set(dict.StudyInstanceUID, study)
	SetKey(id, dict.PatientID, patientID)
	var found []*stream.DataSet
	for ds, err := range s.Find(ctx, id) {
		if CutShort(err) && len(found) == 1 {
			break // it was asked for by its UID, and nothing else was found before
		}
		if err != nil {
			return nil, fmt.Errorf("the study can't be looked up at %s: %w", s.Node.Name, err)
		}
		if ds.String(dict.StudyInstanceUID) != study || patientID != "" && ds.String(dict.PatientID) != patientID {
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
		return nil, fault.Permanent(
			"The source %s has several studies with the UID %s; ask its administrator to merge or correct them.",
			s.Node.Name, study,
		)
	}
	if len(found) == 0 {
		return nil, ErrNoStudy
	}
	return found[0], nil
}

var seriesKeys = []dict.Tag{
	dict.SeriesInstanceUID, dict.Modality, dict.SeriesNumber, dict.NumberOfSeriesRelatedInstances,
}

// ListSeries asks for the series that the task is about, in the order of their numbers.
func (s *Server) ListSeries(ctx context.Context, inv *Inventory) error {
	id := LevelQuery("SERIES", seriesKeys)
	id.Set(dict.StudyInstanceUID, inv.Study)
	s.KeyPatient(id, inv.PatientID)
	inv.Series, inv.Omitted, inv.LeftOutSeries, inv.NoteSeries, inv.Unnamed = nil, nil, nil, nil, 0
	for ds, err := range s.list(ctx, id, dict.SeriesInstanceUID, -1) {
		if err != nil {
			return fmt.Errorf("the series can't be listed at %s: %w", s.Node.Name, err)
		}
		entry := &SeriesInventory{
			UID: ds.String(dict.SeriesInstanceUID), modality: ds.String(dict.Modality),
			Counted: TrustedCount(s.Node.Server, ds, dict.NumberOfSeriesRelatedInstances),
		}
		entry.number, _ = ds.Int(dict.SeriesNumber)
		if uid := ds.String(dict.StudyInstanceUID); uid != "" && uid != inv.Study {
			continue
		}
		if !fault.ValidUID(entry.UID) {
			inv.Unnamed++
			continue
		}
		if len(inv.Chosen) > 0 && !slices.Contains(inv.Chosen, entry.UID) {
			if (entry.modality == KeyObjectModality || entry.modality == "") &&
				inv.Notes && !slices.Contains(inv.NoteSeries, entry.UID) {
				inv.NoteSeries = append(inv.NoteSeries, entry.UID)
			}
			continue
		}
		inv.add(entry)
	}
	if err := s.findWanted(ctx, inv); err != nil {
		return err
	}
	listed := len(inv.Series) + inv.Unnamed
	inv.Series = slices.DeleteFunc(inv.Series, func(entry *SeriesInventory) bool {
		if inv.Omits == nil || !inv.Omits(entry.modality) {
			return false
		}
		inv.omit(entry)
		return true
	})
	if listed == 0 {
		return fault.Permanent(
			"The source %s lists no series for the study %s; it may have been moved to an archive.",
			s.Node.Name, inv.Study,
		)
	}
	slices.SortFunc(inv.Series, func(a, b *SeriesInventory) int {
		return cmp.Or(cmp.Compare(a.number, b.number), cmp.Compare(a.UID, b.UID))
	})
	return nil
}

// add takes over a series that is listed. An entry that repeats the UID of another series counts as one without a UID
// of its own.
func (inv *Inventory) add(entry *SeriesInventory) {
	i := slices.IndexFunc(inv.Series, func(o *SeriesInventory) bool { return o.UID == entry.UID })
	switch {
	case i < 0:
		inv.Series = append(inv.Series, entry)
	case inv.Series[i].modality != entry.modality || inv.Series[i].number != entry.number:
		inv.Unnamed++
	default:
		inv.Series[i].Counted = max(inv.Series[i].Counted, entry.Counted)
	}
}

// findWanted looks for the series that were chosen and not listed.
func (s *Server) findWanted(ctx context.Context, inv *Inventory) error {
	for _, uid := range inv.Chosen {
		if slices.ContainsFunc(inv.Series, func(o *SeriesInventory) bool { return o.UID == uid }) {
			continue
		}
		entry, err := s.askForSeries(ctx, inv, uid)
		switch {
		case err != nil:
			return err
		case entry != nil:
			inv.Series = append(inv.Series, entry)
		case inv.Unnamed > 0: // it may be one of them
			inv.Series = append(inv.Series, &SeriesInventory{UID: uid, Counted: -1})
		default:
			return fault.Permanent(
				"The source %s has no series %s in this study; check the Series Instance UID.", s.Node.Name, uid,
			)
		}
	}
	return nil
}

// askForSeries asks for a series by its UID, which a list of all series may lack that is cut short; nil if the source
// does not have it.
func (s *Server) askForSeries(ctx context.Context, inv *Inventory, uid string) (found *SeriesInventory, _ error) {
	id := s.SeriesQuery("SERIES", seriesKeys, inv.PatientID, inv.Study, uid)
	for ds, err := range s.Find(ctx, id) {
		if err != nil {
			return nil, fmt.Errorf("the series can't be listed at %s: %w", s.Node.Name, err)
		}
		if ds.String(dict.SeriesInstanceUID) == uid {
			counted := TrustedCount(s.Node.Server, ds, dict.NumberOfSeriesRelatedInstances)
			if found != nil { // listed twice
				counted = max(found.Counted, counted)
			}
			found = &SeriesInventory{UID: uid, modality: ds.String(dict.Modality), Counted: counted}
			found.number, _ = ds.Int(dict.SeriesNumber)
		}
	}
	return found, nil
}

// omit counts a series that the job leaves out, away from what is expected of the study.
func (inv *Inventory) omit(s *SeriesInventory) {
	if inv.Omitted == nil {
		inv.Omitted = map[string]int{}
	}
	inv.LeftOutSeries = append(inv.LeftOutSeries, s.UID)
	inv.Omitted[s.modality] += max(0, s.Counted)
	if inv.Counted -= s.Counted; s.Counted < 0 || inv.Counted < 0 {
		inv.Counted = -1
	}
}

// ImageKeys are asked of every instance.
var ImageKeys = []dict.Tag{
	dict.SOPInstanceUID, dict.SOPClassUID, dict.AvailableTransferSyntaxUID, dict.LossyImageCompression,
}

// PresenceKeys ask for the UIDs alone: a source may have to read each file for the other keys (Orthanc needs a third of
// the time without).
var PresenceKeys = ImageKeys[:1]

// ListInstances asks for the instances of a series. A source that has no IMAGE level leaves the series unlisted; what
// it named before it said so is evidence all the same. It returns instances that it listed and that may be of any
// series.
func (s *Server) ListInstances(
	ctx context.Context, inv *Inventory, series *SeriesInventory, keys []dict.Tag,
) (strangers []string, err error) {
	series.Listed, series.Instances, series.Unusable, series.Twice = false, nil, nil, nil
	if !s.Node.Server.FindImages {
		return nil, nil
	}
	id := s.SeriesQuery("IMAGE", keys, inv.PatientID, inv.Study, series.UID)
	instances, n, named := map[string]Instance{}, 0, true
	for ds, err := range s.list(ctx, id, dict.SOPInstanceUID, series.Counted) {
		if fault.Declined(err) {
			series.Instances = instances // it knows no IMAGE level
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("the instances of series %s can't be listed at %s: %w", series.UID, s.Node.Name, err)
		}
		if !answers(ds, dict.SeriesInstanceUID, series.UID) ||
			!answers(ds, dict.StudyInstanceUID, inv.Study) || ds.String(dict.SOPInstanceUID) == "" {
			continue
		}
		n++
		named = named && ds.String(dict.SeriesInstanceUID) != ""
		series.take(ds, instances)
	}
	if series.Counted != n { // the same answer twice
		series.Twice = nil
	}
	if n == 0 && series.Counted != 0 { // an empty answer is no list
		return nil, nil
	}
	if !named && series.Counted >= 0 && len(instances) > series.Counted {
		if unfiltered, err := s.answersForAnySeries(ctx, inv); unfiltered || err != nil {
			series.Unusable = nil // they may be any series'
			return slices.Collect(maps.Keys(instances)), err
		}
	}
	series.Listed, series.Instances = true, instances
	return nil, nil
}

// answers reports whether an answer fits a unique key, or does not tell.
func answers(ds *stream.DataSet, key dict.Tag, uid string) bool {
	said := ds.String(key)
	return said == "" || said == uid
}

// take takes an answer at IMAGE level over.
func (s *SeriesInventory) take(ds *stream.DataSet, instances map[string]Instance) {
	uid := ds.String(dict.SOPInstanceUID)
	if !fault.ValidUID(uid) {
		s.Unusable = append(s.Unusable, uid)
		return
	}
	if _, known := instances[uid]; known {
		s.Twice = append(s.Twice, uid)
	}
	instances[uid] = Instance{
		Class: ds.String(dict.SOPClassUID), Syntaxes: ds.Strings(dict.AvailableTransferSyntaxUID),
		lossy: ds.String(dict.LossyImageCompression) == "01",
	}
}

// answersForAnySeries reports whether a source lists instances for a series that can't exist: it doesn't filter by the
// series, and what it lists says nothing about one.
func (s *Server) answersForAnySeries(ctx context.Context, inv *Inventory) (bool, error) {
	id := s.SeriesQuery("IMAGE", PresenceKeys, inv.PatientID, inv.Study, NewTransactionUID())
	found := false
	for ds, err := range s.Find(ctx, id) {
		if fault.Declined(err) || CutShort(err) {
			break
		}
		if err != nil {
			return false, fmt.Errorf("the instances of a series can't be listed at %s: %w", s.Node.Name, err)
		}
		found = found || ds.String(dict.SOPInstanceUID) != ""
	}
	return found, nil
}

// Lacks reports whether a later list has instances that this one hasn't.
func (s *SeriesInventory) Lacks(later *SeriesInventory) bool {
	for uid := range later.Instances {
		if _, known := s.Instances[uid]; !known {
			return true
		}
	}
	return false
}

// Merge takes over what a later list adds; it reports whether that was anything.
func (s *SeriesInventory) Merge(later *SeriesInventory) bool {
	found := false
	if later.Counted > s.Counted {
		found = !s.Listed && s.Counted >= 0
		s.Counted = later.Counted
	}
	if later.Listed && !s.Listed {
		s.Listed, s.Twice = true, later.Twice
	}
	for _, uid := range later.Unusable {
		if !slices.Contains(s.Unusable, uid) {
			s.Unusable = append(s.Unusable, uid)
		}
	}
	for uid, i := range later.Instances {
		if _, known := s.Instances[uid]; !known {
			if s.Instances == nil {
				s.Instances = map[string]Instance{}
			}
			s.Instances[uid] = i
			found = true
		}
	}
	return found
}

// HeldSyntaxes returns the transfer syntaxes in which the source says that it holds each SOP class.
func (inv *Inventory) HeldSyntaxes() map[string][]string {
	held := map[string][]string{}
	for _, s := range inv.Series {
		for _, i := range s.Instances {
			for _, syntax := range i.Syntaxes {
				if !slices.Contains(held[i.Class], syntax) {
					held[i.Class] = append(held[i.Class], syntax)
				}
			}
		}
	}
	for _, list := range held {
		slices.Sort(list)
	}
	return held
}

// SilentClasses returns the SOP classes of instances of which the source doesn't say in which transfer syntax it holds
// them.
func (inv *Inventory) SilentClasses() []string {
	var list []string
	for _, s := range inv.Series {
		for _, i := range s.Instances {
			if i.Class != "" && len(i.Syntaxes) == 0 && !slices.Contains(list, i.Class) {
				list = append(list, i.Class)
			}
		}
	}
	return list
}

// Lossy reports whether the source says that it holds one of the instances, of a SOP class ("": of any), compressed
// with loss: only then are such transfer syntaxes proposed from the start, since a source could else choose to
// compress.
func (s *SeriesInventory) Lossy(class string) bool {
	for _, i := range s.Instances {
		if class != "" && i.Class != "" && i.Class != class {
			continue
		}
		if i.lossy || slices.ContainsFunc(i.Syntaxes, func(u string) bool { return dict.TransferSyntaxOf(u).Lossy }) {
			return true
		}
	}
	return false
}

// AllClasses returns the SOP classes of all series, in their order.
func (inv *Inventory) AllClasses() []string {
	lists := make([][]string, len(inv.Series), len(inv.Series)+1)
	for i, s := range inv.Series {
		lists[i] = s.Classes()
	}
	return Union(append(lists, inv.Kinds)...)
}

// ClassesOf returns the SOP classes to expect of instances of a series; nil: of all.
func (s *SeriesInventory) ClassesOf(uids []string) []string {
	var classes []string
	for _, uid := range uids {
		class := s.Instances[uid].Class
		if class == "" {
			return s.Classes()
		}
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	if uids == nil {
		return s.Classes()
	}
	slices.Sort(classes)
	return classes
}

// AllModalities returns the modalities of the study and of its series.
func (inv *Inventory) AllModalities() []string {
	all := inv.Modalities
	for _, s := range inv.Series {
		if s.modality != "" {
			all = append(all, s.modality)
		}
	}
	return all
}

// IsKeyObjects reports whether a series holds key objects, some of which may be rejection notes.
func (s *SeriesInventory) IsKeyObjects() bool {
	return s.modality == KeyObjectModality ||
		slices.Contains(s.Classes(), dict.KeyObjectSelectionDocumentStorage) && len(s.Instances) > 0
}

// Dispute says in what a series' count and list don't agree.
func (s *SeriesInventory) Dispute(known int) string {
	if len(s.Twice) > 0 {
		return fmt.Sprintf("The source counts %s in series %s and lists as many, but the SOP Instance UID %s is "+
			"in the list more than once; a destination can keep only one instance under it.",
			fault.Instances(s.Counted), s.UID, s.Twice[0])
	}
	return fmt.Sprintf(
		"The source counts %s in series %s but lists %d%s.",
		fault.Instances(s.Counted), s.UID, known, AskedInVain(s.Again),
	)
}

// ListedTwice names the instances that the source lists in several series.
func (inv *Inventory) ListedTwice() (sentences []string) {
	seen := map[string]int{}
	for _, s := range inv.Series {
		for uid := range s.Instances {
			seen[uid]++
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(seen)) {
		if seen[uid] > 1 {
			sentences = append(sentences,
				fmt.Sprintf(
					"The source lists the SOP Instance UID %s in %d series; a destination can keep only one instance "+
						"under it.",
					uid, seen[uid],
				),
			)
		}
	}
	return sentences
}

// SeriesWithoutUID counts them in words.
func SeriesWithoutUID(n int) string {
	if n == 1 {
		return "a series without a valid Series Instance UID of its own"
	}
	return fmt.Sprintf("%d series without valid Series Instance UIDs of their own", n)
}

// AskedInVain follows two numbers that don't agree.
func AskedInVain(again bool) string {
	if !again {
		return ""
	}
	return "; ADIT asked for the whole once more, and the source sent nothing else"
}
