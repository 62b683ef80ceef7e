// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// Statuses of jobs and tasks (docs/GLOSSARY.md). Tasks know Pending, InProgress and the four final ones.
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

// Job is a job as people see it.
type Job struct {
	db.Job
	Owner       string
	Source      string
	Destination string
	Project     string
	Sums
	Outlook
}

// Sums are what the tasks of a job have done together.
type Sums struct {
	Expected, Received, Delivered int64   // instances; expected of the tasks that have looked at the source
	Bytes                         int64   // delivered
	TasksDone                     float64 // that have ended, with the parts of those that run
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

// Version changes with what people may change about a job, and with its end: nobody removes a job that somebody has
// restarted meanwhile.
func (j Job) Version() string {
	return version.Of(j.ID, j.Urgent, j.OutsideWindows, j.Priority, j.Paused, j.Canceled, j.EndedAt)
}

// ended counts the tasks that have ended.
func (j Job) ended() int32 { return j.NSuccess + j.NWarning + j.NFailure + j.NCanceled }

// Done reports whether nothing of the job waits or runs.
func (j Job) Done() bool { return j.NPending+j.NRunning == 0 }

// Get returns a job that the user owns or, as staff, may see. Others' jobs are ErrNotFound.
func (svc *Service) Get(ctx context.Context, user people.User, id int64) (Job, error) {
	row, err := svc.Q.GetJob(ctx, id)
	if err != nil {
		return Job{}, refusal.NotFound(err, "job", id)
	}
	if row.Job.OwnerID != user.ID && !user.IsStaff {
		return Job{}, fmt.Errorf("job %d: %w", id, refusal.ErrNotFound)
	}
	return JobOf(row), nil
}

// Show returns a job as Get does, with its outlook.
func (svc *Service) Show(ctx context.Context, user people.User, id int64) (Job, error) {
	job, err := svc.Get(ctx, user, id)
	if err != nil {
		return Job{}, err
	}
	jobs := []Job{job}
	if err := svc.lookAhead(ctx, func(j Job) bool { return j.OwnerID == user.ID }, jobs); err != nil {
		return Job{}, err
	}
	return jobs[0], nil
}

// JobOf returns the job of a row.
func JobOf(row db.GetJobRow) Job {
	j := row.Job
	return Job{
		Job: j, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project,
		Sums: Sums{
			Expected: j.SumExpected + row.RunExpected, Received: j.SumReceived + row.RunReceived,
			Delivered: j.SumDelivered + row.RunDelivered, Bytes: j.SumBytes + row.RunBytes,
			TasksDone: float64(Job{Job: j}.ended()) + row.RunDone,
		},
	}
}

// JobFilter chooses jobs for a list. Empty fields match everything.
type JobFilter struct {
	Order                        page.Order // by id, created_at, started_at, ended_at, priority or status
	Status                       string     // one, or several with commas
	Kind                         string
	Source, Destination, Project string // names, in any case of letters
	Owner                        string // name, in any case of letters; another's is for staff
	Mine                         bool   // only the user's own, which are all that others than staff see
	Urgent, Paused               *bool
	CreatedFrom, CreatedTo       time.Time // from the first one on, before the second
	Limit                        int
}

// List lists the user's jobs, all jobs for staff, each with its outlook. It asks as often for many as for one.
func (svc *Service) List(ctx context.Context, user people.User, f JobFilter) ([]Job, error) {
	if !validPlace(f.Order) {
		return nil, page.Unknown()
	}
	p, none, err := svc.params(ctx, user, f)
	if none || err != nil {
		return nil, err
	}
	rows, err := svc.Q.Planned().ListJobs(ctx, p)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	for i, row := range rows {
		jobs[i] = JobOf(db.GetJobRow(row))
	}
	return jobs, svc.lookAhead(ctx, func(j Job) bool { return j.OwnerID == user.ID }, jobs)
}

// params asks for the jobs of a filter. none: there is nothing of a name that it gives, and so no job.
func (svc *Service) params(
	ctx context.Context, user people.User, f JobFilter,
) (p db.ListJobsParams, none bool, err error) {
	p = db.ListJobsParams{
		Sort: f.Order.By, Down: f.Order.Down, Value: f.Order.Value, After: f.Order.After,
		OwnerID: user.ID, Kind: f.Kind, Urgent: f.Urgent, Paused: f.Paused,
		CreatedFrom: given(f.CreatedFrom), CreatedTo: given(f.CreatedTo), Max: int32(f.Limit),
	}
	p.Status, p.Statuses = statuses(f.Status)
	if user.IsStaff && !f.Mine {
		p.OwnerID = 0
	}
	mine := p.OwnerID
	if none, err = svc.named(ctx, user, f, &p); none || err != nil {
		return p, none, err
	}
	return p, f.Mine && p.OwnerID != mine, nil
}

// named looks up what a filter names. none: there is nothing of such a name, and so no job.
func (svc *Service) named(
	ctx context.Context, user people.User, f JobFilter, p *db.ListJobsParams,
) (none bool, err error) {
	if f.Owner != "" && !strings.EqualFold(f.Owner, user.Username) && !user.IsStaff {
		return false, &people.Denied{Reason: "only staff may list the jobs of others"}
	}
	for _, n := range []struct {
		name string
		id   *int64
		find func(context.Context, string) (int64, error)
	}{
		{f.Source, &p.SourceID, svc.nodeNamed},
		{f.Destination, &p.DestinationID, svc.nodeNamed},
		{f.Project, &p.ProjectID, func(ctx context.Context, name string) (int64, error) {
			row, err := svc.Q.GetProjectByName(ctx, name)
			return row.Project.ID, err
		}},
		{f.Owner, &p.OwnerID, func(ctx context.Context, name string) (int64, error) {
			u, err := svc.Q.UserByName(ctx, name)
			return u.ID, err
		}},
	} {
		if n.name == "" {
			continue
		}
		switch *n.id, err = n.find(ctx, n.name); {
		case errors.Is(err, pgx.ErrNoRows):
			return true, nil
		case err != nil:
			return false, err
		}
	}
	return false, nil
}

func (svc *Service) nodeNamed(ctx context.Context, name string) (int64, error) {
	n, err := svc.Q.GetDicomNodeByName(ctx, name)
	return n.ID, err
}

// validPlace reports whether the value of a place is of the kind that the list is sorted by.
func validPlace(o page.Order) bool {
	switch o.By {
	case "created_at", "started_at", "ended_at":
		return o.After == 0 || page.IsTime(o.Value)
	case "priority":
		_, err := strconv.ParseInt(o.Value, 10, 16)
		return o.After == 0 || err == nil
	}
	return true
}

// statuses returns a status of a filter, or those of several.
func statuses(filter string) (one string, several []string) {
	if strings.Contains(filter, ",") {
		return "", strings.Split(filter, ",")
	}
	return filter, nil
}

// given turns a time that is not named into nothing.
func given(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Place returns the value of what a list is sorted by.
func (j Job) Place(by string) string {
	switch by {
	case "created_at":
		return page.Time(&j.CreatedAt)
	case "started_at":
		return page.Time(j.StartedAt)
	case "ended_at":
		return page.Time(j.EndedAt)
	case "priority":
		return strconv.Itoa(int(j.Priority))
	case "status":
		return j.Status
	}
	return ""
}

// JobAction is something that can be done to a job (docs/states.md).
type JobAction string

// The actions and the states that allow them.
const (
	VerifyJob   JobAction = "verify"   // Unverified; staff
	DeleteJob   JobAction = "delete"   // Unverified or Pending, no task started; staff: final ones too
	CancelJob   JobAction = "cancel"   // Pending, In Progress
	ResumeJob   JobAction = "resume"   // Canceled
	RetryJob    JobAction = "retry"    // Failure, Warning: what failed; what is unverified is verified again
	RestartJob  JobAction = "restart"  // Canceled, Success, Warning, Failure; staff
	PauseJob    JobAction = "pause"    // Pending, In Progress
	ContinueJob JobAction = "continue" // paused
	BeginJob    JobAction = "begin"    // a dry run that has ended: what it found is transferred
)

type jobRule struct {
	staff  bool
	begins bool // it sets something going, which nobody but staff does while the job's section is locked
	states []string
	act    func(ctx context.Context, q *db.Queries, job db.Job) error
}

var jobRules = map[JobAction]jobRule{
	VerifyJob: {true, true, []string{Unverified}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.VerifyJob(ctx, job.ID) }},
	DeleteJob: {false, false, []string{Unverified, Pending}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.DeleteJob(ctx, job.ID) }},
	CancelJob: {false, false, []string{Pending, InProgress}, cancelJob},
	ResumeJob: {false, true, []string{Canceled}, reopen(Canceled)},
	RetryJob:  {false, true, []string{Failure, Warning}, reopen(Failure)},
	RestartJob: {
		true, true,
		[]string{Canceled, Success, Warning, Failure},
		func(ctx context.Context, q *db.Queries, job db.Job) error {
			if err := stillKnown(job); err != nil {
				return err
			}
			return errors.Join(
				restartMass(ctx, q, job), q.RestartTasks(ctx, job.ID), q.StripJob(ctx, db.StripJobParams{ID: job.ID}),
				q.RestartArchive(ctx, job.ID), q.RecountJob(ctx, job.ID),
			)
		},
	},
	BeginJob: {false, true, []string{Success, Warning, Failure}, beginMass},
	PauseJob: {false, false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.Paused {
			return &refusal.Conflict{Reason: "the job is already paused"}
		}
		return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: true})
	}},
	ContinueJob: {
		false, true,
		[]string{Pending, InProgress},
		func(ctx context.Context, q *db.Queries, job db.Job) error {
			return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: false})
		},
	},
}

