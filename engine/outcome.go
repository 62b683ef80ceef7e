// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
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
	fault       string // kind of what kept the run from a good end; empty: nothing did
}

// outcome judges a run by law 1: expected and not acknowledged is a failure; what is to be known is a warning; else success.
func (r *run) outcome(err error) Outcome {
	o := Outcome{run: r, series: r.summary(err)}
	switch {
	case errors.Is(err, ErrFenced):
		o.Status = Pending // nobody will write it down
	case errors.Is(err, ErrCanceled):
		o.Status = Canceled // endLease says so, and what the task has done
		if revoked, ok := errors.AsType[*RevokedError](err); ok {
			o.Message = sentence(revoked)
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
	if r.inv != nil {
		r.progress.Expected.Store(expectedOf(o.series))
	}
	return o
}

func expectedOf(series []Series) (n int32) {
	for _, s := range series {
		n += int32(s.Expected)
	}
	return n
}

// summary returns what became of each series, whatever ended the run.
func (r *run) summary(err error) []Series {
	if r.inv == nil {
		return nil
	}
	return r.instances.judge(r.inv, err == nil, r.unsent, r.reasonOf(err)).series
}

// unsent says why an instance that the source lists could not be asked for: the destination takes nothing of its SOP class, or not in what
// the source holds it in.
func (r *run) unsent(i instance) shortfall {
	switch {
	case i.class == "" || r.accepted == nil:
	case len(r.accepted[i.class]) == 0:
		return shortfall{causeNotTaken, dimse.RefusedSOPClass, "the destination doesn't take SOP class " + i.class}
	case len(i.syntaxes) > 0 && !slices.ContainsFunc(i.syntaxes, func(u string) bool { return r.deliverable(i.class, u) }):
		return shortfall{cause: causeSyntax, reason: refusedSyntax}
	}
	return shortfall{}
}

// reasonOf says why an instance is missing of which nothing more is known: what stopped the run, or else that it did not come.
func (r *run) reasonOf(err error) string {
	switch {
	case err == nil:
		return r.neverCame()
	case errors.Is(err, ErrCanceled):
		return "not transferred before the task was canceled"
	case errors.Is(err, ErrParked), errors.Is(err, ErrFenced):
		return "not transferred yet"
	}
	return "not transferred: " + reasonOf(err)
}

func (r *run) judgeError(o *Outcome, err error) {
	o.logLine, o.fault = err.Error(), faultKind(err)
	policy := policyOf(err)
	if r.down != nil {
		policy = policyWait
	}
	switch policy {
	case policyPermanent:
		o.Status, o.Message = Failure, sentence(err)
	case policyWait:
		o.Status, o.WaitingReason, o.waited = Pending, reasonOf(err), true
		pauses := r.e.cfg.WaitPauses
		o.Wait = pauses[min(int(r.task.Waits), len(pauses)-1)]
		if own, ok := errors.AsType[*fault](err); ok && own.wait > 0 {
			o.Wait, o.unavailable = own.wait, own.unavailable
		}
		if o.down = r.down; o.down != nil {
			o.Wait = 0 // what the server says of others decides
		}
	default:
		r.countFailure(o, sentence(err))
	}
}

// countFailure lets the task try again if it has attempts left.
func (r *run) countFailure(o *Outcome, message string) {
	o.failed = true
	o.fault = cmp.Or(o.fault, faultMissing)
	if n := int(r.task.Failures); n < len(r.e.cfg.RetryPauses) {
		o.Status, o.Wait, o.WaitingReason = Pending, r.e.cfg.RetryPauses[n], strings.TrimSuffix(message, ".")
		return
	}
	o.Status, o.Message = Failure, message
}

// verdict applies law 1 to a run that did all it could.
func (r *run) verdict(o *Outcome) {
	f := r.instances.judge(r.inv, true, r.unsent, r.neverCame())
	o.series = f.series
	if n := f.missing + f.lacking; n > 0 {
		r.countFailure(o, fmt.Sprintf("%s missing at the destination: %s. A retry fetches only what is missing.", imagesAre(n), f.why()))
		return
	}
	if f.unsafe > 0 {
		r.warn(fmt.Sprintf("%s not sent, since ADIT could not de-identify %s safely; the task lists what and why.", imagesAre(f.unsafe), them(f.unsafe)))
	}
	if f.undeliverable > 0 {
		r.warn(fmt.Sprintf("%s undeliverable: %s; the task lists what.", imagesAre(f.undeliverable), strings.Join(slices.Sorted(maps.Keys(f.refusals)), "; ")))
	}
	for _, dispute := range f.disputes {
		r.warn(dispute)
	}
	if !f.provable {
		r.warn("Completeness not provable: the source neither lists nor counts its images.")
	}
	if f.delivered+f.undeliverable+f.unsafe+f.ruledOut+len(r.inv.omitted) == 0 {
		r.warn("The source has no image in this study.")
	}
	switch {
	case len(r.inv.series) == 0 && len(r.inv.omitted) > 0:
		r.warn("Nothing is left to be sent: all series are of modalities that are excluded under a pseudonym.")
	case f.delivered+f.undeliverable+f.unsafe == 0 && f.ruledOut > 0:
		r.warn("Nothing is left to be sent: all images are left out by rules.")
	}
	r.warnNotes()
	r.warnOddities()
	if uids := r.instances.rejectedThere(); len(uids) > 0 {
		r.warn(fmt.Sprintf("%s sent before they were known to be rejected at the source: %s.", imagesWere(len(uids)), someOf(uids)))
	}
	o.Status = Success
	notes := slices.Concat([]string{sentence(errors.New(r.tally()))}, r.noteLeftOut(), r.remarks)
	if r.untold {
		notes = append(notes, "Which images the destination held already could not be told of every series; those were sent all the same.")
	}
	if n := len(r.instances.unaskedUIDs(otherSeries)); n > 0 {
		notes = append(notes, fmt.Sprintf("The source also sent %s of other series, which nobody asked for; %s not taken.", images(n), were(n)))
	}
	if r.src.Server.IgnoreCounts {
		notes = append(notes, "The counts of the source are not used as evidence, since its settings say that they are wrong.")
	}
	o.Message = strings.Join(notes, " ")
	if len(r.warnings) > 0 {
		o.Status = Warning
		o.Message = strings.Join(append(slices.Clone(r.warnings), o.Message), " ")
	}
}

// warnNotes tells what the destination noted about objects that it took.
func (r *run) warnNotes() {
	noted := r.instances.remarks()
	for _, status := range slices.Sorted(maps.Keys(noted)) {
		r.warn(fmt.Sprintf("The destination took %s with a remark: %s (status %s).", images(noted[status]), status.Meaning(dimse.CStore).Text, status))
	}
}

// oddityWords say what is to be known of instances that were delivered, or of the source.
var oddityWords = map[oddity]string{
	otherPatient: "with another Patient ID inside than the study has at the source",
	movedSeries:  "with another series inside than the source lists for it",
	twoSeries:    "under whose UID the source also sent another one, of another series, which a destination can't keep beside it",
	otherReply:   "acknowledged by the destination under another SOP Instance UID, and found there",
	endsEarly:    "without the pixel data or content that objects of its class have: the source has no more of it, or cut it off; look at it there",
	unclearNote:  "that is a key object and could not be understood, so that images which it rejects may be among those sent",
}

// warnOddities names what was delivered though something is to be known about it.
func (r *run) warnOddities() {
	for _, what := range []oddity{otherPatient, movedSeries, twoSeries, otherReply, endsEarly, unclearNote} {
		if uids := r.instances.odds(what); len(uids) > 0 {
			r.warn(fmt.Sprintf("%s %s: %s.", images(len(uids)), oddityWords[what], someOf(uids)))
		}
	}
	uids := r.instances.unaskedUIDs(otherStudy)
	if n := max(len(uids), int(r.task.Unasked)); n > 0 {
		names := ""
		if len(uids) > 0 {
			names = ": " + someOf(uids)
		}
		r.warn(fmt.Sprintf("The source also sent %s of another study, which nobody asked for; %s not taken%s.", images(n), were(n), names))
	}
}

// someOf names the first of some UIDs, and how many more there are.
func someOf(uids []string) string {
	const shown = 3
	text := strings.Join(uids[:min(len(uids), shown)], ", ")
	if more := len(uids) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func (r *run) tally() string {
	there := r.instances.deliveredAs(dimse.DuplicateSOPInstance)
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

func were(n int) string {
	if n == 1 {
		return "it was"
	}
	return "they were"
}

func them(n int) string {
	if n == 1 {
		return "it"
	}
	return "them"
}

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }

// End writes down how a run ended, with its summary, in the transaction that ends the lease. ErrFenced: the task is not
// ours any more, and nothing was written.
func (e *Engine) End(ctx context.Context, o Outcome) error {
	r := o.run
	var ended Outcome
	err := e.inTx(ctx, func(q *db.Queries) error {
		p, err := e.leaseEndOf(ctx, q, &o)
		if err != nil {
			return err
		}
		pressed, err := e.endLease(ctx, q, r.held, &p)
		if err != nil {
			return err
		}
		if pressed && r.dst.ID != 0 { // 0: it was not even loaded
			if err := e.bookSuccess(ctx, q, &o); err != nil {
				return err
			}
		}
		ended = o
		ended.Status, ended.Message = p.Status, p.Message
		if err := r.recordRun(ctx, q, ended); err != nil {
			return err
		}
		return r.writeSummary(ctx, q, ended)
	})
	if errors.Is(err, ErrFenced) || errors.Is(err, ErrNotFound) {
		r.giveBack(ctx)
	}
	if err == nil {
		e.door.Freed()
		e.metrics.runs.WithLabelValues(ended.Status).Inc()
		if ended.fault != "" {
			e.metrics.faults.WithLabelValues(ended.fault).Inc()
		}
		e.log.InfoContext(ctx, "task run ended", "job", r.held.JobID, "task", r.held.TaskID, "status", ended.Status, "err", o.logLine)
	}
	return err
}

// leaseEndOf says how the lease of a run ends, and takes down a refusal of a server before.
func (e *Engine) leaseEndOf(ctx context.Context, q *db.Queries, o *Outcome) (p db.EndLeaseParams, err error) {
	r := o.run
	t, err := r.row(ctx, q)
	if err != nil {
		return p, notFound(err, "task", r.held.TaskID)
	}
	p = leaseEnd(r.held, t, *o)
	if o.failed {
		p.Failures++
	}
	if p.Waits = 0; o.waited {
		p.Waits = t.Waits + 1
	}
	if o.down != nil {
		if _, err := q.LockJob(ctx, r.held.JobID); err != nil { // jobs come before servers
			return p, err
		}
		if err := e.bookRefusal(ctx, q, o, &t, &p); err != nil {
			return p, err
		}
	}
	if o.down == nil && !o.waited && (o.Status != Pending || o.failed) {
		p.Refused, p.RefusedSince = 0, nil
	}
	if o.Status == Failure && r.inv == nil {
		before, err := transferredBefore(ctx, q, t.ID)
		if err != nil {
			return p, err
		}
		p.Message += before
	}
	return p, nil
}

// row gives the task as it is before its end: while it runs nobody else writes its counters.
func (r *run) row(ctx context.Context, q *db.Queries) (db.Task, error) {
	if !r.loaded {
		return q.GetTask(ctx, r.held.TaskID)
	}
	t := r.task
	if r.wrote.Load() {
		t.Losses, t.Crashes, t.Waits = 0, 0, 0
	}
	return t, nil
}

func (r *run) writeSummary(ctx context.Context, q *db.Queries, o Outcome) error {
	progressed := r.progress.Received.Load() > r.before
	p := db.PutSummaryParams{
		ID: r.held.TaskID, IsLoaded: r.loaded, Expected: r.progress.Expected.Load(), Received: r.progress.Received.Load(),
		Delivered: r.progress.Delivered.Load(), Bytes: r.progress.Bytes.Load(), Unasked: int32(len(r.instances.unaskedUIDs(otherStudy))), Heard: r.heard(),
		IsAway: o.unavailable, IsBack: progressed || !o.unavailable && o.Status != Pending,
		IsOver: (o.Status == Success || o.Status == Warning) && (r.verification == nil || r.verification.left() == 0),
	}
	for _, s := range o.series {
		missing, err := json.Marshal(append([]MissingInstance{}, s.Missing...)) // none is [], not null
		if err != nil {
			return err
		}
		p.SeriesUids = append(p.SeriesUids, s.SeriesInstanceUID)
		p.SeriesExpected = append(p.SeriesExpected, int32(s.Expected))
		p.SeriesDelivered = append(p.SeriesDelivered, int32(s.Delivered))
		p.SeriesBytes = append(p.SeriesBytes, s.Bytes)
		p.SeriesMissing = append(p.SeriesMissing, string(missing))
	}
	p.Line = fmt.Sprintf("%s: %s", o.Status, o.Message)
	if o.Status == Pending {
		p.Line = fmt.Sprintf("%s: %s; next attempt in %s", o.Status, o.WaitingReason, o.Wait)
	}
	if o.logLine != "" {
		p.Line += " [" + o.logLine + "]"
	}
	if err := q.PutSummary(ctx, p); err != nil {
		return err
	}
	if err := r.writeRejected(ctx, q); err != nil {
		return err
	}
	if err := r.writeLeftOut(ctx, q); err != nil {
		return err
	}
	return r.writeVerification(ctx, q, o)
}
