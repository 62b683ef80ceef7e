// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/retrieve"
)

// load reads what the task is about, and asks again whether its owner may do it.
func (r *run) load(ctx context.Context) error {
	row, err := r.svc.Q.LoadRun(ctx, db.LoadRunParams{TaskID: r.Held.TaskID, Token: &r.Held.Token})
	if err != nil {
		return err
	}
	r.Row, r.LoadedAt, r.LoadedOn = row.Task, row.Now, time.Now()
	r.Job = jobs.Job{
		Job: row.Job, Owner: row.Owner, Source: row.Source, Destination: row.Destination, Project: row.Project,
	}
	for i, id := range row.SlotIds {
		r.Slots = append(r.Slots, r.svc.Door.Slot(id, row.SlotServers[i]))
	}
	if err := r.readLedger(ctx, row.Delivered); err != nil {
		return err
	}
	nodes, err := r.svc.nodes.ByIDs(ctx, *row.Job.SourceID, *row.Job.DestinationID)
	if err != nil {
		return err
	}
	r.Src, r.Dst = nodes[*row.Job.SourceID], nodes[*row.Job.DestinationID]
	action := jobs.ActionOf(r.Job.Kind, r.Src.ID, r.Dst.ID, !jobs.Pseudonymized(r.Row, r.Job.Job))
	action.Project = r.Job.ProjectID
	if err := r.svc.People.Check(ctx, row.Job.OwnerID, action); err != nil {
		return err
	}
	if err := r.methods.ChooseMethods(); err != nil || !row.Verifying {
		return err
	}
	return r.openVerification(ctx)
}

// readLedger reads what earlier runs of the task delivered, and what they missed. It comes before anything that may end
// the run, so that what is known is told whatever happens.
func (r *run) readLedger(ctx context.Context, written bool) error {
	var rows []db.DeliveredRow
	if written {
		var err error
		if rows, err = r.svc.Q.Delivered(ctx, r.Held.TaskID); err != nil {
			return err
		}
	}
	r.Instances = evidence.NewInstances(r.Row.StudyInstanceUid, r.Row.SeriesInstanceUids)
	r.Instances.Book(rows)
	if r.Row.Expected > 0 {
		series, err := r.svc.jobs.SeriesOf(ctx, r.Held.TaskID)
		if err != nil {
			return err
		}
		for _, s := range series {
			r.Instances.Remember(s.SeriesInstanceUID, s.Missing)
		}
	}
	if len(r.Row.Rejected) > len("{}") {
		if err := json.Unmarshal(r.Row.Rejected, &r.Instances.Notes.Rejected); err != nil {
			return fmt.Errorf("the stored rejections of task %d are damaged: %w", r.Held.TaskID, err)
		}
	}
	for _, d := range rows {
		r.Progress.Bytes.Add(d.Bytes)
	}
	r.Before = int32(len(rows))
	r.Progress.Delivered.Store(r.Before)
	r.Progress.Received.Store(r.Before)
	r.Progress.Expected.Store(r.Row.Expected)
	r.verdict.loaded = true
	return nil
}

// openDelivery lets the receiver know of this run, if it may need to. The function returned ends that.
func (r *run) openDelivery(ctx context.Context) (end func()) {
	if !slices.Contains(r.methods.List, nodes.MethodMove) {
		return func() {}
	}
	r.moves.Inbound = retrieve.NewInbound(ctx, r.svc.nodes.Peer(r.Src), r.Instances, r.taking, nil)
	r.svc.retrieve.Inbox().Open(r.moves.Inbound)
	return func() {
		r.svc.retrieve.Inbox().Close(r.moves.Inbound)
		r.moves.Inbound.Close()
	}
}
