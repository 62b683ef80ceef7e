// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
)

// bearing is a server whose pressure is judged event by event.
type bearing struct {
	t *testing.T
	pressure
}

func newBearing(t *testing.T, limit int32) *bearing {
	return &bearing{t: t, pressure: pressure{
		ServerState: db.ServerState{Breaker: "closed", Echo: true, BatchCap: limit},
		now:         time.Unix(1e9, 0), longest: 90 * time.Second,
	}}
}

// says is what a server says of itself: "any" as many as its cap, else its allowance, with the pause until more is
// tried.
func (b *bearing) is(allowance int32, open bool, pause time.Duration) {
	b.t.Helper()
	require.NotNil(b.t, b.Allowance)
	require.Equal(b.t, allowance, *b.Allowance)
	require.Equal(b.t, open, b.open())
	if pause == 0 {
		require.Nil(b.t, b.ProbeAt)
		return
	}
	require.NotNil(b.t, b.ProbeAt)
	require.Equal(b.t, pause, b.ProbeAt.Sub(b.now))
}

func (b *bearing) refused(task int64, used int32, d Down) bool {
	b.used = used
	return b.refuse(&d, task, false)
}

// tried lets the pause pass, and a task be the trial.
func (b *bearing) tried(task int64) {
	b.t.Helper()
	require.NotNil(b.t, b.ProbeAt)
	b.now, b.TrialTask = *b.ProbeAt, &task
}

// TestPausesOfProduction: those that the other tests take for production's are.
func TestPausesOfProduction(t *testing.T) {
	c := base.Config{}.WithDefaults()
	require.Equal(t, 90*time.Second, c.ProbePause)
	require.Equal(
		t, []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute},
		c.WaitPauses,
	)
	require.Equal(t, []time.Duration{2 * time.Minute, 4 * time.Minute}, c.RetryPauses)
}

