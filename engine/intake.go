// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// intake takes the objects of one retrieve. An object of up to 4 MiB is buffered, if the node has credit for it, so that the source
// is answered while the destination still writes; what is larger streams through.
type intake struct {
	r        *run
	asked    string        // the series that was asked for; empty: the whole study
	delivery *Delivery     // of a C-MOVE, whose objects come at once; nil: C-GET
	stop     chan struct{} // closed to end the retrieve politely
	barred   string        // by C-MOVE: calls of the source that the receiver turned away; set when it has ended
	patience time.Duration // how long the destination may take nothing
	received atomic.Int32
	refused  atomic.Int32 // of them, those that the source was told to have failed with
	again    atomic.Int32 // duplicates, by C-MOVE
	taking   int          // objects, by C-MOVE; the delivery's lock is for it

	mu      sync.Mutex
	came    map[string]bool // SOP Instance UIDs, whatever became of them
	stopped bool
	err     error // ends the retrieve
}

// note takes down that an instance came.
func (in *intake) note(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.came == nil {
		in.came = map[string]bool{}
	}
	in.came[uid] = true
}

// parcel is an object between its receipt and the destination's answer.
type parcel struct {
	outgoing
	source string // SOP Instance UID as received
	report *deid.Report
	bytes  *counter
	sum    hash.Hash         // of what went out last; nil: nobody wants it
	done   chan dimse.Status // answered when the destination has; nil if nobody waits
	finish func()
}

// take is called for each object that a C-GET brings, one after the other. What it returns goes back to the source.
func (in *intake) take(ctx context.Context, o *dimse.Incoming) dimse.Status {
	defer in.r.drain(ctx, o)
	in.note(o.SOPInstanceUID)
	if !in.r.instances.begin(o.SOPInstanceUID) {
		in.r.heedCopy(&Arrival{Incoming: o})
		return dimse.Success // a duplicate: the first copy is delivered, or on its way
	}
	return in.counted(in.begun(ctx, &Arrival{Incoming: o}))
}

// heedCopy looks at what comes under the UID of an instance that is delivered or on its way: another one of another series is no copy.
func (r *run) heedCopy(a *Arrival) {
	study, series, ok := a.UIDs()
	a.Close()
	if known := r.instances.saysOf(a.SOPInstanceUID); ok && study == r.inv.study && known != "" && series != known {
		r.instances.odd(a.SOPInstanceUID, twoSeries)
	}
}

// counted counts an answer to the source.
func (in *intake) counted(status dimse.Status) dimse.Status {
	if status.Class() == dimse.ClassFailure {
		in.refused.Add(1)
	}
	return status
}

