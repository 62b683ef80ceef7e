// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"context"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/pause"
)

// Server speaks to a server, over one association or one connection for DICOMweb at a time. It is the Source of a task
// that reads from one; a destination is asked by it what it has (Present), and a server that is checked what it can.
type Server struct {
	Node   nodes.DICOMNode
	Peer   door.Peer
	Slot   *door.Slot
	InTime time.Duration     // for opening an association; 0: what the server's settings give
	Heard  *atomic.Bool      // set when the server has answered something; nil: nobody wants to know
	A      *door.Association // nil: none is open
	W      *door.Web         // nil: it doesn't speak DICOMweb now

	Foresight  *Foreseen // of a task's source; nil: its associations are opened for what they are needed for at once
	Pair       Pair
	MovesFirst bool // the first association is for C-MOVE, too
	WebFirst   bool // what is got is got by WADO-RS at first

	moves   bool // A was opened for C-MOVE
	guessed bool // A was opened for what was foreseen
	// by storage class: the transfer syntaxes that A was opened for; none: it is for queries
	proposed map[string][]string
	wanted   Wanted // of the next Get
}

var (
	_ Source = (*Server)(nil)
	_ Mover  = (*Server)(nil)
)

// FindClass returns the SOP class of its C-FIND.
func (s *Server) FindClass() string { return FindRoot(s.Node.Server.StudyRootFind) }

// GetClass returns the SOP class of its C-GET.
func (s *Server) GetClass() string {
	if s.Node.Server.StudyRootGet {
		return dict.StudyRootQueryRetrieveInformationModelGet
	}
	return dict.PatientRootQueryRetrieveInformationModelGet
}

// KeyPatient adds the patient's ID to an identifier, which the patient root model needs as a unique key below its
// level.
func (s *Server) KeyPatient(id *stream.DataSet, patientID string) {
	if nodes.NeedsPatient(s.Node.Server) {
		SetKey(id, dict.PatientID, patientID)
	}
}

// SeriesQuery is the identifier of a query about one series, at SERIES or IMAGE level.
func (s *Server) SeriesQuery(level string, keys []dict.Tag, patientID, study, series string) *stream.DataSet {
	id := LevelQuery(level, keys)
	id.Set(dict.StudyInstanceUID, study)
	id.Set(dict.SeriesInstanceUID, series)
	s.KeyPatient(id, patientID)
	return id
}

// Find queries by C-FIND, or by QIDO-RS where a server offers that alone, opening what that needs.
func (s *Server) Find(ctx context.Context, id *stream.DataSet) iter.Seq2[*stream.DataSet, error] {
	if nodes.AsksByWeb(s.Node.Server) {
		return s.findWeb(ctx, id, -1)
	}
	return func(yield func(*stream.DataSet, error) bool) {
		if s.A == nil {
			if err := s.begin(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
		for tries := 0; ; {
			stale, last := false, error(nil)
			for ds, err := range s.A.Find(ctx, s.FindClass(), id) {
				if stale = s.reopens(ctx, &tries, &err); stale {
					break
				}
				last = err
				s.hear(err)
				if !yield(ds, err) {
					return
				}
			}
			if !stale {
				s.hear(last) // without a match, too
				return
			}
		}
	}
}

// hear takes down that the server has answered, if only by a status or by what can't be read.
func (s *Server) hear(err error) {
	_, status := errors.AsType[*dimse.StatusError](err)
	_, unreadable := errors.AsType[*dimse.UnreadableError](err)
	_, answer := errors.AsType[*web.StatusError](err)
	if s.Heard != nil && (err == nil || status || unreadable || answer || CutShort(err)) {
		s.Heard.Store(true)
	}
}

// reopens opens the association anew if an operation met one that the server had dropped while it was idle: nothing was
// sent, and the operation is to be done over. An error of opening takes the place of that one.
func (s *Server) reopens(ctx context.Context, tries *int, err *error) bool {
	if _, ok := errors.AsType[*dimse.StaleError](*err); !ok || *tries == door.StaleTries {
		return false
	}
	*tries++
	moves, guessed := s.moves, s.guessed
	s.Abort()
	if moves {
		*err = s.openMove(ctx)
	} else {
		*err = s.Open(ctx, s.proposed)
	}
	s.guessed = guessed
	return *err == nil
}

// Offer says which of the transfer syntaxes that the destination takes are proposed to the source.
type Offer int

// What is proposed to a source.
const (
	OfferLossless Offer = iota // none that may have been compressed with loss: a source could choose to compress
	OfferAll
	OfferPlain // nothing compressed
)

// Includes reports whether a transfer syntax is proposed.
func (o Offer) Includes(syntax string) bool {
	t := dict.TransferSyntaxOf(syntax)
	return o == OfferAll || o == OfferLossless && !t.Lossy || o == OfferPlain && !t.Encapsulated
}

// Open opens an association for queries and, if there are classes, for retrieving them in the transfer syntaxes given.
// Each transfer syntax has a context of its own, so that the source can't choose one and convert.
func (s *Server) Open(ctx context.Context, proposed map[string][]string) error {
	s.Release(ctx)
	contexts := []dimse.Context{{AbstractSyntax: s.FindClass(), TransferSyntaxes: door.PlainSyntaxes}}
	if len(proposed) > 0 {
		contexts = append(contexts, dimse.Context{AbstractSyntax: s.GetClass(), TransferSyntaxes: door.PlainSyntaxes})
	}
	for _, class := range slices.Sorted(maps.Keys(proposed)) {
		for _, syntax := range proposed[class] {
			contexts = append(
				contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}, SCP: true},
			)
		}
	}
	if s.InTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.InTime)
		defer cancel()
	}
	a, err := s.Slot.Open(ctx, s.Peer, contexts)
	if err != nil {
		return err
	}
	s.A, s.proposed = a, proposed
	return nil
}

