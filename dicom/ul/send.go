// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
)

const (
	sendBuffer = 256 << 10
	// direct is the size from which a Write of the source goes to the socket without being copied.
	direct = 16 << 10
	// maxVectors bounds the buffers gathered for one write.
	maxVectors = 512
)

// sender cuts one message into PDUs and writes as many of them at once as there are. The command leaves together
// with the first bytes of the data set. One or two bytes are held back until the end is known, because the last
// fragment is marked and should be neither empty nor odd.
type sender struct {
	a        *Association
	context  byte
	max      int // bytes of a fragment, even
	headers  []byte
	vectors  net.Buffers // the fragments to write
	left     net.Buffers // what of them is still unwritten; a field, so that it is not allocated each time
	buf      []byte
	n        int // bytes in buf
	sent     bool
	complete bool  // the last fragment was written
	err      error // of the association
}

var senders = sync.Pool{New: func() any { return &sender{buf: make([]byte, sendBuffer)} }}

var errComplete = errors.New("the data set was already written to its end")

// RestWriter takes a data set: pieces of it by Write, and all that is left, if that is at hand, by WriteRest, so that
// everything leaves at once with its end marked.
type RestWriter = interface {
	io.Writer
	WriteRest(pieces ...[]byte) error
}

// WholeWriter is a data set that writes itself. It is no io.WriterTo, which a reader of several parts calls for each of
// them: only who is the whole data set may mark its end. A wrapper without it loses speed and nothing else.
type WholeWriter interface {
	WriteWhole(w RestWriter) error
}

// SendMessage sends a command set and, unless data is nil, its data set, on a presentation context. A WholeWriter or
// io.WriterTo is used as such. A data set of odd length gets a NULL byte behind it, since every fragment must be even
// (PS3.8 annex E), a deflated data set too (PS3.5 A.5). A failure of data is a *SourceError; any other error has ended
// the association.
func (a *Association) SendMessage(contextID byte, command []byte, data io.Reader) error {
	a.messages.Lock()
	defer a.messages.Unlock()
	if err := a.Err(); err != nil {
		return err
	}
	s := senders.Get().(*sender)
	s.a, s.context, s.max, s.n, s.sent, s.complete, s.err = a, contextID, (a.sendMax-pdvHeaderLen)&^1, 0, false,
		false, nil
	err := s.message(command, data)
	s.reset()
	s.a = nil
	senders.Put(s)
	return err
}

func (s *sender) message(command []byte, data io.Reader) error {
	if s.fragment(true, true, command) != nil {
		return s.err
	}
	if data == nil {
		return s.flush()
	}
	var err error
	switch d := data.(type) {
	case WholeWriter:
		err = d.WriteWhole(s)
	case io.WriterTo:
		_, err = d.WriteTo(writeOnly{s})
	default:
		err = s.readFrom(data)
	}
	if s.err != nil {
		return s.err
	}
	if err != nil {
		return s.sourceFailed(err)
	}
	if s.complete {
		return nil
	}
	if s.fragment(false, true, s.buf[:s.n]) != nil {
		return s.err
	}
	return s.flush()
}

// writeOnly is a sender that can't be told the end.
type writeOnly struct{ io.Writer }

func (s *sender) sourceFailed(err error) error {
	failure := &SourceError{err, s.sent}
	if s.sent {
		_ = s.a.end(failure, &Abort{})
	}
	return failure
}

// readFrom fills the buffer again and again: large reads, straight into it.
func (s *sender) readFrom(r io.Reader) error {
	for empty := 0; ; {
		if s.n == len(s.buf) && s.spill() != nil {
			return s.err
		}
		n, err := r.Read(s.buf[s.n:])
		s.n += n
		if err == io.EOF { // one that wraps it is that of a lost connection, and no end
			return nil
		}
		if err != nil {
			return err
		}
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 {
			return io.ErrNoProgress
		}
	}
}

// Write takes bytes of the data set: small pieces are gathered, large ones written from where they are.
func (s *sender) Write(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.complete {
		return 0, errComplete
	}
	if len(p) >= direct {
		keep := 2 - (s.n+len(p))&1
		if s.fragment(false, false, s.buf[:s.n], p[:len(p)-keep]) != nil || s.flush() != nil {
			return 0, s.err
		}
		s.n = copy(s.buf, p[len(p)-keep:])
		return len(p), nil
	}
	if s.n+len(p) > len(s.buf) && s.spill() != nil {
		return 0, s.err
	}
	s.n += copy(s.buf[s.n:], p)
	return len(p), nil
}

// spill writes the buffer but for the bytes held back.
func (s *sender) spill() error {
	keep := 2 - s.n&1
	if s.fragment(false, false, s.buf[:s.n-keep]) != nil || s.flush() != nil {
		return s.err
	}
	s.n = copy(s.buf, s.buf[s.n-keep:s.n])
	return nil
}

// WriteRest takes pieces that together are all that follows, so that everything leaves at once with its end marked.
// Nothing may be written after it.
func (s *sender) WriteRest(pieces ...[]byte) error {
	if s.complete {
		return errComplete
	}
	if s.err != nil || s.fragment(false, true, append([][]byte{s.buf[:s.n]}, pieces...)...) != nil || s.flush() != nil {
		return s.err
	}
	s.n, s.complete = 0, true
	return nil
}

// pad makes a data set of odd length even.
var pad = []byte{0}

// fragment gathers pieces as one value, or as several when they are longer together than the peer takes. Each has
// a PDU of its own. last marks the last of them. It uses up the slice.
func (s *sender) fragment(command, last bool, pieces ...[]byte) error {
	left := 0
	for _, p := range pieces {
		left += len(p)
	}
	if last && left%2 == 1 { // of what went before only even lengths have left
		pieces, left = append(pieces, pad), left+1
	}
	for {
		n := min(left, s.max)
		left -= n
		at := len(s.headers)
		s.headers = append(s.headers, byte(TypePDataTF), 0)
		s.headers = binary.BigEndian.AppendUint32(s.headers, uint32(n+pdvHeaderLen))
		s.headers = appendPDVHeader(s.headers, s.context, command, last && left == 0, n)
		s.vectors = append(s.vectors, s.headers[at:])
		for n > 0 {
			k := min(n, len(pieces[0]))
			if k > 0 {
				s.vectors = append(s.vectors, pieces[0][:k])
			}
			if pieces[0] = pieces[0][k:]; len(pieces[0]) == 0 {
				pieces = pieces[1:]
			}
			n -= k
		}
		if left == 0 {
			return nil
		}
		if len(s.vectors) >= maxVectors && s.flush() != nil {
			return s.err
		}
	}
}

// flush writes what was gathered.
func (s *sender) flush() error {
	a := s.a
	a.packets.Lock()
	switch action := a.event(Evt9); {
	case a.torn:
		s.err = ErrEnded
	case action != DT1 && action != AR7:
		s.err = ErrEnded
	default:
		var n int64
		s.left = s.vectors
		n, s.err = a.w.writev(&s.left)
		s.sent = s.sent || n > 0
		a.torn = s.err != nil && n > 0
	}
	a.packets.Unlock()
	if s.err != nil {
		s.err = a.writeFailed(s.err)
	}
	s.reset()
	return s.err
}

func (s *sender) reset() {
	clear(s.vectors)
	s.vectors, s.left, s.headers = s.vectors[:0], nil, s.headers[:0]
}

// writeFailed ends the association after a failed write. A peer that has closed may have said why before.
func (a *Association) writeFailed(err error) error {
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		a.lastWords()
	}
	return a.failed("sending to the peer", err)
}
