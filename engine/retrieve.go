// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
)

const (
	listChunk     = 64 // instances asked for by one C-GET with a list of UIDs
	silentAnswers = 5  // in a row, of a source that says success and sends nothing: then it isn't asked for single instances any more
)

// moveSeries retrieves a series by one method after the other, until nothing is missing or nothing more can be had.
func (r *run) moveSeries(ctx context.Context, s *seriesInventory) error {
	r.using = r.preferred
	for {
		had := r.deliveredOf(s.uid)
		next, err := r.fallBack(s, had, r.retrieveSeries(ctx, s))
		if !next || err != nil {
			return err
		}
		r.e.log.InfoContext(ctx, "a series is asked for by another method", "task", r.held.TaskID, "series", s.uid, "method", r.method())
	}
}

// retrieveSeries asks for a series by one method until nothing is missing or nothing more can be had: first whole, if none of it is there yet,
// then what is missing by lists of UIDs, then with lossy transfer syntaxes, then each instance by itself. What is missing
// afterwards is for the verdict.
func (r *run) retrieveSeries(ctx context.Context, s *seriesInventory) error {
	plan := r.plan(s)
	tries := 0
	for len(plan) > 0 {
		if !r.wanting(s) && len(r.untaken(s)) == 0 {
			return nil
		}
		before := r.deliveredOf(s.uid)
		err := plan[0](ctx, s)
		r.settle()
		if err == nil {
			err = r.takeSinkErr()
		}
		if cause := stopped(ctx); cause != nil {
			return cause
		}
		switch {
		case err == nil:
			plan, tries = plan[1:], 0
			continue
		case policyOf(err) != policyAgain:
			return err
		}
		r.source.abort()
		if r.deliveredOf(s.uid) > before {
			tries = 0
		}
		if tries++; tries == inPlaceTries {
			return err
		}
		plan = r.plan(s) // what came meanwhile isn't asked for again
		r.e.log.WarnContext(ctx, "a retrieve failed and is tried again", "task", r.held.TaskID, "series", s.uid, "err", err)
		if err := pause(ctx, inPlacePause<<(tries-1)); err != nil {
			return err
		}
	}
	return nil
}

// step is one way of asking for a series.
type step func(ctx context.Context, s *seriesInventory) error

// plan gives the ways of asking that may still help. Lossy transfer syntaxes are proposed from the start if the source says that it
// holds them, and else only for what can't be had without them. What is still missing may be in a transfer syntax that there was no room
// to ask the destination for, or that hardly anybody uses.
func (r *run) plan(s *seriesInventory) []step {
	if r.method() == MethodMove {
		return r.movePlan(s)
	}
	first, again := firstOffer(s), r.whole
	var steps []step
	if !s.listed || r.deliveredOf(s.uid) == 0 {
		steps = append(steps, r.whole(first))
	}
	if s.listed {
		again = r.list
		steps = append(steps, again(first))
	}
	steps = append(steps, r.widened(usual, again(first)))
	if first == offerLossless && (s.listed || s.counted >= 0 || r.deliveredOf(s.uid) == 0) {
		steps = append(steps, again(offerAll))
	}
	steps = append(steps, r.widened(registered, again(offerAll)))
	if s.listed {
		steps = append(steps, r.oneByOne)
	}
	return steps
}

// firstOffer is what a series is asked for with at first by C-GET.
func firstOffer(s *seriesInventory) offer {
	if s.lossy("") {
		return offerAll
	}
	return offerLossless
}

// whole asks for the series.
func (r *run) whole(o offer) step {
	return func(ctx context.Context, s *seriesInventory) error { return r.retrieve(ctx, s, nil, o) }
}

// list asks for what is missing by lists of UIDs.
func (r *run) list(o offer) step {
	return func(ctx context.Context, s *seriesInventory) error {
		for uids := range slices.Chunk(r.missing(s, len(s.instances)), listChunk) {
			if err := r.retrieve(ctx, s, uids, o); err != nil {
				return err
			}
		}
		return nil
	}
}

// oneByOne asks for each missing instance by itself, in any transfer syntax.
func (r *run) oneByOne(ctx context.Context, s *seriesInventory) error {
	return r.singly(ctx, s, offerAll)
}

// singly asks for each missing instance by itself, and takes down which of them the source refuses.
func (r *run) singly(ctx context.Context, s *seriesInventory, o offer) error {
	silent := 0
	for _, uid := range r.missing(s, len(s.instances)) {
		if silent == silentAnswers {
			return nil
		}
		if !r.takes(s.classesOf([]string{uid}), o) {
			continue
		}
		if err := r.retrieve(ctx, s, []string{uid}, o); err != nil {
			return err
		}
		r.settle()
		if len(r.missingOf([]string{uid})) == 0 || r.refused(uid) {
			silent = 0
		} else {
			silent++
		}
	}
	return nil
}

