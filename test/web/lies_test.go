// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// told is what a server says, and what is to come of it.
type told struct {
	name   string
	says   func(st *phantom.Study) pacs.WebFaults
	also   pacs.Misbehave         // beside what it says by DICOMweb
	change func(*nodes.NewServer) // of the liar's settings; nil: none

	status    string // empty: Success
	delivered int    // -1: all
	message   string // part of the task's
	missing   []int  // indices of the instances that the task names; nil: not looked at
	again     bool   // some may be stored twice
}

// quick is a member that does many tasks at once, and looks often for what has changed.
func quick() harness.Config { return harness.Config{Workers: 24, Lease: 3 * time.Second} }

// tellAll has a study go between servers of which one tells a lie, for each lie, all at the same time: most of their
// time is waiting. start starts and adds the servers.
func tellAll(
	t *testing.T, n *harness.Member, study *phantom.Study, lies []told,
	start func(told, pacs.Misbehave) (source, destination string, dst *pacs.PACS),
) {
	t.Helper()
	type telling struct {
		told
		job int64
		dst *pacs.PACS
	}
	var all []telling
	for _, tt := range lies {
		m := tt.also
		if tt.says != nil {
			m.Web = tt.says(study)
		}
		source, destination, dst := start(tt, m)
		all = append(all, telling{tt, n.Transfer(source, destination, study.StudyInstanceUID).ID, dst})
	}
	for _, tt := range all {
		t.Run(tt.name, func(t *testing.T) {
			n.Wait(tt.job)
			tt.require(t, n, n.Task(tt.job), study, tt.dst)
		})
	}
}

// require asserts how a task ended, and what the destination has of it.
func (tt told) require(t *testing.T, n *harness.Member, task jobs.Task, study *phantom.Study, dst *pacs.PACS) {
	t.Helper()
	if tt.status == "" {
		tt.status = jobs.Success
	}
	if tt.delivered < 0 {
		tt.delivered = len(study.Instances())
	}
	t.Logf("%s: %s %d: %s", tt.name, task.Status, task.Delivered, task.Message)
	require.Equal(t, tt.status, task.Status, task.Message)
	require.Contains(t, task.Message, tt.message)
	stored := kept(t, study, dst, tt.again)
	require.Len(t, stored, tt.delivered, task.Message)
	require.EqualValues(t, tt.delivered, task.Delivered)
	if task.Status == jobs.Success {
		require.NotContains(t, slices.Collect(maps.Values(stored)), false, "not one byte changes")
	}
	if tt.missing == nil {
		return
	}
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
	require.NoError(t, err)
	var missing []string
	for _, s := range series {
		for _, m := range s.Missing {
			missing = append(missing, m.SOPInstanceUID)
		}
	}
	require.ElementsMatch(t, uids(study, tt.missing...), missing)
}

var added atomic.Int64

// add adds a server under a name of its own, which is returned.
func add(n *harness.Member, p *pacs.PACS, changes ...func(*nodes.NewServer)) string {
	name := fmt.Sprintf("PACS%d", added.Add(1))
	n.AddServer(name, name, p.Addr(), func(s *nodes.NewServer) {
		for _, change := range changes {
			if change != nil {
				change(s)
			}
		}
	})
	return name
}

// kept lists the instances of a study that a server took and acknowledged, each once. Those that are wanted have the
// bytes that they were generated with. again: some may come twice.
func kept(t *testing.T, study *phantom.Study, p *pacs.PACS, again bool) map[string]bool {
	t.Helper()
	stored, sums := map[string]bool{}, map[string]string{}
	for _, in := range study.Instances() {
		sum := in.SHA256()
		sums[in.SOPInstanceUID] = hex.EncodeToString(sum[:])
	}
	for _, s := range p.Recorder().Log().Stores {
		noted := s.CallingAE != "" && dimse.Status(s.Status).Class() == dimse.ClassWarning // by DIMSE
		if s.Status != 0 && !noted {
			continue
		}
		if !again {
			require.NotContains(t, stored, s.SOPInstanceUID, "stored twice")
		}
		require.Contains(t, sums, s.SOPInstanceUID, "nobody asked for it")
		stored[s.SOPInstanceUID] = sums[s.SOPInstanceUID] == s.SHA256
	}
	return stored
}
