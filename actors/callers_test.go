// SPDX-License-Identifier: AGPL-3.0-or-later

package actors_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// echoFrom asks the receiver for an echo from an address of the loopback network.
func echoFrom(t *testing.T, n *harness.Node, from string, cfg dimse.Config) error {
	t.Helper()
	cfg.Addr = testpeer.RelayFrom(t, n.ReceiverAddr, from)
	return echo(t, cfg)
}

// TestFromWhere: a server calls from its host and from its ranges, and from nowhere else.
func TestFromWhere(t *testing.T) {
	n := harness.New(t, harness.Config{})
	ranges := func(list ...string) func(*engine.NewServer) {
		return func(s *engine.NewServer) { s.Retrieve.AddressRanges = list }
	}
	n.AddServer("host", "HOST", "127.0.0.1:104", nil)
	n.AddServer("six", "SIX", net.JoinHostPort("::1", "104"), nil)
	n.AddServer("far", "FAR", "10.9.9.9:104", nil)
	n.AddServer("farm", "FARM", "10.9.9.9:104", ranges("127.0.0.2", "127.0.0.16/28"))
	n.AddServer("both", "BOTH", "127.0.0.1:104", ranges("10.0.0.0/8"))
	n.AddServer("mapped", "MAPPED", "10.9.9.9:104", ranges("::ffff:127.0.0.2", "::ffff:127.0.0.16/124"))
	n.AddServer("any", "ANY", "10.9.9.9:104", ranges("0.0.0.0/0", "::/0"))
	n.AddServer("one", "TWINS", "127.0.0.5:104", nil)
	n.AddServer("other", "OTHER", "127.0.0.6:104", func(s *engine.NewServer) { s.Retrieve.OtherAETitles = []string{"TWINS"} })
	n.AddServer("secure", "SECURE", "127.0.0.1:104", func(s *engine.NewServer) { s.TLS.Use = true })
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
