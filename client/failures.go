// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"io"
)

// FailureGroup is tasks of a job that failed, or have warnings, for the same reason.
type FailureGroup struct {
	Status      string    `json:"status" enum:"failure,warning" doc:"Status of the tasks." example:"failure"`
	Message     string    `json:"message" doc:"What happened, and what to do. N stands for a number and UID for UIDs in which the tasks differ." example:"N instances are missing at the destination: the source refused them (status A700H). A retry fetches only what is missing."`
	DICOMStatus string    `json:"dicom_status,omitempty" doc:"The DICOM status that a peer gave, four hexadecimal digits; absent if there is none." example:"A700"`
	Tasks       int       `json:"tasks" doc:"How many tasks." example:"5"`
	Missing     int64     `json:"missing" doc:"How many of their instances the destination has not acknowledged, as far as the source says what it has." example:"12"`
	RetryHelps  bool      `json:"retry_helps" doc:"Whether a retry of the job tries them again with a chance; false: nothing changes before somebody has done what the message says, or a retry leaves them out."`
	First       []TaskRef `json:"first" nullable:"false" doc:"The first of the tasks, at most 20."`
}

// TaskRef names a task.
type TaskRef struct {
	ID  int64 `json:"id" doc:"Number of the task." example:"1201"`
	Seq int   `json:"seq" doc:"Place within the job, from 1." example:"1"`
}

// JobCounts are numbers of jobs by status.
type JobCounts struct {
	Unverified int `json:"unverified" doc:"Jobs that wait until staff agrees." example:"0"`
	Pending    int `json:"pending" doc:"Jobs of which no task has started." example:"2"`
	InProgress int `json:"in_progress" doc:"Jobs that have started and not ended." example:"1"`
	Canceling  int `json:"canceling" doc:"Canceled jobs of which tasks still run." example:"0"`
	Canceled   int `json:"canceled" doc:"Jobs that were canceled." example:"3"`
	Success    int `json:"success" doc:"Jobs whose tasks all succeeded." example:"40"`
	Warning    int `json:"warning" doc:"Jobs with warnings, and no failure." example:"4"`
	Failure    int `json:"failure" doc:"Jobs with a task that failed." example:"1"`
}

// Total is the number of jobs.
func (c JobCounts) Total() int {
	return c.Unverified + c.Pending + c.InProgress + c.Canceling + c.Canceled + c.Success + c.Warning + c.Failure
}

// Failures tells why tasks of a job failed or have warnings, the most frequent reason first. more: there are more
// reasons than that.
func (c Jobs) Failures(ctx context.Context, id int64) (groups []FailureGroup, more bool, err error) {
	var page Page[FailureGroup]
	err = c.do(ctx, get(jobPath(id)+"/failures", nil), &page)
	return page.Items, page.Truncated, err
}

// FailedStudies writes, as CSV, the studies of a job's tasks that are in a status: failure, warning or canceled, or
// several with commas; failure if it is empty. `adit transfer --study @FILE` takes it.
func (c Jobs) FailedStudies(ctx context.Context, id int64, status string, w io.Writer) error {
	return c.copy(ctx, get(jobPath(id)+"/failed-studies", query(map[string]any{"status": status})), w)
}

// Count counts by status the jobs that List returns for a filter, whatever status it names.
func (c Jobs) Count(ctx context.Context, f JobFilter) (JobCounts, error) {
	var counts JobCounts
	q := f.query()
	q.Del("status")
	q.Del("sort")
	q.Del("limit")
	return counts, c.do(ctx, get("/api/v1/jobs:count", q), &counts)
}