// stillKnown refuses to begin a batch query anew that has forgotten whom it asked for.
func stillKnown(job db.Job) error {
	if job.Kind == BatchQuery && job.ErasedAt != nil {
		return &refusal.Conflict{
			Reason: "the batch query ended too long ago: what its rows asked for is no longer known. Make a new one of the file",
		}
	}
	return nil
}

func reopen(status string) func(context.Context, *db.Queries, db.Job) error {
	return func(ctx context.Context, q *db.Queries, job db.Job) error {
		if err := stillKnown(job); err != nil {
			return err
		}
		if job.Stripped != stripNothing {
			return &refusal.Conflict{
				Reason: "the job ended too long ago: what it delivered is no longer known. " +
					"Make a new job for what is missing, or ask staff to restart this one, which sends everything again",
			}
		}
		n, err := q.ReopenTasks(ctx, db.ReopenTasksParams{JobID: job.ID, Status: status})
		if err != nil {
			return err
		}
		if err := q.ResumeVerifications(ctx, job.ID); err != nil {
			return err
		}
		what := "whose status is " + status
		if status == Failure {
			unverified, err := q.ReopenVerifications(ctx, job.ID)
			if err != nil {
				return err
			}
			n, what = n+unverified, "that failed or is unverified"
		}
		if n == 0 {
			return &refusal.Conflict{Reason: "the job has no task " + what}
		}
		return q.RecountJob(ctx, job.ID)
	}
}

