// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs/pacstest"
	"github.com/adit-go/adit/dicom/phantom"
)

// By DICOMweb, too, an object passes in bounded memory, whatever its size: retrieved by WADO-RS, stored by STOW-RS, and
// both.
func TestMemoryByWeb(t *testing.T) {
	for _, c := range []struct {
		name           string
		from, to       bool // by DICOMweb
		tasks, objects int  // of so many MB
	}{
		{"one object of 1 GB, both ways", true, true, 1, 1000},
		{"four objects of 200 MB at once, both ways", true, true, 4, 200},
		{"four objects of 200 MB at once, retrieved", true, false, 4, 200},
		{"four objects of 200 MB at once, stored", false, true, 4, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, to := pacstest.Start(t, "-web"), pacstest.Start(t, "-web")
			s := serve(t, newDataDir(t))
			for name, at := range map[string]struct {
				p     *pacstest.Process
				byWeb bool
			}{"from": {from, c.from}, "to": {to, c.to}} {
				if at.byWeb {
					s.addWeb(name, at.p.WebURL)
				} else {
					s.addServer(name, at.p.Addr, 0)
				}
			}
			var jobs []client.Job
			for i := range c.tasks {
				study := multiFrame(uint64(90+i), c.objects)
				from.AddStudies(t, study)
				jobs = append(jobs, s.transfer("from", "to", phantom.New(study.Seed, study.Spec).StudyInstanceUID))
			}
			for _, job := range jobs {
				require.Equal(t, client.Success, s.awaitFinal(job.ID).Status, s.task(job.ID).Message)
			}
			sent, got := map[string]string{}, map[string]string{}
			for _, o := range from.Log(t).Sent {
				require.Greater(t, o.Bytes, int64(c.objects)<<20)
				sent[o.SOPInstanceUID] = o.SHA256
			}
			for _, o := range to.Log(t).Stores {
				got[o.SOPInstanceUID] = o.SHA256
			}
			require.Len(t, sent, c.tasks)
			require.Equal(t, sent, got)
			most := memory(t, s.cmd.Process.Pid)
			require.Less(t, most, int64(mostMemory))
			t.Logf("most memory: adit %.1f MB", float64(most)/1e6)
		})
	}
}
