// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

const scheduleTag = "Schedule"

// scheduleBody has room for a hundred windows and a thousand holidays.
const scheduleBody = 256 << 10

// WorkerNode names nodes in a path.
type WorkerNode struct {
	Node string `path:"node" maxLength:"255" doc:"Name of the nodes, as the machine that they run on is called."`
}

func (a *API) registerSchedule() {
	handle(a, operation{
		method: http.MethodGet, path: "/servers/{name}/schedule", id: "get-schedule", summary: "Get a server's schedule and what holds now", tag: scheduleTag,
		errors: []int{404},
	}, a.getSchedule)
	handle(a, operation{
		method: http.MethodPut, path: "/servers/{name}/schedule", id: "set-schedule", summary: "Change a server's schedule (staff)", tag: scheduleTag,
		errors: []int{400, 403, 404, 413}, body: scheduleBody,
	}, a.setSchedule)
	for _, action := range []struct {
		name, summary string
		paused        bool
	}{
		{"pause", "Keep jobs away from a server; what runs there stops and goes on later (staff)", true},
		{"continue", "Let jobs use a paused server again (staff)", false},
	} {
		handle(a, operation{
			method: http.MethodPost, path: "/servers/{name}:" + action.name, id: action.name + "-server", summary: action.summary, tag: scheduleTag,
			errors: []int{403, 404, 409},
		}, func(ctx context.Context, user people.User, in *NodeName) (*body[client.Server], error) {
			if err := a.engine.PauseServer(ctx, user, in.Name, action.paused); err != nil {
				return nil, err
			}
			n, err := a.engine.DICOMNodeByName(ctx, in.Name)
			if err != nil {
				return nil, err
			}
			return &body[client.Server]{clientServer(n)}, nil
		})
	}
	handle(a, operation{
		method: http.MethodGet, path: "/workers/{node}/schedule", id: "get-workers", tag: scheduleTag, errors: []int{404},
		summary: "Get how many tasks the nodes of a name run at once; not found: as many as they were started with (staff)",
	}, a.getWorkers)
	handle(a, operation{
		method: http.MethodPut, path: "/workers/{node}/schedule", id: "set-workers", tag: scheduleTag, errors: []int{400, 403, 413}, body: scheduleBody,
		summary: "Change how many tasks the nodes of a name run at once (staff)",
	}, a.setWorkers)
	handle(a, operation{
		method: http.MethodDelete, path: "/workers/{node}/schedule", id: "delete-workers", tag: scheduleTag, errors: []int{403}, status: http.StatusNoContent,
		summary: "Let the nodes of a name run as many tasks at once as they were started with (staff)",
	}, func(ctx context.Context, user people.User, in *WorkerNode) (*none, error) {
		return nil, a.engine.SetWorkers(ctx, user, in.Node, nil)
	})
	handle(a, operation{
		method: http.MethodPatch, path: "/jobs/{id}", id: "change-job", summary: "Change where a job stands in the row of all jobs", tag: jobsTag,
		errors: []int{400, 403, 404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		JobID
		Body client.JobChange
	},
	) (*body[client.Job], error) {
		if err := a.engine.SetUrgency(ctx, user, in.ID, engine.Urgency(in.Body)); err != nil {
			return nil, err
		}
		return a.getJob(ctx, user, &in.JobID)
	})
}

func (a *API) getSchedule(ctx context.Context, _ people.User, in *NodeName) (*body[client.ServerSchedule], error) {
	s, err := a.engine.Schedule(ctx, in.Name)
	if err != nil {
		return nil, err
	}
	return clientSchedule(s)
}

func (a *API) setSchedule(ctx context.Context, user people.User, in *struct {
	NodeName
	Body client.Schedule
},
) (*body[client.ServerSchedule], error) {
	var s schedule.Schedule
	if err := convert(in.Body, &s); err != nil {
		return nil, err
	}
	out, err := a.engine.SetSchedule(ctx, user, in.Name, s)
	if err != nil {
		return nil, err
	}
	return clientSchedule(out)
}

