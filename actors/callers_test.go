// SPDX-License-Identifier: AGPL-3.0-or-later

package actors_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// echoFrom asks the receiver for an echo from an address of the loopback network.
func echoFrom(t *testing.T, n *harness.Member, from string, cfg dimse.Config) error {
	t.Helper()
	cfg.Addr = testpeer.RelayFrom(t, n.ReceiverAddr, from)
	return echo(t, cfg)
}

// TestFromWhere: a server calls from its host and from its ranges, and from nowhere else.
func TestFromWhere(t *testing.T) {
	n := harness.New(t, harness.Config{})
	ranges := func(list ...string) func(*nodes.NewServer) {
		return func(s *nodes.NewServer) { s.Retrieve.AddressRanges = list }
	}
	n.AddServer("host", "HOST", "127.0.0.1:104", nil)
	n.AddServer("six", "SIX", net.JoinHostPort("::1", "104"), nil)
	n.AddServer("far", "FAR", "10.9.9.9:104", nil)
	n.AddServer("farm", "FARM", "10.9.9.9:104", ranges("127.0.0.2", "127.0.0.16/28"))
	n.AddServer("both", "BOTH", "127.0.0.1:104", ranges("10.0.0.0/8"))
	n.AddServer("mapped", "MAPPED", "10.9.9.9:104", ranges("::ffff:127.0.0.2", "::ffff:127.0.0.16/124"))
	n.AddServer("any", "ANY", "10.9.9.9:104", ranges("0.0.0.0/0", "::/0"))
	n.AddServer("one", "TWINS", "127.0.0.5:104", nil)
	n.AddServer(
		"other", "OTHER", "127.0.0.6:104", func(s *nodes.NewServer) { s.Retrieve.OtherAETitles = []string{"TWINS"} },
	)
	n.AddServer("secure", "SECURE", "127.0.0.1:104", func(s *nodes.NewServer) { s.TLS.Use = true })
	for _, tt := range []struct {
		calling, from string
		works         bool
	}{
		{"HOST", "127.0.0.1", true},
		{"HOST", "127.0.0.2", false},
		{"SIX", "127.0.0.1", true}, // localhost is both
		{"SIX", "127.0.0.2", false},
		{"FAR", "127.0.0.1", false},
		{"FARM", "127.0.0.1", false},
		{"FARM", "127.0.0.2", true},
		{"FARM", "127.0.0.17", true},
		{"FARM", "127.0.0.32", false},
		{"BOTH", "127.0.0.1", true},
		{"BOTH", "127.0.0.2", false},
		{"MAPPED", "127.0.0.2", true},
		{"MAPPED", "127.0.0.17", true},
		{"MAPPED", "127.0.0.32", false},
		{"ANY", "127.0.0.77", true},
		{"TWINS", "127.0.0.5", true},
		{"TWINS", "127.0.0.6", true},
		{"TWINS", "127.0.0.7", false},
		{"SECURE", "127.0.0.1", false}, // without TLS
	} {
		t.Run(tt.calling+" from "+tt.from, func(t *testing.T) {
			err := echoFrom(t, n, tt.from, verification("", tt.calling, "ADIT"))
			if tt.works {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "calling AE title")
			}
		})
	}
}

// rejectedOf lists who was turned away: server, calling AE title, address and reason, and how often.
func rejectedOf(t *testing.T, n *harness.Member) map[string]int64 {
	t.Helper()
	rows, err := n.Engine.Receive.RejectedCallers(t.Context(), n.Admin, 0, 1000)
	require.NoError(t, err)
	list := map[string]int64{}
	for _, r := range rows {
		require.NotEmpty(t, r.Words())
		list[strings.Join([]string{r.Server, r.CallingAe, r.Address, r.Reason}, " ")] = r.Calls
	}
	return list
}

