// SPDX-License-Identifier: AGPL-3.0-or-later

package recurring

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/pause"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people"
)

// interval is how often it is looked whether something is due.
const interval = 30 * time.Second

// Keep makes the runs that are due, and sees to those that have ended, until the context ends. Each member may do so;
// each run is made once.
func (svc *Service) Keep(ctx context.Context) {
	for {
		if err := svc.Tick(ctx); err != nil && ctx.Err() == nil {
			svc.Log.WarnContext(ctx, "recurring jobs could not be seen to", "reason", err)
		}
		if pause.For(ctx, interval) != nil {
			return
		}
	}
}

// Tick sees to what has ended, and makes what is due.
func (svc *Service) Tick(ctx context.Context) error {
	ended, err := svc.Q.UnreportedRecurrences(ctx)
	if err != nil {
		return err
	}
	for _, id := range ended {
		if err := svc.InTx(ctx, func(q *db.Queries) error {
			row, err := q.LockRecurrence(ctx, id)
			if err != nil {
				return err
			}
			_, _, err = svc.report(ctx, q, row)
			return err
		}); err != nil {
			return fmt.Errorf("the end of a run of recurrence %d: %w", id, err)
		}
	}
	due, err := svc.Q.DueRecurrences(ctx)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := svc.run(ctx, id, false); err != nil {
			return fmt.Errorf("recurrence %d: %w", id, err)
		}
	}
	return nil
}

// RunNow makes a run at once, for the owner or staff.
func (svc *Service) RunNow(ctx context.Context, user people.User, id int64) (Recurrence, error) {
	r, err := svc.Get(ctx, user, id)
	if err != nil {
		return Recurrence{}, err
	}
	if err := svc.People.Site.CheckOpen(ctx, user, r.Kind); err != nil {
		return Recurrence{}, err
	}
	if err := svc.run(ctx, id, true); err != nil {
		return Recurrence{}, err
	}
	return svc.Get(ctx, user, id)
}

// last returns the jobs of the last run.
func (svc *Service) last(ctx context.Context, q *db.Queries, r db.Recurrence) (list []db.Job, err error) {
	if r.JobID == nil {
		return nil, nil
	}
	ids, err := q.JobsOfBatch(ctx, *r.JobID)
	if err != nil {
		return nil, err
	}
	rows, err := q.GetJobs(ctx, ids)
	for _, row := range rows {
		list = append(list, row.Job)
	}
	return list, err
}

func done(list []db.Job) bool {
	for _, j := range list {
		if j.NPending+j.NRunning > 0 {
			return false
		}
	}
	return true
}

// run makes a run that is due, or at once, in the name of the owner and with the rights that the owner has now. While
// the last one goes on there is none: one that is due comes when that has ended. Who makes it holds the recurrence; the
// key of the request keeps a run from being made twice, should the process die before it is noted.
func (svc *Service) run(ctx context.Context, id int64, atOnce bool) error {
	return svc.InTx(ctx, func(q *db.Queries) error {
		row, err := q.LockRecurrence(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "recurrence", id)
		}
		now, err := svc.now(ctx)
		if err != nil {
			return err
		}
		switch isDue := !row.Paused && row.NextAt != nil && !row.NextAt.After(now); {
		case atOnce, isDue:
		case row.NextAt != nil && row.NextAt.After(now.AddDate(0, 0, farthest)):
			return svc.planAnew(ctx, q, row, now)
		default:
			return nil // another member was faster
		}
		switch row, over, err := svc.report(ctx, q, row); {
		case err != nil:
			return err
		case !over && atOnce:
			return &refusal.Conflict{Reason: "the last run goes on; it runs once at a time"}
		case !over:
			return nil
		default:
			return svc.runNext(ctx, q, row, now, atOnce)
		}
	})
}

// farthest is how many days lie before the next run at the most, and some more.
const farthest = 9

