// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/engine/verify"
)

// destination is what the destination has, and has had.
type destination struct {
	*retrieve.Task
	svc          *Service
	deid         *deidentification
	delivering   *delivering
	verification *verify.Verification // all that is left to do; nil: there is more
	direct       int                  // instances that the source sent directly to the destination
	mustVerify   bool                 // whatever the destination's settings say
	skipped      int                  // instances that the destination held already
	untold       bool                 // it could not be told which ones it holds already
	remarks      []string             // that are no warnings
}

// heedDestination sees to it, before anything counts as delivered, that it was delivered to the destination as it is
// now, and is still there where that can be told.
func (r *destination) heedDestination(ctx context.Context) error {
	gone, err := r.Sink.Gone(ctx, r.Instances.Summary.Rows())
	if err != nil {
		return r.Unusable(err)
	}
	if err := r.heedIdentity(ctx); err != nil {
		return err
	}
	if r.Instances.DeliveredOf("") > 0 && len(gone) > 0 {
		if err := r.sendAgain(ctx, gone); err != nil {
			return err
		}
	}
	return r.Sink.Begin(ctx)
}

// heedIdentity voids the ledger and the verification of a task whose destination was changed.
func (r *destination) heedIdentity(ctx context.Context) error {
	now := identityOf(r.Dst)
	if r.Row.DeliveredTo == now {
		return nil
	}
	before := r.Row.DeliveredTo
	r.Row.DeliveredTo = now // what is taken down of it first says so
	if before == "" {
		return nil
	}
	r.Row.DuplicatesPassed, r.Row.CountedBefore = false, []byte("{}")
	if r.Instances.DeliveredOf("") == 0 && r.verification == nil {
		return r.svc.Q.VoidAsked(ctx, db.VoidAskedParams{ID: r.Held.TaskID, Token: r.Held.Token, DeliveredTo: now})
	}
	remark := fmt.Sprintf(
		"The destination was changed after ADIT had delivered %s to it: everything is sent again.",
		fault.Instances(r.Instances.DeliveredOf("")),
	)
	if err := r.void(ctx, now, remark); err != nil {
		return err
	}
	r.forget(r.Instances.Summary.UidsDelivered(), evidence.Shortfall{})
	r.Row.Delivered, r.Before = 0, 0
	r.Progress.Received.Store(0)
	r.remarks = append(r.remarks, remark)
	if r.verification == nil {
		return nil
	}
	r.verification = nil // whose claim has no slot of the source
	return &fault.Fault{Policy: fault.PolicyWait, Err: fmt.Errorf(
		"the destination %s was changed after this task had delivered to it: everything is sent again", r.Dst.Name,
	), Wait: time.Millisecond}
}

// identityOf says which destination a task delivers to. A ledger is of one: another server under the same name has
// nothing of it.
func identityOf(n nodes.DICOMNode) string {
	if n.Folder != nil {
		return "folder " + n.Folder.Marker.String()
	}
	if n.Server.StowRs { // by which ADIT stores then
		return fmt.Sprintf("server %s at %s", n.Server.AeTitle, nodes.StoresAt(n.Server))
	}
	return fmt.Sprintf("server %s at %s:%d", n.Server.AeTitle, strings.ToLower(n.Server.Host), n.Server.Port)
}

// sendAgain forgets instances at the beginning of a run.
func (r *destination) sendAgain(ctx context.Context, gone []string) error {
	remark := filesGone(len(gone)) + " They are sent again."
	all, err := r.undeliver(ctx, gone, remark)
	if err != nil {
		return err
	}
	if all {
		gone = r.Instances.Summary.UidsDelivered()
	}
	r.forget(gone, evidence.Shortfall{})
	r.Row.Delivered, r.Before = r.Progress.Delivered.Load(), r.Progress.Delivered.Load()
	r.Progress.Received.Store(r.Before)
	r.remarks = append(r.remarks, remark)
	return nil
}

