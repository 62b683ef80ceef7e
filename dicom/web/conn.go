// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// watch looks after the connection of a client: it asks the guard before each write, and ends the exchange under way
// when the server does nothing for too long. HTTP's own timeouts would bound a whole exchange, or one read.
type watch struct {
	guard func() error
	every time.Duration // how often to look whether a wait has begun
	// how long the server may be waited for while bytes come of which none is content: 1xx, blanks, HTTP/2's own frames
	longest time.Duration

	moved   atomic.Int64 // UnixNano of the last byte in either direction, or of the begin of the wait
	patient atomic.Int64 // how long the wait for the server may last, in ns; 0: nobody waits for it

	mu     sync.Mutex
	since  time.Time     // begin of the wait, or of the content since; zero: nobody waits
	dry    time.Duration // waited before without content
	ahead  net.Conn      // made before it is needed; nil: none is
	conns  map[*conn]struct{}
	denied error // of the guard, during the exchange under way
}

// begin starts an exchange.
func (w *watch) begin() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.denied, w.since, w.dry = nil, time.Time{}, 0
}

// refused is the guard's error if there was one during the exchange.
func (w *watch) refused() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.denied
}

// wait says that from now on somebody waits for the server; hold that nobody does.
func (w *watch) wait(patience time.Duration) {
	now := time.Now()
	w.moved.Store(now.UnixNano())
	w.patient.Store(int64(patience))
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		w.since = now
	}
}

func (w *watch) hold() {
	w.patient.Store(0)
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.since.IsZero() {
		w.dry += time.Since(w.since)
		w.since = time.Time{}
	}
}

// progress says that content has come, or was taken.
func (w *watch) progress() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dry = 0; !w.since.IsZero() {
		w.since = time.Now()
	}
}

// waited is how long the server was waited for without content.
func (w *watch) waited() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.since.IsZero() {
		return w.dry
	}
	return w.dry + time.Since(w.since)
}

// over calls late once the server did nothing, or nothing of use, for as long as was allowed, and tells how long that
// was. stop ends it.
func (w *watch) over(late func(after time.Duration, idle bool)) (stop func()) {
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		timer := time.NewTimer(w.next())
		defer timer.Stop()
		for {
			select {
			case <-done:
				return
			case <-timer.C:
			}
			patience := time.Duration(w.patient.Load())
			switch {
			case patience > 0 && time.Since(time.Unix(0, w.moved.Load())) >= patience:
				late(patience, true)
				return
			case patience > 0 && w.waited() >= max(w.longest, patience):
				late(max(w.longest, patience), false)
				return
			}
			timer.Reset(w.next())
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// next is when to look again.
func (w *watch) next() time.Duration {
	patience := time.Duration(w.patient.Load())
	if patience == 0 {
		return w.every
	}
	left := min(patience-time.Since(time.Unix(0, w.moved.Load())), max(w.longest, patience)-w.waited())
	return min(max(left, time.Millisecond), w.every)
}

// dialer makes connections that are watched.
func (w *watch) dialer(timeout time.Duration) func(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: timeout}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		nc, err := w.dial(ctx, &d, network, addr)
		if err != nil {
			return nil, err
		}
		c := &conn{Conn: nc, w: w, readEnded: make(chan struct{})}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.conns == nil {
			w.conns = map[*conn]struct{}{}
		}
		w.conns[c] = struct{}{}
		return c, nil
	}
}

// cut closes all connections at once.
func (w *watch) cut() {
	w.keep(nil)
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.conns {
		c.drop()
	}
}

// conn is a watched connection.
type conn struct {
	net.Conn
	w         *watch
	readEnd   sync.Once
	readEnded chan struct{} // closed when nothing comes any more
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.w.moved.Store(time.Now().UnixNano())
	}
	if err != nil {
		c.readEnd.Do(func() { close(c.readEnded) })
	}
	return n, err
}

const (
	// piece is how much is written at once: progress shows between pieces, and the guard is asked before each.
	piece = 64 << 10
	// lastWords is how long a server's answer may take that closes its side while we write: 413, or 401.
	lastWords = 5 * time.Second
)

func (c *conn) Write(p []byte) (written int, err error) {
	for {
		if err := c.ask(); err != nil {
			return written, err
		}
		n, err := c.Conn.Write(p[:min(len(p), piece)])
		written += n
		if err != nil {
			// The server may have answered before it stopped to read. Whoever sees this error gives up the connection,
			// so it waits until the answer was read.
			select {
			case <-c.readEnded:
			case <-time.After(lastWords):
			}
			return written, err
		}
		c.w.moved.Store(time.Now().UnixNano())
		if p = p[n:]; len(p) == 0 {
			return written, nil
		}
	}
}

// ask asks the guard. If it says no the connection is cut.
func (c *conn) ask() error {
	if c.w.guard == nil {
		return nil
	}
	err := c.w.guard()
	if err == nil {
		return nil
	}
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if c.w.denied == nil {
		c.w.denied = err
	}
	c.drop()
	return err
}

// drop closes without sending what the kernel still holds.
func (c *conn) drop() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Conn.Close()
}

func (c *conn) Close() error {
	c.readEnd.Do(func() { close(c.readEnded) })
	c.w.mu.Lock()
	delete(c.w.conns, c)
	c.w.mu.Unlock()
	return c.Conn.Close()
}
