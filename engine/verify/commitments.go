// SPDX-License-Identifier: AGPL-3.0-or-later

package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
)

// checkCommitment asks for storage commitment of what is not verified, once, and otherwise looks what has been
// reported.
func (v *Verification) checkCommitment(ctx context.Context, asker *source.Server) error {
	made, err := v.svc.Q.CommitmentsOfTask(ctx, v.held.TaskID)
	if err != nil {
		return err
	}
	if made.Requested == 0 && v.Left() > 0 {
		if err := v.requestCommitment(ctx, asker); err != nil {
			return err
		}
		if v.instances, err = v.svc.Q.ListVerificationInstances(ctx, v.held.TaskID); err != nil {
			return err
		}
		if made, err = v.svc.Q.CommitmentsOfTask(ctx, v.held.TaskID); err != nil {
			return err
		}
	}
	v.awaited = int(made.Awaited)
	if made.Requested > 0 && made.Awaited == 0 && v.Left() > 0 && v.verdict == "" {
		v.verdict = "the destination's report about storage commitment does not confirm it"
		for _, i := range v.instances {
			if !i.Verified && i.Reason != "" {
				v.verdict = i.Reason
				break
			}
		}
	}
	return nil
}

const (
	commitmentChunk = 1000 // instances of one request

	// How long a report is waited for on the spot. One that comes on the same association is in our socket then.
	reportPatience  = 2 * time.Second
	reportOnTheWire = 100 * time.Millisecond
)

// requestCommitment sends the requests, and waits a moment for the reports.
func (v *Verification) requestCommitment(ctx context.Context, asker *source.Server) error {
	var instances []dimse.SOPReference
	for _, i := range v.instances {
		if !i.Verified && i.SopClassUid != "" {
			instances = append(instances, dimse.SOPReference{SOPClassUID: i.SopClassUid, SOPInstanceUID: i.SentSopUid})
		}
	}
	if len(instances) == 0 {
		v.verdict = "its SOP class, which a request for storage commitment needs, is unknown"
		return nil
	}
	contexts := []dimse.Context{{AbstractSyntax: dict.StorageCommitmentPushModel, TransferSyntaxes: door.PlainSyntaxes}}
	a, err := asker.Slot.Open(ctx, asker.Peer, contexts)
	if noContexts := (*dimse.NoContextsError)(nil); errors.As(err, &noContexts) {
		v.verdict = "the destination doesn't support storage commitment; verify it by presence instead"
		return nil
	}
	if err != nil {
		return err
	}
	asker.A = a // released or aborted with it
	back, err := v.wayBack(ctx)
	if err != nil {
		return err
	}
	if back != nil {
		defer func() {
			if err := back.Close(ctx); err != nil {
				v.svc.Log.WarnContext(
					ctx, "a slot can't be given back now; it ends with the lease",
					"task", v.held.TaskID, "err", err,
				)
			}
		}()
	}
	var came []<-chan struct{}
	take := func(ctx context.Context, report *dimse.CommitmentReport) dimse.Status {
		return v.svc.TakeReport(ctx, []int64{v.at.ID}, report)
	}
	for chunk := range slices.Chunk(instances, commitmentChunk) {
		transaction := source.NewTransactionUID()
		p := db.InsertCommitmentParams{TransactionUid: transaction, TaskID: v.held.TaskID, ServerID: v.at.ID}
		if err := v.svc.Q.InsertCommitment(ctx, p); err != nil {
			return err
		}
		came = append(came, v.svc.reports.await(transaction))
		defer v.svc.reports.forget(transaction)
		err := a.RequestCommitment(ctx, dimse.CommitmentRequest{TransactionUID: transaction, Instances: chunk}, take)
		if status := (*dimse.StatusError)(nil); errors.As(err, &status) {
			return errors.Join(err, v.svc.Q.DropCommitment(ctx, transaction))
		}
		if err != nil {
			return err
		}
		if err := v.svc.Q.TakeCommitment(ctx, transaction); err != nil {
			return err
		}
	}
	v.awaitReports(ctx, asker, take, came, back != nil)
	return nil
}

