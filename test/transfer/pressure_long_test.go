// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package transfer

import (
	"fmt"
	"testing"
	"time"
)

// As pressure_short_test.go says.
const (
	leeway = 1
	long   = true
)

func TestFaultHealthWalks(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	healthWalks(t, seed, 1000, 7*24*time.Hour)
}

// TestFaultRefusesAll is TestRefusesAll at all caps and latencies.
func TestFaultRefusesAll(t *testing.T) {
	for _, kind := range sicknesses {
		for _, limit := range []int{1, 2, 4, 8} {
			for _, latency := range []time.Duration{0, 50 * time.Millisecond} {
				t.Run(fmt.Sprintf("%s, cap %d, %s", kind.name, limit, latency), func(t *testing.T) {
					t.Parallel()
					refusesAll(t, kind, limit, latency)
				})
			}
		}
	}
}