// runNext makes the next run, of which nothing stands in the way, and notes it.
func (svc *Service) runNext(ctx context.Context, q *db.Queries, row db.Recurrence, now time.Time, atOnce bool) error {
	r, err := recurrenceOf(row, "")
	if err != nil {
		return err
	}
	p := db.RanRecurrenceParams{ID: r.ID, NextAt: r.Plan().next(now)}
	list, err := svc.make(ctx, q, r, now)
	switch reason, ok := refused(err); {
	case err == nil:
		p.JobID = &list[0].ID
	case atOnce || !ok:
		return err
	case errors.Is(err, errNothingYet):
		p.Message = reason
	default:
		p.Message = "It could not run: " + reason
		if err := svc.tell(ctx, q, r, now, "could not run", p.Message); err != nil {
			return err
		}
	}
	if atOnce {
		if err := audit.Record(ctx, q, entry(row, "run", r.Settings)); err != nil {
			return err
		}
	}
	return q.RanRecurrence(ctx, p)
}

// planAnew plans a run that was planned while the clock ran ahead.
func (svc *Service) planAnew(ctx context.Context, q *db.Queries, row db.Recurrence, now time.Time) error {
	return q.ChangeRecurrence(ctx, db.ChangeRecurrenceParams{
		ID: row.ID, Weekdays: row.Weekdays, AtMinute: row.AtMinute, OverlapDays: row.OverlapDays, UntilDay: row.UntilDay,
		Paused: row.Paused, NextAt: Recurrence{Recurrence: row}.Plan().next(now),
	})
}

// errNothingYet is why a mass transfer has no run: each day that it is about is looked through, or not over.
var errNothingYet = &refusal.Conflict{
	Reason: "there is no day to look through yet: each run goes on until the day before it",
}

// refused returns what a person is told of why a run could not be made; false: it is ADIT's own trouble.
func refused(err error) (reason string, ok bool) {
	if denied, is := errors.AsType[*people.Denied](err); is {
		return denied.Reason + ".", true
	}
	if invalid, is := errors.AsType[*refusal.Invalid](err); is {
		return invalid.Reason + ".", true
	}
	if conflict, is := errors.AsType[*refusal.Conflict](err); is {
		return conflict.Reason + ".", true
	}
	return "", false
}

// make makes the jobs of a run.
func (svc *Service) make(ctx context.Context, q *db.Queries, r Recurrence, now time.Time) ([]jobs.Job, error) {
	owner, err := q.GetUser(ctx, r.OwnerID)
	if err != nil {
		return nil, err
	}
	user := people.User{
		ID: owner.ID, Username: owner.Username, IsStaff: owner.IsStaff, IsSuperuser: owner.IsSuperuser,
		ActiveGroupID: owner.ActiveGroupID,
	}
	ctx = audit.WithActor(ctx, audit.Actor{UserID: owner.ID, Username: owner.Username, Via: audit.ViaSystem})
	key := fmt.Sprintf("recurrence %d, run %d", r.ID, r.Runs+1)
	if o := r.Settings.Mass; o != nil {
		if o.First, o.Last = r.days(now); o.Last.Before(o.First) {
			return nil, errNothingYet
		}
		o.IdempotencyKey, o.Recurrence = key, &r.ID
		job, err := svc.mass.Create(ctx, user, *o)
		return []jobs.Job{job}, err
	}
	b := *r.Settings.Query
	b.IdempotencyKey, b.Recurrence = key, &r.ID
	return svc.jobs.CreateQueries(ctx, user, b)
}

// days are those that a run of a mass transfer looks through: from those on that no run has looked through to its end,
// and some before, until yesterday. The last comes before the first where there is no such day yet.
func (r Recurrence) days(now time.Time) (first, last time.Time) {
	first, _ = time.Parse(dayForm, r.FirstDay) // it was written so
	if covered, err := time.Parse(dayForm, r.Covered); err == nil {
		if from := covered.AddDate(0, 0, 1-int(r.OverlapDays)); from.After(first) {
			first = from
		}
	}
	return first, time.Date(now.Year(), now.Month(), now.Day()-1, 0, 0, 0, 0, time.UTC)
}

