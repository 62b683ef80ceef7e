// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/pause"
)

// Associations are those of a run to its source.
type Associations struct {
	*Task
	methods  *Methods
	Source   *Connection
	Parallel []*Connection // further ones, each over a slot of its own
	// of the association over which C-MOVEs of the source bring their instances; nil: none is taken
	StoreSlot *door.Slot
}

// Connection is the task's source, as it is spoken to over a slot. Whatever is open there is the source's.
type Connection struct {
	source.Source
	slot  *door.Slot
	store *door.Slot // of the association over which C-MOVEs beside others bring their instances; nil: none do
}

// Connect returns what speaks to the task's source over a slot. within is how long opening an association may take; 0:
// what the settings give.
func (r *Associations) Connect(slot *door.Slot, within time.Duration) *Connection {
	return &Connection{slot: slot, Source: &source.Server{
		Node: r.Src, Peer: r.svc.nodes.Peer(r.Src), Slot: slot, InTime: within, Heard: &r.HeardSource,
		Foresight: r.svc.foreseen, Pair: source.Pair{Source: r.Src.ID, Destination: r.Dst.ID},
		MovesFirst: len(r.methods.List) > 0 && r.methods.List[0] == nodes.MethodMove,
		WebFirst:   len(r.methods.List) > 0 && r.methods.List[0] == nodes.MethodWADO,
	}}
}

// WorthAnAssociation is how many instances make a further store association pay.
const WorthAnAssociation = 8

// openParallel takes further slots of the source, as far as its settings and other tasks allow, so that series are
// listed and retrieved side by side: a source that waits for each answer before it sends the next instance, or that
// reads its files for a list, is then not the measure of the whole.
func (r *Associations) openParallel(ctx context.Context, series []*source.SeriesInventory) {
	images := 0
	for _, s := range series {
		if images += s.Counted; s.Counted < 0 {
			images += WorthAnAssociation
		}
	}
	if len(r.Parallel) > 0 || len(series) < 2 || images < 2*WorthAnAssociation {
		return
	}
	slots, err := r.svc.Door.MoreTaskSlots(
		ctx, r.Held.Claimed, r.Src.ID, min(int(r.Src.Server.AssociationsPerTask), len(series))-1,
	)
	if err != nil {
		r.svc.Log.WarnContext(ctx, "no further associations to the source", "task", r.Held.TaskID, "err", err)
	}
	for _, slot := range slots {
		// A source that serves fewer associations than its cap allows may leave this one waiting for the end of
		// another, perhaps of a task that waits likewise: so it doesn't wait for long.
		r.Parallel = append(r.Parallel, r.Connect(slot, sink.FurtherPatience))
	}
}

// sideBySide asks about each series, over the source's own association and the parallel ones. What fails on one of
// those is asked again over the source's own, whose error counts.
func (r *Associations) sideBySide(
	ctx context.Context, series []*source.SeriesInventory, ask func(from *Connection, s *source.SeriesInventory) error,
) error {
	todo := make(chan *source.SeriesInventory, len(series))
	for _, s := range series {
		todo <- s
	}
	close(todo)
	opening, enough := context.WithCancel(ctx)
	defer enough()
	failed := make(chan *source.SeriesInventory, len(r.Parallel))
	var others sync.WaitGroup
	for _, from := range r.Parallel {
		others.Go(func() {
			if from.Begin(opening) != nil {
				return
			}
			for s := range todo {
				if ask(from, s) != nil {
					from.Abort()
					failed <- s
					return
				}
			}
		})
	}
	var err error
	for s := range todo {
		if err == nil {
			err = ask(r.Source, s)
		}
	}
	enough()
	others.Wait()
	close(failed)
	for s := range failed {
		if err == nil {
			err = ask(r.Source, s)
		}
	}
	return err
}

// CloseParallel gives back what openParallel took.
func (r *Associations) CloseParallel(ctx context.Context) {
	for _, from := range r.Parallel {
		r.closeOne(ctx, from)
	}
	r.Parallel = nil
}

// ReserveStore takes the slot for the association over which the source sends what a C-MOVE brings, unless the claim
// came with one. It is kept until the run ends. At a cap of 1 there is none: one C-MOVE runs there at a time, and could
// not run otherwise. Where there is no room, the task that has been there longest waits for it; others give up what
// they hold, so that no two wait for each other.
func (r *Associations) ReserveStore(ctx context.Context) error {
	deadline := time.Now().Add(TurnPatience)
	for r.StoreSlot == nil {
		slot, room, err := r.svc.Door.MoveSlot(ctx, r.Held.Claimed, r.Src.ID)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fault.ErrFenced
		case err != nil:
			return err
		case slot != nil:
			r.StoreSlot, r.Slots = slot, append(r.Slots, slot)
			return nil
		case room.Cap < 2:
			return nil
		case !room.Eldest || time.Now().After(deadline):
			return fault.Wait(
				"a C-MOVE needs two of the connections that DICOM Server %s allows to jobs, and there is only one",
				r.Src.Name,
			)
		}
		if err := pause.For(ctx, TurnRecheck); err != nil {
			return err
		}
	}
	return nil
}

// FreeStore gives that slot back where the source is not to be moved from any more, unless all else fails.
func (r *Associations) FreeStore(ctx context.Context) {
	if r.StoreSlot == nil || r.Src.Server.MovesFirst {
		return
	}
	r.GaveBack(ctx, r.StoreSlot.Close(ctx))
	r.Slots = slices.DeleteFunc(r.Slots, func(s *door.Slot) bool { return s == r.StoreSlot })
	r.StoreSlot = nil
}

// storeForParallel takes a slot for the run and for each parallel association, for the association over which its
// C-MOVEs bring their instances. Where there is no room for that, the last of them makes some.
func (r *Associations) storeForParallel(ctx context.Context) {
	take := func(least int) *door.Slot {
		for len(r.Parallel) > least {
			slot, _, err := r.svc.Door.MoveSlot(ctx, r.Held.Claimed, r.Src.ID)
			if err == nil && slot != nil {
				return slot
			}
			last := len(r.Parallel) - 1
			r.closeOne(ctx, r.Parallel[last])
			r.Parallel = r.Parallel[:last]
		}
		return nil
	}
	if r.StoreSlot == nil {
		if slot := take(0); slot != nil {
			r.StoreSlot, r.Slots = slot, append(r.Slots, slot)
		}
	}
	for i, from := range r.Parallel { // of which the last may have gone when it is their turn
		if slot := take(i); slot != nil {
			from.store = slot
		}
	}
}

func (r *Associations) closeOne(ctx context.Context, from *Connection) {
	from.Release(ctx)
	r.GaveBack(ctx, from.slot.Close(ctx))
	if from.store != nil {
		r.GaveBack(ctx, from.store.Close(ctx))
	}
}

// hasToGo reports whether a parallel association has to give its slots back.
func (r *Associations) hasToGo(from *Connection) bool {
	return lease.IsClosed(r.Signals.Of(from.slot.ID()).Parked) ||
		from.store != nil && lease.IsClosed(r.Signals.Of(from.store.ID()).Parked)
}
