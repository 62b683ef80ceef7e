// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// How far the clean-up is with a job that ended (jobs.stripped).
const (
	stripNothing    = 0
	ledgerGoes      = 1 // it is removed; nothing can be retried any more
	ledgerGone      = 2
	jobGoes         = 3 // it is removed, a part at a time, and isn't shown any more
	stripBatch      = 100
	removeTaskBatch = 100 // with all that belongs to them
)

// forgetLedgers removes the ledgers of some jobs that ended so many days ago. From then on they can't be retried: a retry would send again
// what is there.
func (e *Engine) forgetLedgers(ctx context.Context, days int32, run *choreRun) (int64, error) {
	ids, err := e.q.JobsToForget(ctx, db.JobsToForgetParams{Days: days, Max: stripBatch})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := e.forgetLedger(ctx, id, run); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

func (e *Engine) forgetLedger(ctx context.Context, id int64, run *choreRun) error {
	return e.inParts(ctx, id, run, func(q *db.Queries) (left bool, err error) {
		n, err := q.ForgetLedger(ctx, db.ForgetLedgerParams{JobID: id, Max: cleanUpBatch})
		if err != nil {
			return false, err
		}
		state := int16(ledgerGone)
		if left = n == cleanUpBatch; left {
			state = ledgerGoes
		}
		return left, q.StripJob(ctx, db.StripJobParams{ID: id, Stripped: state})
	})
}

// removeJobs removes some jobs that ended so many days ago, and whose figures are summed up. plain: those that did not de-identify.
func (e *Engine) removeJobs(ctx context.Context, plain bool, days int32, summedUp string, run *choreRun) (int64, error) {
	now, err := e.q.Now(ctx)
	if err != nil {
		return 0, err
	}
	day, err := time.ParseInLocation(dayFormat, summedUp, e.cfg.Zone)
	if err != nil {
		return 0, err
	}
	before := now.AddDate(0, 0, -int(days))
	if end := day.AddDate(0, 0, 1); end.Before(before) {
		before = end
	}
	ids, err := e.q.JobsToRemove(ctx, db.JobsToRemoveParams{Plain: plain, Before: before, Max: stripBatch})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := e.removeJob(ctx, id, before, run); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

// removeJob hides a job, and removes its tasks a few at a time: others are not to wait for one that had many. Who is interrupted leaves the rest
// to the next clean-up.
func (e *Engine) removeJob(ctx context.Context, id int64, before time.Time, run *choreRun) error {
	kept := false
	err := e.inTx(ctx, func(q *db.Queries) error {
		job, err := q.LockJob(ctx, id)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil // hidden by an earlier clean-up, or deleted meanwhile
		}
		if err != nil {
			return err
		}
		if kept = job.Active || job.EndedAt == nil || !job.EndedAt.Before(before); kept {
			return nil // begun anew meanwhile
		}
		if err := q.StripJob(ctx, db.StripJobParams{ID: id, Stripped: jobGoes}); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{
			Action: "job.delete", Object: fmt.Sprintf("job %d", id), Detail: map[string]any{"status": job.Status, "ended_at": job.EndedAt.UTC(), "by": "clean-up"},
		})
	})
	if err != nil || kept {
		return err
	}
	for {
		n, err := e.q.RemoveTasks(ctx, db.RemoveTasksParams{JobID: id, Max: removeTaskBatch})
		if err == nil {
			err = run.keep(ctx)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return e.q.DeleteJob(ctx, id)
		}
	}
}