// report sees to the end of the last run of a recurrence, which is locked, and returns it as it is then: what that run
// has looked through needn't be again, and who made it gets a mail if it failed or found nothing. over: no run goes on.
func (svc *Service) report(ctx context.Context, q *db.Queries, row db.Recurrence) (
	then db.Recurrence, over bool, err error,
) {
	list, err := svc.last(ctx, q, row)
	if over = done(list); err != nil || row.Reported || !over {
		return row, over, err
	}
	p, what, err := svc.ended(ctx, q, row, list)
	if err != nil {
		return row, over, err
	}
	if what != "" {
		now, err := svc.now(ctx)
		if err != nil {
			return row, over, err
		}
		if err := svc.tell(ctx, q, Recurrence{Recurrence: row}, now, what, p.Message); err != nil {
			return row, over, err
		}
	}
	row.Reported, row.Message, row.Covered = true, p.Message, max(row.Covered, p.Covered)
	return row, over, q.ReportRecurrence(ctx, p)
}

// ended says how a run has ended, and in what words its owner is told; none: nobody needs to be.
func (svc *Service) ended(ctx context.Context, q *db.Queries, row db.Recurrence, list []db.Job) (
	p db.ReportRecurrenceParams, what string, err error,
) {
	p.ID, p.Message = row.ID, "The job of the last run was removed."
	if len(list) == 0 {
		return p, "", nil
	}
	found, status, err := svc.outcome(ctx, q, list)
	switch {
	case err != nil:
		return p, "", err
	case status == jobs.Failure:
		what, p.Message = "failed", fmt.Sprintf("Job %d failed.", *row.JobID)
	case status == jobs.Canceled:
		p.Message = fmt.Sprintf("Job %d was canceled.", *row.JobID)
	case found == 0:
		what, p.Message = "found nothing new", fmt.Sprintf("Job %d found nothing new.", *row.JobID)
	default:
		p.Message = fmt.Sprintf("Job %d found %d new.", *row.JobID, found)
	}
	if status == jobs.Success && row.Kind == jobs.MassTransfer {
		m, err := q.GetMass(ctx, *row.JobID)
		if err != nil {
			return p, "", err
		}
		p.Covered = m.LastDay
	}
	return p, what, nil
}

// outcome says how the jobs of a run ended together, and how much they found. It is Success where all has been done,
// whatever warnings there were, and Canceled where some of it was not.
func (svc *Service) outcome(ctx context.Context, q *db.Queries, list []db.Job) (found int64, status string, err error) {
	var ids []int64
	status = jobs.Success
	for _, j := range list {
		ids = append(ids, j.ID)
		switch {
		case j.Status == jobs.Failure:
			status = jobs.Failure
		case status == jobs.Success && (j.Status == jobs.Canceled || j.NCanceled > 0):
			status = jobs.Canceled
		}
	}
	found, err = q.CountFound(ctx, ids)
	return found, status, err
}

// tell sends a mail to the owner.
func (svc *Service) tell(
	ctx context.Context, q *db.Queries, r Recurrence, now time.Time, what, message string,
) error {
	owner, err := q.GetUser(ctx, r.OwnerID)
	if err != nil || owner.Mail == "" || !owner.IsActive {
		return err
	}
	kind := map[string]string{jobs.MassTransfer: "mass transfer", jobs.BatchQuery: "batch query"}[r.Kind]
	body := fmt.Sprintf("Your recurring %s %d %s.\n\n%s\n", kind, r.ID, what, message)
	if next := r.Plan().next(now); next != nil {
		body += fmt.Sprintf("\nIt runs again on %s.\n", next.Format("2006-01-02 at 15:04 MST"))
	}
	return mail.Post(ctx, q, mail.Message{
		To: []string{owner.Mail}, Subject: fmt.Sprintf("ADIT: recurring %s %d %s", kind, r.ID, what), Body: body,
	})
}
