// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Task is a task as people see it.
type Task struct {
	db.Task
	Waiting      // of a pending task
	Days    Days // of the partition of a mass transfer; empty: the task is none
}

// MissingInstance is an instance that the source has and the destination did not acknowledge.
type MissingInstance struct {
	SOPInstanceUID string `json:"uid"`
	Status         uint16 `json:"status"` // the peer's DICOM status; 0: it gave none
	Reason         string `json:"reason"`
}

// Series is what became of a series of a task.
type Series struct {
	SeriesInstanceUID   string
	Expected, Delivered int
	Verified            int // at the destination, where it is asked
	Bytes               int64
	Missing             []MissingInstance // and what is unverified
}

// Task returns a task of a job that the user may see.
func (svc *Service) Task(ctx context.Context, user people.User, id int64) (Task, error) {
	row, err := svc.Q.GetTask(ctx, id)
	if err != nil {
		return Task{}, refusal.NotFound(err, "task", id)
	}
	job, err := svc.Get(ctx, user, row.JobID)
	if err != nil {
		return Task{}, fmt.Errorf("task %d: %w", id, refusal.ErrNotFound)
	}
	all, err := svc.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return Task{}, err
	}
	if !all && job.OwnerID != user.ID {
		row.Pseudonym = ""
	}
	tasks, err := svc.explain(ctx, job.OwnerID == user.ID, job, row)
	if err != nil {
		return Task{}, err
	}
	return tasks[0], nil
}

// TaskFilter chooses tasks of a job for a list.
type TaskFilter struct {
	Order  page.Order // by seq, status or ended_at
	Status string     // one, or several with commas; empty: any
	Seq    int        // only the task at this place in the job; 0: any
	Skip   int        // so many tasks of the order are left out before the first
	Limit  int
}

// Place returns the value of what a list is sorted by.
func (t Task) Place(by string) string {
	switch by {
	case "ended_at":
		return page.Time(t.EndedAt)
	case "status":
		return t.Status
	}
	return ""
}

