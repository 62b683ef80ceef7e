// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package db_test

import "testing"

// TestFaultPlans is TestPlans at the size of a site that has run for a while.
func TestFaultPlans(t *testing.T) { testPlans(t, 300_000) }
