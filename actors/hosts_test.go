// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// names is a name service.
type names struct {
	addrs []string
	err   error
	hangs bool
	asked int
}

func (n *names) resolve(ctx context.Context, _ string) (list []netip.Addr, err error) {
	n.asked++
	if n.hangs {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	for _, a := range n.addrs {
		list = append(list, netip.MustParseAddr(a))
	}
	return list, n.err
}

// TestHosts: what a name service says of a host counts, and it counts on for an hour when it says nothing any more, or
// something else.
func TestHosts(t *testing.T) {
	one, two := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	for _, tt := range []struct {
		name  string
		first names
		then  names
		after time.Duration
		one   bool
		two   bool
		known bool
	}{
		{name: "one address", first: names{addrs: []string{"10.0.0.1"}}, then: names{addrs: []string{"10.0.0.1"}}, after: 2 * time.Hour, one: true, known: true},
		{name: "of IPv4 in IPv6", first: names{addrs: []string{"::ffff:10.0.0.1"}}, then: names{addrs: []string{"::ffff:10.0.0.1"}}, one: true, known: true},
		{name: "by turns", first: names{addrs: []string{"10.0.0.1"}}, then: names{addrs: []string{"10.0.0.2"}}, after: time.Minute, one: true, two: true, known: true},
		{name: "moved", first: names{addrs: []string{"10.0.0.1"}}, then: names{addrs: []string{"10.0.0.2"}}, after: 2 * time.Hour, two: true, known: true},
		{name: "not known any more", first: names{addrs: []string{"10.0.0.1"}}, then: names{err: errors.New("no such host")}, after: time.Minute, one: true, known: true},
		{name: "no answer any more", first: names{addrs: []string{"10.0.0.1"}}, then: names{hangs: true}, after: time.Minute, one: true, known: true},
		{name: "no answer for hours", first: names{addrs: []string{"10.0.0.1"}}, then: names{hangs: true}, after: 2 * time.Hour},
		{name: "never an answer", first: names{hangs: true}, then: names{hangs: true}, after: time.Minute},
		{name: "an answer at last", first: names{err: errors.New("away")}, then: names{addrs: []string{"10.0.0.2"}}, after: time.Minute, two: true, known: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				service := tt.first
				h := newHosts(service.resolve)
				defer h.close()
				h.keep(t.Context(), []string{"pacs.example"})
				synctest.Wait()
				<-time.After(hostTimeout)
				synctest.Wait()
				service = tt.then
				for begun := time.Now(); time.Since(begun) <= tt.after; <-time.After(sendersRefresh) {
					h.keep(t.Context(), []string{"pacs.example"})
					synctest.Wait()
				}
				has, resolved := h.has("pacs.example", one)
				require.Equal(t, tt.one, has)
				require.Equal(t, tt.known, resolved)
				has, _ = h.has("pacs.example", two)
				require.Equal(t, tt.two, has)
				has, _ = h.has("other.example", one)
				require.False(t, has)
				require.LessOrEqual(t, service.asked, int(tt.after/hostAskedNow)+1)
			})
		})
	}
}

// TestHostsAreBounded: hosts that no server has are forgotten, and one with many addresses is known by the latest of
// them. This machine is known by both its names.
func TestHostsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turn := byte(0)
		h := newHosts(func(_ context.Context, host string) ([]netip.Addr, error) {
			if host == "localhost" {
				return []netip.Addr{netip.MustParseAddr("127.0.1.1")}, nil
			}
			turn++
			var list []netip.Addr
			for i := range 200 {
				list = append(list, netip.AddrFrom4([4]byte{10, 0, turn, byte(i)}))
			}
			return list, nil
		})
		defer h.close()
		for range 10 {
			h.keep(t.Context(), []string{"pacs.example", "localhost"})
			synctest.Wait()
			<-time.After(hostAsked)
		}
		require.LessOrEqual(t, len(h.known["pacs.example"].addrs), hostMost)
		has, _ := h.has("pacs.example", netip.AddrFrom4([4]byte{10, 0, turn, 1}))
		require.True(t, has)
		for _, addr := range []string{"127.0.1.1", "127.0.0.1", "::1"} {
			has, _ = h.has("localhost", netip.MustParseAddr(addr))
			require.True(t, has, addr)
		}
		has, _ = h.has("localhost", netip.MustParseAddr("127.0.0.2"))
		require.False(t, has)
		h.keep(t.Context(), []string{"localhost"})
		require.Len(t, h.known, 1)
	})
}
