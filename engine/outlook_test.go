// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/test/harness"
)

// TestOutlook: how fast a job is, when it will have ended, and why it waits, of which a list tells the same as the job.
func TestOutlook(t *testing.T) {
	t.Parallel()
	const tasks = 12
	// Of each case the first task ran for 100 of 1000 instances, and so many others have ended, over some minutes.
	type asked struct {
		n    *harness.Member
		job  int64
		held lease.Held
	}
	exec := func(t *testing.T, a asked, sql string, args ...any) {
		t.Helper()
		_, err := a.n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	// sampled says how far the job was so many minutes ago.
	sampled := func(t *testing.T, a asked, minutes, done float64, delivered, bytes int) {
		t.Helper()
		exec(t, a, `INSERT INTO job_samples (job_id, at, done, delivered, bytes) VALUES ($1, now() - make_interval(secs => 60 * $2::float8), $3, $4, $5)`,
			a.job, minutes, done, delivered, bytes)
	}
	closes := func(t *testing.T, a asked, server string, windows ...schedule.Window) {
		t.Helper()
		s := schedule.Schedule{Default: schedule.Limits{Interactive: 1}, Windows: windows}
		_, err := a.n.Engine.Nodes.SetSchedule(t.Context(), a.n.Admin, server, s)
		require.NoError(t, err)
	}
	// window is open from so many hours from now on, for two hours.
	window := func(hours int) schedule.Window {
		from := time.Now().UTC().Add(time.Duration(hours) * time.Hour)
		clock := func(t time.Time) schedule.TimeOfDay { return schedule.Clock(t.Hour(), 0) }
		return schedule.Window{
			Span:   schedule.Span{From: clock(from), To: clock(from.Add(2 * time.Hour)), TimeZone: "UTC"},
			Limits: schedule.Limits{Batch: 8, Interactive: 1},
		}
	}
	stop := func(t *testing.T, a asked) {
		t.Helper()
		require.NoError(t, a.n.Engine.Lease.Lose(t.Context(), a.held))
		exec(t, a, "DELETE FROM association_slots")
	}
	act := func(action jobs.JobAction) func(*testing.T, asked) {
		return func(t *testing.T, a asked) {
			t.Helper()
			require.NoError(t, a.n.Engine.Jobs.Act(t.Context(), a.n.Admin, a.job, action))
		}
	}
	steady := func(t *testing.T, a asked) { // 0.1 of a task and 100 instances in 4 minutes
		t.Helper()
		sampled(t, a, 4, 0, 0, 0)
		sampled(t, a, 2, 0.05, 50, 50_000)
	}
	for name, tt := range map[string]struct {
		steps   []func(*testing.T, asked)
		rate    float64       // instances per second; 0: none
		ready   time.Duration // from now; 0: not known
		waits   string        // part of the reason
		waitsNo string        // what it must not hold
	}{
		"it runs":        {steps: []func(*testing.T, asked){steady}, rate: 100.0 / 240, ready: 119 * 4 * time.Minute, waits: "worker"},
		"just begun":     {steps: []func(*testing.T, asked){func(t *testing.T, a asked) { sampled(t, a, 0.1, 0, 0, 0) }}, waits: "worker"},
		"never measured": {waits: "worker"},
		"with a pause between": {
			steps: []func(*testing.T, asked){func(t *testing.T, a asked) {
				sampled(t, a, 60, 0, 0, 0)
				sampled(t, a, 58, 0.05, 50, 50_000)
				sampled(t, a, 2, 0.05, 50, 50_000)
			}}, rate: 50.0 / 120, ready: 119 * 4 * time.Minute,
		},
		"what is done again is no way back": {
			steps: []func(*testing.T, asked){func(t *testing.T, a asked) {
				sampled(t, a, 4, 0, 200, 200_000)
				sampled(t, a, 2, 0.05, 50, 50_000)
			}}, rate: 50.0 / 240, ready: 119 * 4 * time.Minute,
		},
		"paused": {
			steps: []func(*testing.T, asked){steady, act(jobs.PauseJob)}, rate: 100.0 / 240, waits: "the job is paused",
		},
		"its turn is not known": {
			steps: []func(*testing.T, asked){steady, stop, func(t *testing.T, a asked) {
				exec(t, a, `UPDATE tasks SET expected = 1000`)
			}}, waits: "worker",
		},
		"a server is paused": {
			steps: []func(*testing.T, asked){steady, func(t *testing.T, a asked) {
				require.NoError(t, a.n.Engine.Nodes.PauseServer(t.Context(), a.n.Admin, "source", true))
			}}, rate: 100.0 / 240, waits: "DICOM Server source is paused",
		},
		"a server is away": {
			steps: []func(*testing.T, asked){steady, stop, func(t *testing.T, a asked) {
				exec(t, a, `UPDATE server_state SET breaker = 'open', breaker_reason = 'it is off', probe_at = now() + interval '1 minute'`)
			}}, waits: "is not available: it is off; next attempt in",
		},
		"closed until a window opens": {
			steps: []func(*testing.T, asked){
				func(t *testing.T, a asked) {
					sampled(t, a, 4, 0, 0, 0)
					sampled(t, a, 3, 0.2, 50, 50_000)
				},
				stop, func(t *testing.T, a asked) { closes(t, a, "source", window(5)) },
			},
			ready: -5 * time.Hour, waits: "closed for jobs now; window opens at",
		},
		"closed for good": {
			steps: []func(*testing.T, asked){steady, stop, func(t *testing.T, a asked) { closes(t, a, "source") }},
			waits: "closed for jobs now",
		},
		"most wait for a time of their own": {
			steps: []func(*testing.T, asked){func(t *testing.T, a asked) {
				exec(t, a, `UPDATE tasks SET not_before = now() + interval '10 hours', wait_seconds = 36000, waiting_reason = seq || ' instances are missing: it is full'
					WHERE seq > 3`)
			}}, waits: "N instances are missing: it is full; next attempt in",
		},
		"few wait for a time of their own": {
			steps: []func(*testing.T, asked){steady, func(t *testing.T, a asked) {
				exec(t, a, `UPDATE tasks SET not_before = now() + interval '10 hours', wait_seconds = 36000, waiting_reason = 'it is full' WHERE seq > 10`)
			}}, rate: 100.0 / 240, ready: (600 + 40) * time.Minute, waits: "worker", waitsNo: "full",
		},
		"another job comes before it": {
			steps: []func(*testing.T, asked){func(t *testing.T, a asked) {
				first := a.n.Transfer("source", "destination", "1.3.1", "1.3.2").ID
				exec(t, a, "UPDATE jobs SET urgent = true, priority = 8 WHERE id = $1", first)
			}}, waits: "2 of your tasks come before it",
		},
		"nothing is pending": {
			steps: []func(*testing.T, asked){steady, func(t *testing.T, a asked) {
				exec(t, a, "DELETE FROM tasks WHERE status = 'pending'")
				exec(t, a, "UPDATE jobs SET n_pending = 0")
			}}, rate: 100.0 / 240, ready: 9 * 4 * time.Minute, waitsNo: "it",
		},
		"ended": {steps: []func(*testing.T, asked){steady, stop, act(jobs.CancelJob)}, waitsNo: "it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newIdle(t)
			var uids []string
			for i := range tasks {
				uids = append(uids, fmt.Sprintf("1.2.%d", i+1))
			}
			a := asked{n: n, job: n.Transfer("source", "destination", uids...).ID}
			a.held = claim(t, n, register(t, n, uuid.New()))
			p := &lease.Progress{}
			p.Expected.Store(1000)
			p.Delivered.Store(100)
			p.Bytes.Store(100_000)
			require.NoError(t, n.Engine.Lease.PushProgress(context.Background(), map[lease.Held]*lease.Progress{a.held: p}))
			exec(t, a, "DELETE FROM job_samples") // the beat's own
			for _, step := range tt.steps {
				step(t, a)
			}
			job, err := n.Engine.Jobs.Show(t.Context(), n.Admin, a.job)
			require.NoError(t, err)
			if tt.rate == 0 {
				require.Nil(t, job.Rate)
			} else {
				require.NotNil(t, job.Rate)
				require.InEpsilon(t, tt.rate, job.Rate.Instances, 0.1)
				require.InEpsilon(t, tt.rate*1000, job.Rate.Bytes, 0.1)
			}
			in := time.Until(job.ReadyAt)
			switch {
			case tt.ready == 0:
				require.Zero(t, job.ReadyAt)
			case tt.ready < 0: // from then on
				require.Greater(t, in, -tt.ready-time.Hour)
				require.Less(t, in, 24*time.Hour)
			default:
				require.InEpsilon(t, tt.ready, in, 0.1)
			}
			require.Contains(t, job.WhyWaiting, tt.waits)
			if tt.waitsNo != "" {
				require.NotContains(t, job.WhyWaiting, tt.waitsNo)
			}
			names := regexp.MustCompile(`at \d\d:\d\d`).MatchString(job.WhyWaiting)
			require.Equal(t, names, !job.WaitingUntil.IsZero(), job.WhyWaiting)
			if !job.WaitingUntil.IsZero() {
				require.Contains(t, job.WhyWaiting, "at "+job.WaitingUntil.UTC().Format("15:04"), "the instant that is named")
			}
			list, err := n.Engine.Jobs.List(t.Context(), n.Admin, jobs.JobFilter{Limit: 10})
			require.NoError(t, err)
			for _, j := range list {
				if j.ID == a.job {
					require.Equal(t, job.ReadyAt.IsZero(), j.ReadyAt.IsZero())
					require.Equal(t, job.Rate == nil, j.Rate == nil)
					require.Equal(t, job.WhyWaiting == "", j.WhyWaiting == "")
					require.Equal(t, job.Sums, j.Sums)
				}
			}
		})
	}
}

