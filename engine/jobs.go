// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

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

// Job is a job as people see it.
type Job struct {
	db.Job
	Owner       string
	Source      string
	Destination string
	Project     string
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

// Job gives a job that the user owns or, as staff, may see. Others' jobs are ErrNotFound.
func (e *Engine) Job(ctx context.Context, user people.User, id int64) (Job, error) {
	row, err := e.q.GetJob(ctx, id)
	if err != nil {
		return Job{}, notFound(err, "job", id)
	}
	if row.Job.OwnerID != user.ID && !user.IsStaff {
		return Job{}, fmt.Errorf("job %d: %w", id, ErrNotFound)
	}
	return jobOf(row), nil
}

func jobOf(row db.GetJobRow) Job {
	return Job{Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project}
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
	rows, err := e.q.Planned().ListJobs(ctx, p)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	for i, row := range rows {
		jobs[i] = jobOf(db.GetJobRow(row))
	}
	return jobs, nil
}

// JobAction is something that can be done to a job (product.md: Jobs and tasks).
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
)

type jobRule struct {
	staff  bool
	states []string
	act    func(ctx context.Context, q *db.Queries, job db.Job) error
}

var jobRules = map[JobAction]jobRule{
	VerifyJob: {true, []string{Unverified}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.VerifyJob(ctx, job.ID) }},
	DeleteJob: {false, []string{Unverified, Pending}, func(ctx context.Context, q *db.Queries, job db.Job) error { return q.DeleteJob(ctx, job.ID) }},
	CancelJob: {false, []string{Pending, InProgress}, cancelJob},
	ResumeJob: {false, []string{Canceled}, reopen(Canceled)},
	RetryJob:  {false, []string{Failure, Warning}, reopen(Failure)},
	RestartJob: {true, []string{Canceled, Success, Warning, Failure}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		return errors.Join(q.RestartTasks(ctx, job.ID), q.StripJob(ctx, db.StripJobParams{ID: job.ID}), q.RecountJob(ctx, job.ID))
	}},
	PauseJob: {false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.Paused {
			return &Conflict{Reason: "the job is paused already"}
		}
		return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: true})
	}},
	ContinueJob: {false, []string{Pending, InProgress}, func(ctx context.Context, q *db.Queries, job db.Job) error {
		if !job.Paused {
			return &Conflict{Reason: "the job isn't paused"}
		}
		return q.PauseJob(ctx, db.PauseJobParams{ID: job.ID, Paused: false})
	}},
}

func reopen(status string) func(context.Context, *db.Queries, db.Job) error {
	return func(ctx context.Context, q *db.Queries, job db.Job) error {
		if job.Stripped != stripNothing {
			return &Conflict{Reason: "the job ended too long ago: what it has delivered is not known any more. " +
				"Make a new job for what is missing, or have staff restart this one, which sends everything again"}
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
			return &Conflict{Reason: "the job has no task " + what}
		}
		return q.RecountJob(ctx, job.ID)
	}
}

// mayAct refuses what the job's state doesn't allow. Staff may delete what has ended.
func mayAct(user people.User, rule jobRule, action JobAction, job db.Job) error {
	if action == DeleteJob && user.IsStaff && slices.Contains([]string{Canceled, Success, Warning, Failure}, job.Status) {
		return nil
	}
	if err := allowed(string(action), "job", job.Status, rule.states); err != nil {
		return err
	}
	if action == DeleteJob && job.StartedAt != nil {
		return &Conflict{Reason: "a task of this job has started; cancel the job instead"}
	}
	return nil
}

// ActOnJob does an action for the job's owner or staff. In a state that doesn't allow it, it changes nothing and returns
// *Conflict.
func (e *Engine) ActOnJob(ctx context.Context, user people.User, id int64, action JobAction) error {
	rule, ok := jobRules[action]
	if !ok {
		return &Invalid{Field: "action", Reason: "unknown action"}
	}
	seen, err := e.Job(ctx, user, id)
	if err != nil {
		return err
	}
	if rule.staff && !user.IsStaff {
		return &people.Denied{Reason: fmt.Sprintf("only staff may %s a job", action)}
	}
	var running []int64
	err = e.inTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if err != nil {
			return notFound(err, "job", id)
		}
		if err := mayAct(user, rule, action, job); err != nil {
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
	e.log.InfoContext(ctx, "job changed", "job", id, "action", action, "user", user.ID)
	switch action {
	case CancelJob:
		e.signals.Cancel(running)
	case PauseJob:
		e.signals.Steer()
	default:
		e.signals.Wake()
	}
	return nil
}

// Urgency is how a job stands in the row of all jobs. Nil fields stay as they are.
type Urgency struct {
	Urgent         *bool
	OutsideWindows *bool // an urgent job runs where the window is closed for jobs, within the default's cap
	Priority       *int  // 1 to 8; nil: that of the kind, when urgent changes
}

// SetUrgency changes where a job stands, for its owner or staff. What it may not be without a permission, it may not become.
func (e *Engine) SetUrgency(ctx context.Context, user people.User, id int64, u Urgency) error {
	seen, err := e.Job(ctx, user, id)
	if err != nil {
		return err
	}
	if u.Priority != nil && (*u.Priority < 1 || *u.Priority > 8) {
		return &Invalid{Field: "priority", Reason: "must be between 1 and 8; 8 comes first"}
	}
	if u.Priority != nil && !user.IsStaff {
		return &people.Denied{Reason: "only staff may set the priority of a job; set it urgent instead"}
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if err != nil {
			return notFound(err, "job", id)
		}
		if err := allowed("a change of urgency", "job", job.Status, []string{Unverified, Pending, InProgress}); err != nil {
			return err
		}
		p := u.apply(job)
		if p.OutsideWindows && !p.Urgent {
			return &Invalid{Field: "outside_windows", Reason: "only an urgent job may run outside the windows of its servers"}
		}
		if err := e.people.Check(ctx, user.ID, people.Action{Permissions: newRights(job, p)}); err != nil {
			return err
		}
		if err := q.SetUrgency(ctx, p); err != nil {
			return err
		}
		return recordJob(ctx, q, seen, "change", map[string]any{"urgent": p.Urgent, "outside_windows": p.OutsideWindows, "priority": p.Priority})
	})
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "urgency of a job changed", "job", id, "user", user.ID)
	e.reconsider()
	return nil
}

func (u Urgency) apply(job db.Job) db.SetUrgencyParams {
	p := db.SetUrgencyParams{ID: job.ID, Urgent: job.Urgent, OutsideWindows: job.OutsideWindows, Priority: job.Priority}
	if u.Urgent != nil && *u.Urgent != job.Urgent {
		p.Urgent = *u.Urgent
		p.Priority = prioritySelective
		if p.Urgent {
			p.Priority = prioritySelectiveUrgent
		}
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
	return &Conflict{Reason: fmt.Sprintf("the %s is %s; %s is possible only when it is %s", what, words(status), action, words(strings.Join(states, " or ")))}
}

func words(status string) string { return strings.ReplaceAll(status, "_", " ") }
