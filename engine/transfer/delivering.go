// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/sink"
)

// delivering sends what was taken to the destination, and writes down what that acknowledges.
type delivering struct {
	*retrieve.Task
	svc          *Service
	deid         *deidentification
	associations *retrieve.Associations
	queue        chan *queued
	workers      sync.WaitGroup
	sending      sync.WaitGroup // instances between the queue and their receipt
	ledger       *ledger.Ledger
	wrote        atomic.Bool // this run has written to the ledger
	booked       sync.Map    // servers, by ID, that something was seen to get through at, and which that mattered to
	booking      sync.WaitGroup
	first        atomic.Pointer[first] // the run goes ahead of others

	mu      sync.Mutex
	sinkErr error
}

// startWorkers starts the ledger and one goroutine per worker of the sink. The function returned ends them in order.
func (r *delivering) startWorkers(ctx context.Context, cancel context.CancelCauseFunc) func() {
	ledgerCtx, stopLedger := context.WithCancelCause(context.WithoutCancel(ctx))
	release := context.AfterFunc(ctx, func() { // what was acknowledged is written down even after a stop, if it may be
		if cause := context.Cause(ctx); errors.Is(cause, fault.ErrFenced) {
			stopLedger(cause)
		} else {
			time.AfterFunc(retrieve.FlushGrace, func() { stopLedger(cause) })
		}
	})
	r.ledger = r.newLedger()
	r.ledger.Open(ledgerCtx, r.Sink.Commit, cancel)
	r.queue = make(chan *queued, r.Sink.Workers())
	entering, enough := context.WithCancel(ctx)
	r.workers.Go(func() { r.work(ctx, ledgerCtx, 0) })
	for i := 1; i < r.Sink.Workers(); i++ {
		r.workers.Go(func() { r.workBeside(ctx, entering, ledgerCtx, i) })
	}
	return func() {
		close(r.queue)
		enough()
		r.workers.Wait()
		r.hangUp(ctx)
		r.ledger.Close()
		release()
		stopLedger(nil)
	}
}

// newLedger returns the ledger of a run whose study is known.
func (r *delivering) newLedger() *ledger.Ledger {
	return r.svc.ledger.NewLedger(r.Held, r.Row.DeliveredTo, r.deid.sentUID(r.Inv.Study), &r.wrote)
}

// workBeside is work of a worker beyond the first, if the sink has a place for one more; it doesn't wait for that
// beyond entering.
func (r *delivering) workBeside(ctx, entering, ledgerCtx context.Context, worker int) {
	err := r.Sink.Enter(entering, worker)
	if err == nil {
		r.work(ctx, ledgerCtx, worker)
	}
	if shed := r.shedOf(worker); err != nil || shed != nil && lease.IsClosed(shed) {
		r.GaveBack(ctx, r.Sink.Leave(ctx, worker))
	}
}

// work sends instances to the destination until the queue is closed.
func (r *delivering) work(ctx, ledgerCtx context.Context, worker int) {
	shed := r.shedOf(worker)
	for {
		p, ok := r.nextQueued(shed)
		if !ok {
			return
		}
		status, err := dimse.Status(0), fault.Stopped(ctx)
		if err == nil {
			err = r.sinkRefused()
		}
		if err == nil {
			status, err = r.Sink.Put(ctx, worker, &p.Outgoing)
		}
		answer := r.answered(ledgerCtx, p, status, err)
		p.finish()
		if p.done != nil {
			p.done <- answer
		}
		r.sending.Done()
	}
}

// shedOf returns what is closed when the association of a worker beyond the first has to go; nil if that can't be.
func (r *delivering) shedOf(worker int) <-chan struct{} {
	slots := r.Sink.Slots()
	if worker == 0 || worker >= len(slots) {
		return nil
	}
	return r.Signals.Of(slots[worker].ID()).Parked
}

// nextQueued waits for something to send; false: there is nothing more, or this worker has to go.
func (r *delivering) nextQueued(shed <-chan struct{}) (*queued, bool) {
	if shed != nil && lease.IsClosed(shed) {
		return nil, false
	}
	select {
	case p, ok := <-r.queue:
		return p, ok
	case <-shed:
		return nil, false
	}
}

// sinkRefused returns why nothing more is sent to a server that has failed before it answered anything.
func (r *delivering) sinkRefused() error {
	if r.Dst.Server == nil || r.HeardDestination.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinkErr
}

