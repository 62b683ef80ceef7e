// SPDX-License-Identifier: AGPL-3.0-or-later

package socket

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Object describes an instance that is brought. It is sent before its data, which are those of a C-STORE: the data set
// in its transfer syntax, without file meta information.
type Object struct {
	Token             string  `json:"token"`   // of the Grant, for this instance alone
	Servers           []int64 `json:"servers"` // IDs of those that it may come from
	SOPClassUID       string  `json:"sop_class_uid"`
	SOPInstanceUID    string  `json:"sop_instance_uid"`
	TransferSyntaxUID string  `json:"transfer_syntax_uid"`
	Priority          uint16  `json:"priority"`
	Originator        string  `json:"originator"` // AE title of the Move Originator
	MessageID         uint16  `json:"message_id"` // of the C-MOVE
}

// File names a file on the disk of a member.
type File struct {
	Store  uuid.UUID `json:"store"` // as the member told it at its registration
	Name   string    `json:"name"`
	Remove bool      `json:"remove"` // rather than read it
}

// Answer says what became of an object, or of the request for a file, whose data follow if it is there.
type Answer struct {
	Status  uint16 `json:"status"`  // for the C-STORE response
	Outcome string `json:"outcome"` // as metrics name it
	Abort   bool   `json:"abort"`   // nobody waits any more: the association is to be ended
	Missing bool   `json:"missing"` // there is no such file
	Error   string `json:"error"`   // what else kept a file from being read
}

// Handler takes what other members bring, and gives what they ask for. It is called on several goroutines.
type Handler interface {
	// Take takes an object. It returns when the object is buffered whole, delivered or refused; what it leaves unread
	// is drained. abort tells the peer at once that nobody waits any more.
	Take(ctx context.Context, o Object, data io.Reader, abort func()) Answer
	// Open opens a file for reading; fs.ErrNotExist: there is none.
	Open(ctx context.Context, f File) (io.ReadCloser, error)
	// Remove removes a file. One that is gone already is no error.
	Remove(ctx context.Context, f File) error
}

const (
	handshakeTime = 5 * time.Second
	idleTime      = 90 * time.Second // between two exchanges; a client keeps a connection for less
	mostConns     = 1024             // each receiver may have 400 associations, and brings an object of each
	mostStrangers = 64               // that have not shown a certificate yet
)

// Server serves the channel at a listener.
type Server struct {
	Handler Handler
	TLS     *tls.Config
	Log     *slog.Logger

	conns sync.WaitGroup

	mu        sync.Mutex
	strangers []net.Conn // the oldest first
}

// Serve serves until ctx ends; then all connections are closed. It returns an error if the listener fails.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	defer s.conns.Wait()
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = l.Close() })()
	room := make(chan struct{}, mostConns)
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil // it was closed by us
			}
			var passing net.Error
			if errors.As(err, &passing) && passing.Timeout() {
				continue
			}
			return err
		}
		s.meet(c)
		s.conns.Go(func() {
			s.serve(ctx, c, room)
		})
	}
}

// meet has one who has just called take the place of the one who has said nothing for the longest time.
func (s *Server) meet(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.strangers) == mostStrangers {
		_ = s.strangers[0].Close()
		s.strangers = s.strangers[1:]
	}
	s.strangers = append(s.strangers, c)
}

// known takes one off who is no stranger any more, or has gone.
func (s *Server) known(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.strangers = slices.DeleteFunc(s.strangers, func(other net.Conn) bool { return other == c })
}

func (s *Server) serve(ctx context.Context, raw net.Conn, room chan struct{}) {
	defer func() { _ = raw.Close() }()
	defer func() {
		if p := recover(); p != nil {
			s.Log.ErrorContext(ctx, "the channel between members panicked", "panic", p)
		}
	}()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	secured := tls.Server(raw, s.TLS)
	_ = raw.SetDeadline(time.Now().Add(handshakeTime))
	err := secured.HandshakeContext(ctx)
	s.known(raw)
	if err != nil {
		s.Log.WarnContext(ctx, "a call of the channel between members was refused", "peer", raw.RemoteAddr().String(),
			"err", err)
		return
	}
	select {
	case room <- struct{}{}:
		defer func() { <-room }()
	default:
		s.Log.WarnContext(ctx, "the channel between members has no room", "peer", raw.RemoteAddr().String())
		return
	}
	_ = raw.SetDeadline(time.Time{})
	c := newConn(secured)
	for {
		_ = c.SetReadDeadline(time.Now().Add(idleTime))
		kind, n, err := readHead(c.in)
		if err == nil {
			err = s.exchange(ctx, c, kind, n)
		}
		if err != nil {
			if errors.Is(err, errFrame) {
				s.Log.WarnContext(ctx, "a call of the channel between members was ended", "peer",
					raw.RemoteAddr().String(), "err", err)
			}
			return
		}
	}
}

// exchange serves one object or file.
func (s *Server) exchange(ctx context.Context, c *conn, kind byte, n int) error {
	switch kind {
	case frameAlive:
		return nil
	case frameObject:
		var o Object
		if err := readJSON(c.in, n, &o); err != nil {
			return err
		}
		return s.take(ctx, c, o)
	case frameFile:
		var f File
		if err := readJSON(c.in, n, &f); err != nil {
			return err
		}
		return s.give(ctx, c, f)
	}
	return errFrame
}

func (s *Server) take(ctx context.Context, c *conn, o Object) error {
	defer c.lives()()
	d := &data{c: c}
	var once sync.Once
	answer := func(a Answer) (err error) {
		once.Do(func() { err = c.sendJSON(frameAnswer, a) })
		return err
	}
	a := s.Handler.Take(ctx, o, d, func() {
		_ = answer(Answer{Abort: true})
		d.abort()
	})
	if err := answer(a); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, d); err != nil && !d.inSync() {
		return err
	}
	return nil
}

func (s *Server) give(ctx context.Context, c *conn, f File) error {
	if f.Remove {
		var a Answer
		if err := s.Handler.Remove(ctx, f); err != nil {
			a.Error = err.Error()
		}
		return c.sendJSON(frameAnswer, a)
	}
	file, err := s.Handler.Open(ctx, f)
	if err != nil {
		return c.sendJSON(frameAnswer, refusalOf(err))
	}
	defer func() { _ = file.Close() }() // it was only read
	if err := c.sendJSON(frameAnswer, Answer{}); err != nil {
		return err
	}
	defer c.lives()()
	go func() { // who reads slowly says that it lives; this ends with the connection
		_, _, _ = c.next()
	}()
	end := byte(frameEnd)
	if copyParts(c, file, new(atomic.Bool)) != nil {
		end = frameBroken
	}
	if err := c.send(end, nil); err != nil {
		return err
	}
	return errLast
}

// errLast ends a connection that is used for nothing more.
var errLast = errors.New("the file was the last exchange")
