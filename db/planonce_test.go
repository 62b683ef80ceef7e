// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// TestPlannedOnce: what each task asks is planned for any values, at the latest after the five times that PostgreSQL
// tries. A plan for each task would cost more than the answers.
func TestPlannedOnce(t *testing.T) {
	pool := dbtest.New(t)
	_, err := pool.Exec(t.Context(), `
		INSERT INTO groups (name) VALUES ('G');
		INSERT INTO users (username) VALUES ('a');
		INSERT INTO projects (name, group_id, sealed_key) VALUES ('P', 1, '');
		INSERT INTO dicom_nodes (name, kind) VALUES ('S', 'server'), ('D', 'server');
		INSERT INTO servers (id, ae_title, host, port) VALUES (1, 'S', 'localhost', 104), (2, 'D', 'localhost', 105);
		INSERT INTO server_state (server_id) VALUES (1), (2) ON CONFLICT DO NOTHING;
		INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_pending) VALUES ('selective_transfer', 1, 1, 1, 2, 4, 1);
		INSERT INTO tasks (job_id, seq) VALUES (1, 1)`)
	require.NoError(t, err)
	conn, err := pool.Acquire(t.Context())
	require.NoError(t, err)
	defer conn.Release()
	q, member, token := db.New(conn), uuid.New(), int64(1)
	may := func(n int) db.LackingParams {
		p := db.LackingParams{}
		for i := range n {
			p.Numbers, p.UserIds, p.Permissions = append(p.Numbers, int32(i)), append(p.UserIds, 1),
				append(p.Permissions, "x,y")
			p.SourceIds, p.DestinationIds, p.ProjectIds = append(p.SourceIds, 1), append(p.DestinationIds, 2),
				append(p.ProjectIds, 1)
		}
		return p
	}
	one := func(_ any, err error) error { return err }
	for name, ask := range map[string]func() error{
		"Lacking":     func() error { return one(q.Lacking(t.Context(), may(1))) },
		"ServersByID": func() error { return one(q.ServersByID(t.Context(), []int64{1, 2})) },
		"LoadRun":     func() error { return one(q.LoadRun(t.Context(), db.LoadRunParams{TaskID: 1, Token: &token})) },
		"Deliver": func() error {
			return one(q.Deliver(t.Context(), db.DeliverParams{
				TaskID: 1, Member: &member, Token: &token, SopUids: []string{"1.2"},
				SeriesUids: []string{"1.3"}, SopClassUids: []string{"1.4"}, Bytes: []int64{1},
				Statuses: []int32{0}, Remarks: []int16{0}, Files: []string{""}, FileBytes: []int64{0},
			}))
		},
		"EndLease": func() error {
			_, err := q.EndLease(
				t.Context(), db.EndLeaseParams{ID: 1, Member: &member, Token: &token, Status: "success"},
			)
			require.ErrorIs(t, err, pgx.ErrNoRows)
			return nil
		},
		"PutSummary": func() error { return q.PutSummary(t.Context(), db.PutSummaryParams{ID: 1, Heard: []string{}}) },
		"The claim:": func() error { return one(db.ClaimTask(t.Context(), conn, member, time.Minute)) },
	} {
		for range 12 {
			require.NoError(t, ask(), name)
		}
		var generic, custom int
		require.NoError(t, conn.QueryRow(t.Context(),
			"SELECT generic_plans, custom_plans FROM pg_prepared_statements WHERE starts_with(statement, '-- ' || $1) OR starts_with(statement, '-- name: ' || $1 || ' :')",
			name,
		).Scan(&generic, &custom), name)
		require.LessOrEqual(t, custom, 5, name)
		require.Positive(t, generic, name)
	}
	rows, err := q.Lacking(t.Context(), may(3))
	require.NoError(t, err)
	require.Len(t, rows, 3, "in order, several at once")
}
