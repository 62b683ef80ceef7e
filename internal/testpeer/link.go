// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

// Link is a stretch of network that a test has in its hands: it takes TCP connections at an address of its own, and
// passes them on. It can be silent, refuse, delay, and be healed. Its methods may be called from any goroutine.
type Link struct {
	Addr string // host:port where it listens
	Port int

	dial     func(from net.Conn) (net.Conn, error)
	ctx      context.Context
	stop     context.CancelFunc
	all      sync.WaitGroup
	listener net.Listener // nil while it refuses

	mu     sync.Mutex
	state  linkState
	delay  time.Duration
	speaks chan struct{} // closed when it is no longer silent
	limit  int64         // bytes that pass before it is silent; -1: any number
	open   map[net.Conn]bool

	silenced chan struct{} // closed when the limit was reached
}

type linkState int

const (
	linkOpen linkState = iota
	linkSilent
	linkRefusing
)

// NewLink starts a link whose connections dial makes, for each one that comes. Close ends it.
func NewLink(dial func(from net.Conn) (net.Conn, error)) (*Link, error) {
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	l := &Link{Port: port, Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), dial: dial, open: map[net.Conn]bool{}}
	l.ctx, l.stop = context.WithCancel(context.Background())
	l.speaks, l.limit = make(chan struct{}), -1
	close(l.speaks)
	return l, l.listen()
}

// LinkTo starts a link to an address of a network.
func LinkTo(network, addr string) (*Link, error) {
	return NewLink(func(net.Conn) (net.Conn, error) { return net.Dial(network, addr) })
}

func (l *Link) listen() error {
	listener, err := net.Listen("tcp", l.Addr)
	if err != nil {
		return err
	}
	l.listener = listener
	l.all.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			l.all.Go(func() { l.relay(c) })
		}
	})
	return nil
}

// Close ends the link and its connections.
func (l *Link) Close() error {
	l.stop()
	err := l.set(linkRefusing)
	l.all.Wait()
	return err
}

// Delay has each byte arrive so much later, in each direction.
func (l *Link) Delay(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.delay = d
}

// Silence lets nothing pass, as a network that is cut: no connection ends, and those that come are taken. What was sent
// meanwhile arrives when the link is healed.
func (l *Link) Silence() error { return l.set(linkSilent) }

// SilenceAfter silences the link when so many more bytes have passed. It returns a channel that is closed then.
func (l *Link) SilenceAfter(bytes int64) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limit, l.silenced = bytes, make(chan struct{})
	return l.silenced
}

// Refuse resets all connections, and lets nobody connect.
func (l *Link) Refuse() error { return l.set(linkRefusing) }

// Heal lets everything pass.
func (l *Link) Heal() error { return l.set(linkOpen) }

// Connections is how many connections are open.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.open)
}

func (l *Link) set(state linkState) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.state
	l.state = state
	switch {
	case state == before:
		return nil
	case state == linkSilent:
		l.speaks = make(chan struct{})
	case before == linkSilent:
		close(l.speaks)
	}
	if state != linkRefusing {
		if l.listener == nil {
			return l.listen()
		}
		return nil
	}
	err := l.listener.Close()
	l.listener = nil
	for c := range l.open {
		reset(c)
	}
	return err
}

func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it may be closed
	}
	_ = c.Close()
}

// now tells what to wait for before anything passes, and how late it is to arrive.
func (l *Link) now() (speaks chan struct{}, delay time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.speaks, l.delay
}

// await waits while the link is silent.
func (l *Link) await() error {
	for {
		speaks, _ := l.now()
		select {
		case <-speaks:
			if again, _ := l.now(); again == speaks {
				return nil
			}
		case <-l.ctx.Done():
			return net.ErrClosed
		}
	}
}

// keep keeps a connection as long as it may be open; forget closes it.
func (l *Link) keep(c net.Conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state == linkRefusing {
		reset(c)
		return net.ErrClosed
	}
	l.open[c] = true
	return nil
}

func (l *Link) forget(c net.Conn) {
	l.mu.Lock()
	delete(l.open, c)
	l.mu.Unlock()
	_ = c.Close()
}

func (l *Link) relay(c net.Conn) {
	if l.keep(c) != nil {
		return
	}
	defer l.forget(c)
	if l.await() != nil {
		return
	}
	peer, err := l.dial(c)
	if err != nil {
		reset(c)
		return
	}
	if l.keep(peer) != nil {
		return
	}
	defer l.forget(peer)
	var there sync.WaitGroup
	there.Go(func() { l.pass(peer, c) })
	l.pass(c, peer)
	there.Wait()
}

// chunk is what came at once, and when it is due.
type chunk struct {
	bytes []byte
	due   time.Time
	err   error
}

// pass hands on what comes until one side ends, and ends the other in the same way.
func (l *Link) pass(to, from net.Conn) {
	chunks := make(chan chunk, 256)
	ended := make(chan struct{})
	var reader sync.WaitGroup
	reader.Go(func() {
		defer close(chunks)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			_, delay := l.now()
			select {
			case chunks <- chunk{b[:n], time.Now().Add(delay), err}:
			case <-ended:
				return
			}
			if err != nil {
				return
			}
		}
	})
	defer reader.Wait()
	defer close(ended)
	for c := range chunks {
		err := l.write(to, c)
		if err == nil {
			err = c.err
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			if half, ok := to.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
				return
			}
			fallthrough
		default:
			reset(from)
			reset(to)
			return
		}
	}
}

func (l *Link) write(to net.Conn, c chunk) error {
	if wait := time.Until(c.due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-l.ctx.Done():
			return net.ErrClosed
		}
	}
	if err := l.await(); err != nil {
		return err
	}
	_, err := to.Write(c.bytes)
	l.count(int64(len(c.bytes)))
	return err
}

// count silences the link when the limit is reached.
func (l *Link) count(n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.limit < 0 {
		return
	}
	if l.limit -= n; l.limit > 0 {
		return
	}
	l.limit = -1
	close(l.silenced)
	if l.state == linkOpen {
		l.state, l.speaks = linkSilent, make(chan struct{})
	}
}
