// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
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
	var first error // with which a retrieve by a method before broke off
	r.use(r.preferred)
	for {
		had := r.instances.deliveredOf(s.uid)
		asked := r.retrieveSeries(ctx, s)
		if s.again && answered(asked) {
			asked = nil // it does not want to be asked so, which is no reason to fail what its lists prove
		}
		next, err := r.fallBack(s, had, asked, first)
		if !next || err != nil {
			return err
		}
		if first == nil && !answered(asked) {
			first = asked
		}
		r.e.log.InfoContext(ctx, "a series is asked for by another method", "task", r.held.TaskID, "series", s.uid, "method", r.method())
	}
}

// answered reports whether an error is an answer of the source's to a retrieve, rather than a retrieve that broke off.
func answered(err error) bool {
	if refused, ok := errors.AsType[*methodError](err); ok {
		return !PeerFailed(refused.err)
	}
	own, ok := errors.AsType[*fault](err)
	return ok && own.full
}

// use chooses the retrieve method.
func (r *run) use(method int) {
	r.using = method
	r.instances.fallBack(method > 0)
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
		before := r.instances.deliveredOf(s.uid)
		err := plan[0](ctx, s)
		r.settle()
		if err == nil {
			err = r.takeSinkErr()
		}
		if cause := stopped(ctx); cause != nil {
			return cause
		}
		if r.instances.deliveredOf(s.uid) > before {
			tries = 0
		}
		if err == nil {
			plan = plan[1:]
			continue
		}
		if _, refused := errors.AsType[*methodError](err); policyOf(err) != policyAgain || isBarred(err) || refused && r.using+1 < len(r.methods) {
			return err
		}
		r.source.abort()
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
	if s.again {
		return []step{r.whole(offerAll)}
	}
	if r.method() == MethodMove {
		return r.movePlan(s)
	}
	first, again := firstOffer(s), r.whole
	var steps []step
	if r.asksWhole(s) {
		steps = append(steps, r.whole(first))
	}
	if s.listed {
		again = r.list
		steps = append(steps, again(first))
	}
	steps = append(steps, r.widened(usual, again(first)))
	if first == offerLossless && (s.listed || s.counted >= 0 || r.instances.deliveredOf(s.uid) == 0) {
		steps = append(steps, again(offerAll))
	}
	steps = append(steps, r.widened(registered, again(offerAll)))
	if !s.listed {
		steps = append(steps, r.list(offerAll)) // what is known by name all the same
	}
	return append(steps, r.oneByOne)
}

// asksWhole reports whether a series is asked for as a whole at first: not if some of it is there already, or is not to be fetched.
func (r *run) asksWhole(s *seriesInventory) bool {
	return !s.listed || r.instances.deliveredOf(s.uid) == 0 && !r.instances.rejects(s)
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
		return r.inChunks(ctx, s, r.instances.missing(s, math.MaxInt), o)
	}
}

// inChunks asks for instances by lists of UIDs. A source that sends nothing several times in a row is not asked for the rest.
func (r *run) inChunks(ctx context.Context, s *seriesInventory, uids []string, o offer) error {
	silent := 0
	for chunk := range slices.Chunk(uids, listChunk) {
		received := r.progress.Received.Load()
		if err := r.retrieve(ctx, s, chunk, o); err != nil {
			return err
		}
		if silent++; r.progress.Received.Load() > received {
			silent = 0
		}
		if silent == silentAnswers {
			return nil
		}
	}
	return nil
}

// oneByOne asks for each missing instance by itself, in any transfer syntax.
func (r *run) oneByOne(ctx context.Context, s *seriesInventory) error {
	return r.singly(ctx, s, offerAll)
}

