// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/pacs"
)

// outgoing is an object on its way to the destination.
type outgoing struct {
	class, uid, syntax string // as sent
	series             string
	names              objectNames
	// open gives the outgoing data set. again tells whether it can be called a second time, from the beginning.
	open  func() io.Reader
	again bool

	file      string // that the folder's sink has written, below the folder
	fileBytes int64  // its length
}

// objectNames are the values of an object, as sent, that folder and file names are built from.
type objectNames struct {
	patientID, study, studyDate, studyTime, series, seriesNumber, seriesDescription string
}

// sink takes the objects of one task. put is called by several goroutines, each with a number of its own below workers();
// the other methods by the task alone. An error of put means that the sink itself failed, a status is the destination's
// answer for this object.
type sink interface {
	// prepare opens the way for objects of these SOP classes. It gives the transfer syntaxes in which the destination takes
	// each, out of those proposed; a class that is not there is not taken at all.
	prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error)
	workers() int
	// enter is called by each worker beyond the first before it puts anything, while others may put already. After an error it
	// leaves, and leave is called.
	enter(ctx context.Context, worker int) error
	// leave gives back what a worker beyond the first holds, who puts nothing any more.
	leave(ctx context.Context, worker int) error
	put(ctx context.Context, worker int, o *outgoing) (dimse.Status, error)
	// commit makes what was acknowledged last beyond a crash. It may be called while put runs.
	commit() error
	// close ends every association; it must be called even if prepare failed.
	close(ctx context.Context)
}

// serverSink stores over one association per worker.
type serverSink struct {
	peer  pacs.Peer
	slots []*pacs.Slot // the first is the claim's
	pace  *pace        // of the server
	crept *atomic.Int64

	mu    sync.Mutex      // for all below: between the workers, and with who opens or closes all
	open  []*storing      // by worker; nil: none
	taken map[kind]bool   // what the destination was asked for, and whether it takes that
	kinds []kind          // of them, what it takes: what was sent last comes first, what is liked best next
	sent  map[string]bool // transfer syntaxes of what was sent
}

// kind is what a presentation context is about.
type kind struct{ class, syntax string }

// storing is an association, and what it was opened for.
type storing struct {
	*pacs.Association
	kinds []kind
}

