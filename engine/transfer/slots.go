// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"

	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/retrieve"
)

// takeSlots finds the slots that came with the claim, and opens source and sink over them.
func (r *run) takeSlots() error {
	r.Sink = r.svc.sink.Of(r.Dst, r.Held, r.Job, r.Row, &r.Crept)
	var from *door.Slot
	var store []*door.Slot
	for _, s := range r.Slots {
		switch {
		case s.ServerID == r.Src.ID && from != nil:
			r.associations.StoreSlot = s
		case s.ServerID == r.Src.ID:
			from = s
		case s.ServerID == r.Dst.ID:
			store = append(store, s)
		}
	}
	r.associations.Source = r.associations.Connect(from, 0)
	r.Sink.SetSlots(store)
	if from == nil && r.destination.verification == nil || r.Dst.Server != nil && len(store) == 0 {
		return fault.ErrFenced // its slots are gone, so the lease is
	}
	return nil
}

// moreSlots asks for further store associations, as far as the destination's settings and other tasks allow.
func (r *run) moreSlots(ctx context.Context) {
	r.Sink.Expect(r.Inv.AllModalities())
	if r.Dst.Server == nil {
		return
	}
	wanted := min(
		int(r.Dst.Server.AssociationsPerTask),
		1+int(r.Progress.Expected.Load()-r.Progress.Delivered.Load())/retrieve.WorthAnAssociation,
	) - 1
	slots, err := r.svc.Door.MoreTaskSlots(ctx, r.Held.Claimed, r.Dst.ID, wanted)
	if err != nil {
		r.svc.Log.WarnContext(ctx, "no further store associations", "task", r.Held.TaskID, "err", err)
		return
	}
	r.Sink.SetSlots(append(r.Sink.Slots(), slots...))
	r.Slots = append(r.Slots, slots...)
}

// endAssociations ends what is still open.
func (r *run) endAssociations() {
	for _, s := range r.Slots {
		s.End()
	}
}

// giveBack ends every association and gives the slots back, where the end of the lease does not.
func (r *run) giveBack(ctx context.Context) {
	r.delivering.endFirst(false)
	for _, s := range r.Slots {
		r.GaveBack(ctx, s.Close(ctx))
	}
}

// keepOne ends all associations and gives all slots back but the first of the destination.
func (r *run) keepOne(ctx context.Context) {
	r.associations.Source.Release(ctx)
	r.Sink.Close(ctx)
	kept := r.Sink.Slots()[0]
	for _, s := range r.Slots {
		if s != kept {
			r.GaveBack(ctx, s.Close(ctx))
		}
	}
	r.Slots = []*door.Slot{kept}
}

// letGo releases the associations to the source that the retrieves can't use, before what follows, most of which may
// take long.
func (r *run) letGo(ctx context.Context) {
	for _, from := range append([]*retrieve.Connection{r.associations.Source}, r.associations.Parallel...) {
		if !from.Lasts() || r.destination.mustVerify {
			from.Release(ctx)
		}
	}
}
