// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// transport moves the bytes of a connection. Before it waits for the peer it calls wait, when reading with how many
// bytes it waits for, when writing with what it has written since the last time; and it tells whether it did.
type transport interface {
	// readv fills the pieces, of which the first isn't empty, one after the other with what is there. If that is
	// nothing it waits until there are so many bytes, or fewer.
	readv(v [][]byte, least int, wait func(least int)) (n int, waited bool, err error)
	writev(v *net.Buffers, wait func(n int)) (n int64, waited bool, err error)
	setGuard(guard func() error)
}

// guardError is that of Options.Guard.
type guardError struct{ cause error }

func (e *guardError) Error() string { return e.cause.Error() }
func (e *guardError) Unwrap() error { return e.cause }

// plain is any connection.
type plain struct {
	net.Conn
	guard func() error
}

func (c *plain) setGuard(guard func() error) { c.guard = guard }

func (c *plain) readv(v [][]byte, _ int, wait func(int)) (int, bool, error) {
	wait(1)
	n, err := c.Read(v[0])
	return n, true, err
}

func (c *plain) writev(v *net.Buffers, wait func(int)) (int64, bool, error) {
	if c.guard != nil {
		if err := c.guard(); err != nil {
			return 0, false, &guardError{err}
		}
	}
	wait(0)
	n, err := v.WriteTo(c.Conn)
	return n, true, err
}

// wire is the connection below an association: it gives each wait for the peer the idle timeout anew, and can be
// interrupted from any goroutine.
type wire struct {
	raw   net.Conn     // the connection
	tcp   *net.TCPConn // raw when it is TCP
	moves transport    // raw's
	nc    net.Conn     // what PDUs go through: guarded, or TLS over it
	idle  time.Duration

	waitRead  func(least int) // made once
	waitWrite func(n int)

	limit     atomic.Int64  // UnixNano after which nothing may wait any longer; 0: none
	limitOf   time.Duration // the timeout that the limit stands for
	lastWrite atomic.Int64  // UnixNano of the last progress in writing
	held      atomic.Int32  // > 0: an idle read goes on waiting

	mu          sync.Mutex  // holds interrupted and the deadlines together
	interrupted atomic.Bool // set once; from then on deadlines are interrupt's and farewell's

	one  [1][]byte // of guarded.Read: what escapes is made once
	flat []byte    // TLS only: headers and data gathered, since each Write costs a record
}

// guarded is the raw connection as TLS and the PDU reader see it.
type guarded struct {
	net.Conn
	w *wire
}

func newWire(c net.Conn, idle time.Duration) *wire {
	w := &wire{raw: c, idle: idle, moves: &plain{Conn: c}}
	if tcp, ok := c.(*net.TCPConn); ok {
		w.tcp = tcp
		_ = tcp.SetNoDelay(true) // a matter of speed only
		if s, err := newSocket(tcp); err == nil {
			w.moves = s
		}
	}
	w.waitRead = func(least int) {
		in := w.idle
		if least > 1 {
			in = min(in, lull)
		}
		w.arm(w.raw.SetReadDeadline, in)
	}
	w.waitWrite = func(n int) {
		w.wrote(n)
		w.arm(w.raw.SetWriteDeadline, w.idle)
	}
	w.nc = guarded{c, w}
	return w
}

// startTLS does the handshake. isServer tells the side.
func (w *wire) startTLS(ctx context.Context, cfg *tls.Config, isServer bool) error {
	var c *tls.Conn
	if isServer {
		c = tls.Server(w.nc, cfg)
	} else {
		c = tls.Client(w.nc, cfg)
	}
	if err := c.HandshakeContext(ctx); err != nil {
		return err
	}
	w.nc = c
	return nil
}

// secured tells that the handshake was done.
func (w *wire) secured() bool { _, ok := w.nc.(*tls.Conn); return ok }

// setLimit says until when nothing may wait any longer, and which timeout that is. A zero t lifts it.
func (w *wire) setLimit(timeout time.Duration, t time.Time) {
	w.limitOf = timeout
	if t.IsZero() {
		w.limit.Store(0)
		return
	}
	w.limit.Store(t.UnixNano())
}

// waited is the timeout that has just expired.
func (w *wire) waited() time.Duration {
	if l := w.limit.Load(); l != 0 && time.Now().UnixNano() >= l {
		return w.limitOf
	}
	return w.idle
}

// deadline is now plus so much, or the limit if that comes first.
func (w *wire) deadline(in time.Duration) time.Time {
	d := time.Now().Add(in)
	if l := w.limit.Load(); l != 0 && l < d.UnixNano() {
		return time.Unix(0, l)
	}
	return d
}

var past = time.Unix(1, 0)

