// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
)

// Outcome is how a run of a task ended.
type Outcome struct {
	Status        string // final, or Pending: it goes on later
	Message       string // for people
	WaitingReason string // of a pending task
	Wait          time.Duration

	Failed      bool // an attempt that counts
	Lasting     bool // it fails again until somebody changes something
	Waited      bool
	Unavailable bool  // its study has to be brought back at its source
	Down        *Down // a server that is not available
	Series      []jobs.Series
	LogLine     string
	Fault       string // kind of what kept the run from a good end; empty: nothing did

	Held     Held
	Task     func(ctx context.Context, q *db.Queries) (db.Task, error) // as it was before this end
	LookedUp bool                                                      // the source has said what it has of the study
	Brought  bool                                                      // something was delivered
	Fail     func(o *Outcome, message string)                          // counts an attempt that failed
	Servers  []Tested
	// adds tasks to the job, before this end, which may end the job otherwise; nil: it adds none
	Grow func(ctx context.Context, q *db.Queries) error
	// the summary, in the transaction that ends the lease
	Write    func(ctx context.Context, q *db.Queries, ended Outcome) error
	GiveBack func(ctx context.Context) // the slots, where nothing could be written
	Over     func(well bool)           // lets the runs begin that wait for how this one ends
}

// Tested is a server of a run that has ended.
type Tested struct {
	Node   nodes.DICOMNode
	Well   bool // it did what the run asked of it
	Booked bool // which is written down already
}

// End writes down how a run ended, with its summary, in the transaction that ends the lease. ErrFenced: the task is not
// ours any more, and nothing was written.
func (svc *Service) End(ctx context.Context, o Outcome) error {
	var ended Outcome
	err := svc.InTx(ctx, func(q *db.Queries) error {
		o := o // it may run again
		p, err := svc.leaseEndOf(ctx, q, &o)
		if err != nil {
			return err
		}
		if o.Grow != nil {
			if err := o.Grow(ctx, q); err != nil {
				return err
			}
		}
		pressed, err := svc.endLease(ctx, q, o.Held, &p)
		if err != nil {
			return err
		}
		if pressed {
			if err := svc.bookSuccess(ctx, q, &o); err != nil {
				return err
			}
		}
		ended = o
		ended.Status, ended.Message = p.Status, p.Message
		return o.Write(ctx, q, ended)
	})
	o.Over(err == nil && (ended.Status == jobs.Success || ended.Status == jobs.Warning))
	if errors.Is(err, fault.ErrFenced) || errors.Is(err, refusal.ErrNotFound) {
		o.GiveBack(ctx)
	}
	if err == nil {
		svc.Door.Freed()
		svc.Metrics.Runs.WithLabelValues(ended.Status).Inc()
		if ended.Fault != "" {
			svc.Metrics.Faults.WithLabelValues(ended.Fault).Inc()
		}
		svc.Log.InfoContext(
			ctx, "task run ended", "job", o.Held.JobID, "task", o.Held.TaskID, "status", ended.Status, "err", o.LogLine,
		)
	}
	return err
}

// leaseEndOf says how the lease of a run ends, and takes down a refusal of a server before.
func (svc *Service) leaseEndOf(ctx context.Context, q *db.Queries, o *Outcome) (p db.EndLeaseParams, err error) {
	t, err := o.Task(ctx, q)
	if err != nil {
		return p, refusal.NotFound(err, "task", o.Held.TaskID)
	}
	p = leaseEnd(o.Held, t, *o)
	if o.Failed {
		p.Failures++
	}
	if p.Waits = 0; o.Waited {
		p.Waits = t.Waits + 1
	}
	if o.Down != nil {
		if _, err := q.LockJob(ctx, o.Held.JobID); err != nil { // jobs come before servers
			return p, err
		}
		if err := svc.bookRefusal(ctx, q, o, &t, &p); err != nil {
			return p, err
		}
	}
	if o.Down == nil && !o.Waited && (o.Status != jobs.Pending || o.Failed) {
		p.Refused, p.RefusedSince = 0, nil
	}
	if o.Status == jobs.Failure && !o.LookedUp {
		before, err := jobs.TransferredBefore(ctx, q, t.ID)
		if err != nil {
			return p, err
		}
		p.Message += before
	}
	return p, nil
}
