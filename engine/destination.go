// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
)

// identityOf says which destination a task delivers to. A ledger is of one: another server under the same name has nothing of it.
func identityOf(n DICOMNode) string {
	if n.Folder != nil {
		return "folder " + n.Folder.Marker.String()
	}
	return fmt.Sprintf("server %s at %s:%d", n.Server.AeTitle, strings.ToLower(n.Server.Host), n.Server.Port)
}

// heedDestination sees to it, before anything counts as delivered, that it was delivered to the destination as it is now, and is still there
// where that can be told.
func (r *run) heedDestination(ctx context.Context) error {
	folder, ok := r.sink.(*folderSink)
	if !ok {
		return r.heedIdentity(ctx)
	}
	gone, err := folder.gone(ctx, r.instances.rows())
	if err != nil {
		return r.unusable(err)
	}
	if err := r.heedIdentity(ctx); err != nil {
		return err
	}
	if r.instances.deliveredOf("") > 0 && len(gone) > 0 {
		if err := r.sendAgain(ctx, gone); err != nil {
			return err
		}
	}
	return folder.open(ctx)
}

func (r *run) unusable(err error) error {
	return &atDestination{fmt.Errorf("the destination %s can't be used: %w", r.dst.Name, err)}
}

// heedIdentity voids the ledger and the verification of a task whose destination was changed.
func (r *run) heedIdentity(ctx context.Context) error {
	now := identityOf(r.dst)
	if r.task.DeliveredTo == now {
		return nil
	}
	if r.task.DeliveredTo == "" || r.instances.deliveredOf("") == 0 && r.verification == nil {
		r.task.DeliveredTo = now // the first instance in the ledger says so
		return nil
	}
	remark := fmt.Sprintf("The destination was changed after %s had been delivered to it: everything is sent again.", images(r.instances.deliveredOf("")))
	if err := r.void(ctx, now, remark); err != nil {
		return err
	}
	r.forget(r.instances.uidsDelivered(), shortfall{})
	r.task.DeliveredTo, r.task.Delivered, r.task.DuplicatesPassed, r.before = now, 0, false, 0
	r.progress.Received.Store(0)
	r.remarks = append(r.remarks, remark)
	if r.verification == nil {
		return nil
	}
	r.verification = nil // whose claim has no slot of the source
	return &fault{policy: policyWait, err: fmt.Errorf("the destination %s was changed after this task had delivered to it: everything is sent again", r.dst.Name), wait: time.Millisecond}
}

// void makes a task begin anew in the database.
func (r *run) void(ctx context.Context, to, remark string) error {
	return r.change(ctx, remark, func(q *db.Queries) error {
		return q.VoidLedger(ctx, db.VoidLedgerParams{ID: r.held.TaskID, DeliveredTo: to})
	})
}

// change writes to a ledger that is still this run's, and why into the task's log.
func (r *run) change(ctx context.Context, remark string, write func(q *db.Queries) error) error {
	return r.e.inTx(ctx, func(q *db.Queries) error {
		if err := holds(ctx, q, r.held); err != nil {
			return err
		}
		if err := write(q); err != nil {
			return err
		}
		return q.AppendTaskLog(ctx, db.AppendTaskLogParams{TaskID: r.held.TaskID, Line: remark})
	})
}

// undeliver takes instances out of the database's ledger; all of them if all is true. What was done to them is counted for the report of
// de-identification as they are delivered, and can't be taken out of it one by one: all of such a task is sent again.
func (r *run) undeliver(ctx context.Context, gone []string, remark string) (all bool, err error) {
	if pseudonymized(r.task, r.job.Job) {
		return true, r.void(ctx, r.task.DeliveredTo, remark)
	}
	return false, r.change(ctx, remark, func(q *db.Queries) error {
		return q.Undeliver(ctx, db.UndeliverParams{TaskID: r.held.TaskID, SourceSopUids: gone})
	})
}

// sendAgain forgets instances at the beginning of a run.
func (r *run) sendAgain(ctx context.Context, gone []string) error {
	remark := filesGone(len(gone)) + " They are sent again."
	all, err := r.undeliver(ctx, gone, remark)
	if err != nil {
		return err
	}
	if all {
		gone = r.instances.uidsDelivered()
	}
	r.forget(gone, shortfall{})
	r.task.Delivered, r.before = r.progress.Delivered.Load(), r.progress.Delivered.Load()
	r.progress.Received.Store(r.before)
	r.remarks = append(r.remarks, remark)
	return nil
}

// forget counts instances as not delivered.
func (r *run) forget(uids []string, why shortfall) {
	r.progress.Bytes.Add(-r.instances.lose(uids, why))
	r.progress.Delivered.Add(-int32(len(uids)))
}

func filesGone(n int) string {
	if n == 1 {
		return "The file of 1 image is not in the folder any more, or not as ADIT had written it."
	}
	return fmt.Sprintf("The files of %d images are not in the folder any more, or not as ADIT had written them.", n)
}

// countFiles looks, before the verdict, whether all that was delivered is in the folder. The ledger must be closed.
func (r *run) countFiles(ctx context.Context) error {
	folder, ok := r.sink.(*folderSink)
	if !ok {
		return nil
	}
	gone, err := folder.gone(ctx, r.instances.rows())
	if err != nil {
		return r.unusable(err)
	}
	if len(gone) == 0 {
		return nil
	}
	if _, err := r.undeliver(ctx, gone, filesGone(len(gone))); err != nil {
		return err
	}
	r.forget(gone, shortfall{cause: causeThere, reason: "its file was written, and is not in the folder any more"})
	return again("%s A retry sends them again.", filesGone(len(gone)))
}
