// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPauses: the first try is made at once, later ones after a second, two, and a minute at the most.
func TestPauses(t *testing.T) {
	var p pauses
	var got []time.Duration
	for range 9 {
		got = append(got, p.next())
	}
	require.Equal(t, []time.Duration{
		0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		16 * time.Second, 32 * time.Second, time.Minute, time.Minute,
	}, got)
	p = 1000
	require.Equal(t, time.Minute, p.next())
}
