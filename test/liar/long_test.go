// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package liar

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFaultLyingPeer is TestLyingPeer of 10,000 tasks; ADIT_FAULT_SEED repeats a run.
func TestFaultLyingPeer(t *testing.T) {
	seed := rand.Uint64() >> 8
	if text := os.Getenv("ADIT_FAULT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("ADIT_FAULT_SEED=%d", seed)
	runLies(t, seed, 10_000, 200)
}