// begun takes an instance that was marked as on its way. Those of a C-MOVE may come at once. It reads as the list of what may happen to an
// instance that arrives.
func (in *intake) begun(ctx context.Context, a *Arrival) dimse.Status {
	r, o := in.r, a.Incoming
	in.received.Add(1)
	r.e.metrics.received.WithLabelValues(r.src.Name).Inc()
	r.progress.Received.Add(1)
	r.gotThrough(ctx, r.src)
	noted := r.instances.onlyReads(in.asked)
	if !noted {
		r.instances.came(o.SOPInstanceUID, in.asked, o.SOPClassUID)
	}
	obj, err := a.open()
	a.obj = nil // ours from here on
	if err != nil && noted {
		r.instances.discard(o.SOPInstanceUID)
		return dimse.CannotUnderstand
	}
	if err != nil {
		return in.spoiled(o, err)
	}
	series, status, wanted := r.admit(o, obj)
	if !wanted {
		if in.delivery == nil && r.instances.isUnasked(o.SOPInstanceUID) { // by C-MOVE the receiver does so
			r.takeForeign(ctx, o, obj)
		}
		_ = obj.Close()
		return status
	}
	if r.ruledOutOnArrival(o, series, obj) {
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
	return in.pass(ctx, p, r.paced(ctx, obj), func() { _ = obj.Close() })
}

// admit tells whether an instance that has come is one that the task is about, and the series that it is counted in: as the source lists it,
// else as it says itself. Otherwise the status is the source's answer.
func (r *run) admit(o *dimse.Incoming, obj *stream.Object) (series string, status dimse.Status, wanted bool) {
	h, uid := obj.Header(), o.SOPInstanceUID
	inside := h.Text(dict.SeriesInstanceUID)
	listed, isListed := r.instances.seriesOf(uid)
	if status, wanted := r.belongs(o, obj, isListed); !wanted {
		return "", status, false
	}
	switch {
	case !validUID(uid):
		r.instances.fail(uid, causeNotUID, dimse.InvalidSOPInstance, "the SOP Instance UID of the image is none (PS3.5 9.1)")
		return "", dimse.InvalidSOPInstance, false
	case h.SOPInstanceUID() != uid:
		return "", r.mismatch(uid, "the image has another SOP Instance UID inside than the source announced"), false
	case h.SOPClassUID() != o.SOPClassUID:
		return "", r.mismatch(uid, "the image has another SOP class inside than the source announced"), false
	}
	r.instances.says(uid, inside)
	if !isListed {
		listed = inside
		r.instances.came(uid, inside, o.SOPClassUID)
	} else if listed != inside {
		r.instances.odd(uid, movedSeries)
	}
	if patient := h.Text(dict.PatientID); r.deid == nil && r.inv.patientID != "" && patient != r.inv.patientID {
		r.instances.odd(uid, otherPatient)
	}
	if isCut(o.SOPClassUID, obj) {
		r.instances.odd(uid, endsEarly)
	}
	return listed, dimse.Success, true
}

// isCut reports whether a data set ends before what its SOP class must have at its end: one that was cut off between two attributes looks whole.
func isCut(class string, obj *stream.Object) bool {
	if _, ok := obj.Body(); ok || !dict.IsStorageClass(class) {
		return false
	}
	h, last := obj.Header(), lastOf(class)
	return len(last) > 0 && !slices.ContainsFunc(last, func(tag dict.Tag) bool {
		_, has := h.Get(tag)
		return has
	})
}

// lastOf returns the attributes of which objects of a SOP class must have one, near their end (PS3.3 A); none if that can't be told.
func lastOf(class string) []dict.Tag {
	switch name := dict.UIDName(class); {
	case mayHavePixels(class):
		return []dict.Tag{dict.PixelData, dict.FloatPixelData, dict.DoubleFloatPixelData, dict.PixelDataProviderURL}
	case strings.HasSuffix(name, "SR Storage"), class == dict.KeyObjectSelectionDocumentStorage:
		return []dict.Tag{dict.ContentSequence}
	case strings.HasSuffix(name, "Waveform Storage"):
		return []dict.Tag{dict.WaveformSequence}
	case class == dict.RTStructureSetStorage:
		return []dict.Tag{dict.RTROIObservationsSequence}
	}
	return nil
}

// belongs tells whether an instance that has come is of the study and of the series that the task is about. What the source lists and is of
// another one is missing; what it does not list is none of the task's.
func (r *run) belongs(o *dimse.Incoming, obj *stream.Object, isListed bool) (status dimse.Status, wanted bool) {
	h, uid := obj.Header(), o.SOPInstanceUID
	study, inside := h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID)
	switch {
	case study == "":
		r.instances.fail(uid, causeDamaged, dimse.CannotUnderstand, "the image that the source sent has no Study Instance UID: it is damaged, or was cut off")
		return dimse.CannotUnderstand, false
	case study != r.inv.study && isListed:
		return r.mismatch(uid, "the source sent an image of another study under this SOP Instance UID"), false
	case study != r.inv.study:
		r.instances.unasks(uid, otherStudy)
		return dimse.RefusedNotAuthorized, false
	case !validUID(inside):
		r.instances.fail(uid, causeNotUID, dimse.InvalidSOPInstance, "the Series Instance UID of the image is none (PS3.5 9.1)")
		return dimse.InvalidSOPInstance, false
	case r.instances.onlyReads(inside) && !isListed:
		if _, err := r.heedNote(o, obj); err != nil {
			r.warn(fmt.Sprintf("The key object %s could not be understood, so images that it rejects may be among those sent: %s.", uid, err))
		}
		r.instances.discard(uid)
		return dimse.Success, false
	case r.instances.leavesOut(inside) && !isListed:
		r.instances.discard(uid)
		return dimse.Success, false
	case r.instances.wants(study, inside):
		return dimse.Success, true
	case isListed:
		return r.mismatch(uid, "the image says that it is of another series than the source lists it in, which nobody asked for"), false
	}
	r.instances.unasks(uid, otherSeries)
	return dimse.RefusedNotAuthorized, false
}

// mismatch takes down that an instance is not what was asked for.
func (r *run) mismatch(uid, reason string) dimse.Status {
	r.instances.fail(uid, causeMismatch, dimse.DataSetMismatch, reason)
	return dimse.DataSetMismatch
}

