// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"maps"
	"slices"
	"sync"
	"time"
)

// StopSignals let the member steer a running task. They are safe for concurrent use.
type StopSignals struct {
	Parked chan struct{} // closed: stop between two series
	Halted chan struct{} // closed: end the retrieve in hand by C-CANCEL

	mu     sync.Mutex
	parked bool
	timer  *time.Timer // closes halt
	due    time.Time   // when it does
	halted bool
	slots  map[int64]*StopSignals // of single associations
}

// NewStopSignals returns the signals of a task that may go on.
func NewStopSignals() *StopSignals {
	return &StopSignals{Parked: make(chan struct{}), Halted: make(chan struct{}), slots: map[int64]*StopSignals{}}
}

// Park lets the series in hand finish, and then stops the task.
func (r *StopSignals) Park() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.parked {
		r.parked = true
		close(r.Parked)
	}
}

// ParkWithin is Park, and ends the series in hand at an instance boundary when the grace is over. A shorter grace takes
// the place of a longer one.
func (r *StopSignals) ParkWithin(grace time.Duration) {
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
func (r *StopSignals) closeHalt() {
	if !r.halted {
		r.halted = true
		close(r.Halted)
	}
}

// Shed is ParkWithin for single associations beyond the first: the task goes on without them.
func (r *StopSignals) Shed(slots []int64, grace time.Duration) {
	for _, id := range slots {
		r.Of(id).ParkWithin(grace)
	}
}

// Of returns the signals of an association.
func (r *StopSignals) Of(slot int64) *StopSignals {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.slots[slot] == nil {
		r.slots[slot] = NewStopSignals()
	}
	return r.slots[slot]
}

// Drop ends what waits for a grace to be over.
func (r *StopSignals) Drop() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range append(slices.Collect(maps.Values(r.slots)), r) {
		if s.timer != nil {
			s.timer.Stop()
		}
	}
}

// IsClosed reports whether a channel is closed.
func IsClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