// arm gives the coming read or write its deadline, unless the connection was interrupted.
func (w *wire) arm(set func(time.Time) error, in time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.interrupted.Load() {
		_ = set(w.deadline(in)) // fails on a closed connection only, which the read or write that follows reports
	}
}

// interrupt makes pending and later reads and writes fail at once.
func (w *wire) interrupt() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.interrupted.Store(true)
	_ = w.raw.SetDeadline(past)
}

func (w *wire) over() bool {
	l := w.limit.Load()
	return w.interrupted.Load() || l != 0 && time.Now().UnixNano() >= l
}

// mayWait reports whether a read that found nothing for the idle timeout shall go on: something was written since,
// or the association is held.
func (w *wire) mayWait() bool {
	if w.over() {
		return false
	}
	return w.held.Load() > 0 || time.Since(time.Unix(0, w.lastWrite.Load())) < w.idle
}

// A deadline is set only where something waits. One that passed before counts for nothing.

func (g guarded) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	g.w.one[0] = p
	n, _, err := g.w.fetch(g.w.one[:], 1)
	g.w.one[0] = nil
	return n, err
}

// lull is how long a read waits for as much as it would like to have, before it takes what is there.
const lull = 500 * time.Millisecond

// fetch reads from the connection itself. See readv.
func (w *wire) fetch(v [][]byte, least int) (n int, lulled bool, err error) {
	for {
		if w.over() { // bytes that keep coming need no wait
			return 0, lulled, os.ErrDeadlineExceeded
		}
		n, waited, err := w.moves.readv(v, least, w.waitRead)
		if n > 0 || !errors.Is(err, os.ErrDeadlineExceeded) || waited && least == 1 && !w.mayWait() {
			return n, lulled, err
		}
		if waited && least > 1 {
			lulled, least = true, 1
		}
		w.waitRead(least)
	}
}

// readv fills the pieces, of which the first isn't empty, one after the other with what has come, not necessarily all.
// Where that is nothing it waits until there are so many bytes, or fewer if the peer takes long: then it has lulled.
func (w *wire) readv(v [][]byte, least int) (n int, lulled bool, err error) {
	if w.secured() {
		n, err = w.nc.Read(v[0])
		return n, false, err
	}
	return w.fetch(v, least)
}

func (g guarded) Write(p []byte) (int, error) {
	n, err := g.w.writeAll(&net.Buffers{p})
	return int(n), err
}

// writeAll goes on as long as the peer takes something within the idle timeout.
func (w *wire) writeAll(v *net.Buffers) (n int64, err error) {
	for {
		k, waited, err := w.moves.writev(v, w.waitWrite)
		n += k
		w.wrote(int(k))
		if !errors.Is(err, os.ErrDeadlineExceeded) || waited && k == 0 || w.over() {
			return n, err
		}
		w.waitWrite(0)
	}
}

func (w *wire) wrote(n int) {
	if n > 0 {
		w.lastWrite.Store(time.Now().UnixNano())
	}
}

// flatLen is how much is gathered for one TLS write: a few records.
const flatLen = 64 << 10

// writev writes all buffers: with one writev on TCP, gathered on TLS. It consumes v. n is what left.
func (w *wire) writev(v *net.Buffers) (n int64, err error) {
	if w.secured() {
		return w.writeFlat(*v)
	}
	return w.writeAll(v)
}

func (w *wire) writeFlat(v net.Buffers) (n int64, err error) {
	if w.flat == nil {
		w.flat = make([]byte, 0, flatLen)
	}
	flush := func() error {
		k, err := w.nc.Write(w.flat)
		n += int64(k)
		w.flat = w.flat[:0]
		return err
	}
	for _, b := range v {
		for len(b) > 0 {
			k := min(len(b), flatLen-len(w.flat))
			w.flat = append(w.flat, b[:k]...)
			b = b[k:]
			if len(w.flat) == flatLen {
				if err := flush(); err != nil {
					return n, err
				}
			}
		}
	}
	if len(w.flat) == 0 {
		return n, nil
	}
	return n, flush()
}

// farewell writes b if the peer takes it within grace, and waits as long for the peer to close. The
// connection must have been interrupted.
func (w *wire) farewell(b []byte, grace time.Duration) {
	_ = w.raw.SetDeadline(time.Now().Add(grace))
	if len(b) > 0 {
		if _, err := w.nc.Write(b); err != nil {
			return
		}
	}
	var sink [4096]byte
	for {
		if _, err := w.raw.Read(sink[:]); err != nil {
			return
		}
	}
}

// cut closes at once: what the kernel has not sent yet is dropped, so that nothing reaches the peer later.
func (w *wire) cut() {
	if w.tcp != nil {
		_ = w.tcp.SetLinger(0)
	}
	_ = w.raw.Close()
}
