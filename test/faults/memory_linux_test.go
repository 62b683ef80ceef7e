// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs/pacstest"
	"github.com/adit-go/adit/dicom/phantom"
)

const mostMemory = 150 << 20 // bytes, of adit itself

var highWater = regexp.MustCompile(`VmHWM:\s+(\d+) kB`)

// memory is the most that a process ever had in memory, in bytes.
func memory(t *testing.T, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	m := highWater.FindSubmatch(text)
	require.NotNil(t, m, "%s", text)
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	require.NoError(t, err)
	return kb << 10
}

// multiFrame is a study of one object with so many MB of pixel data.
func multiFrame(seed uint64, megabytes int) pacstest.Study {
	return pacstest.Study{Seed: seed, Spec: phantom.StudySpec{
		Patient: phantom.Patient{ID: "F8", Name: "Fault^Cyd"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.MultiFrame, Rows: 1024, Columns: 512, Frames: megabytes}},
	}}
}

// An object passes in bounded memory, whatever its size. It is made while it is sent, and never on a disk.
func TestMemory(t *testing.T) {
	for _, c := range []struct {
		name           string
		tasks, objects int // of so many MB
	}{
		{"one object of 1 GB", 1, 1000},
		{"four objects of 200 MB at once", 4, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := pacstest.Start(t), pacstest.Start(t)
			s := serve(t, newDataDir(t))
			s.addServer("from", from.Addr, 0)
			s.addServer("to", to.Addr, 0)
			var jobs []client.Job
			for i := range c.tasks {
				study := multiFrame(uint64(80+i), c.objects)
				from.AddStudies(t, study)
				jobs = append(jobs, s.transfer("from", "to", phantom.New(study.Seed, study.Spec).StudyInstanceUID))
			}
			for _, job := range jobs {
				require.Equal(t, client.Success, s.awaitFinal(job.ID).Status, s.task(job.ID).Message)
			}
			sent := map[string]string{}
			for _, o := range from.Log(t).Sent {
				require.Greater(t, o.Bytes, int64(c.objects)<<20)
				sent[o.SOPInstanceUID] = o.SHA256
			}
			got := map[string]string{}
			for _, o := range to.Log(t).Stores {
				got[o.SOPInstanceUID] = o.SHA256
			}
			require.Len(t, sent, c.tasks)
			require.Equal(t, sent, got)

			most := memory(t, s.cmd.Process.Pid)
			require.Less(t, most, int64(mostMemory))
			database := int64(0)
			for _, pid := range append(children(t, s.postmaster()), s.postmaster()) {
				database = max(database, memory(t, pid))
			}
			t.Logf(
				"most memory: adit %.1f MB; the largest process of its PostgreSQL %.1f MB",
				float64(most)/1e6, float64(database)/1e6,
			)
		})
	}
}
