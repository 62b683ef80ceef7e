// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/people"
)

// Search says which studies of a server are wanted. Empty fields match everything; at least one must be given.
type Search struct {
	PatientID       string // exact
	PatientName     string // "Last, First" or in DICOM form, with * and ? as wildcards
	StudyDateFrom   string // YYYYMMDD, inclusive
	StudyDateTo     string // YYYYMMDD, inclusive
	Modality        string
	AccessionNumber string // exact
	Limit           int    // at most so many; 0: the server's result limit
}

// FoundStudy is a study as its server describes it. Dates and times are in DICOM form (YYYYMMDD, HHMMSS), as sent.
type FoundStudy struct {
	StudyInstanceUID  string
	PatientID         string
	PatientName       string // DICOM form, component groups separated by "="
	PatientBirthDate  string
	PatientSex        string
	StudyDate         string
	StudyTime         string
	StudyDescription  string
	AccessionNumber   string
	ModalitiesInStudy []string
	Series, Instances int // -1: the server doesn't say
}

// SearchStudies asks a server for studies and yields them as they come. It holds an interactive slot while it runs; leaving the
// loop cancels the query. Errors: *Invalid, ErrNotFound, *people.Denied, *pacs.Busy, *pacs.Closed, or of the network.
func (e *Engine) SearchStudies(ctx context.Context, user people.User, server string, s Search) iter.Seq2[FoundStudy, error] {
	return func(yield func(FoundStudy, error) bool) {
		left := false
		err := e.searchStudies(ctx, user, server, s, func(st FoundStudy, err error) bool {
			left = !yield(st, err)
			return !left
		})
		if err != nil && !left {
			yield(FoundStudy{}, err)
		}
	}
}

func (e *Engine) searchStudies(ctx context.Context, user people.User, server string, s Search, yield func(FoundStudy, error) bool) error {
	if err := s.validate(); err != nil {
		return err
	}
	node, err := e.searchable(ctx, user, server)
	if err != nil {
		return err
	}
	if s.Limit == 0 {
		s.Limit = int(node.Server.ResultLimit)
	}
	if err := e.recordSearch(ctx, node, s); err != nil {
		return err
	}
	root := findRoot(node.Server.StudyRootFind)
	return e.withInteractive(ctx, node, []dimse.Context{{AbstractSyntax: root, TransferSyntaxes: plainSyntaxes}}, func(a *pacs.Association) error {
		n := 0
		for ds, err := range a.Find(ctx, root, s.identifier()) {
			if err != nil {
				return err
			}
			study := foundStudy(ds)
			if !s.matches(study) {
				continue
			}
			if n++; !yield(study, nil) || n == s.Limit {
				return nil
			}
		}
		return nil
	})
}

// searchable gives a server that the user may read and that answers C-FIND.
func (e *Engine) searchable(ctx context.Context, user people.User, name string) (DICOMNode, error) {
	node, err := e.DICOMNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if node.Server == nil || !node.Server.StudyRootFind && !node.Server.PatientRootFind {
		return DICOMNode{}, &Invalid{Field: "source", Reason: "this DICOM node can't be searched: it is no server that supports C-FIND"}
	}
	return node, e.people.Check(ctx, user.ID, people.Action{Source: node.ID})
}

// withInteractive runs fn with an association on an interactive slot.
func (e *Engine) withInteractive(ctx context.Context, node DICOMNode, contexts []dimse.Context, fn func(*pacs.Association) error) (err error) {
	peer := e.peer(node)
	slot, err := e.door.Interactive(ctx, peer)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := slot.Close(ctx); err == nil {
			err = cerr
		}
	}()
	a, err := slot.Open(ctx, peer, contexts)
	if err != nil {
		return err
	}
	if err := fn(a); err != nil {
		a.Abort()
		return err
	}
	_ = a.Release(ctx) // it ends in any case: some servers answer C-CANCEL by an abort
	return nil
}

// plainSyntaxes are the transfer syntaxes of identifiers.
var plainSyntaxes = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}

func findRoot(study bool) string {
	if study {
		return dict.StudyRootQueryRetrieveInformationModelFind
	}
	return dict.PatientRootQueryRetrieveInformationModelFind
}

