// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// The most that a search below a study yields.
const (
	MaxSeries    = 10_000
	MaxInstances = 10_000
)

// SeriesSearch says of which study the series are wanted.
type SeriesSearch struct {
	StudyInstanceUID string
	// PatientID may be empty. A server that knows the Patient Root model alone is asked for it if it is.
	PatientID string
	Limit     int   // at most so many; 0: MaxSeries
	Cut       *bool // is set if there were more than that; nil: nobody wants to know
}

// FoundSeries is a series as its server describes it. Dates and times are in DICOM form (YYYYMMDD, HHMMSS), as sent.
type FoundSeries struct {
	SeriesInstanceUID string
	Modality          string
	SeriesNumber      *int // nil: the server doesn't say
	SeriesDescription string
	BodyPartExamined  string
	SeriesDate        string
	SeriesTime        string
	InstitutionName   string // empty, too, where it was not asked for
	Instances         int    // -1: the server doesn't say
}

// InstanceSearch says of which series the instances are wanted.
type InstanceSearch struct {
	StudyInstanceUID  string
	SeriesInstanceUID string
	PatientID         string // as that of a SeriesSearch
	Limit             int    // at most so many; 0: MaxInstances
	Cut               *bool  // is set if there were more than that; nil: nobody wants to know
}

// FoundInstance is an instance as its server describes it. Numbers are -1 if the server doesn't say.
type FoundInstance struct {
	SOPInstanceUID string
	SOPClassUID    string
	InstanceNumber *int // nil: the server doesn't say
	Rows, Columns  int
	Frames         int
}

// Series asks a server for the series of a study, as Studies does for studies.
func (svc *Service) Series(
	ctx context.Context, user people.User, server string, s SeriesSearch,
) iter.Seq2[FoundSeries, error] {
	return streamed(func(yield func(FoundSeries, error) bool) error {
		l := seriesOf(s)
		l.svc, l.server = svc, server
		return l.search(ctx, user, yield)
	})
}

func seriesOf(s SeriesSearch) *level[FoundSeries] {
	return &level[FoundSeries]{
		name: "SERIES", most: MaxSeries, study: s.StudyInstanceUID, patientID: s.PatientID,
		limit: s.Limit, cut: s.Cut, keys: seriesKeys, found: foundSeries,
		key: func(f FoundSeries) [2]string { return [2]string{f.SeriesInstanceUID} },
	}
}

// Instances asks a server for the instances of a series, as Studies does for studies.
func (svc *Service) Instances(
	ctx context.Context, user people.User, server string, s InstanceSearch,
) iter.Seq2[FoundInstance, error] {
	return streamed(func(yield func(FoundInstance, error) bool) error {
		l := instancesOf(s)
		l.svc, l.server = svc, server
		return l.search(ctx, user, yield)
	})
}

func instancesOf(s InstanceSearch) *level[FoundInstance] {
	return &level[FoundInstance]{
		name: "IMAGE", most: MaxInstances, study: s.StudyInstanceUID, series: s.SeriesInstanceUID, patientID: s.PatientID,
		limit: s.Limit, cut: s.Cut, keys: instanceKeys, found: foundInstance,
		key: func(f FoundInstance) [2]string { return [2]string{f.SOPInstanceUID} },
	}
}

// level is a search below a study: for series, or for the instances of one.
type level[T any] struct {
	svc           *Service
	server        string
	name          string // of the level in a query
	most          int    // of the limit
	study, series string
	patientID     string
	limit         int
	cut           *bool
	keys          []dict.Tag
	found         func(*stream.DataSet) T
	key           func(T) [2]string // the UID that names it
}

func (l *level[T]) search(ctx context.Context, user people.User, yield func(T, error) bool) error {
	if err := l.tidy(); err != nil {
		return err
	}
	node, err := l.svc.searchable(ctx, user, l.server)
	if err != nil {
		return err
	}
	if l.name == "IMAGE" && !node.Server.FindImages {
		return &refusal.Invalid{
			Field: "source", Reason: "this DICOM node can't be searched for single instances, by its settings (find_images)",
		}
	}
	root := source.FindRoot(node.Server.StudyRootFind)
	keys := map[string]string{"study_instance_uid": l.study}
	if l.series != "" {
		keys["series_instance_uid"] = l.series
	}
	if l.patientID != "" {
		keys["patient_id"] = l.patientID
	}
	if err := l.svc.recordSearch(ctx, node, root, keys, l.query(node, l.patientID)); err != nil {
		return err
	}
	if l.cut != nil {
		yield = upTo(l.limit, l.cut, yield)
		l.limit++
	}
	of := &sifting[T]{limit: l.limit, yield: yield, key: l.key, shown: map[[2]string]bool{}}
	return l.svc.withInteractive(ctx, node, func(a *source.Server) error {
		patients, err := l.patients(ctx, a)
		if err != nil {
			return err
		}
		for _, patient := range patients {
			_, more, err := of.sift(a.Find(ctx, l.query(node, patient)), l.judge)
			if err = toldCut(err, l.cut); err != nil || !more {
				return err
			}
		}
		return nil
	})
}

