// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestClusterCaps: what a server allows holds of all members together, counted at the PACS: associations at once, by
// C-GET, C-MOVE and C-STORE, and studies per minute.
func TestClusterCaps(t *testing.T) {
	c := newCluster(t, 3, options{seed: 2})
	const most = 5
	gotten, moved := newStudies(2000, 40, 1, 3), newStudies(2100, 40, 1, 3)
	gets, moves := newMeeting(most, pacs.AtGet), newMeeting(most, pacs.AtMove)
	get := c.newPACS(pacs.Config{AETitle: "GET", Studies: gotten, Gate: gets.gate})
	move := c.newPACS(pacs.Config{AETitle: "MOVE", Studies: moved, Gate: moves.gate})
	destination := c.newPACS(pacs.Config{AETitle: "DST"})
	capped := func(s *client.ServerSettings) { s.BatchCap, s.InteractiveCap = new(most), new(0) }
	c.addServer("GET", get.Addr(), byGet, capped)
	// Each C-MOVE counts the association of its C-STOREs, too.
	c.addServer("MOVE", move.Addr(), byMove, func(s *client.ServerSettings) {
		s.BatchCap, s.InteractiveCap = new(2*most), new(0)
	})
	c.addServer("DST", destination.Addr(), byGet, func(s *client.ServerSettings) {
		s.BatchCap, s.InteractiveCap = new(2*most), new(0)
	})
	jobs := []client.Job{
		c.transfer(c.members[0], "get", "dst", gotten), c.transfer(c.members[1], "move", "dst", moved),
	}
	c.requireSuccess(jobs, concat(gotten, moved))
	require.Zero(t, requireStored(t, destination, concat(gotten, moved)))
	for name, p := range map[string]struct {
		*pacs.PACS
		most int
	}{"source by C-GET": {get, most}, "source by C-MOVE": {move, most}, "destination": {destination, 2 * most}} {
		log := p.Recorder().Log()
		require.LessOrEqual(t, log.Peak, p.most, name)
		require.Zero(t, log.Lost, "%s: every association was released politely", name)
	}
	require.Equal(t, most, get.Recorder().Log().Peak, "the cap is used")
	require.Equal(t, most, move.Recorder().Log().Peak, "the cap is used")
	c.requireFree()

	const perMinute = 240
	_, err := c.members[1].Servers.SetSchedule(t.Context(), "get", client.Schedule{
		Default: client.Limits{Batch: 40, StudiesPerMinute: perMinute},
	})
	require.NoError(t, err)
	paced := newStudies(2200, 40, 1, 1)
	get.AddStudies(paced...)
	c.requireSuccess([]client.Job{c.transfer(c.members[2], "get", "dst", paced)}, paced)
	requirePace(t, get, paced, perMinute)
}

// meeting has the first so many operations of a PACS wait for each other, so that all of them run at once.
type meeting struct {
	kind  pacs.EventKind
	most  int32
	begun atomic.Int32
	all   chan struct{}
}

func newMeeting(most int, kind pacs.EventKind) *meeting {
	return &meeting{kind: kind, most: int32(most), all: make(chan struct{})}
}

func (m *meeting) gate(ctx context.Context, e pacs.Event) {
	if e.Kind != m.kind {
		return
	}
	if m.begun.Add(1) == m.most {
		close(m.all)
	}
	select {
	case <-m.all:
	case <-ctx.Done():
	}
}

// requirePace checks that studies were begun no faster than the rate, by when their source was first asked for each.
func requirePace(t *testing.T, p *pacs.PACS, studies []*phantom.Study, perMinute int) {
	t.Helper()
	const slack = 1500 * time.Millisecond // half a second that may be made up for, and a second on the way
	first := map[string]time.Time{}
	log := p.Recorder().Log()
	for _, q := range slices.Concat(log.Finds, log.Gets) {
		for _, uid := range q.StudyInstanceUIDs {
			if before, asked := first[uid]; !asked || q.Time.Before(before) {
				first[uid] = q.Time
			}
		}
	}
	var starts []time.Time
	for _, s := range studies {
		require.Contains(t, first, s.StudyInstanceUID)
		starts = append(starts, first[s.StudyInstanceUID])
	}
	slices.SortFunc(starts, time.Time.Compare)
	for i := range starts {
		for j := i + 1; j < len(starts); j++ {
			require.GreaterOrEqual(
				t, starts[j].Sub(starts[i]), time.Duration(j-i)*time.Minute/time.Duration(perMinute)-slack,
				"%d starts after start %d", j-i, i,
			)
		}
	}
}
