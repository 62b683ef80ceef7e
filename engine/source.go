// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

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
	"github.com/adit-go/adit/engine/pacs"
)

// maxContexts is how many presentation contexts an association can have (PS3.8 9.3.2.2: odd numbers from 1 to 255).
const maxContexts = 128

// source speaks to the server that a task reads from, over one association at a time.
type source struct {
	node   DICOMNode
	peer   pacs.Peer
	slot   *pacs.Slot
	store  *pacs.Slot    // of the association over which C-MOVEs of a lane bring their objects; nil: none do
	inTime time.Duration // for opening an association; 0: what the server's settings give
	heard  *atomic.Bool  // set when the server has answered something; nil: nobody wants to know
	a      *pacs.Association
	moves  bool // a was opened for C-MOVE

	foresight  *foreseen // of a task's source; nil: its associations are opened for what they are needed for at once
	pair       pair
	movesFirst bool // the first association is for C-MOVE, too
	guessed    bool // a was opened for what was foreseen

	// proposed are the transfer syntaxes of each storage class that a was opened for; none: it is for queries.
	proposed map[string][]string
}

func (s *source) findClass() string { return findRoot(s.node.Server.StudyRootFind) }

func (s *source) getClass() string {
	if s.node.Server.StudyRootGet {
		return dict.StudyRootQueryRetrieveInformationModelGet
	}
	return dict.PatientRootQueryRetrieveInformationModelGet
}

// keyPatient adds the patient's ID to an identifier, which the patient root model needs as a unique key below its level.
func (s *source) keyPatient(id *stream.DataSet, patientID string) {
	if !s.node.Server.StudyRootFind {
		setKey(id, dict.PatientID, patientID)
	}
}

// seriesQuery is the identifier of a query about one series, at SERIES or IMAGE level.
func (s *source) seriesQuery(level string, keys []dict.Tag, patientID, study, series string) *stream.DataSet {
	id := levelQuery(level, keys)
	id.Set(dict.StudyInstanceUID, study)
	id.Set(dict.SeriesInstanceUID, series)
	s.keyPatient(id, patientID)
	return id
}

// find queries, opening an association if there is none.
func (s *source) find(ctx context.Context, id *stream.DataSet) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		if s.a == nil {
			if err := s.begin(ctx); err != nil {
				yield(nil, err)
				return
			}
		}
		for tries := 0; ; {
			stale, last := false, error(nil)
			for ds, err := range s.a.Find(ctx, s.findClass(), id) {
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
func (s *source) hear(err error) {
	_, status := errors.AsType[*dimse.StatusError](err)
	_, unreadable := errors.AsType[*dimse.UnreadableError](err)
	if s.heard != nil && (err == nil || status || unreadable) {
		s.heard.Store(true)
	}
}

// staleTries bounds how often in a row an association is opened anew, without counting, that the peer had ended before anything was sent: one
// that ends each as soon as it is open never comes to anything.
const staleTries = 5

// reopens opens the association anew if an operation met one that the server had dropped while it was idle: nothing was sent, and the
// operation is to be done over. An error of opening takes the place of that one.
func (s *source) reopens(ctx context.Context, tries *int, err *error) bool {
	if _, ok := errors.AsType[*dimse.StaleError](*err); !ok || *tries == staleTries {
		return false
	}
	*tries++
	moves, guessed := s.moves, s.guessed
	s.abort()
	if moves {
		*err = s.openMove(ctx)
	} else {
		*err = s.open(ctx, s.proposed)
	}
	s.guessed = guessed
	return *err == nil
}

// offer says which of the transfer syntaxes that the destination takes are proposed to the source.
type offer int

const (
	offerLossless offer = iota // none that may have been compressed with loss: a source could choose to compress
	offerAll
	offerPlain // nothing compressed
)

func (o offer) includes(syntax string) bool {
	t := dict.TransferSyntaxOf(syntax)
	return o == offerAll || o == offerLossless && !t.Lossy || o == offerPlain && !t.Encapsulated
}

// open opens an association for queries and, if there are classes, for retrieving them in the transfer syntaxes given. Each transfer
// syntax has a context of its own, so that the source can't choose one and convert.
func (s *source) open(ctx context.Context, proposed map[string][]string) error {
	s.release(ctx)
	contexts := []dimse.Context{{AbstractSyntax: s.findClass(), TransferSyntaxes: plainSyntaxes}}
	if len(proposed) > 0 {
		contexts = append(contexts, dimse.Context{AbstractSyntax: s.getClass(), TransferSyntaxes: plainSyntaxes})
	}
	for _, class := range slices.Sorted(maps.Keys(proposed)) {
		for _, syntax := range proposed[class] {
			contexts = append(contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}, SCP: true})
		}
	}
	if s.inTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.inTime)
		defer cancel()
	}
	a, err := s.slot.Open(ctx, s.peer, contexts)
	if err != nil {
		return err
	}
	s.a, s.proposed = a, proposed
	return nil
}

// covers tells whether the open association can retrieve what is wanted.
func (s *source) covers(wanted map[string][]string) bool {
	return s.a != nil && !s.moves && covers(s.proposed, wanted)
}

// get retrieves the instances of a series, or only those named.
func (s *source) get(ctx context.Context, inv *inventory, series string, uids []string, stop <-chan struct{}, take dimse.StoreHandler) (dimse.GetResult, error) {
	id := s.retrieveKeys(inv, series, uids, s.node.Server.StudyRootGet)
	rq := dimse.GetRequest{SOPClassUID: s.getClass(), Identifier: id, Stop: stop, Unnamed: take}
	for tries := 0; ; {
		result, err := s.a.Get(ctx, rq, take)
		if !s.reopens(ctx, &tries, &err) {
			return result, err
		}
	}
}

// release ends the association politely, abort at once. Both may be called when there is none.
func (s *source) release(ctx context.Context) {
	if s.a != nil {
		_ = s.a.Release(ctx) // it ends in any case
		s.a, s.moves, s.guessed = nil, false, false
	}
}

func (s *source) abort() {
	if s.a != nil {
		s.a.Abort()
		s.a, s.moves, s.guessed = nil, false, false
	}
}
