// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/retrieve"
)

// verdict is how a run ends.
type verdict struct {
	*retrieve.Task
	svc         *Service
	negotiation *retrieve.Negotiation
	moves       *retrieve.Moves
	listing     *retrieve.Listing
	deid        *deidentification
	delivering  *delivering
	destination *destination
	loaded      bool        // what earlier runs brought is known
	down        *lease.Down // what ended the run is a server's refusal
}

// recordBegin leaves a row before the first instance moves: whatever becomes of this process, it is known what was
// under way.
func (r *verdict) recordBegin(ctx context.Context) error {
	return jobs.RecordTransfer(ctx, r.svc.Q, audit.ActBegin, r.Job, r.Row, r.Inv.PatientID, map[string]any{
		"expected": r.Progress.Expected.Load(), "folder": r.Dst.Folder != nil,
	})
}

// outcome judges a run by the first goal of docs/GOALS.md: expected and not acknowledged is a failure; what is to be
// known is a warning; else success.
func (r *verdict) outcome(err error) lease.Outcome {
	o := lease.Outcome{
		Held: r.Held, Series: r.summary(err), Task: r.rowBefore, LookedUp: r.Inv != nil,
		Write: r.writeEnd, Fail: r.countFailure, Over: r.delivering.endFirst,
	}
	switch {
	case errors.Is(err, fault.ErrFenced):
		o.Status = jobs.Pending // nobody will write it down
	case errors.Is(err, fault.ErrCanceled):
		o.Status = jobs.Canceled // endLease says so, and what the task has done
		if revoked, ok := errors.AsType[*lease.RevokedError](err); ok {
			o.Message = fault.Sentence(revoked)
		}
	case errors.Is(err, fault.ErrParked):
		o.Status, o.WaitingReason = jobs.Pending, "stopped, and continues later"
	case r.destination.verification != nil && (err == nil || r.destination.verification.Left() == 0 ||
		fault.PolicyOf(err) != fault.PolicyWait && r.down == nil):
		r.destination.verification.Judge(&o, err)
	case err != nil:
		r.svc.lease.JudgeError(&o, r.Row, r.down, err)
	default:
		r.judge(&o)
	}
	if r.Inv != nil {
		r.Progress.Expected.Store(expectedOf(o.Series))
	}
	o.Servers, o.Brought = r.tested(&o), r.Progress.Delivered.Load() > r.Before
	return o
}

// summary returns what became of each series, whatever ended the run.
func (r *verdict) summary(err error) []jobs.Series {
	if r.Inv == nil {
		return nil
	}
	return r.Instances.Judge(r.Inv, err == nil, r.negotiation.Unsent, r.reasonOf(err)).Series
}

// reasonOf says why an instance is missing of which nothing more is known: what stopped the run, or else that it did
// not come.
func (r *verdict) reasonOf(err error) string {
	switch {
	case err == nil:
		return r.moves.NeverCame()
	case errors.Is(err, fault.ErrCanceled):
		return "not transferred before the task was canceled"
	case errors.Is(err, fault.ErrParked), errors.Is(err, fault.ErrFenced):
		return "not transferred yet"
	}
	return "not transferred: " + fault.ReasonOf(err)
}

// rowBefore returns the task as it is before its end: while it runs nobody else writes its counters.
func (r *verdict) rowBefore(ctx context.Context, q *db.Queries) (db.Task, error) {
	if !r.loaded {
		return q.GetTask(ctx, r.Held.TaskID)
	}
	t := r.Row
	if r.delivering.wrote.Load() {
		t.Losses, t.Crashes, t.Waits = 0, 0, 0
	}
	return t, nil
}

