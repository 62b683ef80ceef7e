// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/retrieve"
)

// run is one run of a task: from its claim to its outcome.
type run struct {
	*retrieve.Task
	svc          *Service
	negotiation  *retrieve.Negotiation
	methods      *retrieve.Methods
	associations *retrieve.Associations
	moves        *retrieve.Moves
	listing      *retrieve.Listing
	answers      *retrieve.Answers
	retrieval    *retrieve.Retrieval
	destination  *destination
	direct       *direct
	deid         *deidentification
	taking       *taking
	delivering   *delivering
	verdict      *verdict
}

// newRun returns a run whose parts know each other.
func (svc *Service) newRun(held lease.Held, signals *lease.StopSignals, progress *lease.Progress) *run {
	t := svc.retrieve.NewTask(held, signals, progress)
	got := retrieve.NewRetrieval(t)
	r := &run{
		Task: t, svc: svc, deid: &deidentification{Task: t, svc: svc},
		retrieval: got, negotiation: got.Negotiation, methods: got.Methods,
		associations: got.Associations, moves: got.Moves, listing: got.Listing, answers: got.Answers,
	}
	r.delivering = &delivering{Task: t, svc: svc, deid: r.deid, associations: r.associations}
	r.taking = &taking{Task: t, svc: svc, deid: r.deid, negotiation: r.negotiation, delivering: r.delivering}
	got.To(r.taking, r.delivering)
	r.destination = &destination{Task: t, svc: svc, deid: r.deid, delivering: r.delivering}
	r.direct = &direct{
		Task: t, svc: svc, deid: r.deid, destination: r.destination,
		associations: r.associations, moves: r.moves, answers: r.answers,
	}
	r.verdict = &verdict{
		Task: t, svc: svc, negotiation: r.negotiation, moves: r.moves, listing: r.listing,
		deid: r.deid, delivering: r.delivering, destination: r.destination,
	}
	return r
}

// Run moves a claimed task's study as far as it can, and gives the outcome that End writes down. It ends soon after the
// context does, whose cause is one of ErrCanceled, ErrParked and ErrFenced, and stops as the signals tell it to.
func (svc *Service) Run(
	ctx context.Context, held lease.Held, signals *lease.StopSignals, progress *lease.Progress,
) lease.Outcome {
	r := svc.newRun(held, signals, progress)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer signals.Drop()
	kept := false
	defer func() {
		if !kept {
			r.giveBack(ctx)
		}
	}()
	go r.heedHalt(ctx, cancel)
	err := r.do(ctx, cancel)
	r.delivering.booking.Wait()
	err = r.heedStranded(ctx, err)
	if cause := fault.Stopped(ctx); cause != nil {
		err = cause
	}
	o := r.verdict.outcome(err)
	o.GiveBack = r.giveBack
	kept = !errors.Is(err, fault.ErrFenced) // End gives them back
	return o
}

// heedStranded has the task wait, and its attempts stay, if something is missing which arrived at another member that
// could not bring it here, or went to one that is gone.
func (r *run) heedStranded(ctx context.Context, err error) error {
	if !r.svc.Config.Cluster || r.Inv == nil || r.moves.Inbound == nil ||
		err != nil && fault.PolicyOf(err) != fault.PolicyAgain {
		return err
	}
	var why string
	if err != nil {
		why = fault.ReasonOf(err)
	} else {
		f := r.Instances.Judge(r.Inv, true, r.negotiation.Unsent, r.moves.NeverCame())
		if f.Missing+f.Lacking+f.Undeliverable == 0 {
			return nil
		}
		why = fmt.Sprintf("%s missing at the destination: %s", fault.InstancesAre(f.Missing+f.Lacking), f.Why())
	}
	n, asked := r.svc.Q.Stranded(ctx, db.StrandedParams{TaskID: r.Held.TaskID, LeaseToken: r.Held.Token})
	if asked == nil && n > 0 {
		return fault.Wait(
			"instances arrived at another member of the cluster, which could not bring them to this one: the network " +
				"between the members is interrupted, a certificate is not accepted, or a member was just stopped; the log of " +
				"that member says which",
		)
	}
	if r.Row.Waits >= mostAway || fault.Stopped(ctx) != nil {
		return err
	}
	if away := r.svc.retrieve.Inbox().Away(); len(away) > 0 {
		return fault.Wait(
			"%s; perhaps the source sent it to a receiver that does not answer now or has just stopped: member %s (see "+
				"adit cluster status)", why, strings.Join(away, ", "),
		)
	}
	return err
}

// mostAway is how many times in a row a task waits since a receiver may be gone. It may be gone for long, and something
// else be wrong.
const mostAway = 8

// heedHalt ends a run that did not come to its end by itself, some time after it was told to end the retrieve in hand.
func (r *run) heedHalt(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-r.Signals.Halted:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(r.svc.Config.ParkPatience)
	defer timer.Stop()
	select {
	case <-timer.C:
		cancel(fault.ErrParked)
	case <-ctx.Done():
	}
}

func (r *run) do(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	if err := r.load(ctx); err != nil {
		return err
	}
	defer func() {
		if err != nil && fault.Stopped(ctx) == nil {
			r.verdict.down = r.verdict.downOf(err)
		}
		r.endAssociations()
	}()
	if err := r.takeSlots(); err != nil {
		return err
	}
	if err := r.destination.heedDestination(ctx); err != nil {
		return err
	}
	if r.destination.verification != nil {
		return r.check(ctx)
	}
	return r.fetch(ctx, cancel)
}

// fetch moves what the destination lacks, and sees that it is there.
func (r *run) fetch(ctx context.Context, cancel context.CancelCauseFunc) (err error) {
	if err := r.awaitFirst(ctx); err != nil {
		return err
	}
	defer func() { r.associations.Source.Release(ctx) }()
	defer r.associations.CloseParallel(ctx)
	if r.Inv, err = r.lookUpPatiently(ctx); err != nil {
		return err
	}
	r.listing.RecallHeard()
	if err := r.deid.openDeid(ctx); err != nil {
		return err
	}
	r.retrieval.RuleOut()
	r.CountExpected()
	if err := r.destination.heedUnanswered(ctx); err != nil {
		return err
	}
	if err := r.destination.heedDuplicates(ctx); err != nil {
		return err
	}
	if err := r.destination.countBefore(ctx); err != nil {
		return err
	}
	if err := r.verdict.recordBegin(ctx); err != nil {
		return err
	}
	if err := r.direct.moveDirectly(ctx); err != nil {
		return err
	}
	r.letGo(ctx)
	r.moreSlots(ctx)
	defer r.Sink.Close(ctx)
	if err := r.negotiation.PrepareSink(ctx); err != nil {
		return err
	}
	stopWorkers := sync.OnceFunc(r.delivering.startWorkers(ctx, cancel))
	defer stopWorkers()
	closeDelivery := sync.OnceFunc(r.openDelivery(ctx))
	defer closeDelivery()
	if err := r.retrieval.Move(ctx); err != nil {
		return err
	}
	if err := r.destination.confirmHeld(ctx); err != nil {
		return err
	}
	closeDelivery()
	stopWorkers()
	if cause := fault.Stopped(ctx); cause != nil { // the ledger could not be written
		return cause
	}
	if err := r.destination.countFiles(ctx); err != nil {
		return err
	}
	if err := r.destination.finishArchive(ctx); err != nil {
		return err
	}
	return r.verify(ctx)
}