// retrieve runs one C-GET or C-MOVE, of the whole series or of the instances named.
func (r *run) retrieve(ctx context.Context, s *seriesInventory, uids []string, o offer) error {
	received := r.progress.Received.Load()
	if r.method() == MethodMove {
		if err := r.reserveStore(ctx); err != nil {
			return err
		}
		return r.recall(ctx, received, r.retrieveByMove(ctx, r.source, s, uids, o))
	}
	return r.recall(ctx, received, r.retrieveByGet(ctx, r.source, s, uids, o))
}

// retrieveByGet asks by C-GET over associations of from, one after the other.
func (r *run) retrieveByGet(ctx context.Context, from *source, s *seriesInventory, uids []string, o offer) error {
	if uids != nil && len(uids) == 0 {
		return nil
	}
	for i, p := range r.parts(s, uids, o) {
		if i > 0 && !r.lacks(s, p.uids) {
			continue
		}
		if err := r.getPart(ctx, from, s, p, o); err != nil {
			return err
		}
	}
	return nil
}

// getPart runs one C-GET.
func (r *run) getPart(ctx context.Context, from *source, s *seriesInventory, p part, o offer) error {
	if r.halted(from.slot) {
		return ErrParked
	}
	if wanted := r.asked(p.classes, o); !from.covers(wanted) {
		if err := from.open(ctx, r.beside(wanted)); err != nil {
			return fmt.Errorf("the source %s can't be reached: %w", r.src.Name, err)
		}
	}
	stop := make(chan struct{})
	intake := &intake{r: r, series: s, stop: stop, patience: r.sinkPatience()}
	leave := r.oversee(intake, from.slot)
	result, err := from.get(ctx, r.inv, s.uid, p.uids, stop, intake.take)
	leave()
	if err != nil {
		if errors.Is(intake.err, ErrParked) {
			return intake.err // some answer a C-CANCEL by an abort
		}
		return fmt.Errorf("the retrieve from %s failed: %w", r.src.Name, byMethod(err))
	}
	if intake.err != nil {
		return intake.err
	}
	return r.judgeResult(result, s, p.uids, int(intake.received.Load()), "", o)
}

// takes tells whether the destination takes one of the classes in a transfer syntax of the offer.
func (r *run) takes(classes []string, o offer) bool {
	return slices.ContainsFunc(classes, func(c string) bool { return slices.ContainsFunc(r.accepted[c], o.includes) })
}

// judgeResult draws from a final response what it says about single instances. What it claims of success is not believed:
// the ledger counts. destination is the AE title that a C-MOVE named; empty for a C-GET.
func (r *run) judgeResult(result dimse.GetResult, s *seriesInventory, asked []string, received int, destination string, o offer) error {
	meaning := result.Status.Meaning(dimse.CGet)
	switch meaning.Outcome {
	case dimse.BackOff:
		if received == 0 && len(asked) != 1 && !tried(result) {
			if destination != "" {
				return full("DICOM Server %s is out of resources, or can't reach the AE title %s (status %s)", r.src.Name, destination, result.Status)
			}
			return full("DICOM Server %s is out of resources (status %s)", r.src.Name, result.Status)
		}
	case dimse.Configure:
		if destination != "" {
			return &methodError{permanent("The source %s answered the C-MOVE to the AE title %s with status %s: %s.", r.src.Name, destination, result.Status, meaning.Text)}
		}
		return &methodError{permanent("The source %s answered the retrieve with status %s: %s.", r.src.Name, result.Status, meaning.Text)}
	}
	if !slices.Contains(refusing, meaning.Outcome) && result.Failed.Value == 0 {
		return nil
	}
	last := len(asked) == 1 && (destination != "" || o == offerAll) // nothing more can be offered
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uid := range asked {
		if len(asked) == 1 || slices.Contains(result.FailedSOPInstanceUIDs, uid) {
			r.noteRefusal(uid, result.Status, r.refusal(last, s.instances[uid], o, meaning.Outcome))
		}
	}
	return nil
}

// refusing are the outcomes of a retrieve that say that something was not sent.
var refusing = []dimse.Outcome{dimse.BackOff, dimse.Incomplete, dimse.Permanent, dimse.Failed}

// noteRefusal takes down that the source did not send an instance. The destination's reason stands. The lock must be held.
func (r *run) noteRefusal(uid string, status dimse.Status, reason string) {
	if _, done := r.delivered[uid]; done {
		return
	}
	if f, known := r.failed[uid]; known && f.Reason != refusedInList {
		return
	}
	r.failed[uid] = MissingInstance{uid, uint16(status), reason}
}

