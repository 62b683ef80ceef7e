// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// scheduleRoutes are the routes of this file.
type scheduleRoutes struct{ *API }

const scheduleTag = "Schedule"

// scheduleBody has room for a hundred windows and a thousand holidays.
const scheduleBody = 256 << 10

// WorkerMember names members in a path.
type WorkerMember struct {
	Member string `path:"member" maxLength:"255" doc:"Name of the members of the cluster: that of the machine that they run on." example:"adit1"`
}

func (a *scheduleRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers:now", ID: "list-servers-now", Tag: scheduleTag,
		Summary: "Get what holds of all servers now",
		Description: "Shows of each server that the caller may use, as a source or a destination, what its schedule " +
			"allows now and until when, how many associations are in use, and whether it is paused or can't be " +
			"reached. There are no pages.",
	}, a.serversNow)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers/{name}/schedule", ID: "get-schedule", Editable: true,
		Summary: "Get the schedule of a server", Tag: scheduleTag,
		Errors: []int{404},
		Description: "Shows when a server may be used and by how many associations, and what holds right now: the " +
			"open window, what is in use, and when it opens for jobs again.",
	}, a.getSchedule)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/servers/{name}/schedule", ID: "set-schedule", Editable: true,
		Summary: "Set the schedule of a server", Tag: scheduleTag,
		Errors: []int{404}, Body: scheduleBody,
		Description: "Replaces the whole schedule. It holds at once: where a cap falls or a window closes, tasks " +
			"stop after the grace period and go on later.",
		Example: `{"default": {"batch": 1, "interactive": 2}, "windows": [{"weekdays": ["mon", "tue"], "from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin", "batch": 4, "interactive": 2}]}`,
	}, a.setSchedule)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers/{name}/schedule:preview", ID: "preview-schedule", Tag: scheduleTag,
		Errors: []int{404}, Body: scheduleBody,
		Summary: "Get what a schedule would mean now",
		Description: "Says of a schedule that is not saved what would hold now and next, how many running tasks would be " +
			"over the new cap, and how many would wait, and until when. Nothing is changed.",
		Example: `{"default": {"name": "day", "batch": 0, "interactive": 2}, "windows": [{"name": "night", "from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin", "batch": 4, "interactive": 2}]}`,
	}, func(ctx context.Context, user people.User, in *struct {
		NodeName
		Body client.Schedule
	},
	) (*route.Body[client.SchedulePreview], error) {
		var s schedule.Schedule
		if err := convert(in.Body, &s); err != nil {
			return nil, err
		}
		p, err := a.engine.Nodes.PreviewSchedule(ctx, user, in.Name, s)
		if err != nil {
			return nil, err
		}
		return route.Answer(view.SchedulePreview(p)), nil
	})
	for _, action := range []struct {
		name, summary, description string
		paused                     bool
	}{
		{
			"pause", "Pause a server",
			"Keeps jobs away from a server; tasks that run there stop at the next instance and go on later. " +
				"Searches are not affected.", true,
		},
		{
			"continue", "Continue a paused server",
			"Lets jobs use a paused server again; its waiting tasks go on where they stopped.", false,
		},
	} {
		route.Handle(a.routes, route.Operation{
			Method: http.MethodPost, Path: "/servers/{name}:" + action.name,
			ID: action.name + "-server", Summary: action.summary, Description: action.description, Tag: scheduleTag,
			Errors: []int{404, 409},
		}, func(ctx context.Context, user people.User, in *NodeName) (*route.Body[client.Server], error) {
			if err := a.engine.Nodes.PauseServer(ctx, user, in.Name, action.paused); err != nil {
				return nil, err
			}
			n, err := a.engine.Nodes.ByName(ctx, in.Name)
			if err != nil {
				return nil, err
			}
			return route.Answer(clientServer(n)), nil
		})
	}
	a.registerWorkers()
}