// prepare asks for what was not asked for yet, over as many associations as that takes, one after the other. The last one, for what is
// liked best, stays open.
func (s *serverSink) prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	s.close(ctx)
	s.mu.Lock()
	if s.taken == nil {
		s.taken, s.sent = map[kind]bool{}, map[string]bool{}
	}
	s.open = make([]*storing, len(s.slots))
	unasked := s.unasked(proposed)
	s.mu.Unlock()
	var refused error
	for _, round := range slices.Backward(slices.Collect(slices.Chunk(unasked, maxContexts))) {
		if err := s.openFor(ctx, 0, round); err != nil {
			if _, none := errors.AsType[*dimse.NoContextsError](err); !none {
				return nil, err
			}
			refused = err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds = append(s.kinds, slices.DeleteFunc(unasked, func(k kind) bool { return !s.taken[k] })...)
	accepted := map[string][]string{}
	for class, syntaxes := range proposed {
		for _, syntax := range syntaxes {
			if s.taken[kind{class, syntax}] {
				accepted[class] = append(accepted[class], syntax)
			}
		}
	}
	if len(accepted) == 0 && refused != nil {
		return nil, refused
	}
	return accepted, nil
}

// unasked gives what the destination was not asked for yet: of each class what it is liked best in, then what is next. The lock must be held.
func (s *serverSink) unasked(proposed map[string][]string) []kind {
	var list []kind
	classes := slices.Sorted(maps.Keys(proposed))
	for i, more := 0, true; more; i++ {
		more = false
		for _, class := range classes {
			if i >= len(proposed[class]) {
				continue
			}
			more = true
			k := kind{class, proposed[class][i]}
			if _, asked := s.taken[k]; !asked {
				list = append(list, k)
			}
		}
	}
	return list
}

// openFor opens the association of a worker for what is wanted, and as much of what the destination takes beside it as there is room for.
// It takes down what the destination answers.
func (s *serverSink) openFor(ctx context.Context, worker int, wanted []kind) error {
	s.mu.Lock()
	if len(s.open) == 0 {
		s.mu.Unlock()
		return errSinkClosed
	}
	all, old, list := s.open, s.open[worker], s.withRest(wanted)
	s.open[worker] = nil
	s.mu.Unlock()
	if old != nil {
		_ = old.Release(ctx) // it ends in any case
	}
	a, err := s.dial(ctx, worker, list)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 || &s.open[0] != &all[0] { // meanwhile all were closed, and perhaps opened for something else
		if a != nil {
			_ = a.Release(ctx) // it ends in any case
		}
		return err
	}
	s.open[worker] = a
	return err
}

// withRest adds to what is wanted what the destination takes, as far as there is room: first what comes in transfer syntaxes that others
// come in, as a study has few. The lock must be held.
func (s *serverSink) withRest(wanted []kind) []kind {
	list := slices.Clone(wanted)
	for _, likely := range []bool{true, false} {
		for _, k := range s.kinds {
			if len(list) < maxContexts && s.sent[k.syntax] == likely && !slices.Contains(wanted, k) {
				list = append(list, k)
			}
		}
	}
	return list
}

// dial opens an association over a worker's slot, and takes down what the destination answers.
func (s *serverSink) dial(ctx context.Context, worker int, list []kind) (*storing, error) {
	contexts := make([]dimse.Context, len(list))
	for i, k := range list {
		contexts[i] = dimse.Context{AbstractSyntax: k.class, TransferSyntaxes: []string{k.syntax}}
	}
	a, err := s.slots[worker].Open(ctx, s.peer, contexts)
	_, none := errors.AsType[*dimse.NoContextsError](err)
	if err != nil && !none {
		return nil, err
	}
	yes := map[kind]bool{}
	if a != nil {
		for _, c := range a.Contexts() {
			yes[kind{c.AbstractSyntax, c.TransferSyntax}] = true
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range list {
		if _, asked := s.taken[k]; !asked {
			s.taken[k] = yes[k]
		}
	}
	if err != nil {
		return nil, err
	}
	return &storing{a, list}, nil
}

func (s *serverSink) workers() int { return len(s.slots) }

// furtherPatience bounds the wait for each association beyond the first. A destination that serves one at a time, as DCMTK's
// storescp does, leaves the next one unanswered in its backlog.
const furtherPatience = 3 * time.Second

// errSinkClosed says that all associations to the destination were closed meanwhile.
var errSinkClosed = errors.New("the associations to the destination were closed meanwhile")

// enter opens the association of a worker beyond the first. Later put opens it again when it has to.
func (s *serverSink) enter(ctx context.Context, worker int) error {
	ctx, cancel := context.WithTimeout(ctx, furtherPatience)
	defer cancel()
	return s.openFor(ctx, worker, nil)
}

// ready gives the association of a worker, opened for objects of a kind. One that isn't is opened anew for that kind and those that were
// sent last, so that a study of more kinds than one association has room for needs few. A kind that the destination was not asked for is
// asked for.
func (s *serverSink) ready(ctx context.Context, worker int, k kind) (*storing, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent[k.syntax] = true
	if worker >= len(s.open) || s.open[worker] == nil || !slices.Contains(s.open[worker].kinds, k) {
		if taken, asked := s.taken[k]; asked && !taken {
			return nil, &dimse.NoContextError{SOPClassUID: k.class, TransferSyntaxUID: k.syntax}
		}
		s.mu.Unlock()
		err := s.openFor(ctx, worker, []kind{k})
		s.mu.Lock()
		if err != nil {
			return nil, err
		}
		if worker >= len(s.open) || s.open[worker] == nil {
			return nil, errSinkClosed
		}
	}
	if s.taken[k] && (len(s.kinds) == 0 || s.kinds[0] != k) {
		s.kinds = slices.Insert(slices.DeleteFunc(s.kinds, func(o kind) bool { return o == k }), 0, k)
	}
	return s.open[worker], nil
}

// put stores an object. An association that was lost is opened anew, once: servers drop idle ones without a word; one that says nothing for
// its whole idle timeout is not asked again. One that had ended
// before anything was sent doesn't count.
func (s *serverSink) put(ctx context.Context, worker int, o *outgoing) (dimse.Status, error) {
	rq := dimse.StoreRequest{SOPClassUID: o.class, SOPInstanceUID: o.uid, TransferSyntaxUID: o.syntax}
	stales := 0
	for attempt := 0; ; attempt++ {
		a, err := s.ready(ctx, worker, kind{o.class, o.syntax})
		if err != nil {
			return 0, err
		}
		rsp, err := a.Store(ctx, rq, withPace(ctx, o.open(), s.pace, s.crept))
		var noContext *dimse.NoContextError
		if err == nil && rsp.SOPInstanceUID != "" && rsp.SOPInstanceUID != o.uid && rsp.Status.Class() != dimse.ClassFailure {
			return rsp.Status, errOtherInstance
		}
		if err == nil || errors.As(err, &noContext) {
			return rsp.Status, err
		}
		s.lost(worker)
		var source *ul.SourceError
		var stale *dimse.StaleError
		if errors.As(err, &stale) && ctx.Err() == nil && stales < staleTries {
			stales++
			attempt--
			continue
		}
		if _, silent := errors.AsType[*ul.TimeoutError](err); attempt > 0 || silent || !o.again || errors.As(err, &source) || ctx.Err() != nil {
			return 0, err
		}
	}
}

// errOtherInstance says that the destination took an instance, but named another one in its answer.
var errOtherInstance = errors.New("the destination's answer names another SOP Instance UID")

// lost ends the association of a worker at once.
func (s *serverSink) lost(worker int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if worker < len(s.open) && s.open[worker] != nil {
		s.open[worker].Abort()
		s.open[worker] = nil
	}
}

func (s *serverSink) leave(ctx context.Context, worker int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if worker < len(s.open) && s.open[worker] != nil {
		_ = s.open[worker].Release(ctx) // it ends in any case
		s.open[worker] = nil
	}
	return s.slots[worker].Close(ctx)
}

func (s *serverSink) commit() error { return nil }

// close releases all associations at once, or aborts them if the context has ended: a peer that doesn't answer is waited for once.
func (s *serverSink) close(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all sync.WaitGroup
	for _, a := range s.open {
		if a != nil {
			all.Go(func() { _ = a.Release(ctx) }) // it ends in any case
		}
	}
	all.Wait()
	s.open = nil
}
