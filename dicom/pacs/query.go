// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/match"
	"github.com/adit-go/adit/dicom/stream"
)

// level is a level of the information models (PS3.4 C.6).
type level int

const (
	noLevel level = iota
	patientLevel
	studyLevel
	seriesLevel
	imageLevel
)

var levels = map[string]level{"PATIENT": patientLevel, "STUDY": studyLevel, "SERIES": seriesLevel, "IMAGE": imageLevel}

// levelOf names the level of the keys that the PACS supports (PS3.4 C.6.1.1). Others are answered empty and don't
// take part in matching, as the standard has it for optional keys. A key of a lower level than that asked for is
// such a one, too.
var levelOf = map[dict.Tag]level{
	dict.PatientName: patientLevel, dict.PatientID: patientLevel, dict.IssuerOfPatientID: patientLevel,
	dict.PatientBirthDate: patientLevel, dict.PatientSex: patientLevel,
	dict.NumberOfPatientRelatedStudies: patientLevel, dict.NumberOfPatientRelatedSeries: patientLevel,
	dict.NumberOfPatientRelatedInstances: patientLevel,

	dict.StudyInstanceUID: studyLevel, dict.StudyDate: studyLevel, dict.StudyTime: studyLevel, dict.StudyID: studyLevel,
	dict.AccessionNumber: studyLevel, dict.StudyDescription: studyLevel, dict.ReferringPhysicianName: studyLevel,
	dict.ModalitiesInStudy: studyLevel, dict.SOPClassesInStudy: studyLevel, dict.PatientAge: studyLevel,
	dict.NumberOfStudyRelatedSeries: studyLevel, dict.NumberOfStudyRelatedInstances: studyLevel,

	dict.SeriesInstanceUID: seriesLevel, dict.SeriesNumber: seriesLevel, dict.SeriesDescription: seriesLevel,
	dict.Modality: seriesLevel, dict.SeriesDate: seriesLevel,
	dict.SeriesTime: seriesLevel, dict.BodyPartExamined: seriesLevel,
	dict.ProtocolName: seriesLevel, dict.InstitutionName: seriesLevel, dict.Manufacturer: seriesLevel,
	dict.ManufacturerModelName: seriesLevel, dict.StationName: seriesLevel,
	dict.NumberOfSeriesRelatedInstances: seriesLevel,

	dict.SOPInstanceUID: imageLevel, dict.SOPClassUID: imageLevel,
	dict.InstanceNumber: imageLevel, dict.ImageType: imageLevel,
	dict.AvailableTransferSyntaxUID: imageLevel, dict.NumberOfFrames: imageLevel,
	dict.Rows: imageLevel, dict.Columns: imageLevel,
	dict.ContentDate: imageLevel, dict.ContentTime: imageLevel, dict.AcquisitionNumber: imageLevel,
}

// always are keys of every level that are answered and never matched.
var always = []dict.Tag{dict.RetrieveAETitle, dict.InstanceAvailability}

// uniqueKeys are what C-GET and C-MOVE select by, and what every answer holds.
var uniqueKeys = []dict.Tag{dict.PatientID, dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID}

// request is the identifier of a C-FIND, C-GET or C-MOVE.
type request struct {
	identifier *stream.DataSet
	level      level
	ignored    []dict.Tag
}

// newRequest reads the level. ok is false if the identifier names none that the information model has.
func newRequest(sopClass string, identifier *stream.DataSet) (rq request, ok bool) {
	rq = request{identifier: identifier, level: levels[strings.ToUpper(identifier.String(dict.QueryRetrieveLevel))]}
	return rq, rq.level != noLevel && (rq.level != patientLevel || !slices.Contains(studyRoot, sopClass))
}

// matches reports whether a row has what the keys of one level ask for.
func (rq request) matches(r row, at level) bool {
	for key := range rq.identifier.All() {
		if key.VR == dict.SQ || len(key.Value) == 0 || !rq.supports(key.Tag, at) {
			continue
		}
		if !match.Values(dict.VROf(key.Tag), rq.identifier.Strings(key.Tag), r.values(key.Tag)) {
			return false
		}
	}
	return true
}

func (rq request) supports(tag dict.Tag, at level) bool {
	return levelOf[tag] == at && !slices.Contains(rq.ignored, tag)
}

// selects is matches by unique keys alone, as C-GET and C-MOVE want it (PS3.4 C.4.3.1.3.1).
func (rq request) selects(r row, at level) bool {
	for _, tag := range uniqueKeys {
		want := rq.identifier.Strings(tag)
		if levelOf[tag] == at && at <= rq.level && len(want) > 0 && !match.Values(dict.VROf(tag), want, r.values(tag)) {
			return false
		}
	}
	return true
}

// answer builds the identifier of a match: the keys asked for, the level and the unique keys down to it.
func (rq request) answer(r row, f FindFaults, list ListFaults) *stream.DataSet {
	own := list.Answers[r.uid(rq.level)]
	ds := &stream.DataSet{}
	if terms := r.attributes.Strings(dict.SpecificCharacterSet); len(terms) > 0 {
		ds.Set(dict.SpecificCharacterSet, terms...)
	}
	put := func(tag dict.Tag, vr dict.VR) {
		untrue, lies := own[tag]
		if !lies {
			untrue, lies = f.Answers[tag]
		}
		switch l, known := levelOf[tag]; {
		case tag == dict.SpecificCharacterSet || tag == dict.QueryRetrieveLevel ||
			slices.Contains(f.OmitKeys, tag) || slices.Contains(list.OmitKeys, tag) || tag.IsGroupLength():
		case lies:
			ds.SetVR(tag, vr, untrue...)
		case vr == dict.SQ:
			ds.SetSequence(tag)
		case known && l <= rq.level || slices.Contains(always, tag):
			ds.SetVR(tag, vr, r.values(tag)...)
		default:
			ds.SetVR(tag, vr)
		}
	}
	for key := range rq.identifier.All() {
		put(key.Tag, key.VR)
	}
	for _, tag := range uniqueKeys {
		if l := levelOf[tag]; l <= rq.level {
			put(tag, dict.VROf(tag))
		}
	}
	ds.Set(dict.QueryRetrieveLevel, rq.identifier.String(dict.QueryRetrieveLevel))
	if f.CharacterSet != "" { // the text stays as it is
		ds.Put(stream.Element{Tag: dict.SpecificCharacterSet, VR: dict.CS, Value: []byte(f.CharacterSet)})
	}
	return ds
}

// recorded describes a request for the recorder.
func recorded(a *association, messageID uint16, sopClass string, identifier *stream.DataSet) Query {
	q := Query{
		Association: a.number, CallingAE: a.callingAE, MessageID: messageID, SOPClassUID: sopClass, Time: time.Now(),
		Level:              identifier.String(dict.QueryRetrieveLevel),
		PatientIDs:         identifier.Strings(dict.PatientID),
		StudyInstanceUIDs:  identifier.Strings(dict.StudyInstanceUID),
		SeriesInstanceUIDs: identifier.Strings(dict.SeriesInstanceUID),
		SOPInstanceUIDs:    identifier.Strings(dict.SOPInstanceUID),
		Keys:               map[string][]string{},
	}
	for e := range identifier.All() {
		name := e.Tag.Keyword()
		if name == "" {
			name = e.Tag.String()
		}
		q.Keys[name] = identifier.Strings(e.Tag)
	}
	return q
}