// Tasks lists tasks of a job that the user may see.
func (svc *Service) Tasks(ctx context.Context, user people.User, jobID int64, f TaskFilter) ([]Task, error) {
	job, err := svc.Get(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	if !validPlace(f.Order) || f.Order.After > math.MaxInt32 {
		return nil, page.Unknown()
	}
	rows, err := svc.tasksOf(ctx, jobID, f)
	if err != nil {
		return nil, err
	}
	all, err := svc.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	if !all && job.OwnerID != user.ID {
		for i := range rows {
			rows[i].Pseudonym = ""
		}
	}
	return svc.explain(ctx, job.OwnerID == user.ID, job, rows...)
}

// tasksOf lists tasks of a job to whoever asks.
func (svc *Service) tasksOf(ctx context.Context, jobID int64, f TaskFilter) ([]db.Task, error) {
	p := db.ListTasksParams{
		JobID: jobID, Sort: f.Order.By, Down: f.Order.Down, Value: f.Order.Value,
		After: int32(f.Order.After), Seq: int32(f.Seq), Skip: int32(f.Skip), Max: int32(f.Limit),
	}
	p.Status, p.Statuses = statuses(f.Status)
	return svc.Q.Planned().ListTasks(ctx, p)
}

// TaskSeries returns what became of each series of a task that the user may see.
func (svc *Service) TaskSeries(ctx context.Context, user people.User, id int64) ([]Series, error) {
	if _, err := svc.Task(ctx, user, id); err != nil {
		return nil, err
	}
	return svc.SeriesOf(ctx, id)
}

// SeriesOf returns what became of each series of a task.
func (svc *Service) SeriesOf(ctx context.Context, id int64) ([]Series, error) {
	rows, err := svc.Q.ListTaskSeries(ctx, id)
	if err != nil {
		return nil, err
	}
	series := make([]Series, len(rows))
	for i, row := range rows {
		series[i] = Series{
			SeriesInstanceUID: row.SeriesUid, Expected: int(row.Expected),
			Delivered: int(row.Delivered), Verified: int(row.Verified), Bytes: row.Bytes,
		}
		if err := json.Unmarshal(row.Missing, &series[i].Missing); err != nil {
			return nil, fmt.Errorf("the summary of task %d is damaged: %w", id, err)
		}
	}
	return series, nil
}

// TaskLog returns lines of a task's log above an ID, oldest first. It is for staff.
func (svc *Service) TaskLog(
	ctx context.Context, user people.User, id, above int64, limit int,
) ([]db.ListTaskLogRow, error) {
	if _, err := svc.Task(ctx, user, id); err != nil {
		return nil, err
	}
	if !user.IsStaff {
		return nil, &people.Denied{Reason: "only staff may read the log of a task"}
	}
	return svc.Q.ListTaskLog(ctx, db.ListTaskLogParams{TaskID: id, Above: above, Max: int32(limit)})
}

// TaskAction is something that can be done to a single task.
type TaskAction string

// The actions and the states that allow them.
const (
	DeleteTask TaskAction = "delete" // Pending
	ResetTask  TaskAction = "reset"  // final states
	KillTask   TaskAction = "kill"   // In Progress; staff
)

// ActOnTask does an action for the owner of the task's job or staff.
func (svc *Service) ActOnTask(ctx context.Context, user people.User, id int64, action TaskAction) error {
	t, err := svc.Task(ctx, user, id)
	if err != nil {
		return err
	}
	if action == KillTask && !user.IsStaff {
		return &people.Denied{Reason: "only staff may kill a task"}
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, t.JobID)
		if err != nil {
			return refusal.NotFound(err, "task", id)
		}
		if action == ResetTask {
			if err := svc.People.Site.CheckOpen(ctx, user, job.Kind); err != nil {
				return err
			}
		}
		row, err := q.GetTask(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "task", id)
		}
		if err := actOnTask(ctx, q, job, row, action); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "task." + string(action), Object: fmt.Sprintf("task %d", id),
			PatientID: row.PatientID, StudyUID: row.StudyInstanceUid,
			Detail: map[string]any{"job": job.ID, "status": row.Status},
		})
	})
	if err != nil {
		return err
	}
	svc.Log.InfoContext(ctx, "task changed", "task", id, "action", action, "user", user.ID)
	if action == KillTask {
		svc.Signals.Cancel([]int64{id})
	} else {
		svc.Signals.Wake()
	}
	return nil
}

func actOnTask(ctx context.Context, q *db.Queries, job db.Job, row db.Task, action TaskAction) error {
	switch action {
	case KillTask:
		if err := allowed("kill", "task", row.Status, []string{InProgress}); err != nil {
			return err
		}
		return q.RequestTaskCancel(ctx, row.ID)
	case DeleteTask:
		if err := allowed("delete", "task", row.Status, []string{Pending}); err != nil {
			return err
		}
		if job.Kind == MassTransfer && row.StudyInstanceUid == "" {
			return &refusal.Conflict{Reason: "a day of a mass transfer can't be left out, since the job would end as if all " +
				"days were looked through; cancel the job, and make one of other days"}
		}
		if total(job) == 1 {
			return &refusal.Conflict{Reason: "this is the job's last task; delete the job instead"}
		}
		if err := q.DeleteTask(ctx, row.ID); err != nil {
			return err
		}
	case ResetTask:
		if err := allowed("reset", "task", row.Status, []string{Canceled, Success, Warning, Failure}); err != nil {
			return err
		}
		if job.Canceled && job.NRunning > 0 {
			return &refusal.Conflict{Reason: "the job is being canceled; wait until it has stopped"}
		}
		if err := q.ResetTask(ctx, row.ID); err != nil {
			return err
		}
	default:
		return &refusal.Invalid{Field: "action", Reason: "unknown action"}
	}
	return q.RecountJob(ctx, job.ID)
}

func total(j db.Job) int32 {
	return j.NPending + j.NRunning + j.NSuccess + j.NWarning + j.NFailure + j.NCanceled
}
