// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// TestInstants: of each instant in the schema it stands what becomes of it when it lies ahead. A new column needs its
// own rule.
func TestInstants(t *testing.T) {
	rows, err := dbtest.New(t).Query(t.Context(), `SELECT c.table_name || '.' || c.column_name
		FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
		LEFT JOIN pg_catalog.pg_inherits i ON i.inhrelid = to_regclass(quote_ident(table_schema) || '.' || quote_ident(table_name))
		WHERE table_schema = 'public' AND t.table_type = 'BASE TABLE' AND (c.data_type ~ '^(timestamp|date|time )' OR c.udt_name ~ 'ts(tz)?range')
		  AND i.inhrelid IS NULL -- parts of a table have its columns`)
	require.NoError(t, err)
	schema, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	var ruled []string
	for _, table := range db.AllInstants {
		for _, c := range append(table.Lasts, table.Happened...) {
			ruled = append(ruled, table.Table+"."+c)
		}
		for _, b := range table.Bound {
			require.NotEmpty(t, b.By, b.Column)
			ruled = append(ruled, table.Table+"."+b.Column)
		}
	}
	require.ElementsMatch(t, schema, ruled, "say in db.AllInstants what becomes of a column's instants that lie ahead")
	require.Equal(t, "members", db.AllInstants[len(db.AllInstants)-1].Table, "they tell that it is not done")
}

// TestPutBack: what happened later than now happened now, what lasts from then on lasts as long, and nothing else
// changes.
func TestPutBack(t *testing.T) {
	pool := dbtest.New(t)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`INSERT INTO users (username) VALUES ('ada');
		INSERT INTO sessions (sha256, user_id, created_at, last_seen_at, confirmed_at, expires_at)
		SELECT sha256(at::text::bytea), u.id, at, now() + (at - now()), at - interval '1 second', at + interval '14 days'
		FROM users u, (VALUES (now() - interval '1 day'), (now() + interval '1 year')) v (at);
		INSERT INTO api_tokens (user_id, description, sha256, created_at, expires_at)
		SELECT u.id, what, sha256(what::bytea), at, ends FROM users u, (VALUES ('ahead', now() + interval '1 year', now() + interval '1 year 30 days'),
			('for ever', now() + interval '1 year', NULL), ('chosen', now() - interval '1 day', now() + interval '1 year')) v (what, at, ends);
		INSERT INTO password_resets (sha256, user_id, created_at, expires_at) SELECT sha256('x'), id, now() + interval '1 year', now() + interval '1 year 1 hour' FROM users;
		INSERT INTO attempts (key, at) VALUES (sha256('x'), now() + interval '1 year');
		INSERT INTO members (id, data_dir_id, name, version, schema_min, schema_max, beat_at) VALUES (gen_random_uuid(), gen_random_uuid(), 'n', '', 1, 1, now() + interval '1 year')`)
	q := db.New(pool)
	back, err := q.ClockPutBack(t.Context())
	require.NoError(t, err)
	require.True(t, back)
	n, err := db.PutBack(t.Context(), pool)
	require.NoError(t, err)
	require.EqualValues(t, 6, n)
	for name, sql := range map[string]string{
		"sessions of now go on as long as they may": `SELECT bool_and(created_at <= now() AND last_seen_at <= now() AND confirmed_at <= now()
			AND expires_at - created_at = interval '14 days') FROM sessions`,
		"tokens go on as long as they may": `SELECT bool_and(created_at <= now() AND (description = 'ahead') = (coalesce(expires_at - created_at = interval '30 days', false))
			AND (description = 'for ever') = (expires_at IS NULL) AND (description = 'chosen') = (expires_at > now() + interval '31 days' IS TRUE)) FROM api_tokens`,
		"the reset":   `SELECT expires_at - created_at = interval '1 hour' AND created_at <= now() FROM password_resets`,
		"the attempt": `SELECT at <= now() FROM attempts`,
		"the member":  `SELECT beat_at <= now() FROM members`,
	} {
		var ok bool
		require.NoError(t, pool.QueryRow(t.Context(), sql).Scan(&ok))
		require.True(t, ok, name)
	}
	back, err = q.ClockPutBack(t.Context())
	require.NoError(t, err)
	require.False(t, back)
	n, err = db.PutBack(t.Context(), pool)
	require.NoError(t, err)
	require.Zero(t, n)
}
