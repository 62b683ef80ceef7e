// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
)

// Outcome is how a run of a task ended.
type Outcome struct {
	Status        string // final, or Pending: it goes on later
	Message       string // for people
	WaitingReason string // of a pending task
	Wait          time.Duration

	failed      bool // an attempt that counts
	waited      bool
	unavailable bool  // its study has to be brought back at its source
	down        *down // a server that can't be had
	series      []Series
	run         *run
	logLine     string
}

// outcome judges a run by law 1: expected and not acknowledged is a failure; what is to be known is a warning; else success.
func (r *run) outcome(err error) Outcome {
	o := Outcome{run: r, series: r.summary()}
	switch {
	case errors.Is(err, ErrFenced):
		o.Status = Pending // nobody will write it down
	case errors.Is(err, ErrCanceled):
		o.Status, o.Message = Canceled, "Canceled while it ran; "+r.tally()+"."
		if revoked, ok := errors.AsType[*RevokedError](err); ok {
			o.Message += " " + sentence(revoked)
		}
	case errors.Is(err, ErrParked):
		o.Status, o.WaitingReason = Pending, "stopped to go on later"
	case r.verification != nil:
		r.judgeVerification(&o, err)
	case err != nil:
		r.judgeError(&o, err)
	default:
		r.verdict(&o)
	}
	return o
}

func (r *run) judgeError(o *Outcome, err error) {
	o.logLine = err.Error()
	switch policyOf(err) {
	case policyPermanent:
		o.Status, o.Message = Failure, sentence(err)
	case policyWait:
		o.Status, o.WaitingReason, o.waited = Pending, strings.TrimSuffix(err.Error(), "."), true
		pauses := r.e.cfg.WaitPauses
		o.Wait = pauses[min(int(r.task.Waits), len(pauses)-1)]
		if own, ok := errors.AsType[*fault](err); ok && own.wait > 0 {
			o.Wait, o.unavailable = own.wait, own.unavailable
		}
		o.down = r.downOf(err)
	default:
		r.countFailure(o, sentence(err))
	}
}

// countFailure lets the task try again if it has attempts left.
func (r *run) countFailure(o *Outcome, message string) {
	o.failed = true
	if n := int(r.task.Failures); n < len(r.e.cfg.RetryPauses) {
		o.Status, o.Wait, o.WaitingReason = Pending, r.e.cfg.RetryPauses[n], strings.TrimSuffix(message, ".")
		return
	}
	o.Status, o.Message = Failure, message
}

// verdict applies law 1 to a run that did all it could.
func (r *run) verdict(o *Outcome) {
	c := r.completeness(o.series)
	if c.missing > 0 {
		slices.Sort(c.reasons)
		r.countFailure(o, fmt.Sprintf("%s missing at the destination: %s. A retry fetches only what is missing.",
			imagesAre(c.missing), strings.Join(slices.Compact(c.reasons), "; ")))
		return
	}
	if c.unsafe > 0 {
		r.warn(fmt.Sprintf("%s not sent, since ADIT could not de-identify %s safely; the task lists what and why.", imagesAre(c.unsafe), them(c.unsafe)))
	}
	if c.undeliverable > 0 {
		slices.Sort(c.refusals)
		r.warn(fmt.Sprintf("%s undeliverable: %s; the task lists what.", imagesAre(c.undeliverable), strings.Join(slices.Compact(c.refusals), "; ")))
	}
	if !c.provable {
		r.warn("Completeness not provable: the source neither lists nor counts its images.")
	}
	if len(r.delivered)+c.undeliverable+c.unsafe+c.ruledOut+len(r.inv.omitted) == 0 {
		r.warn("The source has no image in this study.")
	}
	if len(r.inv.series) == 0 && len(r.inv.omitted) > 0 {
		r.warn("Nothing is left to be sent: all series are of modalities that are excluded under a pseudonym.")
	}
	r.warnNotes()
	o.Status = Success
	notes := append([]string{sentence(errors.New(r.tally()))}, r.noteLeftOut()...)
	if r.untold {
		notes = append(notes, "Which images the destination held already could not be told of every series; those were sent all the same.")
	}
	o.Message = strings.Join(notes, " ")
	if len(r.warnings) > 0 {
		o.Status = Warning
		o.Message = strings.Join(append(slices.Clone(r.warnings), o.Message), " ")
	}
}