// singly asks for each missing instance by itself, and takes down which of them the source refuses.
func (r *run) singly(ctx context.Context, s *seriesInventory, o offer) error {
	silent := 0
	for _, uid := range r.instances.missing(s, math.MaxInt) {
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
		if len(r.instances.unsettled([]string{uid})) == 0 || r.instances.refusedForGood(uid) {
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
		err := r.retrieveByMove(ctx, r.source, s, uids, o)
		s.broken = s.broken || err != nil && uids == nil
		return r.recall(ctx, received, err)
	}
	err := r.retrieveByGet(ctx, r.source, s, uids, o)
	s.broken = s.broken || err != nil && uids == nil
	return r.recall(ctx, received, err)
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
	wanted := r.asked(p.classes, o)
	if !r.suits(from, wanted) {
		if err := from.open(ctx, r.beside(wanted)); err != nil {
			return fmt.Errorf("the source %s can't be reached: %w", r.src.Name, r.byMethod(err))
		}
	}
	stop := make(chan struct{})
	intake := &intake{r: r, asked: s.uid, stop: stop, patience: r.sinkPatience()}
	leave := r.oversee(intake, from.slot)
	result, err := from.get(ctx, r.inv, s.uid, p.uids, stop, intake.take)
	leave()
	if err != nil {
		if errors.Is(intake.err, ErrParked) {
			return intake.err // some answer a C-CANCEL by an abort
		}
		if intake.received.Load() > 0 {
			r.worksBy(MethodGet)
		}
		return fmt.Errorf("the retrieve from %s failed: %w", r.src.Name, r.byMethod(err))
	}
	r.worksBy(MethodGet)
	r.learnKinds(wanted, o)
	if intake.err != nil {
		return intake.err
	}
	return r.judgeResult(result, s, p.uids, intake, "", o)
}

// takes tells whether the destination takes one of the classes in a transfer syntax of the offer.
func (r *run) takes(classes []string, o offer) bool {
	return slices.ContainsFunc(classes, func(c string) bool { return slices.ContainsFunc(r.accepted[c], o.includes) || r.reads(c) })
}

// judgeResult draws from a final response what it says about single instances. What it claims of success is not believed:
// the ledger counts. destination is the AE title that a C-MOVE named; empty for a C-GET.
func (r *run) judgeResult(result dimse.GetResult, s *seriesInventory, asked []string, in *intake, destination string, o offer) error {
	meaning := result.Status.Meaning(dimse.CGet)
	switch meaning.Outcome {
	case dimse.BackOff:
		if in.received.Load() == 0 && len(asked) != 1 && !tried(result) {
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
	if r.instances.onlyReads(s.uid) {
		return nil // nothing of it is missing
	}
	s.ended = s.ended || asked == nil && in.barred == "" && slices.Contains([]dimse.Outcome{dimse.Done, dimse.DoneNoted, dimse.Incomplete}, meaning.Outcome)
	if asked == nil {
		s.claimed = max(s.claimed, result.Completed.Value+result.Warning.Value)
	}
	refused := slices.Contains(refusing, meaning.Outcome) || result.Failed.Value > 0
	if asked == nil && refused {
		r.heedFailures(s, in, result.Failed.Value-int(in.refused.Load()))
	}
	if in.barred != "" {
		r.heedBarred(s, asked, in, result.Status)
		return nil
	}
	if refused {
		r.heedRefused(result, s, asked, destination, o)
	}
	return nil
}

// heedRefused takes down which instances a source says that it did not send, and why.
func (r *run) heedRefused(result dimse.GetResult, s *seriesInventory, asked []string, destination string, o offer) {
	alone := len(asked) == 1
	uids := asked
	if !alone {
		uids = r.failedOf(s, asked, result, result.Status.Meaning(dimse.CGet).Outcome)
	}
	for _, uid := range uids {
		last := alone && (destination != "" || o == offerAll) // nothing more can be offered
		c, reason := r.refusal(last, s.instances[uid], o, result, destination)
		r.instances.refuse(uid, c, result.Status, reason)
	}
}

// heedFailures takes a final response for evidence that says that more failed than what is known by name and did not come: as much as a count.
func (r *run) heedFailures(s *seriesInventory, in *intake, failed int) {
	known := r.instances.known(s.uid)
	in.mu.Lock()
	failed -= known - r.instances.knownOf(s.uid, in.came)
	in.mu.Unlock()
	if failed <= 0 {
		return
	}
	if s.uid == "" {
		r.inv.counted = max(r.inv.counted, known+failed)
	}
	s.counted = max(s.counted, known+failed)
}

// failedOf returns the instances that a request for several failed with: those that the answer names, whether or not they are listed. An
// answer that the source could do nothing at all holds for all that was asked for.
func (r *run) failedOf(s *seriesInventory, asked []string, result dimse.GetResult, outcome dimse.Outcome) []string {
	named := slices.DeleteFunc(slices.Clone(result.FailedSOPInstanceUIDs), func(uid string) bool {
		return !validUID(uid) || asked != nil && !slices.Contains(asked, uid) || r.instances.isUnasked(uid)
	})
	if len(named) > 0 || tried(result) || outcome != dimse.Failed {
		for _, uid := range named {
			if _, listed := r.instances.seriesOf(uid); !listed && s.uid != "" {
				r.instances.came(uid, s.uid, "")
			}
		}
		return named
	}
	return r.instances.missing(s, math.MaxInt)
}

// refusing are the outcomes of a retrieve that say that something was not sent.
var refusing = []dimse.Outcome{dimse.BackOff, dimse.Incomplete, dimse.Permanent, dimse.Failed}

// refusal tells why the source did not send an instance, as far as that can be known. last reports that it was asked for alone, and with all
// that can be offered. Only a source that tried to send it refuses it for good; and by C-MOVE only one that was seen to reach the receiver,
// since it answers alike when it can't. It is not said to refuse what it was perhaps not asked for in the transfer syntax that it holds.
func (r *run) refusal(last bool, i instance, o offer, result dimse.GetResult, destination string) (cause, string) {
	meaning, known := result.Status.Meaning(dimse.CGet), r.askedAsHeld(i, o, destination != "")
	mayPass := fmt.Sprintf("the source answered the retrieve with status %s: %s", result.Status, meaning.Text)
	switch {
	case !tried(result) && meaning.Outcome == dimse.Failed && destination == "":
		return causeMayPass, mayPass
	case last && !known && (len(i.syntaxes) > 0 || r.plainOnly(i.class)):
		return causeSyntax, refusedSyntax
	case destination != "" && !r.reached.Load():
		return causeMayPass, fmt.Sprintf("the source could send nothing to the AE title %s (status %s): it may not reach ADIT's receiver; "+
			"check the address and port that it has for this title, the firewalls between, and that it calls by its own AE title", destination, result.Status)
	case !tried(result) && !slices.Contains(noSuchInstance, result.Status):
		return causeMayPass, mayPass
	case !last, meaning.Outcome == dimse.BackOff:
		return causeInList, refusedInList
	}
	return causeRefused, forGood(known, i.class)
}

// forGood says that the source does not send an instance, as far as it was asked for it.
func forGood(known bool, class string) string {
	switch {
	case known:
		return refusedForGood
	case class == "":
		return refusedUnnamed
	}
	return refusedUnknown
}

// askedAsHeld reports whether an instance was surely asked for in a transfer syntax that the source holds it in, or needs none.
func (r *run) askedAsHeld(i instance, o offer, byMove bool) bool {
	if byMove && o != offerPlain {
		return true // our receiver takes everything
	}
	if len(i.syntaxes) == 0 {
		return i.class != "" && !mayHavePixels(i.class)
	}
	return slices.ContainsFunc(i.syntaxes, func(u string) bool { return r.deliverable(i.class, u) && (!byMove || o.includes(u)) })
}

// noSuchInstance are the statuses that say of an instance that it can't be had, whether or not the source tried to send it.
var noSuchInstance = []dimse.Status{dimse.NoSuchSOPInstance, dimse.InvalidSOPInstance}

// tried tells whether the source got as far as sending, and failed with every instance, or names those that it failed with. DCMTK, and what is built on it, then
// answers "out of resources" (A702) where it holds the images in a transfer syntax that was not negotiated: waiting would be for ever. Beside A701,
// which says that it could not even count them, pynetdicom writes down as failed what it has not begun with.
func tried(r dimse.GetResult) bool {
	if r.Status == dimse.OutOfResourcesMatches {
		return false
	}
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

// wanting reports whether something of a series is still to be had.
func (r *run) wanting(s *seriesInventory) bool {
	missing := short(s.counted, r.instances.known(s.uid)) > 0
	switch {
	case s.again:
		return missing || s.uid == "" || r.instances.exceeds(s)
	case len(r.instances.missing(s, 1)) > 0:
		return true
	case s.listed:
		return false
	case s.counted >= 0:
		return missing
	}
	return true
}

// takeSinkErr gives what went wrong at the destination since the last time.
func (r *run) takeSinkErr() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := r.sinkErr
	r.sinkErr = nil
	if r.dst.Server != nil && !r.heardDestination.Load() && unanswered(err) {
		err = full("%w", err)
	}
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
