// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// Task is a task as people see it.
type Task struct {
	db.Task
	WhyWaiting string // for a pending task, in words
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

// Task gives a task of a job that the user may see.
func (e *Engine) Task(ctx context.Context, user people.User, id int64) (Task, error) {
	row, err := e.q.GetTask(ctx, id)
	if err != nil {
		return Task{}, notFound(err, "task", id)
	}
	job, err := e.Job(ctx, user, row.JobID)
	if err != nil {
		return Task{}, fmt.Errorf("task %d: %w", id, ErrNotFound)
	}
	all, err := e.seesPseudonyms(ctx, user, job)
	if err != nil {
		return Task{}, err
	}
	if !all && job.OwnerID != user.ID {
		row.Pseudonym = ""
	}
	return e.explain(ctx, user, job, row)
}

// TaskFilter chooses tasks of a job for a list, in the order of their rows.
type TaskFilter struct {
	Above  int // only tasks with a sequence number above
	Status string
	Limit  int
}

// Tasks lists tasks of a job that the user may see.
func (e *Engine) Tasks(ctx context.Context, user people.User, jobID int64, f TaskFilter) ([]Task, error) {
	job, err := e.Job(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	rows, err := e.q.Planned().ListTasks(ctx, db.ListTasksParams{JobID: jobID, Above: int32(f.Above), Status: f.Status, Max: int32(f.Limit)})
	if err != nil {
		return nil, err
	}
	all, err := e.seesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	tasks := make([]Task, len(rows))
	for i, row := range rows {
		if !all && job.OwnerID != user.ID {
			row.Pseudonym = ""
		}
		if tasks[i], err = e.explain(ctx, user, job, row); err != nil {
			return nil, err
		}
	}
	return tasks, nil
}

// TaskSeries gives what became of each series of a task that the user may see.
func (e *Engine) TaskSeries(ctx context.Context, user people.User, id int64) ([]Series, error) {
	if _, err := e.Task(ctx, user, id); err != nil {
		return nil, err
	}
	return e.taskSeries(ctx, id)
}

func (e *Engine) taskSeries(ctx context.Context, id int64) ([]Series, error) {
	rows, err := e.q.ListTaskSeries(ctx, id)
	if err != nil {
		return nil, err
	}
	series := make([]Series, len(rows))
	for i, row := range rows {
		series[i] = Series{SeriesInstanceUID: row.SeriesUid, Expected: int(row.Expected), Delivered: int(row.Delivered), Verified: int(row.Verified), Bytes: row.Bytes}
		if err := json.Unmarshal(row.Missing, &series[i].Missing); err != nil {
			return nil, fmt.Errorf("the summary of task %d is damaged: %w", id, err)
		}
	}
	return series, nil
}

// TaskLog gives lines of a task's log above an ID, oldest first. It is for staff.
func (e *Engine) TaskLog(ctx context.Context, user people.User, id, above int64, limit int) ([]db.ListTaskLogRow, error) {
	if _, err := e.Task(ctx, user, id); err != nil {
		return nil, err
	}
	if !user.IsStaff {
		return nil, &people.Denied{Reason: "only staff may read the log of a task"}
	}
	return e.q.ListTaskLog(ctx, db.ListTaskLogParams{TaskID: id, Above: above, Max: int32(limit)})
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
func (e *Engine) ActOnTask(ctx context.Context, user people.User, id int64, action TaskAction) error {
	t, err := e.Task(ctx, user, id)
	if err != nil {
		return err
	}
	if action == KillTask && !user.IsStaff {
		return &people.Denied{Reason: "only staff may kill a task"}
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, t.JobID)
		if err != nil {
			return notFound(err, "task", id)
		}
		row, err := q.GetTask(ctx, id)
		if err != nil {
			return notFound(err, "task", id)
		}
		if err := actOnTask(ctx, q, job, row, action); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{
			Action: "task." + string(action), Object: fmt.Sprintf("task %d", id), PatientID: row.PatientID, StudyUID: row.StudyInstanceUid,
			Detail: map[string]any{"job": job.ID, "status": row.Status},
		})
	})
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "task changed", "task", id, "action", action, "user", user.ID)
	if action == KillTask {
		e.signals.Cancel([]int64{id})
	} else {
		e.signals.Wake()
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
		if total(job) == 1 {
			return &Conflict{Reason: "this is the job's last task; delete the job instead"}
		}
		if err := q.DeleteTask(ctx, row.ID); err != nil {
			return err
		}
	case ResetTask:
		if err := allowed("reset", "task", row.Status, []string{Canceled, Success, Warning, Failure}); err != nil {
			return err
		}
		if job.Canceled && job.NRunning > 0 {
			return &Conflict{Reason: "the job is being canceled; wait until it has stopped"}
		}
		if err := q.ResetTask(ctx, row.ID); err != nil {
			return err
		}
	default:
		return &Invalid{Field: "action", Reason: "unknown action"}
	}
	return q.RecountJob(ctx, job.ID)
}

func total(j db.Job) int32 {
	return j.NPending + j.NRunning + j.NSuccess + j.NWarning + j.NFailure + j.NCanceled
}
