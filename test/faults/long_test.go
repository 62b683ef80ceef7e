// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults && linux

package faults

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
)

// rounds is how many random points each kind of kill is tried at; ADIT_FAULT_SEED repeats a run.
const rounds = 8

// kill -9 at random points, at either side, twice within one transfer.
func TestFaultKillAnywhere(t *testing.T) {
	seed := rand.Uint64()
	if text := os.Getenv("ADIT_FAULT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("ADIT_FAULT_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	kinds := []where{
		{atSource: true, kind: pacs.AtFind},
		{atSource: true, kind: pacs.AtSubOperation},
		{atSource: true, kind: pacs.AtGetEnd},
		{kind: pacs.AtStore},
		{kind: pacs.AtStoreResponse},
	}
	for _, name := range []string{"server", "database", "database, with a short lease", "both"} {
		for round := range rounds {
			at := kinds[random.IntN(len(kinds))]
			switch at.kind {
			case pacs.AtSubOperation:
				at.number = 1 + random.IntN(500)
			case pacs.AtStore, pacs.AtStoreResponse:
				at.number = 1 + random.IntN(1500)
			}
			t.Run(name+" "+strconv.Itoa(round)+" at "+string(at.kind)+" "+strconv.Itoa(at.number), func(t *testing.T) {
				k := kills[name]
				tr := newTransit(t, newStudy(100+uint64(round), 3, 500), at, k.args...)
				k.kill(tr)
				again := tr.to.Recorder()
				// Once more, wherever the transfer is by then.
				require.NoError(t, again.WaitStores(t.Context(), min(1500, len(again.Log().Stores)+random.IntN(300))))
				k.kill(tr)
				tr.requireComplete(2 * k.repeated)
			})
		}
	}
}

// For half an hour, or for ADIT_FAULT_FOR (as in 1h), odd requests and associations of all kinds, while transfers are
// made.
func TestFaultMixedFuzz(t *testing.T) {
	long := 30 * time.Minute // of the hour that the whole suite has
	if text := os.Getenv("ADIT_FAULT_FOR"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	mixedFuzz(t, 0, long)
}

// For ten minutes, or for ADIT_FAULT_FOR, ten tasks a second with cancels: nothing grows with how many there were.
func TestFaultSoak(t *testing.T) {
	long := 10 * time.Minute
	if text := os.Getenv("ADIT_FAULT_FOR"); text != "" {
		var err error
		long, err = time.ParseDuration(text)
		require.NoError(t, err)
	}
	soak(t, long)
}
