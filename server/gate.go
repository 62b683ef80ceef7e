// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// gate is a listener that can be closed for a while: nothing listens at its address then, so that a balancer sends
// nobody there.
type gate struct {
	addr net.Addr
	log  *slog.Logger

	mu      sync.Mutex
	open    net.Listener // nil: it rests
	closed  bool
	changed chan struct{} // closed at each change, and made anew
}

func newGate(l net.Listener, log *slog.Logger) *gate {
	return &gate{addr: l.Addr(), log: log, open: l, changed: make(chan struct{})}
}

// reopenEvery is how often an address is tried that somebody else has taken meanwhile.
const reopenEvery = time.Second

// rest closes the address, or opens it again.
func (g *gate) rest(resting bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed || resting == (g.open == nil) {
		return
	}
	if resting {
		_ = g.open.Close() // who accepts finds that it rests
		g.open = nil
		g.change()
		return
	}
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", g.addr.String())
	if err != nil {
		g.log.Error("the receiver can't listen again, trying again", "address", g.addr.String(), "err", err)
		time.AfterFunc(reopenEvery, func() { g.rest(false) })
		return
	}
	g.open = l
	g.change()
}

// change needs the lock.
func (g *gate) change() {
	close(g.changed)
	g.changed = make(chan struct{})
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		g.mu.Lock()
		l, closed, changed := g.open, g.closed, g.changed
		g.mu.Unlock()
		if closed {
			return nil, net.ErrClosed
		}
		if l == nil {
			<-changed
			continue
		}
		c, err := l.Accept()
		if errors.Is(err, net.ErrClosed) { // it rests, or was closed
			g.mu.Lock()
			same := g.open == l && !g.closed
			g.mu.Unlock()
			if !same {
				continue
			}
		}
		return c, err
	}
}

// Close implements net.Listener.
func (g *gate) Close() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return nil
	}
	g.closed = true
	g.change()
	if g.open == nil {
		return nil
	}
	return g.open.Close()
}

// Addr implements net.Listener.
func (g *gate) Addr() net.Addr { return g.addr }
