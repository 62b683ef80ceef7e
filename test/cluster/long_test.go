// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults && linux

package cluster

import (
	"math/rand/v2"
	"testing"
)

// TestFaultCluster lets faults happen in the order of a seed of chance, each several times.
func TestFaultCluster(t *testing.T) {
	happens(t, newFaulty(t, seedOf(t, rand.Uint64()), faultyLease), 8*len(faults))
}
