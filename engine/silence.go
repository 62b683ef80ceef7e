// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"slices"
	"time"

	"github.com/adit-go/adit/engine/pacs"
)

// silencePatience is how long a source may take for its first answer before the task gives the destination's slot to others. A healthy archive
// answers a C-FIND within that.
const silencePatience = 3 * time.Second

// lookUpPatiently is lookUp, and holds nothing of the destination while the source says nothing yet. Afterwards it waits for a place there.
func (r *run) lookUpPatiently(ctx context.Context) (*inventory, error) {
	store, ok := r.sink.(*serverSink)
	if !ok {
		return r.lookUp(ctx)
	}
	given := make(chan struct{})
	timer := time.AfterFunc(silencePatience, func() {
		defer close(given)
		if !r.heardSource.Load() {
			r.giveSink(ctx, store)
		}
	})
	inv, err := r.lookUp(ctx)
	if !timer.Stop() {
		<-given
	}
	if err != nil || len(store.slots) > 0 {
		return inv, err
	}
	return inv, r.takeSink(ctx, store)
}

// giveSink gives the slot of the destination to others. Nothing may be open there.
func (r *run) giveSink(ctx context.Context, store *serverSink) {
	for _, s := range store.slots {
		r.gaveBack(ctx, s.Close(ctx))
	}
	store.slots = nil
	r.e.signals.Wake()
}

// takeSink waits for another one.
func (r *run) takeSink(ctx context.Context, store *serverSink) error {
	r.slots = slices.DeleteFunc(r.slots, func(s *pacs.Slot) bool { return s.ServerID == r.dst.ID && s.ServerID != r.src.ID })
	for deadline := time.Now().Add(turnPatience); ; {
		slot, err := r.e.door.SlotAgain(ctx, r.held.Claimed, r.dst.ID)
		switch {
		case err != nil:
			return err
		case slot != nil:
			store.slots, r.slots = []*pacs.Slot{slot}, append(r.slots, slot)
			return nil
		}
		if err := holds(ctx, r.e.q, r.held); err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return wait("all connections that DICOM Server %s allows to jobs are in use; the source took long to answer, and others went first", r.dst.Name)
		}
		if err := pause(ctx, turnRecheck); err != nil {
			return err
		}
	}
}
