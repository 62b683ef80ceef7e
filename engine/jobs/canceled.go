// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
)

// transferred says in words what the ledger knows of a task.
func transferred(t db.LedgerTotalsRow) string {
	text := fmt.Sprintf("%s transferred, %s", fault.InstancesOf(t.Instances-t.There), fault.Megabytes(t.Bytes))
	switch {
	case t.Instances == 0:
		return "no instance transferred"
	case t.There > 0:
		text += fmt.Sprintf("; at the destination already: %s", fault.InstancesOf(t.There))
	}
	return text
}

// TransferredBefore is a sentence about what a task has done that ends without having looked; empty if that is nothing.
func TransferredBefore(ctx context.Context, q *db.Queries, task int64) (string, error) {
	totals, err := q.LedgerTotals(ctx, task)
	if err != nil || totals.Instances == 0 {
		return "", err
	}
	return " Before that: " + transferred(totals) + ".", nil
}

// cancelJob ends the pending tasks of a locked job, each with words about what it has done, and asks the running ones
// to stop.
func cancelJob(ctx context.Context, q *db.Queries, job db.Job) error {
	ran, err := q.PendingThatRan(ctx, job.ID)
	if err != nil {
		return err
	}
	p := db.CancelJobParams{ID: job.ID}
	for _, t := range ran {
		when := "waited to go on"
		if t.Verifying {
			when = "waited for its verification"
		}
		p.Ran = append(p.Ran, t.ID)
		p.Messages = append(p.Messages, fmt.Sprintf("Canceled while it %s; %s.", when, transferred(
			db.LedgerTotalsRow{Instances: t.Instances, There: t.There, Bytes: t.Bytes},
		)))
	}
	if err := q.CancelJob(ctx, p); err != nil {
		return err
	}
	return q.HoldVerifications(ctx, job.ID)
}

// SayCanceled makes the end of a run that of a canceled task if somebody wants it to stop, and lets its message say
// what the task has done. It locks the job.
func SayCanceled(ctx context.Context, q *db.Queries, job int64, p *db.EndLeaseParams) error {
	if p.Status != Pending && p.Status != Canceled {
		return nil
	}
	j, err := q.LockJob(ctx, job)
	if err != nil {
		return err
	}
	t, err := q.GetTask(ctx, p.ID)
	if err != nil {
		return err
	}
	if p.Status == Pending && !j.Canceled && !t.CancelRequested {
		return nil
	}
	totals, err := q.LedgerTotals(ctx, p.ID)
	if err != nil {
		return err
	}
	reason := ""
	if p.Status == Canceled && p.Message != "" {
		reason = " " + p.Message
	}
	p.Status, p.Message, p.WaitingReason, p.WaitSeconds = Canceled,
		"Canceled while it ran; "+transferred(totals)+"."+reason, "", 0
	return nil
}
