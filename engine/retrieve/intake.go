// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/receive"
)

// Taker takes what a retrieve brings.
type Taker interface {
	// Take takes an instance that was marked as on its way. Those of a C-MOVE may come at once. What it returns goes
	// back to the source.
	Take(ctx context.Context, in *Intake, a *receive.Arrival) dimse.Status
	// Copy looks at what comes under the UID of an instance that is delivered or on its way.
	Copy(in *Intake, a *receive.Arrival)
	// Drain reads what is left of an instance: the source sends it all the same.
	Drain(ctx context.Context, o *dimse.Incoming)
}

// Sender sends on what was taken.
type Sender interface {
	// Settle waits until every instance that was taken is delivered or has failed.
	Settle()
	// Failed reports whether the destination has failed.
	Failed() bool
	// Failure returns what went wrong at the destination since the last time.
	Failure() error
}

// ErrStalled ends a retrieve whose destination has taken nothing for too long.
var ErrStalled = errors.New("the destination no longer takes anything; the rest is fetched later")

// Intake takes the instances of one retrieve. An instance of up to 4 MiB is buffered, if the member has credit for it,
// so that the source is answered while the destination still writes; what is larger streams through.
type Intake struct {
	to        Taker
	instances *evidence.Instances
	Asked     string        // the series that was asked for; empty: the whole study
	inbound   *Inbound      // of a C-MOVE, whose instances come at once; nil: C-GET
	stop      chan struct{} // closed to end the retrieve politely
	barred    string        // by C-MOVE: calls of the source that the receiver turned away; set when it has ended
	Patience  time.Duration // how long the destination may take nothing
	received  atomic.Int32
	refused   atomic.Int32 // of them, those that the source was told to have failed with
	again     atomic.Int32 // duplicates, by C-MOVE
	taking    int          // instances, by C-MOVE; the delivery's lock is for it

	mu      sync.Mutex
	came    map[string]bool   // SOP Instance UIDs, whatever became of them
	began   map[string]uint64 // by SOP Instance UID: what tells the content of what was taken from other content
	stopped bool
	err     error // ends the retrieve
}

// ByMove reports whether the retrieve is a C-MOVE.
func (in *Intake) ByMove() bool { return in.inbound != nil }

// take is called for each instance that a C-GET brings, one after the other. What it returns goes back to the source.
func (in *Intake) take(ctx context.Context, o *dimse.Incoming) dimse.Status {
	defer in.to.Drain(ctx, o)
	in.note(o.SOPInstanceUID)
	if !in.instances.Begin(o.SOPInstanceUID) {
		in.to.Copy(in, &receive.Arrival{Incoming: o})
		return dimse.Success // a duplicate: the first copy is delivered, or on its way
	}
	return in.counted(in.begun(ctx, &receive.Arrival{Incoming: o}))
}

// note takes down that an instance came.
func (in *Intake) note(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.came == nil {
		in.came = map[string]bool{}
	}
	in.came[uid] = true
}

// ofContents tells contents apart.
var ofContents = maphash.MakeSeed()

// contentOf returns what tells the content of an instance from another one under its UID: its transfer syntax, all that
// precedes pixel data, and their length. Pixel data itself only goes by.
func contentOf(obj *stream.Object) uint64 {
	var sum maphash.Hash
	sum.SetSeed(ofContents)
	_, _ = sum.WriteString(obj.TransferSyntax().UID)
	_, _ = sum.Write(obj.Header().Bytes())
	if h, ok := obj.Body(); ok {
		_, _ = fmt.Fprint(&sum, h.Length)
	}
	return sum.Sum64()
}

// Began takes down what an instance is like that is taken.
func (in *Intake) Began(uid string, obj *stream.Object) {
	content := contentOf(obj)
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.began == nil {
		in.began = map[string]uint64{}
	}
	in.began[uid] = content
}

// IsOther reports whether the same retrieve has brought other content under a UID. Another retrieve may have been
// answered otherwise.
func (in *Intake) IsOther(uid string, obj *stream.Object) bool {
	content := contentOf(obj)
	in.mu.Lock()
	defer in.mu.Unlock()
	first, ok := in.began[uid]
	return ok && first != content
}

// counted counts an answer to the source.
func (in *Intake) counted(status dimse.Status) dimse.Status {
	if status.Class() == dimse.ClassFailure {
		in.refused.Add(1)
	}
	return status
}

// begun has an instance taken that was marked as on its way.
func (in *Intake) begun(ctx context.Context, a *receive.Arrival) dimse.Status {
	in.received.Add(1)
	return in.to.Take(ctx, in, a)
}

// Halt ends the retrieve by C-CANCEL.
func (in *Intake) Halt(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.err == nil {
		in.err = err
	}
	if !in.stopped {
		in.stopped = true
		close(in.stop)
	}
}

// busy reports whether an instance is being taken for a C-MOVE.
func (in *Intake) busy() bool {
	in.inbound.mu.Lock()
	defer in.inbound.mu.Unlock()
	return in.taking > 0
}

// lives returns what tells, each time that it is asked, whether anything has arrived since, or arrives now: a source
// may say nothing during a C-MOVE.
func (in *Intake) lives() func() bool {
	var seen int32
	return func() bool {
		arrived := in.received.Load() + in.again.Load()
		alive := arrived != seen || in.busy()
		seen = arrived
		return alive
	}
}
