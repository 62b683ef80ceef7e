// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
)

// Outgoing is an instance on its way to the destination.
type Outgoing struct {
	Class, UID, Syntax string // as sent
	Series             string
	Names              ObjectNames
	// Open returns the outgoing data set. An error other than io.EOF itself says that it broke off. Again tells whether
	// it can be called again, for all from the beginning; else only as long as nothing was read.
	Open  func() io.Reader
	Again bool
	Size  int64 // bytes of the outgoing data set, if it can be called again

	// Listed is set by Put where the destination did not say what became of it, and lists an instance of its UID, so that
	// it counts as already there.
	Listed bool

	File      string // that the folder's sink has written, below the folder
	FileBytes int64  // its length
}

// ObjectNames are the values of an object, as sent, that folder and file names are built from.
type ObjectNames struct {
	PatientID, Study, StudyDate, StudyTime, StudyDescription, Series, SeriesNumber, SeriesDescription string
}

// Sink takes the instances of one task. Put is called by several goroutines, each with a number of its own below
// Workers; the other methods by the task alone. An error of Put means that the sink itself failed, a status is the
// destination's answer for this instance. Package sinktest holds every sink against what is promised here.
type Sink interface {
	// Gone returns those of the delivered instances that are not there any more, where that can be told without asking
	// anybody.
	Gone(ctx context.Context, delivered []db.DeliveredRow) ([]string, error)
	// Begin comes once, when it is known that the task goes on, and before anything is asked of the source.
	Begin(ctx context.Context) error
	// Expect announces the modalities of the study, before the first Prepare.
	Expect(modalities []string)

	// Slots are those of its associations, by worker, the first being the claim's; none: it needs none.
	Slots() []*door.Slot
	// SetSlots takes the place of those before. Nothing may be open over them.
	SetSlots(slots []*door.Slot)

	// Prepare opens the way for instances of these SOP classes. It returns the transfer syntaxes in which the
	// destination takes each, out of those proposed; a class that is not there is not taken at all.
	Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error)
	// Workers is how many may put at once: as many as there are slots, which the first ones hold each; or a multiple of
	// that, where several instances share what goes over one.
	Workers() int
	// Enter is called by each worker beyond the first before it puts anything, while others may put already. After an
	// error it leaves, and Leave is called.
	Enter(ctx context.Context, worker int) error
	// Leave gives back what a worker beyond the first holds, who puts nothing any more.
	Leave(ctx context.Context, worker int) error
	// Put gives an instance to the destination, byte for byte, and returns its answer: a status; a *Refusal or a
	// *dimse.NoContextError, where this instance is not taken and others may be, the latter with the destination's
	// reason as status if it gave one; ErrOtherInstance, where another UID
	// was acknowledged. After any other error nothing of the instance looks whole, unless the destination may have it
	// all, and others may be put. One that is there already is there once afterwards; another one under its UID takes
	// nothing away. Put ends with its context.
	Put(ctx context.Context, worker int, o *Outgoing) (dimse.Status, error)
	// HangUp ends its associations when nothing is put any more; what was acknowledged may still be made durable.
	HangUp(ctx context.Context)
	// Commit makes what was acknowledged last beyond a crash. It may be called while Put runs.
	Commit() error
	// Close ends all that is open; it must be called even if Prepare failed. Like HangUp it may come at any time, and
	// twice.
	Close(ctx context.Context)
}

// Of returns the sink of a task for its destination, without slots. crept counts the bytes that go on within a server's
// limit in MB/s.
func (svc *Service) Of(n nodes.DICOMNode, h lease.Held, j jobs.Job, t db.Task, crept *atomic.Int64) Sink {
	if n.Folder != nil {
		f := svc.folderOf(n, j)
		f.held, f.guard = h, svc.Door.Guard(h.Member)
		if j.Archive {
			return newArchive(f, int(t.Seq), !jobs.Pseudonymized(t, j.Job))
		}
		return f
	}
	if nodes.StoresByWeb(n.Server) {
		return svc.web(n, &h, crept)
	}
	return &Server{peer: svc.nodes.Peer(n), pace: svc.Paces.Server(n.ID), crept: crept}
}

func (svc *Service) folderOf(n nodes.DICOMNode, j jobs.Job) *Folder {
	return &Folder{svc: svc, name: n.Name, folder: n.Folder, job: j, room: svc.quota(n)}
}

// Alone returns the sink of instances that no task sends, over one slot of a server. Nothing of them is written down.
func (svc *Service) Alone(n nodes.DICOMNode, slot *door.Slot) Sink {
	crept := &atomic.Int64{}
	if nodes.StoresByWeb(n.Server) {
		s := svc.web(n, nil, crept)
		s.slots = []*door.Slot{slot}
		return s
	}
	return &Server{peer: svc.nodes.Peer(n), pace: svc.Paces.Server(n.ID), crept: crept, slots: []*door.Slot{slot}}
}

// Server stores over one association per worker.
type Server struct {
	peer  door.Peer
	slots []*door.Slot // the first is the claim's
	pace  *door.Pace   // of the server
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
	*door.Association
	kinds  []kind
	opened time.Time
	used   bool // it has stored something; for its worker alone
}

// mayHaveIdled reports whether the server may have dropped the association for standing idle, rather than for what was
// sent.
func (s *storing) mayHaveIdled(err error) bool {
	_, silent := errors.AsType[*ul.TimeoutError](err)
	return !silent && (s.used || time.Since(s.opened) > FurtherPatience)
}

