// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/pause"
)

// Retrieval gets the instances of a study from its source with all means.
type Retrieval struct {
	*Task
	Negotiation  *Negotiation
	Methods      *Methods
	Associations *Associations
	Moves        *Moves
	Listing      *Listing
	Answers      *Answers
	taker        Taker
	sender       Sender
}

// NewRetrieval returns what gets the study of a task. to has to be called before it gets anything.
func NewRetrieval(t *Task) *Retrieval {
	r := &Retrieval{
		Task: t, Negotiation: &Negotiation{Task: t, breadths: map[string]source.Breadth{}},
		Methods: &Methods{Task: t},
	}
	r.Associations = &Associations{Task: t, methods: r.Methods}
	r.Moves = &Moves{Task: t, methods: r.Methods, associations: r.Associations}
	r.Listing = &Listing{Task: t, associations: r.Associations}
	r.Answers = &Answers{Task: t, negotiation: r.Negotiation, methods: r.Methods, moves: r.Moves}
	return r
}

// To says who takes what comes, and who sends that on.
func (r *Retrieval) To(t Taker, s Sender) { r.taker, r.sender = t, s }

// passes is how often the source's list is asked again at the end, for what has come meanwhile, where there is a reason
// to.
const passes = 2

// Move retrieves every series, and at the end what has come meanwhile.
func (r *Retrieval) Move(ctx context.Context) error {
	if err := r.readNotes(ctx); err != nil {
		return err
	}
	if err := r.moveInParallel(ctx); err != nil {
		return err
	}
	for pass := 0; ; pass++ {
		for _, s := range r.Inv.Series {
			if lease.IsClosed(r.Park) {
				return fault.ErrParked
			}
			if r.wanting(s) {
				r.Associations.CloseParallel(ctx) // the careful way may take long
			}
			if err := r.moveSeries(ctx, s); err != nil {
				return err
			}
		}
		if pass == passes {
			r.Warn("The study is still growing at the source; retry later to fetch what has been added.")
			break
		}
		if r.sender.Settle(); pass == 0 && !r.Listing.doubts() {
			r.Associations.CloseParallel(ctx)
			break
		}
		more, err := r.Listing.newcomers(ctx)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r.RuleOut()
		r.CountExpected()
		if err := r.acceptNewClasses(ctx); err != nil {
			return err
		}
		if err := r.readNotes(ctx); err != nil {
			return err
		}
	}
	r.sender.Settle()
	return r.settleDisputes(ctx)
}

