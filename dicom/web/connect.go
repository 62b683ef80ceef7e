// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"cmp"
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// Connect connects to the server ahead of the first request, which uses that connection. It says nothing about TLS. The
// error is a *ConnectError, or that of ctx.
func (c *Client) Connect(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	port := cmp.Or(c.root.Port(), map[string]string{"http": "80", "https": "443"}[c.root.Scheme])
	d := net.Dialer{Timeout: c.cfg.ConnectTimeout}
	nc, err := d.DialContext(ctx, "tcp", net.JoinHostPort(c.root.Hostname(), port))
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return connectError(c.called(), c.cfg.ConnectTimeout, err)
	}
	c.watch.keep(nc)
	return nil
}

// keep has the next connection be one that is there already; nil: none.
func (w *watch) keep(nc net.Conn) {
	w.mu.Lock()
	old := w.ahead
	w.ahead = nc
	w.mu.Unlock()
	if old != nil {
		_ = old.Close() // nothing was sent
	}
}

// dial gives the connection that was made ahead, unless the server has ended it meanwhile, or a new one.
func (w *watch) dial(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	nc := w.ahead
	w.ahead = nil
	w.mu.Unlock()
	if nc != nil && silent(nc) {
		return nc, nil
	}
	if nc != nil {
		_ = nc.Close() // it has ended
	}
	return d.DialContext(ctx, network, addr)
}

// silent reports whether a connection is open and nothing has come over it: no server speaks first.
func silent(nc net.Conn) bool {
	if nc.SetReadDeadline(time.Now().Add(time.Millisecond)) != nil {
		return false
	}
	_, err := nc.Read(make([]byte, 1))
	return errors.Is(err, os.ErrDeadlineExceeded) && nc.SetReadDeadline(time.Time{}) == nil
}

// called is how errors name the server.
func (c *Client) called() string { return cmp.Or(c.cfg.Name, c.root.Host) }