// countFiles looks, before the verdict, whether all that was delivered is there, where that can be told without asking.
// The ledger must be closed.
func (r *destination) countFiles(ctx context.Context) error {
	gone, err := r.Sink.Gone(ctx, r.Instances.Summary.Rows())
	if err != nil {
		return r.Unusable(err)
	}
	if len(gone) == 0 {
		return nil
	}
	if _, err := r.undeliver(ctx, gone, filesGone(len(gone))); err != nil {
		return err
	}
	r.forget(gone, evidence.Shortfall{
		Cause: evidence.CauseThere, Reason: "its file was written, but is no longer in the folder",
	})
	return fault.Again("%s A retry sends them again.", filesGone(len(gone)))
}

// finishArchive gives the archive of a job its name if this is its last task: else it has no success.
func (r *destination) finishArchive(ctx context.Context) error {
	if a, ok := r.Sink.(*sink.Archive); ok {
		if err := a.Finish(ctx); err != nil {
			return r.Unusable(err)
		}
	}
	return nil
}

// undeliver takes instances out of the database's ledger; all of them if all is true. What was done to them is counted
// for the report of de-identification as they are delivered, and can't be taken out of it one by one: all of such a
// task is sent again.
func (r *destination) undeliver(ctx context.Context, gone []string, remark string) (all bool, err error) {
	if jobs.Pseudonymized(r.Row, r.Job.Job) {
		return true, r.void(ctx, r.Row.DeliveredTo, remark)
	}
	return false, r.change(ctx, remark, func(q *db.Queries) error {
		return q.Undeliver(ctx, db.UndeliverParams{TaskID: r.Held.TaskID, SourceSopUids: gone})
	})
}

// void makes a task begin anew in the database.
func (r *destination) void(ctx context.Context, to, remark string) error {
	return r.change(ctx, remark, func(q *db.Queries) error {
		return q.VoidLedger(ctx, db.VoidLedgerParams{ID: r.Held.TaskID, DeliveredTo: to})
	})
}

// change writes to a ledger that is still this run's, and why into the task's log.
func (r *destination) change(ctx context.Context, remark string, write func(q *db.Queries) error) error {
	return r.svc.InTx(ctx, func(q *db.Queries) error {
		if err := lease.Holds(ctx, q, r.Held); err != nil {
			return err
		}
		if err := write(q); err != nil {
			return err
		}
		return q.AppendTaskLog(ctx, db.AppendTaskLogParams{TaskID: r.Held.TaskID, Line: remark})
	})
}

func filesGone(n int) string {
	if n == 1 {
		return "The file of 1 instance is no longer in the folder, or has changed since ADIT wrote it."
	}
	return fmt.Sprintf("The files of %d instances are no longer in the folder, or have changed since ADIT wrote them.", n)
}

// forget counts instances as not delivered.
func (r *destination) forget(uids []string, why evidence.Shortfall) {
	r.Progress.Bytes.Add(-r.Instances.Lose(uids, why))
	r.Progress.Delivered.Add(-int32(len(uids)))
}

// countBefore asks a destination that can only count, before anything is sent, what it has of the study: its count
// proves nothing about a series that was not empty then.
func (r *destination) countBefore(ctx context.Context) error {
	if r.Dst.Server == nil || r.Dst.Verify.Method != nodes.VerifyPresence || r.Dst.Server.FindImages ||
		r.Instances.DeliveredOf("") > 0 || len(r.Row.CountedBefore) > len("{}") {
		return nil
	}
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	id := source.LevelQuery("SERIES", []dict.Tag{dict.SeriesInstanceUID, dict.NumberOfSeriesRelatedInstances})
	id.Set(dict.StudyInstanceUID, r.deid.sentUID(r.Inv.Study))
	asker.KeyPatient(id, r.deid.sentPatient())
	before := map[string]int{"": 0}
	for ds, err := range asker.Find(ctx, id) {
		if err != nil {
			return r.unasked(asker, err)
		}
		if n := source.Count(ds, dict.NumberOfSeriesRelatedInstances); n != 0 {
			before[ds.String(dict.SeriesInstanceUID)] = n
		}
	}
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	r.Row.CountedBefore = text
	return r.svc.Q.PutCountedBefore(ctx, db.PutCountedBeforeParams{
		ID: r.Held.TaskID, CountedBefore: text, Token: r.Held.Token, DeliveredTo: r.Row.DeliveredTo,
	})
}
