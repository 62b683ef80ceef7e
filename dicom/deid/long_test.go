// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package deid_test

import "testing"

// TestFaultScanFindsBrokenRules is the long form of TestScanFindsBrokenRules.
func TestFaultScanFindsBrokenRules(t *testing.T) { brokenRules(t, 1) }

// TestFaultOneAnswer is the long form of TestOneAnswer.
func TestFaultOneAnswer(t *testing.T) { oneAnswer(t, 60) }
