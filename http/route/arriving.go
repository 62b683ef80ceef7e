// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route/internal/strictjson"
)

const (
	heldBodies = 96 << 20 // bytes of large bodies that are held, of all users together
	heldOfUser = 48 << 20 // of one of them: one of the largest, a file of rows, and a few small ones

	piece = 256 << 10 // bytes that are read at once

	firstBytes   = 5 * time.Second // for the beginning of a body
	bytesASecond = 128 << 10       // that a large one brings at least from then on
)

// errNoRoom says that other bodies take what memory there is for them.
var errNoRoom = errors.New("there is no room for the body")

// arriving are the large bodies that are being read or checked.
var arriving = holding{of: map[int64]int64{}}

// holding counts the bytes of bodies that are held, by the user who sent them: a slow one holds little.
type holding struct {
	mu  sync.Mutex
	all int64
	of  map[int64]int64
}

func (h *holding) take(user, n int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.all+n > heldBodies || h.of[user]+n > heldOfUser {
		return false
	}
	h.all, h.of[user] = h.all+n, h.of[user]+n
	return true
}

func (h *holding) give(user, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all -= n
	if h.of[user] -= n; h.of[user] == 0 {
		delete(h.of, user)
	}
}

// read reads a large body, at most one byte more than its operation takes. done gives back what it took, and is called
// in any case.
func (h *holding) read(w http.ResponseWriter, r *http.Request, op Operation, user int64) (
	_ *pieces, done func(), err error,
) {
	body := &pieces{}
	done = func() { h.give(user, body.held) }
	conn, began := http.NewResponseController(w), time.Now()
	for body.size <= op.Body {
		if !h.take(user, piece) {
			return nil, done, errNoRoom
		}
		body.held += piece
		allowed := firstBytes + time.Duration(body.size/bytesASecond)*time.Second
		_ = conn.SetReadDeadline(began.Add(min(allowed, op.Timeout))) // a body that isn't on a connection is there
		part := make([]byte, min(piece, op.Body+1-body.size))
		n, err := fill(r.Body, part)
		body.parts, body.size = append(body.parts, part[:n]), body.size+int64(n)
		if err != nil {
			return nil, done, err
		}
		if n < len(part) {
			break
		}
	}
	return body, done, nil
}

// fill reads until p is full or the body ends.
func fill(body io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var more int
		more, err = body.Read(p[n:])
		n += more
	}
	if err == io.EOF { // one that wraps it is no end
		err = nil
	}
	return n, err
}

// pieces are a body that was read. What is read of it again is let go.
type pieces struct {
	parts      [][]byte
	size, held int64
}

// Read implements io.Reader.
func (b *pieces) Read(p []byte) (int, error) {
	for len(b.parts) > 0 && len(b.parts[0]) == 0 {
		b.parts[0], b.parts = nil, b.parts[1:]
	}
	if len(b.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, b.parts[0])
	b.parts[0] = b.parts[0][n:]
	return n, nil
}

// Close implements io.Closer.
func (b *pieces) Close() error { return nil }

// Unread says in a sentence why a body could not be read.
func Unread(err error) error { return unread(err) }

func unread(err error) *problem.Problem {
	if p := ambiguous(err); p != nil {
		return p
	}
	var network net.Error
	switch {
	case errors.Is(err, strictjson.ErrTooManyValues):
		return problem.New(
			http.StatusRequestEntityTooLarge,
			"The body holds more values than this request may have, or is nested too deeply.",
		)
	case errors.Is(err, errNoRoom):
		return problem.New(
			http.StatusServiceUnavailable, "ADIT is busy with other large requests; try again in a moment.",
		).Retry(retryLarge)
	case errors.As(err, &network) && network.Timeout():
		return problem.New(
			http.StatusRequestTimeout,
			"The body of the request came too slowly; send it again, over a faster connection.",
		)
	}
	return problem.New(
		http.StatusBadRequest, "The body of the request ended too early, or is badly encoded; send it again.",
	)
}
