// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package client_test

import (
	"testing"
	"time"
)

// TestFaultNetworkLost: as TestNetworkLost, for 20 s each time.
func TestFaultNetworkLost(t *testing.T) {
	for _, f := range []fate{cut, blackHole} {
		t.Run(f.name, func(t *testing.T) {
			workThrough(t, f, func(*network) { <-time.After(20 * time.Second) })
		})
	}
}
