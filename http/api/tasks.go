// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// tasksRoutes are the routes of this file.
type tasksRoutes struct{ *API }

const tasksTag = "Tasks"

// TaskID names a task in a path.
type TaskID struct {
	ID int64 `path:"id" minimum:"1" doc:"Number of the task." example:"1201"`
}

type listTasks struct {
	JobID
	route.Paging
	Sort   string   `query:"sort" enum:"seq,-seq,status,-status,ended_at,-ended_at" default:"seq" example:"-ended_at" doc:"What the list is sorted by; with - downwards. What has not ended counts as later than all that has."`
	Status []string `query:"status" enum:"pending,in_progress,canceled,success,warning,failure" example:"failure,warning" doc:"Only tasks in this status; or several with commas, in one of them."`
	Seq    int      `query:"seq" minimum:"1" maximum:"2147483647" example:"7" doc:"Only the task at this place in the job."`
	Skip   int      `query:"skip" minimum:"0" maximum:"1000000" example:"5000" doc:"So many tasks of the order are left out before the page begins, for a jump within a long list. Not together with cursor."`
}

type taskLog struct {
	TaskID
	route.Paging
}

func (a *tasksRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/tasks", ID: "list-tasks",
		Summary: "List the tasks of a job", Tag: tasksTag,
		Errors: []int{404},
		Description: "Shows the tasks in their order, each with its status, its counts, and what to do if it " +
			"failed. Filter by a status to see only those; skip jumps within a long list.",
	}, a.listTasks)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/tasks/{id}", ID: "get-task",
		Summary: "Get a task", Tag: tasksTag,
		Errors: []int{404},
		Description: "Shows a task with what became of each series, and which instances are missing at the " +
			"destination and why.",
	}, a.getTask)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/tasks/{id}/log", ID: "get-task-log",
		Summary: "Get the log of a task", Tag: tasksTag,
		Errors:      []int{403, 404},
		Description: "Shows what a task did, line by line, oldest first. It is kept for a limited time.",
	}, a.taskLog)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/tasks/{id}", ID: "delete-task",
		Summary: "Remove a task", Tag: tasksTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
		Description: "Removes a pending task from its job. The last task of a job can't be removed; remove the job " +
			"instead.",
	}, func(ctx context.Context, user people.User, in *TaskID) (*route.None, error) {
		return nil, a.engine.Jobs.ActOnTask(ctx, user, in.ID, jobs.DeleteTask)
	})
	for _, action := range []struct {
		name                 jobs.TaskAction
		summary, description string
	}{
		{
			jobs.ResetTask, "Do an ended task again",
			"Makes a task that has ended pending again, so that its study is sent as a whole. Its job is no longer " +
				"ended then.",
		},
		{
			jobs.KillTask, "Stop a running task",
			"Cancels a task that runs, between two instances. The other tasks of its job go on.",
		},
	} {
		route.Handle(a.routes, route.Operation{
			Method: http.MethodPost, Path: "/tasks/{id}:" + string(action.name),
			ID: string(action.name) + "-task", Summary: action.summary, Description: action.description, Tag: tasksTag,
			Errors: []int{404, 409},
		}, func(ctx context.Context, user people.User, in *TaskID) (*route.Body[client.Task], error) {
			if err := a.engine.Jobs.ActOnTask(ctx, user, in.ID, action.name); err != nil {
				return nil, err
			}
			return a.getTask(ctx, user, in)
		})
	}
}

func (a *tasksRoutes) listTasks(ctx context.Context, user people.User, in *listTasks) (
	*route.Body[client.Page[client.Task]], error,
) {
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	if in.Skip > 0 && in.Cursor != "" {
		return nil, &refusal.Invalid{
			Field: "skip", Reason: "a cursor says where the page begins; give either skip or cursor",
		}
	}
	tasks, err := a.engine.Jobs.Tasks(ctx, user, in.ID, jobs.TaskFilter{
		Order: o, Status: strings.Join(in.Status, ","), Seq: in.Seq, Skip: in.Skip, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return route.Ordered(
		tasks, in.Limit, o, view.Task, func(t jobs.Task) (string, int64) { return t.Place(o.By), int64(t.Seq) },
	), nil
}

func (a *tasksRoutes) getTask(ctx context.Context, user people.User, in *TaskID) (*route.Body[client.Task], error) {
	task, err := a.engine.Jobs.Task(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	series, err := a.engine.Jobs.TaskSeries(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := view.Task(task)
	for _, s := range series {
		out.Series = append(out.Series, view.Series(s))
	}
	return route.Answer(out), nil
}

func (a *tasksRoutes) taskLog(ctx context.Context, user people.User, in *taskLog) (
	*route.Body[client.Page[client.LogLine]], error,
) {
	above, err := in.After()
	if err != nil {
		return nil, err
	}
	lines, err := a.engine.Jobs.TaskLog(ctx, user, in.ID, above, in.Limit+1)
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
	return route.Answer(out), nil
}
