// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bufio"
	"io"
	"net"
	nethttp "net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/http"
)

// bounded serves with a bound on connections. /held answers when it is let go.
func bounded(t *testing.T, c http.Connections) (addr string, entered <-chan struct{}, leave func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	in, out := make(chan struct{}, 100), make(chan struct{})
	srv := &nethttp.Server{
		ReadHeaderTimeout: deadline,
		Handler: nethttp.HandlerFunc(func(_ nethttp.ResponseWriter, r *nethttp.Request) {
			if r.URL.Path == "/held" {
				in <- struct{}{}
				<-out
			}
		}),
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(c.Bound(srv, l))
	}()
	t.Cleanup(func() {
		_ = srv.Close()
		<-done
	})
	return l.Addr().String(), in, func() { close(out) }
}

// ask sends a request over a connection and reports whether it is answered.
func ask(conn net.Conn, path string) bool {
	_, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	if err != nil {
		return false
	}
	r, err := nethttp.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return false
	}
	return r.Body.Close() == nil && r.StatusCode == nethttp.StatusOK
}

// dial connects from an address of this machine.
func dial(t *testing.T, from, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conn, err := d.DialContext(t.Context(), "tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(deadline)))
	return conn
}

// Connections that rest, that never ask or whose header trickles make room for others; those with a request under way
// don't.
func TestConnections(t *testing.T) {
	for name, rest := range map[string]string{
		"keep-alive": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "silent": "", "trickle": "GET / HTTP/1.1\r\nHo",
	} {
		t.Run(name, func(t *testing.T) {
			addr, _, _ := bounded(t, http.Connections{All: 4, OfAddress: 4})
			for range 20 {
				conn := dial(t, "127.0.0.1", addr)
				_, _ = io.WriteString(conn, rest) // one that had to go may be gone before
			}
			require.True(t, ask(dial(t, "127.0.0.2", addr), "/"))
		})
	}
	t.Run("busy", func(t *testing.T) {
		addr, entered, leave := bounded(t, http.Connections{All: 4, OfAddress: 2})
		answers := make(chan bool, 2)
		for range 2 {
			conn := dial(t, "127.0.0.1", addr)
			go func() { answers <- ask(conn, "/held") }()
			<-entered
		}
		require.False(t, ask(dial(t, "127.0.0.1", addr), "/"), "this address has all that it may")
		require.True(t, ask(dial(t, "127.0.0.2", addr), "/"))
		leave()
		require.True(t, <-answers)
		require.True(t, <-answers)
	})
	t.Run("a proxy", func(t *testing.T) {
		addr, entered, leave := bounded(t, http.Connections{
			All: 4, OfAddress: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
		})
		answers := make(chan bool, 3)
		for range 3 {
			conn := dial(t, "127.0.0.1", addr)
			go func() { answers <- ask(conn, "/held") }()
			<-entered
		}
		require.True(t, ask(dial(t, "127.0.0.1", addr), "/"))
		leave()
		for range 3 {
			require.True(t, <-answers)
		}
	})
	bounds := http.BoundConnections(nil)
	require.LessOrEqual(t, bounds.OfAddress, bounds.All)
	require.Positive(t, bounds.OfAddress)
}