// answered takes down what the destination answered, and gives what the source is to be told.
func (r *delivering) answered(ctx context.Context, p *queued, status dimse.Status, err error) dimse.Status {
	var noContext *dimse.NoContextError
	var refused *sink.Refusal
	r.svc.Metrics.ReceivedBytes.WithLabelValues(r.Src.Name).Add(float64(p.bytes.n))
	switch {
	case errors.As(err, &refused):
		r.Instances.Fail(p.source, evidence.CauseThere, 0, refused.Reason) // the status is ours
		return refused.Status
	case errors.As(err, &noContext):
		r.Instances.Bring(p.Class, p.Syntax)
		r.Instances.Fail(
			p.source, evidence.CauseNotTaken, dimse.RefusedSOPClass,
			retrieve.NotTaken+p.Class+" in transfer syntax "+p.Syntax,
		)
		return dimse.RefusedSOPClass
	case errors.Is(err, sink.ErrOtherInstance):
		r.Instances.Odd(p.source, ledger.OtherReply)
		r.Instances.Hold(p.source, p.Series, status)
		return dimse.Success
	case err != nil && p.bytes.err != nil: // the source's fault, not the destination's
		return r.unreadable(p.source, p.bytes.err)
	case err != nil:
		r.Instances.End(p.source)
		r.failSink(err)
		return dimse.OutOfResources
	}
	meaning := status.Meaning(dimse.CStore)
	if meaning.Outcome != dimse.BackOff {
		r.HeardDestination.Store(true)
		r.gotThrough(ctx, r.Dst)
		r.endFirst(true)
	}
	switch meaning.Outcome {
	case dimse.Done, dimse.DoneNoted:
		err := r.receipt(ctx, ledger.Receipt{
			SOPUID: p.source, SeriesUID: p.Series, Class: p.Class, Bytes: p.bytes.n,
			Status: status, Report: p.report, File: p.File, FileBytes: p.FileBytes,
			Proof: p.proof(),
		})
		if err != nil {
			return dimse.OutOfResources
		}
		return dimse.Success
	case dimse.AlreadyThere:
		r.Instances.Hold(p.source, p.Series, status)
		return dimse.Success
	case dimse.BackOff:
		r.Instances.End(p.source)
		r.failSink(fault.Full("DICOM Server %s is out of resources (status %s)", r.Dst.Name, status))
		return dimse.OutOfResources
	}
	r.Instances.Fail(
		p.source, evidence.CauseThere, status, fmt.Sprintf("the destination refused this instance: %s", meaning.Text),
	)
	return status
}

// unreadable takes down an error of reading an instance, and gives what the source is to be told.
func (r *delivering) unreadable(uid string, err error) dimse.Status {
	if r.deid.leaveOut(uid, "", err) { // as unsafe, which is counted in no series
		return dimse.Success
	}
	if errors.Is(err, stream.ErrEncapsulated) || errors.Is(err, stream.ErrNoConversion) {
		r.Instances.Fail(
			uid, evidence.CauseDamaged, dimse.CannotUnderstand,
			fmt.Sprintf("the instance can't be converted to a transfer syntax that the destination takes: %s", err),
		)
		return dimse.CannotUnderstand
	}
	if damaged(err) {
		r.Instances.Fail(
			uid, evidence.CauseDamaged, dimse.CannotUnderstand,
			fmt.Sprintf("the instance that the source sent is damaged: %s", err),
		)
		return dimse.CannotUnderstand
	}
	r.Instances.End(uid)
	return dimse.OutOfResources
}

// damaged tells an instance that is malformed or cut short from one whose connection broke, which may come whole
// another time.
func damaged(err error) bool {
	return !fault.PeerFailed(err) && (errors.Is(err, stream.ErrMalformed) ||
		errors.Is(err, stream.ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF))
}

// failSink takes down the first error of the sink.
func (r *delivering) failSink(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinkErr == nil {
		r.sinkErr = err
	}
}

// gotThrough takes down, while the run goes on, that a server did what was asked of it for the first time. Nothing is
// to be done unless it has refused something lately.
func (r *delivering) gotThrough(ctx context.Context, n nodes.DICOMNode) {
	if !n.Pressed {
		return
	}
	if _, booked := r.booked.LoadOrStore(n.ID, true); booked {
		return
	}
	r.booking.Go(func() {
		err := r.svc.InTx(ctx, func(q *db.Queries) error {
			st, err := r.svc.lease.LockPressure(ctx, q, n.ID)
			if err != nil {
				return err
			}
			st.Succeed(r.Held.TaskID)
			return st.Put(ctx, q)
		})
		if err != nil {
			r.booked.Delete(n.ID) // the end of the run does it
			return
		}
		r.svc.Signals.Wake()
	})
}

// receipt counts an instance as delivered and gives it to the ledger.
func (r *delivering) receipt(ctx context.Context, rc ledger.Receipt) error {
	rc = r.Instances.Deliver(rc, false)
	r.Progress.Delivered.Add(1)
	r.Progress.Bytes.Add(rc.Bytes)
	r.svc.Metrics.Instances.WithLabelValues(r.Src.Name, r.Dst.Name).Inc()
	r.svc.Metrics.Bytes.WithLabelValues(r.Src.Name, r.Dst.Name).Add(float64(rc.Bytes))
	return r.ledger.Put(ctx, rc)
}

// hangUp releases the associations of a run that has moved all it could: no server waits for the database.
func (r *delivering) hangUp(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { r.associations.Source.Release(ctx) })
	all.Go(func() { r.Sink.HangUp(ctx) })
	all.Wait()
}

// Settle waits until every instance that was received is delivered or has failed.
func (r *delivering) Settle() { r.sending.Wait() }

// Failed reports whether the destination has failed.
func (r *delivering) Failed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinkErr != nil
}

// Failure returns what went wrong at the destination since the last time.
func (r *delivering) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.sinkErr
	r.sinkErr = nil
	if r.Dst.Server != nil && !r.HeardDestination.Load() && unanswered(err) {
		err = fault.Full("%w", err)
	}
	if err != nil {
		return &fault.AtDestination{Err: fmt.Errorf("the destination %s failed: %w", r.Dst.Name, err)}
	}
	return nil
}

// unanswered reports whether a server that was sent an instance said nothing to it, or ended the association instead.
func unanswered(err error) bool {
	if _, source := errors.AsType[*ul.SourceError](err); source {
		return false
	}
	_, silent := errors.AsType[*ul.TimeoutError](err)
	return silent || lease.BrokenOff(err)
}
