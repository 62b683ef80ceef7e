// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// TestWritable: what keeps a database from writing is found, each time, and costs nothing that stays.
func TestWritable(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(t *testing.T, pool *pgxpool.Pool) (mend func())
		reason string // begins so; empty: it can write
	}{
		"nothing": {func(*testing.T, *pgxpool.Pool) func() { return func() {} }, ""},
		"read-only": {func(t *testing.T, pool *pgxpool.Pool) func() {
			set(t, pool, "ALTER DATABASE %s SET default_transaction_read_only = on")
			return func() {
				set(t, pool, "BEGIN READ WRITE; ALTER DATABASE %s RESET default_transaction_read_only; COMMIT")
			}
		}, "the database is read-only"},
		"no temporary tables": {func(t *testing.T, pool *pgxpool.Pool) func() {
			set(t, pool, "REVOKE TEMPORARY ON DATABASE %s FROM PUBLIC")
			return func() {}
		}, ""},
		"a full disk": {fullDisk, "the database's disk is full"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := dbtest.New(t)
			require.NoError(t, db.Writable(t.Context(), pool))
			require.NoError(t, db.Writable(t.Context(), pool))
			mend := c.spoil(t, pool)
			for range 2 {
				trouble := db.TroubleOf(db.Writable(t.Context(), pool))
				if c.reason == "" {
					require.Nil(t, trouble)
				} else {
					require.NotNil(t, trouble)
					require.Contains(t, trouble.Reason, c.reason)
				}
			}
			mend()
			require.NoError(t, db.Writable(t.Context(), pool))
			var rows, left int64
			require.NoError(t, pool.QueryRow(
				t.Context(), "SELECT count(*), pg_relation_size('adit_probe') FROM adit_probe",
			).Scan(&rows, &left))
			require.Zero(t, rows+left)
		})
	}
}

// set changes a database, for new sessions.
func set(t *testing.T, pool *pgxpool.Pool, sql string) {
	t.Helper()
	conn, err := pool.Acquire(context.Background())
	require.NoError(t, err)
	_, err = conn.Conn().PgConn().
		Exec(context.Background(), fmt.Sprintf(sql, pool.Config().ConnConfig.Database)).ReadAll()
	conn.Release()
	require.NoError(t, err)
	pool.Reset()
}

// fullDisk has the database keep its tables on a disk of its own, and fills that.
func fullDisk(t *testing.T, pool *pgxpool.Pool) (mend func()) {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m,mode=0777"); err != nil {
		t.Skip("only root mounts a disk of its own: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755)) // the server's user passes
	space := filepath.Join(dir, "space")
	require.NoError(t, os.Mkdir(space, 0o700))
	var data string
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT current_setting('data_directory')").Scan(&data))
	info, err := os.Stat(pool.Config().ConnConfig.Host)
	require.NoError(t, err)
	owner := info.Sys().(*syscall.Stat_t)
	require.NoError(t, os.Chown(space, int(owner.Uid), int(owner.Gid)))
	name := pool.Config().ConnConfig.Database
	_, err = pool.Exec(t.Context(), fmt.Sprintf("CREATE TABLESPACE space_%s LOCATION '%s'", name, space))
	require.NoError(t, err)
	cfg := pool.Config().ConnConfig.Copy()
	cfg.Database = "adit"
	admin, err := pgx.ConnectConfig(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		pool.Reset()
		_, err := admin.Exec(context.Background(), "DROP DATABASE "+name+" WITH (FORCE)")
		require.NoError(t, err)
		_, err = admin.Exec(context.Background(), "DROP TABLESPACE space_"+name)
		require.NoError(t, err)
		require.NoError(t, admin.Close(context.Background()))
	})
	_, err = admin.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	require.NoError(t, err)
	pool.Reset()
	_, err = admin.Exec(t.Context(), fmt.Sprintf("ALTER DATABASE %s SET TABLESPACE space_%[1]s", name))
	require.NoError(t, err)
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	for buf := make([]byte, 1<<20); ; {
		if _, err := f.Write(buf); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			break
		}
	}
	require.NoError(t, f.Close())
	return func() { require.NoError(t, os.Remove(filler)) }
}
