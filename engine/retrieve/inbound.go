// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/receive"
)

// Inbox is where the instances of C-MOVEs arrive. actors implements it by the receiver of this process.
type Inbox interface {
	// Listens reports whether there is a receiver at all.
	Listens() bool
	// Away names the other members with a receiver that do not answer now, or have just gone: what a source sent to
	// them is lost.
	Away() []string
	// Open makes known a run that wants instances, until Close.
	Open(d *Inbound)
	Close(d *Inbound)
	// Expect makes known a C-MOVE of a run before it goes out, until Ended.
	Expect(d *Inbound, messageID uint16)
	Ended(messageID uint16)
}

type noInbox struct{}

func (noInbox) Listens() bool           { return false }
func (noInbox) Away() []string          { return nil }
func (noInbox) Open(*Inbound)           {}
func (noInbox) Close(*Inbound)          {}
func (noInbox) Expect(*Inbound, uint16) {}
func (noInbox) Ended(uint16)            {}

// Inbound is where a run takes the instances that its C-MOVEs bring. It is safe for concurrent use.
type Inbound struct {
	to        Taker
	ctx       context.Context // of the run
	source    int64
	callingAE string
	instances *evidence.Instances
	// look takes the instances instead of a run; nil: the run does.
	look func(*receive.Arrival) dimse.Status

	mu      sync.Mutex
	intakes map[string]*Intake // of the C-MOVEs under way, by the series asked for; none: nothing is taken now
	taking  int
	closed  bool
	changed chan struct{} // closed at each change of the three above, and made anew
}

// NewInbound returns what C-MOVEs bring from a server: for a run, or for who looks at it.
func NewInbound(
	ctx context.Context, from door.Peer, expected *evidence.Instances,
	to Taker, look func(*receive.Arrival) dimse.Status,
) *Inbound {
	return &Inbound{
		to: to, ctx: ctx, source: from.ServerID, callingAE: from.CallingAE, instances: expected, look: look,
		intakes: map[string]*Intake{}, changed: make(chan struct{}),
	}
}

// Source is the ID of the server that the run reads from.
func (d *Inbound) Source() int64 { return d.source }

// Study is the Study Instance UID of what the run moves.
func (d *Inbound) Study() string { return d.instances.Scope.Study() }

// CallingAE is the AE title under which the run moves, that of the Move Originator.
func (d *Inbound) CallingAE() string { return d.callingAE }

// Expects reports whether the source lists this instance among what the run is to move.
func (d *Inbound) Expects(sopInstanceUID string) bool {
	_, listed := d.instances.SeriesOf(sopInstanceUID)
	return listed
}

// Misses reports whether the run expects this instance and has not had it.
func (d *Inbound) Misses(sopInstanceUID string) bool {
	return d.Expects(sopInstanceUID) && !d.instances.Settled(sopInstanceUID)
}

// Wants reports whether a series is among what the run is to move.
func (d *Inbound) Wants(study, series string) bool { return d.instances.Scope.Wants(study, series) }

// Take takes an instance and gives what its sender is to be told: Success when the instance is buffered whole, or
// delivered, or was so before (duplicate). ok is false if the run takes nothing any more; nothing is read of the
// instance then.
func (d *Inbound) Take(ctx context.Context, a *receive.Arrival) (status dimse.Status, duplicate, ok bool) {
	if d.look != nil {
		return d.look(a), false, true
	}
	in := d.enter(ctx, a.SOPInstanceUID)
	if in == nil {
		return 0, false, false
	}
	defer d.leave(in)
	defer d.abortIfStuck(a)()
	defer d.to.Drain(d.ctx, a.Incoming) //nolint:contextcheck // the run's, as below
	in.note(a.SOPInstanceUID)
	for !d.instances.Begin(a.SOPInstanceUID) {
		landed := d.instances.InTheAir(a.SOPInstanceUID)
		if landed == nil {
			d.to.Copy(in, a)
			in.again.Add(1)
			return dimse.Success, true, true
		}
		select { // if the first copy fails, this one is taken
		case <-landed:
		case <-d.ctx.Done():
			return dimse.Success, true, true
		}
	}
	status = in.begun(d.ctx, a) //nolint:contextcheck // the run's: it is taken for the run, whatever becomes of the association
	if status == dimse.OutOfResources && d.ctx.Err() != nil {
		// nobody wants it any more: a status that asks for a repetition would be answered with one
		status = dimse.Success
	}
	return in.counted(status), false, true
}

// entryPatience is how long an instance waits between two C-MOVEs of its run. After that it is asked for again, if it
// is missing.
const entryPatience = 10 * time.Second

// enter waits until instances are let in, and gives the intake of the C-MOVE that asked for this one's series; of any,
// if there is none such. It gives nil if they aren't let in any more.
func (d *Inbound) enter(ctx context.Context, sopInstanceUID string) *Intake {
	timer := time.NewTimer(entryPatience)
	defer timer.Stop()
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.intakes) == 0 && !d.closed {
		changed := d.changed
		d.mu.Unlock()
		var over bool
		select {
		case <-changed:
		case <-timer.C:
			over = true
		case <-ctx.Done():
			over = true
		case <-d.ctx.Done():
			over = true
		}
		d.mu.Lock()
		if over {
			return nil
		}
	}
	if d.closed || d.ctx.Err() != nil {
		return nil
	}
	series, _ := d.instances.SeriesOf(sopInstanceUID)
	in, ok := d.intakes[series]
	if !ok {
		in = d.intakes[slices.Min(slices.Collect(maps.Keys(d.intakes)))]
	}
	d.taking++
	in.taking++
	return in
}

func (d *Inbound) leave(in *Intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taking--
	in.taking--
	d.change()
}

// stuckGrace is how long an instance may go on arriving for a run that was stopped.
const stuckGrace = time.Second

// abortIfStuck ends the association of an instance that doesn't come to its end after its run was stopped.
func (d *Inbound) abortIfStuck(a *receive.Arrival) (end func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(d.ctx, func() {
		timer := time.NewTimer(stuckGrace)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			a.Abort()
		}
	})
	return func() {
		close(over)
		stop()
	}
}

// begin lets instances in for a C-MOVE of a series.
func (d *Inbound) begin(series string, in *Intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.intakes[series] = in
	d.change()
}

// finish lets no more instances in for a C-MOVE, and returns when those that are in are taken or refused: none of them
// is on its way to a worker afterwards.
func (d *Inbound) finish(in *Intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.intakes, func(_ string, i *Intake) bool { return i == in })
	d.change()
	d.await(func() bool { return in.taking == 0 })
}

// Close lets no more instances in for good, and returns when none is being taken.
func (d *Inbound) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.intakes)
	d.closed = true
	d.change()
	d.await(func() bool { return d.taking == 0 })
}

// change must be called with the lock held.
func (d *Inbound) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// await needs the lock, and gives it up while it waits for a change.
func (d *Inbound) await(holds func() bool) {
	for !holds() {
		changed := d.changed
		d.mu.Unlock()
		<-changed
		d.mu.Lock()
	}
}

// changes is closed at the next change of what is being taken.
func (d *Inbound) changes() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}