// wayBack takes a further slot of the destination, for the association over which it may report while ours is still
// open. Where its cap has no room there is none.
func (v *Verification) wayBack(ctx context.Context) (*door.Slot, error) {
	if !v.svc.listens() {
		return nil, nil //nolint:nilnil // none comes then
	}
	slot, _, err := v.svc.Door.MoveSlot(ctx, v.held.Claimed, v.at.ID)
	if errors.Is(err, pgx.ErrNoRows) {
		err = fault.ErrFenced
	}
	return slot, err
}

// awaitReports waits a moment for reports, which may come over the association or, where that has a way back, to the
// receiver: else ours ends soon, and with it the slot. Without a receiver they must come over the association.
func (v *Verification) awaitReports(
	ctx context.Context, asker *source.Server, take dimse.CommitmentHandler, came []<-chan struct{}, back bool,
) {
	onTheWire := asker.Peer.IdleTimeout
	if v.svc.listens() {
		onTheWire = reportOnTheWire
	}
	if back {
		timer := time.NewTimer(reportPatience)
		defer timer.Stop()
		for over := false; !over && len(came) > 0; {
			select {
			case <-came[0]:
				came = came[1:]
			case <-ctx.Done():
				return
			case <-timer.C:
				over = true
			}
		}
	}
	waiting, cancel := context.WithTimeout(ctx, onTheWire)
	defer cancel()
	for {
		came = slices.DeleteFunc(came, closed) // those before the response to their request
		if len(came) == 0 {
			return
		}
		if err := asker.A.AwaitCommitment(waiting, take); err != nil {
			asker.Abort()
			return
		}
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TakeReport takes a report about storage commitment that one of these servers sent, on whatever association and to
// whatever process. What it is answered says whether it is in the database.
func (svc *Service) TakeReport(ctx context.Context, servers []int64, report *dimse.CommitmentReport) dimse.Status {
	status := dimse.Success
	err := svc.InTx(ctx, func(q *db.Queries) error {
		c, err := q.GetCommitment(ctx, report.TransactionUID)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && !slices.Contains(servers, c.ServerID) {
			status = dimse.InvalidArgument // nobody asked for it, or nobody wants to know any more
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := q.LockTask(ctx, c.TaskID); err != nil {
			return err
		}
		committed := db.ReportCommittedParams{TaskID: c.TaskID}
		for _, i := range report.Committed {
			committed.SentSopUids = append(committed.SentSopUids, i.SOPInstanceUID)
		}
		failed := db.ReportFailedParams{TaskID: c.TaskID}
		for _, i := range report.Failed {
			failed.SentSopUids = append(failed.SentSopUids, i.SOPInstanceUID)
			failed.Reasons = append(failed.Reasons, fmt.Sprintf(
				"the destination refused its storage commitment: %s (%s)",
				i.Reason.Meaning(dimse.NAction).Text, i.Reason,
			))
		}
		return errors.Join(
			q.ReportCommitted(ctx, committed), q.ReportFailed(ctx, failed),
			q.EndCommitment(ctx, c.TransactionUid), q.HurryVerification(ctx, c.TaskID),
		)
	})
	if err != nil {
		svc.Log.WarnContext(ctx, "a report about storage commitment can't be recorded now", "err", err)
		return dimse.ProcessingFailure
	}
	if status == dimse.Success {
		svc.reports.came(report.TransactionUID)
		svc.Signals.Wake()
	}
	return status
}

// reports wakes runs of this process that wait for a report about storage commitment.
type reports struct {
	mu      sync.Mutex
	waiting map[string]chan struct{} // by Transaction UID; closed when it is in the database
}

func newReports() *reports { return &reports{waiting: map[string]chan struct{}{}} }

func (p *reports) await(transaction string) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := make(chan struct{})
	p.waiting[transaction] = c
	return c
}

func (p *reports) forget(transaction string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, transaction)
}

func (p *reports) came(transaction string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c := p.waiting[transaction]; c != nil {
		close(c)
		delete(p.waiting, transaction)
	}
}
