// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// RelayFrom passes connections on to an address, from one address of this machine after the other, as a PACS of several
// machines calls. It returns where it listens.
func RelayFrom(t testing.TB, to string, from ...string) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return relayed(t, l, to, from...)
}

// RelayTLS takes TLS from connections, and passes them on.
func RelayTLS(t testing.TB, to string, own *Identity) (addr string) {
	t.Helper()
	pair, err := tls.X509KeyPair(own.Certificate, own.Key)
	require.NoError(t, err)
	l, err := tls.Listen(
		"tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12},
	)
	require.NoError(t, err)
	return relayed(t, l, to, "127.0.0.1")
}

func relayed(t testing.TB, l net.Listener, to string, from ...string) (addr string) {
	ctx, stop := context.WithCancel(context.Background())
	var all sync.WaitGroup
	var calls atomic.Int64
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from[int(calls.Add(1)-1)%len(from)])}}
			all.Go(func() { relay(ctx, c, &d, to) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		stop()
		all.Wait()
	})
	return l.Addr().String()
}

// relay returns when both directions have ended.
func relay(ctx context.Context, c net.Conn, d *net.Dialer, to string) {
	defer func() { _ = c.Close() }()
	peer, err := d.DialContext(ctx, "tcp", to)
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() {
		_ = c.Close()
		_ = peer.Close()
	})
	defer stop()
	var there sync.WaitGroup
	there.Go(func() { pass(peer, c) })
	pass(c, peer)
	there.Wait()
	_ = peer.Close()
}

// pass copies until one side ends, and ends the other.
func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.Copy(io.Discard, from) // what can't be passed on any more
}
