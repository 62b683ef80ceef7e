// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// Statuses of jobs and tasks (product.md: Words). Tasks know Pending, InProgress and the four final ones.
const (
	Unverified = "unverified"
	Pending    = "pending"
	InProgress = "in_progress"
	Canceling  = "canceling"
	Canceled   = "canceled"
	Success    = "success"
	Warning    = "warning"
	Failure    = "failure"
)

// SelectiveTransfer is the kind of job of which a person picks the studies.
const SelectiveTransfer = "selective_transfer"

// Priorities of a selective transfer: by default and when urgent.
const (
	prioritySelective       = 4
	prioritySelectiveUrgent = 8
)

const (
	maxTasks           = 100_000
	maxTasksOfNonStaff = 10
)

// Transfer is a job to be made: studies that are to go from a source to a destination.
type Transfer struct {
	Source            string // name of a server
	Destination       string // name of a server or folder
	Studies           []Study
	TrialProtocolID   string
	TrialProtocolName string
	Urgent            bool
	MailWhenFinished  bool
	// IdempotencyKey, if not empty, makes a second request with the same key and content within 24 hours give the first
	// one's job.
	IdempotencyKey string
}

// Study is what one task moves: a whole study or chosen series of it.
type Study struct {
	StudyInstanceUID   string
	SeriesInstanceUIDs []string // empty: all
	PatientID          string   // may be empty
	Pseudonym          string
}

// Job is a job as people see it.
type Job struct {
	db.Job
	Owner       string
	Source      string
	Destination string
}

// Message sums up how a job ended, empty before.
func (j Job) Message() string {
	switch j.Status {
	case Success:
		if j.NCanceled > 0 {
			return "Some tasks were canceled."
		}
		return "All tasks succeeded."
	case Warning:
		if j.NSuccess+j.NCanceled > 0 {
			return "Some tasks have warnings."
		}
		return "All tasks have warnings."
	case Failure:
		if j.NSuccess+j.NWarning+j.NCanceled > 0 {
			return "Some tasks failed."
		}
		return "All tasks failed."
	case Canceled:
		if j.NSuccess+j.NWarning+j.NFailure > 0 {
			return "Some tasks were canceled."
		}
		return "All tasks were canceled."
	}
	return ""
}

// Done tells whether nothing of the job waits or runs.
func (j Job) Done() bool { return j.NPending+j.NRunning == 0 }

// CreateTransfer makes a job with one task per study. Errors: *Invalid, *Conflict, *people.Denied, ErrNotFound.
func (e *Engine) CreateTransfer(ctx context.Context, user people.User, t Transfer) (Job, error) {
	if err := t.validate(user); err != nil {
		return Job{}, err
	}
	source, destination, err := e.transferNodes(ctx, user, t)
	if err != nil {
		return Job{}, err
	}
	if user.ActiveGroupID == nil {
		return Job{}, &Invalid{"", "you have no active group; choose one, or ask your administrator to put you into one"}
	}
	var id int64
	err = e.inTx(ctx, func(q *db.Queries) error {
		if t.IdempotencyKey != "" {
			earlier, err := earlierJob(ctx, q, user, t)
			if err != nil || earlier != 0 {
				id = earlier
				return err
			}
		}
		project, err := q.DefaultProject(ctx, *user.ActiveGroupID)
		if err != nil {
			return notFound(err, "default project of group", *user.ActiveGroupID)
		}
		priority := int16(prioritySelective)
		if t.Urgent {
			priority = prioritySelectiveUrgent
		}
		job, err := q.InsertJob(ctx, db.InsertJobParams{
			Kind: SelectiveTransfer, OwnerID: user.ID, ProjectID: project, SourceID: &source, DestinationID: &destination,
			TrialProtocolID: t.TrialProtocolID, TrialProtocolName: t.TrialProtocolName, MailWhenFinished: t.MailWhenFinished,
			Urgent: t.Urgent, Priority: priority, Verified: true, NPending: int32(len(t.Studies)),
		})
		if err != nil {
			return err
		}
		id = job.ID
		if err := q.InsertTasks(ctx, t.tasks(id)); err != nil {
			return err
		}
		if t.IdempotencyKey == "" {
			return nil
		}
		return putIdempotencyKey(ctx, q, user, t, id)
	})
	if err != nil {
		return Job{}, err
	}
	e.signals.Wake()
	return e.Job(ctx, user, id)
}