// TestRejectedCallers: staff sees who was turned away, and why. What is allowed leaves the list.
func TestRejectedCallers(t *testing.T) {
	n := harness.New(t,
		harness.Config{Receiver: actors.Receiver{Resolve: func(context.Context, string) ([]netip.Addr, error) {
			return nil, errors.New("the name service is away")
		}}},
	)
	n.AddServer(
		"pacs", "PACS", "10.9.9.9:104", func(s *nodes.NewServer) { s.Retrieve.AddressRanges = []string{"127.0.0.2"} },
	)
	n.AddServer("named", "NAMED", "pacs.example:104", nil)
	n.AddServer(
		"secure", "SECURE", "10.9.9.9:105",
		func(s *nodes.NewServer) { s.TLS.Use, s.Retrieve.AddressRanges = true, []string{"127.0.0.3"} },
	)
	for _, call := range []struct{ calling, called, from string }{
		{"PACS", "ADIT", "127.0.0.1"},
		{"PACS", "ADIT", "127.0.0.1"},
		{"PACS", "OTHER_NODE", "127.0.0.1"}, // whose title is called matters only where the address is right
		{"PACS", "OTHER_NODE", "127.0.0.2"},
		{"NAMED", "ADIT", "127.0.0.1"},
		{"SECURE", "ADIT", "127.0.0.3"},
		{"ARCHIVE", "ADIT", "127.0.0.2"},
		{"NOBODY", "ADIT", "127.0.0.9"},
		{"\xff\x00\x1b[31m", "\xff\xfe", "127.0.0.9"},
	} {
		require.Error(t, echoFrom(t, n, call.from, verification("", call.calling, call.called)), "%q", call)
	}
	require.Equal(t, map[string]int64{
		"pacs PACS 127.0.0.1 address":             3,
		"pacs PACS 127.0.0.2 called_ae_title":     1,
		"named NAMED 127.0.0.1 host":              1,
		"secure SECURE 127.0.0.3 without_tls":     1,
		"pacs ARCHIVE 127.0.0.2 calling_ae_title": 1,
		" NOBODY 127.0.0.9 calling_ae_title":      1,
		" ???[31m 127.0.0.9 calling_ae_title":     1,
	}, rejectedOf(t, n))
	_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "pacs", func(s *nodes.NewServer) error {
		s.Retrieve.AddAddresses("127.0.0.1")
		return nil
	})
	require.NoError(t, err)
	require.NotContains(t, rejectedOf(t, n), "pacs PACS 127.0.0.1 address")
	require.NoError(t, echoFrom(t, n, "127.0.0.1", verification("", "PACS", "ADIT")))
	require.NoError(t, echoFrom(t, n, "127.0.0.2", verification("", "PACS", "ADIT")), "as before")
}

// TestRejectedByTLS: what is wrong with TLS is seen before or after the handshake, at either listener.
func TestRejectedByTLS(t *testing.T) {
	ca, others := testpeer.NewAuthority(t), testpeer.NewAuthority(t)
	own := ca.Issue(t, "localhost")
	server, err := ul.ServerTLS(ul.TLSOptions{Authorities: ca.PEM, Certificate: own.Certificate, Key: own.Key})
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	n := harness.New(t, harness.Config{Receiver: actors.Receiver{TLSListener: l, TLS: server}})
	n.AddServer(
		"pacs", "PACS", "127.0.0.1:104",
		func(s *nodes.NewServer) { s.TLS.Use, s.TLS.ServerName = true, "pacs.example" },
	)
	secured := func(id *testpeer.Identity) dimse.Config {
		cfg := verification(l.Addr().String(), "PACS", "ADIT")
		cfg.TLS, err = ul.ClientTLS(ul.TLSOptions{Authorities: ca.PEM, Certificate: id.Certificate, Key: id.Key})
		require.NoError(t, err)
		return cfg
	}
	right := secured(ca.Issue(t, "pacs.example"))
	require.NoError(t, echo(t, right))
	require.Error(t, echo(t, secured(ca.Issue(t, "other.example"))), "of another name")
	require.Error(t, echo(t, secured(&testpeer.Identity{})), "none")
	require.Error(t, echo(t, secured(others.Issue(t, "pacs.example"))), "of another authority")
	require.Error(t, echo(t, verification(l.Addr().String(), "PACS", "ADIT")), "none at the listener for TLS")
	right.Addr = n.ReceiverAddr
	require.Error(t, echo(t, right), "TLS at the listener without")
	require.Error(t, echo(t, verification(n.ReceiverAddr, "PACS", "ADIT")), "neither")
	want := map[string]int64{
		"pacs PACS 127.0.0.1 certificate": 1, "pacs  127.0.0.1 no_certificate": 2, "pacs  127.0.0.1 plain_to_tls": 1,
		"pacs  127.0.0.1 tls_to_plain": 1, "pacs PACS 127.0.0.1 without_tls": 1,
	}
	require.Eventually(t, func() bool { // what ends with a handshake is taken down after the peer knows
		got := rejectedOf(t, n)
		return fmt.Sprint(got) == fmt.Sprint(want)
	}, harness.Deadline, 10*time.Millisecond)
}

