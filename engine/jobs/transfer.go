// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

const maxTasks = 100_000

// Transfer is a job to be made: studies that are to go from a source to a destination.
type Transfer struct {
	Kind string // SelectiveTransfer, by default, BatchTransfer or MassTransfer
	About
	Source      string // name of a server
	Destination string // name of a server or folder
	// whose key and profile pseudonymize; empty: the default project of the user's active group
	Project           string
	Studies           []Study
	TrialProtocolID   string
	TrialProtocolName string
	// Pseudonymize gives studies without a pseudonym that of their patient: by the project's linkage table, or derived
	// from its key.
	Pseudonymize bool
	// LeaveOutRejected leaves out the instances that a rejection note of the source names (IHE IOCM), and notes how
	// many. Nil: if some study is de-identified.
	LeaveOutRejected *bool
	Urgent           bool
	// urgent, and to run where the window of a server is closed for jobs, within the default's cap
	OutsideWindows   bool
	MailWhenFinished bool
	// ArchivePassword, if not empty, has the job leave one encrypted archive in its folder instead of a tree of files.
	ArchivePassword nodes.Secret `json:"-"` // what is kept of a recurrence has none
	// IdempotencyKey, if not empty, makes a second request with the same key and content within 24 hours give the first
	// one's job.
	IdempotencyKey string
	Recurrence     *int64 `json:"-"` // whose run it is
}

// Study is what one task moves: a whole study or chosen series of it.
type Study struct {
	StudyInstanceUID   string
	SeriesInstanceUIDs []string // empty: all
	PatientID          string   // may be empty
	Pseudonym          string
	Rows               []int32 // of the file that names it; none: it comes from no file
}

// Create makes a job with one task per study. Errors: *Invalid, *Conflict, *people.Denied, ErrNotFound.
func (svc *Service) Create(ctx context.Context, user people.User, t Transfer) (Job, error) {
	t.Kind = cmp.Or(t.Kind, SelectiveTransfer)
	if err := t.validate(user); err != nil {
		return Job{}, err
	}
	return making{svc}.createTransfer(ctx, user, t, t.hash(), func(q *db.Queries, p db.InsertJobParams) (int64, error) {
		job, err := insertTransfer(ctx, q, user, t, len(t.Studies), p)
		if err != nil {
			return 0, err
		}
		return job.ID, q.InsertTasks(ctx, t.tasks(job.ID))
	})
}

// createTransfer makes the job of a valid transfer by a function, once, if the user may make it.
func (svc making) createTransfer(
	ctx context.Context, user people.User, t Transfer, hash []byte,
	insert func(q *db.Queries, p db.InsertJobParams) (int64, error),
) (Job, error) {
	source, destination, project, err := svc.checkTransfer(ctx, user, t)
	if err != nil {
		return Job{}, err
	}
	id, err := svc.Once(ctx, user, t.IdempotencyKey, hash, func(q *db.Queries) (int64, error) {
		if err := svc.People.Site.CountJob(ctx, q, user); err != nil {
			return 0, err
		}
		id, err := insert(q, db.InsertJobParams{ProjectID: project, SourceID: &source, DestinationID: &destination})
		if err != nil || t.ArchivePassword == "" {
			return id, err
		}
		return id, q.SealArchive(ctx, db.SealArchiveParams{
			ID: id, ArchivePassword: svc.People.Seal(ArchivePurpose(id), []byte(t.ArchivePassword)),
		})
	})
	if err != nil {
		return Job{}, err
	}
	svc.Signals.Wake()
	job, err := svc.Get(ctx, user, id)
	if err != nil {
		return Job{}, err
	}
	return job, svc.samePassword(job, t)
}

// samePassword refuses a request that gives the job which its key made another password.
func (svc making) samePassword(job Job, t Transfer) error {
	if t.ArchivePassword == "" {
		return nil
	}
	password, err := svc.People.Open(ArchivePurpose(job.ID), job.ArchivePassword)
	if err == nil && string(password) != string(t.ArchivePassword) {
		err = keyUsed()
	}
	return err
}

// ArchivePurpose is what the password of a job's archive is sealed for.
func ArchivePurpose(job int64) string { return fmt.Sprintf("archive of job %d", job) }

// Of the password of an archive: what it consists of is the same in all code pages.
const (
	shortestPassword = 12
	longestPassword  = 128
)

