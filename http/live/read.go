// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/people"
)

const (
	waitPace   = 10 * time.Second // after which a job that has not ended is read again: why it waits may be different
	serverPace = 2 * time.Second
	statsDays  = 30
)

// reading is one look at everything that is to be read.
type reading struct {
	*Hub
	jobs  map[bool]map[int64]jobs.Job // as their owners see them, and as others do
	lines map[bool]map[int64]line     // of jobs
	tasks map[group]map[int64]jobs.Task
	now   []nodes.ServerNow // all servers, if some are told of
}

// group is those tasks of a job that are seen alike.
type group struct {
	job   int64
	sight jobs.Sight
}

// read returns what is to be told of topics, in their order: jobs by one statement for all of them, tasks by a few for
// each job.
func (h *Hub) read(ctx context.Context, list []look) ([]found, error) {
	r := reading{
		Hub: h, jobs: map[bool]map[int64]jobs.Job{}, lines: map[bool]map[int64]line{true: {}, false: {}},
		tasks: map[group]map[int64]jobs.Task{},
	}
	if err := r.readJobs(ctx, list); err != nil {
		return nil, err
	}
	all := make([]found, len(list))
	for i, l := range list {
		var err error
		if all[i], err = r.one(ctx, l); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readJobs reads all jobs, and then all tasks, that topics tell of.
func (r *reading) readJobs(ctx context.Context, list []look) error {
	wanted := map[bool]map[int64]struct{}{true: {}, false: {}}
	tasks := map[group][]int64{}
	for _, l := range list {
		k := l.topic.key
		switch k.kind {
		case ofJob:
			wanted[k.sight.Own][k.id] = struct{}{}
			g := group{k.id, k.sight}
			tasks[g] = append(tasks[g], l.changed...)
		case ofTask:
			wanted[k.sight.Own][k.job] = struct{}{}
			g := group{k.job, k.sight}
			tasks[g] = append(tasks[g], k.id)
		case ofJobs:
			for _, id := range l.changed {
				wanted[k.user != 0][id] = struct{}{}
			}
		case ofServer, ofServers, ofStats, ofMe:
		}
	}
	for own, ids := range wanted {
		if len(ids) == 0 {
			continue
		}
		var err error
		if r.jobs[own], err = r.engine.Jobs.Watched(ctx, slices.Collect(maps.Keys(ids)), own); err != nil {
			return err
		}
	}
	for g, ids := range tasks {
		job, there := r.jobs[g.sight.Own][g.job]
		if !there || len(ids) == 0 {
			continue
		}
		var err error
		if r.tasks[g], err = r.engine.Jobs.WatchedTasks(ctx, job, g.sight, ids); err != nil {
			return err
		}
	}
	return nil
}

// one returns what is to be told of a topic.
func (r *reading) one(ctx context.Context, l look) (found, error) {
	k := l.topic.key
	switch k.kind {
	case ofJob:
		return r.job(l)
	case ofTask:
		return r.task(k)
	case ofJobs:
		return r.list(ctx, l)
	case ofStats:
		s, err := r.engine.Housekeeping.Stats(ctx, l.topic.user, statsDays)
		if err != nil {
			return found{}, err
		}
		return state("stats", view.Stats(s), time.Minute)
	case ofMe:
		p, err := r.people.Users.Profile(ctx, l.topic.user)
		if err != nil {
			return found{}, err
		}
		return state("me", view.Me(p), 0)
	case ofServer, ofServers:
		return r.servers(ctx, l.topic)
	}
	return found{}, fmt.Errorf("nothing is known of the topic %s", k.name())
}

// servers returns what holds of servers now. Much of it changes by the hour, or with what other members do, and nothing
// tells that: it is read as long as somebody watches. The time of the reading is no news.
func (r *reading) servers(ctx context.Context, t *topic) (found, error) {
	if r.now == nil {
		all, err := r.engine.Nodes.Now(ctx)
		if err != nil {
			return found{}, err
		}
		r.now = all
	}
	if t.key.kind == ofServer {
		i := slices.IndexFunc(r.now, func(s nodes.ServerNow) bool { return s.ID == t.key.id })
		if i < 0 {
			return gone("Server", t.key.id), nil
		}
		s := view.ServerNow(r.now[i])
		return timeless("server", s, func() any { s.Now = time.Time{}; return s })
	}
	shown := make([]client.ServerNow, 0, len(r.now))
	uses := map[int64]people.NodeUse{}
	if t.key.user != 0 {
		var err error
		if uses, err = r.people.Groups.NodeUses(ctx, t.key.user); err != nil {
			return found{}, err
		}
	}
	for _, s := range r.now {
		if _, may := uses[s.ID]; may || t.key.user == 0 {
			shown = append(shown, view.ServerNow(s))
		}
	}
	return timeless("servers", shown, func() any {
		for i := range shown {
			shown[i].Now = time.Time{}
		}
		return shown
	})
}

// timeless returns the state of servers, which is the same as another one if it is so without the time.
func timeless(member string, value any, without func() any) (found, error) {
	f, err := state(member, value, serverPace)
	if err != nil {
		return f, err
	}
	f.same, err = json.Marshal(without())
	return f, err
}

func (r *reading) job(l look) (found, error) {
	k := l.topic.key
	job, err := r.line(k.id, k.sight.Own)
	if job.text == nil || err != nil {
		return gone("Job", k.id), err
	}
	f := found{
		state: append([]byte(`,"job":`), job.text...), again: waitingPace(r.jobs[k.sight.Own][k.id]),
		same: strconv.AppendInt(bytes.Clone(job.text), job.revision, 10), rows: make(map[int64]line, len(l.changed)),
	}
	for _, id := range l.changed {
		t, there := r.tasks[group{k.id, k.sight}][id]
		if !there {
			f.rows[id] = line{}
			continue
		}
		text, err := json.Marshal(view.Task(t))
		if err != nil {
			return f, err
		}
		f.rows[id] = line{text: text}
	}
	return f, nil
}

func (r *reading) task(k key) (found, error) {
	t, there := r.tasks[group{k.job, k.sight}][k.id]
	if !there {
		return gone("Task", k.id), nil
	}
	again := time.Duration(0)
	if t.Status == jobs.Pending {
		again = waitPace
	}
	return state("task", view.Task(t), again)
}

// list returns changed rows of the list of jobs, and then, if somebody waits for it, its first state.
func (r *reading) list(ctx context.Context, l look) (f found, err error) {
	owner := l.topic.key.user
	f.rows = map[int64]line{}
	for _, id := range l.changed {
		job, there := r.jobs[owner != 0][id]
		_, removed := l.removed[id]
		if owner != 0 && (there && job.OwnerID != owner || !there && !removed) {
			continue
		}
		if f.rows[id], err = r.line(id, owner != 0); err != nil {
			return f, err
		}
	}
	if !l.newcome {
		return f, nil
	}
	list, err := r.engine.Jobs.List(ctx, l.topic.user, jobs.JobFilter{
		Status: jobs.Unverified + "," + jobs.Pending + "," + jobs.InProgress + "," + jobs.Canceling,
		Order:  page.Order{By: "id", Down: true}, Limit: maxFirst + 1,
	})
	if err != nil {
		return f, err
	}
	more := len(list) > maxFirst
	shown := make([]client.Job, 0, len(list))
	for _, j := range list[:min(len(list), maxFirst)] {
		shown = append(shown, view.Job(j))
	}
	text, err := json.Marshal(shown)
	f.list = append([]byte(`,"jobs":`), text...)
	if more {
		f.list = append(f.list, `,"reload":true`...)
	}
	return f, err
}

// line returns a job as JSON; without text: it is gone.
func (r *reading) line(id int64, own bool) (line, error) {
	job, there := r.jobs[own][id]
	if !there {
		return line{}, nil
	}
	if known, read := r.lines[own][id]; read {
		return known, nil
	}
	text, err := json.Marshal(view.Job(job))
	now := line{text, job.Job.Version}
	r.lines[own][id] = now
	return now, err
}

// state returns the state of a topic that is one member of an event.
func state(member string, value any, again time.Duration) (found, error) {
	text, err := json.Marshal(value)
	return found{state: append([]byte(`,"`+member+`":`), text...), again: again}, err
}

func gone(what string, id int64) found {
	return found{gone: &problem.New(http.StatusNotFound, fmt.Sprintf("%s %d is not there any more.", what, id)).Problem}
}

// waitingPace says after which time a job is to be read though nothing of it has changed.
func waitingPace(j jobs.Job) time.Duration {
	if j.Done() {
		return 0
	}
	return waitPace
}
