// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"sync"

	"github.com/adit-go/adit/engine/pacs"
)

// sweep asks for the series of a study side by side, each over an association of its own, as far as the source's settings and other tasks
// allow: a source that waits for each answer before it sends the next object is then not the measure of the whole. It asks for each
// series once, as a whole. What is missing afterwards is for the careful way that follows, and so is every error.
func (r *run) sweep(ctx context.Context) {
	var fresh []*seriesInventory
	for _, s := range r.inv.series {
		if r.deliveredOf(s.uid) == 0 && s.expected() != 0 {
			fresh = append(fresh, s)
		}
	}
	if r.nearline || r.method() != MethodGet || len(fresh) < 2 || int(r.progress.Expected.Load()) < 2*worthAnAssociation {
		return
	}
	slots, err := r.e.door.MoreTaskSlots(ctx, r.held.Claimed, r.src.ID, min(int(r.src.Server.AssociationsPerTask), len(fresh))-1)
	if err != nil {
		r.e.log.WarnContext(ctx, "no further retrieve associations", "task", r.held.TaskID, "err", err)
	}
	if len(slots) == 0 {
		return
	}
	work := make(chan *seriesInventory, len(fresh))
	for _, s := range fresh {
		work <- s
	}
	close(work)
	var lanes sync.WaitGroup
	lanes.Go(func() { r.lane(ctx, r.source, work) })
	for _, slot := range slots {
		lanes.Go(func() { r.furtherLane(ctx, slot, work) })
	}
	lanes.Wait()
	r.settle()
}

// furtherLane is a lane over a slot of its own, which it gives back. A source that serves fewer associations than its cap allows may leave
// this one waiting for the end of another, perhaps of a task that waits likewise: so it doesn't wait for long.
func (r *run) furtherLane(ctx context.Context, slot *pacs.Slot, work <-chan *seriesInventory) {
	from := &source{node: r.src, peer: r.e.peer(r.src), slot: slot, inTime: furtherPatience}
	r.lane(ctx, from, work)
	from.release(ctx)
	r.gaveBack(ctx, slot.Close(ctx))
}

// lane retrieves one series after the other until there are no more, the task is to stop, or something fails.
func (r *run) lane(ctx context.Context, from *source, work <-chan *seriesInventory) {
	for s := range work {
		if isClosed(r.park) || isClosed(r.reins.of(from.slot.ID()).park) || stopped(ctx) != nil || r.sinkFailed() {
			return
		}
		err := r.retrieveByGet(ctx, from, s, nil, firstOffer(s))
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
