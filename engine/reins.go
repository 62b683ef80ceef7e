// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// Reins let the node steer a running task. They are safe for concurrent use.
type Reins struct {
	park chan struct{} // closed: stop between two series
	halt chan struct{} // closed: end the retrieve in hand by C-CANCEL

	mu     sync.Mutex
	parked bool
	timer  *time.Timer // closes halt
	due    time.Time   // when it does
	halted bool
	slots  map[int64]*Reins // of single associations
}

// NewReins gives the reins of a task that may go on.
func NewReins() *Reins {
	return &Reins{park: make(chan struct{}), halt: make(chan struct{}), slots: map[int64]*Reins{}}
}

// Park lets the series in hand finish, and then stops the task.
func (r *Reins) Park() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.parked {
		r.parked = true
		close(r.park)
	}
}

// ParkWithin is Park, and ends the series in hand at an instance boundary when the grace is over. A shorter grace takes the place of a
// longer one.
func (r *Reins) ParkWithin(grace time.Duration) {
	r.Park()
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.halted:
	case grace <= 0:
		r.closeHalt()
	case r.timer == nil:
		r.due = time.Now().Add(grace)
		r.timer = time.AfterFunc(grace, func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.closeHalt()
		})
	case time.Now().Add(grace).Before(r.due):
		r.due = time.Now().Add(grace)
		r.timer.Reset(grace)
	}
}

// closeHalt needs the lock.
func (r *Reins) closeHalt() {
	if !r.halted {
		r.halted = true
		close(r.halt)
	}
}

// Shed is ParkWithin for single associations beyond the first: the task goes on without them.
func (r *Reins) Shed(slots []int64, grace time.Duration) {
	for _, id := range slots {
		r.of(id).ParkWithin(grace)
	}
}

// of gives the reins of an association.
func (r *Reins) of(slot int64) *Reins {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots[slot] == nil {
		r.slots[slot] = NewReins()
	}
	return r.slots[slot]
}

// Drop ends what waits for a grace to be over.
func (r *Reins) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range append(slices.Collect(maps.Values(r.slots)), r) {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
}
