// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/source"
)

// moving is a C-MOVE for a series that somebody reads. What it brings comes one after the other, whatever the server
// does: the series is one file.
type moving struct {
	f       *fetching
	mu      sync.Mutex
	came    int
	changed chan struct{} // has room for one
}

// byMove has the series sent by C-MOVE, and what is missing then, as long as something comes. The server opens an
// association of its own for that, which takes a slot, too.
func (f *fetching) byMove(ctx context.Context) (whole bool, err error) {
	if len(f.from.slots) == 1 {
		back, err := f.svc.Door.Interactive(ctx, f.from.Peer)
		if err != nil {
			return false, err
		}
		f.from.slots = append(f.from.slots, back)
	}
	expected := evidence.NewInstances(f.inv.Study, []string{f.series.UID})
	expected.List(f.inv)
	m := &moving{f: f, changed: make(chan struct{}, 1)}
	arrivals := retrieve.NewInbound(ctx, f.from.Peer, expected, nil, func(a *receive.Arrival) dimse.Status {
		return m.take(ctx, a)
	})
	inbox := f.svc.retrieve.Inbox()
	inbox.Open(arrivals)
	defer inbox.Close(arrivals)
	for {
		before := f.e.arrived()
		if whole, err = m.move(ctx, arrivals); whole || err != nil || f.e.arrived() == before || len(f.missing()) == 0 {
			return whole, err
		}
	}
}

// move makes one C-MOVE for what is left.
func (m *moving) move(ctx context.Context, arrivals *retrieve.Inbound) (whole bool, err error) {
	f := m.f
	id, end, err := f.svc.retrieve.BeginLook(ctx, f.from.Node, f.inv.Study)
	if err != nil {
		return false, err
	}
	defer end()
	inbox := f.svc.retrieve.Inbox()
	inbox.Expect(arrivals, id)
	defer inbox.Ended(id)
	result, err := f.from.Move(ctx, source.Request{Of: f.inv, Series: f.series.UID, UIDs: f.left()}, dimse.MoveRequest{
		Destination: cmp.Or(f.from.Node.Server.MoveDestination, f.svc.Config.AETitle), MessageID: id, Stop: f.stop,
		Alive: m.lives(),
	})
	if err != nil {
		return false, err
	}
	if meaning := result.Status.Meaning(dimse.CMove); meaning.Outcome == dimse.Configure {
		return false, fault.Permanent("it doesn't know the AE title of ADIT's receiver as a Move Destination (status %s)",
			result.Status)
	}
	m.awaitLate(ctx)
	return f.complete(result), nil
}

// left are the instances to ask for; nil: the whole series.
func (f *fetching) left() []string {
	if f.e.arrived() == 0 {
		return nil
	}
	uids := f.missing()
	return uids[:min(len(uids), source.ListChunk)]
}

func (m *moving) take(ctx context.Context, a *receive.Arrival) dimse.Status {
	m.mu.Lock()
	defer m.mu.Unlock()
	status := m.f.take(ctx, a.Incoming)
	m.came++
	select {
	case m.changed <- struct{}{}:
	default:
	}
	return status
}

// lives returns what tells whether anything has arrived since it was asked last.
func (m *moving) lives() func() bool {
	seen := 0
	return func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		alive := m.came != seen
		seen = m.came
		return alive
	}
}

// awaitLate waits for instances that come later than the final response, as long as some are missing and more come.
func (m *moving) awaitLate(ctx context.Context) {
	patience := time.Duration(m.f.from.Node.Server.MovePatienceS) * time.Second
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		m.mu.Lock()
		whole := m.f.proven()
		m.mu.Unlock()
		if whole {
			return
		}
		select {
		case <-m.changed:
			timer.Reset(patience)
		case <-timer.C:
			return
		case <-m.f.stop:
			return
		case <-ctx.Done():
			return
		}
	}
}