// judge applies the first goal of docs/GOALS.md to a run that did all it could.
func (r *verdict) judge(o *lease.Outcome) {
	f := r.Instances.Judge(r.Inv, true, r.negotiation.Unsent, r.moves.NeverCame())
	o.Series = f.Series
	if n := f.Missing + f.Lacking; n > 0 {
		r.countFailure(o, fmt.Sprintf(
			"%s missing at the destination: %s. A retry fetches only what is missing.", fault.InstancesAre(n), f.Why(),
		))
		return
	}
	if f.Unsafe > 0 {
		r.Warn(fmt.Sprintf(
			"%s not sent, since ADIT could not de-identify %s safely; the task lists which and why.",
			fault.InstancesAre(f.Unsafe), fault.Them(f.Unsafe),
		))
	}
	if f.Undeliverable > 0 {
		r.Warn(fmt.Sprintf(
			"%s undeliverable: %s; the task lists them.", fault.InstancesAre(f.Undeliverable),
			strings.Join(slices.Sorted(maps.Keys(f.Refusals)), "; "),
		))
	}
	for _, dispute := range f.Disputes {
		r.Warn(dispute)
	}
	if !f.Provable {
		r.Warn("Completeness not provable: the source neither lists nor counts its instances.")
	}
	if f.Delivered+f.Undeliverable+f.Unsafe+f.RuledOut+len(r.Inv.Omitted) == 0 {
		r.Warn("The source has no instance in this study.")
	}
	switch {
	case len(r.Inv.Series) == 0 && len(r.Inv.Omitted) > 0:
		r.Warn("Nothing to send: all series have modalities that are excluded under a pseudonym.")
	case f.Delivered+f.Undeliverable+f.Unsafe == 0 && f.RuledOut > 0:
		r.Warn("Nothing to send: rules leave out all instances.")
	}
	r.warnNotes()
	r.warnOddities()
	if uids := r.Instances.Notes.RejectedThere(); len(uids) > 0 {
		r.Warn(fmt.Sprintf(
			"%s sent before they were known to be rejected at the source: %s.",
			fault.InstancesWere(len(uids)), someOf(uids),
		))
	}
	o.Status = jobs.Success
	notes := slices.Concat([]string{fault.Sentence(errors.New(r.tally()))}, r.deid.noteLeftOut(), r.destination.remarks)
	if r.destination.untold {
		notes = append(notes,
			"For some series ADIT could not find out which instances the destination already held; it sent them all "+
				"the same.",
		)
	}
	if n := len(r.Instances.Summary.UnaskedUIDs(evidence.OtherSeries)); n > 0 {
		notes = append(notes, fmt.Sprintf(
			"The source also sent %s of other series, which nobody asked for; %s not taken.",
			fault.Instances(n), fault.Were(n),
		))
	}
	if r.Src.Server.IgnoreCounts {
		notes = append(
			notes, "ADIT does not use the counts of the source as evidence, since its settings say that they are wrong.",
		)
	}
	o.Message = strings.Join(notes, " ")
	if len(r.Warnings) > 0 {
		o.Status = jobs.Warning
		o.Message = strings.Join(append(slices.Clone(r.Warnings), o.Message), " ")
	}
}

// countFailure lets the task try again if it has attempts left.
func (r *verdict) countFailure(o *lease.Outcome, message string) {
	r.svc.lease.CountFailure(o, r.Row, message)
}

// warnNotes reports what the destination noted about instances that it took.
func (r *verdict) warnNotes() {
	noted := r.Instances.Summary.Remarks()
	for _, status := range slices.Sorted(maps.Keys(noted)) {
		r.Warn(fmt.Sprintf(
			"The destination took %s with a remark: %s (status %s).",
			fault.Instances(noted[status]), status.Meaning(dimse.CStore).Text, status,
		))
	}
}

// oddityWords say what is to be known of instances that were delivered, or of the source.
var oddityWords = map[ledger.Oddity]string{
	ledger.OtherPatient: "with another Patient ID inside than the study has at the source",
	ledger.MovedSeries:  "with another series inside than the source lists for it",
	ledger.TwoSeries: "under whose UID the source also sent one of another series, which a destination " +
		"can't keep beside it",
	ledger.TwoContents: "under whose UID the source also sent one with other content, which was not taken; look at " +
		"them there",
	ledger.OtherReply: "acknowledged by the destination under another SOP Instance UID, and found there",
	ledger.EndsEarly: "without the pixel data or content that instances of its class have: the source has no more " +
		"of it, or truncated it; look at it there",
	ledger.UnclearNote: "that is a key object which ADIT could not understand, so instances that it rejects may be " +
		"among those sent",
}

