// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"bytes"
	"io"
	"net/http"
	"net/netip"
	"time"

	"github.com/adit-go/adit/http/dicomweb"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route"
)

const (
	// arriveTimeout is how long the beginning of a body may take, which is all of most bodies.
	arriveTimeout = 5 * time.Second

	// maxArriving is how many bodies may be on their way from one address.
	maxArriving = 64
)

// arrived has the first route.SmallBody bytes of a body read before the request takes a place of any kind: whoever
// sends slowly keeps nobody out. What is longer is read where it is known who sends it, and so is what is stored.
func arrived(timeout time.Duration) func(http.Handler) http.Handler {
	on := route.NewCrowd[string](maxArriving)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 || dicomweb.Stores(r) {
				next.ServeHTTP(w, r)
				return
			}
			from := addressOf(r.RemoteAddr)
			if !on.Enter(from) {
				w.Header().Set("Retry-After", "1")
				hangUp(w)
				problem.Refuse(
					w, r, http.StatusTooManyRequests,
					"Too many requests from your address are still being sent; try again in a moment.",
				)
				return
			}
			err := arrive(w, r, timeout)
			on.Leave(from)
			if err != nil {
				hangUp(w)
				problem.Write(w, r, route.Unread(err))
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
	n, err := head.ReadFrom(io.LimitReader(r.Body, route.SmallBody+1))
	if err != nil {
		return err
	}
	_ = conn.SetReadDeadline(time.Now().Add(writeTimeout))
	rest := r.Body
	if n <= route.SmallBody {
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