// TestSamples: a beat keeps how far a job is once a minute, and forgets what is old or lies ahead of the clock.
func TestSamples(t *testing.T) {
	t.Parallel()
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3").ID
	other := n.Transfer("source", "destination", "1.2.4").ID
	held := claim(t, n, register(t, n, uuid.New()))
	require.Equal(t, job, held.JobID)
	_, err := n.Pool.Exec(t.Context(), `INSERT INTO job_samples (job_id, at, done, delivered, bytes)
		SELECT $1::bigint, now() + h * interval '1 hour', h, 0, 0 FROM unnest(ARRAY[-2, 2]) h
		UNION ALL SELECT $2::bigint, now() - h * interval '1 hour', -h, 0, 0 FROM unnest(ARRAY[2, 200]) h`, job, other)
	require.NoError(t, err)
	p := &lease.Progress{}
	p.Expected.Store(8)
	p.Delivered.Store(2)
	p.Bytes.Store(50)
	beat := func() (kept []string) {
		t.Helper()
		require.NoError(t, n.Engine.Lease.PushProgress(t.Context(), map[lease.Held]*lease.Progress{held: p}))
		rows, err := n.Pool.Query(t.Context(), `SELECT CASE job_id WHEN $1 THEN 'job' ELSE 'other' END || ' ' || done || ' ' || delivered || ' ' || bytes FROM job_samples ORDER BY job_id, at`, job)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var s string
			require.NoError(t, rows.Scan(&s))
			kept = append(kept, s)
		}
		return kept
	}
	require.Equal(t, []string{"job 0.25 2 50", "other -2 0 0"}, beat())
	p.Delivered.Store(4)
	require.Equal(t, []string{"job 0.25 2 50", "other -2 0 0"}, beat(), "it was kept less than a minute ago")
	_, err = n.Pool.Exec(t.Context(), "UPDATE job_samples SET at = at - interval '1 minute'")
	require.NoError(t, err)
	require.Equal(t, []string{"job 0.25 2 50", "job 0.5 4 50", "other -2 0 0"}, beat())
}
