// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Create makes a job. With an idempotency key, any text of up to 255 characters, a second call with the same key and
// job within 24 hours gives the first one's job; without one the client makes a key for this call, so that it may be
// sent again where the server asks to try later.
func (c Jobs) Create(ctx context.Context, job NewJob, idempotencyKey string) (Job, error) {
	if idempotencyKey == "" {
		idempotencyKey = rand.Text()
	}
	var made Job
	return made, c.do(ctx, request{
		method: http.MethodPost, path: "/api/v1/jobs", body: job, repeatable: true,
		header: http.Header{"Idempotency-Key": {idempotencyKey}},
	}, &made)
}

// JobFilter chooses jobs. Empty fields match everything.
type JobFilter struct {
	Status                       string // one, or several with commas
	Kind                         string
	Source, Destination, Project string // names
	Owner                        string // username; another one's jobs are for staff
	Urgent, Paused               *bool
	Mine                         bool      // only one's own
	CreatedFrom, CreatedTo       time.Time // from the first one on, before the second
	// Sort is id, created_at, started_at, ended_at, priority or status, with "-" downwards; -id by default.
	Sort  string
	Limit int // jobs per page, at most 500; 50 by default
}

// List returns jobs, newest first: one's own, all of them for staff.
func (c Jobs) List(ctx context.Context, f JobFilter) iter.Seq2[Job, error] {
	return list[Job](ctx, c.caller, "/api/v1/jobs", f.query())
}

func (f JobFilter) query() url.Values {
	return query(map[string]any{
		"status": f.Status, "kind": f.Kind, "source": f.Source, "destination": f.Destination, "project": f.Project,
		"owner": f.Owner, "urgent": f.Urgent, "paused": f.Paused, "created_from": f.CreatedFrom,
		"created_to": f.CreatedTo, "sort": f.Sort, "limit": f.Limit, "mine": f.Mine,
	})
}

// Get returns a job.
func (c Jobs) Get(ctx context.Context, id int64) (Job, error) {
	var job Job
	return job, c.do(ctx, get(jobPath(id), nil), &job)
}

func jobPath(id int64) string { return fmt.Sprintf("/api/v1/jobs/%d", id) }

// Act does an action and gives the job as it is then. In a status that doesn't allow it the *Problem's Status is 409.
func (c Jobs) Act(ctx context.Context, id int64, action JobAction) (Job, error) {
	var job Job
	return job,
		c.do(ctx, request{method: http.MethodPost, path: jobPath(id) + ":" + url.PathEscape(string(action))}, &job)
}

// Delete removes a job of which no task has started; staff may remove one that has ended, too.
func (c Jobs) Delete(ctx context.Context, id int64, only ...Condition) error {
	return c.do(ctx, remove(jobPath(id)).only(only), nil)
}

// TaskFilter chooses tasks of a job.
type TaskFilter struct {
	Status string // one, or several with commas; empty: any
	Seq    int    // only the task at this place in the job; 0: any
	Skip   int    // so many tasks of the order are left out, at most 1,000,000
	Sort   string // seq, status or ended_at, with "-" downwards; seq by default
	Limit  int    // tasks per page, at most 500; 50 by default
}

// List returns the tasks of a job in their order.
func (c Tasks) List(ctx context.Context, jobID int64, f TaskFilter) iter.Seq2[Task, error] {
	return list[Task](ctx, c.caller, jobPath(jobID)+"/tasks", query(map[string]any{
		"status": f.Status, "seq": f.Seq, "skip": f.Skip, "sort": f.Sort, "limit": f.Limit,
	}))
}

// Get returns a task with its series.
func (c Tasks) Get(ctx context.Context, id int64) (Task, error) {
	var task Task
	return task, c.do(ctx, get(taskPath(id), nil), &task)
}

func taskPath(id int64) string { return fmt.Sprintf("/api/v1/tasks/%d", id) }

// Log returns the lines of a task's log, oldest first. It is for staff.
func (c Tasks) Log(ctx context.Context, id int64) iter.Seq2[LogLine, error] {
	return list[LogLine](ctx, c.caller, taskPath(id)+"/log", nil)
}

// Act does an action and gives the task as it is then.
func (c Tasks) Act(ctx context.Context, id int64, action TaskAction) (Task, error) {
	var task Task
	return task,
		c.do(ctx, request{method: http.MethodPost, path: taskPath(id) + ":" + url.PathEscape(string(action))}, &task)
}

// Delete removes a pending task that is not its job's last.
func (c Tasks) Delete(ctx context.Context, id int64) error {
	return c.do(ctx, remove(taskPath(id)), nil)
}
