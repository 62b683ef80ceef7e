// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
)

// TestServerCores: a server leaves the number of cores to Go, but on two takes one.
func TestServerCores(t *testing.T) {
	for all, want := range map[int]int{1: 1, 2: 1, 3: 3, 4: 4, 64: 64} {
		require.Equal(t, want, command.ServerCores(all), all)
	}
}

// TestTakeCores: what was taken is given back, and a number that the environment names is left alone.
func TestTakeCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	t.Setenv("GOMAXPROCS", "")
	runtime.SetDefaultGOMAXPROCS()
	all := runtime.GOMAXPROCS(0)
	giveBack := command.TakeCores(func(n int) int { return n + 1 })
	require.Equal(t, all+1, runtime.GOMAXPROCS(0))
	giveBack()
	require.Equal(t, all, runtime.GOMAXPROCS(0))
	t.Setenv("GOMAXPROCS", "7")
	command.TakeCores(command.One)()
	require.Equal(t, all, runtime.GOMAXPROCS(0))
}