// TestPressure follows a server through what it says by refusing and by letting through.
func TestPressure(t *testing.T) {
	full, gone := Down{Reason: "full"}, Down{Reason: "gone", Gone: true, Echo: true}
	t.Run("the first refusal is the study's, and the same study's next one", func(t *testing.T) {
		b := newBearing(t, 8)
		for range 5 {
			require.False(t, b.refused(1, 8, full))
		}
		require.Nil(t, b.Allowance)
		b.Succeed(2)
		require.False(t, b.refused(3, 8, full))
		b.Succeed(2)
		require.False(t, b.refused(1, 8, full), "another one, with a success in between")
		require.Nil(t, b.Allowance)
		require.False(t, b.open())
	})
	t.Run("another study's halves what is in use, down to nothing", func(t *testing.T) {
		b := newBearing(t, 8)
		require.False(t, b.refused(1, 8, full))
		require.True(t, b.refused(2, 7, full))
		b.is(3, false, 5*time.Second)
		require.True(t, b.refused(3, 6, full))
		b.is(1, false, 10*time.Second)
		require.True(t, b.refused(4, 5, full))
		b.is(0, true, 5*time.Second)
		require.True(t, b.refused(5, 4, full), "one that was under way changes nothing")
		b.is(0, true, 5*time.Second)
		require.False(t, b.Echo, "a C-ECHO would prove nothing")
	})
	t.Run("the pause doubles with each trial, up to the longest", func(t *testing.T) {
		b := newBearing(t, 1)
		b.refused(1, 1, full)
		b.refused(2, 1, full)
		for i, pause := range []int{5, 10, 20, 40, 80, 90, 90} {
			b.is(0, true, time.Duration(pause)*time.Second)
			b.tried(int64(10 + i))
			require.True(t, b.refused(int64(10+i), 1, full))
		}
	})
	t.Run("growth stops below what was refused, where one more is tried after a while", func(t *testing.T) {
		b := newBearing(t, 8)
		b.refused(1, 5, full)
		b.refused(2, 4, full)
		b.is(2, false, 5*time.Second)
		for range 5 {
			b.Succeed(3)
			b.is(3, false, 5*time.Second)
		}
		b.tried(4)
		b.refused(6, 4, full)
		b.Succeed(4)
		b.is(3, false, 10*time.Second) // it took the place of another one
		for _, pause := range []time.Duration{20 * time.Second, 40 * time.Second, time.Minute, time.Minute} {
			b.tried(4)
			require.True(t, b.refused(4, 4, full))
			b.is(3, false, pause)
			b.Succeed(3)
			b.is(3, false, pause)
		}
		b.tried(4)
		b.Succeed(4)
		b.is(4, false, 5*time.Second)
		b.Succeed(3)
		b.is(4, false, 5*time.Second)
		require.True(t, b.refused(5, 4, full), "one was refused in its place")
		b.is(3, false, time.Minute)
		b.tried(4)
		b.Succeed(4)
		b.now = *b.ProbeAt
		b.Succeed(3)
		b.is(5, false, 0)
		for range 3 {
			b.Succeed(5)
		}
		require.Nil(t, b.Allowance, "the cap is reached, and nothing is learned any more")
	})
	t.Run("what can't be connected to is closed at once, and opened by a C-ECHO", func(t *testing.T) {
		b := newBearing(t, 8)
		require.True(t, b.refused(1, 1, gone))
		b.is(0, true, 5*time.Second)
		require.True(t, b.Echo)
		b.answered()
		b.is(1, false, 0)
		require.True(t, b.refused(2, 1, gone), "it answers C-ECHO, and nothing else")
		b.is(0, true, 10*time.Second)
		require.False(t, b.Echo, "a task is the next trial")
		b.tried(3)
		b.Succeed(3)
		b.is(2, false, 0)
		require.True(t, b.refused(4, 1, gone))
		require.True(t, b.Echo)
		b.is(0, true, 5*time.Second)
	})
	t.Run("one that lets the first instance through and refuses the second is no better", func(t *testing.T) {
		b := newBearing(t, 4)
		b.refused(1, 1, full)
		b.refused(2, 1, full)
		for i, pause := range []int{5, 10, 20, 40, 80, 90} {
			b.is(0, true, time.Duration(pause)*time.Second)
			task := int64(10 + i)
			b.tried(task)
			b.Succeed(task)
			require.False(t, b.open())
			require.True(t, b.refused(task, 1, full))
		}
	})
	t.Run("a server that names a time is not asked before", func(t *testing.T) {
		b := newBearing(t, 8)
		busy := Down{Reason: "it asks to wait for 10m0s", After: 10 * time.Minute}
		require.True(t, b.refused(1, 5, busy), "it is the server's, and at once")
		b.is(0, true, 10*time.Minute)
		require.False(t, b.Echo, "a C-ECHO would prove nothing")
		require.Equal(t, busy.Reason, b.BreakerReason)
		require.InDelta(t, 600, b.AskedSeconds, 0)
		require.True(t, b.refused(2, 4, Down{Reason: "full", After: 20 * time.Minute}), "one that was under way")
		b.is(0, true, 20*time.Minute)
		require.True(t, b.refused(3, 3, Down{Reason: "full", After: time.Second}))
		b.is(0, true, 20*time.Minute)
		b.tried(4)
		require.True(t, b.refused(4, 1, full))
		b.is(0, true, 10*time.Second)
		require.Zero(t, b.AskedSeconds)
		b.tried(5)
		require.True(t, b.refused(5, 1, Down{Reason: "full", After: time.Second}))
		b.is(0, true, 20*time.Second) // it has said so before
		b.tried(6)
		b.Succeed(6)
		b.is(2, false, 0)
		require.Zero(t, b.AskedSeconds)
	})
	t.Run("a study that is refused while others go through proves nothing, whatever time is named", func(t *testing.T) {
		b := newBearing(t, 4)
		require.False(t, b.refuse(&Down{Reason: "full", After: time.Hour}, 2, true))
		require.False(t, b.open())
	})
	t.Run("a study that is refused while others go through proves nothing", func(t *testing.T) {
		b := newBearing(t, 4)
		b.refused(1, 4, full)
		b.used = 4
		require.False(t, b.refuse(&full, 2, true))
		require.Nil(t, b.Allowance)
		require.EqualValues(t, 1, *b.RefusedTask)
	})
	t.Run("nothing is a study's own that the server was not told of", func(t *testing.T) {
		b := newBearing(t, 4)
		early := Down{Reason: "full", Early: true}
		b.refused(1, 4, early)
		b.used = 4
		require.True(t, b.refuse(&early, 2, true))
		b.is(2, false, 5*time.Second)
		end := db.EndLeaseParams{Status: jobs.Pending}
		b.SucceededAt = new(b.now.Add(-time.Minute))
		b.TroubledAt = nil
		b.judgeStudy(&early, b.now.Add(-9*time.Hour), &end)
		require.Equal(t, jobs.Pending, end.Status)
	})
	t.Run("a server that refuses one more has trouble", func(t *testing.T) {
		b := newBearing(t, 4)
		b.refused(1, 4, full)
		b.refused(2, 4, full)
		b.tried(3)
		b.refused(3, 3, full)
		require.Equal(t, b.now, *b.TroubledAt)
	})
	t.Run("a trial that says nothing is tried again", func(t *testing.T) {
		b := newBearing(t, 4)
		b.refused(1, 1, full)
		b.refused(2, 1, full)
		b.tried(3)
		b.end(3)
		b.is(0, true, 10*time.Second)
		require.Nil(t, b.TrialTask)
	})
}

