// SPDX-License-Identifier: AGPL-3.0-or-later

package batchquery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
)

// run is one run of a task: from its claim to its outcome.
type run struct {
	svc    *Service
	held   lease.Held
	row    db.Task
	job    jobs.Job
	query  db.Query
	source nodes.DICOMNode
	slot   *door.Slot

	loaded  bool
	heard   bool // the source has answered something
	found   []found
	remarks []string // what has to be known: the task is a Warning
	down    *lease.Down
}

// Run asks the source of a claimed task for what its row describes, and gives the outcome that End writes down with
// what was found. It ends soon after the context does, whose cause is one of ErrCanceled, ErrParked and ErrFenced.
// A query is short: a task that is told to stop comes to its end within the grace, or is begun anew.
func (svc *Service) Run(ctx context.Context, held lease.Held, signals *lease.StopSignals) lease.Outcome {
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
	r := &run{svc: svc, held: held}
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
	peer := r.svc.nodes.Peer(r.source)
	a, err := r.slot.Open(ctx, peer, query.Contexts(r.source))
	if err == nil {
		r.heard = true
		asking := &asking{Asking: query.Asking{A: a, Node: r.source}, of: r.query}
		r.found, r.remarks, err = asking.ask(ctx)
		if err == nil {
			_ = a.Release(ctx) // it ends in any case
			return nil
		}
	}
	if fault.Stopped(ctx) == nil {
		r.down = lease.Asked{Node: r.source, Heard: r.heard, Reads: true, Midway: true}.DownOf(err)
	}
	return err
}

// load reads the task, and checks that its owner still may do what it does.
func (r *run) load(ctx context.Context) error {
	row, err := r.svc.Q.LoadRun(ctx, db.LoadRunParams{TaskID: r.held.TaskID, Token: &r.held.Token})
	if err != nil {
		return err
	}
	r.row, r.loaded = row.Task, true
	r.job = jobs.Job{Job: row.Job, Owner: row.Owner, Source: row.Source, Project: row.Project}
	if len(row.SlotIds) == 0 {
		return fault.ErrFenced // its slot is gone, so the lease is
	}
	r.slot = r.svc.Door.Slot(row.SlotIds[0], row.SlotServers[0])
	if r.query, err = r.svc.Q.GetQuery(ctx, r.held.TaskID); err != nil {
		return err
	}
	list, err := r.svc.nodes.ByIDs(ctx, *row.Job.SourceID)
	if err != nil {
		return err
	}
	r.source = list[*row.Job.SourceID]
	action := jobs.ActionOf(jobs.BatchQuery, r.source.ID, 0, false)
	action.Project = r.job.ProjectID
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

// outcome judges a run: a patient whom the source doesn't know, or knows as somebody else, is a failure; finding
// nothing of a known one is not.
func (r *run) outcome(err error) lease.Outcome {
	o := lease.Outcome{
		Held: r.held, Task: r.rowBefore, LookedUp: true, Write: r.writeEnd, GiveBack: r.giveBack,
		Fail:    func(o *lease.Outcome, message string) { r.svc.lease.CountFailure(o, r.row, message) },
		Over:    func(bool) {},
		Brought: len(r.found) > 0,
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
		r.svc.lease.JudgeError(&o, r.row, r.down, err)
	default:
		o.Status, o.Message = jobs.Success, r.tally()
		if len(r.remarks) > 0 {
			o.Status, o.Message = jobs.Warning, strings.Join(append(r.remarks, o.Message), " ")
		}
	}
	if r.source.Server != nil {
		o.Servers = []lease.Tested{{Node: r.source, Well: r.heard && o.Down == nil && !o.Waited && !o.Failed}}
	}
	return o
}

func (r *run) rowBefore(ctx context.Context, q *db.Queries) (db.Task, error) {
	if !r.loaded {
		return q.GetTask(ctx, r.held.TaskID)
	}
	return r.row, nil
}

// tally says what was found.
func (r *run) tally() string {
	studies, series := map[string]bool{}, 0
	for _, f := range r.found {
		studies[f.Study] = true
		if f.Series != "" {
			series++
		}
	}
	count := func(n int, one, many string) string {
		if n == 1 {
			return "1 " + one
		}
		return fmt.Sprintf("%d %s", n, many)
	}
	switch {
	case len(r.found) == 0:
		return "Nothing found."
	case series > 0:
		return fmt.Sprintf("%s of %s found.", count(series, "series", "series"), count(len(studies), "study", "studies"))
	}
	return count(len(studies), "study", "studies") + " found."
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
	if err := q.DeleteResults(ctx, r.held.TaskID); err != nil {
		return err
	}
	if len(r.found) > 0 {
		text, err := json.Marshal(r.found)
		if err != nil {
			return err
		}
		if err := q.InsertResults(ctx, r.held.JobID, r.held.TaskID, text); err != nil {
			return err
		}
	}
	ctx = audit.WithActor(ctx, audit.Actor{UserID: r.job.OwnerID, Username: r.job.Owner, Via: audit.ViaSystem})
	return audit.Record(ctx, q, audit.Entry{
		Action: audit.ActSearch, Object: fmt.Sprintf("task %d", r.held.TaskID), Source: r.source.Name,
		PatientID: r.query.PatientID,
		Detail:    map[string]any{"job": r.job.ID, "project": r.job.Project, "keys": keysOf(r.query), "found": len(r.found)},
	})
}

// keysOf names what a query asks for, for the audit log.
func keysOf(q db.Query) map[string]string {
	keys := map[string]string{}
	for name, value := range map[string]string{
		"patient_id": q.PatientID, "patient_name": q.PatientName, "patient_birth_date": q.PatientBirthDate,
		"accession_number": q.AccessionNumber, "study_date_from": q.StudyDateFrom, "study_date_to": q.StudyDateTo,
		"modality": strings.Join(q.Modalities, ","), "study_description": q.StudyDescription,
		"series_description": q.SeriesDescription, "series_number": jobs.Joined(q.SeriesNumbers, ","),
	} {
		if value != "" {
			keys[name] = value
		}
	}
	return keys
}
