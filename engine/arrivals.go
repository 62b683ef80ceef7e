// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// Inbox is where the objects of C-MOVEs arrive. actors implements it by the receiver of this process.
type Inbox interface {
	// Listens tells whether there is a receiver at all.
	Listens() bool
	// Open makes known a run that wants objects, until Close.
	Open(d *Delivery)
	Close(d *Delivery)
	// Expect makes known a C-MOVE of a run before it goes out, until Ended.
	Expect(d *Delivery, messageID uint16)
	Ended(messageID uint16)
	// ServersChanged tells that other AE titles may call now.
	ServersChanged()
}

type noInbox struct{}

func (noInbox) Listens() bool            { return false }
func (noInbox) Open(*Delivery)           {}
func (noInbox) Close(*Delivery)          {}
func (noInbox) Expect(*Delivery, uint16) {}
func (noInbox) Ended(uint16)             {}
func (noInbox) ServersChanged()          {}

// Arrival is an object that arrives by C-STORE, before it is known whose it is. It is used by one goroutine.
type Arrival struct {
	*dimse.Incoming
	abort  func()
	opened bool
	obj    *stream.Object
	err    error
}

// NewArrival gives the arrival of an object. abort ends the association over which it comes. Close must be called.
func NewArrival(in *dimse.Incoming, abort func()) *Arrival {
	return &Arrival{Incoming: in, abort: abort}
}

// open reads the header, once. Who opens it owns the object.
func (a *Arrival) open() (*stream.Object, error) {
	if !a.opened {
		a.opened = true
		a.obj, a.err = stream.Open(a.Data, a.TransferSyntaxUID, stream.Limits{})
	}
	return a.obj, a.err
}

// UIDs reads the Study and Series Instance UID out of the object's header; ok is false if it can't be read.
func (a *Arrival) UIDs() (study, series string, ok bool) {
	obj, err := a.open()
	if err != nil {
		return "", "", false
	}
	return obj.Header().Text(dict.StudyInstanceUID), obj.Header().Text(dict.SeriesInstanceUID), true
}

// Close frees what the header took.
func (a *Arrival) Close() {
	if a.obj != nil {
		_ = a.obj.Close() // what is left unread is drained by the association
		a.obj = nil
	}
}

// Delivery is where a run takes the objects that its C-MOVEs bring. It is safe for concurrent use.
type Delivery struct {
	r   *run
	ctx context.Context // of the run
	// look takes the objects instead of the run; nil: the run does.
	look func(*Arrival) dimse.Status

	mu      sync.Mutex
	intakes map[string]*intake // of the C-MOVEs under way, by the series asked for; none: nothing is taken now
	taking  int
	closed  bool
	changed chan struct{} // closed at each change of the three above, and made anew
}

func newDelivery(ctx context.Context, r *run) *Delivery {
	return &Delivery{r: r, ctx: ctx, intakes: map[string]*intake{}, changed: make(chan struct{})}
}

// Source is the ID of the server that the run reads from.
func (d *Delivery) Source() int64 { return d.r.src.ID }

// CallingAE is the AE title under which the run moves, that of the Move Originator.
func (d *Delivery) CallingAE() string { return d.r.source.peer.CallingAE }

// Expects reports whether the source lists this instance among what the run is to move.
func (d *Delivery) Expects(sopInstanceUID string) bool {
	_, listed := d.r.instances.seriesOf(sopInstanceUID)
	return listed
}

// Misses reports whether the run expects this instance and has not had it.
func (d *Delivery) Misses(sopInstanceUID string) bool {
	return d.Expects(sopInstanceUID) && !d.r.instances.settled(sopInstanceUID)
}

// Wants reports whether a series is among what the run is to move.
func (d *Delivery) Wants(study, series string) bool { return d.r.instances.wants(study, series) }

// change must be called with the lock held.
func (d *Delivery) change() {
	close(d.changed)
	d.changed = make(chan struct{})
}

// begin lets objects in for a C-MOVE of a series.
func (d *Delivery) begin(series string, in *intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.intakes[series] = in
	d.change()
}

// finish lets no more objects in for a C-MOVE, and returns when those that are in are taken or refused: none of them is on its way to a
// worker afterwards.
func (d *Delivery) finish(in *intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	maps.DeleteFunc(d.intakes, func(_ string, i *intake) bool { return i == in })
	d.change()
	d.await(func() bool { return in.taking == 0 })
}

// await needs the lock, and gives it up while it waits for a change.
func (d *Delivery) await(holds func() bool) {
	for !holds() {
		changed := d.changed
		d.mu.Unlock()
		<-changed
		d.mu.Lock()
	}
}

