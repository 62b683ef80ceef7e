// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/pacs"
)

// Queries and retrieves of a task can share one association to its source only if that is opened for both. What a retrieve will need is not
// known before the lists are: it is foreseen from what was last retrieved between the same two nodes. A wrong guess costs an association.

// foreseen is what this process has learnt of sources. It is safe for concurrent use.
type foreseen struct {
	mu    sync.Mutex
	kinds map[pair][]classSyntaxes
	alone map[int64]time.Time // sources that did not take queries and retrieves together, and until when they are not offered that again
}

// pair is a source and a destination.
type pair struct{ source, destination int64 }

// classSyntaxes are the transfer syntaxes of a SOP class that a source was last asked for.
type classSyntaxes struct {
	class    string
	syntaxes []string
}

// refusalStands is how long a source is spared a proposal that it did not take. It may have been for another reason.
const refusalStands = time.Hour

func newForeseen() *foreseen {
	return &foreseen{kinds: map[pair][]classSyntaxes{}, alone: map[int64]time.Time{}}
}

// learn takes down what a C-GET asked for and was answered. Nothing lossy is kept: that is proposed only of what the source says that it
// holds so.
func (f *foreseen) learn(of pair, asked map[string][]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for class, syntaxes := range asked {
		lossless := slices.DeleteFunc(slices.Clone(syntaxes), func(u string) bool { return !offerLossless.includes(u) })
		f.kinds[of] = slices.DeleteFunc(f.kinds[of], func(k classSyntaxes) bool { return k.class == class })
		if len(lossless) > 0 {
			f.kinds[of] = slices.Insert(f.kinds[of], 0, classSyntaxes{class, lossless})
		}
	}
	f.kinds[of] = f.kinds[of][:min(len(f.kinds[of]), maxStorage)]
}

// likely returns what a C-GET will probably ask for, as much as one association has room for, what was asked for last first; nil if nothing
// is known.
func (f *foreseen) likely(of pair) map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out map[string][]string
	n := 0
	for _, k := range f.kinds[of] {
		if n += len(k.syntaxes); n > maxStorage {
			break
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[k.class] = slices.Clone(k.syntaxes)
	}
	return out
}

// separate takes down that a source did not take queries and retrieves over one association.
func (f *foreseen) separate(source int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alone[source] = time.Now().Add(refusalStands)
}

// together reports whether a source is offered both over one association.
func (f *foreseen) together(source int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().After(f.alone[source])
}

// newSource gives what speaks to the task's source over a slot.
func (r *run) newSource(slot *pacs.Slot) *source {
	return &source{
		node: r.src, peer: r.e.peer(r.src), slot: slot, heard: &r.heardSource, foresight: r.e.foreseen, pair: pair{r.src.ID, r.dst.ID},
		movesFirst: len(r.methods) > 0 && r.methods[0] == MethodMove,
	}
}

// letGo releases the associations to the source that the retrieves can't use, before what follows, most of which may take long.
func (r *run) letGo(ctx context.Context) {
	for _, from := range append([]*source{r.source}, r.lanes...) {
		if !from.lasts() || r.mustVerify {
			from.release(ctx)
		}
	}
}

// begin opens the association that a task begins with: for queries, and for the retrieves that will follow. A source that does not take that
// is asked for queries alone.
func (s *source) begin(ctx context.Context) error {
	if s.foresight == nil || !s.foresight.together(s.node.ID) {
		return s.open(ctx, nil)
	}
	var err error
	likely := s.foresight.likely(s.pair)
	switch {
	case s.movesFirst:
		err = s.openMove(ctx)
	case likely == nil:
		return s.open(ctx, nil)
	default:
		err = s.open(ctx, likely)
		s.guessed = err == nil
	}
	if err == nil || !mayBeProposal(err) {
		return err
	}
	if err := s.open(ctx, nil); err != nil {
		return err
	}
	s.foresight.separate(s.node.ID)
	return nil
}

// mayBeProposal reports whether an association may have come to nothing for what it was to be opened for: not if nobody answered, if there is no
// room, or if one of the AE titles is not known.
func mayBeProposal(err error) bool {
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		titles := rejected.Source == ul.RejectedByUser && (rejected.Reason == ul.ReasonCalledAE || rejected.Reason == ul.ReasonCallingAE)
		return !rejected.Transient() && !titles
	}
	_, none := errors.AsType[*dimse.NoContextsError](err)
	_, aborted := errors.AsType[*ul.AbortedError](err)
	_, lost := errors.AsType[*ul.LostError](err)
	return none || aborted || lost
}

// lasts reports whether the open association is of use for the retrieves that follow.
func (s *source) lasts() bool { return s.a != nil && (s.guessed || s.movesFirst && s.moves) }

// suits reports whether the open association can retrieve what is wanted. One that was opened on a guess must not have been opened for more of
// a SOP class than the study may come in: a source could choose that.
func (r *run) suits(s *source, wanted map[string][]string) bool {
	if !s.covers(wanted) || !s.guessed {
		return s.covers(wanted)
	}
	all := r.beside(wanted)
	for _, class := range r.inv.allClasses() {
		if proposed := s.proposed[class]; !covers(all, map[string][]string{class: proposed}) {
			return false
		}
	}
	return true
}

// learnKinds takes down what a retrieve by C-GET was opened for, for the tasks that follow.
func (r *run) learnKinds(wanted map[string][]string, o offer) {
	if o == offerLossless {
		r.e.foreseen.learn(pair{r.src.ID, r.dst.ID}, wanted)
	}
}

// doubts reports whether the lists have to be asked for again at the end of a run: the study may still grow, or what the source says of it,
// what came of it, and what was acknowledged are not one and the same. Nothing may be on its way.
func (r *run) doubts() bool {
	inv := r.inv
	if inv.young || inv.unnamed > 0 || len(inv.listedTwice()) > 0 || len(r.instances.strays(inv)) > 0 || r.instances.doubtful() {
		return true
	}
	if inv.whole && inv.counted >= 0 && inv.counted != r.instances.known("") {
		return true
	}
	return slices.ContainsFunc(inv.series, r.doubtsSeries)
}

// doubtsSeries reports whether the evidence of a series does not agree, or rests on its list alone: where the source counts nothing, the
// retrieve of the whole, heard to its end, has to bear it out.
func (r *run) doubtsSeries(s *seriesInventory) bool {
	known := r.instances.known(s.uid)
	switch {
	case s.broken || len(s.unusable)+len(s.twice) > 0 || s.claimed > known || s.listed && len(s.instances) != known:
		return true
	case s.counted >= 0:
		return s.counted != known
	}
	return !s.listed || !s.ended || r.before > 0
}

// doubtful reports whether an instance is not where it belongs, or something about one is odd: then the source is asked again.
func (in *instances) doubtful() bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.unasked) > 0 {
		return true
	}
	for uid := range in.listed {
		if in.facts[uid] == nil {
			return true
		}
	}
	for _, f := range in.facts {
		if f.state == outstanding || f.remarks&(otherPatient|movedSeries|twoSeries) != 0 {
			return true
		}
	}
	return false
}
