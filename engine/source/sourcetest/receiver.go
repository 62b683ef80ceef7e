// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/source"
)

// Receiver takes what a source sends that is moved from, one C-MOVE at a time: it stands in the place of the receiver
// of a node.
type Receiver struct {
	Addr string // host:port
	Port int

	mu    sync.Mutex
	moved *moved // that is under way; nil: none is
	last  uint16 // message ID
}

// moved is a C-MOVE under way.
type moved struct {
	wanted  source.Wanted
	take    dimse.StoreHandler
	one     sync.Mutex // they are taken one after the other
	arrived int        // of those that were taken whole and not answered with a failure
	taking  map[*dimse.ServerAssociation]bool
	changed chan struct{} // closed at each change, and made anew; all under the receiver's lock
}

// NewReceiver starts a receiver on the loopback interface, which ends with the test.
func NewReceiver(t *testing.T) *Receiver {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &Receiver{Addr: l.Addr().String()}
	if addr, ok := l.Addr().(*net.TCPAddr); ok {
		r.Port = addr.Port
	}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s := &dimse.Server{Choose: r.choose, Store: r.store}
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-served)
	})
	return r
}

// From returns what gets from a source by moving to this receiver, which its peer knows under an AE title: for
// Subject.Get.
func (r *Receiver) From(from source.Source, aeTitle string) Getter {
	return func(
		ctx context.Context, w source.Wanted, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
	) (dimse.GetResult, error) {
		mover, ok := from.Mover()
		if !ok {
			return dimse.GetResult{}, errors.New("the source can't be moved from")
		}
		m := &moved{wanted: w, take: take, taking: map[*dimse.ServerAssociation]bool{}, changed: make(chan struct{})}
		r.mu.Lock()
		r.last++
		id := r.last
		r.moved = m
		r.mu.Unlock()
		result, err := mover.Move(ctx, rq, dimse.MoveRequest{Destination: aeTitle, MessageID: id, Stop: stop})
		r.end(ctx, m, result, err)
		return result, err
	}
}

// end waits for what was sent and has not come yet, and lets nothing more in. What is being taken where the C-MOVE
// broke off is aborted.
func (r *Receiver) end(ctx context.Context, m *moved, result dimse.MoveResult, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for err == nil && ctx.Err() == nil && m.arrived < result.Completed.Value+result.Warning.Value {
		r.await(ctx, m)
	}
	r.moved = nil
	if err != nil {
		for a := range m.taking {
			a.Abort()
		}
	}
	for len(m.taking) > 0 {
		r.await(context.WithoutCancel(ctx), m)
	}
}

// await waits for a change. It needs the lock, and gives it up meanwhile.
func (r *Receiver) await(ctx context.Context, m *moved) {
	changed := m.changed
	r.mu.Unlock()
	defer r.mu.Lock()
	select {
	case <-changed:
	case <-ctx.Done():
	}
}

// change tells of one. It needs the lock.
func (m *moved) change() {
	close(m.changed)
	m.changed = make(chan struct{})
}

// choose takes what is wanted of the C-MOVE under way.
func (r *Receiver) choose(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved == nil {
		return "", ul.ContextUserRejection
	}
	for _, syntax := range c.TransferSyntaxes {
		if slices.Contains(r.moved.wanted.Syntaxes[c.AbstractSyntax], syntax) {
			return syntax, ul.ContextAccepted
		}
	}
	return "", ul.ContextTransferSyntaxesRefused
}

func (r *Receiver) store(ctx context.Context, a *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
	r.mu.Lock()
	m := r.moved
	if m == nil {
		r.mu.Unlock()
		return dimse.StoreResponse{Status: dimse.RefusedNotAuthorized}
	}
	m.taking[a] = true
	r.mu.Unlock()
	m.one.Lock()
	status := m.take(ctx, in)
	m.one.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(m.taking, a)
	if status.Class() != dimse.ClassFailure {
		m.arrived++
	}
	m.change()
	return dimse.StoreResponse{Status: status}
}