func (a *scheduleRoutes) registerWorkers() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/workers/{member}/schedule",
		ID: "get-workers", Editable: true, Tag: scheduleTag, Errors: []int{404},
		Summary: "Get how many tasks members run at once",
		Description: "Shows the schedule for the members of a name. If there is none (404), they run as many tasks " +
			"as they were started with.",
	}, a.getWorkers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/workers/{member}/schedule", ID: "set-workers", Editable: true,
		Tag: scheduleTag, Body: scheduleBody,
		Summary: "Set how many tasks members run at once",
		Description: "Replaces the schedule for the members of a name. It holds at once, and also for members that " +
			"start later under this name.",
		Example: `{"default": 2, "windows": [{"from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin", "workers": 8}]}`,
	}, a.setWorkers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/workers/{member}/schedule", ID: "delete-workers", Editable: true,
		Tag: scheduleTag, Status: http.StatusNoContent,
		Summary: "Drop the schedule of members",
		Description: "Lets the members of a name run as many tasks at once as they were started with. It succeeds " +
			"also if there was no schedule.",
	}, func(ctx context.Context, user people.User, in *struct {
		WorkerMember
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.engine.Lease.SetWorkers(ctx, user, in.Member, nil)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/jobs/{id}", ID: "change-job", Editable: true,
		Summary: "Change the place of a job in the queue", Tag: jobsTag,
		Errors: []int{404, 409},
		Description: "Makes a job urgent, lets it run outside the windows of its servers, or gives it another " +
			"priority. Tasks that run already are not touched.",
		Example: `{"urgent": true}`,
	}, func(ctx context.Context, user people.User, in *struct {
		JobID
		route.IfMatch
		Body client.JobChange
	},
	) (*route.Changed[client.Job], error) {
		if err := a.engine.Jobs.SetUrgency(ctx, user, in.ID, jobs.Urgency(in.Body)); err != nil {
			return nil, err
		}
		return jobOfVersion(a.engine.Jobs.Show(ctx, user, in.ID))
	})
}

func (a *scheduleRoutes) getSchedule(ctx context.Context, user people.User, in *getNode) (
	*route.Current[client.ServerSchedule], error,
) {
	s, err := a.engine.Nodes.Schedule(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	if s.Now.Down != "" && !user.IsStaff && !user.IsSuperuser {
		uses, err := a.people.Groups.NodeUses(ctx, user.ID)
		if err != nil {
			return nil, err
		}
		if uses[s.Now.ID] == (people.NodeUse{}) {
			s.Now.Down = "" // where it is, is not for everybody
		}
	}
	out, err := clientSchedule(s)
	if err != nil {
		return nil, err
	}
	return route.UnlessKnown(in.IfNoneMatch, s.Version(), out), nil
}

func (a *scheduleRoutes) setSchedule(ctx context.Context, user people.User, in *struct {
	NodeName
	route.IfMatch
	Body client.Schedule
},
) (*route.Changed[client.ServerSchedule], error) {
	var s schedule.Schedule
	if err := convert(in.Body, &s); err != nil {
		return nil, err
	}
	now, err := a.engine.Nodes.SetSchedule(ctx, user, in.Name, s)
	if err != nil {
		return nil, err
	}
	out, err := clientSchedule(now)
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(now.Version(), out), nil
}

// convert goes by the JSON form, which is the same on both sides.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return &refusal.Invalid{Field: "windows", Reason: err.Error()}
	}
	return nil
}

func clientSchedule(s nodes.ServerSchedule) (client.ServerSchedule, error) {
	out := client.ServerSchedule{ServerNow: view.ServerNow(s.Now)}
	if err := convert(s.Schedule, &out.Schedule); err != nil {
		return out, fmt.Errorf("the schedule can't be shown: %w", err)
	}
	return out, nil
}

func (a *scheduleRoutes) serversNow(ctx context.Context, user people.User, _ *struct{}) (
	*route.Body[client.Page[client.ServerNow]], error,
) {
	list, err := a.engine.Nodes.NowFor(ctx, user)
	if err != nil {
		return nil, err
	}
	out := client.Page[client.ServerNow]{Items: make([]client.ServerNow, 0, len(list))}
	for _, s := range list {
		out.Items = append(out.Items, view.ServerNow(s))
	}
	return route.Answer(out), nil
}

func (a *scheduleRoutes) getWorkers(ctx context.Context, _ people.User, in *struct {
	WorkerMember
	route.IfNoneMatch
},
) (*route.Current[client.WorkerSchedule], error) {
	w, err := a.engine.Lease.Workers(ctx, in.Member)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, fmt.Errorf("a schedule of workers for members named %q: %w", in.Member, refusal.ErrNotFound)
	}
	var out client.WorkerSchedule
	if err := convert(w, &out); err != nil {
		return nil, err
	}
	return route.UnlessKnown(in.IfNoneMatch, w.Version(), out), nil
}

func (a *scheduleRoutes) setWorkers(ctx context.Context, user people.User, in *struct {
	WorkerMember
	route.IfMatch
	Body client.WorkerSchedule
},
) (*route.Changed[client.WorkerSchedule], error) {
	var w schedule.Workers
	if err := convert(in.Body, &w); err != nil {
		return nil, err
	}
	if err := a.engine.Lease.SetWorkers(ctx, user, in.Member, &w); err != nil {
		return nil, err
	}
	return route.ChangedTo(w.Version(), in.Body), nil
}
