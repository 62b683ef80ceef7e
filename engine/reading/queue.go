// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// queue is what is to be asked of a server. Workers do one thing after the other, each over a connection for
// interactive use that it keeps for the next one.
type queue struct {
	waiting []*errand
	workers int
	more    chan struct{} // there may be something for a worker that has nothing to do
}

// errand is something to be asked of a server.
type errand struct {
	ctx  context.Context
	node nodes.DICOMNode
	do   func(context.Context, *connection) error
	done chan error // has room for one

	since time.Time
}

// connection is what a worker asks a server over.
type connection struct {
	*source.Server
	slots []*door.Slot // the second one is that of the association over which the server sends by C-MOVE
}

const (
	mostWorkers = 4                      // over all readers of a server
	workerStays = 250 * time.Millisecond // without anything to do: the next series is often asked for at once
	farewell    = time.Second            // for a server to agree to a release

	// busyPatience is how long one waits for a connection that searches, checks, or other members have.
	busyPatience = time.Minute
)

// at has something asked of a server, and waits for it. What nobody has begun yet ends with the context at once.
func (svc *Service) at(
	ctx context.Context, node nodes.DICOMNode, do func(context.Context, *connection) error,
) error {
	e := &errand{ctx: ctx, node: node, do: do, done: make(chan error, 1), since: time.Now()}
	svc.mu.Lock()
	q := svc.queues[node.ID]
	if q == nil {
		q = &queue{more: make(chan struct{}, 1)}
		svc.queues[node.ID] = q
	}
	q.waiting = append(q.waiting, e)
	hire := q.workers == 0
	if hire {
		q.workers++
	}
	svc.mu.Unlock()
	if hire {
		go svc.work(node, q) //nolint:contextcheck,gosec // a worker is no request's
	} else {
		select {
		case q.more <- struct{}{}:
		default:
		}
		svc.hireMore(ctx, node, q)
	}
	select {
	case err := <-e.done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// hireMore lets another worker begin, if there is more to do than the others do: never over the last connection that
// people may have there, which is left to searches.
func (svc *Service) hireMore(ctx context.Context, node nodes.DICOMNode, q *queue) {
	room, err := svc.Q.InteractiveRoom(ctx, node.ID)
	if err != nil || room.Stale {
		return
	}
	svc.mu.Lock()
	defer svc.mu.Unlock()
	each := svc.slotsFor(node)
	if len(q.waiting) == 0 || q.workers == 0 || q.workers >= min(mostWorkers, (int(room.Cap)-1)/each) ||
		int(room.Free) <= each {
		return
	}
	q.workers++
	go svc.work(node, q) //nolint:contextcheck,gosec // as above
}

// work does what waits for a server until nothing does. Over all members, one slot is left to searches, where the cap
// has as many.
func (svc *Service) work(node nodes.DICOMNode, q *queue) {
	ctx := context.Background()
	peer := svc.nodes.Peer(node)
	slots, err := svc.Door.InteractiveButOne(ctx, peer, svc.slotsFor(node))
	for isBusy(err) && svc.patient(q) {
		slots, err = svc.Door.InteractiveButOne(ctx, peer, svc.slotsFor(node))
	}
	if err != nil {
		svc.resign(q, err)
		return
	}
	s := &connection{&source.Server{
		Node: node, Peer: peer, Slot: slots[0], Foresight: svc.foreseen, Pair: source.Pair{Source: node.ID},
		WebFirst: nodes.MethodsOf(node.Server)[0] == nodes.MethodWADO,
	}, slots}
	defer func() {
		parting, cancel := context.WithTimeout(ctx, farewell)
		defer cancel()
		s.Release(parting)
		for _, slot := range s.slots {
			if err := slot.Close(ctx); err != nil {
				svc.Log.WarnContext(
					ctx, "a slot can't be given back now; it ends with this process", "server", node.Name, "err", err,
				)
			}
		}
	}()
	for {
		e := svc.nextErrand(q)
		if e == nil {
			return
		}
		err := svc.run(e, s)
		if err != nil {
			s.Abort()
		}
		e.done <- err
	}
}

// patient reports whether somebody still waits who has not waited for long. Who has is told that the server is busy.
func (svc *Service) patient(q *queue) bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	waits := false
	q.waiting = slices.DeleteFunc(q.waiting, func(e *errand) bool {
		if e.ctx.Err() != nil {
			return true // it was told so
		}
		if time.Since(e.since) < busyPatience {
			waits = true
			return false
		}
		e.done <- &door.Busy{Server: e.node.Name}
		return true
	})
	return waits
}

func isBusy(err error) bool {
	_, busy := errors.AsType[*door.Busy](err)
	return busy
}

// pressed reports whether others wait for a server.
func (svc *Service) pressed(server int64) bool {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	q := svc.queues[server]
	return q != nil && slices.ContainsFunc(q.waiting, func(e *errand) bool { return e.ctx.Err() == nil })
}

// methods are those by which a server is read here, in their order.
func (svc *Service) methods(node nodes.DICOMNode) []string {
	methods := nodes.MethodsOf(node.Server)
	if !svc.retrieve.Inbox().Listens() {
		methods = slices.DeleteFunc(methods, func(m string) bool { return m == nodes.MethodMove })
	}
	return methods
}

// slotsFor is how many slots a worker takes: two where it fetches by C-MOVE.
func (svc *Service) slotsFor(node nodes.DICOMNode) int {
	if methods := svc.methods(node); len(methods) > 0 && methods[0] == nodes.MethodMove {
		return 2
	}
	return 1
}

// run does one thing.
func (svc *Service) run(e *errand, s *connection) error {
	if err := e.ctx.Err(); err != nil {
		return context.Cause(e.ctx)
	}
	s.Node, s.Peer = e.node, svc.nodes.Peer(e.node) // settings may have changed since
	if err := s.Begin(e.ctx); err != nil {
		return fmt.Errorf("DICOM Server %s could not be read: %w", e.node.Name, err)
	}
	return e.do(e.ctx, s)
}

// nextErrand returns what is to be done next; nil: the worker is not needed any more.
func (svc *Service) nextErrand(q *queue) *errand {
	timer := time.NewTimer(workerStays)
	defer timer.Stop()
	for over := false; ; {
		svc.mu.Lock()
		if len(q.waiting) > 0 {
			e := q.waiting[0]
			q.waiting = q.waiting[1:]
			svc.mu.Unlock()
			return e
		}
		if over {
			q.workers--
			svc.mu.Unlock()
			return nil
		}
		svc.mu.Unlock()
		select {
		case <-q.more:
		case <-timer.C:
			over = true
		}
	}
}

// resign ends a worker that got no connection. If it was the only one all who wait are told why.
func (svc *Service) resign(q *queue, err error) {
	svc.mu.Lock()
	defer svc.mu.Unlock()
	q.workers--
	if q.workers > 0 && isBusy(err) {
		return
	}
	for _, e := range q.waiting {
		e.done <- err
	}
	q.waiting = nil
}
