// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Search says which studies of a server are wanted. Empty fields match everything; at least one must be given.
type Search struct {
	PatientID       string // exact
	PatientName     string // "Last, First" or in DICOM form, with * and ? as wildcards
	StudyDateFrom   string // YYYYMMDD, inclusive
	StudyDateTo     string // YYYYMMDD, inclusive
	Modality        string // one that is in the study, in any case; or several with commas, one of which is
	AccessionNumber string // exact, in any case
	Limit           int    // at most so many; 0: the server's result limit
	Cut             *bool  // is set if there were more than that; nil: nobody wants to know
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

// Studies asks a server for studies and yields them as they come. It holds an interactive slot while it runs; leaving
// the loop cancels the query. Errors: *Invalid, ErrNotFound, *people.Denied, *door.Busy, *door.Closed, or of the
// network.
func (svc *Service) Studies(
	ctx context.Context, user people.User, server string, s Search,
) iter.Seq2[FoundStudy, error] {
	return func(yield func(FoundStudy, error) bool) {
		left := false
		err := svc.searchStudies(ctx, user, server, s, func(st FoundStudy, err error) bool {
			left = !yield(st, err)
			return !left
		})
		if err != nil && !left {
			yield(FoundStudy{}, err)
		}
	}
}

func (svc *Service) searchStudies(
	ctx context.Context, user people.User, server string, s Search, yield func(FoundStudy, error) bool,
) error {
	s, err := s.tidied()
	if err != nil {
		return err
	}
	node, err := svc.searchable(ctx, user, server)
	if err != nil {
		return err
	}
	if s.Limit == 0 {
		s.Limit = int(node.Server.ResultLimit)
	}
	if err := svc.recordSearch(ctx, node, s); err != nil {
		return err
	}
	if s.Cut != nil {
		s.Limit, yield = s.Limit+1, upTo(s.Limit, s.Cut, yield)
	}
	root := source.FindRoot(node.Server.StudyRootFind)
	return svc.withInteractive(
		ctx, node, []dimse.Context{{AbstractSyntax: root, TransferSyntaxes: door.PlainSyntaxes}},
		func(a *door.Association) error {
			return (&searching{a: a, root: root, search: s, yield: yield, shown: map[[2]string]bool{}}).run(ctx)
		},
	)
}

// upTo yields no more than limit studies, and sets cut if there is another one.
func upTo(limit int, cut *bool, yield func(FoundStudy, error) bool) func(FoundStudy, error) bool {
	n := 0
	return func(study FoundStudy, err error) bool {
		if n++; n > limit {
			*cut = true
			return false
		}
		return yield(study, err)
	}
}

// searchable returns a server that the user may read and that answers C-FIND.
func (svc *Service) searchable(ctx context.Context, user people.User, name string) (nodes.DICOMNode, error) {
	node, err := svc.nodes.ByName(ctx, name)
	if err != nil {
		return nodes.DICOMNode{}, err
	}
	if node.Server == nil || !node.Server.StudyRootFind && !node.Server.PatientRootFind {
		return nodes.DICOMNode{}, &refusal.Invalid{
			Field: "source", Reason: "this DICOM node can't be searched: it is not a server that supports C-FIND",
		}
	}
	a := people.SearchRight()
	a.Source = node.ID
	return node, svc.People.Check(ctx, user.ID, a)
}

// withInteractive runs fn with an association on an interactive slot.
func (svc *Service) withInteractive(
	ctx context.Context, node nodes.DICOMNode, contexts []dimse.Context, fn func(*door.Association) error,
) (err error) {
	peer := svc.nodes.Peer(node)
	slot, err := svc.Door.Interactive(ctx, peer)
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
		return fmt.Errorf("DICOM Server %s could not be searched: %w", node.Name, err)
	}
	if err := fn(a); err != nil {
		end(ctx, a)
		return fmt.Errorf("DICOM Server %s could not be searched: %w", node.Name, err)
	}
	_ = a.Release(ctx) // it ends in any case: some servers answer C-CANCEL by an abort
	return nil
}