func (t Transfer) tasks(job int64) db.InsertTasksParams {
	p := db.InsertTasksParams{JobID: job}
	for _, s := range t.Studies {
		p.StudyUids = append(p.StudyUids, s.StudyInstanceUID)
		p.SeriesUids = append(p.SeriesUids, strings.Join(s.SeriesInstanceUIDs, `\`))
		p.PatientIds = append(p.PatientIds, s.PatientID)
		p.Pseudonyms = append(p.Pseudonyms, s.Pseudonym)
	}
	return p
}

// errSameKey rolls a transaction back because another request with the same key won.
var errSameKey = errors.New("another request with this Idempotency-Key is being handled; try again in a moment")

func putIdempotencyKey(ctx context.Context, q *db.Queries, user people.User, t Transfer, job int64) error {
	n, err := q.PutIdempotencyKey(ctx, db.PutIdempotencyKeyParams{UserID: user.ID, Key: t.IdempotencyKey, BodySha256: t.hash(), JobID: job})
	if err == nil && n == 0 {
		return &Conflict{errSameKey.Error()}
	}
	return err
}

// earlierJob gives the job that was made under the same key, 0 if there is none.
func earlierJob(ctx context.Context, q *db.Queries, user people.User, t Transfer) (int64, error) {
	if err := q.DeleteOldIdempotencyKeys(ctx); err != nil {
		return 0, err
	}
	row, err := q.GetIdempotencyKey(ctx, db.GetIdempotencyKeyParams{UserID: user.ID, Key: t.IdempotencyKey})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if string(row.BodySha256) != string(t.hash()) {
		return 0, &Invalid{"Idempotency-Key", "the same key came with another request within 24 hours; use a new key for a new job"}
	}
	return row.JobID, nil
}

func (t Transfer) hash() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %q %q %v %v", t.Source, t.Destination, t.Studies, t.TrialProtocolID, t.TrialProtocolName, t.Urgent, t.MailWhenFinished)
	return h.Sum(nil)
}

func (t Transfer) validate(user people.User) error {
	switch {
	case len(t.Studies) == 0:
		return &Invalid{"studies", "name at least one study"}
	case len(t.Studies) > maxTasks:
		return &Invalid{"studies", fmt.Sprintf("a job has at most %d studies; make several jobs", maxTasks)}
	case len(t.Studies) > maxTasksOfNonStaff && !user.IsStaff:
		return &Invalid{"studies", fmt.Sprintf("a selective transfer has at most %d studies; use a batch transfer for more", maxTasksOfNonStaff)}
	}
	for field, value := range map[string]string{"trial_protocol_id": t.TrialProtocolID, "trial_protocol_name": t.TrialProtocolName} {
		if len(value) > 64 || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) {
			return &Invalid{field, "at most 64 characters, without a backslash or control characters"}
		}
	}
	seen := make(map[string]bool, len(t.Studies))
	for i, s := range t.Studies {
		field := fmt.Sprintf("studies[%d]", i)
		if err := s.validate(field); err != nil {
			return err
		}
		if seen[s.StudyInstanceUID] {
			return &Invalid{field, "this study is named twice; one study is one task"}
		}
		seen[s.StudyInstanceUID] = true
	}
	return nil
}

func (s Study) validate(field string) error {
	if !validUID(s.StudyInstanceUID) {
		return &Invalid{field + ".study_instance_uid", "not a DICOM UID: it must be numbers with dots between them, at most 64 characters"}
	}
	for _, uid := range s.SeriesInstanceUIDs {
		if !validUID(uid) {
			return &Invalid{field + ".series_instance_uids", "not a DICOM UID: it must be numbers with dots between them, at most 64 characters"}
		}
	}
	if len(s.PatientID) > 64 || strings.ContainsFunc(s.PatientID, badInExactKey) {
		return &Invalid{field + ".patient_id", "at most 64 characters, without *, ?, \\ or control characters"}
	}
	if s.Pseudonym != "" {
		return &Invalid{field + ".pseudonym", "this version can't pseudonymize yet; transfer without a pseudonym, or wait for a version with de-identification"}
	}
	return nil
}

func badInExactKey(r rune) bool { return r < ' ' || r == '*' || r == '?' || r == '\\' || r == 0x7f }

// validUID tells whether a UID has the form of PS3.5 9.1. Components with leading zeros, which some devices write, pass.
func validUID(uid string) bool {
	if uid == "" || len(uid) > 64 {
		return false
	}
	for part := range strings.SplitSeq(uid, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// transferNodes finds source and destination and asks whether the user may use them so.
func (e *Engine) transferNodes(ctx context.Context, user people.User, t Transfer) (source, destination int64, err error) {
	src, err := e.DICOMNodeByName(ctx, t.Source)
	if err != nil {
		return 0, 0, unknownNode(err, "source", t.Source)
	}
	dst, err := e.DICOMNodeByName(ctx, t.Destination)
	if err != nil {
		return 0, 0, unknownNode(err, "destination", t.Destination)
	}
	switch {
	case src.ID == dst.ID:
		return 0, 0, &Invalid{"destination", "source and destination are the same"}
	case src.Server == nil:
		return 0, 0, &Invalid{"source", "a folder can't be a source; choose a server"}
	case !src.Server.StudyRootFind && !src.Server.PatientRootFind:
		return 0, 0, &Invalid{"source", "this server doesn't support C-FIND, which a source needs"}
	case !src.Server.StudyRootGet && !src.Server.PatientRootGet:
		return 0, 0, &Invalid{"source", "this server doesn't support C-GET, the only retrieve method of this version"}
	case dst.Server != nil && !dst.Server.StoreScp:
		return 0, 0, &Invalid{"destination", "this server takes no objects: it doesn't support C-STORE"}
	}
	return src.ID, dst.ID, e.people.Check(ctx, user.ID, transferAction(src.ID, dst.ID, t.Urgent))
}

// transferAction is what somebody must be allowed to do for a transfer without pseudonyms.
func transferAction(source, destination int64, urgent bool) people.Action {
	a := people.Action{Permissions: []string{people.SelectiveTransfer, people.TransferUnpseudonymized}, Source: source, Destination: destination}
	if urgent {
		a.Permissions = append(a.Permissions, people.Urgent)
	}
	return a
}

func unknownNode(err error, field, name string) error {
	if errors.Is(err, ErrNotFound) {
		return &Invalid{field, fmt.Sprintf("there is no DICOM node named %q; `adit node list` shows the names", name)}
	}
	return err
}

// Job gives a job that the user owns or, as staff, may see. Others' jobs are ErrNotFound.
func (e *Engine) Job(ctx context.Context, user people.User, id int64) (Job, error) {
	row, err := e.q.GetJob(ctx, id)
	if err != nil {
		return Job{}, notFound(err, "job", id)
	}
	if row.Job.OwnerID != user.ID && !user.IsStaff {
		return Job{}, fmt.Errorf("job %d: %w", id, ErrNotFound)
	}
	return Job{Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination}, nil
}

// JobFilter chooses jobs for a list, newest first.
type JobFilter struct {
	Below  int64 // only jobs with an ID below; 0: from the newest
	Status string
	Limit  int
}

// Jobs lists the user's jobs, all jobs for staff.
func (e *Engine) Jobs(ctx context.Context, user people.User, f JobFilter) ([]Job, error) {
	p := db.ListJobsParams{Below: f.Below, Status: f.Status, Max: int32(f.Limit), OwnerID: user.ID}
	if user.IsStaff {
		p.OwnerID = 0
	}
	rows, err := e.q.ListJobs(ctx, p)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	for i, row := range rows {
		jobs[i] = Job{Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination}
	}
	return jobs, nil
}

// JobAction is something that can be done to a job (product.md: Jobs and tasks).
type JobAction string

// The actions and the states that allow them.
const (
	VerifyJob   JobAction = "verify"   // Unverified; staff
	DeleteJob   JobAction = "delete"   // Unverified or Pending, no task started
	CancelJob   JobAction = "cancel"   // Pending, In Progress
	ResumeJob   JobAction = "resume"   // Canceled
	RetryJob    JobAction = "retry"    // Failure
	RestartJob  JobAction = "restart"  // Canceled, Success, Warning, Failure; staff
	PauseJob    JobAction = "pause"    // Pending, In Progress
	ContinueJob JobAction = "continue" // paused
)

type jobRule struct {
	staff  bool
	states []string
	act    func(ctx context.Context, q *db.Queries, job db.Job) error
}

var jobRules = map[JobAction]jobRule{
	VerifyJob: {true, []string{Unverified}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.VerifyJob(ctx, job.ID) }},
	DeleteJob: {false, []string{Unverified, Pending}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.DeleteJob(ctx, job.ID) }},
	CancelJob: {false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.CancelJob(ctx, job.ID) }},
	ResumeJob: {false, []string{Canceled}, reopen(Canceled)},
	RetryJob:  {false, []string{Failure}, reopen(Failure)},
	RestartJob: {true, []string{Canceled, Success, Warning, Failure}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		return errors.Join(q.RestartTasks(ctx, job.ID), q.RecountJob(ctx, job.ID))
	}},
	PauseJob: {false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.Paused {
			return &Conflict{"the job is paused already"}
		}
		return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: true})
	}},
	ContinueJob: {false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if !job.Paused {
			return &Conflict{"the job isn't paused"}
		}
		return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: false})
	}},
}

func reopen(status string) func(context.Context, *db.Queries, db.Job) error {
	return func(ctx context.Context, q *db.Queries, job db.Job) error {
		n, err := q.ReopenTasks(ctx, db.ReopenTasksParams{JobID: job.ID, Status: status})
		if err != nil {
			return err
		}
		if n == 0 {
			return &Conflict{fmt.Sprintf("the job has no task whose status is %s", status)}
		}
		return q.RecountJob(ctx, job.ID)
	}
}

// ActOnJob does an action for the job's owner or staff. In a state that doesn't allow it, it changes nothing and returns
// *Conflict.
func (e *Engine) ActOnJob(ctx context.Context, user people.User, id int64, action JobAction) error {
	rule, ok := jobRules[action]
	if !ok {
		return &Invalid{"action", "unknown action"}
	}
	if _, err := e.Job(ctx, user, id); err != nil {
		return err
	}
	if rule.staff && !user.IsStaff {
		return &people.Denied{Reason: fmt.Sprintf("only staff may %s a job", action)}
	}
	var running []int64
	err := e.inTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if err != nil {
			return notFound(err, "job", id)
		}
		if err := allowed(string(action), "job", job.Status, rule.states); err != nil {
			return err
		}
		if action == DeleteJob && job.StartedAt != nil {
			return &Conflict{"a task of this job has started; cancel the job instead"}
		}
		if err := rule.act(ctx, q, job); err != nil {
			return err
		}
		running, err = q.RunningTasks(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "job changed", "job", id, "action", action, "user", user.ID)
	if action == CancelJob {
		e.signals.Cancel(running)
	} else {
		e.signals.Wake()
	}
	return nil
}

func allowed(action, what, status string, states []string) error {
	for _, s := range states {
		if s == status {
			return nil
		}
	}
	return &Conflict{fmt.Sprintf("the %s is %s; %s is possible only when it is %s", what, words(status), action, words(strings.Join(states, " or ")))}
}

func words(status string) string { return strings.ReplaceAll(status, "_", " ") }

// Since gives how long ago an instant was, in whole seconds, for people.
func since(t time.Time) time.Duration { return time.Since(t).Truncate(time.Second) }
