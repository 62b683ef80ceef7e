// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/adit-go/adit/http/api"
)

const (
	// arriveTimeout is how long the beginning of a body may take, which is all of most bodies.
	arriveTimeout = 5 * time.Second

	// maxArriving is how many bodies may be on their way from one address.
	maxArriving = 64
)

// arrived has the first api.SmallBody bytes of a body read before the request takes a place of any kind: whoever sends slowly keeps nobody
// out. What is longer is read where it is known who sends it.
func arrived(timeout time.Duration) func(http.Handler) http.Handler {
	on := addresses{count: map[string]int{}}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
				next.ServeHTTP(w, r)
				return
			}
			from := addressOf(r.RemoteAddr)
			if !on.enter(from) {
				w.Header().Set("Retry-After", "1")
				hangUp(w)
				api.Refuse(w, r, http.StatusTooManyRequests, "Too many requests from your address are still being sent; try again in a moment.")
				return
			}
			err := arrive(w, r, timeout)
			on.leave(from)
			if err != nil {
				hangUp(w)
				api.WriteProblem(w, r, api.Unread(err))
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// hangUp ends the connection after the answer: what is still to come of the body is nobody's.
func hangUp(w http.ResponseWriter) { w.Header().Set("Connection", "close") }

// arrive reads the beginning of a body.
func arrive(w http.ResponseWriter, r *http.Request, timeout time.Duration) error {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(timeout)) // a body that isn't on a connection is there
	var head bytes.Buffer
	n, err := head.ReadFrom(io.LimitReader(r.Body, api.SmallBody+1))
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(writeTimeout))
	rest := r.Body
	if n <= api.SmallBody {
		r.ContentLength, r.TransferEncoding, rest = n, nil, http.NoBody
	}
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&head, rest), r.Body}
	return nil
}

// addressOf returns the address of a caller without the port.
func addressOf(remote string) string {
	if ap, err := netip.ParseAddrPort(remote); err == nil {
		return ap.Addr().Unmap().WithZone("").String()
	}
	return remote
}

// addresses counts what each address has.
type addresses struct {
	mu    sync.Mutex
	count map[string]int
}

func (a *addresses) enter(from string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[from] >= maxArriving {
		return false
	}
	a.count[from]++
	return true
}

func (a *addresses) leave(from string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count[from]--; a.count[from] == 0 {
		delete(a.count, from)
	}
}