// Prepare asks for what was not asked for yet, over as many associations as that takes, one after the other. The last
// one, for what is liked best, stays open.
func (s *Server) Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	s.Close(ctx)
	s.mu.Lock()
	if s.taken == nil {
		s.taken, s.sent = map[kind]bool{}, map[string]bool{}
	}
	s.open = make([]*storing, len(s.slots))
	unasked := s.unasked(proposed)
	s.mu.Unlock()
	var refused error
	for _, round := range slices.Backward(slices.Collect(slices.Chunk(unasked, door.MaxContexts))) {
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

// unasked returns what the destination was not asked for yet: of each class what it is liked best in, then what is
// next. The lock must be held.
func (s *Server) unasked(proposed map[string][]string) []kind {
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

// openFor opens the association of a worker for what is wanted, and as much of what the destination takes beside it as
// there is room for. It takes down what the destination answers.
func (s *Server) openFor(ctx context.Context, worker int, wanted []kind) error {
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

// withRest adds to what is wanted what the destination takes, as far as there is room: first what comes in transfer
// syntaxes that others come in, as a study has few. The lock must be held.
func (s *Server) withRest(wanted []kind) []kind {
	list := slices.Clone(wanted)
	for _, likely := range []bool{true, false} {
		for _, k := range s.kinds {
			if len(list) < door.MaxContexts && s.sent[k.syntax] == likely && !slices.Contains(wanted, k) {
				list = append(list, k)
			}
		}
	}
	return list
}

// dial opens an association over a worker's slot, and takes down what the destination answers.
func (s *Server) dial(ctx context.Context, worker int, list []kind) (*storing, error) {
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
	return &storing{Association: a, kinds: list, opened: time.Now()}, nil
}

// Workers implements Sink.
func (s *Server) Workers() int { return len(s.slots) }

// FurtherPatience bounds the wait for each association beyond the first. A destination that serves one at a time, as
// DCMTK's storescp does, leaves the next one unanswered in its backlog.
const FurtherPatience = 3 * time.Second

// errSinkClosed says that all associations to the destination were closed meanwhile.
var errSinkClosed = errors.New("the associations to the destination have been closed meanwhile")

// Enter opens the association of a worker beyond the first. Later put opens it again when it has to.
func (s *Server) Enter(ctx context.Context, worker int) error {
	ctx, cancel := context.WithTimeout(ctx, FurtherPatience)
	defer cancel()
	return s.openFor(ctx, worker, nil)
}

// ready returns the association of a worker, opened for instances of a kind. One that isn't is opened anew for that
// kind and those that were sent last, so that a study of more kinds than one association has room for needs few. A kind
// that the destination was not asked for is asked for.
func (s *Server) ready(ctx context.Context, worker int, k kind) (*storing, error) {
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

// Put stores an instance. An association that was lost is opened anew, once: servers drop idle ones without a word. A
// server that says nothing for its whole idle timeout, or ends a new one at the first instance, is not asked again. One
// that had ended before anything was sent doesn't count.
func (s *Server) Put(ctx context.Context, worker int, o *Outgoing) (dimse.Status, error) {
	rq := dimse.StoreRequest{SOPClassUID: o.Class, SOPInstanceUID: o.UID, TransferSyntaxUID: o.Syntax}
	stales := 0
	for attempt := 0; ; attempt++ {
		a, err := s.ready(ctx, worker, kind{o.Class, o.Syntax})
		if err != nil {
			return 0, err
		}
		rsp, err := a.Store(ctx, rq, door.WithPace(ctx, o.Open(), s.pace, s.crept))
		var noContext *dimse.NoContextError
		if err == nil && rsp.SOPInstanceUID != "" && rsp.SOPInstanceUID != o.UID &&
			rsp.Status.Class() != dimse.ClassFailure {
			return rsp.Status, ErrOtherInstance
		}
		a.used = a.used || err == nil
		if err == nil || errors.As(err, &noContext) {
			return rsp.Status, err
		}
		s.lost(worker)
		var source *ul.SourceError
		var stale *dimse.StaleError
		if errors.As(err, &stale) && ctx.Err() == nil && stales < door.StaleTries {
			stales++
			attempt--
			continue
		}
		if attempt > 0 || !a.mayHaveIdled(err) || !o.Again || errors.As(err, &source) || ctx.Err() != nil {
			return 0, err
		}
	}
}

// ErrOtherInstance says that the destination took an instance, but named another one in its answer.
var ErrOtherInstance = errors.New("the destination's answer names another SOP Instance UID")

// lost ends the association of a worker at once.
func (s *Server) lost(worker int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if worker < len(s.open) && s.open[worker] != nil {
		s.open[worker].Abort()
		s.open[worker] = nil
	}
}

// Leave implements Sink.
func (s *Server) Leave(ctx context.Context, worker int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if worker < len(s.open) && s.open[worker] != nil {
		_ = s.open[worker].Release(ctx) // it ends in any case
		s.open[worker] = nil
	}
	return s.slots[worker].Close(ctx)
}

// Gone implements Sink: a server has to be asked.
func (s *Server) Gone(context.Context, []db.DeliveredRow) ([]string, error) { return nil, nil }

// Begin implements Sink.
func (s *Server) Begin(context.Context) error { return nil }

// Expect implements Sink.
func (s *Server) Expect([]string) {}

// Slots implements Sink.
func (s *Server) Slots() []*door.Slot { return s.slots }

// SetSlots implements Sink.
func (s *Server) SetSlots(slots []*door.Slot) { s.slots = slots }

// HangUp implements Sink.
func (s *Server) HangUp(ctx context.Context) { s.Close(ctx) }

// Commit implements Sink.
func (s *Server) Commit() error { return nil }

// Close releases all associations at once, or aborts them if the context has ended: a peer that doesn't answer is
// waited for once.
func (s *Server) Close(ctx context.Context) {
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
