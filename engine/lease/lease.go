// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Held names a task that a member runs, with the token that each of its writes must show.
type Held struct {
	db.Claimed
	Member uuid.UUID
}

// HeldTask is a task that the database says this member runs.
type HeldTask struct {
	Held
	CancelRequested     bool
	Owner               int64
	Source, Destination int64
	Project             int64
	Pseudonymized       bool
}

// Claim takes the next task for a member. If there is none for now it returns false, with the time after which a rate
// or a window may allow one (0: not in sight), and with the task without a token that has to run alone here: the member
// has to stop what it runs.
func (svc *Service) Claim(ctx context.Context, member uuid.UUID) (held Held, ok bool, again time.Duration, err error) {
	rested := svc.resting.Load()
	if rested { // a claim looks at much, and as often as a member beats
		if some, err := svc.Q.AnyActiveJob(ctx); err != nil || !some {
			return Held{}, false, 0, err
		}
	}
	c, err := db.ClaimTask(ctx, svc.Pool, member, svc.Config.ProbePause)
	if err == nil && !c.Found && c.Stale {
		if err = svc.nodes.RefreshSchedules(ctx); err == nil {
			c, err = db.ClaimTask(ctx, svc.Pool, member, svc.Config.ProbePause)
		}
	}
	svc.resting.Store(err == nil && !c.Found)
	if err == nil && c.Found && rested { // what the hour allows may be another MB/s than before the rest
		if err := svc.share(ctx, member); err != nil {
			svc.Log.WarnContext(ctx, "limits of MB/s can't be read before the next beat", "err", err)
		}
	}
	return Held{Claimed: c.Claimed, Member: member}, c.Found, c.Again, err
}

// loss is how a lease was lost.
type loss int

const (
	lostLease       loss = iota // the row says that we run it, but we don't
	lostWithProcess             // the process that ran it is gone
)

// Lose gives back a task that the database believes to run here while it does not.
func (svc *Service) Lose(ctx context.Context, h Held) error { return svc.lose(ctx, h, lostLease) }

// RevokedError says why a running task is stopped: its owner lost the right to what it does. It is an ErrCanceled.
type RevokedError struct {
	Reason string
}

func (e *RevokedError) Error() string {
	return "the owner of this job may no longer continue it: " + e.Reason
}

// Is makes it an ErrCanceled.
func (e *RevokedError) Is(target error) bool { return target == fault.ErrCanceled }

// Revoked finds, by one query, those of a member's running tasks whose owners lost the right to what they do: a right
// lost is a cancel. While the database can't say, nothing is lost.
func (svc *Service) Revoked(ctx context.Context, running []HeldTask) (map[Held]*RevokedError, error) {
	revoked := map[Held]*RevokedError{}
	if len(running) == 0 {
		return revoked, nil
	}
	deeds := make([]people.Deed, len(running))
	for i, t := range running {
		a := jobs.ActionOf(t.Kind, t.Source, t.Destination, !t.Pseudonymized)
		a.Project = t.Project
		deeds[i] = people.Deed{UserID: t.Owner, Action: a}
	}
	denied, err := svc.People.CheckAll(ctx, deeds)
	if err != nil {
		return nil, err
	}
	for i, d := range denied {
		if d != nil {
			revoked[running[i].Held] = &RevokedError{d.Reason}
		}
	}
	return revoked, nil
}

// Holds returns ErrFenced if the task is not this member's any more, and else keeps it so until the transaction ends.
func Holds(ctx context.Context, q *db.Queries, h Held) error {
	_, err := q.HoldsLease(ctx, db.HoldsLeaseParams{ID: h.TaskID, LeaseMember: &h.Member, LeaseToken: &h.Token})
	if errors.Is(err, pgx.ErrNoRows) {
		return fault.ErrFenced
	}
	return err
}

