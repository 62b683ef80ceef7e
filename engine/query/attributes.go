// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/match"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Level is what a search for attributes lists.
type Level int

// The levels.
const (
	Studies Level = iota
	Series
	Instances
)

// name is the level's in a query.
func (l Level) name() string { return [...]string{"STUDY", "SERIES", "IMAGE"}[l] }

// words name what is listed.
func (l Level) words() string { return [...]string{"studies", "series", "instances"}[l] }

// uid is the attribute that tells one answer from another.
func (l Level) uid() dict.Tag {
	return [...]dict.Tag{dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID}[l]
}

// AttributeSearch asks for attributes of the caller's choice, as QIDO-RS has it (PS3.18 10.6).
type AttributeSearch struct {
	Level                               Level
	StudyInstanceUID, SeriesInstanceUID string          // that are searched in; empty: any
	Match                               *stream.DataSet // keys with what is asked for
	Include                             []dict.Tag      // what answers hold besides the usual attributes of their level
}

// Bounds of a search for attributes. A search of series or instances that names no study is one of as many studies.
const (
	MaxAnswers     = 10_000
	maxManyStudies = 100
)

// FoundAttributes are the answers to a search for attributes.
type FoundAttributes struct {
	Answers  []*stream.DataSet
	Cut      bool       // there is more than MaxAnswers, or the server doesn't tell all
	Unheeded []dict.Tag // keys that the server does not know, and that not all answers were matched by
}

// Attributes lists what matches, each once and always in the same order. It takes the permission to query by DICOMweb,
// and holds an interactive slot while it runs. Errors: as those of Studies; *refusal.Invalid where a study-level key is
// missing, or a key is one of a level below.
func (svc *Service) Attributes(
	ctx context.Context, user people.User, aeTitle string, s AttributeSearch,
) (FoundAttributes, error) {
	node, err := svc.forDICOMweb(ctx, user, aeTitle)
	if err != nil {
		return FoundAttributes{}, err
	}
	if s.Match == nil {
		s.Match = &stream.DataSet{}
	}
	if err := s.check(); err != nil {
		return FoundAttributes{}, err
	}
	if err := svc.recordAttributes(ctx, node, s); err != nil {
		return FoundAttributes{}, err
	}
	c := &collecting{search: s, seen: map[string]bool{}}
	err = svc.withInteractive(ctx, node, func(a *source.Server) error {
		c.a = a
		return c.run(ctx)
	})
	if err != nil {
		return FoundAttributes{}, err
	}
	c.sort()
	return c.FoundAttributes, nil
}

// MaySearchByDICOMweb returns why a user may not search the server of an AE title by DICOMweb: as errors of Attributes.
func (svc *Service) MaySearchByDICOMweb(ctx context.Context, user people.User, aeTitle string) error {
	_, err := svc.forDICOMweb(ctx, user, aeTitle)
	return err
}

// forDICOMweb returns the server of an AE title that a user may read from and search by DICOMweb. One that they may not
// read from is not there for them.
func (svc *Service) forDICOMweb(ctx context.Context, user people.User, aeTitle string) (nodes.DICOMNode, error) {
	node, err := svc.nodes.ByAETitleFor(ctx, user, people.DICOMwebQuery, aeTitle, nodes.AsSource)
	if err != nil {
		return nodes.DICOMNode{}, err
	}
	if !nodes.Searchable(node.Server) {
		return node, &refusal.Invalid{
			Reason: fmt.Sprintf("DICOM Server %s can't be searched: it supports neither C-FIND nor QIDO-RS", node.Name),
		}
	}
	return node, nil
}

// check refuses what can't be asked.
func (s AttributeSearch) check() error {
	for name, uid := range map[string]string{"study": s.StudyInstanceUID, "series": s.SeriesInstanceUID} {
		if uid != "" && !fault.ValidUID(uid) {
			return &refusal.Invalid{Field: name, Reason: "is not a UID"}
		}
	}
	named := s.Level == Studies || s.StudyInstanceUID != ""
	for key := range s.Match.All() {
		at := s.levelOf(key.Tag)
		if at > s.Level {
			return &refusal.Invalid{Field: key.Tag.Keyword(), Reason: "is an attribute of " + at.words() + ": search for those"}
		}
		named = named || at == Studies
	}
	if named {
		return nil
	}
	return &refusal.Invalid{Reason: fmt.Sprintf(
		"name the study, or search by an attribute of studies or patients: without one ADIT does not search all %s of "+
			"a server",
		s.Level.words(),
	)}
}

