// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people/apiuse"
)

const (
	cleanUpChore = "clean-up"
	cleanUpBatch = 5000 // rows of one transaction
	rollUpDays   = 400  // of one clean-up
)

// CleanedUp is what a daily clean-up removed.
type CleanedUp struct {
	Sessions        int64  `json:"sessions"`
	IdempotencyKeys int64  `json:"idempotency_keys"`
	TaskLogLines    int64  `json:"task_log_lines"`
	Mails           int64  `json:"mails"`
	ErasedJobs      int64  `json:"erased_jobs"`         // whose identifiers of patients were removed
	RemovedJobs     int64  `json:"removed_jobs"`        // with all their tasks
	ForgottenJobs   int64  `json:"forgotten_jobs"`      // whose ledger was removed
	SummedUp        string `json:"summed_up,omitempty"` // last day of which it is known for good what was moved
}

// cleanUp removes what the settings don't keep, a batch at a time, so that nobody waits for it long.
func (svc *Service) cleanUp(ctx context.Context, run *choreRun) (any, error) {
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return nil, err
	}
	var out CleanedUp
	if out.SummedUp, err = svc.rollUp(ctx, run); err != nil {
		return nil, err
	}
	var other int64
	for _, part := range []struct {
		n      *int64
		always bool
		days   int // 0: for ever, unless always
		remove func(days int32) (int64, error)
	}{
		{&out.Sessions, true, settings.KeepSessions, func(days int32) (int64, error) {
			return svc.Q.DeleteEndedSessions(ctx, db.DeleteEndedSessionsParams{Days: days, Max: cleanUpBatch})
		}},
		{&other, true, 0, func(int32) (int64, error) { return svc.Q.DeleteExpiredResets(ctx, cleanUpBatch) }},
		{&other, true, 0, func(int32) (int64, error) { return svc.Q.CleanUpAttempts(ctx, cleanUpBatch) }},
		{&other, true, 0, func(int32) (int64, error) { return svc.Q.DeleteExpiredTokens(ctx) }},
		{&other, true, 0, func(int32) (int64, error) { return svc.Q.DeleteOldRegistrations(ctx) }},
		{&other, true, apiuse.Kept, func(days int32) (int64, error) {
			return svc.Q.DeleteOldAPIUse(ctx, db.DeleteOldAPIUseParams{Days: days, Max: cleanUpBatch})
		}},
		{&out.IdempotencyKeys, true, 0, func(int32) (int64, error) { return svc.Q.CleanUpIdempotencyKeys(ctx, cleanUpBatch) }},
		{&out.TaskLogLines, false, settings.KeepTaskLogs, func(days int32) (int64, error) {
			return svc.Q.CleanUpTaskLogs(ctx, db.CleanUpTaskLogsParams{Days: days, Max: cleanUpBatch})
		}},
		{&other, true, 0, func(int32) (int64, error) {
			return svc.Q.GiveUpMails(ctx, db.GiveUpMailsParams{
				Seconds: (mail.Patience + 24*time.Hour).Seconds(), Max: cleanUpBatch,
				Error: "no member of the cluster has a mail server; start one with --smtp-host",
			})
		}},
		{&out.Mails, false, settings.KeepMails, func(days int32) (int64, error) {
			return svc.Q.CleanUpMails(ctx, db.CleanUpMailsParams{Days: days, Max: cleanUpBatch})
		}},
		{&out.RemovedJobs, false, settings.KeepJobs, func(days int32) (int64, error) { return svc.removeJobs(ctx, true, days, out.SummedUp, run) }},
		{&out.RemovedJobs, false, settings.KeepDeidentifiedJobs, func(days int32) (int64, error) { return svc.removeJobs(ctx, false, days, out.SummedUp, run) }},
		{&out.ForgottenJobs, false, settings.KeepLedgers, func(days int32) (int64, error) { return svc.forgetLedgers(ctx, days, run) }},
		{&other, false, settings.KeepStats, func(days int32) (int64, error) { return svc.Q.CleanUpTransfers(ctx, days) }},
		{&other, true, UseDays, func(days int32) (int64, error) {
			return svc.Q.CleanUpUse(ctx, db.CleanUpUseParams{Days: days, Max: cleanUpBatch})
		}},
		{&out.ErasedJobs, false, settings.KeepIdentifiers, func(days int32) (int64, error) { return svc.eraseJobs(ctx, days, run) }},
	} {
		if part.days == 0 && !part.always {
			continue
		}
		for {
			n, err := part.remove(int32(part.days))
			if err == nil {
				err = run.keep(ctx)
			}
			if err != nil {
				return nil, err
			}
			*part.n += n
			if n == 0 {
				break
			}
		}
	}
	return out, nil
}

