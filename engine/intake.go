// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// intake takes the objects of one retrieve. An object of up to 4 MiB is buffered, if the node has credit for it, so that the source
// is answered while the destination still writes; what is larger streams through.
type intake struct {
	r        *run
	series   *seriesInventory // that was asked for, by C-GET
	delivery *Delivery        // of a C-MOVE, whose objects come at once and may be of other series; nil: C-GET
	stop     chan struct{}    // closed to end the retrieve politely
	patience time.Duration    // how long the destination may take nothing
	received atomic.Int32
	again    atomic.Int32 // duplicates, by C-MOVE
	taking   int          // objects, by C-MOVE; the delivery's lock is for it

	mu      sync.Mutex
	stopped bool
	err     error // ends the retrieve
}

// parcel is an object between its receipt and the destination's answer.
type parcel struct {
	outgoing
	source string // SOP Instance UID as received
	report *deid.Report
	bytes  *counter
	done   chan dimse.Status // answered when the destination has; nil if nobody waits
	finish func()
}

// take is called for each object that a C-GET brings, one after the other. What it returns goes back to the source.
func (in *intake) take(ctx context.Context, o *dimse.Incoming) dimse.Status {
	if !in.r.begin(o.SOPInstanceUID) {
		return dimse.Success // a duplicate: the first copy is delivered, or on its way
	}
	return in.begun(ctx, &Arrival{Incoming: o})
}

// begun takes an object that was marked as on its way. Those of a C-MOVE may come at once.
func (in *intake) begun(ctx context.Context, a *Arrival) dimse.Status {
	r, o := in.r, a.Incoming
	in.received.Add(1)
	r.progress.Received.Add(1)
	obj, err := a.open()
	a.obj = nil // ours from here on
	if err != nil {
		return in.spoiled(o, err)
	}
	if reason := in.mismatch(o, obj.Header()); reason != "" {
		r.fail(o.SOPInstanceUID, dimse.DataSetMismatch, reason)
		if in.delivery == nil && obj.Header().Text(dict.StudyInstanceUID) != r.inv.study {
			r.takeForeign(ctx, o, obj)
		}
		_ = obj.Close()
		return dimse.DataSetMismatch
	}
	series := in.seriesOf(o, obj.Header())
	if r.ruledOutOnArrival(o.SOPInstanceUID, o.SOPClassUID, series) {
		_ = obj.Close()
		return dimse.Success
	}
	report, decided, err := r.deidentify(o.SOPInstanceUID, series, obj)
	if err != nil {
		_ = obj.Close()
		if decided {
			return dimse.Success
		}
		return in.spoiled(o, err)
	}
	syntax := r.goesOutAs(o.SOPClassUID, o.TransferSyntaxUID)
	if syntax != o.TransferSyntaxUID {
		if err := obj.ConvertTo(syntax); err != nil {
			_ = obj.Close()
			return in.spoiled(o, err)
		}
	}
	p := &parcel{source: o.SOPInstanceUID, report: report, outgoing: outgoing{
		class: o.SOPClassUID, uid: r.sentUID(o.SOPInstanceUID), syntax: syntax, series: series, names: namesOf(obj.Header()),
	}}
	if r.e.credit.take(creditUnit) {
		return in.takeBuffered(ctx, o, obj, p)
	}
	return in.pass(ctx, p, r.paced(ctx, obj, r.src), func() { _ = obj.Close() })
}

// takeBuffered reads the object, or its first 4 MiB, and lets it go on.
func (in *intake) takeBuffered(ctx context.Context, o *dimse.Incoming, obj *stream.Object, p *parcel) dimse.Status {
	r := in.r
	b := &buffer{}
	whole, err := b.fill(r.paced(ctx, obj, r.src))
	if err != nil {
		b.free()
		r.e.credit.give(creditUnit)
		_ = obj.Close()
		return in.spoiled(o, err)
	}
	if !whole {
		return in.pass(ctx, p, io.MultiReader(b.reader(), r.paced(ctx, obj, r.src)), func() {
			b.free()
			r.e.credit.give(creditUnit)
			_ = obj.Close()
		})
	}
	_ = obj.Close()
	kept := b.held()
	r.e.credit.give(creditUnit - kept)
	p.bytes = &counter{n: int64(b.size)}
	p.open, p.again = func() io.Reader { return b.reader() }, true
	p.finish = func() { b.free(); r.e.credit.give(kept) }
	if !in.enqueue(ctx, p) {
		return dimse.OutOfResources
	}
	return dimse.Success
}