// validatePassword refuses a password that an archive can't have.
func (t Transfer) validatePassword() error {
	const field = "archive_password"
	switch n := len(t.ArchivePassword); {
	case n == 0:
		return nil
	case t.Kind == MassTransfer:
		return &refusal.Invalid{Field: field, Reason: "a mass transfer makes no archive"}
	case n < shortestPassword || n > longestPassword || strings.ContainsFunc(string(t.ArchivePassword), func(r rune) bool {
		return r < ' ' || r > '~'
	}):
		return &refusal.Invalid{Field: field, Reason: fmt.Sprintf(
			"%d to %d characters: letters without accents, digits, blanks and the signs of a US keyboard",
			shortestPassword, longestPassword,
		)}
	}
	return nil
}

// checkTransfer asks whether the user may make a valid transfer, and returns what it names.
func (svc making) checkTransfer(ctx context.Context, user people.User, t Transfer) (
	source, destination, project int64, err error,
) {
	if err := svc.checkSettings(ctx, t); err != nil {
		return 0, 0, 0, err
	}
	if source, destination, err = svc.transferNodes(ctx, user, t); err != nil {
		return 0, 0, 0, err
	}
	if err := svc.checkOutside(ctx, user, t.OutsideWindows); err != nil {
		return 0, 0, 0, err
	}
	project, err = svc.projects.ProjectOf(ctx, user, t.Project)
	return source, destination, project, err
}

// checkSettings refuses what the settings do not allow of a job: it is too much, or lacks what the site asks for.
func (svc making) checkSettings(ctx context.Context, t Transfer) error {
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return err
	}
	if settings.EthicsIDNeeded && t.Kind != SelectiveTransfer && strings.TrimSpace(t.EthicsID) == "" {
		return &refusal.Invalid{
			Field: "ethics_id", Reason: "give the number of the application to the ethics committee, which this site asks for",
		}
	}
	series := 0
	for _, s := range t.Studies {
		series += len(s.SeriesInstanceUIDs)
	}
	for _, of := range []struct {
		what    string
		n, most int
	}{{"studies", len(t.Studies), settings.MaxStudies}, {"series", series, settings.MaxSeries}} {
		if of.most > 0 && of.n > of.most {
			return &refusal.Invalid{Field: "studies", Reason: fmt.Sprintf(
				"a job may name at most %d %s here; make several jobs, or ask your administrator", of.most, of.what,
			)}
		}
	}
	return nil
}

// insertTransfer makes the job of a transfer, of which so many tasks are to follow.
func insertTransfer(
	ctx context.Context, q *db.Queries, user people.User, t Transfer, tasks int, p db.InsertJobParams,
) (db.Job, error) {
	p.Kind, p.OwnerID, p.TrialProtocolID, p.TrialProtocolName = t.Kind, user.ID, t.TrialProtocolID,
		t.TrialProtocolName
	p.Title, p.Description, p.EthicsID, p.ExtraColumns = t.Title, t.Description, t.EthicsID, []string{}
	p.MailWhenFinished, p.Verified, p.NPending, p.Pseudonymize = t.MailWhenFinished, true, int32(tasks),
		t.Pseudonymize
	p.Urgent, p.Priority, p.RecurrenceID = t.Urgent, priorityOf(t.Kind, t.Urgent), t.Recurrence
	p.LeaveOutRejected = t.leavesOutRejected()
	if t.pseudonymizes() {
		if err := projects.PinProfile(ctx, q, p.ProjectID, &p); err != nil {
			return db.Job{}, err
		}
	}
	job, err := q.InsertJob(ctx, p)
	if err != nil {
		return db.Job{}, err
	}
	if t.OutsideWindows {
		if err := q.SetUrgency(ctx, db.SetUrgencyParams{
			ID: job.ID, Urgent: t.Urgent, OutsideWindows: true, Priority: p.Priority,
		}); err != nil {
			return db.Job{}, err
		}
	}
	return job, recordNewJob(ctx, q, job, t, tasks)
}

