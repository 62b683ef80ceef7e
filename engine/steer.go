// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"time"

	"github.com/adit-go/adit/engine/pacs"
)

// heedHalt ends a run that did not come to its end by itself, some time after it was told to end the retrieve in hand.
func (r *run) heedHalt(ctx context.Context, cancel context.CancelCauseFunc) {
	select {
	case <-r.reins.halt:
	case <-ctx.Done():
		return
	}
	timer := time.NewTimer(r.e.cfg.ParkPatience)
	defer timer.Stop()
	select {
	case <-timer.C:
		cancel(ErrParked)
	case <-ctx.Done():
	}
}

// halted tells whether no retrieve may begin over a slot any more.
func (r *run) halted(slot *pacs.Slot) bool {
	return isClosed(r.reins.halt) || isClosed(r.reins.of(slot.ID()).halt)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// oversee ends a retrieve by C-CANCEL when the task, or the association that it goes over, has to stop. The intake's error is ErrParked
// then. leave must be called when the retrieve has ended, before the intake's error is read.
func (r *run) oversee(in *intake, slot *pacs.Slot) (leave func()) {
	done, left := make(chan struct{}), make(chan struct{})
	own := r.reins.of(slot.ID())
	go func() {
		defer close(left)
		select {
		case <-r.reins.halt:
			in.halt(ErrParked)
		case <-own.halt:
			in.halt(ErrParked)
		case <-done:
		}
	}()
	ended := false
	return func() {
		if !ended {
			ended = true
			close(done)
			<-left
		}
	}
}

// shedOf gives what is closed when the association of a worker beyond the first has to go; nil if that can't be.
func (r *run) shedOf(worker int) <-chan struct{} {
	store, ok := r.sink.(*serverSink)
	if !ok || worker == 0 {
		return nil
	}
	return r.reins.of(store.slots[worker].ID()).park
}

// nextParcel waits for something to send; false: there is nothing more, or this worker has to go.
func (r *run) nextParcel(shed <-chan struct{}) (*parcel, bool) {
	if shed != nil && isClosed(shed) {
		return nil, false
	}
	select {
	case p, ok := <-r.queue:
		return p, ok
	case <-shed:
		return nil, false
	}
}
