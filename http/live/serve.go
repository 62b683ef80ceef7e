// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/people"
)

// writeBuffers are shared by all connections: most of them write seldom.
var writeBuffers sync.Pool

const (
	maxConnections = 1000
	maxOfUser      = 250
	bufferBytes    = 1 << 10
)

// ServeHTTP makes a connection of a request that auth.Require has let pass.
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, user := r.Context(), auth.User(r.Context())
	if !websocket.IsWebSocketUpgrade(r) {
		w.Header().Set("Connection", "Upgrade")
		w.Header().Set("Upgrade", "websocket")
		problem.Refuse(w, r, http.StatusUpgradeRequired,
			"This address speaks WebSocket; connect to it with a client for that.")
		return
	}
	if !h.ourPage(r) {
		problem.Refuse(w, r, http.StatusForbidden, "A page of another site sent this request; use ADIT's own address.")
		return
	}
	if err := h.people.Site.Admit(ctx, user); err != nil {
		problem.Write(w, r, err)
		return
	}
	if err := h.enter(user.ID); err != nil {
		problem.Write(w, r, err)
		return
	}
	upgrader := websocket.Upgrader{
		ReadBufferSize: bufferBytes, WriteBufferSize: bufferBytes, WriteBufferPool: &writeBuffers,
		CheckOrigin: func(*http.Request) bool { return true }, // it was checked
		Error: func(w http.ResponseWriter, r *http.Request, status int, _ error) {
			problem.Refuse(w, r, status, "The request to speak WebSocket (version 13) is not valid.")
		},
	}
	from := &meter{ResponseWriter: w}
	ws, err := upgrader.Upgrade(from, r, nil)
	if err != nil { // it was answered
		h.exit(user.ID)
		return
	}
	c := &conn{
		hub: h, ws: ws, ctx: context.WithoutCancel(ctx), again: auth.Again(ctx, h.people), user: user,
		stir: make(chan struct{}, 1), quit: make(chan struct{}),
		subs: map[string]*subscription{}, searches: map[string]*search{},
	}
	from.conn.flood = func() { c.close(closeTooMuch, "Too much came within a short time.") }
	h.mu.Lock()
	closed := h.closed
	h.conns[c] = struct{}{}
	h.mu.Unlock()
	if closed {
		c.close(closeGoingAway, "ADIT is shutting down; connect again in a moment.")
	}
	go func() { //nolint:contextcheck // the request is over; the connection is not
		defer h.serving.Done()
		c.serve()
	}()
}

// enter takes a place for a connection.
func (h *Hub) enter(user int64) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := 0
	for _, n := range h.of {
		all += n
	}
	switch {
	case h.of[user] >= maxOfUser:
		return &people.TooMany{Reason: "you have too many pages open; close some", RetryAfter: retry}
	case all >= maxConnections || h.closed:
		return problem.New(
			http.StatusServiceUnavailable, "ADIT is telling too many pages of what is new; try again in a moment.",
		).Retry(retry)
	}
	h.of[user]++
	h.serving.Add(1)
	h.metrics.connections.Inc()
	return nil
}

// exit gives back the place of a connection that was not made.
func (h *Hub) exit(user int64) {
	h.free(user)
	h.serving.Done()
}

func (h *Hub) free(user int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.metrics.connections.Dec()
	if h.of[user]--; h.of[user] == 0 {
		delete(h.of, user)
	}
}

// leave takes a connection out of everything.
func (h *Hub) leave(c *conn) {
	h.mu.Lock()
	c.gone = true
	for name := range c.subs {
		h.detach(c, name)
	}
	delete(h.conns, c)
	user := c.user.ID
	h.mu.Unlock()
	h.free(user)
}

// ourPage reports whether a request comes from no page, or from one of ADIT's own: a browser sends the cookie along
// whichever page asks it to connect.
func (h *Hub) ourPage(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	if len(origins) == 0 {
		return true
	}
	u, err := url.Parse(origins[0])
	if err != nil || len(origins) > 1 {
		return false
	}
	if h.public != nil && u.Scheme == h.public.Scheme && strings.EqualFold(u.Host, h.public.Host) {
		return true
	}
	return u.Scheme == r.URL.Scheme && strings.EqualFold(u.Host, r.Host)
}

// metrics of live events.
type metrics struct {
	connections, searches prometheus.Gauge
	events                prometheus.Counter
}

func newMetrics(registry *prometheus.Registry) metrics {
	m := metrics{
		connections: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "adit_live_connections", Help: "Open connections for live events."},
		),
		searches: prometheus.NewGauge(
			prometheus.GaugeOpts{Name: "adit_live_searches", Help: "Searches that run over such connections."},
		),
		events: prometheus.NewCounter(
			prometheus.CounterOpts{Name: "adit_live_events_total", Help: "Live events that were sent."},
		),
	}
	registry.MustRegister(m.connections, m.searches, m.events)
	return m
}
