// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package transfer

import "testing"

func TestFaultWindowClosesInALongSeries(t *testing.T) { windowCloses(t, 10_000) }
