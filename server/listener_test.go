// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"io"
	"net"
	"net/netip"
	"testing"

	"github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// balancer passes one connection after the other on to addr, each behind a PROXY header that says where it comes from.
func balancer(t *testing.T, addr string, header *proxyproto.Header) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", addr)
			if err != nil {
				_ = near.Close()
				return
			}
			if header != nil {
				if _, err := header.WriteTo(far); err != nil {
					return
				}
			}
			pass := func(to, from net.Conn) {
				_, _ = io.Copy(to, from) // until one side closes
				_ = to.Close()
				_ = from.Close()
			}
			go pass(far, near)
			go pass(near, far)
		}
	}()
	return l.Addr().String()
}

// TestBehindBalancers: the address of a server is what the balancer says; a balancer must say it, by version 2 of the
// protocol.
func TestBehindBalancers(t *testing.T) {
	for _, tt := range []struct {
		name     string
		trusted  string
		version  byte // 0: no header
		from, to string
		works    bool
	}{
		{"from where it may call", "127.0.0.0/8", 2, "10.1.2.3", "10.0.0.1", true},
		{"from elsewhere", "127.0.0.0/8", 2, "192.0.2.1", "10.0.0.1", false},
		{"by version 1", "127.0.0.0/8", 1, "10.1.2.3", "10.0.0.1", false},
		{"by a balancer that says nothing", "127.0.0.0/8", 0, "", "", false},
		{"by somebody who isn't the balancer", "192.0.2.0/24", 2, "10.1.2.3", "10.0.0.1", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := harness.New(t, harness.Config{Wrap: func(l net.Listener) net.Listener {
				return behindBalancers(l, []netip.Prefix{netip.MustParsePrefix(tt.trusted)})
			}})
			n.AddServer(
				"pacs", "PACS", "127.0.0.1:104",
				func(s *nodes.NewServer) { s.Retrieve.AddressRanges = []string{"10.0.0.0/8"} },
			)
			var header *proxyproto.Header
			if tt.version > 0 {
				from, to := &net.TCPAddr{IP: net.ParseIP(tt.from), Port: 4711},
					&net.TCPAddr{IP: net.ParseIP(tt.to), Port: 104}
				header = proxyproto.HeaderProxyFromAddrs(tt.version, from, to)
			}
			a, err := dimse.Dial(t.Context(), dimse.Config{
				Addr: balancer(t, n.ReceiverAddr, header), CallingAE: "PACS", CalledAE: "ADIT",
				Contexts: []dimse.Context{
					{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
				},
			})
			if !tt.works {
				require.Error(t, err)
				return
			}
			require.NoError(t, err)
			require.NoError(t, a.Echo(t.Context()))
			require.NoError(t, a.Release(t.Context()))
		})
	}
}

func TestProxyRanges(t *testing.T) {
	got, err := ranges("--dicom-proxy", []string{"10.0.0.1", "192.0.2.0/24", "2001:db8::1"})
	require.NoError(t, err)
	require.Len(t, got, 3)
	_, err = ranges("--dicom-proxy", []string{"balancer"})
	require.ErrorContains(t, err, `--dicom-proxy: "balancer" is neither an address nor a range`)
}

// TestReceiverPorts: a PACS is told of the ports at which the receiver really listens, also behind a balancer.
func TestReceiverPorts(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l.Close() }()
	at := int(netip.MustParseAddrPort(l.Addr().String()).Port())
	behind := behindBalancers(l, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")})
	for name, c := range map[string]struct {
		receiver *actors.Receiver
		want     [2]int
	}{
		"none":              {nil, [2]int{}},
		"without TLS":       {&actors.Receiver{Listener: l}, [2]int{at, 0}},
		"with TLS only":     {&actors.Receiver{TLSListener: l}, [2]int{0, at}},
		"behind a balancer": {&actors.Receiver{Listener: behind}, [2]int{at, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			port, tlsPort := receiverPorts(c.receiver)
			require.Equal(t, c.want, [2]int{port, tlsPort})
		})
	}
}
