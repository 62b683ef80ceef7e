// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	mostConnections  = 1024
	fewestOfAddress  = 8
	mostOfAddress    = 256
	scarceDescriptor = 2048 // fewer open files are little for a server
)

// Connections is how many connections a listener holds at once: a quarter of the files that the process may open, so
// that HTTP never takes those that the receiver, the database and folders need.
type Connections struct {
	All, OfAddress int
	// Exempt addresses, those of proxies, stand for many callers.
	Exempt []netip.Prefix
	Scarce uint64 // files that the process may open, if those are few
}

// BoundConnections returns the bounds of this process.
func BoundConnections(proxies []netip.Prefix) Connections {
	c := Connections{All: mostConnections, Exempt: proxies}
	if files, ok := openFiles(); ok {
		c.All = int(min(mostConnections, max(files/4, fewestOfAddress)))
		if files < scarceDescriptor {
			c.Scarce = files
		}
	}
	c.OfAddress = min(mostOfAddress, max(c.All/4, fewestOfAddress))
	return c
}

// Bound has a server hold no more connections of a listener than it may. A newcomer takes the place of one that waits
// for a request, of the address that has the most, or is turned away. It is called before the server serves.
func (c Connections) Bound(srv *http.Server, l net.Listener) net.Listener {
	b := &bounded{Listener: l, Connections: c, all: map[*connection]struct{}{}, of: map[string]int{}}
	srv.ConnState = b.changed
	return b
}

type bounded struct {
	net.Listener
	Connections

	mu  sync.Mutex
	all map[*connection]struct{}
	of  map[string]int
}

// connection is one of a bounded listener. Under bounded.mu besides what never changes.
type connection struct {
	net.Conn
	of     *bounded
	from   string
	exempt bool
	idle   bool      // no request is under way, as far as its header is read
	since  time.Time // when that began or ended
}

// Accept implements net.Listener.
func (b *bounded) Accept() (net.Conn, error) {
	for {
		conn, err := b.Listener.Accept()
		if err != nil {
			return nil, err
		}
		c := &connection{Conn: conn, of: b, from: addressOf(conn.RemoteAddr().String()), idle: true, since: time.Now()}
		if peer, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
			c.exempt = trusted(b.Exempt, peer.Addr())
		}
		if b.enter(c) {
			return c, nil
		}
		_ = conn.Close() // it was told nothing yet
	}
}

// enter gives a connection a place, if need be that of another one.
func (b *bounded) enter(c *connection) bool {
	b.mu.Lock()
	victim, ok := b.room(c)
	if ok {
		b.all[c] = struct{}{}
		b.of[c.from]++
	}
	if victim != nil {
		b.forget(victim)
	}
	b.mu.Unlock()
	if victim != nil {
		_ = victim.Conn.Close() // nobody asked anything over it
	}
	return ok
}

// room reports whether there is room for a connection, and whose place it takes.
func (b *bounded) room(c *connection) (victim *connection, ok bool) {
	own := !c.exempt && b.of[c.from] >= b.OfAddress
	if !own && len(b.all) < b.All {
		return nil, true
	}
	for o := range b.all {
		if !o.idle || own && o.from != c.from {
			continue
		}
		if victim == nil || b.of[o.from] > b.of[victim.from] ||
			b.of[o.from] == b.of[victim.from] && o.since.Before(victim.since) {
			victim = o
		}
	}
	return victim, victim != nil
}

func (b *bounded) forget(c *connection) {
	if _, known := b.all[c]; !known {
		return
	}
	delete(b.all, c)
	if b.of[c.from]--; b.of[c.from] == 0 {
		delete(b.of, c.from)
	}
}

// changed is told what a server does with a connection.
func (b *bounded) changed(conn net.Conn, state http.ConnState) {
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	c, ok := conn.(*connection)
	if !ok {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if state == http.StateHijacked { // a WebSocket, which has bounds of its own
		b.forget(c)
		return
	}
	c.idle, c.since = state == http.StateNew || state == http.StateIdle, time.Now()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	c.of.forget(c)
	c.of.mu.Unlock()
	return c.Conn.Close()
}
