// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"os"
	"runtime"
)

// TakeCores has Go code run on so many of all cores at once until giveBack, unless the environment names a number
// (GOMAXPROCS).
func TakeCores(of func(all int) int) (giveBack func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	runtime.SetDefaultGOMAXPROCS()
	all := runtime.GOMAXPROCS(0)
	if n := of(all); n != all { // a number that is set doesn't follow the limit of a container any more
		runtime.GOMAXPROCS(n)
	}
	return runtime.SetDefaultGOMAXPROCS
}

// ServerCores is what a server takes. Nearly all of ADIT's work is the kernel's. On two cores a second thread of the
// runtime looks for work, finds none, and is in the way of PostgreSQL: one is quicker, as was measured. Larger
// machines, where it was not, are left to Go, so that de-identification and TLS have all of their cores
// (docs/decisions/0009).
func ServerCores(all int) int {
	if all == 2 {
		return 1
	}
	return all
}

// One is what a command takes whose work is one thing after the other: waking another thread costs more than it brings.
func One(int) int { return 1 }
