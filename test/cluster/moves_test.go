// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
)

// TestClusterMoves: three members behind one address, and 200 tasks that Orthanc and dcmqrscp send by C-MOVE to
// whichever member the balancer picks. Every instance reaches its own task, and at least half of them came to a member
// that had to hand them on.
func TestClusterMoves(t *testing.T) {
	const each = 50
	c := newCluster(t, 3, options{seed: 1, proxy: true})
	wide := func(s *client.ServerSettings) { s.BatchCap = new(24) }
	studies := newStudies(100, 4*each, 1, 3)
	orthanc, qrscp := studies[:2*each], studies[2*each:]
	c.addServer("ORTHANC", c.newOrthanc(orthanc).Addr, byMove, wide)
	c.addServer("QRSCP", c.newDcmQRSCP(qrscp).Addr, byMove, wide)
	destination := c.newPACS(pacs.Config{AETitle: "DST"})
	c.addServer("DST", destination.Addr(), byGet, wide)
	disk := c.addFolder("disk")

	jobs := []client.Job{
		c.transfer(c.members[0], "orthanc", "disk", orthanc[:each]),
		c.transfer(c.members[1], "orthanc", "dst", orthanc[each:]),
		c.transfer(c.members[2], "qrscp", "disk", qrscp[:each]),
		c.transfer(c.members[0], "qrscp", "dst", qrscp[each:]),
	}
	c.requireSuccess(jobs, studies)
	requireFiles(t, disk, concat(orthanc[:each], qrscp[:each]))
	require.Zero(t, requireStored(t, destination, concat(orthanc[each:], qrscp[each:])))
	c.requireCrossed(len(sums(studies)) / 2)
	c.requireFree()
}

// crossed counts what members handed each other.
const crossed = "adit_cluster_objects_total"

// requireCrossed checks that so many instances were handed from one member to another, and that each side counts the
// same.
func (c *cluster) requireCrossed(least int) {
	c.t.Helper()
	var sent, taken float64
	for _, m := range c.members {
		s := m.metric(crossed, `direction="sent"`, `outcome="taken"`)
		g := m.metric(crossed, `direction="taken"`, `outcome="taken"`)
		c.t.Logf("%s handed on %.0f instances and was handed %.0f", m.name, s, g)
		sent, taken = sent+s, taken+g
	}
	require.Equal(c.t, int(sent), int(taken))
	require.GreaterOrEqual(c.t, taken, float64(least))
}

// requireFree waits until no task is held and no association counts any more.
func (c *cluster) requireFree() {
	c.t.Helper()
	await(c.t, "the end of all slots", func() bool { return one[int](c, "SELECT count(*) FROM association_slots") == 0 })
	require.Zero(c.t, one[int](c, "SELECT count(*) FROM tasks WHERE lease_member IS NOT NULL"))
}
