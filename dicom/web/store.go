// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/multipart"
)

// Outgoing is an object to be stored.
type Outgoing struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	// Open gives the data set, without preamble and file meta information, from its beginning: it may be called again
	// where a request is repeated that the server can't have used. Only io.EOF says that the data set is whole.
	Open func() io.Reader
}

// Outcome is what became of an instance.
type Outcome uint8

// What may have become of an instance.
const (
	Unknown      Outcome = iota // the server didn't say, or said both
	Acknowledged                // it has it
	Refused
)

// Result is what the server said about an instance (PS3.18 10.5.3).
type Result struct {
	Outcome Outcome
	Warning uint16 // Warning Reason (0008,1196) of one that it has; 0: none
	Failure uint16 // Failure Reason (0008,1197) of one that it refused; 0: it gave none that can be read
	Reason  string // in its own words, if it has any; it may hold patient data
}

// Stored is the answer to a request to store.
type Stored struct {
	Status    int // says little: what counts is what it says about each instance
	Instances map[string]Result
}

// Store sends objects in one request (STOW-RS, PS3.18 10.5), to a study or, if that is empty, to the server. Instances
// has an entry for each object then: an answer without a word about one leaves it Unknown.
//
// An error says that there is no such answer. After *ConnectError, *TokenError and *RedirectError nothing was stored,
// after *StatusError so the server says; after every other error nobody knows: ask for the instances before sending
// them again. *SourceError is that of an object's reader. No reader is used any more once Store has returned.
func (c *Client) Store(ctx context.Context, study string, objects []Outgoing) (Stored, error) {
	out := Stored{Instances: make(map[string]Result, len(objects))}
	for i := range objects {
		o := &objects[i]
		if _, twice := out.Instances[o.SOPInstanceUID]; twice {
			return Stored{}, fmt.Errorf("instance %s was to be stored twice in one request", o.SOPInstanceUID)
		}
		if !dict.ValidUID(o.SOPInstanceUID) || !dict.ValidUID(o.SOPClassUID) || !dict.ValidUID(o.TransferSyntaxUID) {
			return Stored{}, errors.New("an object to be stored has an invalid UID: of its class, itself or its transfer syntax")
		}
		out.Instances[o.SOPInstanceUID] = Result{}
	}
	path, err := Resource{Study: study}.path()
	if err != nil || len(objects) == 0 {
		return Stored{}, err
	}
	if path == "" {
		path = "/studies"
	}
	boundary := multipart.NewBoundary()
	x, err := c.do(ctx, request{
		doing: "request to store", method: http.MethodPost, prefix: c.cfg.STOW, path: path,
		accept: acceptJSON, compress: true,
		contentType: `multipart/related; type="application/dicom"; boundary=` + boundary,
		body:        func() *outgoing { return newOutgoing(c, objects, boundary) },
	})
	if err != nil {
		return Stored{}, err
	}
	defer x.close()
	return x.stored(out)
}

// outgoing is the body of a request to store.
type outgoing struct {
	c       *Client
	objects []Outgoing // still to be begun
	w       *multipart.Writer
	frame   bytes.Buffer // what w writes: delimiters and headers
	current io.Reader    // the data set under way
	uid     string       // its instance
	closed  bool         // the closing delimiter is in frame

	answered atomic.Bool // nobody waits for the server to take it any more
	ended    atomic.Bool

	mu  sync.Mutex // held while something is read
	err error      // *SourceError, errUnsent
}

var errUnsent = errors.New("the rest is not sent")

func newOutgoing(c *Client, objects []Outgoing, boundary string) *outgoing {
	b := &outgoing{c: c, objects: objects}
	b.w = multipart.NewWriter(&b.frame, boundary)
	return b
}

// Read gives the body. Its error makes the transport break off the request such that the server sees it.
func (b *outgoing) Read(p []byte) (n int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.answered.Load() {
		b.c.watch.progress() // what was read before was taken
	}
	for {
		switch {
		case b.ended.Load():
			return 0, errUnsent
		case b.err != nil:
			return 0, b.err
		case b.frame.Len() > 0:
			return b.frame.Read(p)
		case b.current != nil:
			n, err = b.read(p)
			if n > 0 || err != nil {
				return n, err
			}
		case len(b.objects) > 0:
			if err := b.next(); err != nil {
				return 0, err
			}
		case b.closed:
			if !b.answered.Load() {
				b.c.watch.wait(b.c.cfg.StoreTimeout)
			}
			return 0, io.EOF
		default:
			b.closed = true
			if err := b.w.Close(); err != nil {
				return 0, err
			}
		}
	}
}

// next begins an object.
func (b *outgoing) next() error {
	o := b.objects[0]
	b.objects = b.objects[1:]
	if err := b.w.Begin(multipart.Field{Name: "Content-Type", Value: "application/dicom"}); err != nil {
		return err
	}
	_, err := b.w.Write(stream.FileMeta{
		MediaStorageSOPClassUID: o.SOPClassUID, MediaStorageSOPInstanceUID: o.SOPInstanceUID,
		TransferSyntaxUID: o.TransferSyntaxUID,
	}.AppendTo(nil))
	b.current, b.uid = o.Open(), o.SOPInstanceUID
	return err
}

// read reads the data set under way. The server isn't waited for meanwhile.
func (b *outgoing) read(p []byte) (int, error) {
	waited := !b.answered.Load()
	if waited {
		b.c.watch.hold()
	}
	n, err := b.current.Read(p)
	if waited && !b.answered.Load() {
		b.c.watch.wait(b.c.cfg.IdleTimeout)
	}
	if err == io.EOF { // only exactly this value says that the data set is whole
		b.current, err = nil, nil
	}
	if err != nil {
		b.err = &SourceError{SOPInstanceUID: b.uid, Err: err}
		err = b.err
	}
	return n, err
}

// Close does nothing: end does it.
func (b *outgoing) Close() error { return nil }

// broken is the error of an object's reader, if there was one.
func (b *outgoing) broken() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// end returns when nothing is read any more, for good.
func (b *outgoing) end() {
	b.ended.Store(true)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current, b.objects = nil, nil
}
