// SPDX-License-Identifier: AGPL-3.0-or-later

package dbtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
)

// childEnv makes the test binary a process that starts a server, names its directory and waits for its end.
const childEnv = "ADIT_DBTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		s, err := shared()
		if err != nil {
			fmt.Fprintln(os.Stdout, "error:", err)
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, s.url("adit"))
		<-s.Done()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m, IgnoreServer()...)
}

func TestNewHasTheSchema(t *testing.T) {
	pool := New(t)
	require.NoError(t, db.CheckSchema(t.Context(), pool))
	var tables int
	require.NoError(t, pool.QueryRow(
		t.Context(), `SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'`,
	).Scan(&tables))
	require.Greater(t, tables, 1)
}

func TestDatabasesAreApart(t *testing.T) {
	a, b := New(t), New(t)
	_, err := a.Exec(t.Context(), `CREATE TABLE mine (n int)`)
	require.NoError(t, err)
	var there *string
	require.NoError(t, b.QueryRow(t.Context(), `SELECT to_regclass('mine')::text`).Scan(&there))
	require.Nil(t, there)
}

func TestDatabasesAreDropped(t *testing.T) {
	var name string
	t.Run("a test", func(t *testing.T) {
		require.NoError(t, New(t).QueryRow(t.Context(), `SELECT current_database()`).Scan(&name))
	})
	var there bool
	require.NoError(t,
		New(t).QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there),
	)
	require.False(t, there)
}

func TestEmpty(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), Empty(t))
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	version, err := db.SchemaVersion(t.Context(), conn)
	require.NoError(t, err)
	require.Zero(t, version)
}

// However a test process ends, neither its server nor its directory stays.
func TestNothingStays(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), childEnv+"=1", "TMPDIR="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	url, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	cfg, err := pgx.ParseConfig(strings.TrimSpace(url))
	require.NoError(t, err, url)
	dir := filepath.Dir(filepath.Dir(cfg.Host))
	require.DirExists(t, dir)

	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	require.Eventually(t, func() bool {
		_, err := os.Stat(dir)
		return os.IsNotExist(err)
	}, time.Minute, 5*time.Millisecond)
}

func BenchmarkNew(b *testing.B) {
	New(b)
	for b.Loop() {
		URL(b)
	}
}