// TestRejectedCallersAreBounded: somebody who calls under many titles, or from many addresses, fills no table, and
// pushes out nobody else's calls. What another process writes down is in the list as well.
func TestRejectedCallersAreBounded(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.Engine.Receive.CountRejected(
		receive.RejectedCall{Server: "quiet", CallingAE: "QUIET", Address: "10.0.0.1", Reason: nodes.CallAddress},
	)
	other := engine.New(n.Pool, n.People, door.NewDoor(n.Pool), slog.New(slog.DiscardHandler), base.Config{})
	other.Receive.CountRejected(receive.RejectedCall{
		Server: "elsewhere", CallingAE: "ELSEWHERE", Address: "10.0.0.1", Reason: nodes.CallAddress,
	})
	require.NoError(t, other.Receive.FlushRejected(t.Context()))
	for range 3 {
		for i := range 1500 {
			n.Engine.Receive.CountRejected(receive.RejectedCall{
				CallingAE: fmt.Sprint("A", i), CalledAE: fmt.Sprint(i),
				Address: "10.0.0.2", Reason: nodes.CallCallingTitle,
			})
			n.Engine.Receive.CountRejected(receive.RejectedCall{
				Server: "busy", CallingAE: fmt.Sprint("B", i),
				Address: fmt.Sprint("10.1.0.", i%256), Reason: nodes.CallCallingTitle,
			})
		}
		require.NoError(t, n.Engine.Receive.FlushRejected(t.Context()))
	}
	rows, err := n.Engine.Receive.RejectedCallers(t.Context(), n.Admin, 0, 10_000)
	require.NoError(t, err)
	byServer, calls := map[string]int{}, map[string]int64{}
	for _, r := range rows {
		byServer[r.Server]++
		calls[r.Server] += r.Calls
	}
	require.Equal(t, 1, byServer["quiet"])
	require.Equal(t, 1, byServer["elsewhere"])
	require.LessOrEqual(t, byServer[""], 2*8, "one address, and what was counted together")
	require.LessOrEqual(t, byServer["busy"], 100)
	require.Positive(t, calls["busy"])
}

// TestTitleShared: an association is one of the server that it was accepted as, and not of another one under whose
// title it comes too, which would have had to use TLS.
func TestTitleShared(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("secure", "SECURE", "127.0.0.1:104", func(s *nodes.NewServer) {
		s.TLS.Use = true
		s.Retrieve.OtherAETitles = []string{"SHARED"}
	})
	n.AddServer("plain", "SHARED", "127.0.0.1:104", nil)
	in := phantom.DemoStudies()[0].Instances()[0]
	a, err := dimse.Dial(t.Context(), dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "SHARED", CalledAE: "ADIT",
		Contexts: []dimse.Context{{AbstractSyntax: in.SOPClassUID, TransferSyntaxes: []string{in.TransferSyntaxUID}}},
	})
	require.NoError(t, err)
	data := in.Open()
	rsp, err := a.Store(t.Context(), dimse.StoreRequest{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
	}, data)
	require.NoError(t, errors.Join(err, data.Close(), a.Release(t.Context())))
	require.Equal(t, dimse.RefusedNotAuthorized, rsp.Status)
	counts, err := n.Engine.Quarantine.UnsolicitedCounts(t.Context(), n.Admin, 0, 10)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	require.Equal(t, "plain", counts[0].Server)
	require.Empty(t, rejectedOf(t, n), "it was let in")
}
