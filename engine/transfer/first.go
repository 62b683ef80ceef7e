// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// firsts lets one run go ahead where nothing has gone through yet in this process from a source to a destination. Runs
// that begin at once would else all meet what one meets: a server that is ill would see as many associations as its cap
// allows, and twice as many where the first C-GET needs one of its own.
type firsts struct {
	mu    sync.Mutex
	going map[source.Pair]*first
	well  map[source.Pair]bool // something went through, or took its time: nobody waits any more
}

func newFirsts() *firsts {
	return &firsts{going: map[source.Pair]*first{}, well: map[source.Pair]bool{}}
}

// join returns the run that goes ahead, and whether that is the caller's from now on; nil if none has to.
func (f *firsts) join(of source.Pair) (ahead *first, own bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.well[of] {
		return nil, false
	}
	if ahead = f.going[of]; ahead == nil {
		ahead, own = &first{make(chan struct{})}, true
		f.going[of] = ahead
	}
	return ahead, own
}

// end lets the next run go ahead, or all of them if it went well.
func (f *firsts) end(of source.Pair, ahead *first, well bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.well[of] = f.well[of] || well
	if f.going[of] == ahead {
		delete(f.going, of)
		close(ahead.over)
	}
}

// first is a run that goes ahead.
type first struct{ over chan struct{} }

// firstPatience bounds how long runs wait for the first one of their two nodes.
const firstPatience = time.Second

// awaitFirst waits for the run that goes ahead, if one does. Where that is refused, the next one goes ahead, and none
// if a server is closed then.
func (r *run) awaitFirst(ctx context.Context) error {
	of := source.Pair{Source: r.Src.ID, Destination: r.Dst.ID}
	timer := time.NewTimer(firstPatience)
	defer timer.Stop()
	for {
		ahead, own := r.svc.firsts.join(of)
		switch {
		case ahead == nil:
			return nil
		case own:
			r.delivering.first.Store(ahead)
			return nil
		}
		select {
		case <-ahead.over:
		case <-timer.C:
			r.svc.firsts.end(of, ahead, true)
			return nil
		case <-r.Park:
			return fault.ErrParked
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if err := r.heedBreakers(ctx); err != nil {
			return err
		}
	}
}

// heedBreakers has a run wait whose servers were closed after its claim.
func (r *run) heedBreakers(ctx context.Context) error {
	for _, n := range []nodes.DICOMNode{r.Src, r.Dst} {
		if n.Server == nil {
			continue
		}
		st, err := r.svc.Q.GetServerState(ctx, n.ID)
		if err != nil {
			return err
		}
		if st.Breaker == nodes.BreakerOpen {
			return &fault.Fault{Policy: fault.PolicyWait, Err: errors.New(st.BreakerReason), Wait: time.Millisecond}
		}
	}
	return nil
}

// endFirst ends the going ahead of a run that does; well reports whether something went through.
func (r *delivering) endFirst(well bool) {
	if ahead := r.first.Swap(nil); ahead != nil {
		r.svc.firsts.end(source.Pair{Source: r.Src.ID, Destination: r.Dst.ID}, ahead, well)
	}
}
