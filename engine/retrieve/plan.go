// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// step is one way of asking for a series.
type step func(ctx context.Context, s *source.SeriesInventory) error

// plan returns the ways of asking that may still help. Lossy transfer syntaxes are proposed from the start if the
// source says that it holds them, and otherwise only for what does not come without them. What is still missing may be
// in a transfer syntax that there was no room to ask the destination for, or that hardly anybody uses.
func (r *Retrieval) plan(s *source.SeriesInventory) []step {
	if s.Again {
		return []step{r.whole(source.OfferAll)}
	}
	if r.Methods.inUse() == nodes.MethodMove {
		return r.movePlan(s)
	}
	first, again := r.firstOffer(s), r.whole
	var steps []step
	if r.asksWhole(s) {
		steps = append(steps, r.whole(first))
	}
	if s.Listed {
		again = r.list
		steps = append(steps, again(first))
	}
	steps = append(steps, r.widened(source.Usual, again(first)))
	if first == source.OfferLossless && (s.Listed || s.Counted >= 0 || r.Instances.DeliveredOf(s.UID) == 0) {
		steps = append(steps, again(source.OfferAll))
	}
	steps = append(steps, r.widened(source.Registered, again(source.OfferAll)))
	if !s.Listed {
		steps = append(steps, r.list(source.OfferAll)) // what is known by name all the same
	}
	return append(steps, r.oneByOne)
}

// movePlan returns the ways of asking for a series by C-MOVE that may still help: as plan, but what the destination
// doesn't take as it is stored is asked for again under the AE title that takes nothing compressed, for which many
// servers decompress.
func (r *Retrieval) movePlan(s *source.SeriesInventory) []step {
	first := r.Negotiation.firstMoveOffer(s)
	var steps []step
	if r.asksWhole(s) {
		steps = append(steps, r.whole(first))
	}
	steps = append(steps, r.list(first), r.renegotiated(first))
	if first != source.OfferPlain {
		steps = append(steps, r.decompressed)
	}
	return append(steps, func(ctx context.Context, s *source.SeriesInventory) error { return r.singly(ctx, s, first) })
}

// asksWhole reports whether a series is asked for as a whole at first: not if some of it is there already, or is not to
// be fetched, unless nothing else tells what lacks.
func (r *Retrieval) asksWhole(s *source.SeriesInventory) bool {
	return !s.Listed || r.unheard(s) || r.Instances.DeliveredOf(s.UID) == 0 && !r.Instances.Notes.Rejects(s)
}

// whole asks for the series.
func (r *Retrieval) whole(o source.Offer) step {
	return func(ctx context.Context, s *source.SeriesInventory) error { return r.retrieve(ctx, s, nil, o) }
}

// list asks for what is missing by lists of UIDs.
func (r *Retrieval) list(o source.Offer) step {
	return func(ctx context.Context, s *source.SeriesInventory) error {
		return r.inChunks(ctx, s, r.Instances.Missing(s, math.MaxInt), o)
	}
}

// renegotiated asks again for what came and the destination did not take, if it is found to take that in another
// transfer syntax: by C-MOVE a source sends what it holds, which is not always what could be foreseen.
func (r *Retrieval) renegotiated(o source.Offer) step {
	return func(ctx context.Context, s *source.SeriesInventory) error {
		r.sender.Settle()
		if source.Covers(r.Negotiation.proposed, r.Instances.Summary.BroughtSyntaxes()) {
			return nil
		}
		if err := r.Negotiation.PrepareSink(ctx); err != nil {
			return err
		}
		for class, syntaxes := range r.Instances.Summary.BroughtSyntaxes() {
			if slices.ContainsFunc(syntaxes, func(u string) bool { return r.Negotiation.deliverable(class, u) }) {
				return r.askAgain(ctx, s, o, false)
			}
		}
		return nil
	}
}

// decompressed asks for what the destination did not take in the transfer syntax that it came in, and for what did not
// come at all: it may come uncompressed.
func (r *Retrieval) decompressed(ctx context.Context, s *source.SeriesInventory) error {
	err := r.askAgain(ctx, s, source.OfferPlain, true)
	if _, unknown := errors.AsType[*methodError](err); unknown && r.Methods.inUse() == nodes.MethodMove {
		// what is missing keeps its own reason
		r.svc.Log.InfoContext(ctx, "nothing is decompressed", "task", r.Held.TaskID, "err", err)
		return nil
	}
	return err
}