// close lets no more objects in for good, and returns when none is being taken.
func (d *Delivery) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.intakes)
	d.closed = true
	d.change()
	d.await(func() bool { return d.taking == 0 })
}

// changes is closed at the next change of what is being taken.
func (d *Delivery) changes() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// busy tells whether an object is being taken for a C-MOVE.
func (in *intake) busy() bool {
	in.delivery.mu.Lock()
	defer in.delivery.mu.Unlock()
	return in.taking > 0
}

// entryPatience is how long an object waits between two C-MOVEs of its run. After that it is asked for again, if it is missing.
const entryPatience = 10 * time.Second

// enter waits until objects are let in, and gives the intake of the C-MOVE that asked for this one's series; of any, if there is none such.
// It gives nil if they aren't let in any more.
func (d *Delivery) enter(ctx context.Context, sopInstanceUID string) *intake {
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
	series, _ := d.r.instances.seriesOf(sopInstanceUID)
	in, ok := d.intakes[series]
	if !ok {
		in = d.intakes[slices.Min(slices.Collect(maps.Keys(d.intakes)))]
	}
	d.taking++
	in.taking++
	return in
}

func (d *Delivery) leave(in *intake) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taking--
	in.taking--
	d.change()
}

// Take takes an object and gives what its sender is to be told: Success when the object is buffered whole, or delivered, or was so
// before (duplicate). ok is false if the run takes nothing any more; nothing is read of the object then.
func (d *Delivery) Take(ctx context.Context, a *Arrival) (status dimse.Status, duplicate, ok bool) {
	if d.look != nil {
		return d.look(a), false, true
	}
	in := d.enter(ctx, a.SOPInstanceUID)
	if in == nil {
		return 0, false, false
	}
	defer d.leave(in)
	defer d.abortIfStuck(a)()
	r := d.r
	defer r.drain(d.ctx, a.Incoming) //nolint:contextcheck // the run's, as below
	in.note(a.SOPInstanceUID)
	for !r.instances.begin(a.SOPInstanceUID) {
		landed := r.instances.inTheAir(a.SOPInstanceUID)
		if landed == nil {
			r.heedCopy(a)
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
		status = dimse.Success // nobody wants it any more: a status that asks for a repetition would be answered with one
	}
	return in.counted(status), false, true
}

// stuckGrace is how long an object may go on arriving for a run that was stopped.
const stuckGrace = time.Second

// abortIfStuck ends the association of an object that doesn't come to its end after its run was stopped.
func (d *Delivery) abortIfStuck(a *Arrival) (end func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(d.ctx, func() {
		timer := time.NewTimer(stuckGrace)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			a.abort()
		}
	})
	return func() {
		close(over)
		stop()
	}
}

// Choose gives the answer to a presentation context of somebody who wants to store (dimse.Server.Choose): storage classes, registered or
// private, C-ECHO, and reports about storage commitment. plain tells of a called AE title that it takes nothing compressed. Out of several transfer syntaxes of one
// context none with loss is taken, for which the peer might compress.
func Choose(plain func(calledAE string) bool) func(*dimse.AssociationRequest, ul.ContextRQ) (string, ul.ContextResult) {
	return func(rq *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
		service := c.AbstractSyntax == dict.Verification || c.AbstractSyntax == dict.StorageCommitmentPushModel
		if _, registered := dict.LookupUID(c.AbstractSyntax); registered && !service && !dict.IsStorageClass(c.AbstractSyntax) {
			return "", ul.ContextAbstractSyntaxRefused
		}
		syntax := chosen(c.TransferSyntaxes, plain(rq.CalledAE), mayHavePixels(c.AbstractSyntax))
		if syntax == "" {
			return "", ul.ContextTransferSyntaxesRefused
		}
		return syntax, ul.ContextAccepted
	}
}

// chosen gives the transfer syntax to take; none if there is none. What isn't compressed is taken in any case: it is converted on the way.
func chosen(proposed []string, plain, pixels bool) string {
	if plain || !pixels {
		for _, wanted := range dataSyntaxes {
			if slices.Contains(proposed, wanted) {
				return wanted
			}
		}
	}
	if plain {
		return ""
	}
	for _, acceptable := range []func(u string) bool{
		func(u string) bool { return !dict.TransferSyntaxOf(u).Lossy && u != dict.ExplicitVRBigEndian },
		func(u string) bool { return !dict.TransferSyntaxOf(u).Lossy },
		func(string) bool { return true },
	} {
		if i := slices.IndexFunc(proposed, acceptable); i >= 0 {
			return proposed[i]
		}
	}
	return ""
}
