// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
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
	peer     pacs.Peer
	slots    []*pacs.Slot // the first is the claim's
	contexts []dimse.Context

	mu   sync.Mutex          // between a worker that comes or goes, and who opens or closes all
	open []*pacs.Association // by worker
}

func (s *serverSink) prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	s.close(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contexts = nil
	for class, syntaxes := range proposed {
		for _, syntax := range syntaxes {
			if len(s.contexts) < maxContexts {
				s.contexts = append(s.contexts, dimse.Context{AbstractSyntax: class, TransferSyntaxes: []string{syntax}})
			}
		}
	}
	slices.SortStableFunc(s.contexts, func(a, b dimse.Context) int { return compareClass(a, b, proposed) })
	s.open = make([]*pacs.Association, len(s.slots))
	if err := s.reopen(ctx, 0); err != nil {
		return nil, err
	}
	accepted := map[string][]string{}
	for _, c := range s.open[0].Contexts() {
		accepted[c.AbstractSyntax] = append(accepted[c.AbstractSyntax], c.TransferSyntax)
	}
	return accepted, nil
}

// compareClass sorts contexts by class, and keeps the order of syntaxes within one.
func compareClass(a, b dimse.Context, proposed map[string][]string) int {
	if a.AbstractSyntax != b.AbstractSyntax {
		return map[bool]int{true: -1, false: 1}[a.AbstractSyntax < b.AbstractSyntax]
	}
	list := proposed[a.AbstractSyntax]
	return slices.Index(list, a.TransferSyntaxes[0]) - slices.Index(list, b.TransferSyntaxes[0])
}

func (s *serverSink) workers() int { return len(s.slots) }

// furtherPatience bounds the wait for each association beyond the first. A destination that serves one at a time, as DCMTK's
// storescp does, leaves the next one unanswered in its backlog.
const furtherPatience = 3 * time.Second

// enter opens the association of a worker beyond the first. Later put opens it again when it has to.
func (s *serverSink) enter(ctx context.Context, worker int) error {
	ctx, cancel := context.WithTimeout(ctx, furtherPatience)
	defer cancel()
	s.mu.Lock()
	open, contexts := s.open, s.contexts
	s.mu.Unlock()
	a, err := s.slots[worker].Open(ctx, s.peer, contexts)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.open) == 0 || &s.open[0] != &open[0] { // meanwhile all were closed, and perhaps opened with other contexts
		_ = a.Release(ctx) // it ends in any case
		return nil
	}
	s.open[worker] = a
	return nil
}

func (s *serverSink) reopen(ctx context.Context, i int) error {
	a, err := s.slots[i].Open(ctx, s.peer, s.contexts)
	s.open[i] = a
	return err
}

// put stores an object. An association that was lost is opened anew, once: servers drop idle ones without a word. One that had ended
// before anything was sent doesn't count.
func (s *serverSink) put(ctx context.Context, worker int, o *outgoing) (dimse.Status, error) {
	rq := dimse.StoreRequest{SOPClassUID: o.class, SOPInstanceUID: o.uid, TransferSyntaxUID: o.syntax}
	for attempt := 0; ; attempt++ {
		if s.open[worker] == nil {
			if err := s.reopen(ctx, worker); err != nil {
				return 0, err
			}
		}
		rsp, err := s.open[worker].Store(ctx, rq, o.open())
		var noContext *dimse.NoContextError
		if err == nil && rsp.SOPInstanceUID != "" && rsp.SOPInstanceUID != o.uid && rsp.Status.Class() != dimse.ClassFailure {
			return rsp.Status, errOtherInstance
		}
		if err == nil || errors.As(err, &noContext) {
			return rsp.Status, err
		}
		s.open[worker].Abort()
		s.open[worker] = nil
		var source *ul.SourceError
		var stale *dimse.StaleError
		if errors.As(err, &stale) && ctx.Err() == nil {
			attempt--
			continue
		}
		if attempt > 0 || !o.again || errors.As(err, &source) || ctx.Err() != nil {
			return 0, err
		}
	}
}

// errOtherInstance says that the destination took an instance, but named another one in its answer.
var errOtherInstance = errors.New("the destination's answer names another SOP Instance UID")

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