// takeBuffered reads the object, or its first 4 MiB, and lets it go on.
func (in *intake) takeBuffered(ctx context.Context, o *dimse.Incoming, obj *stream.Object, p *parcel) dimse.Status {
	r := in.r
	b := &buffer{}
	whole, err := b.fill(r.paced(ctx, obj))
	if err != nil {
		b.free()
		r.e.credit.give(creditUnit)
		_ = obj.Close()
		return in.spoiled(o, err)
	}
	if !whole {
		return in.pass(ctx, p, io.MultiReader(b.reader(), r.paced(ctx, obj)), func() {
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
// politely, unless a limit in MB/s is why; false if the task was stopped.
func (in *intake) enqueue(ctx context.Context, p *parcel) bool {
	r := in.r
	if p.report != nil && r.job.Manifest {
		p.prove()
	}
	timer := time.NewTimer(in.patience)
	defer timer.Stop()
	r.sending.Add(1)
	crept := r.crept.Load()
	for {
		select {
		case r.queue <- p:
			if r.sinkFailed() {
				in.halt(nil)
			}
			return true
		case <-timer.C:
			if now := r.crept.Load(); now != crept { // slow by its limit in MB/s
				crept = now
				timer.Reset(in.patience)
				continue
			}
			in.halt(again("%w", errStalled))
		case <-ctx.Done():
			p.finish()
			r.instances.end(p.source)
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
		r.instances.fail(uid, causeDamaged, dimse.CannotUnderstand, fmt.Sprintf("the image can't be converted to a transfer syntax that the destination takes: %s", err))
		return dimse.CannotUnderstand
	}
	if damaged(err) {
		r.instances.fail(uid, causeDamaged, dimse.CannotUnderstand, fmt.Sprintf("the image that the source sent is damaged: %s", err))
		return dimse.CannotUnderstand
	}
	r.instances.end(uid)
	return dimse.OutOfResources
}

// damaged tells an object that is malformed or cut short from one whose connection broke, which may come whole another time.
func damaged(err error) bool {
	return !PeerFailed(err) && (errors.Is(err, stream.ErrMalformed) || errors.Is(err, stream.ErrTooLarge) || errors.Is(err, io.ErrUnexpectedEOF))
}

func namesOf(h *stream.Header) objectNames {
	return objectNames{
		patientID: h.Text(dict.PatientID), study: h.Text(dict.StudyInstanceUID), studyDate: h.Text(dict.StudyDate), studyTime: h.Text(dict.StudyTime),
		seriesNumber: h.Text(dict.SeriesNumber), seriesDescription: h.Text(dict.SeriesDescription), series: h.Text(dict.SeriesInstanceUID),
	}
}

func (r *run) sinkFailed() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinkErr != nil
}

// sinkRefused gives why nothing more is sent to a server that has failed before it answered anything.
func (r *run) sinkRefused() error {
	if r.dst.Server == nil || r.heardDestination.Load() {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sinkErr
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
			err = r.sinkRefused()
		}
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
	var refused *refusal
	r.e.metrics.receivedBytes.WithLabelValues(r.src.Name).Add(float64(p.bytes.n))
	switch {
	case errors.As(err, &refused):
		r.instances.fail(p.source, causeThere, refused.status, refused.reason)
		return refused.status
	case errors.As(err, &noContext):
		r.instances.bring(p.class, p.syntax)
		r.instances.fail(p.source, causeNotTaken, dimse.RefusedSOPClass, notTaken+p.class+" in transfer syntax "+p.syntax)
		return dimse.RefusedSOPClass
	case errors.Is(err, errOtherInstance):
		r.instances.odd(p.source, otherReply)
		r.instances.hold(p.source, p.series, status)
		return dimse.Success
	case err != nil && p.bytes.err != nil: // the source's fault, not the destination's
		return r.unreadable(p.source, p.bytes.err)
	case err != nil:
		r.instances.end(p.source)
		r.failSink(err)
		return dimse.OutOfResources
	}
	meaning := status.Meaning(dimse.CStore)
	if meaning.Outcome != dimse.BackOff {
		r.heardDestination.Store(true)
		r.gotThrough(ctx, r.dst)
	}
	switch meaning.Outcome {
	case dimse.Done, dimse.DoneNoted:
		err := r.receipt(ctx, receipt{
			sopUID: p.source, seriesUID: p.series, class: p.class, bytes: p.bytes.n, status: status, report: p.report, file: p.file, fileBytes: p.fileBytes,
			proof: p.proof(),
		})
		if err != nil {
			return dimse.OutOfResources
		}
		return dimse.Success
	case dimse.AlreadyThere:
		r.instances.hold(p.source, p.series, status)
		return dimse.Success
	case dimse.BackOff:
		r.instances.end(p.source)
		r.failSink(full("DICOM Server %s is out of resources (status %s)", r.dst.Name, status))
		return dimse.OutOfResources
	}
	r.instances.fail(p.source, causeThere, status, fmt.Sprintf("the destination refused this image: %s", meaning.Text))
	return status
}

// failSink takes down the first error of the sink.
func (r *run) failSink(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sinkErr == nil {
		r.sinkErr = err
	}
}

// receipt counts an instance as delivered and gives it to the ledger.
func (r *run) receipt(ctx context.Context, rc receipt) error {
	rc = r.instances.deliver(rc, false)
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
