// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults && linux

package faults

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFaultManyFrames: 100,000 frames, a header of 200 MB, pass in the memory that any object takes.
func TestFaultManyFrames(t *testing.T) {
	command, server := manyFrames(t, 100_000)
	t.Logf("most memory: adit deid %.1f MB, adit serve %.1f MB", float64(command)/1e6, float64(server)/1e6)
	require.Less(t, command, int64(300<<20))
	require.Less(t, server, int64(300<<20))
}
