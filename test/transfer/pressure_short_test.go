// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !faults

package transfer

// leeway is how much of what is measured by the simulated clock is left to a machine that does other work beside: that
// clock goes on while the program waits for its turn. The long suite has none, and runs what takes long.
const (
	leeway = 2
	long   = false
)
