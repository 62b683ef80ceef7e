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
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Search says which studies of a server are wanted. Empty fields match everything; at least one must be given.
type Search struct {
	PatientID            string // exact
	PatientName          string // "Last, First" or in DICOM form, with * and ? as wildcards
	PatientBirthDateFrom string // YYYYMMDD, inclusive
	PatientBirthDateTo   string // YYYYMMDD, inclusive
	StudyInstanceUID     string // exact
	StudyDateFrom        string // YYYYMMDD, inclusive
	StudyDateTo          string // YYYYMMDD, inclusive
	StudyTimeFrom        string // HH, HHMM or HHMMSS, inclusive, on each of the days
	StudyTimeTo          string // HH, HHMM or HHMMSS, inclusive: 0830 is up to 08:30:59
	StudyDescription     string // in any case, with * and ? as wildcards
	Modality             string // one that is in the study, in any case; or several with commas, one of which is
	AccessionNumber      string // exact, in any case
	Limit                int    // at most so many; 0: the server's result limit
	Cut                  *bool  // is set if there were more than that; nil: nobody wants to know
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
	return streamed(func(yield func(FoundStudy, error) bool) error {
		return svc.searchStudies(ctx, user, server, s, yield)
	})
}

// streamed yields what a search finds, and the error that it ends with, unless the loop was left before.
func streamed[T any](search func(yield func(T, error) bool) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		left := false
		err := search(func(found T, err error) bool {
			left = !yield(found, err)
			return !left
		})
		if err != nil && !left {
			var none T
			yield(none, err)
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
	root := source.FindRoot(node.Server.StudyRootFind)
	if err := svc.recordSearch(ctx, node, root, s.keys(), s.identifier(s.modalities()...)); err != nil {
		return err
	}
	if s.Cut != nil {
		s.Limit, yield = s.Limit+1, upTo(s.Limit, s.Cut, yield)
	}
	return svc.withInteractive(ctx, node, func(a *source.Server) error {
		of := &sifting[FoundStudy]{limit: s.Limit, yield: yield, key: keyOf, shown: map[[2]string]bool{}}
		return (&searching{a: a, search: s, of: of}).run(ctx)
	})
}

// upTo yields no more than limit of what is found, and sets cut if there is more.
func upTo[T any](limit int, cut *bool, yield func(T, error) bool) func(T, error) bool {
	n := 0
	return func(found T, err error) bool {
		if n++; n > limit {
			*cut = true
			return false
		}
		return yield(found, err)
	}
}

// May returns why a user may not search a server: as errors of Studies.
func (svc *Service) May(ctx context.Context, user people.User, server string) error {
	_, err := svc.searchable(ctx, user, server)
	return err
}

// searchable returns a server that the user may read and that can be searched.
func (svc *Service) searchable(ctx context.Context, user people.User, name string) (nodes.DICOMNode, error) {
	node, err := svc.nodes.ByName(ctx, name)
	if err != nil {
		return nodes.DICOMNode{}, err
	}
	if node.Server == nil || !nodes.Searchable(node.Server) {
		return nodes.DICOMNode{}, &refusal.Invalid{
			Field: "source", Reason: "this DICOM node can't be searched: it is not a server that supports C-FIND or QIDO-RS",
		}
	}
	a := people.SearchRight()
	a.Source = node.ID
	return node, svc.People.Check(ctx, user.ID, a)
}

// withInteractive runs fn with what asks a server over an interactive slot.
func (svc *Service) withInteractive(
	ctx context.Context, node nodes.DICOMNode, fn func(*source.Server) error,
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
	a := &source.Server{Node: node, Peer: peer, Slot: slot}
	if err = a.Begin(ctx); err == nil {
		err = fn(a)
	}
	if err != nil {
		end(ctx, a)
		return fmt.Errorf("DICOM Server %s could not be searched: %w", node.Name, err)
	}
	a.Release(ctx)
	return nil
}

// end gives up what something failed over. An association on which a query was ended by C-CANCEL is as good as before,
// and is released.
func end(ctx context.Context, a *source.Server) {
	if ctx.Err() == nil || a.Broken() {
		a.Abort()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	a.Release(ctx)
}

const farewell = time.Second // for a server to agree to a release

// MaxModalities is how many a search may name: each is a query of its own.
const MaxModalities = 20

// tidied returns the search as it is made: without blanks around its values, and characters composed, as servers keep
// them. A search that can't find anything, or would find everything, is *Invalid.
func (s Search) tidied() (Search, error) {
	for _, value := range s.fields() {
		*value = norm.NFC.String(strings.TrimSpace(*value))
	}
	if s == (Search{Limit: s.Limit, Cut: s.Cut}) {
		return s, &refusal.Invalid{
			Field: "", Reason: "give at least one criterion: patient ID, patient name, birth date, study date, study time, " +
				"study description, modality, accession number or Study Instance UID",
		}
	}
	if s.Limit < 0 {
		return s, &refusal.Invalid{Field: "limit", Reason: "must be 1 or more"}
	}
	for _, field := range []struct{ name, value string }{
		{"patient_id", s.PatientID}, {"accession_number", s.AccessionNumber},
	} {
		if err := checkExact(field.name, field.value); err != nil {
			return s, err
		}
	}
	if err := checkUID("study_instance_uid", s.StudyInstanceUID, false); err != nil {
		return s, err
	}
	if err := s.checkDates(); err != nil {
		return s, err
	}
	var err error
	if s.StudyTimeFrom, s.StudyTimeTo, err = timesOfDay(s.StudyTimeFrom, s.StudyTimeTo); err != nil {
		return s, err
	}
	if err := checkDescription(s.StudyDescription); err != nil {
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

// fields are the criteria, by their names.
func (s *Search) fields() map[string]*string {
	return map[string]*string{
		"patient_id": &s.PatientID, "patient_name": &s.PatientName,
		"patient_birth_date_from": &s.PatientBirthDateFrom, "patient_birth_date_to": &s.PatientBirthDateTo,
		"study_instance_uid": &s.StudyInstanceUID,
		"study_date_from":    &s.StudyDateFrom, "study_date_to": &s.StudyDateTo,
		"study_time_from": &s.StudyTimeFrom, "study_time_to": &s.StudyTimeTo,
		"study_description": &s.StudyDescription, "modality": &s.Modality, "accession_number": &s.AccessionNumber,
	}
}

// keys are the criteria that were given, for the audit log.
func (s Search) keys() map[string]string {
	keys := map[string]string{}
	for name, value := range s.fields() {
		if *value != "" {
			keys[name] = *value
		}
	}
	return keys
}

// checkExact refuses what can't be the value of an attribute that is matched exactly.
func checkExact(field, value string) error {
	if dimse.CheckKey(dict.LO, value) != nil || strings.ContainsFunc(value, fault.BadInExactKey) {
		return &refusal.Invalid{
			Field: field, Reason: "at most 64 characters, without *, ?, \\ or control characters",
		}
	}
	return nil
}

func checkUID(field, uid string, needed bool) error {
	switch {
	case uid == "" && needed:
		return &refusal.Invalid{Field: field, Reason: "give the UID"}
	case uid != "" && !fault.ValidUID(uid):
		return &refusal.Invalid{
			Field: field, Reason: "not a DICOM UID: numbers with dots between them, at most 64 characters",
		}
	}
	return nil
}

func checkDescription(text string) error {
	switch {
	case text == "":
		return nil
	case !fault.ValidText(text):
		return &refusal.Invalid{Field: "study_description", Reason: fault.TextReason}
	case strings.Trim(text, "*? ") == "":
		return &refusal.Invalid{
			Field: "study_description", Reason: "give at least one character; wildcards alone match everything",
		}
	}
	return nil
}

func (s Search) checkDates() error {
	for _, r := range []struct{ field, from, to string }{
		{"study_date", s.StudyDateFrom, s.StudyDateTo},
		{"patient_birth_date", s.PatientBirthDateFrom, s.PatientBirthDateTo},
	} {
		for field, date := range map[string]string{r.field + "_from": r.from, r.field + "_to": r.to} {
			if _, err := time.Parse("20060102", date); date != "" && err != nil {
				return &refusal.Invalid{Field: field, Reason: "not a calendar date in the form YYYYMMDD"}
			}
		}
		if r.to != "" && r.to < r.from {
			return &refusal.Invalid{Field: r.field + "_to", Reason: "the range ends before it begins"}
		}
	}
	return nil
}

// timesOfDay returns the ends of a range of times in full, HHMMSS; an end is the last second that it names.
func timesOfDay(from, to string) (fromFull, toFull string, err error) {
	full := func(field, value, rest string) string {
		if value == "" || err != nil {
			return ""
		}
		whole := value + rest[min(len(value), len(rest)):]
		if _, e := time.Parse("150405", whole); e != nil || len(value)%2 != 0 || len(value) > 6 {
			err = &refusal.Invalid{Field: field, Reason: "not a time of day in the form HHMM or HHMMSS"}
		}
		return whole
	}
	fromFull, toFull = full("study_time_from", from, "000000"), full("study_time_to", to, "235959")
	if err == nil && toFull != "" && toFull < fromFull {
		err = &refusal.Invalid{Field: "study_time_to", Reason: "the range ends before it begins"}
	}
	return fromFull, toFull, err
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
	if len(list) == 0 || len(list) > MaxModalities {
		return &refusal.Invalid{
			Field: "modality", Reason: fmt.Sprintf("one to %d modalities such as CT,MR", MaxModalities),
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
	source.SetKey(id, dict.PatientBirthDate, rangeOf(s.PatientBirthDateFrom, s.PatientBirthDateTo))
	source.SetKey(id, dict.AccessionNumber, s.AccessionNumber)
	source.SetKey(id, dict.StudyInstanceUID, s.StudyInstanceUID)
	source.SetKey(id, dict.StudyDescription, s.StudyDescription)
	source.SetKey(id, dict.StudyDate, rangeOf(s.StudyDateFrom, s.StudyDateTo))
	source.SetKey(id, dict.StudyTime, rangeOf(s.StudyTimeFrom, s.StudyTimeTo))
	id.Set(dict.ModalitiesInStudy, modality...)
	return id
}

// rangeOf is the key of a range of dates or times (PS3.4 C.2.2.2.5); empty if it has no end.
func rangeOf(from, to string) string {
	if from == to {
		return from
	}
	return from + "-" + to
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
func (svc *Service) recordSearch(
	ctx context.Context, node nodes.DICOMNode, root string, keys map[string]string, id *stream.DataSet,
) error {
	query, err := id.Encode(dict.ExplicitVRLittleEndian)
	if err != nil {
		return err
	}
	return audit.Record(ctx, svc.Q, audit.Entry{
		Action: audit.ActSearch, Object: "server " + node.Name, Source: node.Name,
		PatientID: keys["patient_id"], StudyUID: keys["study_instance_uid"],
		Detail: map[string]any{
			"keys": keys, "sop_class": root, "transfer_syntax": dict.ExplicitVRLittleEndian, "query": query,
		},
	})
}
