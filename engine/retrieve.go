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
// holds them, and else only for what can't be had without them.
func (r *run) plan(s *seriesInventory) []step {
	if r.method() == MethodMove {
		return r.movePlan(s)
	}
	first := firstOffer(s)
	var steps []step
	if !s.listed || r.deliveredOf(s.uid) == 0 {
		steps = append(steps, r.whole(first))
	}
	switch {
	case s.listed && first == offerAll:
		steps = append(steps, r.list(offerAll), r.oneByOne)
	case s.listed:
		steps = append(steps, r.list(offerLossless), r.list(offerAll), r.oneByOne)
	case first == offerLossless && (s.counted >= 0 || r.deliveredOf(s.uid) == 0):
		steps = append(steps, r.whole(offerAll))
	}
	return steps
}

// firstOffer is what a series is asked for with at first by C-GET.
func firstOffer(s *seriesInventory) offer {
	if s.lossy() {
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

// retrieveByGet runs one C-GET over an association of from.
func (r *run) retrieveByGet(ctx context.Context, from *source, s *seriesInventory, uids []string, o offer) error {
	classes := s.classes()
	if uids != nil && len(uids) == 0 || !r.takes(classes, o) {
		return nil
	}
	if r.halted(from.slot) {
		return ErrParked
	}
	if !from.covers(classes, o) {
		all := r.openFor(classes)
		if err := from.open(ctx, all, r.asked(all, o), o); err != nil {
			return fmt.Errorf("the source %s can't be reached: %w", r.src.Name, err)
		}
	}
	stop := make(chan struct{})
	intake := &intake{r: r, series: s, stop: stop, patience: r.sinkPatience()}
	leave := r.oversee(intake, from.slot)
	result, err := from.get(ctx, r.inv, s.uid, uids, stop, intake.take)
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
	return r.judgeResult(result, s, uids, int(intake.received.Load()), "")
}

// takes tells whether the destination takes one of the classes in a transfer syntax of the offer.
func (r *run) takes(classes []string, o offer) bool {
	return slices.ContainsFunc(classes, func(c string) bool { return slices.ContainsFunc(r.accepted[c], o.includes) })
}

// openFor gives the classes to negotiate with the source: all of the study if they fit into one association, else the series' own.
func (r *run) openFor(classes []string) []string {
	all := r.inv.allClasses()
	n := 2
	for _, c := range all {
		n += len(r.accepted[c])
	}
	if n <= maxContexts {
		return all
	}
	return classes
}

// judgeResult draws from a final response what it says about single instances. What it claims of success is not believed:
// the ledger counts. destination is the AE title that a C-MOVE named; empty for a C-GET.
func (r *run) judgeResult(result dimse.GetResult, s *seriesInventory, asked []string, received int, destination string) error {
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
	last := len(asked) == 1 && (destination != "" || r.source.offer == offerAll) // nothing more can be offered
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, uid := range asked {
		if len(asked) == 1 || slices.Contains(result.FailedSOPInstanceUIDs, uid) {
			r.noteRefusal(uid, result.Status, r.refusal(last, s.instances[uid].class, meaning.Outcome))
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

// refusal tells why the source did not send an instance of this class, as far as that can be known.
func (r *run) refusal(alone bool, class string, outcome dimse.Outcome) string {
	switch {
	case alone && r.plainOnly(class):
		return refusedSyntax
	case alone && outcome != dimse.BackOff:
		return refusedForGood
	}
	return refusedInList
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
)

// refused tells whether the source refused an instance when asked for it alone.
func (r *run) refused(uid string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed[uid].Reason == refusedForGood
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
	return ok && f.Reason != refusedInList && f.Reason != refusedForGood
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