// Prepare opens an association for what is wanted, and for what of the study fits beside it, unless the one that is
// open suits. A server that has answered over another one a moment ago may not have done with that yet: if it has no
// room, it is asked once more.
func (s *Server) Prepare(ctx context.Context, w Wanted) error {
	s.wanted = w
	if w.ByWeb {
		return s.openWeb(ctx)
	}
	if s.suits(w) {
		return nil
	}
	_, beside := w.study()
	err := s.Open(ctx, beside)
	rejected, ok := errors.AsType[*ul.RejectedError](err)
	if !ok || !rejected.Transient() || s.Heard == nil || !s.Heard.Load() {
		return err
	}
	if err := pause.For(ctx, roomPause); err != nil {
		return err
	}
	return s.Open(ctx, beside)
}

// roomPause is how long a server is given to have done with an association.
const roomPause = time.Second

// suits reports whether the open association can retrieve what is wanted. One that was opened on a guess must not have
// been opened for more of a SOP class than the study may come in: a source could choose that.
func (s *Server) suits(w Wanted) bool {
	if s.A == nil || s.moves || !Covers(s.proposed, w.Syntaxes) {
		return false
	}
	if !s.guessed {
		return true
	}
	classes, beside := w.study()
	return !slices.ContainsFunc(classes, func(class string) bool {
		return !Covers(beside, map[string][]string{class: s.proposed[class]})
	})
}

// Get retrieves what is asked for by C-GET, or by WADO-RS.
func (s *Server) Get(
	ctx context.Context, rq Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error) {
	if s.wanted.ByWeb {
		return s.getWeb(ctx, rq, stop, take)
	}
	shared := s.guessed
	result, err := s.get(ctx, rq, stop, take)
	if s.Foresight == nil {
		return result, err
	}
	if s.wanted.Usual {
		s.Foresight.Learn(s.Pair, s.wanted.Syntaxes)
	}
	switch {
	case err == nil:
		s.Foresight.Answered(s.Node.ID, shared)
	case fault.PeerFailed(err) && fault.Stopped(ctx) == nil && !isClosed(stop): // some answer a C-CANCEL by an abort
		s.Foresight.BrokeOff(s.Node.ID, shared)
	}
	return result, err
}

func (s *Server) get(
	ctx context.Context, rq Request, stop <-chan struct{}, take dimse.StoreHandler,
) (dimse.GetResult, error) {
	id := retrieveKeys(rq, s.Node.Server.StudyRootGet)
	by := dimse.GetRequest{SOPClassUID: s.GetClass(), Identifier: id, Stop: stop, Unnamed: take}
	for tries := 0; ; {
		result, err := s.A.Get(ctx, by, take)
		if !s.reopens(ctx, &tries, &err) {
			return result, err
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Broken reports whether the association that is open has failed.
func (s *Server) Broken() bool { return s.A != nil && s.A.Err() != nil }

// BearSilence lets the associations that are opened from now on be silent for so long at least.
func (s *Server) BearSilence(patience time.Duration) {
	s.Peer.IdleTimeout = max(s.Peer.IdleTimeout, patience)
}

// Release ends the association politely, Abort at once. Both may be called when there is none.
func (s *Server) Release(ctx context.Context) {
	if s.A != nil {
		_ = s.A.Release(ctx) // it ends in any case
		s.A, s.moves, s.guessed = nil, false, false
	}
	s.endWeb()
}

// Abort ends the association at once.
func (s *Server) Abort() {
	if s.A != nil {
		s.A.Abort()
		s.A, s.moves, s.guessed = nil, false, false
	}
	s.endWeb()
}

// endWeb ends what is open for DICOMweb: there is no parting.
func (s *Server) endWeb() {
	if s.W != nil {
		s.W.Abort()
		s.W = nil
	}
}