// refusal tells why the source did not send an instance, as far as that can be known. It is not said to refuse what it was perhaps not
// asked for in the transfer syntax that it holds.
func (r *run) refusal(alone bool, i instance, o offer, outcome dimse.Outcome) string {
	everything := r.method() == MethodMove && o != offerPlain // is taken by our receiver
	fits := func(u string) bool { return r.deliverable(i.class, u) && (r.method() != MethodMove || o.includes(u)) }
	known := everything || slices.ContainsFunc(i.syntaxes, fits) || len(i.syntaxes) == 0 && i.class != "" && !mayHavePixels(i.class)
	switch {
	case !alone:
		return refusedInList
	case !known && (len(i.syntaxes) > 0 || r.plainOnly(i.class)):
		return refusedSyntax
	case outcome == dimse.BackOff:
		return refusedInList
	case !known && i.class == "":
		return refusedUnnamed
	case !known:
		return refusedUnknown
	}
	return refusedForGood
}

// tried tells whether the source got as far as sending, and failed with every instance, or names those that it failed with. DCMTK, and what is built on it, then
// answers "out of resources" (A702) where it holds the images in a transfer syntax that was not negotiated: waiting would be for ever.
func tried(r dimse.GetResult) bool {
	c := r.Counts
	return len(r.FailedSOPInstanceUIDs) > 0 || c.Failed.Value > 0 && c.Completed.Value+c.Warning.Value+c.Remaining.Value == 0
}

const (
	refusedForGood = "the source refuses to send this image, also when asked for it alone"
	refusedInList  = "the source could not send this image"
	refusedSyntax  = "the source doesn't send this image in a transfer syntax that the destination takes"
	refusedUnknown = "the source doesn't send this image in any registered transfer syntax that the destination takes, also when asked for it alone"
	refusedUnnamed = "the source doesn't send this image, also when asked for it alone; it doesn't name the image's SOP class, so only the usual ones of the modality were asked for"
)

// undeliverable tells of a reason whether the source did not send an instance that was asked for alone, and would not another time.
func undeliverable(reason string) bool {
	return reason == refusedForGood || reason == refusedUnknown || reason == refusedUnnamed
}

// bySource tells of a reason whether it is that the source did not send an instance.
func bySource(reason string) bool {
	return reason == refusedInList || reason == refusedSyntax || undeliverable(reason)
}

// refused tells whether the source refused an instance when asked for it alone.
func (r *run) refused(uid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return undeliverable(r.failed[uid].Reason)
}

// wanting tells whether something of a series is still to be had.
func (r *run) wanting(s *seriesInventory) bool {
	switch {
	case s.listed:
		return len(r.missing(s, 1)) > 0
	case s.counted >= 0:
		return r.deliveredOf(s.uid) < s.counted
	}
	return true
}

// missing gives up to limit instances of a listed series that are not delivered and that the destination has not refused for good.
func (r *run) missing(s *seriesInventory, limit int) []string {
	uids := make([]string, 0, min(limit, len(s.instances)))
	r.mu.Lock()
	defer r.mu.Unlock()
	for uid := range s.instances {
		if r.settled(uid) {
			continue
		}
		uids = append(uids, uid)
	}
	slices.Sort(uids)
	return uids[:min(limit, len(uids))]
}

// missingOf gives those of the instances that are not settled.
func (r *run) missingOf(uids []string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(uids), r.settled)
}

// settled tells whether nothing more is to be done about an instance in this run. The lock must be held.
func (r *run) settled(uid string) bool {
	if _, ok := r.delivered[uid]; ok {
		return true
	}
	if _, ok := r.already[uid]; ok {
		return true
	}
	if _, ok := r.leftOut[uid]; ok {
		return true
	}
	f, ok := r.failed[uid]
	if f.Reason == refusedSyntax && r.using > 0 {
		return false // another method may have it decompressed
	}
	return ok && f.Reason != refusedInList && !undeliverable(f.Reason)
}

func (r *run) deliveredOf(series string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for _, d := range r.delivered {
		if d.SeriesUid == series {
			n++
		}
	}
	return n
}

// takeSinkErr gives what went wrong at the destination since the last time.
func (r *run) takeSinkErr() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.sinkErr
	r.sinkErr = nil
	if err != nil {
		return &atDestination{fmt.Errorf("the destination %s failed: %w", r.dst.Name, err)}
	}
	return nil
}

// pause waits, unless the task is stopped before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// errStalled ends a retrieve whose destination has taken nothing for too long.
var errStalled = errors.New("the destination takes nothing any more; the rest is fetched later")