// settleDisputes asks for a series, and then for the study, as a whole once more where the source counts more than
// there is evidence of by name, or sent more than it lists and was not heard to the end: its lists may be cut short,
// and the retrieves that could have shown it were broken off. What comes is taken; what does not is for the verdict.
func (r *Retrieval) settleDisputes(ctx context.Context) error {
	for _, s := range r.Inv.Series {
		if !s.Listed || evidence.Short(s.Counted, r.Instances.Known(s.UID)) == 0 && !r.Instances.Exceeds(s) {
			continue
		}
		s.Again = true
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
	}
	if r.Inv.Whole && (evidence.Short(r.Inv.Counted, r.Instances.Known("")) > 0 ||
		r.Inv.Unnamed > 0 || r.Instances.Summary.Unplaced() > 0) {
		r.Inv.Again = true
		r.expectAny()
		if err := r.acceptNewClasses(ctx); err != nil {
			return err
		}
		all := &source.SeriesInventory{Counted: r.Inv.Counted, Kinds: r.Inv.AllClasses(), Again: true}
		if err := r.moveSeries(ctx, all); err != nil {
			return err
		}
		r.Inv.Ended = all.Ended
	}
	if len(r.Instances.Summary.Strays(r.Inv)) == 0 {
		return nil
	}
	listed := len(r.Inv.Series)
	if err := r.Listing.heedStrays(ctx, r.Inv); err != nil {
		return err
	}
	r.Instances.List(r.Inv)
	r.RuleOut()
	r.CountExpected()
	if err := r.acceptNewClasses(ctx); err != nil {
		return err
	}
	for _, s := range r.Inv.Series[listed:] {
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// moveSeries retrieves a series by one method after the other, until nothing is missing or no more is available.
func (r *Retrieval) moveSeries(ctx context.Context, s *source.SeriesInventory) error {
	var first error // with which a retrieve by a method before broke off
	r.Methods.use(r.Methods.preferred)
	for {
		had := r.Instances.DeliveredOf(s.UID)
		asked := r.retrieveSeries(ctx, s)
		if s.Again && answered(asked) {
			asked = nil // it does not want to be asked so, which is no reason to fail what its lists prove
		}
		next, err := r.fallBack(s, had, asked, first)
		if !next || err != nil {
			return err
		}
		if first == nil && !answered(asked) {
			first = asked
		}
		r.svc.Log.InfoContext(
			ctx, "asking for a series by another method", "task",
			r.Held.TaskID, "series", s.UID, "method", r.Methods.inUse(),
		)
	}
}

const (
	inPlaceTries = 3           // without one new instance, before the attempt is given up
	inPlacePause = time.Second // doubles
	// in a row, of a source that says success and sends nothing: then it isn't asked for single instances any more
	silentAnswers = 5
)

// retrieveSeries asks for a series by one method until nothing is missing or no more is available: first whole, if
// none of it is there yet, then what is missing by lists of UIDs, then with lossy transfer syntaxes, then each instance
// by itself. What is missing afterwards is for the verdict.
func (r *Retrieval) retrieveSeries(ctx context.Context, s *source.SeriesInventory) error {
	plan := r.plan(s)
	tries := 0
	for len(plan) > 0 {
		if !r.wanting(s) && len(r.untaken(s)) == 0 {
			return nil
		}
		before := r.Instances.DeliveredOf(s.UID)
		err := plan[0](ctx, s)
		r.sender.Settle()
		if err == nil || fault.PeerFailed(err) { // some answer a C-CANCEL by an abort
			err = cmp.Or(r.sender.Failure(), err)
		}
		if cause := fault.Stopped(ctx); cause != nil {
			return cause
		}
		if r.Instances.DeliveredOf(s.UID) > before {
			tries = 0
		}
		if err == nil {
			plan = plan[1:]
			continue
		}
		if _, refused := errors.AsType[*methodError](err); fault.PolicyOf(err) != fault.PolicyAgain ||
			fault.IsBarred(err) || refused && r.Methods.using+1 < len(r.Methods.List) {
			return err
		}
		r.Associations.Source.Abort()
		if fault.PeerFailed(err) && r.Instances.DeliveredOf(s.UID) == before {
			return err // what the server says of others tells whether it is asked again at once
		}
		if tries++; tries == inPlaceTries {
			return err
		}
		plan = r.plan(s) // what came meanwhile isn't asked for again
		r.svc.Log.WarnContext(
			ctx, "a retrieve failed; trying again", "task", r.Held.TaskID, "series", s.UID, "err", err,
		)
		if err := pause.For(ctx, inPlacePause<<(tries-1)); err != nil {
			return err
		}
	}
	return nil
}

// answered reports whether an error is an answer of the source's to a retrieve, rather than a retrieve that broke off.
func answered(err error) bool {
	if refused, ok := errors.AsType[*methodError](err); ok {
		return !fault.PeerFailed(refused.err)
	}
	own, ok := errors.AsType[*fault.Fault](err)
	return ok && own.Full
}

// fallBack decides after a series was asked for by one method, whether the next one is tried for what is missing. had
// is how much of it was delivered before; first is the error with which a retrieve by a method before broke off, if one
// did.
func (r *Retrieval) fallBack(s *source.SeriesInventory, had int, err, first error) (next bool, _ error) {
	refused, isRefused := errors.AsType[*methodError](err)
	if err != nil && !isRefused {
		return false, err
	}
	if r.Methods.using+1 == len(r.Methods.List) {
		if isRefused && first != nil { // which may pass
			return false, fault.Again("%w; and %s can't be used instead: %w", first, r.Methods.inUse(), refused)
		}
		// what the methods before had to say stands
		if isRefused && r.Methods.using > 0 && r.Methods.worked(r.Methods.List[:r.Methods.using]) {
			r.Warn(fmt.Sprintf(
				"%s could not be used for what was missing: %s", r.Methods.inUse(), fault.Sentence(refused),
			))
			r.Methods.List = r.Methods.List[:r.Methods.using]
			r.Methods.use(0)
			r.Methods.preferred = 0
			return false, nil
		}
		return false, err
	}
	r.Methods.use(r.Methods.using + 1)
	if !r.lacking(s) {
		r.Methods.use(r.Methods.using - 1)
		return false, nil
	}
	if (isRefused || r.Instances.DeliveredOf(s.UID) == had) && !s.Again { // of no use for the other series either
		r.Methods.preferred = r.Methods.using
	}
	return true, nil
}

// acceptNewClasses negotiates again if newcomers have SOP classes or transfer syntaxes that the destination was not
// asked about.
func (r *Retrieval) acceptNewClasses(ctx context.Context) error {
	if source.Covers(r.Negotiation.proposed, r.Negotiation.proposals()) {
		return nil
	}
	r.sender.Settle()
	return r.Negotiation.PrepareSink(ctx)
}

// RuleOut takes down what the source lists, and that the destination never takes or the source has rejected.
func (r *Retrieval) RuleOut() {
	for _, s := range r.Inv.Series {
		for uid, i := range s.Instances {
			if r.NeverTakes(i.Class) {
				r.Instances.Leave(uid, s.UID, jobs.LeftOutInstance{UID: uid, Reason: ClassNeverTaken}, "")
			}
		}
	}
	r.Instances.Notes.LeaveRejected(r.Inv)
}
