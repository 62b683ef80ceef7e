// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/source"
)

// taking takes what arrives.
type taking struct {
	*retrieve.Task
	svc         *Service
	deid        *deidentification
	negotiation *retrieve.Negotiation
	delivering  *delivering
}

// Take takes an instance that was marked as on its way. It reads as the list of what may happen to an instance that
// arrives.
func (r *taking) Take(ctx context.Context, in *retrieve.Intake, a *receive.Arrival) dimse.Status {
	o := a.Incoming
	r.svc.Metrics.Received.WithLabelValues(r.Src.Name).Inc()
	r.Progress.Received.Add(1)
	noted := r.Instances.Scope.OnlyReads(in.Asked)
	if !noted {
		r.Instances.Came(o.SOPInstanceUID, in.Asked, o.SOPClassUID)
	}
	obj, err := a.Open()
	a.Obj = nil // ours from here on
	if err != nil && noted {
		r.Instances.Discard(o.SOPInstanceUID)
		return dimse.CannotUnderstand
	}
	if err != nil {
		return r.delivering.unreadable(o.SOPInstanceUID, err)
	}
	in.Began(o.SOPInstanceUID, obj)
	series, status, wanted := r.admit(o, obj)
	if !wanted {
		if !in.ByMove() && r.Instances.Summary.IsUnasked(o.SOPInstanceUID) { // by C-MOVE the receiver does so
			r.takeUnsolicited(ctx, o, obj)
		}
		_ = obj.Close()
		return status
	}
	if r.ruledOutOnArrival(o, series, obj) {
		_ = obj.Close()
		return dimse.Success
	}
	report, decided, err := r.deid.deidentify(o.SOPInstanceUID, series, obj)
	if err != nil {
		_ = obj.Close()
		if decided {
			return dimse.Success
		}
		return r.delivering.unreadable(o.SOPInstanceUID, err)
	}
	syntax := r.negotiation.GoesOutAs(o.SOPClassUID, o.TransferSyntaxUID)
	if syntax != o.TransferSyntaxUID {
		if err := obj.ConvertTo(syntax); err != nil {
			_ = obj.Close()
			return r.delivering.unreadable(o.SOPInstanceUID, err)
		}
	}
	p := &queued{source: o.SOPInstanceUID, report: report, Outgoing: sink.Outgoing{
		Class: o.SOPClassUID, UID: r.deid.sentUID(o.SOPInstanceUID),
		Syntax: syntax, Series: series, Names: sink.NamesOf(obj.Header()),
	}}
	if r.svc.Credit.Take(door.CreditUnit) {
		return r.takeBuffered(ctx, in, o, obj, p)
	}
	return r.pass(ctx, in, p, r.paced(ctx, obj), func() { _ = obj.Close() })
}

// admit reports whether an instance that has come is one that the task is about, and the series that it is counted in:
// as the source lists it, else as it says itself. Otherwise the status is the source's answer.
func (r *taking) admit(o *dimse.Incoming, obj *stream.Object) (series string, status dimse.Status, wanted bool) {
	h, uid := obj.Header(), o.SOPInstanceUID
	inside := h.Text(dict.SeriesInstanceUID)
	listed, isListed := r.Instances.SeriesOf(uid)
	if status, wanted := r.belongs(o, obj, isListed); !wanted {
		return "", status, false
	}
	switch {
	case !fault.ValidUID(uid):
		r.Instances.Fail(
			uid, evidence.CauseNotUID, dimse.InvalidSOPInstance,
			"the SOP Instance UID of the instance is invalid (PS3.5 9.1)",
		)
		return "", dimse.InvalidSOPInstance, false
	case h.SOPInstanceUID() != uid:
		return "", r.mismatch(uid, "the instance has another SOP Instance UID inside than the source announced"), false
	case h.SOPClassUID() != o.SOPClassUID:
		return "", r.mismatch(uid, "the instance has another SOP class inside than the source announced"), false
	}
	r.Instances.Says(uid, inside)
	if !isListed {
		listed = inside
		r.Instances.Came(uid, inside, o.SOPClassUID)
	} else if listed != inside {
		r.Instances.Odd(uid, ledger.MovedSeries)
	}
	if patient := h.Text(dict.PatientID); !r.deid.changes() && r.Inv.PatientID != "" && patient != r.Inv.PatientID {
		r.Instances.Odd(uid, ledger.OtherPatient)
	}
	if isCut(o.SOPClassUID, obj) {
		r.Instances.Odd(uid, ledger.EndsEarly)
	}
	return listed, dimse.Success, true
}

