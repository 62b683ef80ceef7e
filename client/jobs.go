// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// CreateJob makes a job. With an idempotency key, any text of up to 255 characters, a second call with the same key and
// job within 24 hours gives the first one's job; without one the client makes a key for this call, so that it may be sent
// again where the server asks to try later.
func (c *Client) CreateJob(ctx context.Context, job NewJob, idempotencyKey string) (Job, error) {
	if idempotencyKey == "" {
		idempotencyKey = rand.Text()
	}
	var made Job
	return made, c.do(ctx, request{
		method: http.MethodPost, path: "/api/v1/jobs", body: job, repeatable: true,
		header: http.Header{"Idempotency-Key": {idempotencyKey}},
	}, &made)
}

// JobFilter chooses jobs.
type JobFilter struct {
	Status string // empty: any
	Limit  int    // jobs per page, at most 500; 50 by default
}

// Jobs lists jobs, newest first: one's own, all of them for staff.
func (c *Client) Jobs(ctx context.Context, f JobFilter) iter.Seq2[Job, error] {
	return list[Job](ctx, c, "/api/v1/jobs", filter(f.Status, f.Limit))
}

func filter(status string, limit int) url.Values {
	q := url.Values{}
	if status != "" {
		q.Set("status", status)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	return q
}

// Job gives a job.
func (c *Client) Job(ctx context.Context, id int64) (Job, error) {
	var job Job
	return job, c.do(ctx, get(jobPath(id), nil), &job)
}

func jobPath(id int64) string { return fmt.Sprintf("/api/v1/jobs/%d", id) }

// ActOnJob does an action and gives the job as it is then. In a status that doesn't allow it the *Problem's Status is 409.
func (c *Client) ActOnJob(ctx context.Context, id int64, action JobAction) (Job, error) {
	var job Job
	return job, c.do(ctx, request{method: http.MethodPost, path: jobPath(id) + ":" + url.PathEscape(string(action))}, &job)
}

// DeleteJob removes a job of which no task has started; staff may remove one that has ended, too.
func (c *Client) DeleteJob(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: jobPath(id)}, nil)
}

// TaskFilter chooses tasks of a job.
type TaskFilter struct {
	Status string // empty: any
	Limit  int    // tasks per page, at most 500; 50 by default
}

// Tasks lists the tasks of a job in their order.
func (c *Client) Tasks(ctx context.Context, jobID int64, f TaskFilter) iter.Seq2[Task, error] {
	return list[Task](ctx, c, jobPath(jobID)+"/tasks", filter(f.Status, f.Limit))
}

// Task gives a task with its series.
func (c *Client) Task(ctx context.Context, id int64) (Task, error) {
	var task Task
	return task, c.do(ctx, get(taskPath(id), nil), &task)
}

func taskPath(id int64) string { return fmt.Sprintf("/api/v1/tasks/%d", id) }

// TaskLog gives the lines of a task's log, oldest first. It is for staff.
func (c *Client) TaskLog(ctx context.Context, id int64) iter.Seq2[LogLine, error] {
	return list[LogLine](ctx, c, taskPath(id)+"/log", nil)
}

// ActOnTask does an action and gives the task as it is then.
func (c *Client) ActOnTask(ctx context.Context, id int64, action TaskAction) (Task, error) {
	var task Task
	return task, c.do(ctx, request{method: http.MethodPost, path: taskPath(id) + ":" + url.PathEscape(string(action))}, &task)
}

// DeleteTask removes a pending task that is not its job's last.
func (c *Client) DeleteTask(ctx context.Context, id int64) error {
	return c.do(ctx, request{method: http.MethodDelete, path: taskPath(id)}, nil)
}
