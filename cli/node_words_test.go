// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

// TestTakesWords: a list tells of a server that takes less than it is allowed to how much, why not one, and when it is
// asked again.
func TestTakesWords(t *testing.T) {
	later, past := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for want, n := range map[string]client.Node{
		"read":                                {Source: true},
		"read (takes 3 of 8 now)":             {Source: true, Takes: new(3), TakesOf: new(8)},
		"read (takes 3 now)":                  {Source: true, Takes: new(3)},
		"nothing (takes 0 of 8 now)":          {Takes: new(0), TakesOf: new(8)},
		"nothing (paused) (takes 0 of 8 now)": {Takes: new(0), TakesOf: new(8), Paused: true},
		"read (takes 3 of 8 now, asked again at " + command.Stamp(later) + ")": {
			Source: true, Takes: new(3), TakesOf: new(8), NextProbe: &later,
		},
		"read (takes 3 of 8 now, asked again with the next task)": {Source: true, Takes: new(3), TakesOf: new(8), NextProbe: &past},
		"read (takes 0 of 8 now: nothing listens there, asked again at " + command.Stamp(later) + ")": {
			Source: true, Takes: new(0), TakesOf: new(8), NextProbe: &later, Down: "nothing listens there",
		},
	} {
		require.Equal(t, want, usesWords(n))
	}
}

// TestAddressOf: a list says by which ways a server is reached.
func TestAddressOf(t *testing.T) {
	web := client.DICOMweb{RootURL: "https://pacs.example.org/rs"}
	for want, s := range map[string]client.ServerSettings{
		"pacs:104":                    {Host: "pacs", Port: 104},
		"https://pacs.example.org/rs": {DICOMweb: web},
		"pacs:104 and https://pacs.example.org/rs": {Host: "pacs", Port: 104, DICOMweb: web},
	} {
		require.Equal(t, want, addressOf(&client.Server{ServerSettings: s}))
	}
}
