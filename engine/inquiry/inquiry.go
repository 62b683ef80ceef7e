// SPDX-License-Identifier: AGPL-3.0-or-later

// Package inquiry runs the tasks that only ask their source: from a claim over one association to the outcome.
package inquiry

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/engine/source"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes *nodes.Service
	lease *lease.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofLease *lease.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, lease: ofLease}
}

// Inquiry is what a task asks, and what becomes of the answers.
type Inquiry interface {
	// Load reads what is to be asked. It comes first.
	Load(ctx context.Context, of Of) error
	// Ask asks the source.
	Ask(ctx context.Context, line *Line) error
	// Found says what was found, and what has to be known about it, which makes the task a Warning.
	Found() (message string, remarks []string)
	// Grow adds tasks to the job, before the end of this one may end the job. It is called after a good end alone.
	Grow(ctx context.Context, q *db.Queries) error
	// Keep writes down what was found, in the transaction that ends the lease, and says what the audit log is to tell.
	Keep(ctx context.Context, q *db.Queries) (audit.Entry, error)
}

// Of is what an inquiry belongs to.
type Of struct {
	Task   db.Task
	Job    jobs.Job
	Source nodes.DICOMNode
}

// Line asks the source, over an association or by requests.
type Line struct {
	query.Asking
}

// Again opens a new association in place of one that the source has ended.
func (l *Line) Again(ctx context.Context) (err error) {
	l.Server.Abort()
	return l.Server.Begin(ctx)
}

// run is one run of a task: from its claim to its outcome.
type run struct {
	svc  *Service
	held lease.Held
	in   Inquiry
	of   Of
	slot *door.Slot

	loaded bool
	heard  atomic.Bool // the source has answered something
	down   *lease.Down
}

// Run asks the source of a claimed task, and gives the outcome that End writes down with what was found. It ends soon
// after the context does, whose cause is one of ErrCanceled, ErrParked and ErrFenced. An inquiry is short: a task that
// is told to stop comes to its end within the grace, or is begun anew.
func (svc *Service) Run(
	ctx context.Context, held lease.Held, signals *lease.StopSignals, in Inquiry,
) lease.Outcome {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer signals.Drop()
	go func() {
		select {
		case <-signals.Halted:
			cancel(fault.ErrParked)
		case <-ctx.Done():
		}
	}()
	r := &run{svc: svc, held: held, in: in}
	err := r.do(ctx)
	if cause := fault.Stopped(ctx); cause != nil {
		err = cause
	}
	o := r.outcome(err)
	if errors.Is(err, fault.ErrFenced) {
		r.giveBack(ctx)
	}
	return o
}

func (r *run) do(ctx context.Context) (err error) {
	if err := r.load(ctx); err != nil {
		return err
	}
	defer r.slot.End()
	line := &Line{query.Asking{Server: &source.Server{
		Node: r.of.Source, Peer: r.svc.nodes.Peer(r.of.Source), Slot: r.slot, Heard: &r.heard,
	}}}
	if err = line.Server.Begin(ctx); err == nil {
		if !nodes.AsksByWeb(r.of.Source.Server) { // a connection is no answer yet
			r.heard.Store(true)
		}
		if err = r.in.Ask(ctx, line); err == nil {
			line.Server.Release(ctx)
			return nil
		}
	}
	if fault.Stopped(ctx) == nil {
		r.down = lease.Asked{Node: r.of.Source, Heard: r.heard.Load(), Reads: true, Midway: true}.DownOf(err)
	}
	return err
}