// mayAct refuses what the job's state doesn't allow. Staff may delete what has ended.
func mayAct(user people.User, rule jobRule, action JobAction, job db.Job) error {
	if action == DeleteJob && user.IsStaff &&
		slices.Contains([]string{Canceled, Success, Warning, Failure}, job.Status) {
		return nil
	}
	if action == ContinueJob && !job.Paused {
		return &refusal.Conflict{Reason: "the job is not paused"}
	}
	if err := allowed(string(action), "job", job.Status, rule.states); err != nil {
		return err
	}
	if action == DeleteJob && job.StartedAt != nil {
		return &refusal.Conflict{Reason: "a task of this job has already started; cancel the job instead"}
	}
	return nil
}

// Act does an action for the job's owner or staff. In a state that doesn't allow it, it changes nothing and returns
// *Conflict.
func (svc *Service) Act(ctx context.Context, user people.User, id int64, action JobAction) error {
	rule, ok := jobRules[action]
	if !ok {
		return &refusal.Invalid{Field: "action", Reason: "unknown action"}
	}
	seen, err := svc.Get(ctx, user, id)
	if err != nil {
		return err
	}
	if rule.staff && !user.IsStaff {
		return &people.Denied{Reason: fmt.Sprintf("only staff may %s a job", action)}
	}
	if rule.begins {
		if err := svc.People.Site.CheckOpen(ctx, user, seen.Kind); err != nil {
			return err
		}
	}
	var running []int64
	err = svc.InTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "job", id)
		}
		if err := cmp.Or(
			mayAct(user, rule, action, job), version.Check(ctx, Job{Job: job}.Version()),
		); err != nil {
			return err
		}
		if err := rule.act(ctx, q, job); err != nil {
			return err
		}
		if err := recordJob(ctx, q, seen, string(action), map[string]any{"status": job.Status}); err != nil {
			return err
		}
		running, err = q.RunningTasks(ctx, id)
		return err
	})
	if err != nil {
		return err
	}
	svc.Log.InfoContext(ctx, "job changed", "job", id, "action", action, "user", user.ID)
	switch action {
	case CancelJob:
		svc.Signals.Cancel(running)
	case PauseJob:
		svc.Signals.Steer()
	default:
		svc.Signals.Wake()
	}
	return nil
}

