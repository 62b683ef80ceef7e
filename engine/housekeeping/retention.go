// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
)

// forgetLedgers removes the ledgers of some jobs that ended so many days ago. From then on they can't be retried: a
// retry would send again what is there.
func (svc *Service) forgetLedgers(ctx context.Context, days int32, run *choreRun) (int64, error) {
	ids, err := svc.Q.JobsToForget(ctx, db.JobsToForgetParams{Days: days, Max: jobs.StripBatch})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := svc.forgetLedger(ctx, id, run); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

func (svc *Service) forgetLedger(ctx context.Context, id int64, run *choreRun) error {
	return svc.inParts(ctx, id, run, func(q *db.Queries) (left bool, err error) {
		n, err := q.ForgetLedger(ctx, db.ForgetLedgerParams{JobID: id, Max: cleanUpBatch})
		if err != nil {
			return false, err
		}
		state := int16(jobs.LedgerGone)
		if left = n == cleanUpBatch; left {
			state = jobs.LedgerGoes
		}
		return left, q.StripJob(ctx, db.StripJobParams{ID: id, Stripped: state})
	})
}

// removeJobs removes some jobs that ended so many days ago, and whose figures are summed up. plain: those that did not
// de-identify.
func (svc *Service) removeJobs(
	ctx context.Context, plain bool, days int32, summedUp string, run *choreRun,
) (int64, error) {
	now, err := svc.Q.Now(ctx)
	if err != nil {
		return 0, err
	}
	day, err := time.ParseInLocation(dayFormat, summedUp, svc.Config.Zone)
	if err != nil {
		return 0, err
	}
	before := now.AddDate(0, 0, -int(days))
	if end := day.AddDate(0, 0, 1); end.Before(before) {
		before = end
	}
	ids, err := svc.Q.JobsToRemove(ctx, db.JobsToRemoveParams{Plain: plain, Before: before, Max: jobs.StripBatch})
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		if err := svc.removeJob(ctx, id, before, run); err != nil {
			return 0, err
		}
	}
	return int64(len(ids)), nil
}

// removeJob hides a job, and removes its tasks a few at a time: others are not to wait for one that had many. Who is
// interrupted leaves the rest to the next clean-up.
func (svc *Service) removeJob(ctx context.Context, id int64, before time.Time, run *choreRun) error {
	kept := false
	err := svc.InTx(ctx, func(q *db.Queries) error {
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
		if err := q.StripJob(ctx, db.StripJobParams{ID: id, Stripped: jobs.JobGoes}); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "job.delete", Object: fmt.Sprintf("job %d", id),
			Detail: map[string]any{"status": job.Status, "ended_at": job.EndedAt.UTC(), "by": "clean-up"},
		})
	})
	if err != nil || kept {
		return err
	}
	for {
		n, err := svc.Q.RemoveTasks(ctx, db.RemoveTasksParams{JobID: id, Max: jobs.RemoveTaskBatch})
		if err == nil {
			err = run.keep(ctx)
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return svc.Q.DeleteJob(ctx, id)
		}
	}
}