// completeness is what the source has against what the destination acknowledged.
type completeness struct {
	missing       int
	reasons       []string // of what is missing
	undeliverable int      // refused by the source for good
	refusals      []string // the reasons of those
	unsafe        int      // could not be de-identified
	ruledOut      int      // left out by a rule
	provable      bool
}

func (r *run) completeness(series []Series) completeness {
	c := completeness{provable: true}
	for i, s := range r.inv.series {
		c.provable = c.provable && s.provable()
		c.add(series[i].Missing)
		ruledOut := r.ruledOut(s.uid)
		c.ruledOut += ruledOut
		switch short := s.counted - series[i].Delivered - ruledOut; {
		case s.listed && short > len(series[i].Missing):
			r.warn(fmt.Sprintf("The source counts %d images in series %s but lists %d; the others could not be fetched.", s.counted, s.uid, len(s.instances)))
		case !s.listed && short > 0:
			c.lack(short)
		}
	}
	if !c.provable && r.inv.counted >= 0 && len(r.task.SeriesInstanceUids) == 0 { // the study's own count proves it as well
		c.provable = true
		if short := r.inv.counted - len(r.delivered) - c.ruledOut; short > c.missing+c.undeliverable+c.unsafe {
			c.lack(short - c.missing - c.undeliverable - c.unsafe)
		}
	}
	return c
}

func (c *completeness) add(missing []MissingInstance) {
	for _, m := range missing {
		if undeliverable(m.Reason) {
			c.undeliverable++
			c.refusals = append(c.refusals, m.Reason)
			continue
		}
		if strings.HasPrefix(m.Reason, notDeidentified) {
			c.unsafe++
			continue
		}
		c.missing++
		c.reasons = append(c.reasons, m.Reason)
	}
}

func (c *completeness) lack(n int) {
	c.missing += n
	c.reasons = append(c.reasons, reasonNeverCame)
}

// warnNotes tells what the destination noted about objects that it took.
func (r *run) warnNotes() {
	for _, status := range slices.Sorted(maps.Keys(r.noted)) {
		r.warn(fmt.Sprintf("The destination took %s with a remark: %s (status %s).", images(r.noted[status]), status.Meaning(dimse.CStore).Text, status))
	}
}

func (r *run) tally() string {
	there := 0
	r.mu.Lock()
	for _, d := range r.delivered {
		if d.Status == int32(dimse.DuplicateSOPInstance) {
			there++
		}
	}
	r.mu.Unlock()
	text := images(int(r.progress.Delivered.Load())-there) + " transferred, "
	if r.direct > 0 {
		text += fmt.Sprintf("%d of them straight from the source, %s through ADIT", r.direct, megabytes(r.progress.Bytes.Load()))
	} else {
		text += megabytes(r.progress.Bytes.Load())
	}
	if there > 0 {
		text += fmt.Sprintf("; %s at the destination already", imagesWere(there))
	}
	return text
}

func imagesWere(n int) string {
	if n == 1 {
		return "1 image was"
	}
	return images(n) + " were"
}

func images(n int) string {
	if n == 1 {
		return "1 image"
	}
	return fmt.Sprintf("%d images", n)
}