// pass hands the object on while it still arrives, and answers as the destination does.
func (in *intake) pass(ctx context.Context, p *parcel, data io.Reader, finish func()) dimse.Status {
	p.bytes = &counter{r: data}
	p.open, p.finish, p.done = func() io.Reader { return p.bytes }, func() {}, make(chan dimse.Status, 1)
	defer finish()
	if !in.enqueue(ctx, p) {
		return dimse.OutOfResources
	}
	return <-p.done
}

// enqueue gives the parcel to a worker. A destination that takes nothing for half the source's idle timeout makes the retrieve end
// politely; false if the task was stopped.
func (in *intake) enqueue(ctx context.Context, p *parcel) bool {
	r := in.r
	timer := time.NewTimer(in.patience)
	defer timer.Stop()
	r.sending.Add(1)
	for {
		select {
		case r.queue <- p:
			if r.sinkFailed() {
				in.halt(nil)
			}
			return true
		case <-timer.C:
			in.halt(again("%w", errStalled))
		case <-ctx.Done():
			p.finish()
			r.end(p.source)
			r.sending.Done()
			return false
		}
	}
}

// halt ends the retrieve by C-CANCEL.
func (in *intake) halt(err error) {
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

// spoiled takes down that an object could not be read. A connection that broke meanwhile is the retrieve's own error.
func (in *intake) spoiled(o *dimse.Incoming, err error) dimse.Status {
	return in.r.unreadable(o.SOPInstanceUID, err)
}

// unreadable takes down an error of reading an object, and gives what the source is to be told.
func (r *run) unreadable(uid string, err error) dimse.Status {
	if r.leaveOut(uid, "", err) { // as unsafe, which is counted in no series
		return dimse.Success
	}
	if errors.Is(err, stream.ErrEncapsulated) || errors.Is(err, stream.ErrNoConversion) {
		r.fail(uid, dimse.CannotUnderstand, fmt.Sprintf("the image can't be converted to a transfer syntax that the destination takes: %s", err))
		return dimse.CannotUnderstand
	}
	if damaged(err) {
		r.fail(uid, dimse.CannotUnderstand, fmt.Sprintf("the image that the source sent is damaged: %s", err))
		return dimse.CannotUnderstand
	}
	r.end(uid)
	return dimse.OutOfResources
}

// damaged tells an object that is malformed or cut short from one whose connection broke, which may come whole another time.
func damaged(err error) bool {
	return !PeerFailed(err) && (errors.Is(err, stream.ErrMalformed) || errors.Is(err, stream.ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF))
}

// seriesOf gives the series that an object is counted in.
func (in *intake) seriesOf(o *dimse.Incoming, h *stream.Header) string {
	if in.delivery != nil {
		return in.delivery.seriesOf(o.SOPInstanceUID, h)
	}
	return in.series.uid
}

// mismatch tells what is wrong with an object that isn't what was asked for, nothing if it is.
func (in *intake) mismatch(o *dimse.Incoming, h *stream.Header) string {
	switch {
	case h.Text(dict.StudyInstanceUID) != in.r.inv.study:
		in.r.mu.Lock()
		in.r.foreign++
		in.r.mu.Unlock()
		return "the source sent an image of another study under this SOP Instance UID"
	case h.SOPInstanceUID() != o.SOPInstanceUID:
		return "the image has another SOP Instance UID inside than the source announced"
	case h.SOPClassUID() != o.SOPClassUID:
		return "the image has another SOP class inside than the source announced"
	}
	return ""
}

func namesOf(h *stream.Header) objectNames {
	return objectNames{
		patientID: h.Text(dict.PatientID), studyDate: h.Text(dict.StudyDate), studyTime: h.Text(dict.StudyTime),
		seriesNumber: h.Text(dict.SeriesNumber), seriesDescription: h.Text(dict.SeriesDescription), series: h.Text(dict.SeriesInstanceUID),
	}
}

// begin marks an instance as on its way; false if it is already, or is delivered.
func (r *run) begin(uid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.delivered[uid]; ok || r.inFlight[uid] {
		return false
	}
	if _, ok := r.already[uid]; ok {
		return false
	}
	r.inFlight[uid] = true
	return true
}

func (r *run) end(uid string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.land(uid)
}

// land takes an instance off those on their way, and tells who waits for one. The lock must be held.
func (r *run) land(uid string) {
	delete(r.inFlight, uid)
	if r.landed != nil {
		close(r.landed)
		r.landed = nil
	}
}

// inTheAir gives what is closed when one of the instances on their way has landed; nil if this one is not on its way.
func (r *run) inTheAir(uid string) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.inFlight[uid] {
		return nil
	}
	if r.landed == nil {
		r.landed = make(chan struct{})
	}
	return r.landed
}