// takeBack makes the tasks of a dead member pending again.
func (svc *Service) takeBack(ctx context.Context, member uuid.UUID, how loss) error {
	rows, err := svc.Q.TasksOfMember(ctx, &member)
	if err != nil {
		return err
	}
	for _, row := range rows {
		h := Held{Claimed: db.Claimed{
			TaskID: row.ID, JobID: row.JobID, Token: *row.LeaseToken, Kind: row.Kind, Moves: row.Moves,
		}, Member: member}
		if err := svc.lose(ctx, h, how); err != nil && !errors.Is(err, fault.ErrFenced) {
			return err
		}
	}
	if len(rows) > 0 {
		svc.Log.InfoContext(ctx, "tasks of a lost process wait again", "member", member, "tasks", len(rows))
		svc.Signals.Wake()
	}
	return nil
}

// In a row, without one new instance.
const (
	maxLosses  = 5 // of the lease alone
	maxCrashes = 3 // beside other tasks; the next one is alone
)

func (svc *Service) lose(ctx context.Context, h Held, how loss) error {
	t, err := svc.Q.GetTask(ctx, h.TaskID)
	if err != nil {
		return refusal.NotFound(err, "task", h.TaskID)
	}
	p := leaseEnd(h, t, Outcome{Status: jobs.Pending})
	p.FreeSlots = false // the caller knows whether the peers still hold the associations
	p.Losses++
	if how == lostWithProcess {
		p.Crashes++
	}
	switch {
	case t.CancelRequested: // endLease makes it Canceled
	case t.Alone && p.Crashes > maxCrashes:
		p.Status = jobs.Failure
		p.Message = fmt.Sprintf("ADIT's process ended unexpectedly %d times while it ran this task, the last time "+
			"while nothing else ran beside it, and not a single new instance was delivered. "+
			"So this study is probably the cause. Look in ADIT's log for the reason, then retry.",
			p.Crashes)
	case p.Losses-p.Crashes >= maxLosses:
		p.Status = jobs.Failure
		p.Message = fmt.Sprintf("This task was interrupted %d times in a row, and not a single new instance was delivered "+
			"in between. Look in ADIT's log for the reason, then retry.", p.Losses)
	}
	p.Alone = p.Crashes >= maxCrashes
	return svc.InTx(ctx, func(q *db.Queries) error {
		p := p // a transaction may run again
		if _, err := svc.endLease(ctx, q, h, &p); err != nil {
			return err
		}
		return recordLoss(ctx, q, t, p.Status)
	})
}

func leaseEnd(h Held, t db.Task, o Outcome) db.EndLeaseParams {
	return db.EndLeaseParams{
		ID: h.TaskID, Member: &h.Member, Token: &h.Token, Status: o.Status,
		Message: o.Message, WaitingReason: o.WaitingReason,
		WaitSeconds: o.Wait.Seconds(), Failures: t.Failures, Waits: t.Waits, Losses: t.Losses, Crashes: t.Crashes,
		Refused: t.Refused, RefusedSince: t.RefusedSince, Alone: t.Crashes >= maxCrashes, FreeSlots: true,
		RetryHelps: !o.Lasting,
	}
}

// endLease ends a run. A task that somebody wants to stop is Canceled instead of Pending.
// pressed: a server of its job has refused something lately.
func (svc *Service) endLease(
	ctx context.Context, q *db.Queries, h Held, p *db.EndLeaseParams,
) (pressed bool, err error) {
	if err := jobs.SayCanceled(ctx, q, h.JobID, p); err != nil {
		return false, err
	}
	if p.Status == jobs.Failure || p.Status == jobs.Warning {
		p.Reason = jobs.ReasonOf(p.Message)
	}
	pressed, err = q.EndLease(ctx, *p)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fault.ErrFenced
	}
	return pressed, err
}

// recordLoss does so for a task whose process is gone: what it had delivered stays delivered, whatever becomes of the
// task.
func recordLoss(ctx context.Context, q *db.Queries, t db.Task, status string) error {
	if t.Delivered == 0 {
		return nil
	}
	row, err := q.GetJob(ctx, t.JobID)
	if err != nil {
		return err
	}
	node, err := q.GetDicomNode(ctx, *row.Job.DestinationID)
	if err != nil {
		return err
	}
	return jobs.RecordTransfer(ctx, q, audit.ActTransfer, jobs.JobOf(row), t, t.PatientID, map[string]any{
		"folder": node.Kind == "folder", "outcome": status, "lost": true,
		"expected": t.Expected, "delivered": t.Delivered, "bytes": t.Bytes,
	})
}
