// SPDX-License-Identifier: AGPL-3.0-or-later

package sourcetest

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Line stands between a source and its peer, and passes on what both say until it is cut. A source that is to be tested
// calls Addr.
type Line struct {
	Addr string // host:port

	listen net.Listener
	all    sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed when a connection ends, and made anew
	links   map[net.Conn]bool
}

// NewLine lays a line to host:port, which ends with the test.
func NewLine(t *testing.T, to string) *Line {
	t.Helper()
	listen, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &Line{Addr: listen.Addr().String(), listen: listen, changed: make(chan struct{}), links: map[net.Conn]bool{}}
	ctx, stop := context.WithCancel(context.Background())
	l.all.Go(func() { l.serve(ctx, to) })
	t.Cleanup(func() {
		stop()
		l.Close()
		l.cut()
		l.all.Wait()
	})
	return l
}

func (l *Line) serve(ctx context.Context, to string) {
	for {
		near, err := l.listen.Accept()
		if err != nil {
			return
		}
		far, err := new(net.Dialer).DialContext(ctx, "tcp", to)
		if err != nil {
			_ = near.Close() // nobody is there
			continue
		}
		l.mu.Lock()
		l.links[near] = true
		l.mu.Unlock()
		l.all.Go(func() { l.link(near, far) })
	}
}

// link passes on what both sides say, until the peer closes.
func (l *Line) link(near, far net.Conn) {
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(far, near) // whatever ends it
		if half, ok := far.(interface{ CloseWrite() error }); ok {
			_ = half.CloseWrite() // it may have ended
		}
	})
	_, _ = io.Copy(near, far) // whatever ends it
	_ = near.Close()
	_ = far.Close()
	there.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.links, near)
	close(l.changed)
	l.changed = make(chan struct{})
}

// Close lets nobody in any more: for Subject.Away.
func (l *Line) Close() { _ = l.listen.Close() } // it may be closed

// cut ends all connections, without a word to the source.
func (l *Line) cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for near := range l.links {
		_ = near.Close() // that is the point
	}
}

// Drop ends all connections as a server does that has heard nothing for a while, and waits until they have ended: for
// Subject.Drop.
func (l *Line) Drop() {
	timer := time.AfterFunc(idle, l.cut)
	defer timer.Stop()
	_ = l.Quiet(context.Background()) // it ends
}

// idle is beyond the second after which a source looks whether what is open was dropped.
const idle = 1200 * time.Millisecond

// Quiet waits until the peer has closed all connections: for Subject.Quiet.
func (l *Line) Quiet(ctx context.Context) error {
	for {
		l.mu.Lock()
		n, changed := len(l.links), l.changed
		l.mu.Unlock()
		if n == 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
