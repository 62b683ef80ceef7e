// SPDX-License-Identifier: AGPL-3.0-or-later

package socket

import (
	"bufio"
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// How long a peer may say nothing, and how often it says that it lives.
const (
	aliveEvery = 2 * time.Second
	silence    = 10 * time.Second
)

const readSize = 64 << 10

// conn is a connection on which one exchange runs at a time. Both ends tell each other that they live while one waits
// for something else: a PACS that sends slowly, or a destination that takes slowly.
type conn struct {
	net.Conn
	in *bufio.Reader

	turn  chan struct{} // holds one while somebody writes, who may wait for long
	buf   []byte
	ended error // nothing more is sent: writing failed
}

func newConn(c net.Conn) *conn {
	return &conn{
		Conn: c, in: bufio.NewReaderSize(c, readSize), turn: make(chan struct{}, 1),
		buf: make([]byte, 0, headSize+partSize),
	}
}

// send writes a frame whole. A peer that takes nothing, and doesn't tell that it lives, ends it.
func (c *conn) send(kind byte, payload []byte) error {
	c.turn <- struct{}{}
	defer func() { <-c.turn }()
	if c.ended != nil {
		return c.ended
	}
	c.buf = appendFrame(c.buf[:0], kind, payload)
	return c.flush(c.buf)
}

// flush needs the turn.
func (c *conn) flush(b []byte) error {
	_ = c.SetWriteDeadline(time.Now().Add(silence)) // an error comes with the write
	_, c.ended = c.Conn.Write(b)
	return c.ended
}

func (c *conn) sendJSON(kind byte, v any) error {
	text, err := headerText(v)
	if err != nil {
		return err
	}
	return c.send(kind, text)
}

// answer reads the peer's answer.
func (c *conn) answer(to *Answer) error {
	kind, n, err := c.next()
	if err == nil && kind != frameAnswer {
		err = errFrame
	}
	if err != nil {
		return err
	}
	return readJSON(c.in, n, to)
}

// lives tells the peer that we live, until the end is called, whatever is waited for. No frame is cut in two by it.
func (c *conn) lives() (end func()) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(aliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				select {
				case c.turn <- struct{}{}:
					if c.ended == nil {
						_ = c.flush([]byte{frameAlive, 0, 0, 0, 0}) // who sends next finds it
					}
					<-c.turn
				default: // somebody writes, and is heard by that
				}
			}
		}
	}()
	return func() {
		close(stop)
		<-done
	}
}

// next reads heads of frames up to the first that says more than that the peer lives.
func (c *conn) next() (kind byte, n int, err error) {
	for {
		if kind, n, err = c.head(); err != nil || kind != frameAlive {
			return kind, n, err
		}
	}
}

// head reads the head of one frame.
func (c *conn) head() (kind byte, n int, err error) {
	_ = c.SetReadDeadline(time.Now().Add(silence)) // an error comes with the read
	if kind, n, err = readHead(c.in); err == nil && kind == frameAlive {
		_ = c.SetWriteDeadline(time.Now().Add(silence)) // it lives, though it may take nothing at the moment
	}
	return kind, n, err
}

var (
	// errBroken says that the peer could not go on with what it sent.
	errBroken = errors.New("the data end before their end")
	// errDropped says that nothing more is wanted of what is being sent.
	errDropped = errors.New("the object was answered before everything was sent")
)

// data reads the parts that a peer sends. It ends with io.EOF at the end and with another error before it.
type data struct {
	c       *conn
	left    int // of the current part
	err     error
	aborted atomic.Bool
}

// abort ends reading: at once, or when the peer says next that it lives.
func (d *data) abort() {
	d.aborted.Store(true)
	_ = d.c.SetReadDeadline(time.Now()) // who reads finds it
}

// Read implements io.Reader.
func (d *data) Read(p []byte) (int, error) {
	for d.left == 0 && d.err == nil {
		kind, n, err := d.c.head()
		switch {
		case d.aborted.Load():
			d.err = errDropped
		case err != nil:
			d.err = noEOF(err)
		case kind == frameAlive:
		case kind == frameData:
			d.left = n
		case kind == frameEnd:
			d.err = io.EOF
		case kind == frameBroken:
			d.err = errBroken
		default:
			d.err = errFrame
		}
	}
	if d.err != nil {
		return 0, d.err
	}
	_ = d.c.SetReadDeadline(time.Now().Add(silence))
	n, err := d.c.in.Read(p[:min(len(p), d.left)])
	d.left -= n
	if err != nil {
		d.err = noEOF(err)
		err = d.err
	}
	return n, err
}

// WriteTo implements io.WriterTo.
func (d *data) WriteTo(w io.Writer) (int64, error) {
	b := make([]byte, partSize)
	return io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{d}, b)
}

// inSync reports whether the connection can be used for another exchange.
func (d *data) inSync() bool { return errors.Is(d.err, io.EOF) || errors.Is(d.err, errBroken) }

// noEOF has the end of a connection be no end of data.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// parts sends what is written to it as parts.
type parts struct {
	c       *conn
	dropped *atomic.Bool // no more is to be sent
}

// Write implements io.Writer.
func (p *parts) Write(b []byte) (int, error) {
	sent := 0
	for len(b) > 0 {
		if p.dropped.Load() {
			return sent, errDropped
		}
		part := b[:min(len(b), partSize)]
		if err := p.c.send(frameData, part); err != nil {
			return sent, err
		}
		b, sent = b[len(part):], sent+len(part)
	}
	return sent, nil
}

// copyParts sends what a reader holds, and not its end, until it is dropped.
func copyParts(c *conn, r io.Reader, dropped *atomic.Bool) error {
	_, err := io.CopyBuffer(&parts{c: c, dropped: dropped}, struct{ io.Reader }{r}, make([]byte, partSize))
	return err
}
