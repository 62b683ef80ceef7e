// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"slices"
	"time"

	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/pause"
)

// silencePatience is how long a source may take for its first answer before the task gives the destination's slot to
// others. A healthy archive answers a C-FIND within that.
const silencePatience = 3 * time.Second

// lookUpPatiently is lookUp, and holds nothing of the destination while the source says nothing yet. Afterwards it
// waits for a place there.
func (r *run) lookUpPatiently(ctx context.Context) (*source.Inventory, error) {
	if r.Dst.Server == nil {
		return r.listing.LookUp(ctx)
	}
	given := make(chan struct{})
	timer := time.AfterFunc(silencePatience, func() {
		defer close(given)
		if !r.HeardSource.Load() {
			r.giveSink(ctx)
		}
	})
	inv, err := r.listing.LookUp(ctx)
	if !timer.Stop() {
		<-given
	}
	if err != nil || len(r.Sink.Slots()) > 0 {
		return inv, err
	}
	return inv, r.takeSink(ctx)
}

// giveSink gives the slot of the destination to others. Nothing may be open there.
func (r *run) giveSink(ctx context.Context) {
	for _, s := range r.Sink.Slots() {
		r.GaveBack(ctx, s.Close(ctx))
	}
	r.Sink.SetSlots(nil)
	r.svc.Signals.Wake()
}

// takeSink waits for another one.
func (r *run) takeSink(ctx context.Context) error {
	r.Slots = slices.DeleteFunc(
		r.Slots, func(s *door.Slot) bool { return s.ServerID == r.Dst.ID && s.ServerID != r.Src.ID },
	)
	for deadline := time.Now().Add(retrieve.TurnPatience); ; {
		slot, err := r.svc.Door.SlotAgain(ctx, r.Held.Claimed, r.Dst.ID)
		switch {
		case err != nil:
			return err
		case slot != nil:
			r.Sink.SetSlots([]*door.Slot{slot})
			r.Slots = append(r.Slots, slot)
			return nil
		}
		if err := lease.Holds(ctx, r.svc.Q, r.Held); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fault.Wait(
				"all connections that DICOM Server %s allows to jobs are in use; the source took long to answer, and "+
					"others went first",
				r.Dst.Name,
			)
		}
		if err := pause.For(ctx, retrieve.TurnRecheck); err != nil {
			return err
		}
	}
}