func (svc *Service) recordAttributes(ctx context.Context, node nodes.DICOMNode, s AttributeSearch) error {
	query, err := s.Match.Encode(dict.ExplicitVRLittleEndian)
	if err != nil {
		return err
	}
	study := cmp.Or(s.StudyInstanceUID, s.Match.String(dict.StudyInstanceUID))
	return audit.Record(ctx, svc.Q, audit.Entry{
		Action: audit.ActSearch, Object: "server " + node.Name, Source: node.Name,
		PatientID: s.Match.String(dict.PatientID), StudyUID: study,
		Detail: map[string]any{
			"keys":            map[string]string{"level": s.Level.name(), "study": study, "series": s.SeriesInstanceUID},
			"sop_class":       source.FindRoot(!nodes.NeedsPatient(node.Server)),
			"transfer_syntax": dict.ExplicitVRLittleEndian, "query": query,
		},
	})
}

// usual are the attributes that answers of a level hold in any case, as far as the server tells them (PS3.18 10.6.3.3).
var usual = [...][]dict.Tag{
	{
		dict.StudyDate, dict.StudyTime, dict.AccessionNumber, dict.InstanceAvailability, dict.ModalitiesInStudy,
		dict.ReferringPhysicianName, dict.PatientName, dict.PatientID, dict.PatientBirthDate, dict.PatientSex,
		dict.StudyInstanceUID, dict.StudyID, dict.StudyDescription, dict.NumberOfStudyRelatedSeries,
		dict.NumberOfStudyRelatedInstances,
	},
	{
		dict.SeriesDate, dict.SeriesTime, dict.Modality, dict.SeriesDescription, dict.SeriesInstanceUID, dict.SeriesNumber,
		dict.NumberOfSeriesRelatedInstances, dict.PerformedProcedureStepStartDate, dict.PerformedProcedureStepStartTime,
	},
	{
		dict.SOPClassUID, dict.SOPInstanceUID, dict.InstanceNumber, dict.NumberOfFrames, dict.Rows, dict.Columns,
		dict.BitsAllocated, dict.AvailableTransferSyntaxUID,
	},
}

// levelOf returns the level at which an attribute is asked for: one that is known at no level is asked for at that of
// the search.
func (s AttributeSearch) levelOf(tag dict.Tag) Level {
	switch {
	case tag == dict.SpecificCharacterSet:
		return Studies - 1
	case slices.Contains(usual[Studies], tag), slices.Contains(aboveSeries, tag):
		return Studies
	case slices.Contains(usual[Series], tag), slices.Contains(ofSeriesAlone, tag):
		return Series
	case slices.Contains(usual[Instances], tag):
		return Instances
	}
	return s.Level
}

// Attributes of patients, studies and series besides the usual ones.
var (
	aboveSeries = []dict.Tag{
		dict.IssuerOfPatientID, dict.OtherPatientIDs, dict.PatientAge, dict.PatientComments, dict.SOPClassesInStudy,
		dict.NumberOfPatientRelatedStudies, dict.NumberOfPatientRelatedSeries, dict.NumberOfPatientRelatedInstances,
		dict.NameOfPhysiciansReadingStudy, dict.AdmittingDiagnosesDescription, dict.TimezoneOffsetFromUTC,
	}
	ofSeriesAlone = []dict.Tag{
		dict.BodyPartExamined, dict.ProtocolName, dict.InstitutionName, dict.Manufacturer, dict.ManufacturerModelName,
		dict.StationName, dict.Laterality, dict.OperatorsName, dict.PerformingPhysicianName, dict.InstitutionalDepartmentName,
		dict.PerformedProcedureStepID, dict.PerformedProcedureStepDescription, dict.FrameOfReferenceUID,
	}
)

// collecting is a search for attributes under way.
type collecting struct {
	FoundAttributes

	a      *source.Server
	search AttributeSearch
	seen   map[string]bool // UIDs
}