func (t Transfer) tasks(job int64) db.InsertTasksParams {
	p := db.InsertTasksParams{JobID: job}
	for _, s := range t.Studies {
		p.StudyUids = append(p.StudyUids, s.StudyInstanceUID)
		p.SeriesUids = append(p.SeriesUids, strings.Join(s.SeriesInstanceUIDs, `\`))
		p.PatientIds = append(p.PatientIds, s.PatientID)
		p.Pseudonyms = append(p.Pseudonyms, s.Pseudonym)
		p.Rows = append(p.Rows, Joined(s.Rows, ","))
	}
	return p
}

// Joined returns numbers with a text between them.
func Joined(numbers []int32, between string) string {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(int(n))
	}
	return strings.Join(texts, between)
}

func (t Transfer) hash() []byte {
	h := sha256.New()
	fmt.Fprintf(
		h, "%q %q %q %q %q %q %v %v %v", t.Source, t.Destination, t.Project, t.Studies,
		t.TrialProtocolID, t.TrialProtocolName, t.Pseudonymize, t.Urgent, t.MailWhenFinished,
	)
	if t.OutsideWindows {
		fmt.Fprint(h, " outside windows")
	}
	if t.Kind != SelectiveTransfer || t.About != (About{}) {
		fmt.Fprintf(h, " %s %q", t.Kind, t.About)
	}
	if t.LeaveOutRejected != nil {
		fmt.Fprintf(h, " leave out rejected %v", *t.LeaveOutRejected)
	}
	if t.ArchivePassword != "" { // the hash is kept: nobody is to guess a password by it
		fmt.Fprint(h, " archive")
	}
	return h.Sum(nil)
}

// validateCommon refuses what no job may be, whatever studies it has.
func (t Transfer) validateCommon() error {
	if t.OutsideWindows && !t.Urgent {
		return &refusal.Invalid{
			Field: "outside_windows", Reason: "only an urgent job may run outside the windows of its servers",
		}
	}
	for field, value := range map[string]string{
		"trial_protocol_id": t.TrialProtocolID, "trial_protocol_name": t.TrialProtocolName,
	} {
		if len(value) > 64 || strings.Contains(value, `\`) || !text.Plain(value) {
			return &refusal.Invalid{
				Field:  field,
				Reason: "at most 64 characters, without a backslash, control characters or other invisible characters",
			}
		}
	}
	return cmp.Or(t.validatePassword(), t.About.validate())
}

func (t Transfer) validate(user people.User) error {
	if len(t.Studies) == 0 {
		return &refusal.Invalid{Field: "studies", Reason: "name at least one study"}
	}
	if err := cmp.Or(
		t.validateCommon(), checkCount(t.Kind, user, "studies", "studies", len(t.Studies)),
	); err != nil {
		return err
	}
	seen := make(map[string]bool, len(t.Studies))
	for i, s := range t.Studies {
		field := fmt.Sprintf("studies[%d]", i)
		if err := s.validate(field); err != nil {
			return err
		}
		if seen[s.StudyInstanceUID] {
			return &refusal.Invalid{Field: field, Reason: "the request names this study twice; each study is one task"}
		}
		seen[s.StudyInstanceUID] = true
	}
	if t.pseudonymizes() && t.sendsPatients() {
		return &refusal.Invalid{
			Field: fmt.Sprintf("studies[%d].pseudonym", slices.IndexFunc(t.Studies, Study.keepsPatient)),
			Reason: "this study has no pseudonym and others have one, so that its patient's identity would travel with " +
				"them; give each study a pseudonym, set pseudonymize, or make two jobs",
		}
	}
	return t.checkPseudonyms()
}

func (s Study) keepsPatient() bool { return s.Pseudonym == "" }

func (s Study) validate(field string) error {
	if !fault.ValidUID(s.StudyInstanceUID) {
		return &refusal.Invalid{
			Field:  field + ".study_instance_uid",
			Reason: "not a DICOM UID: it must be numbers with dots between them, at most 64 characters",
		}
	}
	for _, uid := range s.SeriesInstanceUIDs {
		if !fault.ValidUID(uid) {
			return &refusal.Invalid{
				Field:  field + ".series_instance_uids",
				Reason: "not a DICOM UID: it must be numbers with dots between them, at most 64 characters",
			}
		}
	}
	if len(s.PatientID) > 64 || strings.ContainsFunc(s.PatientID, fault.BadInExactKey) {
		return &refusal.Invalid{
			Field: field + ".patient_id", Reason: "at most 64 characters, without *, ?, \\ or control characters",
		}
	}
	if s.Pseudonym != "" {
		if err := deid.CheckPseudonym(s.Pseudonym); err != nil {
			return &refusal.Invalid{Field: field + ".pseudonym", Reason: err.Error()}
		}
	}
	return nil
}

// pseudonymizes reports whether some study is to be de-identified, sendsPatients whether some is not.
func (t Transfer) pseudonymizes() bool {
	return t.Pseudonymize || slices.ContainsFunc(t.Studies, func(s Study) bool { return s.Pseudonym != "" })
}

func (t Transfer) leavesOutRejected() bool {
	if t.LeaveOutRejected != nil {
		return *t.LeaveOutRejected
	}
	return t.pseudonymizes()
}

func (t Transfer) sendsPatients() bool {
	return !t.Pseudonymize && (t.Kind == MassTransfer || slices.ContainsFunc(t.Studies, Study.keepsPatient))
}

// checkPseudonyms refuses what the tasks would refuse one by one, as far as the request itself shows it.
func (t Transfer) checkPseudonyms() error {
	pseudonyms, patients, bare := map[string]string{}, map[string]string{}, map[string]bool{}
	for i, s := range t.Studies {
		if s.Pseudonym == "" || s.PatientID == "" {
			continue
		}
		id, field := strings.TrimSpace(s.PatientID), fmt.Sprintf("studies[%d].pseudonym", i)
		if p, ok := pseudonyms[id]; ok && p != s.Pseudonym {
			return &refusal.Invalid{
				Field: field,
				Reason: "the patient of this study has another pseudonym in the same request; a patient has one " +
					"pseudonym",
			}
		}
		if other, ok := patients[s.Pseudonym]; ok && other != id {
			return &refusal.Invalid{
				Field: field,
				Reason: "another patient has this pseudonym in the same request; a pseudonym belongs to " +
					"one patient",
			}
		}
		pseudonyms[id], patients[s.Pseudonym], bare[deid.BareID(id)] = s.Pseudonym, id, true
	}
	for i, s := range t.Studies {
		if s.Pseudonym != "" && bare[deid.BareID(s.Pseudonym)] {
			return &refusal.Invalid{
				Field: fmt.Sprintf("studies[%d].pseudonym", i),
				Reason: "this pseudonym is a Patient ID of the request and would reveal an identity; check " +
					"that the two aren't swapped, and choose another",
			}
		}
	}
	return nil
}

// transferNodes finds source and destination and asks whether the user may use them so.
func (svc making) transferNodes(ctx context.Context, user people.User, t Transfer) (
	source, destination int64, err error,
) {
	src, err := svc.nodes.ByName(ctx, t.Source)
	if err != nil {
		return 0, 0, unknownNode(err, "source", t.Source)
	}
	dst, err := svc.nodes.ByName(ctx, t.Destination)
	if err != nil {
		return 0, 0, unknownNode(err, "destination", t.Destination)
	}
	switch {
	case src.ID == dst.ID:
		return 0, 0, &refusal.Invalid{Field: "destination", Reason: "source and destination are the same"}
	case src.Server == nil:
		return 0, 0, &refusal.Invalid{Field: "source", Reason: "a folder can't be a source; choose a server"}
	case !nodes.Searchable(src.Server):
		return 0, 0, &refusal.Invalid{
			Field: "source", Reason: "this server supports neither C-FIND nor QIDO-RS, one of which a source needs",
		}
	case len(nodes.MethodsOf(src.Server)) == 0:
		return 0, 0, &refusal.Invalid{
			Field: "source", Reason: "this server supports none of WADO-RS, C-GET and C-MOVE, one of which a source needs",
		}
	case dst.Server != nil && !nodes.Stores(dst.Server):
		return 0, 0, &refusal.Invalid{
			Field: "destination", Reason: "this server takes no instances: it supports neither C-STORE nor STOW-RS",
		}
	case dst.Server != nil && t.ArchivePassword != "":
		return 0, 0, &refusal.Invalid{
			Field: "archive_password", Reason: "only a folder takes an archive, and this destination is a server",
		}
	}
	a := ActionOf(t.Kind, src.ID, dst.ID, t.sendsPatients())
	if t.Urgent {
		a.Permissions = append(a.Permissions, people.Urgent)
	}
	a.Sections = []string{t.Kind}
	return src.ID, dst.ID, svc.People.Check(ctx, user.ID, a)
}

func unknownNode(err error, field, name string) error {
	if errors.Is(err, refusal.ErrNotFound) {
		return &refusal.Invalid{Field: field, Reason: fmt.Sprintf(
			"there is no DICOM node named %q; `adit node list` shows the names", name,
		)}
	}
	return err
}