// eraseJobs takes the identifiers of patients out of some jobs that ended so many days ago.
func (svc *Service) eraseJobs(ctx context.Context, days int32, run *choreRun) (int64, error) {
	ids, err := svc.Q.JobsToErase(ctx, db.JobsToEraseParams{Days: days, Max: 100})
	if err != nil {
		return 0, err
	}
	var n int64
	for _, id := range ids {
		erased, err := svc.eraseJob(ctx, id, run)
		if err != nil {
			return n, err
		}
		if erased {
			n++
		}
	}
	return n, nil
}

func (svc *Service) eraseJob(ctx context.Context, id int64, run *choreRun) (erased bool, err error) {
	err = svc.inParts(ctx, id, run, func(q *db.Queries) (left bool, err error) {
		for _, erase := range []func() (int64, error){
			func() (int64, error) {
				return q.EraseIdentifiers(ctx, db.EraseIdentifiersParams{JobID: id, Max: cleanUpBatch})
			},
			func() (int64, error) { return q.EraseResults(ctx, db.EraseResultsParams{JobID: id, Max: cleanUpBatch}) },
			func() (int64, error) { return q.EraseQueries(ctx, db.EraseQueriesParams{JobID: id, Max: cleanUpBatch}) },
			func() (int64, error) { return q.EraseVolumes(ctx, db.EraseVolumesParams{JobID: id, Max: cleanUpBatch}) },
		} {
			if n, err := erase(); err != nil || n > 0 {
				return n > 0, err
			}
		}
		erased = true
		return false, q.EndErasure(ctx, id)
	})
	return erased, err
}

// inParts has part work on a job that has ended, locked and in a transaction of its own, as long as there is something
// left: others are not to wait for one that has much. A job that was deleted or begun anew meanwhile is left alone.
func (svc *Service) inParts(
	ctx context.Context, id int64, run *choreRun, part func(q *db.Queries) (left bool, err error),
) error {
	for left := true; left; {
		err := svc.InTx(ctx, func(q *db.Queries) error {
			left = false
			job, err := q.LockJob(ctx, id)
			if errors.Is(err, pgx.ErrNoRows) || err == nil && job.Active {
				return nil
			}
			if err == nil {
				left, err = part(q)
			}
			return err
		})
		if err == nil {
			err = run.keep(ctx)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

const dayFormat = time.DateOnly

// rollUp sums up what was moved on days that are over, so that it can be told for ever and quickly. A day is left alone
// for another one: what ended shortly before midnight may be committed after it.
func (svc *Service) rollUp(ctx context.Context, run *choreRun) (string, error) {
	now, err := svc.Q.Now(ctx)
	if err != nil {
		return "", err
	}
	last := svc.lastToSumUp(now)
	through, err := svc.summedUp(ctx, now)
	if err != nil {
		return "", err
	}
	if err := svc.Q.ForgetDaysAhead(ctx, dayOf(now.In(svc.Config.Zone))); err != nil {
		return "", err
	}
	day := through.AddDate(0, 0, 1)
	if through.IsZero() {
		first, err := svc.Q.FirstEnd(ctx)
		if errors.Is(err, pgx.ErrNoRows) {
			return last.Format(dayFormat), nil
		}
		if err != nil {
			return "", err
		}
		if day = dayOf(first.In(svc.Config.Zone)); day.After(last) {
			return last.Format(dayFormat), nil
		}
	}
	through = day.AddDate(0, 0, -1)
	for n := 0; !day.After(last) && n < rollUpDays; n++ {
		if err := svc.Q.RollUpDay(ctx, db.RollUpDayParams{Day: day, Zone: svc.Config.Zone.String()}); err != nil {
			return "", err
		}
		if err := run.keep(ctx); err != nil {
			return "", err
		}
		through, day = day, day.AddDate(0, 0, 1)
	}
	return through.Format(dayFormat), nil
}

// lastToSumUp is the last day that may be summed up.
func (svc *Service) lastToSumUp(now time.Time) time.Time {
	return dayOf(now.In(svc.Config.Zone)).AddDate(0, 0, -2)
}

// summedUp is the last day that was summed up; zero if none was. Later days than may be are not: the clock ran ahead
// when they were.
func (svc *Service) summedUp(ctx context.Context, now time.Time) (time.Time, error) {
	row, err := svc.Q.GetChore(ctx, cleanUpChore)
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	var result CleanedUp
	if err := json.Unmarshal(row.Result, &result); err != nil || result.SummedUp == "" {
		return time.Time{}, err
	}
	through, err := time.Parse(dayFormat, result.SummedUp)
	if last := svc.lastToSumUp(now); through.After(last) {
		through = last
	}
	return through, err
}

// dayOf returns the day of an instant as dates go over to the database: midnight UTC.
func dayOf(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
}
