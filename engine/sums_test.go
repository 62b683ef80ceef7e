// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/test/harness"
)

// end ends a run as the engine does, with a summary.
func end(t *testing.T, n *harness.Member, o lease.Outcome, summary db.PutSummaryParams) {
	t.Helper()
	summary.ID, summary.Heard = o.Held.TaskID, []string{}
	o.Task = func(ctx context.Context, q *db.Queries) (db.Task, error) { return q.GetTask(ctx, o.Held.TaskID) }
	o.Write = func(ctx context.Context, q *db.Queries, _ lease.Outcome) error { return q.PutSummary(ctx, summary) }
	o.Fail, o.Over, o.GiveBack = func(*lease.Outcome, string) {}, func(bool) {}, func(context.Context) {}
	require.NoError(t, n.Engine.Lease.End(t.Context(), o))
}

// TestSumsNeverDrift: whatever is done to a job and its tasks, in whatever order, its sums are those of its tasks.
func TestSumsNeverDrift(t *testing.T) {
	t.Parallel()
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{Idle: true})
			for _, name := range []string{"source", "destination"} {
				n.AddServer(name, name, "127.0.0.1:1", func(s *nodes.NewServer) { s.BatchCap = new(20) })
			}
			testSums(t, n, rand.New(rand.NewPCG(seed, 1)))
		})
	}
}

func testSums(t *testing.T, n *harness.Member, r *rand.Rand) {
	t.Helper()
	ctx := t.Context()
	member := register(t, n, uuid.New())
	job := n.Transfer("source", "destination", "1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.5", "1.2.6", "1.2.7", "1.2.8").ID
	held := map[int64]lease.Held{}
	one := func() (h lease.Held, ok bool) {
		for _, h = range held {
			return h, true
		}
		return h, false
	}
	summary := func() db.PutSummaryParams {
		return db.PutSummaryParams{
			IsLoaded: r.IntN(4) > 0, Expected: r.Int32N(50), Received: r.Int32N(50), Delivered: r.Int32N(50),
			Bytes: r.Int64N(1e6), IsOver: r.IntN(2) == 0,
		}
	}
	steps := map[string]func() error{
		"claim": func() error {
			h, ok, _, err := n.Engine.Lease.Claim(ctx, member)
			if ok {
				held[h.TaskID] = h
			}
			return err
		},
		"progress": func() error {
			all := map[lease.Held]*lease.Progress{}
			for _, h := range held {
				p := &lease.Progress{}
				p.Expected.Store(r.Int32N(50))
				p.Delivered.Store(r.Int32N(50))
				p.Received.Store(r.Int32N(50))
				p.Bytes.Store(r.Int64N(1e6))
				all[h] = p
			}
			return n.Engine.Lease.PushProgress(ctx, all)
		},
		"deliver": func() error {
			h, ok := one()
			if !ok {
				return nil
			}
			_, err := n.Engine.Lease.Q.Deliver(ctx, db.DeliverParams{
				TaskID: h.TaskID, Member: &h.Member, Token: &h.Token, SopUids: []string{fmt.Sprint(r.IntN(30))},
				SeriesUids: []string{"1"}, SopClassUids: []string{"1"}, Bytes: []int64{r.Int64N(1000)},
				Statuses: []int32{0}, Remarks: []int16{0}, Files: []string{""}, FileBytes: []int64{0},
			})
			return err
		},
		"void": func() error {
			if h, ok := one(); ok {
				return n.Engine.Lease.Q.VoidLedger(ctx, db.VoidLedgerParams{ID: h.TaskID})
			}
			return nil
		},
		"end": func() error {
			if h, ok := one(); ok {
				delete(held, h.TaskID)
				ends := []string{jobs.Success, jobs.Warning, jobs.Failure, jobs.Pending, jobs.Canceled}
				end(t, n, lease.Outcome{Held: h, Status: ends[r.IntN(len(ends))], Message: "It ended."}, summary())
			}
			return nil
		},
		"lose": func() error {
			h, ok := one()
			if !ok {
				return nil
			}
			delete(held, h.TaskID)
			err := n.Engine.Lease.Lose(ctx, h)
			_, _ = n.Pool.Exec(ctx, "DELETE FROM association_slots WHERE task_id = $1", h.TaskID)
			return err
		},
	}
	for _, action := range []jobs.JobAction{
		jobs.CancelJob, jobs.ResumeJob, jobs.RetryJob, jobs.RestartJob, jobs.PauseJob, jobs.ContinueJob,
	} {
		steps[string(action)] = func() error { return n.Engine.Jobs.Act(ctx, n.Admin, job, action) }
	}
	for _, action := range []jobs.TaskAction{jobs.ResetTask, jobs.DeleteTask, jobs.KillTask} {
		steps[string(action)+" task"] = func() error {
			tasks, err := n.Engine.Jobs.Tasks(ctx, n.Admin, job, jobs.TaskFilter{Limit: 10})
			if err != nil || action == jobs.DeleteTask && len(tasks) < 4 {
				return err
			}
			return n.Engine.Jobs.ActOnTask(ctx, n.Admin, tasks[r.IntN(len(tasks))].ID, action)
		}
	}
	// what runs is more often what happens
	names := []string{
		"claim", "claim", "claim", "claim", "progress", "progress", "deliver", "deliver", "void", "end", "end", "end", "lose",
		"cancel", "resume", "retry", "restart", "pause", "continue", "continue", "reset task", "delete task", "kill task",
	}
	done := map[string]int{}
	for range 400 {
		name := names[r.IntN(len(names))]
		err := steps[name]()
		if _, refused := errors.AsType[*refusal.Conflict](err); !refused {
			require.NoError(t, err, name)
			done[name]++
		}
		got, err := n.Engine.Jobs.Get(ctx, n.Admin, job)
		require.NoError(t, err)
		var want, kept [4]int64
		require.NoError(t, n.Pool.QueryRow(ctx, `SELECT sum(expected), sum(received), sum(delivered), sum(bytes) FROM tasks WHERE job_id = $1`, job).
			Scan(&want[0], &want[1], &want[2], &want[3]))
		require.Equal(t, want, [4]int64{got.Expected, got.Received, got.Delivered, got.Bytes}, name)
		require.NoError(t, n.Pool.QueryRow(ctx, `SELECT coalesce(sum(expected), 0), coalesce(sum(received), 0), coalesce(sum(delivered), 0), coalesce(sum(bytes), 0)
			FROM tasks WHERE job_id = $1 AND status <> 'in_progress'`, job).Scan(&want[0], &want[1], &want[2], &want[3]))
		require.NoError(t, n.Pool.QueryRow(ctx, `SELECT sum_expected, sum_received, sum_delivered, sum_bytes FROM jobs WHERE id = $1`, job).
			Scan(&kept[0], &kept[1], &kept[2], &kept[3]))
		require.Equal(t, want, kept, name)
	}
	for _, name := range []string{
		"claim", "progress", "deliver", "void", "end", "lose", "cancel", "resume", "restart", "reset task",
	} {
		require.NotZero(t, done[name], name)
	}
}
