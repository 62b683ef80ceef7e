// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/test/harness"
)

// TestUseOfServers: how servers are used is taken down once a minute for all of them by one statement, on average and
// at most, with what was moved; it is told by the hour, and forgotten after some weeks.
func TestUseOfServers(t *testing.T) {
	asked := &statements{seen: map[string]int{}}
	n := harness.New(t, harness.Config{Trace: asked})
	study := ct(3, 7)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	source := n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", startPACS(t, pacs.Config{AETitle: "DST"}).Addr(), nil)
	n.AddFolder("folder", t.TempDir())
	require.Equal(t, jobs.Success, n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID).Status)
	n.Stop(harness.Deadline)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	// The hour must not end while this looks at it: what follows is told of the hour before.
	exec("UPDATE tasks SET ended_at = now() - interval '1 hour'")
	took := func(of string) (sum int64) {
		t.Helper()
		require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT coalesce(sum("+of+"), 0)::bigint FROM server_use").Scan(&sum))
		return sum
	}
	look := func(batch, interactive int) {
		t.Helper()
		exec("DELETE FROM association_slots")
		exec(`INSERT INTO association_slots (server_id, use, member_id)
			SELECT $1, CASE WHEN i <= $2::int THEN 'batch' ELSE 'interactive' END, gen_random_uuid() FROM generate_series(1, $2::int + $3::int) i`,
			source.ID, batch, interactive)
		require.NoError(t, n.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}))
	}
	asked.reset()
	look(4, 1)
	require.Equal(t, 1, asked.reset()["SampleUse :execrows"])
	require.EqualValues(t, 2, took("samples"), "two servers, and no folder")
	look(9, 9)
	require.EqualValues(t, 2, took("samples"), "it is not due")
	for _, next := range []string{"now()", "now() + interval '1 year'"} { // the clock was put back
		exec("UPDATE chores SET next_at = " + next + " WHERE name = 'server use'")
		look(1, 0)
	}
	require.EqualValues(t, 6, took("samples"))
	require.EqualValues(t, 6, took("batch_sum"))

	now := time.Now()
	use, err := n.Engine.Housekeeping.Use(t.Context(), n.Admin, "source", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 28*24*time.Hour, use.To.Sub(use.From))
	most, looked, images := 0, 0.0, int64(0)
	for _, h := range use.Hours {
		require.Zero(t, h.Hour.Minute()+h.Hour.Second())
		require.Equal(t, time.UTC, h.Hour.Location())
		require.Zero(t, h.To.Images)
		most, images = max(most, h.Jobs.Most), images+h.From.Images
		looked = max(looked, h.Jobs.Average)
		require.LessOrEqual(t, h.People.Average, float64(h.People.Most))
	}
	require.Equal(t, 4, most)
	require.GreaterOrEqual(t, looked, 2.0, "of 4, 1 and 1; more if the hour has changed meanwhile")
	require.EqualValues(t, 7, images, "though it was looked at three times")
	use, err = n.Engine.Housekeeping.Use(t.Context(), n.Admin, "destination", now.Add(-3*time.Hour), time.Time{})
	require.NoError(t, err)
	var to housekeeping.Moved
	for _, h := range use.Hours {
		to.Tasks, to.Images, to.Bytes = to.Tasks+h.To.Tasks, to.Images+h.To.Images, to.Bytes+h.To.Bytes
	}
	require.EqualValues(t, 1, to.Tasks)
	require.EqualValues(t, 7, to.Images)
	require.Positive(t, to.Bytes)

	for field, times := range map[string][2]time.Time{
		"from": {now.AddDate(0, 0, -60), now}, "to": {now, now.Add(-2 * time.Hour)},
	} {
		_, err := n.Engine.Housekeeping.Use(t.Context(), n.Admin, "source", times[0], times[1])
		var invalid *refusal.Invalid
		require.ErrorAs(t, err, &invalid)
		require.Equal(t, field, invalid.Field)
	}
	_, err = n.Engine.Housekeeping.Use(t.Context(), n.Admin, "folder", time.Time{}, time.Time{})
	require.ErrorContains(t, err, "is a folder")
	_, err = n.Engine.Housekeeping.Use(t.Context(), n.Admin, "nobody", time.Time{}, time.Time{})
	require.ErrorIs(t, err, refusal.ErrNotFound)

	exec(`INSERT INTO server_use (server_id, hour) VALUES
		($1, date_trunc('hour', now()) - interval '37 days'), ($1, date_trunc('hour', now()) - interval '35 days'), ($1, date_trunc('hour', now()) + interval '1 year')`, source.ID)
	exec("UPDATE chores SET next_at = now() WHERE name = 'clean-up'")
	look(0, 0)
	var old int
	require.NoError(t, n.Pool.QueryRow(
		t.Context(), "SELECT count(*) FROM server_use WHERE hour NOT BETWEEN now() - interval '3 hours' AND now()",
	).Scan(&old))
	require.Equal(t, 1, old)
}