// TestJudgeStudy: a study is failed for being refused only if others of its server go through, and have for long.
func TestJudgeStudy(t *testing.T) {
	now := time.Unix(1e9, 0)
	ago := func(d time.Duration) *time.Time { return new(now.Add(-d)) }
	for name, tt := range map[string]struct {
		since               time.Duration
		succeeded, troubled *time.Time
		fails               bool
	}{
		"for long, while others go through":       {5 * time.Hour, ago(time.Minute), nil, true},
		"not for long":                            {3 * time.Hour, ago(time.Minute), nil, false},
		"while nothing goes through":              {5 * time.Hour, nil, nil, false},
		"nothing went through since":              {5 * time.Hour, ago(6 * time.Hour), nil, false},
		"nothing went through lately":             {9 * time.Hour, ago(2 * time.Hour), nil, false},
		"the server refused others meanwhile":     {9 * time.Hour, ago(time.Minute), ago(3 * time.Hour), false},
		"the server refused others long ago":      {9 * time.Hour, ago(time.Minute), ago(5 * time.Hour), true},
		"the server's trouble lies in the future": {5 * time.Hour, ago(time.Minute), ago(-time.Hour), true},
	} {
		p := pressure{ServerState: db.ServerState{SucceededAt: tt.succeeded, TroubledAt: tt.troubled}, now: now}
		end := db.EndLeaseParams{Status: jobs.Pending}
		p.judgeStudy(&Down{Server: nodes.DICOMNode{Name: "X"}, Reason: "full"}, *ago(tt.since), &end)
		require.Equal(t, tt.fails, end.Status == jobs.Failure, name)
	}
}

// TestRefusedBefore: a study that waited for its turn was not refused meanwhile.
func TestRefusedBefore(t *testing.T) {
	now := time.Unix(1e9, 0)
	since := now.Add(-15 * time.Hour)
	for name, tt := range map[string]struct {
		refused int32
		due     time.Duration // ago
		since   *time.Time
		times   int32
	}{
		"never":                               {0, time.Minute, nil, 0},
		"again and again":                     {6, time.Minute, &since, 6},
		"its turn came late":                  {6, 59 * time.Minute, &since, 6},
		"its turn did not come for hours":     {6, 14 * time.Hour, &since, 0},
		"by a clock that ran ahead till then": {6, time.Minute, new(now.Add(time.Hour)), 0},
	} {
		times, from := refusedBefore(
			&db.Task{Refused: tt.refused, RefusedSince: tt.since, NotBefore: now.Add(-tt.due)}, now,
		)
		require.Equal(t, tt.times, times, name)
		if times == 0 {
			require.Equal(t, now, from, name)
		}
	}
}
