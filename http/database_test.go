// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDatabaseTrouble: what the database can't do now is neither the caller's fault nor one of ADIT's own: the answer
// says what it is, and when to try again.
func TestDatabaseTrouble(t *testing.T) {
	s := newSite(t)
	exec := func(sql string) {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`CREATE TABLE trouble (code text NOT NULL); INSERT INTO trouble VALUES ('');
		CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
		RAISE EXCEPTION 'inside words' USING ERRCODE = (SELECT code FROM trouble); END $$;
		CREATE TRIGGER trouble BEFORE INSERT ON groups EXECUTE FUNCTION trouble()`)
	for code, c := range map[string]struct{ want, retry string }{
		"53100": {"The database's disk is full; make room there, and ADIT continues automatically.", "30"},
		"53200": {"The database is out of memory.", "30"},
		"53300": {"ADIT's database doesn't answer.", "2"},
		"55P03": {"Something else holds a lock in the database;", "2"},
		"57014": {"The database took too long,", "30"},
		"57P03": {"ADIT's database doesn't answer.", "2"},
		"25006": {"The database is read-only;", "30"},
		"58030": {"The database can't read or write its files;", "30"},
		"XX001": {"The database has damaged data;", "30"},
		"40001": {"Others changed the same rows of the database again and again.", "2"},
		"P0001": {"ADIT failed to do this, by a fault of its own.", ""},
	} {
		_, err := s.pool.Exec(t.Context(), "UPDATE trouble SET code = $1", code)
		require.NoError(t, err)
		r := s.send("POST", "/api/v1/groups", `{"name":"g"}`)
		p := r.problem(t)
		if c.retry == "" {
			require.Equal(t, 500, p.Status, code)
		} else {
			require.Equal(t, 503, p.Status, "%s: %s", code, p.Detail)
		}
		require.Contains(t, p.Detail, c.want, code)
		require.Equal(t, c.retry, r.Header.Get("Retry-After"), code)
		require.NotContains(t, r.body, "inside words", code)
	}
	exec("DROP TRIGGER trouble ON groups")

	tx, err := s.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }() // it was, if all went well
	_, err = tx.Conn().PgConn().Exec(
		t.Context(), "SET LOCAL idle_in_transaction_session_timeout = 0; LOCK TABLE groups IN EXCLUSIVE MODE",
	).ReadAll()
	require.NoError(t, err)
	p := s.send("POST", "/api/v1/groups", `{"name":"g"}`).problem(t)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, 503, p.Status, p.Detail)
	require.Contains(t, p.Detail, "Something else holds a lock")
	require.Equal(t, 201, s.send("POST", "/api/v1/groups", `{"name":"g"}`).StatusCode)
}

// TestPoolInUse: who finds all connections to the database in use hears so in time, and is told to try again.
func TestPoolInUse(t *testing.T) {
	s := newSite(t)
	for range s.pool.Config().MaxConns {
		conn, err := s.pool.Acquire(t.Context())
		require.NoError(t, err)
		defer conn.Release()
	}
	r := s.send("GET", "/api/v1/jobs", "")
	require.Equal(t, 503, r.problem(t).Status)
	require.NotEmpty(t, r.Header.Get("Retry-After"))
}