// askAgain asks for what the destination did not take in the transfer syntax that it came in, and on demand for what
// did not come at all. What doesn't come now either keeps its reason.
func (r *Retrieval) askAgain(ctx context.Context, s *source.SeriesInventory, o source.Offer, absent bool) error {
	refused := r.untaken(s)
	closeAgain := r.Instances.Reopen(refused)
	uids := slices.Sorted(maps.Keys(refused))
	if absent {
		uids = r.Instances.Missing(s, math.MaxInt)
	}
	if len(refused) == 0 && len(uids) == 0 {
		return nil
	}
	defer func() {
		r.sender.Settle()
		closeAgain()
	}()
	if !s.Listed {
		return r.retrieve(ctx, s, nil, o)
	}
	return r.inChunks(ctx, s, uids, o)
}

// untaken returns what came by C-MOVE of a series in a transfer syntax that the destination does not take.
func (r *Retrieval) untaken(s *source.SeriesInventory) map[string]evidence.Shortfall {
	if r.Methods.inUse() != nodes.MethodMove {
		return nil
	}
	return r.Instances.Summary.Untaken(s)
}

// inChunks asks for instances by lists of UIDs. A source that sends nothing several times in a row is not asked for the
// rest.
func (r *Retrieval) inChunks(ctx context.Context, s *source.SeriesInventory, uids []string, o source.Offer) error {
	silent := 0
	for chunk := range slices.Chunk(uids, source.ListChunk) {
		received := r.Progress.Received.Load()
		if err := r.retrieve(ctx, s, chunk, o); err != nil {
			return err
		}
		if silent++; r.Progress.Received.Load() > received {
			silent = 0
		}
		if silent == silentAnswers {
			return nil
		}
	}
	return nil
}

// widened asks the destination for more transfer syntaxes of what is missing, and then the source, if the destination
// takes any.
func (r *Retrieval) widened(b source.Breadth, again step) step {
	return func(ctx context.Context, s *source.SeriesInventory) error {
		if !r.lacking(s) {
			return nil
		}
		before := r.Negotiation.accepted
		if err := r.widen(ctx, b); err != nil {
			return err
		}
		for _, class := range s.ClassesOf(r.Negotiation.lackingOf(s)) {
			if len(r.Negotiation.accepted[class]) > len(before[class]) {
				return again(ctx, s)
			}
		}
		return nil
	}
}

// widen asks the destination for more transfer syntaxes of all that is missing of the study, so that it is asked once.
func (r *Retrieval) widen(ctx context.Context, b source.Breadth) error {
	for _, s := range r.Inv.Series {
		if !r.lacking(s) {
			continue
		}
		for _, class := range s.ClassesOf(r.Negotiation.lackingOf(s)) {
			r.Negotiation.breadths[class] = max(r.Negotiation.breadths[class], b)
		}
	}
	if source.Covers(r.Negotiation.proposed, r.Negotiation.proposals()) {
		return nil
	}
	r.sender.Settle()
	return r.Negotiation.PrepareSink(ctx)
}

// oneByOne asks for each missing instance by itself, in any transfer syntax.
func (r *Retrieval) oneByOne(ctx context.Context, s *source.SeriesInventory) error {
	return r.singly(ctx, s, source.OfferAll)
}

// singly asks for each missing instance by itself, and takes down which of them the source refuses.
func (r *Retrieval) singly(ctx context.Context, s *source.SeriesInventory, o source.Offer) error {
	silent := 0
	for _, uid := range r.Instances.Missing(s, math.MaxInt) {
		if silent == silentAnswers {
			return nil
		}
		if !r.Negotiation.takes(s.ClassesOf([]string{uid}), o) {
			continue
		}
		if err := r.retrieve(ctx, s, []string{uid}, o); err != nil {
			return err
		}
		r.sender.Settle()
		if len(r.Instances.Unsettled([]string{uid})) == 0 || r.Instances.RefusedForGood(uid) {
			silent = 0
		} else {
			silent++
		}
	}
	return nil
}

// retrieve runs one C-GET or C-MOVE, of the whole series or of the instances named.
func (r *Retrieval) retrieve(ctx context.Context, s *source.SeriesInventory, uids []string, o source.Offer) error {
	received := r.Progress.Received.Load()
	if r.Methods.inUse() == nodes.MethodMove {
		if err := r.Associations.ReserveStore(ctx); err != nil {
			return err
		}
		err := r.retrieveByMove(ctx, r.Associations.Source, s, uids, o)
		s.Broken = s.Broken || err != nil && uids == nil
		return r.recall(ctx, received, err)
	}
	err := r.retrieveByGet(ctx, r.Associations.Source, s, uids, o)
	s.Broken = s.Broken || err != nil && uids == nil
	return r.recall(ctx, received, err)
}
