// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// Foreseen is what this process has learnt of sources. It is safe for concurrent use.
type Foreseen struct {
	mu    sync.Mutex
	kinds map[Pair][]classSyntaxes
	// sources that did not take queries and retrieves together, and until when they are not offered that again
	alone map[int64]time.Time
	// sources that broke off their last C-GET: true if its association had been used for queries, which may be why
	broke map[int64]bool
}

// Pair is a source and a destination.
type Pair struct{ Source, Destination int64 }

// NewForeseen returns what a process has learnt when it has learnt nothing.
func NewForeseen() *Foreseen {
	return &Foreseen{kinds: map[Pair][]classSyntaxes{}, alone: map[int64]time.Time{}, broke: map[int64]bool{}}
}

// Learn takes down what a C-GET asked for and was answered. Nothing lossy is kept: that is proposed only of what the
// source says that it holds so.
func (f *Foreseen) Learn(of Pair, asked map[string][]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for class, syntaxes := range asked {
		lossless := slices.DeleteFunc(slices.Clone(syntaxes), func(u string) bool { return !OfferLossless.Includes(u) })
		f.kinds[of] = slices.DeleteFunc(f.kinds[of], func(k classSyntaxes) bool { return k.class == class })
		if len(lossless) > 0 {
			f.kinds[of] = slices.Insert(f.kinds[of], 0, classSyntaxes{class, lossless})
		}
	}
	f.kinds[of] = f.kinds[of][:min(len(f.kinds[of]), MaxStorage)]
}

// classSyntaxes are the transfer syntaxes of a SOP class that a source was last asked for.
type classSyntaxes struct {
	class    string
	syntaxes []string
}

// refusalStands is how long a source is spared a proposal that it did not take. It may have been for another reason.
const refusalStands = time.Hour

// Answered takes down that a C-GET was answered.
func (f *Foreseen) Answered(source int64, shared bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broke[source] && !shared {
		f.alone[source] = time.Now().Add(refusalStands)
	}
	delete(f.broke, source)
}

// BrokeOff takes down that a C-GET broke off. shared: its association had been used for queries. Then the next C-GET
// gets one of its own, and if that is broken off as well sharing is not why.
func (f *Foreseen) BrokeOff(source int64, shared bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, before := f.broke[source]; !before || !shared {
		f.broke[source] = shared
	}
}

// Begin opens the association that a task begins with, unless one is open. One whose opening is given up in the moment
// that it succeeds is aborted.
func (s *Server) Begin(ctx context.Context) error {
	if s.A != nil || s.W != nil {
		return nil
	}
	err := s.begin(ctx)
	if err == nil {
		err = fault.Stopped(ctx)
	}
	if err != nil {
		s.Abort()
	}
	return err
}

// begin opens an association for queries, and for the retrieves that will follow. A source that does not take that is
// asked for queries alone.
func (s *Server) begin(ctx context.Context) error {
	if nodes.AsksByWeb(s.Node.Server) {
		if err := s.openWeb(ctx); err != nil {
			return err
		}
		return s.W.Connect(ctx)
	}
	if s.Foresight == nil || !s.Foresight.together(s.Node.ID) {
		return s.Open(ctx, nil)
	}
	var err error
	likely := s.Foresight.likely(s.Pair)
	switch {
	case s.MovesFirst:
		err = s.openMove(ctx)
	case likely == nil:
		return s.Open(ctx, nil)
	default:
		err = s.Open(ctx, likely)
		s.guessed = err == nil
	}
	if err == nil || !mayBeProposal(err) {
		return err
	}
	if err := s.Open(ctx, nil); err != nil {
		return err
	}
	s.Foresight.separate(s.Node.ID)
	return nil
}

// together reports whether a source is offered both over one association.
func (f *Foreseen) together(source int64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.broke[source] && time.Now().After(f.alone[source])
}

// likely returns what a C-GET will probably ask for, as much as one association has room for, what was asked for last
// first; nil if nothing is known.
func (f *Foreseen) likely(of Pair) map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out map[string][]string
	n := 0
	for _, k := range f.kinds[of] {
		if n += len(k.syntaxes); n > MaxStorage {
			break
		}
		if out == nil {
			out = map[string][]string{}
		}
		out[k.class] = slices.Clone(k.syntaxes)
	}
	return out
}

// mayBeProposal reports whether an association may have come to nothing for what it was to be opened for: not if nobody
// answered, if there is no room, or if one of the AE titles is not known.
func mayBeProposal(err error) bool {
	if rejected, ok := errors.AsType[*ul.RejectedError](err); ok {
		titles := rejected.Source == ul.RejectedByUser &&
			(rejected.Reason == ul.ReasonCalledAE || rejected.Reason == ul.ReasonCallingAE)
		return !rejected.Transient() && !titles
	}
	_, none := errors.AsType[*dimse.NoContextsError](err)
	_, aborted := errors.AsType[*ul.AbortedError](err)
	_, lost := errors.AsType[*ul.LostError](err)
	return none || aborted || lost
}

// separate takes down that a source did not take queries and retrieves over one association.
func (f *Foreseen) separate(source int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.alone[source] = time.Now().Add(refusalStands)
}

// Lasts reports whether the open association is of use for the retrieves that follow.
func (s *Server) Lasts() bool {
	return s.A != nil && (s.guessed || s.MovesFirst && s.moves) || s.W != nil && s.WebFirst
}