func imagesAre(n int) string {
	if n == 1 {
		return "1 image is"
	}
	return images(n) + " are"
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

const reasonNeverCame = "the source said that it had sent everything, but they did not arrive"

// maxMissing bounds the list of missing instances that is kept of a series.
const maxMissing = 10_000

// summary gives what became of each series of the inventory.
func (r *run) summary() []Series {
	if r.inv == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	bySeries := map[string]*Series{}
	out := make([]Series, len(r.inv.series))
	for i, s := range r.inv.series {
		out[i] = Series{SeriesInstanceUID: s.uid, Expected: max(0, s.expected())}
		bySeries[s.uid] = &out[i]
		for _, uid := range slices.Sorted(maps.Keys(s.instances)) {
			if left, ok := r.leftOut[uid]; ok && !left.Unsafe {
				out[i].Expected--
				continue
			}
			if _, ok := r.delivered[uid]; !ok && len(out[i].Missing) < maxMissing {
				out[i].Missing = append(out[i].Missing, r.whyMissing(uid, s.instances[uid]))
			}
		}
	}
	for _, d := range r.delivered {
		if s := bySeries[d.SeriesUid]; s != nil {
			s.Delivered++
			s.Bytes += d.Bytes
		}
	}
	return out
}

func (r *run) whyMissing(uid string, i instance) MissingInstance {
	if m, ok := r.failed[uid]; ok {
		return m
	}
	switch {
	case i.class == "" || r.accepted == nil:
	case len(r.accepted[i.class]) == 0:
		return MissingInstance{uid, uint16(dimse.RefusedSOPClass), "the destination doesn't take SOP class " + i.class}
	case len(i.syntaxes) > 0 && !slices.ContainsFunc(i.syntaxes, func(u string) bool { return r.deliverable(i.class, u) }):
		return MissingInstance{SOPInstanceUID: uid, Reason: refusedSyntax}
	}
	return MissingInstance{SOPInstanceUID: uid, Reason: reasonNeverCame}
}

// End writes down how a run ended, with its summary, in the transaction that ends the lease. ErrFenced: the task is not
// ours any more, and nothing was written.
func (e *Engine) End(ctx context.Context, o Outcome) error {
	r := o.run
	err := e.inTx(ctx, func(q *db.Queries) error {
		t, err := q.GetTask(ctx, r.held.TaskID)
		if err != nil {
			return notFound(err, "task", r.held.TaskID)
		}
		p := leaseEnd(r.held, t, o)
		if o.failed {
			p.Failures++
		}
		if p.Waits = 0; o.waited {
			p.Waits = t.Waits + 1
		}
		if o.down != nil {
			if _, err := q.LockJob(ctx, r.held.JobID); err != nil { // jobs come before servers
				return err
			}
			tripped, err := e.trip(ctx, q, o.down, r.held.TaskID)
			if err != nil {
				return err
			}
			if tripped { // it goes on when the server can be had again
				p.WaitSeconds = 0
			}
		}
		if err := e.endLease(ctx, q, p); err != nil {
			return err
		}
		if err := r.recordRun(ctx, q, o); err != nil {
			return err
		}
		return r.writeSummary(ctx, q, o)
	})
	if err == nil {
		e.metrics.runs.WithLabelValues(o.Status).Inc()
		e.log.InfoContext(ctx, "task run ended", "job", r.held.JobID, "task", r.held.TaskID, "status", o.Status, "err", o.logLine)
	}
	return err
}

func (r *run) writeSummary(ctx context.Context, q *db.Queries, o Outcome) error {
	for _, s := range o.series {
		missing, err := json.Marshal(s.Missing)
		if err != nil {
			return err
		}
		if s.Missing == nil {
			missing = []byte("[]")
		}
		err = q.PutTaskSeries(ctx, db.PutTaskSeriesParams{
			TaskID: r.held.TaskID, SeriesUid: s.SeriesInstanceUID, Expected: int32(s.Expected), Delivered: int32(s.Delivered), Bytes: s.Bytes, Missing: missing,
		})
		if err != nil {
			return err
		}
	}
	err := q.PutTaskTotals(ctx, db.PutTaskTotalsParams{
		ID: r.held.TaskID, Expected: r.progress.Expected.Load(), Received: r.progress.Received.Load(),
		Delivered: r.progress.Delivered.Load(), Bytes: r.progress.Bytes.Load(),
	})
	if err != nil {
		return err
	}
	line := fmt.Sprintf("%s: %s", o.Status, o.Message)
	if o.Status == Pending {
		line = fmt.Sprintf("%s: %s; next attempt in %s", o.Status, o.WaitingReason, o.Wait)
	}
	if o.logLine != "" {
		line += " [" + o.logLine + "]"
	}
	if err := q.AppendTaskLog(ctx, db.AppendTaskLogParams{TaskID: r.held.TaskID, Line: line}); err != nil {
		return err
	}
	if err := r.writeLeftOut(ctx, q); err != nil {
		return err
	}
	if err := r.keepUnavailable(ctx, q, o); err != nil {
		return err
	}
	if err := r.writeVerification(ctx, q, o); err != nil {
		return err
	}
	if (o.Status == Success || o.Status == Warning) && (r.verification == nil || r.verification.left() == 0) {
		return q.DeleteDelivered(ctx, r.held.TaskID)
	}
	return nil
}