// Urgency is how a job stands in the row of all jobs. Nil fields stay as they are.
type Urgency struct {
	Urgent         *bool
	OutsideWindows *bool // an urgent job runs where the window is closed for jobs, within the default's cap
	Priority       *int  // 1 to 8; nil: that of the kind, when urgent changes
}

// SetUrgency changes where a job stands, for its owner or staff. What it may not be without a permission, it may not
// become.
func (svc *Service) SetUrgency(ctx context.Context, user people.User, id int64, u Urgency) error {
	seen, err := svc.Get(ctx, user, id)
	if err != nil {
		return err
	}
	if u.Priority != nil && (*u.Priority < 1 || *u.Priority > 8) {
		return &refusal.Invalid{Field: "priority", Reason: "must be between 1 and 8; 8 is the highest"}
	}
	if u.Priority != nil && !user.IsStaff {
		return &people.Denied{Reason: "only staff may set the priority of a job; set it urgent instead"}
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "job", id)
		}
		if err := version.Check(ctx, Job{Job: job}.Version()); err != nil {
			return err
		}
		if err := allowed(
			"a change of urgency", "job", job.Status, []string{Unverified, Pending, InProgress},
		); err != nil {
			return err
		}
		p := u.apply(job)
		if p.OutsideWindows && !p.Urgent {
			return &refusal.Invalid{
				Field: "outside_windows", Reason: "only an urgent job may run outside the windows of its servers",
			}
		}
		rights := newRights(job, p)
		if err := svc.People.Check(ctx, user.ID, people.Action{Permissions: rights}); err != nil {
			return err
		}
		if len(rights) > 0 {
			if err := svc.People.Site.CheckOpen(ctx, user, job.Kind); err != nil {
				return err
			}
		}
		if err := q.SetUrgency(ctx, p); err != nil {
			return err
		}
		return recordJob(ctx, q, seen, "change", map[string]any{
			"urgent": p.Urgent, "outside_windows": p.OutsideWindows, "priority": p.Priority,
		})
	})
	if err != nil {
		return err
	}
	svc.Log.InfoContext(ctx, "urgency of a job changed", "job", id, "user", user.ID)
	svc.Reconsider()
	return nil
}

func (u Urgency) apply(job db.Job) db.SetUrgencyParams {
	p := db.SetUrgencyParams{ID: job.ID, Urgent: job.Urgent, OutsideWindows: job.OutsideWindows, Priority: job.Priority}
	if u.Urgent != nil && *u.Urgent != job.Urgent {
		p.Urgent, p.Priority = *u.Urgent, priorityOf(job.Kind, *u.Urgent)
		p.OutsideWindows = p.OutsideWindows && p.Urgent
	}
	if u.OutsideWindows != nil {
		p.OutsideWindows = *u.OutsideWindows
	}
	if u.Priority != nil {
		p.Priority = int16(*u.Priority)
	}
	return p
}

// newRights are the permissions that a change needs.
func newRights(job db.Job, p db.SetUrgencyParams) (permissions []string) {
	if p.Urgent && !job.Urgent {
		permissions = append(permissions, people.Urgent)
	}
	if p.OutsideWindows && !job.OutsideWindows {
		permissions = append(permissions, people.UrgentOutsideWindows)
	}
	return permissions
}

func allowed(action, what, status string, states []string) error {
	if slices.Contains(states, status) {
		return nil
	}
	return &refusal.Conflict{Reason: fmt.Sprintf(
		"the %s is %s; %s is possible only when it is %s", what,
		fault.Words(status), action, fault.Words(strings.Join(states, " or ")),
	)}
}

// How far the clean-up is with a job that ended (jobs.stripped).
const (
	stripNothing    = 0
	LedgerGoes      = 1 // it is removed; nothing can be retried any more
	LedgerGone      = 2
	JobGoes         = 3 // it is removed, a part at a time, and isn't shown any more
	StripBatch      = 100
	RemoveTaskBatch = 100 // with all that belongs to them
)