func (l *level[T]) tidy() error {
	for _, value := range []*string{&l.study, &l.series, &l.patientID} {
		*value = strings.TrimSpace(*value)
	}
	if err := checkUID("study_instance_uid", l.study, true); err != nil {
		return err
	}
	if err := checkUID("series_instance_uid", l.series, l.name == "IMAGE"); err != nil {
		return err
	}
	if err := checkExact("patient_id", l.patientID); err != nil {
		return err
	}
	if l.limit < 0 {
		return &refusal.Invalid{Field: "limit", Reason: "must be 1 or more"}
	}
	if l.limit == 0 || l.limit > l.most {
		l.limit = l.most
	}
	return nil
}

// patients are those under whom the study is asked for: one, whose ID is empty for a server that needs none.
func (l *level[T]) patients(ctx context.Context, a *source.Server) (list []string, err error) {
	if !nodes.NeedsPatient(a.Node.Server) || l.patientID != "" {
		return []string{l.patientID}, nil
	}
	id := source.LevelQuery("STUDY", []dict.Tag{dict.StudyInstanceUID, dict.PatientID})
	id.Set(dict.StudyInstanceUID, l.study)
	for ds, err := range a.Find(ctx, id) {
		if err != nil { // by C-FIND: who asks by QIDO-RS names no patient
			return nil, err
		}
		patient := ds.String(dict.PatientID)
		if ds.String(dict.StudyInstanceUID) == l.study && patient != "" && !slices.Contains(list, patient) {
			list = append(list, patient)
		}
	}
	return list, nil
}

// query is the identifier under a patient, who is a key of the Patient Root model alone.
func (l *level[T]) query(node nodes.DICOMNode, patientID string) *stream.DataSet {
	id := source.LevelQuery(l.name, l.keys)
	id.Set(dict.StudyInstanceUID, l.study)
	source.SetKey(id, dict.SeriesInstanceUID, l.series)
	if nodes.NeedsPatient(node.Server) {
		source.SetKey(id, dict.PatientID, patientID)
	}
	return id
}

// Criteria of an answer below a study.
const (
	ofStudy criteria = 1 << iota
	ofSeries
	ofPatient
)

// judge filters again what servers don't filter by. An answer without a usable UID of its own names nothing.
func (l *level[T]) judge(ds *stream.DataSet) (what T, lacks, against criteria) {
	what = l.found(ds)
	if !fault.ValidUID(l.key(what)[0]) {
		return what, 0, identity
	}
	for _, k := range []struct {
		is     criteria
		tag    dict.Tag
		wanted string
	}{
		{ofStudy, dict.StudyInstanceUID, l.study},
		{ofSeries, dict.SeriesInstanceUID, l.series},
		{ofPatient, dict.PatientID, l.patientID},
	} {
		switch said := ds.String(k.tag); {
		case k.wanted == "" || said == k.wanted:
		case said != "":
			against |= k.is
		case k.is != ofPatient: // the study says whose it is
			lacks |= k.is
		}
	}
	return what, lacks, against
}

var seriesKeys = []dict.Tag{
	dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.Modality, dict.SeriesNumber, dict.SeriesDescription,
	dict.BodyPartExamined, dict.SeriesDate, dict.SeriesTime, dict.NumberOfSeriesRelatedInstances,
}

func foundSeries(ds *stream.DataSet) FoundSeries {
	return FoundSeries{
		SeriesInstanceUID: ds.String(dict.SeriesInstanceUID), Modality: ds.String(dict.Modality),
		SeriesNumber:      numberOf(ds, dict.SeriesNumber),
		SeriesDescription: ds.String(dict.SeriesDescription), BodyPartExamined: ds.String(dict.BodyPartExamined),
		SeriesDate: ds.String(dict.SeriesDate), SeriesTime: ds.String(dict.SeriesTime),
		InstitutionName: ds.String(dict.InstitutionName),
		Instances:       source.Count(ds, dict.NumberOfSeriesRelatedInstances),
	}
}

var instanceKeys = []dict.Tag{
	dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID, dict.SOPClassUID, dict.InstanceNumber,
	dict.Rows, dict.Columns, dict.NumberOfFrames,
}

func foundInstance(ds *stream.DataSet) FoundInstance {
	return FoundInstance{
		SOPInstanceUID: ds.String(dict.SOPInstanceUID), SOPClassUID: ds.String(dict.SOPClassUID),
		InstanceNumber: numberOf(ds, dict.InstanceNumber),
		Rows:           source.Count(ds, dict.Rows), Columns: source.Count(ds, dict.Columns),
		Frames: source.Count(ds, dict.NumberOfFrames),
	}
}

// numberOf returns a number that may be negative; nil if there is none.
func numberOf(ds *stream.DataSet, tag dict.Tag) *int {
	if n, ok := ds.Int(tag); ok {
		return &n
	}
	return nil
}