func (s Search) validate() error {
	if s == (Search{Limit: s.Limit}) {
		return &Invalid{Field: "", Reason: "give at least one criterion: patient ID, patient name, study date, modality or accession number"}
	}
	for field, date := range map[string]string{"study_date_from": s.StudyDateFrom, "study_date_to": s.StudyDateTo} {
		if _, err := time.Parse("20060102", date); date != "" && err != nil {
			return &Invalid{Field: field, Reason: "not a date of the form YYYYMMDD"}
		}
	}
	for field, key := range map[string]string{"patient_id": s.PatientID, "accession_number": s.AccessionNumber, "modality": s.Modality} {
		if strings.ContainsFunc(key, badInExactKey) || len(key) > 64 {
			return &Invalid{Field: field, Reason: "at most 64 characters, without *, ?, \\ or control characters"}
		}
	}
	if strings.ContainsFunc(s.PatientName, func(r rune) bool { return r < ' ' || r == '\\' }) || len(s.PatientName) > 320 {
		return &Invalid{Field: "patient_name", Reason: "at most 320 characters, without backslash or control characters"}
	}
	if s.Limit < 0 {
		return &Invalid{Field: "limit", Reason: "must be 1 or more"}
	}
	return nil
}

// studyKeys are asked of every study.
var studyKeys = []dict.Tag{
	dict.PatientID, dict.PatientName, dict.PatientBirthDate, dict.PatientSex, dict.StudyInstanceUID, dict.StudyDate, dict.StudyTime,
	dict.StudyDescription, dict.AccessionNumber, dict.ModalitiesInStudy, dict.NumberOfStudyRelatedSeries, dict.NumberOfStudyRelatedInstances,
}

func (s Search) identifier() *stream.DataSet {
	id := levelQuery("STUDY", studyKeys)
	setKey(id, dict.PatientID, s.PatientID)
	setKey(id, dict.PatientName, dicomName(s.PatientName))
	setKey(id, dict.AccessionNumber, s.AccessionNumber)
	setKey(id, dict.ModalitiesInStudy, strings.ToUpper(s.Modality))
	switch {
	case s.StudyDateFrom != "" && s.StudyDateFrom == s.StudyDateTo:
		id.Set(dict.StudyDate, s.StudyDateFrom)
	case s.StudyDateFrom != "" || s.StudyDateTo != "":
		id.Set(dict.StudyDate, s.StudyDateFrom+"-"+s.StudyDateTo)
	}
	return id
}

// levelQuery is an identifier that asks for attributes at a level, without criteria.
func levelQuery(level string, keys []dict.Tag) *stream.DataSet {
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, level)
	for _, tag := range keys {
		id.Set(tag)
	}
	return id
}

func setKey(id *stream.DataSet, tag dict.Tag, value string) {
	if value != "" {
		id.Set(tag, value)
	}
}

// dicomName turns "Last, First" into "Last^First*" and leaves names in DICOM form alone.
func dicomName(name string) string {
	last, first, ok := strings.Cut(name, ",")
	if !ok {
		return name
	}
	return strings.TrimSpace(last) + "^" + strings.TrimSpace(first) + "*"
}

func foundStudy(ds *stream.DataSet) FoundStudy {
	return FoundStudy{
		StudyInstanceUID: ds.String(dict.StudyInstanceUID), PatientID: ds.String(dict.PatientID), PatientName: ds.String(dict.PatientName),
		PatientBirthDate: ds.String(dict.PatientBirthDate), PatientSex: ds.String(dict.PatientSex), StudyDate: ds.String(dict.StudyDate),
		StudyTime: ds.String(dict.StudyTime), StudyDescription: ds.String(dict.StudyDescription), AccessionNumber: ds.String(dict.AccessionNumber),
		ModalitiesInStudy: ds.Strings(dict.ModalitiesInStudy),
		Series:            count(ds, dict.NumberOfStudyRelatedSeries), Instances: count(ds, dict.NumberOfStudyRelatedInstances),
	}
}

// count gives a number that the peer may leave out as -1.
func count(ds *stream.DataSet, tag dict.Tag) int {
	if n, ok := ds.Int(tag); ok && n >= 0 {
		return n
	}
	return -1
}

// sentence makes an error a sentence.
func sentence(err error) string {
	text := err.Error()
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
}