func (r *run) fail(uid string, status dimse.Status, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.land(uid)
	r.failed[uid] = MissingInstance{uid, uint16(status), reason}
}

func (r *run) sinkFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinkErr != nil
}

// work sends parcels to the destination until the queue is closed.
func (r *run) work(ctx, ledgerCtx context.Context, worker int) {
	shed := r.shedOf(worker)
	for {
		p, ok := r.nextParcel(shed)
		if !ok {
			return
		}
		status, err := dimse.Status(0), stopped(ctx)
		if err == nil {
			status, err = r.sink.put(ctx, worker, &p.outgoing)
		}
		answer := r.answered(ledgerCtx, p, status, err)
		p.finish()
		if p.done != nil {
			p.done <- answer
		}
		r.sending.Done()
	}
}

// workBeside is work of a worker beyond the first, if the sink has a place for one more; it doesn't wait for that beyond entering.
func (r *run) workBeside(ctx, entering, ledgerCtx context.Context, worker int) {
	err := r.sink.enter(entering, worker)
	if err == nil {
		r.work(ctx, ledgerCtx, worker)
	}
	if shed := r.shedOf(worker); err != nil || shed != nil && isClosed(shed) {
		r.gaveBack(ctx, r.sink.leave(ctx, worker))
	}
}

// answered takes down what the destination answered, and gives what the source is to be told.
func (r *run) answered(ctx context.Context, p *parcel, status dimse.Status, err error) dimse.Status {
	var noContext *dimse.NoContextError
	switch {
	case errors.As(err, &noContext):
		r.bring(p.class, p.syntax)
		r.fail(p.source, dimse.RefusedSOPClass, notTaken+p.class+" in transfer syntax "+p.syntax)
		return dimse.RefusedSOPClass
	case err != nil && p.bytes.err != nil: // the source's fault, not the destination's
		return r.unreadable(p.source, p.bytes.err)
	case err != nil:
		r.end(p.source)
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.sinkErr == nil {
			r.sinkErr = err
		}
		return dimse.OutOfResources
	}
	meaning := status.Meaning(dimse.CStore)
	switch meaning.Outcome {
	case dimse.Done, dimse.DoneNoted:
		r.note(status, meaning)
		if err := r.receipt(ctx, receipt{p.source, p.series, p.class, p.bytes.n, status, p.report}); err != nil {
			return dimse.OutOfResources
		}
		return dimse.Success
	case dimse.AlreadyThere:
		r.mu.Lock()
		defer r.mu.Unlock()
		r.already[p.source] = p.series
		r.land(p.source)
		return dimse.Success
	case dimse.BackOff:
		r.end(p.source)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sinkErr = full("DICOM Server %s is out of resources (status %s)", r.dst.Name, status)
		return dimse.OutOfResources
	}
	r.fail(p.source, status, fmt.Sprintf("the destination refused this image: %s", meaning.Text))
	return status
}

// bring takes down a transfer syntax in which the destination did not take an object that came.
func (r *run) bring(class, syntax string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.brought[class], syntax) {
		r.brought[class] = append(r.brought[class], syntax)
	}
}

func (r *run) note(status dimse.Status, m dimse.Meaning) {
	if m.Outcome == dimse.DoneNoted {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.noted[status]++
	}
}

// receipt counts an instance as delivered and gives it to the ledger.
func (r *run) receipt(ctx context.Context, rc receipt) error {
	r.mu.Lock()
	delete(r.failed, rc.sopUID)
	r.delivered[rc.sopUID] = db.DeliveredRow{SourceSopUid: rc.sopUID, SeriesUid: rc.seriesUID, SopClassUid: rc.class, Bytes: rc.bytes, Status: int32(rc.status)}
	r.land(rc.sopUID)
	r.mu.Unlock()
	r.progress.Delivered.Add(1)
	r.progress.Bytes.Add(rc.bytes)
	r.e.metrics.instances.WithLabelValues(r.src.Name, r.dst.Name).Inc()
	r.e.metrics.bytes.WithLabelValues(r.src.Name, r.dst.Name).Add(float64(rc.bytes))
	return r.ledger.put(ctx, rc)
}

// counter counts the bytes that are read through it.
type counter struct {
	r   io.Reader
	n   int64
	err error // of reading, but for the end
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != io.EOF { // one that wraps it is no end
		c.err = err
	}
	return n, err
}
