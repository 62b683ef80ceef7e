// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/test/harness"
)

// crowd makes 10 servers, 20 owners with 10 jobs each, and so many pending tasks, spread over the jobs.
func crowd(t testing.TB, n *harness.Member, tasks int) {
	t.Helper()
	var servers []nodes.DICOMNode
	for i := range 10 {
		s := n.AddServer(
			fmt.Sprintf("server %d", i), fmt.Sprintf("S%d", i), fmt.Sprintf("127.0.0.1:%d", i+1), withCap(1000),
		)
		_, err := n.Engine.Nodes.SetSchedule(t.Context(), n.Admin, s.Name, schedule.Schedule{
			Default: schedule.Limits{Batch: 1000, Interactive: 2, StudiesPerMinute: 6000, MBPerSecond: 100},
			Windows: []schedule.Window{{
				Span:   schedule.Span{From: schedule.Clock(20, 0), To: schedule.Clock(6, 0), TimeZone: "Europe/Berlin"},
				Limits: schedule.Limits{Batch: 1000, Interactive: 1},
			}},
		})
		require.NoError(t, err)
		servers = append(servers, s)
	}
	_, err := n.Pool.Exec(
		t.Context(), `INSERT INTO users (username, is_staff) SELECT 'owner ' || i, true FROM generate_series(1, 20) i`,
	)
	require.NoError(t, err)
	ids := make([]int64, len(servers))
	for i, s := range servers {
		ids[i] = s.ID
	}
	_, err = n.Pool.Exec(t.Context(), `INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_pending)
		SELECT 'batch_transfer', u.id, (SELECT min(id) FROM projects), ($1::bigint[])[1 + (u.id + j) % 10], ($1::bigint[])[1 + (u.id + j + 1 + j % 9) % 10], 2, $2::integer / 200
		FROM users u CROSS JOIN generate_series(1, 10) j WHERE u.username LIKE 'owner %'`, ids, tasks)
	require.NoError(t, err)
	for part := range 20 { // no statement may take long
		_, err = n.Pool.Exec(t.Context(), `INSERT INTO tasks (job_id, seq, study_instance_uid)
			SELECT j.id, i, '1.2.' || i FROM jobs j CROSS JOIN generate_series(1, j.n_pending) i WHERE j.id % 20 = $1::integer`, part)
		require.NoError(t, err)
	}
	_, err = n.Pool.Exec(t.Context(), "VACUUM ANALYZE")
	require.NoError(t, err)
}

// TestClaimCostInACrowd: among 20 owners, 200 jobs and 10 servers with schedules and rates, the claim touches few pages
// and scans no table of tasks.
func TestClaimCostInACrowd(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	crowd(t, n, 100_000)
	plan, buffers := explainClaim(t, n)
	require.NotContains(t, plan, "Seq Scan on tasks")
	require.LessOrEqual(t, buffers, 400, plan)
	t.Logf("claim among 100,000 pending tasks of 200 jobs: %d buffers", buffers)
}

// unverified makes so many tasks of a job delivered, with a verification that is due.
func unverified(t testing.TB, n *harness.Member, job int64, tasks int) {
	t.Helper()
	_, err := n.Pool.Exec(t.Context(), `INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message)
		SELECT id, job_id, 'X', '1.2.3', 'success', '' FROM tasks WHERE job_id = $1 ORDER BY seq LIMIT $2`, job, tasks)
	require.NoError(t, err)
	_, err = n.Pool.Exec(t.Context(), "VACUUM ANALYZE")
	require.NoError(t, err)
}

// TestClaimCostOfVerifications: however many verifications wait for a server that is closed, or belong to a paused job,
// a claim doesn't walk over them, and finds the one that may run.
func TestClaimCostOfVerifications(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	closed := n.AddServer("closed", "CLOSED", "127.0.0.1:2", withCap(0))
	open := n.AddServer("open", "OPEN", "127.0.0.1:3", nil)
	unverified(t, n, manyTasks(t, n, n.Admin.ID, source, closed, 5_000, "1.2.3"), 5_000)
	paused := manyTasks(t, n, n.Admin.ID, source, open, 5_000, "1.2.3")
	unverified(t, n, paused, 5_000)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, paused, jobs.PauseJob))
	plan, buffers := explainClaimOf(t, n, 0)
	require.LessOrEqual(t, buffers, 100, plan)
	member := registered(t, n)
	_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.False(t, ok)

	job := manyTasks(t, n, n.Admin.ID, source, open, 3, "1.2.4")
	unverified(t, n, job, 2)
	plan, buffers = explainClaim(t, n)
	require.LessOrEqual(t, buffers, 200, plan)
	held, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, job, held.JobID)
	var slots int
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
	require.Equal(t, 1, slots, "the destination's alone")
}

// BenchmarkClaim claims out of 1,000,000 pending tasks, each claim on its own, and gives the 99th percentile: it must
// stay below 5 ms.
func BenchmarkClaim(b *testing.B) {
	n := harness.New(b, harness.Config{Idle: true})
	crowd(b, n, 1_000_000)
	member, err := n.Engine.Lease.Register(
		b.Context(), lease.Registration{DataDirID: uuid.New(), Name: "bench", Version: "bench"},
	)
	require.NoError(b, err)
	var took []time.Duration
	for b.Loop() {
		begin := time.Now()
		c, err := db.ClaimTask(b.Context(), n.Pool, member, 90*time.Second)
		took = append(took, time.Since(begin))
		require.NoError(b, err)
		b.StopTimer()
		if c.Found { // its slots are given back, as by a task that has ended
			_, err = n.Pool.Exec(b.Context(), "DELETE FROM association_slots WHERE task_id = $1", c.TaskID)
			require.NoError(b, err)
		}
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100])/1e6, "p99-ms")
	b.ReportMetric(float64(took[len(took)/2])/1e6, "p50-ms")
}
