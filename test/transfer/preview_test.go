// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// TestPreviewOfSchedules: what a schedule would mean is told before it is saved, is what happens when it is, and
// changes nothing.
func TestPreviewOfSchedules(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", "127.0.0.1:1", withCap(8))
	destination := n.AddServer("destination", "DST", "127.0.0.1:2", withCap(8))
	shiftTo(t, n, berlin(t, "2030-06-03 12:00:00"))
	manyTasks(t, n, n.Admin.ID, source, destination, 10, "1.2.3")
	member := registered(t, n)
	for range 4 {
		_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
		require.NoError(t, err)
		require.True(t, ok)
	}
	_, err := n.Pool.Exec(t.Context(), `INSERT INTO association_slots (server_id, use, member_id, task_id, token, further)
		SELECT server_id, use, member_id, task_id, token, true FROM association_slots WHERE server_id = $1 ORDER BY id LIMIT 1`, source.ID)
	require.NoError(t, err)
	before, err := n.Engine.Nodes.Schedule(t.Context(), "source")
	require.NoError(t, err)
	grace := func(seconds int, s schedule.Schedule) schedule.Schedule {
		s.Grace = &seconds
		return s
	}
	caps := func(batch, interactive int) schedule.Schedule {
		return schedule.Schedule{Default: schedule.Limits{Batch: batch, Interactive: interactive}}
	}
	for name, tt := range map[string]struct {
		s             schedule.Schedule
		over, further int
		waiting       int
		until         string // in force
		effects       []string
	}{
		"as it is":         {s: caps(8, 2), effects: []string{"Nothing that runs or waits now would be affected."}},
		"room for all":     {s: caps(5, 2), effects: []string{"Nothing that runs or waits now would be affected."}},
		"no further ones":  {s: caps(4, 2), further: 1, effects: []string{"Running studies would give back 1 further connection."}},
		"one study":        {s: caps(3, 0), over: 1, further: 1, effects: []string{"1 running study would be over the new cap: it finishes its series within 5 minutes and waits.", "Running studies would give back 1 further connection.", "Nobody could search the server now."}},
		"two, with grace":  {s: grace(90, caps(2, 2)), over: 2, further: 1, effects: []string{"2 running studies would be over the new cap: they finish their series within 90 seconds and wait.", "Running studies would give back 1 further connection."}},
		"two, without":     {s: grace(0, caps(2, 2)), over: 2, further: 1, effects: []string{"2 running studies would be over the new cap: they stop at the next instance and wait.", "Running studies would give back 1 further connection."}},
		"closed until":     {s: grace(60, night(2)), over: 4, further: 1, waiting: 6, until: "2030-06-03T20:00:00+02:00", effects: []string{"4 running studies would be over the new cap: they finish their series within 1 minute and wait.", "Running studies would give back 1 further connection.", "6 studies would wait until 2030-06-03 20:00 CEST."}},
		"closed for ever":  {s: caps(0, 1), over: 4, further: 1, waiting: 6, effects: []string{"4 running studies would be over the new cap: they finish their series within 5 minutes and wait.", "Running studies would give back 1 further connection.", "6 studies would wait, and no window opens the server for jobs within a year."}},
		"closed for all":   {s: caps(0, 0), over: 4, further: 1, waiting: 6, effects: []string{"4 running studies would be over the new cap: they finish their series within 5 minutes and wait.", "Running studies would give back 1 further connection.", "6 studies would wait, and no window opens the server for jobs within a year.", "Nobody could use the server now."}},
		"what is named so": {s: named(), until: "2030-06-03T20:00:00+02:00", effects: []string{"Nothing that runs or waits now would be affected."}},
	} {
		p, err := n.Engine.Nodes.PreviewSchedule(t.Context(), n.Admin, "source", tt.s)
		require.NoError(t, err, name)
		require.Equal(t, [3]int{tt.over, tt.further, tt.waiting}, [3]int{p.Over, p.Further, p.Waiting}, name)
		require.Equal(t, tt.effects, p.Effects, name)
		require.Equal(t, tt.s.Default, p.Now.InForce, name)
		if tt.until != "" {
			require.Equal(t, tt.until, p.Now.Until.Format(time.RFC3339), name)
			require.Equal(t, tt.s.Windows[0].Limits, p.Next.Limits, name)
			require.Equal(t, "2030-06-04T06:00:00+02:00", p.Next.Until.Format(time.RFC3339), name)
		}
		after, err := n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		require.Equal(t, before.Schedule, after.Schedule, "%s: nothing is changed", name)
	}
	setSchedule(t, n, "source", caps(0, 1))
	p, err := n.Engine.Nodes.PreviewSchedule(t.Context(), n.Admin, "source", caps(8, 2))
	require.NoError(t, err)
	require.Equal(t, 6, p.Starting)
	require.Equal(t, []string{"6 waiting studies may start at once."}, p.Effects)

	// It happens as it was told.
	setSchedule(t, n, "source", grace(0, caps(2, 2)))
	orders, err := n.Engine.Lease.Orders(t.Context(), member, "test")
	require.NoError(t, err)
	parked, further := 0, 0
	for _, o := range orders.Tasks {
		if o.Park {
			parked++
		} else {
			further += len(o.Slots)
		}
	}
	require.Equal(t, [2]int{2, 1}, [2]int{parked, further})

	// Jobs that may run outside the windows are kept by none of them.
	_, err = n.Pool.Exec(t.Context(), "UPDATE jobs SET outside_windows = true")
	require.NoError(t, err)
	outside := night(2)
	outside.Default.Interactive, outside.Default.Batch = 2, 0
	p, err = n.Engine.Nodes.PreviewSchedule(t.Context(), n.Admin, "source", outside)
	require.NoError(t, err)
	require.Equal(t, 6, p.Waiting, "the default's cap holds for them, which is none")

	bad := caps(2, 2)
	bad.Default.Batch = -1
	_, err = n.Engine.Nodes.PreviewSchedule(t.Context(), n.Admin, "source", bad)
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "default.batch", invalid.Field)
	_, err = n.Engine.Nodes.PreviewSchedule(t.Context(), people.User{ID: 4711}, "source", caps(1, 1))
	var denied *people.Denied
	require.ErrorAs(t, err, &denied)
}

// named has the same limits by day and by night, and other words for them.
func named() schedule.Schedule {
	s := night(8)
	s.Default = schedule.Limits{Name: "day", Batch: 8, Interactive: 2}
	s.Windows[0].Limits = schedule.Limits{Name: "late night", Batch: 8, Interactive: 2}
	return s
}

// TestNamesOfLevels: what people call the limits of a window and of the default is kept and told.
func TestNamesOfLevels(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	for at, want := range map[string]string{"2030-06-03 12:00:00": "day", "2030-06-03 22:00:00": "late night"} {
		shiftTo(t, n, berlin(t, at))
		setSchedule(t, n, "source", named())
		kept, err := n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		require.Equal(t, want, kept.Now.InForce.Name)
		require.Equal(t, named(), kept.Schedule)
		require.Contains(t, []string{"20:00", "06:00"}, kept.Now.Until.Format("15:04"), "another name is another level")
	}
}
