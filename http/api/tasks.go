// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const tasksTag = "Tasks"

// TaskID names a task in a path.
type TaskID struct {
	ID int64 `path:"id" minimum:"1"`
}

type listTasks struct {
	JobID
	Paging
	Status string `query:"status" enum:"pending,in_progress,canceled,success,warning,failure" doc:"Only tasks in this status."`
}

type taskLog struct {
	TaskID
	Paging
}

func (a *API) registerTasks() {
	handle(a, operation{
		method: http.MethodGet, path: "/jobs/{id}/tasks", id: "list-tasks", summary: "List the tasks of a job in their order", tag: tasksTag,
		errors: []int{404},
	}, a.listTasks)
	handle(a, operation{
		method: http.MethodGet, path: "/tasks/{id}", id: "get-task", summary: "Get a task with what became of each series", tag: tasksTag,
		errors: []int{404},
	}, a.getTask)
	handle(a, operation{
		method: http.MethodGet, path: "/tasks/{id}/log", id: "get-task-log", summary: "Get the log of a task (staff)", tag: tasksTag,
		errors: []int{403, 404},
	}, a.taskLog)
	handle(a, operation{
		method: http.MethodDelete, path: "/tasks/{id}", id: "delete-task", summary: "Remove a pending task that is not its job's last", tag: tasksTag,
		status: http.StatusNoContent, errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *TaskID) (*none, error) {
		return nil, a.engine.ActOnTask(ctx, user, in.ID, engine.DeleteTask)
	})
	for action, summary := range map[engine.TaskAction]string{
		engine.ResetTask: "Do an ended task again",
		engine.KillTask:  "Stop a running task (staff)",
	} {
		handle(a, operation{
			method: http.MethodPost, path: "/tasks/{id}:" + string(action), id: string(action) + "-task", summary: summary, tag: tasksTag,
			errors: []int{403, 404, 409},
		}, func(ctx context.Context, user people.User, in *TaskID) (*body[client.Task], error) {
			if err := a.engine.ActOnTask(ctx, user, in.ID, action); err != nil {
				return nil, err
			}
			return a.getTask(ctx, user, in)
		})
	}
}

func (a *API) listTasks(ctx context.Context, user people.User, in *listTasks) (*body[client.Page[client.Task]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	tasks, err := a.engine.Tasks(ctx, user, in.ID, engine.TaskFilter{Above: int(above), Status: in.Status, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	return pageOf(tasks, in.Limit, clientTask, func(t engine.Task) int64 { return int64(t.Seq) }), nil
}

func (a *API) getTask(ctx context.Context, user people.User, in *TaskID) (*body[client.Task], error) {
	task, err := a.engine.Task(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	series, err := a.engine.TaskSeries(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := clientTask(task)
	for _, s := range series {
		out.Series = append(out.Series, clientSeries(s))
	}
	return &body[client.Task]{out}, nil
}

func (a *API) taskLog(ctx context.Context, user people.User, in *taskLog) (*body[client.Page[client.LogLine]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	lines, err := a.engine.TaskLog(ctx, user, in.ID, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.LogLine]{Items: make([]client.LogLine, 0, len(lines))}
	for i, l := range lines {
		if i == in.Limit {
			out.NextCursor, out.Truncated = strconv.FormatInt(lines[i-1].ID, 10), true
			break
		}
		out.Items = append(out.Items, client.LogLine{At: l.At, Line: l.Line})
	}
	return &body[client.Page[client.LogLine]]{out}, nil
}

func clientTask(t engine.Task) client.Task {
	return client.Task{
		ID: t.ID, JobID: t.JobID, Seq: int(t.Seq), Status: t.Status, WhyWaiting: t.WhyWaiting, Message: t.Message,
		StudyInstanceUID: t.StudyInstanceUid, SeriesInstanceUIDs: t.SeriesInstanceUids, PatientID: t.PatientID, Pseudonym: t.Pseudonym,
		Expected: int(t.Expected), Received: int(t.Received), Delivered: int(t.Delivered), Verified: int(t.Verified), Bytes: t.Bytes,
		Failures: int(t.Failures), Waits: int(t.Waits), CreatedAt: t.CreatedAt, StartedAt: t.StartedAt, EndedAt: t.EndedAt,
	}
}

func clientSeries(s engine.Series) client.Series {
	out := client.Series{
		SeriesInstanceUID: s.SeriesInstanceUID, Expected: s.Expected, Delivered: s.Delivered, Verified: s.Verified, Bytes: s.Bytes,
		Missing: make([]client.MissingInstance, 0, len(s.Missing)), Truncated: len(s.Missing) >= engine.MaxMissing,
	}
	for _, m := range s.Missing {
		missing := client.MissingInstance{SOPInstanceUID: m.SOPInstanceUID, Reason: m.Reason}
		if m.Status != 0 {
			missing.Status = fmt.Sprintf("%04X", m.Status)
		}
		out.Missing = append(out.Missing, missing)
	}
	return out
}