// run asks level by level, down to that of the search.
func (c *collecting) run(ctx context.Context) error {
	s := c.search
	if s.Level == Studies {
		if err := c.ask(ctx, Studies, "", "", "", c.take); err != nil {
			return err
		}
		c.sort() // the newest are looked into first
		var err error
		c.Answers, err = c.ofModalities(ctx, c.Answers)
		return err
	}
	patientless := !nodes.NeedsPatient(c.a.Node.Server)
	if s.StudyInstanceUID != "" && patientless && !c.matches(Studies) {
		return c.below(ctx, s.StudyInstanceUID, "")
	}
	var studies []*stream.DataSet
	seen := map[string]bool{}
	err := c.ask(ctx, Studies, s.StudyInstanceUID, "", "", func(ds *stream.DataSet) bool {
		uid := ds.String(dict.StudyInstanceUID)
		if !seen[uid] {
			studies = append(studies, ds)
			seen[uid] = true
		}
		return len(studies) <= maxManyStudies
	})
	if err != nil {
		return err
	}
	if len(studies) > maxManyStudies {
		return &refusal.Invalid{Reason: fmt.Sprintf(
			"more than %d studies match; narrow the search, or search for studies first", maxManyStudies,
		)}
	}
	if studies, err = c.ofModalities(ctx, studies); err != nil {
		return err
	}
	slices.SortFunc(studies, func(a, b *stream.DataSet) int {
		return strings.Compare(a.String(dict.StudyInstanceUID), b.String(dict.StudyInstanceUID))
	})
	for _, study := range studies {
		err := c.below(ctx, study.String(dict.StudyInstanceUID), study.String(dict.PatientID))
		if err != nil || c.full() {
			return err
		}
	}
	return nil
}

// below asks for what is searched for of a study.
func (c *collecting) below(ctx context.Context, study, patient string) error {
	s := c.search
	switch {
	case s.Level == Series:
		return c.ask(ctx, Series, study, "", patient, c.take)
	case s.SeriesInstanceUID != "" && !c.matches(Series):
		return c.ask(ctx, Instances, study, s.SeriesInstanceUID, patient, c.take)
	}
	var series []string
	err := c.ask(ctx, Series, study, s.SeriesInstanceUID, patient, func(ds *stream.DataSet) bool {
		if uid := ds.String(dict.SeriesInstanceUID); fault.ValidUID(uid) && !slices.Contains(series, uid) {
			series = append(series, uid)
		}
		return len(series) <= MaxSeries
	})
	for _, uid := range series {
		if err == nil && !c.full() {
			err = c.ask(ctx, Instances, study, uid, patient, c.take)
		}
	}
	return err
}

// matches reports whether a key is of a level.
func (c *collecting) matches(at Level) bool {
	for key := range c.search.Match.All() {
		if c.search.levelOf(key.Tag) == at {
			return true
		}
	}
	return false
}

func (c *collecting) full() bool { return len(c.Answers) >= MaxAnswers }

// take keeps an answer at the level of the search.
func (c *collecting) take(ds *stream.DataSet) bool {
	uid := ds.String(c.search.Level.uid())
	if !fault.ValidUID(uid) || c.seen[uid] {
		return true
	}
	if c.full() {
		c.Cut = true
		return false
	}
	c.seen[uid] = true
	c.Answers = append(c.Answers, ds)
	return true
}