// convert goes by the JSON form, which is the same on both sides.
func convert(from, to any) error {
	text, err := json.Marshal(from)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, to); err != nil {
		return &engine.Invalid{Field: "windows", Reason: err.Error()}
	}
	return nil
}

func clientSchedule(s engine.ServerSchedule) (*body[client.ServerSchedule], error) {
	out := client.ServerSchedule{
		Now: s.Now, TimeZone: s.Zone, InForce: client.Limits(s.State.Limits), Window: s.State.Window + 1, Until: instant(s.State.Until), Paused: s.Paused, Down: s.Down,
		Takes: s.Takes, NextProbe: instant(s.NextProbe), BatchInUse: s.BatchInUse, InteractiveInUse: s.LiveInUse,
	}
	if s.State.Batch == 0 {
		out.Opens = instant(s.Opens)
	}
	if err := convert(s.Schedule, &out.Schedule); err != nil {
		return nil, fmt.Errorf("the schedule can't be shown: %w", err)
	}
	return &body[client.ServerSchedule]{out}, nil
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func (a *API) getWorkers(ctx context.Context, _ people.User, in *WorkerNode) (*body[client.WorkerSchedule], error) {
	w, err := a.engine.Workers(ctx, in.Node)
	if err != nil {
		return nil, err
	}
	if w == nil {
		return nil, fmt.Errorf("a schedule of workers for nodes named %q: %w", in.Node, engine.ErrNotFound)
	}
	var out client.WorkerSchedule
	if err := convert(w, &out); err != nil {
		return nil, err
	}
	return &body[client.WorkerSchedule]{out}, nil
}

func (a *API) setWorkers(ctx context.Context, user people.User, in *struct {
	WorkerNode
	Body client.WorkerSchedule
},
) (*body[client.WorkerSchedule], error) {
	var w schedule.Workers
	if err := convert(in.Body, &w); err != nil {
		return nil, err
	}
	if err := a.engine.SetWorkers(ctx, user, in.Node, &w); err != nil {
		return nil, err
	}
	return a.getWorkers(ctx, user, &in.WorkerNode)
}

func engineRules(r client.Rules) engine.Rules {
	rules := engine.Rules{
		MaxPDU: r.MaxPDU, MinStudyAge: time.Duration(r.MinStudyAge) * time.Second, OfflinePatience: time.Duration(r.OfflinePatience) * time.Second,
		RefusedSOPClasses: r.RefusedSOPClasses, Duplicates: r.Duplicates, IgnoreCounts: r.IgnoreCounts,
		FallbackCharset: r.FallbackCharset,
	}
	if r.YoungStudy != nil {
		rules.YoungStudy = new(time.Duration(*r.YoungStudy) * time.Second)
	}
	return rules
}

// clientRules leaves out what is as it is by default.
func clientRules(r engine.Rules) client.Rules {
	out := client.Rules{MinStudyAge: int(r.MinStudyAge / time.Second), IgnoreCounts: r.IgnoreCounts, FallbackCharset: r.FallbackCharset}
	if r.MaxPDU != engine.DefaultMaxPDU {
		out.MaxPDU = r.MaxPDU
	}
	if r.YoungStudy != nil && *r.YoungStudy != engine.DefaultYoungStudy {
		out.YoungStudy = new(int(*r.YoungStudy / time.Second))
	}
	if r.Duplicates != engine.SendDuplicates {
		out.Duplicates = r.Duplicates
	}
	if r.OfflinePatience != engine.DefaultOfflinePatience {
		out.OfflinePatience = int(r.OfflinePatience / time.Second)
	}
	if len(r.RefusedSOPClasses) > 0 {
		out.RefusedSOPClasses = r.RefusedSOPClasses
	}
	return out
}
