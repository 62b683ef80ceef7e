// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// TestAuditByMonth: the rows of a log that was one table come into their months as they were, and new ones follow them;
// and back.
func TestAuditByMonth(t *testing.T) {
	url := dbtest.Empty(t)
	require.NoError(t, db.MigrateTo(t.Context(), url, 35))
	conn, err := db.Connect(t.Context(), url, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	exec := func(sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	one := func(sql string) (text string) {
		t.Helper()
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT ("+sql+")::text").Scan(&text))
		return text
	}
	exec(`INSERT INTO audit (at, action, object, detail) SELECT '2024-02-28 22:00+00'::timestamptz + n * interval '13 days 1 hour 1 microsecond', 'job.create', 'ü' || n, '{"n": ' || n || '}'
		FROM generate_series(0, 20) n`)
	exec(`UPDATE audit SET seq = id, hash = sha256(id::text::bytea) WHERE id <= 19`)
	all := "SELECT md5(string_agg(a::text, '|' ORDER BY id)) FROM audit a WHERE id <= 21"
	before := one(all)

	require.NoError(t, db.Migrate(t.Context(), url))
	require.Equal(t, before, one(all))
	require.Equal(t, "2", one("SELECT count(*) FROM audit_2024_03"))
	require.Equal(t, "1", one("SELECT count(*) FROM audit_2024_02"), "months are of UTC")
	require.Equal(t, "0", one("SELECT count(*) FROM audit_other"))
	exec(`INSERT INTO audit (action) VALUES ('job.create')`)
	require.Equal(t, "22", one("SELECT max(id) FROM audit"))
	require.Equal(t, "0", one("SELECT count(*) FROM audit_other"))
	exec(`UPDATE audit SET seq = id, hash = sha256(id::text::bytea) WHERE id = 20`)
	_, err = conn.Exec(t.Context(), `UPDATE audit SET object = 'x' WHERE id = 3`)
	require.ErrorContains(t, err, "append-only")

	exec(`UPDATE audit SET seq = id, hash = sha256(id::text::bytea) WHERE id > 20`)
	with := one("SELECT md5(string_agg(a::text, '|' ORDER BY id)) FROM audit a")
	require.NoError(t, db.MigrateTo(t.Context(), url, 35))
	require.Equal(t, with, one("SELECT md5(string_agg(a::text, '|' ORDER BY id)) FROM audit a"))
	exec(`INSERT INTO audit (action) VALUES ('job.create')`)
	require.Equal(t, "23", one("SELECT max(id) FROM audit"))
}