// end gives up an association over which something failed. One on which a query was ended by C-CANCEL is as good as
// before, and is released.
func end(ctx context.Context, a *door.Association) {
	if ctx.Err() == nil || a.Err() != nil {
		a.Abort()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_ = a.Release(ctx) // it ends in any case
}

const farewell = time.Second // for a server to agree to a release

// maxModalities is how many a search may name: each is a query of its own.
const maxModalities = 10

// tidied returns the search as it is made: without blanks around its values, and characters composed, as servers keep
// them. A search that can't find anything, or would find everything, is *Invalid.
func (s Search) tidied() (Search, error) {
	for _, value := range []*string{
		&s.PatientID, &s.PatientName, &s.StudyDateFrom, &s.StudyDateTo, &s.Modality, &s.AccessionNumber,
	} {
		*value = norm.NFC.String(strings.TrimSpace(*value))
	}
	if s == (Search{Limit: s.Limit, Cut: s.Cut}) {
		return s, &refusal.Invalid{
			Field:  "",
			Reason: "give at least one criterion: patient ID, patient name, study date, modality or accession number",
		}
	}
	if s.Limit < 0 {
		return s, &refusal.Invalid{Field: "limit", Reason: "must be 1 or more"}
	}
	for _, field := range []struct{ name, value string }{
		{"patient_id", s.PatientID}, {"accession_number", s.AccessionNumber},
	} {
		if err := dimse.CheckKey(dict.LO, field.value); err != nil ||
			strings.ContainsFunc(field.value, fault.BadInExactKey) {
			return s, &refusal.Invalid{
				Field: field.name, Reason: "at most 64 characters, without *, ?, \\ or control characters",
			}
		}
	}
	if err := s.checkDates(); err != nil {
		return s, err
	}
	if s.Modality != "" {
		s.Modality = strings.Join(s.modalities(), ",")
		if err := checkModalities(s.modalities()); err != nil {
			return s, err
		}
	}
	return s, checkPatientName(s.PatientName)
}

func (s Search) checkDates() error {
	for field, date := range map[string]string{"study_date_from": s.StudyDateFrom, "study_date_to": s.StudyDateTo} {
		if _, err := time.Parse("20060102", date); date != "" && err != nil {
			return &refusal.Invalid{Field: field, Reason: "not a calendar date in the form YYYYMMDD"}
		}
	}
	if s.StudyDateTo != "" && s.StudyDateTo < s.StudyDateFrom {
		return &refusal.Invalid{Field: "study_date_to", Reason: "the range ends before it begins"}
	}
	return nil
}

// modalities returns those of a list, each once and in capital letters.
func (s Search) modalities() []string {
	var list []string
	for m := range strings.SplitSeq(s.Modality, ",") {
		if m = strings.ToUpper(strings.TrimSpace(m)); m != "" && !slices.Contains(list, m) {
			list = append(list, m)
		}
	}
	return list
}

func checkModalities(list []string) error {
	if len(list) == 0 || len(list) > maxModalities {
		return &refusal.Invalid{
			Field: "modality", Reason: fmt.Sprintf("one to %d modalities such as CT,MR", maxModalities),
		}
	}
	for _, m := range list {
		if dimse.CheckKey(dict.CS, m) != nil || strings.ContainsFunc(m, fault.BadInExactKey) {
			return &refusal.Invalid{
				Field:  "modality",
				Reason: "each of at most 16 letters, digits, spaces and underscores, with commas between several",
			}
		}
	}
	return nil
}

func checkPatientName(name string) error {
	err := dimse.CheckKey(dict.PN, dicomName(name))
	switch {
	case strings.Contains(name, `\`):
		err = errors.New("must not contain a backslash")
	case err == nil && name != "" &&
		!strings.ContainsFunc(name, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		err = errors.New("give at least one letter; wildcards alone match everybody")
	case err == nil && !strings.ContainsAny(name, "^=") && strings.Count(name, ",") > 1:
		err = errors.New(`"Last, First" has one comma; for more use the DICOM form, such as Last^First^Middle`)
	}
	if err != nil {
		return &refusal.Invalid{Field: "patient_name", Reason: err.Error()}
	}
	return nil
}

// identifier is that of a query for studies with a modality, or with any if there is none. Those of the audit log name
// all that were asked for.
func (s Search) identifier(modality ...string) *stream.DataSet {
	id := source.LevelQuery("STUDY", source.StudyKeys)
	source.SetKey(id, dict.PatientID, s.PatientID)
	source.SetKey(id, dict.PatientName, dicomName(s.PatientName))
	source.SetKey(id, dict.AccessionNumber, s.AccessionNumber)
	id.Set(dict.ModalitiesInStudy, modality...)
	switch {
	case s.StudyDateFrom != "" && s.StudyDateFrom == s.StudyDateTo:
		id.Set(dict.StudyDate, s.StudyDateFrom)
	case s.StudyDateFrom != "" || s.StudyDateTo != "":
		id.Set(dict.StudyDate, s.StudyDateFrom+"-"+s.StudyDateTo)
	}
	return id
}

// dicomName turns "Last, First" into "Last^First*" and leaves names in DICOM form alone.
func dicomName(name string) string {
	last, first, ok := strings.Cut(name, ",")
	if !ok || strings.ContainsAny(name, "^=") {
		return name
	}
	return cmp.Or(strings.TrimSpace(last), "*") + "^" + strings.TrimSpace(first) + "*"
}

func foundStudy(ds *stream.DataSet) FoundStudy {
	return FoundStudy{
		StudyInstanceUID: ds.String(dict.StudyInstanceUID),
		PatientID:        ds.String(dict.PatientID), PatientName: ds.String(dict.PatientName),
		PatientBirthDate: ds.String(dict.PatientBirthDate),
		PatientSex:       ds.String(dict.PatientSex), StudyDate: ds.String(dict.StudyDate),
		StudyTime: ds.String(dict.StudyTime), StudyDescription: ds.String(dict.StudyDescription),
		AccessionNumber:   ds.String(dict.AccessionNumber),
		ModalitiesInStudy: ds.Strings(dict.ModalitiesInStudy),
		Series:            source.Count(ds, dict.NumberOfStudyRelatedSeries),
		Instances:         source.Count(ds, dict.NumberOfStudyRelatedInstances),
	}
}

// recordSearch leaves a row for a search, before it is made: who looked for whom is in the keys, which the log alone
// keeps.
func (svc *Service) recordSearch(ctx context.Context, node nodes.DICOMNode, s Search) error {
	keys := map[string]any{}
	for key, value := range map[string]string{
		"patient_id": s.PatientID, "patient_name": s.PatientName,
		"study_date_from": s.StudyDateFrom, "study_date_to": s.StudyDateTo,
		"modality": s.Modality, "accession_number": s.AccessionNumber,
	} {
		if value != "" {
			keys[key] = value
		}
	}
	query, err := s.identifier(s.modalities()...).Encode(dict.ExplicitVRLittleEndian)
	if err != nil {
		return err
	}
	return audit.Record(ctx, svc.Q, audit.Entry{
		Action: audit.ActSearch, Object: "server " + node.Name, Source: node.Name, PatientID: s.PatientID,
		Detail: map[string]any{
			"keys": keys, "sop_class": source.FindRoot(node.Server.StudyRootFind),
			"transfer_syntax": dict.ExplicitVRLittleEndian, "query": query,
		},
	})
}
