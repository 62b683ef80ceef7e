// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"fmt"
	"math"

	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
)

// retrieveByGet asks by C-GET over associations of from, one after the other; by WADO-RS, if that is the method in use.
func (r *Retrieval) retrieveByGet(
	ctx context.Context, from *Connection, s *source.SeriesInventory, uids []string, o source.Offer,
) error {
	if uids != nil && len(uids) == 0 {
		return nil
	}
	most := source.MaxStorage
	if r.Methods.byWeb() {
		most = math.MaxInt
	}
	for i, p := range r.Negotiation.parts(s, uids, o, most) {
		if i > 0 && !r.lacks(s, p.uids) {
			continue
		}
		if err := r.getPart(ctx, from, s, p, o); err != nil {
			return err
		}
	}
	return nil
}

// getPart runs one C-GET, or its counterpart.
func (r *Retrieval) getPart(
	ctx context.Context, from *Connection, s *source.SeriesInventory, p part, o source.Offer,
) error {
	if r.halted(from.slot) {
		return fault.ErrParked
	}
	if err := from.Prepare(ctx, r.wanted(p.classes, o)); err != nil {
		return fmt.Errorf("the source %s can't be reached: %w", r.Src.Name, r.Methods.byMethod(err))
	}
	stop := make(chan struct{})
	intake := &Intake{to: r.taker, instances: r.Instances, Asked: s.UID, stop: stop, Patience: r.sinkPatience()}
	leave := r.oversee(intake, from.slot)
	result, err := from.Get(ctx, source.Request{Of: r.Inv, Series: s.UID, UIDs: p.uids}, stop, intake.take)
	leave()
	if err != nil {
		if intake.err != nil {
			return intake.err // some answer a C-CANCEL by an abort
		}
		if intake.received.Load() > 0 {
			r.Methods.worksBy(r.Methods.inUse())
		}
		return fmt.Errorf("the retrieve from %s failed: %w", r.Src.Name, r.Methods.byMethod(err))
	}
	r.Methods.worksBy(r.Methods.inUse())
	if intake.err != nil {
		return intake.err
	}
	return r.Answers.judgeResult(result, s, p.uids, intake, "", o)
}

// wanted is what the source is asked for of some SOP classes.
func (r *Retrieval) wanted(classes []string, o source.Offer) source.Wanted {
	syntaxes := r.Negotiation.asked(classes, o)
	return source.Wanted{
		Syntaxes: syntaxes, Usual: o == source.OfferLossless, ByWeb: r.Methods.byWeb(),
		Study: func() ([]string, map[string][]string) { return r.Inv.AllClasses(), r.Negotiation.beside(syntaxes) },
	}
}

// oversee ends a retrieve by C-CANCEL when the task, or the association that it goes over, has to stop. The intake's
// error is ErrParked then. leave must be called when the retrieve has ended, before the intake's error is read.
func (r *Retrieval) oversee(in *Intake, slot *door.Slot) (leave func()) {
	done, left := make(chan struct{}), make(chan struct{})
	own := r.Signals.Of(slot.ID())
	go func() {
		defer close(left)
		select {
		case <-r.Signals.Halted:
			in.Halt(fault.ErrParked)
		case <-own.Halted:
			in.Halt(fault.ErrParked)
		case <-done:
		}
	}()
	ended := false
	return func() {
		if !ended {
			ended = true
			close(done)
			<-left
		}
	}
}
