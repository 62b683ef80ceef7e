// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
)

// TestDeidPlanMemory: 100,000 files of 20,000 patients are planned, and their sessions kept, within what a laptop has
// to spare.
func TestDeidPlanMemory(t *testing.T) {
	const n, most = 100_000, 96 << 20
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	folder, err := LookAtFolder("", deid.Key{}, deid.Subject{}, p)
	require.NoError(t, err)
	files := make([]string, n)
	for i := range files {
		files[i] = fmt.Sprintf("/data/ward/patient-%05d/image-%07d.dcm", i/5, i)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	pl := newPlanner(files, derivedNames{}, nil)
	for i := range files {
		pl.take(int32(i), facts{
			patientID: fmt.Sprintf("HOSPITAL-%d", i/5),
			study:     fmt.Sprintf("1.2.826.0.1.3680043.8.498.1234567890123456789012345678901.%d", i/5),
			instance:  fmt.Sprintf("1.2.826.0.1.3680043.8.498.1234567890123456789012345678901.1.%d", i),
		})
	}
	pl.judge(folder)
	require.Empty(t, pl.problems)
	require.Len(t, pl.plan.patients, n/5)
	d := newDeidRun(command.Streams{}, p, deid.Subject{}, pl.plan, folder)
	for i := range pl.plan.patients {
		_, err := d.sessions.of(int32(i))
		require.NoError(t, err)
	}
	require.Len(t, d.sessions.open, mostSessions)
	used := heap() - before
	runtime.KeepAlive(d)
	require.Less(t, used, uint64(most), "%d MiB", used>>20)
}
