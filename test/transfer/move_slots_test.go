// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// counted counts, at a source, the C-MOVEs under way. Each of them holds two associations there: the one over which it
// was asked for, and the one that the source opens.
type counted struct {
	mu          sync.Mutex
	now, most   int
	slots       []int // rows of the source during each, at its end
	associated  int   // most associations at once, of both kinds
	rows        func() int
	here, there *pacs.PACS // source, destination
}

func (c *counted) gate(_ context.Context, e pacs.Event) {
	switch e.Kind {
	case pacs.AtMove:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.now++
		c.most = max(c.most, c.now)
	case pacs.AtMoveEnd:
		rows := c.rows()
		c.mu.Lock()
		defer c.mu.Unlock()
		c.slots = append(c.slots, rows)
		c.now--
	case pacs.AtSubOperation:
		c.mu.Lock()
		defer c.mu.Unlock()
		c.associated = max(c.associated, c.here.Recorder().Log().Open+c.now)
	default:
	}
}

// TestMoveCountsTwice: the association over which a source sends what a C-MOVE brings counts against its cap.
func TestMoveCountsTwice(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		cap      int
		moves    int // at most at once
		settings func(*nodes.NewServer)
		direct   bool
		tooMany  int // associations beyond the cap that can't be helped
	}{
		{name: "cap 1", cap: 1, moves: 1, settings: byMove, tooMany: 1},
		{name: "cap 2", cap: 2, moves: 1, settings: byMove},
		{name: "cap 3", cap: 3, moves: 1, settings: byMove},
		{name: "cap 4", cap: 4, moves: 2, settings: byMove},
		{name: "straight to the destination, cap 1", cap: 1, moves: 1, settings: directly, direct: true, tooMany: 1},
		{name: "straight to the destination, cap 2", cap: 2, moves: 1, settings: directly, direct: true},
		{name: "straight to the destination, cap 4", cap: 4, moves: 2, settings: directly, direct: true},
		// Nobody knows before that they will need it: they take it while they run.
		{name: "after C-GET has failed, cap 1", cap: 1, moves: 1, settings: getToo, tooMany: 1},
		{name: "after C-GET has failed, cap 2", cap: 2, moves: 1, settings: getToo},
		{name: "after C-GET has failed, cap 4", cap: 4, moves: 3, settings: getToo},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var studies []*phantom.Study
			var uids []string
			for i := range 6 {
				st := ct(uint64(400+i), 4)
				studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
			}
			n := harness.New(t, harness.Config{Workers: 8})
			c := &counted{}
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			to := movesTo(n)
			to["DST"] = dst.Addr()
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: studies, MoveDestinations: to, Gate: c.gate,
				Misbehave: pacs.Misbehave{Get: pacs.GetFaults{Empty: true}},
			})
			c.here, c.there = src, dst
			var source nodes.DICOMNode
			c.rows = func() (rows int) {
				if err := n.Pool.QueryRow(
					context.Background(), "SELECT count(*) FROM association_slots WHERE server_id = $1", source.ID,
				).Scan(&rows); err != nil {
					return -1
				}
				return rows
			}
			n.AddServer("destination", "DST", dst.Addr(), withCap(20))
			source = n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				withCap(tt.cap)(s)
				s.Supports.StudyRootMove = true
				tt.settings(s)
			})
			job := n.Wait(n.Transfer("source", "destination", uids...).ID)
			tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 10})
			require.NoError(t, err)
			require.Equal(t, jobs.Success, job.Status, fmt.Sprint(tasks))
			for _, task := range tasks {
				require.Zero(t, task.Failures+task.Losses)
			}
			requireOnce(t, dst, 24)
			c.mu.Lock()
			defer c.mu.Unlock()
			require.LessOrEqual(t, c.most, tt.moves, "C-MOVEs at once")
			require.LessOrEqual(t, c.associated, tt.cap+tt.tooMany, "associations at once")
			require.LessOrEqual(t, slices.Max(c.slots), tt.cap)
			require.GreaterOrEqual(t, slices.Min(c.slots), min(2, tt.cap), "rows of slots during a C-MOVE")
			require.Equal(t, tt.direct, len(src.Recorder().Log().Gets) == 0 &&
				src.Recorder().Log().Moves[0].MoveDestination == "DST")
		})
	}
}

// TestMoveWaitsForTwo: a task whose C-MOVE finds one connection free says so.
func TestMoveWaitsForTwo(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", "127.0.0.1:1", func(s *nodes.NewServer) {
		withCap(3)(s)
		byMove(s)
	})
	destination := n.AddServer("destination", "DST", "127.0.0.1:2", withCap(20))
	job := manyTasks(t, n, n.Admin.ID, source, destination, 2, "1.2.3", "1.2.4")
	member := registered(t, n)
	claims := func() (claimed int) {
		for {
			_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
			require.NoError(t, err)
			if !ok {
				return claimed
			}
			claimed++
		}
	}
	require.Equal(t, 1, claims())
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job, jobs.TaskFilter{Status: jobs.Pending, Limit: 10})
	require.NoError(t, err)
	require.Contains(
		t, tasks[0].WhyWaiting,
		"cap reached: a C-MOVE needs two connections, and of those that DICOM Server source allows to jobs only one is free",
	)
}

// TestTurnsAreKept: what a source that takes two C-MOVEs at once has told holds for the next process, too.
func TestTurnsAreKept(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{Workers: 20})
	var studies []*phantom.Study
	var uids []string
	for i := range 16 {
		studies = append(studies, ct(uint64(500+i), 4))
		uids = append(uids, studies[i].StudyInstanceUID)
	}
	var mu sync.Mutex
	came, all := 0, make(chan struct{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: studies, MoveDestinations: movesTo(n), Misbehave: move(pacs.MoveFaults{Limit: 2}),
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind != pacs.AtMove {
				return
			}
			mu.Lock()
			if came++; came == 8 {
				close(all)
			}
			mu.Unlock()
			select {
			case <-all: // so many are asked for at once, of which it refuses six
			case <-ctx.Done():
			}
		},
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	source := n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		byMove(s)
		wide(s)
	})
	n.AddServer("destination", "DST", dst.Addr(), wide)
	job := n.Wait(n.Transfer("source", "destination", uids[:8]...).ID)
	require.Equal(t, jobs.Success, job.Status)
	var limit int
	require.NoError(t, n.Pool.QueryRow(
		t.Context(), "SELECT move_limit FROM server_state WHERE server_id = $1", source.ID,
	).Scan(&limit))
	require.Positive(t, limit)
	require.Less(t, limit, 8, "each refusal sees that those before it have ended")

	n.Stop(harness.Deadline)
	_, err := n.Pool.Exec(
		t.Context(), "UPDATE server_state SET move_limit = 2, moves_good = 0 WHERE server_id = $1", source.ID,
	)
	require.NoError(t, err)
	before := len(src.Recorder().Log().Moves)
	n.Start()
	job = n.Wait(n.Transfer("source", "destination", uids[8:]...).ID)
	require.Equal(t, jobs.Success, job.Status)
	require.LessOrEqual(
		t, len(src.Recorder().Log().Moves)-before, 8+1,
		"what was learned outlives the process; one more at once is tried after eight",
	)
	requireOnce(t, dst, 64)
}
