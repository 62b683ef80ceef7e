// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/source"
)

// retrieveByMove runs one C-MOVE over an association of from, of the whole series or of the instances named. What it
// brings comes in by the delivery; a slot must be there for the association over which it does.
func (r *Retrieval) retrieveByMove(
	ctx context.Context, from *Connection, s *source.SeriesInventory, uids []string, o source.Offer,
) error {
	if uids != nil && len(uids) == 0 || !r.Negotiation.takes(s.Classes(), o) {
		return nil
	}
	if r.halted(from.slot) {
		return fault.ErrParked
	}
	mover, ok := from.Mover()
	if !ok {
		return &methodError{fault.Permanent("The source %s does not support C-MOVE.", r.Src.Name)}
	}
	id, err := r.Moves.BeginMove(ctx, false)
	if err != nil {
		return err
	}
	busy := false
	defer func() { r.Moves.EndMove(ctx, id, busy) }()
	r.svc.inbox.Expect(r.Moves.Inbound, id)
	defer r.svc.inbox.Ended(id)
	in := &Intake{
		to: r.taker, instances: r.Instances, Asked: s.UID, inbound: r.Moves.Inbound,
		stop: make(chan struct{}), Patience: r.sinkPatience(),
	}
	r.Moves.Inbound.begin(s.UID, in)
	defer r.Moves.Inbound.finish(in)
	leave := r.oversee(in, from.slot)
	defer leave()
	title, since := r.Moves.moveDestination(o), time.Now()
	result, err := mover.Move(ctx, source.Request{Of: r.Inv, Series: s.UID, UIDs: uids}, dimse.MoveRequest{
		Destination: title, MessageID: id, Stop: in.stop, Alive: in.lives(),
	})
	if err != nil {
		if leave(); in.err != nil {
			return in.err // as by C-GET
		}
		r.Moves.heedReach(in)
		err = fmt.Errorf("the retrieve from %s failed: %w", r.Src.Name, r.Methods.byMethod(err))
		if calls := r.svc.receive.TurnedAway(ctx, r.Src.Name, since); len(calls) > 0 {
			err = fmt.Errorf("%w; %s", err, receive.SayCalls(calls))
		}
		return err
	}
	r.Methods.worksBy(nodes.MethodMove)
	r.Moves.awaitLate(ctx, s, uids, in, result)
	r.Moves.Inbound.finish(in)
	leave()
	r.Moves.heedReach(in)
	if in.err != nil {
		return in.err
	}
	if err := r.Moves.heedCalls(ctx, s, uids, in, result, since, title); err != nil {
		return err
	}
	err = r.Answers.judgeResult(result, s, uids, in, title, o)
	busy = result.Status.Meaning(dimse.CMove).Outcome == dimse.BackOff && fault.PolicyOf(err) == fault.PolicyWait
	return err
}
