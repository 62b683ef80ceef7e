// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// moveInParallel retrieves the series of a study side by side, if there are parallel associations. It asks for each
// series once, as a whole. What is missing afterwards is for the careful way that follows, and so is every error,
// unless each association broke off and nothing came. C-MOVEs run side by side only if the source names them with each
// instance, as several of one study could not be told apart from those of another task otherwise.
func (r *Retrieval) moveInParallel(ctx context.Context) error {
	moves := r.Methods.inUse() == nodes.MethodMove
	var fresh []*source.SeriesInventory
	for _, s := range r.Inv.Series {
		if r.asksWhole(s) && r.Instances.DeliveredOf(s.UID) == 0 && s.Expected() != 0 && (s.Listed || !moves) {
			fresh = append(fresh, s)
		}
	}
	if !moves || r.Src.Server.MoveOriginator {
		r.Associations.openParallel(ctx, fresh)
		if moves {
			r.Associations.storeForParallel(ctx)
		}
	} else {
		r.Associations.CloseParallel(ctx)
	}
	if len(fresh) < 2 || len(r.Associations.Parallel) == 0 {
		r.Associations.CloseParallel(ctx)
		return nil
	}
	before := r.Instances.DeliveredOf("")
	work := make(chan *source.SeriesInventory, len(fresh))
	for _, s := range fresh {
		work <- s
	}
	close(work)
	var others sync.WaitGroup
	gone, broke := make([]*Connection, len(r.Associations.Parallel)), make([]error, len(r.Associations.Parallel)+1)
	others.Go(func() { broke[len(r.Associations.Parallel)] = r.retrieveOver(ctx, r.Associations.Source, work) })
	for i, from := range r.Associations.Parallel {
		others.Go(func() {
			broke[i] = r.retrieveOver(ctx, from, work)
			if r.Associations.hasToGo(from) {
				r.Associations.closeOne(ctx, from)
				gone[i] = from
			}
		})
	}
	others.Wait()
	r.Associations.Parallel = slices.DeleteFunc(
		r.Associations.Parallel, func(from *Connection) bool { return slices.Contains(gone, from) },
	)
	r.sender.Settle()
	if r.Instances.DeliveredOf("") > before {
		return nil
	}
	return r.allBroke(broke)
}

// retrieveOver retrieves one series after the other over an association, until there are no more, the task is to stop,
// or something fails. It returns what failed.
func (r *Retrieval) retrieveOver(ctx context.Context, from *Connection, work <-chan *source.SeriesInventory) error {
	for s := range work {
		if lease.IsClosed(r.Park) || r.Associations.hasToGo(from) || fault.Stopped(ctx) != nil || r.sender.Failed() {
			return nil //nolint:nilerr // what stops the run is seen where it waits for its associations
		}
		var err error
		if r.Methods.inUse() == nodes.MethodMove {
			err = r.retrieveByMove(ctx, from, s, nil, r.Negotiation.firstMoveOffer(s))
		} else {
			err = r.retrieveByGet(ctx, from, s, nil, r.firstOffer(s))
		}
		s.Broken = s.Broken || err != nil
		if errors.Is(err, fault.ErrParked) {
			return nil
		}
		if err != nil {
			r.svc.Log.InfoContext(
				ctx, "a series could not be retrieved beside others",
				"task", r.Held.TaskID, "series", s.UID, "err", err,
			)
			from.Abort()
			return err
		}
	}
	return nil
}

// allBroke returns an error if all of them ended because the source broke off, and no other method may do better.
func (r *Retrieval) allBroke(ends []error) error {
	whole := func(err error) bool { return !fault.PeerFailed(err) }
	if r.Methods.using+1 < len(r.Methods.List) || r.sender.Failed() || slices.ContainsFunc(ends, whole) {
		return nil
	}
	return ends[len(ends)-1]
}
