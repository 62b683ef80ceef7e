// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/adit-go/adit/engine/pacs"
)

// openLanes takes further slots of the source, as far as its settings and other tasks allow, so that series are listed and retrieved side
// by side: a source that waits for each answer before it sends the next object, or that reads its files for a list, is then not the measure
// of the whole.
func (r *run) openLanes(ctx context.Context, series []*seriesInventory) {
	images := 0
	for _, s := range series {
		if images += s.counted; s.counted < 0 {
			images += worthAnAssociation
		}
	}
	if len(r.lanes) > 0 || len(series) < 2 || images < 2*worthAnAssociation {
		return
	}
	slots, err := r.e.door.MoreTaskSlots(ctx, r.held.Claimed, r.src.ID, min(int(r.src.Server.AssociationsPerTask), len(series))-1)
	if err != nil {
		r.e.log.WarnContext(ctx, "no further associations to the source", "task", r.held.TaskID, "err", err)
	}
	for _, slot := range slots {
		// A source that serves fewer associations than its cap allows may leave this one waiting for the end of another, perhaps of a task
		// that waits likewise: so it doesn't wait for long.
		r.lanes = append(r.lanes, r.newSource(slot))
		r.lanes[len(r.lanes)-1].inTime = furtherPatience
	}
}

// closeLanes gives back what openLanes took.
func (r *run) closeLanes(ctx context.Context) {
	for _, from := range r.lanes {
		r.closeLane(ctx, from)
	}
	r.lanes = nil
}

func (r *run) closeLane(ctx context.Context, from *source) {
	from.release(ctx)
	r.gaveBack(ctx, from.slot.Close(ctx))
	if from.store != nil {
		r.gaveBack(ctx, from.store.Close(ctx))
	}
}

// sideBySide asks about each series, over the source's own association and the lanes. What fails on a lane is asked again over the
// source's own, whose error counts.
func (r *run) sideBySide(ctx context.Context, series []*seriesInventory, ask func(from *source, s *seriesInventory) error) error {
	todo := make(chan *seriesInventory, len(series))
	for _, s := range series {
		todo <- s
	}
	close(todo)
	opening, enough := context.WithCancel(ctx)
	defer enough()
	failed := make(chan *seriesInventory, len(r.lanes))
	var lanes sync.WaitGroup
	for _, from := range r.lanes {
		lanes.Go(func() {
			if from.a == nil {
				if err := from.begin(opening); err != nil || opening.Err() != nil {
					from.abort() // its opening may have been given up in the moment that it succeeded
					return
				}
			}
			for s := range todo {
				if ask(from, s) != nil {
					from.abort()
					failed <- s
					return
				}
			}
		})
	}
	var err error
	for s := range todo {
		if err == nil {
			err = ask(r.source, s)
		}
	}
	enough()
	lanes.Wait()
	close(failed)
	for s := range failed {
		if err == nil {
			err = ask(r.source, s)
		}
	}
	return err
}

// sweep retrieves the series of a study side by side, if there are lanes. It asks for each series once, as a whole. What is missing
// afterwards is for the careful way that follows, and so is every error. C-MOVEs run side by side only if the source names them with each
// object, as several of one study could not be told apart from those of another task otherwise.
func (r *run) sweep(ctx context.Context) {
	moves := r.method() == MethodMove
	var fresh []*seriesInventory
	for _, s := range r.inv.series {
		if r.asksWhole(s) && r.instances.deliveredOf(s.uid) == 0 && s.expected() != 0 && (s.listed || !moves) {
			fresh = append(fresh, s)
		}
	}
	if !moves || r.src.Server.MoveOriginator {
		r.openLanes(ctx, fresh)
		if moves {
			r.storeForLanes(ctx)
		}
	} else {
		r.closeLanes(ctx)
	}
	if len(fresh) < 2 || len(r.lanes) == 0 {
		r.closeLanes(ctx)
		return
	}
	work := make(chan *seriesInventory, len(fresh))
	for _, s := range fresh {
		work <- s
	}
	close(work)
	var lanes sync.WaitGroup
	lanes.Go(func() { r.lane(ctx, r.source, work) })
	gone := make([]*source, len(r.lanes))
	for i, from := range r.lanes {
		lanes.Go(func() {
			r.lane(ctx, from, work)
			if r.hasToGo(from) {
				r.closeLane(ctx, from)
				gone[i] = from
			}
		})
	}
	lanes.Wait()
	r.lanes = slices.DeleteFunc(r.lanes, func(from *source) bool { return slices.Contains(gone, from) })
	r.settle()
}

// storeForLanes takes a slot for the run and for each lane, for the association over which its C-MOVEs bring their objects. Where there
// is no room for that, the last lane makes some.
func (r *run) storeForLanes(ctx context.Context) {
	take := func(lane int) *pacs.Slot {
		for len(r.lanes) > lane {
			slot, _, err := r.e.door.MoveSlot(ctx, r.held.Claimed, r.src.ID)
			if err == nil && slot != nil {
				return slot
			}
			last := len(r.lanes) - 1
			r.closeLane(ctx, r.lanes[last])
			r.lanes = r.lanes[:last]
		}
		return nil
	}
	if r.storeSlot == nil {
		if slot := take(0); slot != nil {
			r.storeSlot, r.slots = slot, append(r.slots, slot)
		}
	}
	for i, from := range r.lanes { // of which the last may have gone when it is their turn
		if slot := take(i); slot != nil {
			from.store = slot
		}
	}
}

// hasToGo tells whether a lane has to give its slots back.
func (r *run) hasToGo(from *source) bool {
	return isClosed(r.reins.of(from.slot.ID()).park) || from.store != nil && isClosed(r.reins.of(from.store.ID()).park)
}

// lane retrieves one series after the other until there are no more, the task is to stop, or something fails.
func (r *run) lane(ctx context.Context, from *source, work <-chan *seriesInventory) {
	for s := range work {
		if isClosed(r.park) || r.hasToGo(from) || stopped(ctx) != nil || r.sinkFailed() {
			return
		}
		var err error
		if r.method() == MethodMove {
			err = r.retrieveByMove(ctx, from, s, nil, r.firstMoveOffer(s))
		} else {
			err = r.retrieveByGet(ctx, from, s, nil, firstOffer(s))
		}
		s.broken = s.broken || err != nil
		if errors.Is(err, ErrParked) {
			return
		}
		if err != nil {
			r.e.log.InfoContext(ctx, "a series could not be retrieved beside others", "task", r.held.TaskID, "series", s.uid, "err", err)
			from.abort()
			return
		}
	}
}