// belongs reports whether an instance that has come is of the study and of the series that the task is about. What the
// source lists and is of another one is missing; what it does not list is none of the task's.
func (r *taking) belongs(o *dimse.Incoming, obj *stream.Object, isListed bool) (status dimse.Status, wanted bool) {
	h, uid := obj.Header(), o.SOPInstanceUID
	study, inside := h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID)
	switch {
	case study == "":
		r.Instances.Fail(
			uid, evidence.CauseDamaged, dimse.CannotUnderstand,
			"the instance that the source sent has no Study Instance UID: it is damaged or truncated",
		)
		return dimse.CannotUnderstand, false
	case study != r.Inv.Study && isListed:
		return r.mismatch(uid, "the source sent an instance of another study under this SOP Instance UID"), false
	case study != r.Inv.Study:
		r.Instances.Unasks(uid, evidence.OtherStudy)
		return dimse.RefusedNotAuthorized, false
	case !fault.ValidUID(inside):
		r.Instances.Fail(
			uid, evidence.CauseNotUID, dimse.InvalidSOPInstance,
			"the Series Instance UID of the instance is invalid (PS3.5 9.1)",
		)
		return dimse.InvalidSOPInstance, false
	case r.Instances.Scope.OnlyReads(inside) && !isListed:
		if _, err := r.heedNote(o, obj); err != nil {
			r.Warn(fmt.Sprintf(
				"ADIT could not understand the key object %s, so instances that it rejects may be among those sent: %s.",
				uid, err,
			))
		}
		r.Instances.Discard(uid)
		return dimse.Success, false
	case r.Instances.Scope.LeavesOut(inside) && !isListed:
		r.Instances.Discard(uid)
		return dimse.Success, false
	case r.Instances.Scope.Wants(study, inside):
		return dimse.Success, true
	case isListed:
		return r.mismatch(
				uid, "the instance belongs to another series than the source lists it in, which nobody asked for",
			),
			false
	}
	r.Instances.Unasks(uid, evidence.OtherSeries)
	return dimse.RefusedNotAuthorized, false
}

// mismatch takes down that an instance is not what was asked for.
func (r *taking) mismatch(uid, reason string) dimse.Status {
	r.Instances.Fail(uid, evidence.CauseMismatch, dimse.DataSetMismatch, reason)
	return dimse.DataSetMismatch
}

// isCut reports whether a data set ends before what its SOP class must have at its end: one that was cut off between
// two attributes looks whole.
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

