// SPDX-License-Identifier: AGPL-3.0-or-later

// Package socket is the channel on which members of a cluster hand each other bytes: an object that one has received to
// the one whose task waits for it, and files that lie on the disk of one. See DESIGN.md.
package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTime = 5 * time.Second
	keepTime = time.Minute // an unused connection; less than the server keeps it

	lastWords = time.Second // for an answer that came before the connection broke
	mostKept  = 8           // of a peer

	lookAfter = 100 * time.Millisecond // without use
	lookTime  = time.Millisecond / 4
)

// Client brings objects to other members and fetches files from them. It is safe for concurrent use.
type Client struct {
	TLS *tls.Config

	dial func(ctx context.Context, address string) (net.Conn, error) // nil: TCP; for tests

	mu     sync.Mutex
	kept   map[string][]kept // by address, the one used last at the end
	closed bool
}

type kept struct {
	*conn
	since time.Time
}

// RefusedError says that a member did not take an object or give a file.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// refusalOf says why a file can't be given.
func refusalOf(err error) Answer {
	return Answer{Missing: errors.Is(err, fs.ErrNotExist), Error: err.Error()}
}

// SourceError says that the data of an object ended before their end, for a reason of whoever sends them.
type SourceError struct{ Err error }

func (e *SourceError) Error() string { return e.Err.Error() }

func (e *SourceError) Unwrap() error { return e.Err }

// Bring brings an object to the member at an address, and returns its answer. Of data it reads no more than is wanted.
// *SourceError: data failed; any other error says that the object may not have been taken. abort is called as soon as
// nobody waits for the object any more, and has to end a read of data that is under way.
func (c *Client) Bring(ctx context.Context, address string, o Object, data io.Reader, abort func()) (Answer, error) {
	cn, err := c.open(ctx, address, func(cn *conn) error { return cn.sendJSON(frameObject, o) })
	if err != nil {
		return Answer{}, err
	}
	answer, whole, err := bring(ctx, cn, data, abort)
	if err == nil && whole {
		c.keep(address, cn)
	} else {
		_ = cn.Close()
	}
	return answer, err
}

// bring sends the data of an object and waits for the answer, which may come before the end. whole: the connection can
// be used again.
func bring(ctx context.Context, cn *conn, data io.Reader, abort func()) (a Answer, whole bool, err error) {
	defer context.AfterFunc(ctx, func() { _ = cn.Close() })()
	var answered atomic.Bool
	heard := make(chan error, 1)
	go func() {
		err := cn.answer(&a)
		answered.Store(true)
		if err == nil && a.Abort {
			abort()
		}
		heard <- err
	}()
	alive := cn.lives()
	source := &source{Reader: data}
	end := byte(frameEnd)
	if copyParts(cn, source, &answered) != nil {
		end = frameBroken
	}
	sent := cn.send(end, nil)
	alive()
	switch {
	case source.err != nil:
		_ = cn.Close() // the peer learns by it, too
	case sent != nil: // what it said before it broke off may be there, and not read yet
		defer time.AfterFunc(lastWords, func() { _ = cn.Close() }).Stop()
	}
	told := <-heard
	switch {
	case told == nil && a.Abort:
		return a, false, nil
	case source.err != nil:
		return Answer{}, false, &SourceError{source.err}
	case told != nil:
		return Answer{}, false, fmt.Errorf("the channel between members broke: %w", errors.Join(told, sent))
	}
	return a, sent == nil, nil
}

// source tells errors of reading from those of writing.
type source struct {
	io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// Open opens a file at the member at an address; fs.ErrNotExist: there is none, *RefusedError: it can't be read there.
func (c *Client) Open(ctx context.Context, address string, f File) (io.ReadCloser, error) {
	cn, err := c.ask(ctx, address, f)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = cn.Close() })
	alive := cn.lives()
	return &file{data: data{c: cn}, end: sync.OnceFunc(func() {
		stop()
		alive()
		_ = cn.Close() // it was only read
	})}, nil
}

// Remove removes a file there.
func (c *Client) Remove(ctx context.Context, address string, f File) error {
	f.Remove = true
	cn, err := c.ask(ctx, address, f)
	if err == nil {
		c.keep(address, cn)
	}
	return err
}

// ask sends a request for a file and reads the answer.
func (c *Client) ask(ctx context.Context, address string, f File) (*conn, error) {
	var a Answer
	cn, err := c.open(ctx, address, func(cn *conn) error {
		defer context.AfterFunc(ctx, func() { _ = cn.Close() })()
		if err := cn.sendJSON(frameFile, f); err != nil {
			return err
		}
		return cn.answer(&a)
	})
	if err != nil {
		return nil, err
	}
	switch {
	case a.Missing:
		err = fmt.Errorf("file %s: %w", f.Name, fs.ErrNotExist)
	case a.Error != "":
		err = &RefusedError{a.Error}
	}
	if err != nil {
		c.keep(address, cn)
		return nil, err
	}
	return cn, nil
}

// file is one that is being read from another member. Its connection is used for nothing else: both sides tell each
// other that they live as long as it is read.
type file struct {
	data
	end func()
}

// Close implements io.Closer.
func (f *file) Close() error {
	f.end()
	return nil
}

// open takes a connection that was kept, or a new one, and begins an exchange on it. One that was kept may have been
// closed by the peer: then the exchange begins again on a new one.
func (c *Client) open(ctx context.Context, address string, begin func(*conn) error) (*conn, error) {
	for {
		cn := c.take(address)
		if cn == nil {
			break
		}
		if err := begin(cn); err == nil {
			return cn, nil
		}
		_ = cn.Close()
	}
	dial, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	secured, err := c.connect(dial, address)
	if err != nil {
		return nil, fmt.Errorf("the member at %s can't be reached: %w", address, err)
	}
	cn := newConn(secured)
	if err := begin(cn); err != nil {
		return nil, errors.Join(fmt.Errorf("the member at %s does not answer: %w", address, err), cn.Close())
	}
	return cn, nil
}

func (c *Client) connect(ctx context.Context, address string) (net.Conn, error) {
	if c.dial == nil {
		return (&tls.Dialer{Config: c.TLS}).DialContext(ctx, "tcp", address)
	}
	raw, err := c.dial(ctx, address)
	if err != nil {
		return nil, err
	}
	secured := tls.Client(raw, c.TLS)
	return secured, secured.HandshakeContext(ctx)
}

// stale reports whether the peer has closed a connection, or said something that nobody asked for. One that was in use
// just now is not looked at: the look takes its time.
func (k kept) stale() bool {
	age := time.Since(k.since)
	if age < lookAfter || age > keepTime || k.in.Buffered() > 0 {
		return age >= lookAfter
	}
	_ = k.SetReadDeadline(time.Now().Add(lookTime))
	_, err := k.in.Peek(1)
	var net net.Error
	return !errors.As(err, &net) || !net.Timeout()
}

func (c *Client) take(address string) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		list := c.kept[address]
		if len(list) == 0 {
			return nil
		}
		last := list[len(list)-1]
		c.kept[address] = list[:len(list)-1]
		if !last.stale() {
			return last.conn
		}
		_ = last.Close()
	}
}

func (c *Client) keep(address string, cn *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || len(c.kept[address]) == mostKept {
		_ = cn.Close()
		return
	}
	if c.kept == nil {
		c.kept = map[string][]kept{}
	}
	c.kept[address] = append(c.kept[address], kept{cn, time.Now()})
}

// Close closes the connections that are kept, and keeps none from now on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, list := range c.kept {
		for _, k := range list {
			_ = k.Close()
		}
	}
	c.kept = nil
}