// ask makes the queries of one level, and gives what matches. A server is asked for one modality at a time: no two
// understand several alike.
func (c *collecting) ask(
	ctx context.Context, at Level, study, series, patient string, give func(*stream.DataSet) bool,
) error {
	var modalities []string
	for _, tag := range []dict.Tag{dict.ModalitiesInStudy, dict.Modality} {
		if c.search.levelOf(tag) == at {
			modalities = c.search.Match.Strings(tag)
		}
	}
	if len(modalities) < 2 {
		_, err := c.once(ctx, c.identifier(at, study, series, patient, modalities), give)
		return err
	}
	for _, m := range modalities {
		more, err := c.once(ctx, c.identifier(at, study, series, patient, []string{m}), give)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// identifier is that of a query of one level.
func (c *collecting) identifier(at Level, study, series, patient string, modalities []string) *stream.DataSet {
	keys := slices.Clone(usual[at])
	if at == c.search.Level {
		for _, tag := range c.search.Include {
			if c.search.levelOf(tag) == at {
				keys = append(keys, tag)
			}
		}
	}
	id := source.LevelQuery(at.name(), keys)
	if set := c.search.Match.Strings(dict.SpecificCharacterSet); len(set) > 0 {
		_ = id.SetCharset(set...) // one that the keys have
	}
	for key := range c.search.Match.All() {
		if c.search.levelOf(key.Tag) == at {
			id.Put(key)
		}
	}
	for tag, value := range map[dict.Tag]string{dict.StudyInstanceUID: study, dict.SeriesInstanceUID: series} {
		source.SetKey(id, tag, value)
	}
	if at != Studies {
		c.a.KeyPatient(id, patient)
	}
	for _, tag := range []dict.Tag{dict.ModalitiesInStudy, dict.Modality} {
		if c.search.levelOf(tag) == at && len(modalities) > 0 {
			id.Set(tag, modalities...)
		}
	}
	return id
}

// once asks once, and once more in an older character set where nothing is found.
func (c *collecting) once(ctx context.Context, id *stream.DataSet, give func(*stream.DataSet) bool) (bool, error) {
	_, more, err := inTwoCharsets(c.a, id, false, func(id *stream.DataSet) (int, bool, error) {
		return c.query(ctx, id, give)
	})
	return more, err
}

func (c *collecting) query(
	ctx context.Context, id *stream.DataSet, give func(*stream.DataSet) bool,
) (answers int, more bool, err error) {
	for ds, err := range c.a.Find(ctx, id) {
		if source.CutShort(err) {
			c.Cut = true
			return answers, true, nil
		}
		if err != nil {
			return answers, true, err
		}
		answers++
		if c.fits(id, ds) && !give(ds) {
			return answers, false, nil
		}
	}
	return answers, true, nil
}

// fits filters again by every key that an answer holds: some servers ignore those that they don't know. What they don't
// tell is taken down.
func (c *collecting) fits(id, answer *stream.DataSet) bool {
	for key := range id.All() {
		wanted := id.Strings(key.Tag)
		if len(wanted) == 0 || key.VR == dict.SQ || key.Tag == dict.QueryRetrieveLevel ||
			key.Tag == dict.SpecificCharacterSet {
			continue
		}
		if !answer.Has(key.Tag) || key.Tag == dict.ModalitiesInStudy && !tellsModalities(answer) {
			if !slices.Contains(c.Unheeded, key.Tag) && key.VR != dict.UI {
				c.Unheeded = append(c.Unheeded, key.Tag)
			}
			continue
		}
		if !match.Values(dict.VROf(key.Tag), folded(key.Tag, wanted), folded(key.Tag, answer.Strings(key.Tag))) {
			return false
		}
	}
	return true
}

// folded writes text in one case: many servers match it so, and what they find is theirs to say.
func folded(tag dict.Tag, values []string) []string {
	switch dict.VROf(tag) {
	case dict.LO, dict.SH, dict.LT, dict.ST, dict.UT, dict.UC, dict.CS:
		out := make([]string, len(values))
		for i, v := range values {
			out[i] = strings.ToLower(v)
		}
		return out
	}
	return values
}

// sort brings the answers into an order that is the same each time: the newest studies first, series and instances by
// their numbers.
func (c *collecting) sort() {
	key := func(ds *stream.DataSet) (string, int) {
		switch c.search.Level {
		case Studies:
			return ds.String(dict.StudyDate) + ds.String(dict.StudyTime), 0
		case Series:
			return "", position(ds, dict.SeriesNumber)
		}
		return "", position(ds, dict.InstanceNumber)
	}
	slices.SortStableFunc(c.Answers, func(a, b *stream.DataSet) int {
		whenA, nA := key(a)
		whenB, nB := key(b)
		return cmp.Or(
			strings.Compare(whenB, whenA), strings.Compare(a.String(dict.StudyInstanceUID), b.String(dict.StudyInstanceUID)),
			cmp.Compare(nA, nB), strings.Compare(a.String(c.search.Level.uid()), b.String(c.search.Level.uid())),
		)
	})
}

func position(ds *stream.DataSet, tag dict.Tag) int {
	n, _ := ds.Int(tag)
	return n
}