// warnOddities names what was delivered though something is to be known about it.
func (r *verdict) warnOddities() {
	for _, what := range []ledger.Oddity{
		ledger.OtherPatient, ledger.MovedSeries, ledger.TwoSeries, ledger.TwoContents,
		ledger.OtherReply, ledger.EndsEarly, ledger.UnclearNote,
	} {
		if uids := r.Instances.Summary.Odds(what); len(uids) > 0 {
			r.Warn(fmt.Sprintf("%s %s: %s.", fault.Instances(len(uids)), oddityWords[what], someOf(uids)))
		}
	}
	uids := r.Instances.Summary.UnaskedUIDs(evidence.OtherStudy)
	if n := max(len(uids), int(r.Row.Unasked)); n > 0 {
		names := ""
		if len(uids) > 0 {
			names = ": " + someOf(uids)
		}
		r.Warn(fmt.Sprintf(
			"The source also sent %s of another study, which nobody asked for; %s not taken%s.",
			fault.Instances(n), fault.Were(n), names,
		))
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

func (r *verdict) tally() string {
	there := r.Instances.Summary.DeliveredAs(dimse.DuplicateSOPInstance)
	text := fault.Instances(int(r.Progress.Delivered.Load())-there) + " transferred, "
	if r.destination.direct > 0 {
		text += fmt.Sprintf(
			"%d of them directly from the source, %s through ADIT",
			r.destination.direct, fault.Megabytes(r.Progress.Bytes.Load()),
		)
	} else {
		text += fault.Megabytes(r.Progress.Bytes.Load())
	}
	if there > 0 {
		text += fmt.Sprintf("; %s at the destination already", fault.InstancesWere(there))
	}
	return text
}

func expectedOf(series []jobs.Series) (n int32) {
	for _, s := range series {
		n += int32(s.Expected)
	}
	return n
}

// tested returns the servers of a run that has ended, those of lower IDs first, so that no two ends wait for each
// other.
func (r *verdict) tested(o *lease.Outcome) (list []lease.Tested) {
	for _, n := range []nodes.DICOMNode{r.Src, r.Dst} {
		if n.Server == nil {
			continue
		}
		_, booked := r.delivering.booked.Load(n.ID)
		list = append(list, lease.Tested{Node: n, Well: r.wentWell(o, n), Booked: booked})
	}
	slices.SortFunc(list, func(a, b lease.Tested) int { return cmp.Compare(a.Node.ID, b.Node.ID) })
	return list
}

// wentWell reports whether a server did what a run that has ended asked of it.
func (r *verdict) wentWell(o *lease.Outcome, n nodes.DICOMNode) bool {
	if n.ID == r.Dst.ID {
		return r.HeardDestination.Load()
	}
	return r.HeardSource.Load() &&
		(r.Progress.Received.Load() > r.Before || !o.Failed && !o.Waited && o.Status != jobs.Pending)
}

// writeEnd leaves a row in the audit log, and writes the summary.
func (r *verdict) writeEnd(ctx context.Context, q *db.Queries, ended lease.Outcome) error {
	if err := r.recordRun(ctx, q, ended); err != nil {
		return err
	}
	return r.writeSummary(ctx, q, ended)
}

// recordRun leaves a row for a run that moved instances: which study went from where to where, on whose behalf. A run
// that only goes on where others stopped leaves one for what it added; the last one always does, with the whole and how
// it ended. The pseudonym is not in it: audit and Patient ID together would be a linkage table, which needs a right of
// its own.
func (r *verdict) recordRun(ctx context.Context, q *db.Queries, o lease.Outcome) error {
	delivered := r.Progress.Delivered.Load()
	if delivered == 0 || o.Status == jobs.Pending && delivered <= r.Row.Delivered {
		return nil
	}
	patient := r.Row.PatientID
	if r.Inv != nil {
		patient = r.Inv.PatientID
	}
	return jobs.RecordTransfer(ctx, q, audit.ActTransfer, r.Job, r.Row, patient, map[string]any{
		"outcome": o.Status, "expected": r.Progress.Expected.Load(),
		"delivered": delivered, "bytes": r.Progress.Bytes.Load(),
		"folder": r.Dst.Folder != nil,
	})
}

func (r *verdict) writeSummary(ctx context.Context, q *db.Queries, o lease.Outcome) error {
	progressed := r.Progress.Received.Load() > r.Before
	p := db.PutSummaryParams{
		ID: r.Held.TaskID, IsLoaded: r.loaded, Expected: r.Progress.Expected.Load(),
		Received:  r.Progress.Received.Load(),
		Delivered: r.Progress.Delivered.Load(), Bytes: r.Progress.Bytes.Load(),
		Unasked: int32(len(r.Instances.Summary.UnaskedUIDs(evidence.OtherStudy))), Heard: r.listing.Heard(),
		IsAway: o.Unavailable, IsBack: progressed || !o.Unavailable && o.Status != jobs.Pending,
		IsOver: (o.Status == jobs.Success || o.Status == jobs.Warning) &&
			(r.destination.verification == nil || r.destination.verification.Left() == 0),
	}
	for _, s := range o.Series {
		missing, err := json.Marshal(append([]jobs.MissingInstance{}, s.Missing...)) // none is [], not null
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
	if o.Status == jobs.Pending {
		p.Line = fmt.Sprintf("%s: %s; next attempt in %s", o.Status, o.WaitingReason, o.Wait)
	}
	if !strings.Contains(p.Line, o.LogLine) {
		p.Line += " [" + o.LogLine + "]"
	}
	if err := q.PutSummary(ctx, p); err != nil {
		return err
	}
	if err := r.writeRejected(ctx, q); err != nil {
		return err
	}
	if err := cmp.Or(r.deid.writeLeftOut(ctx, q), r.deid.writeVolumes(ctx, q, p.SeriesUids)); err != nil {
		return err
	}
	if r.destination.verification == nil {
		return nil
	}
	return r.destination.verification.Write(ctx, q, o)
}

// writeRejected keeps what the notes rejected, for runs that can't read them any more.
func (r *verdict) writeRejected(ctx context.Context, q *db.Queries) error {
	rejected := r.Instances.Notes.Rejections()
	if len(rejected) == 0 {
		return nil
	}
	text, err := json.Marshal(rejected)
	if err != nil {
		return err
	}
	return q.PutRejected(ctx, db.PutRejectedParams{ID: r.Held.TaskID, Rejected: text})
}

// downOf finds out of an error of a run whether a server refused it, and which.
func (r *verdict) downOf(err error) *lease.Down {
	asked := lease.Asked{Node: r.Src, Heard: r.HeardSource.Load(), Reads: true}
	if _, ok := errors.AsType[*fault.AtDestination](err); ok {
		asked = lease.Asked{Node: r.Dst, Heard: r.HeardDestination.Load()}
	}
	asked.Midway = r.destination.verification == nil
	return asked.DownOf(err)
}
