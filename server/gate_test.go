// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"log/slog"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestGate: while it rests nobody gets in, and afterwards at the same address.
func TestGate(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	g := newGate(l, slog.New(slog.DiscardHandler))
	in := make(chan error)
	go func() {
		for {
			c, err := g.Accept()
			if err == nil {
				err = c.Close()
			}
			in <- err
			if err != nil {
				return
			}
		}
	}()
	call := func() error {
		c, err := net.Dial("tcp", g.Addr().String())
		if err != nil {
			return err
		}
		return c.Close()
	}
	for range 3 {
		require.NoError(t, call())
		require.NoError(t, <-in)
		g.rest(true)
		g.rest(true)
		require.Error(t, call())
		g.rest(false)
	}
	g.rest(true)
	require.NoError(t, g.Close())
	require.ErrorIs(t, <-in, net.ErrClosed)
	require.NoError(t, g.Close())
	g.rest(false)
	require.Error(t, call())
}