// load reads the task, and checks that its owner still may do what it does.
func (r *run) load(ctx context.Context) error {
	row, err := r.svc.Q.LoadRun(ctx, db.LoadRunParams{TaskID: r.held.TaskID, Token: &r.held.Token})
	if err != nil {
		return err
	}
	r.of.Task, r.loaded = row.Task, true
	r.of.Job = jobs.Job{
		Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project,
	}
	if len(row.SlotIds) == 0 {
		return fault.ErrFenced // its slot is gone, so the lease is
	}
	r.slot = r.svc.Door.Slot(row.SlotIds[0], row.SlotServers[0])
	list, err := r.svc.nodes.ByIDs(ctx, *row.Job.SourceID)
	if err != nil {
		return err
	}
	r.of.Source = list[*row.Job.SourceID]
	if err := r.in.Load(ctx, r.of); err != nil {
		return err
	}
	action := jobs.ActionOf(
		row.Job.Kind, r.of.Source.ID, base.IDOf(row.Job.DestinationID), !jobs.Pseudonymized(row.Task, row.Job),
	)
	action.Project = row.Job.ProjectID
	return r.svc.People.Check(ctx, row.Job.OwnerID, action)
}

func (r *run) giveBack(ctx context.Context) {
	if r.slot == nil {
		return
	}
	if err := r.slot.Close(ctx); err != nil {
		r.svc.Log.WarnContext(ctx, "a slot could not be given back", "task", r.held.TaskID, "err", err)
	}
}

// outcome judges a run.
func (r *run) outcome(err error) lease.Outcome {
	o := lease.Outcome{
		Held: r.held, Task: r.rowBefore, LookedUp: true, Write: r.writeEnd, GiveBack: r.giveBack,
		Fail: func(o *lease.Outcome, message string) { r.svc.lease.CountFailure(o, r.of.Task, message) },
		Over: func(bool) {},
	}
	switch {
	case errors.Is(err, fault.ErrFenced):
		o.Status = jobs.Pending // nobody will write it down
	case errors.Is(err, fault.ErrCanceled):
		o.Status = jobs.Canceled
		if revoked, ok := errors.AsType[*lease.RevokedError](err); ok {
			o.Message = fault.Sentence(revoked)
		}
	case errors.Is(err, fault.ErrParked):
		o.Status, o.WaitingReason = jobs.Pending, "stopped, and asks again later"
	case err != nil:
		r.svc.lease.JudgeError(&o, r.of.Task, r.down, err)
	default:
		message, remarks := r.in.Found()
		o.Status, o.Message, o.Brought = jobs.Success, message, true
		if len(remarks) > 0 {
			o.Status, o.Message = jobs.Warning, strings.Join(append(remarks, message), " ")
		}
		o.Grow = r.in.Grow
	}
	if r.of.Source.Server != nil {
		o.Servers = []lease.Tested{{Node: r.of.Source, Well: r.heard.Load() && o.Down == nil && !o.Waited && !o.Failed}}
	}
	return o
}

func (r *run) rowBefore(ctx context.Context, q *db.Queries) (db.Task, error) {
	if !r.loaded {
		return q.GetTask(ctx, r.held.TaskID)
	}
	return r.of.Task, nil
}

// writeEnd keeps what was found, in the transaction that ends the lease, and leaves a row in the audit log.
func (r *run) writeEnd(ctx context.Context, q *db.Queries, ended lease.Outcome) error {
	line := fmt.Sprintf("%s: %s", ended.Status, ended.Message)
	if ended.Status == jobs.Pending {
		line = fmt.Sprintf("%s: %s; next attempt in %s", ended.Status, ended.WaitingReason, ended.Wait)
	}
	if ended.LogLine != "" {
		line += " [" + ended.LogLine + "]"
	}
	if err := q.AppendTaskLog(ctx, db.AppendTaskLogParams{TaskID: r.held.TaskID, Line: line}); err != nil {
		return err
	}
	if ended.Status != jobs.Success && ended.Status != jobs.Warning {
		return nil
	}
	e, err := r.in.Keep(ctx, q)
	if err != nil {
		return err
	}
	e.Action, e.Object, e.Source = audit.ActSearch, fmt.Sprintf("task %d", r.held.TaskID), r.of.Source.Name
	e.Detail["job"], e.Detail["project"] = r.of.Job.ID, r.of.Job.Project
	ctx = audit.WithActor(ctx, audit.Actor{UserID: r.of.Job.OwnerID, Username: r.of.Job.Owner, Via: audit.ViaSystem})
	return audit.Record(ctx, q, e)
}
