// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"bytes"
	"fmt"
	"io"
	"sync"

	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// maxIdentifier bounds an identifier: 65,535 failed SOP instance UIDs fit.
const maxIdentifier = 5 << 20

// session sends and receives messages on an association, as either side. One goroutine receives.
type session struct {
	ul       *ul.Association
	contexts []AcceptedContext
	command  []byte     // of the message that is being received
	data     dataReader // its data set
}

func (s *session) contextByID(id byte) *AcceptedContext {
	for i := range s.contexts {
		if s.contexts[i].ID == id {
			return &s.contexts[i]
		}
	}
	return nil
}

// contextFor finds the context to use as SCU. An empty transfer syntax matches any.
func (s *session) contextFor(sopClass, transferSyntax string) (*AcceptedContext, error) {
	for i := range s.contexts {
		c := &s.contexts[i]
		if c.AbstractSyntax == sopClass && c.SCU && (transferSyntax == "" || c.TransferSyntax == transferSyntax) {
			return c, nil
		}
	}
	return nil, &NoContextError{sopClass, transferSyntax}
}

// send sends a message. data is nil when there is no data set.
func (s *session) send(c *AcceptedContext, command *Command, data io.Reader) error {
	command.DataSet = data != nil
	return s.ul.SendMessage(c.ID, command.Append(make([]byte, 0, 384)), data)
}

// sendIdentifier sends a message with an identifier, or without a data set if identifier is nil.
func (s *session) sendIdentifier(c *AcceptedContext, command *Command, identifier *stream.DataSet) error {
	if identifier == nil {
		return s.send(c, command, nil)
	}
	b, err := identifier.Encode(c.TransferSyntax)
	if err != nil {
		return fmt.Errorf("encoding the identifier: %w", err)
	}
	return s.send(c, command, bytes.NewReader(b))
}

// receive returns the next command and its context, after draining what is left of the data set before. If the
// command has a data set, s.data reads it. ul.ErrReleaseRequested leaves the association open for the caller's
// answer; every other error has ended it.
func (s *session) receive() (*AcceptedContext, *Command, error) {
	if err := s.data.drain(); err != nil {
		return nil, nil, err
	}
	s.command = s.command[:0]
	var c *AcceptedContext
	for {
		f, err := s.ul.NextPDV()
		if err != nil {
			return nil, nil, err
		}
		if c == nil {
			c = s.contextByID(f.ContextID)
		}
		switch {
		case c == nil || c.ID != f.ContextID:
			return nil, nil, s.ul.AbortProvider(fmt.Sprintf(
				"it used presentation context %d, which is not accepted or not that of the message", f.ContextID,
			))
		case !f.Command:
			return nil, nil, s.ul.AbortProvider("it sent a data set where a command was due")
		case len(s.command)+f.Len > maxCommand:
			return nil, nil, s.ul.AbortProvider(fmt.Sprintf("it sent a command set of more than %d bytes", maxCommand))
		}
		if s.command, err = s.appendFragment(s.command, f.Len); err != nil {
			return nil, nil, err
		}
		if f.Last {
			break
		}
	}
	command, err := DecodeCommand(s.command)
	if err != nil {
		return nil, nil, s.ul.AbortProvider(err.Error())
	}
	if command.DataSet {
		s.data = dataReader{ul: s.ul, context: c.ID, more: true}
	}
	return c, command, nil
}

func (s *session) appendFragment(b []byte, n int) ([]byte, error) {
	at := len(b)
	b = append(b, make([]byte, n)...)
	for at < len(b) {
		k, err := s.ul.Read(b[at:])
		if err != nil {
			return b, err
		}
		at += k
	}
	return b, nil
}

// identifier reads the data set of the message as a whole. An *UnreadableError leaves the association alive.
func (s *session) identifier(c *AcceptedContext) (*stream.DataSet, error) {
	b, err := io.ReadAll(io.LimitReader(&s.data, maxIdentifier+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxIdentifier {
		return nil, &UnreadableError{fmt.Errorf("it has more than %d bytes", maxIdentifier)}
	}
	d, err := stream.ParseDataSet(b, c.TransferSyntax, stream.Limits{})
	if err != nil {
		return nil, &UnreadableError{err}
	}
	return d, nil
}

// dataReader reads the data set of one message. The zero value is at its end.
type dataReader struct {
	ul      *ul.Association
	context byte
	more    bool // the end has not come
	err     error
}

// Read implements io.Reader. Large reads go straight from the socket into p.
func (r *dataReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if !r.more {
		return 0, io.EOF
	}
	n, err := r.ul.ReadData(r.context, p)
	return n, r.ended(err)
}

// ended takes down the end of the data set.
func (r *dataReader) ended(err error) error {
	if err != nil {
		r.more = false
		if err != io.EOF { //nolint:errorlint // one that wraps it is that of a lost connection
			r.err = err
		}
	}
	return err
}

// Bound says that at least n more bytes will come.
func (r *dataReader) Bound(n int64) {
	if r.more {
		r.ul.Bound(n)
	}
}

const copyBuffer = 256 << 10

var copyBuffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// WriteTo implements io.WriterTo with large pieces: as many bytes at once as the buffer holds.
func (r *dataReader) WriteTo(w io.Writer) (n int64, err error) {
	b := copyBuffers.Get().(*[]byte)
	defer copyBuffers.Put(b)
	for {
		k, err := r.fill(*b)
		if k > 0 {
			m, werr := w.Write((*b)[:k])
			n += int64(m)
			if werr != nil {
				return n, werr
			}
		}
		if err == io.EOF { //nolint:errorlint // one that wraps it is no end
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func (r *dataReader) fill(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		var k int
		k, err = r.Read(b[n:])
		n += k
	}
	return n, err
}

// drain discards what is left.
func (r *dataReader) drain() error {
	if !r.more {
		return nil
	}
	r.more = false
	return r.ended(r.ul.SkipData(r.context))
}