// lastOf returns the attributes of which instances of a SOP class must have one, near their end (PS3.3 A); none if that
// can't be told.
func lastOf(class string) []dict.Tag {
	switch name := dict.UIDName(class); {
	case source.MayHavePixels(class):
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

// takeUnsolicited takes down, for staff, an instance that the source of a run sends by C-GET though it was not asked
// for, and keeps it where there is a quarantine with room for it. Its header was read; what is left of it is read only
// if it is kept. It is refused all the same.
func (r *taking) takeUnsolicited(ctx context.Context, in *dimse.Incoming, obj *stream.Object) {
	r.svc.quarantine.TakeOpened(ctx, quarantine.CallerOf(r.Src), in, obj)
}

// takeBuffered reads the instance, or its first 4 MiB, and lets it go on.
func (r *taking) takeBuffered(
	ctx context.Context, in *retrieve.Intake, o *dimse.Incoming, obj *stream.Object, p *queued,
) dimse.Status {
	b := &door.Buffer{}
	whole, err := b.Fill(r.paced(ctx, obj))
	if err != nil {
		b.Free()
		r.svc.Credit.Give(door.CreditUnit)
		_ = obj.Close()
		return r.delivering.unreadable(o.SOPInstanceUID, err)
	}
	if !whole {
		return r.pass(ctx, in, p, io.MultiReader(b.Reader(), r.paced(ctx, obj)), func() {
			b.Free()
			r.svc.Credit.Give(door.CreditUnit)
			_ = obj.Close()
		})
	}
	_ = obj.Close()
	r.delivering.gotThrough(ctx, r.Src)
	kept := b.Held()
	r.svc.Credit.Give(door.CreditUnit - kept)
	p.bytes = &counter{n: int64(b.Size)}
	p.Open, p.Again, p.Size = func() io.Reader { return b.Reader() }, true, int64(b.Size)
	p.finish = func() { b.Free(); r.svc.Credit.Give(kept) }
	if !r.enqueue(ctx, in, p) {
		return dimse.OutOfResources
	}
	return dimse.Success
}

// paced reads what comes from the source no faster than source and destination allow: the stricter holds.
func (r *taking) paced(ctx context.Context, from io.Reader) io.Reader {
	from = door.WithPace(ctx, from, r.svc.Paces.Server(r.Src.ID), &r.Crept)
	if r.Dst.Server == nil {
		return from
	}
	return door.WithPace(ctx, from, r.svc.Paces.Ahead(r.Dst.ID), &r.Crept)
}

// pass hands the instance on while it still arrives, and answers as the destination does.
func (r *taking) pass(ctx context.Context, in *retrieve.Intake, p *queued, data io.Reader, finish func()) dimse.Status {
	p.bytes = &counter{r: data}
	p.Open, p.finish, p.done = func() io.Reader { return p.bytes }, func() {}, make(chan dimse.Status, 1)
	defer finish()
	if !r.enqueue(ctx, in, p) {
		return dimse.OutOfResources
	}
	status := <-p.done
	if status == dimse.Success && p.bytes.err == nil { // it came whole
		r.delivering.gotThrough(ctx, r.Src)
	}
	return status
}

// enqueue gives the instance to a worker. A destination that takes nothing for half the source's idle timeout makes the
// retrieve end politely, unless a limit in MB/s is why; false if the task was stopped.
func (r *taking) enqueue(ctx context.Context, in *retrieve.Intake, p *queued) bool {
	if p.report != nil && r.Job.Manifest {
		p.prove()
	}
	timer := time.NewTimer(in.Patience)
	defer timer.Stop()
	r.delivering.sending.Add(1)
	crept := r.Crept.Load()
	for {
		select {
		case r.delivering.queue <- p:
			if r.delivering.Failed() {
				in.Halt(nil)
			}
			return true
		case <-timer.C:
			if now := r.Crept.Load(); now != crept { // slow by its limit in MB/s
				crept = now
				timer.Reset(in.Patience)
				continue
			}
			in.Halt(fault.Again("%w", retrieve.ErrStalled))
		case <-ctx.Done():
			p.finish()
			r.Instances.End(p.source)
			r.delivering.sending.Done()
			return false
		}
	}
}

// Copy looks at what comes under the UID of an instance that is delivered or on its way: another one of another series,
// or with other content, is no copy.
func (r *taking) Copy(in *retrieve.Intake, a *receive.Arrival) {
	defer a.Close()
	study, series, ok := a.UIDs()
	if !ok || study != r.Inv.Study {
		return
	}
	known := r.Instances.SaysOf(a.SOPInstanceUID)
	switch {
	case known != "" && series != known:
		r.Instances.Odd(a.SOPInstanceUID, ledger.TwoSeries)
	case in.IsOther(a.SOPInstanceUID, a.Obj):
		r.Instances.Odd(a.SOPInstanceUID, ledger.TwoContents)
	}
}

// Drain reads what is left of an instance that isn't sent on: the source sends it all the same, and it counts.
func (r *taking) Drain(ctx context.Context, o *dimse.Incoming) {
	if p := r.svc.Paces.Server(r.Src.ID); p.Limited() {
		// an error of the association meets its owner next
		_, _ = io.Copy(io.Discard, door.WithPace(ctx, o.Data, p, &r.Crept))
	}
}
