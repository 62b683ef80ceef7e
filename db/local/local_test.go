// SPDX-License-Identifier: AGPL-3.0-or-later

package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/internal/testpeer"
)

// parentEnv makes the test binary an ADIT that runs the embedded database of this data directory until it is killed.
const parentEnv = "ADIT_LOCAL_TEST_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parentEnv); dir != "" {
		beParent(dir)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(made.dir)
		os.Exit(code)
	}))
}

// made is a data directory whose database has been made, started and stopped once.
var made struct {
	once sync.Once
	dir  string
	err  error
}

// ready returns a copy of it: making one takes longer than most tests.
func ready(t *testing.T) string {
	t.Helper()
	made.once.Do(func() {
		if made.dir, made.err = os.MkdirTemp("", "adit-local-test-"); made.err != nil { //nolint:usetesting // for all tests
			return
		}
		var s *Server
		if s, made.err = Start(deadline(t), made.dir, testpeer.Log(t)); made.err == nil {
			made.err = s.Stop(deadline(t))
		}
	})
	require.NoError(t, made.err)
	dir := filepath.Join(t.TempDir(), "data")
	require.NoError(t, exec.CommandContext(deadline(t), "cp", "-a", made.dir, dir).Run())
	return dir
}

func beParent(dir string) {
	s, err := Start(context.Background(), dir, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Fprintln(os.Stdout, "error:", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, "pid", s.PID())
	<-s.Done()
	os.Exit(0)
}

// parent is another process that runs the database of a data directory.
type parent struct {
	cmd    *exec.Cmd
	stdout io.Reader
}

func startParent(t *testing.T, dir string, as *syscall.Credential) *parent {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(exe)
	if as != nil {
		// The test binary lies where another user does not get; an open file has no path to walk.
		f, err := os.Open(exe)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		cmd = exec.Command("/proc/self/fd/3")
		cmd.ExtraFiles = []*os.File{f}
		cmd.Dir = "/"
	}
	cmd.Env = append(os.Environ(), parentEnv+"="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return &parent{cmd, stdout}
}

// postmaster waits until the database serves, and returns its process.
func (p *parent) postmaster(t *testing.T) int {
	t.Helper()
	var pid int
	_, err := fmt.Fscanf(p.stdout, "pid %d\n", &pid)
	require.NoError(t, err)
	return pid
}

func (p *parent) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

func start(t *testing.T, dir string, opts ...Option) *Server {
	t.Helper()
	s, err := Start(deadline(t), dir, testpeer.Log(t), opts...)
	require.NoError(t, err)
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil && !strings.Contains(err.Error(), "ended unexpectedly") {
			t.Error(err)
		}
	})
	return s
}

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func query[T any](t *testing.T, url, sql string) T {
	t.Helper()
	conn, err := pgx.Connect(deadline(t), url)
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	var v T
	require.NoError(t, conn.QueryRow(deadline(t), sql).Scan(&v))
	return v
}

func remember(t *testing.T, url string) {
	t.Helper()
	require.Equal(t, 1, query[int](t, url, `WITH made AS (SELECT 1) SELECT * FROM made`))
	conn, err := pgx.Connect(deadline(t), url)
	require.NoError(t, err)
	_, err = conn.Exec(deadline(t), `CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)`)
	require.NoError(t, err)
	require.NoError(t, conn.Close(context.Background()))
}

func requireRemembered(t *testing.T, url string) {
	t.Helper()
	require.Equal(t, 42, query[int](t, url, `SELECT n FROM kept`))
}

func stop(t *testing.T, s *Server) {
	t.Helper()
	require.NoError(t, s.Stop(deadline(t)))
}

func TestStartStopStart(t *testing.T) {
	t.Setenv("PGPORT", "1") // settings of the caller's shell are not ours
	t.Setenv("PGDATABASE", "other")
	dir := t.TempDir()
	s := start(t, dir)
	require.Empty(t, query[string](t, s.URL(), `SHOW listen_addresses`))
	require.Equal(t, "on", query[string](t, s.URL(), `SHOW fsync`))
	require.Equal(t, "UTC", query[string](t, s.URL(), `SHOW timezone`))
	require.Equal(t, "Ä", query[string](t, s.URL(), `SELECT upper('ä')`))
	require.Equal(t, "adit", query[string](t, s.URL(), `SELECT current_database()`))
	remember(t, s.URL())
	url, err := URL(dir)
	require.NoError(t, err)
	require.Equal(t, s.URL(), url)
	require.NoError(t, s.Err())

	stop(t, s)
	require.NoError(t, s.Err())
	stop(t, s) // again is nothing
	_, err = URL(dir)
	require.ErrorContains(t, err, "not running")

	s = start(t, dir)
	requireRemembered(t, s.URL())
}

func TestSecondStartIsRefused(t *testing.T) {
	dir := ready(t)
	s := start(t, dir, Volatile())
	_, err := Start(deadline(t), dir, testpeer.Log(t))
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "process "+strconv.Itoa(os.Getpid()))
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`), "the first one lives on")
}

func TestKillPostmaster(t *testing.T) {
	dir := ready(t)
	s := start(t, dir)
	remember(t, s.URL())
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	<-s.Done()
	require.ErrorContains(t, s.Err(), "ended unexpectedly: it was killed")

	s = start(t, dir)
	requireRemembered(t, s.URL())
}

func TestKillParent(t *testing.T) {
	dir := ready(t)
	p := startParent(t, dir, nil)
	p.postmaster(t)
	url, err := URL(dir)
	require.NoError(t, err)
	remember(t, url)
	p.kill(t)

	// Start returns only when nothing of the old server is left, so the lock is the proof that it went along.
	s := start(t, dir)
	requireRemembered(t, s.URL())
}

func TestKillParentAndPostmaster(t *testing.T) {
	dir := ready(t)
	p := startParent(t, dir, nil)
	pid := p.postmaster(t)
	url, err := URL(dir)
	require.NoError(t, err)
	remember(t, url)
	// A backend that sits in a transaction outlives its postmaster for a moment.
	conn, err := pgx.Connect(deadline(t), url)
	require.NoError(t, err)
	_, err = conn.Exec(deadline(t), `BEGIN; INSERT INTO kept VALUES (43)`)
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(pid, syscall.SIGKILL))
	p.kill(t)
	s := start(t, dir)
	requireRemembered(t, s.URL())
	_ = conn.Close(context.Background())
}

func TestLeftoversThatDoNotEnd(t *testing.T) {
	dir := ready(t)
	lock, err := openLock(filepath.Join(dir, "postgres"), treeLockName)
	require.NoError(t, err)
	defer func() { _ = lock.Close() }()
	taken, err := tryLock(lock, syscall.LOCK_EX)
	require.NoError(t, err)
	require.True(t, taken)

	_, err = Start(deadline(t), dir, testpeer.Log(t), func(s *settings) { s.leftoverWait = time.Millisecond })
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, "have not ended")
}

// A postmaster is killed, the machine starts anew, and its number now belongs to something else of the same user.
func TestStalePIDOfLiveProcess(t *testing.T) {
	dir := ready(t)
	s := start(t, dir)
	remember(t, s.URL())
	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	<-s.Done()

	acc, err := serverAccount(filepath.Join(dir, "postgres", "data"))
	require.NoError(t, err)
	other, err := startProcess(testpeer.Log(t), acc, syscall.SIGKILL, nil, nil, "/bin/sleep", "600")
	require.NoError(t, err)
	defer func() {
		other.signal(syscall.SIGKILL)
		<-other.done
	}()
	for _, name := range []string{"data/postmaster.pid", "run/.s.PGSQL.5432.lock"} {
		path := filepath.Join(dir, "postgres", name)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		_, rest, _ := strings.Cut(string(text), "\n")
		require.NoError(t, os.WriteFile(path, []byte(strconv.Itoa(other.cmd.Process.Pid)+"\n"+rest), 0o600))
	}

	s = start(t, dir)
	requireRemembered(t, s.URL())
	require.NoError(t, other.cmd.Process.Signal(syscall.Signal(0)), "the other process is left in peace")
}

func TestForeignServerInDirectory(t *testing.T) {
	dir := ready(t)
	s := start(t, dir)
	remember(t, s.URL())
	stop(t, s)

	// As if an administrator had started it by hand: without ADIT's locks.
	c := &cluster{dir: filepath.Join(dir, "postgres", "data")}
	var err error
	c.acc, err = serverAccount(c.dir)
	require.NoError(t, err)
	c.bin, err = findBinaries(deadline(t), 0)
	require.NoError(t, err)
	c.socketDir = filepath.Join(dir, "postgres", "run")
	foreign, err := c.startPostmaster(testpeer.Log(t), nil)
	require.NoError(t, err)
	defer func() {
		foreign.signal(syscall.SIGQUIT)
		<-foreign.done
	}()
	byHand := &Server{process: foreign}
	require.NoError(t, byHand.ready(deadline(t), databaseURL(c.socketDir, "postgres")))

	_, err = Start(deadline(t), dir, testpeer.Log(t))
	require.ErrorIs(t, err, ErrInUse)
	require.ErrorContains(t, err, fmt.Sprintf("process %d", foreign.cmd.Process.Pid))
	requireRemembered(t, databaseURL(c.socketDir, "adit"))
}

func TestInitdbKilledHalfWay(t *testing.T) {
	dir := t.TempDir()
	p := startParent(t, dir, nil)
	half := filepath.Join(dir, "postgres", initPrefix+"*", "base")
	require.Eventually(t, func() bool {
		found, err := filepath.Glob(half)
		return err == nil && len(found) == 1
	}, time.Minute, time.Millisecond)
	p.kill(t)
	require.NoDirExists(t, filepath.Join(dir, "postgres", "data"))

	s := start(t, dir)
	remember(t, s.URL())
	left, err := filepath.Glob(filepath.Join(dir, "postgres", initPrefix+"*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestStartIsCanceled(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	made := make(chan error, 1)
	go func() {
		_, err := Start(ctx, dir, testpeer.Log(t))
		made <- err
	}()
	require.Eventually(t, func() bool {
		found, err := filepath.Glob(filepath.Join(dir, "postgres", initPrefix+"*"))
		return err == nil && len(found) == 1
	}, time.Minute, time.Millisecond)
	cancel()
	require.ErrorIs(t, <-made, context.Canceled)
	stop(t, start(t, dir))
}

func TestDirectoriesThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]string
		is    error
		says  string
	}{
		"older major":    {map[string]string{"PG_VERSION": "9\n", "precious": "x"}, ErrMajor, "install PostgreSQL 9"},
		"newer major":    {map[string]string{"PG_VERSION": "999\n", "precious": "x"}, ErrMajor, "PostgreSQL 999 created it"},
		"no version":     {map[string]string{"precious": "x"}, nil, "is not a PostgreSQL database"},
		"senseless":      {map[string]string{"PG_VERSION": "one\n", "precious": "x"}, nil, "does not name a major version"},
		"empty versions": {map[string]string{"PG_VERSION": "", "precious": "x"}, nil, "does not name a major version"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			data := filepath.Join(dir, "postgres", "data")
			require.NoError(t, os.MkdirAll(data, 0o700))
			for file, text := range tt.files {
				require.NoError(t, os.WriteFile(filepath.Join(data, file), []byte(text), 0o600))
			}
			if os.Geteuid() == 0 {
				acc, err := unprivileged()
				require.NoError(t, err)
				require.NoError(t, os.Chown(data, acc.uid, acc.gid))
			}
			_, err := Start(deadline(t), dir, testpeer.Log(t))
			require.ErrorContains(t, err, tt.says)
			if tt.is != nil {
				require.ErrorIs(t, err, tt.is)
			}
			for file, text := range tt.files {
				got, err := os.ReadFile(filepath.Join(data, file))
				require.NoError(t, err)
				require.Equal(t, text, string(got))
			}
			entries, err := os.ReadDir(data)
			require.NoError(t, err)
			require.Len(t, entries, len(tt.files))
		})
	}
}

func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("a-long-name-", 10))
	require.NoError(t, os.Rename(ready(t), dir))
	s := start(t, dir, Volatile())
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
	url, err := URL(dir)
	require.NoError(t, err)
	require.Equal(t, s.URL(), url)
	short, err := os.Readlink(filepath.Join(dir, "postgres", "run"))
	require.NoError(t, err)

	require.NoError(t, syscall.Kill(s.PID(), syscall.SIGKILL))
	<-s.Done()
	s = start(t, dir, Volatile())
	again, err := os.Readlink(filepath.Join(dir, "postgres", "run"))
	require.NoError(t, err)
	require.Equal(t, short, again, "a directory that was left is used again")
	stop(t, s)
	require.NoDirExists(t, short)

	moved := filepath.Join(t.TempDir(), "d")
	require.NoError(t, os.Rename(dir, moved))
	s = start(t, moved, Volatile())
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
}

// A comma in a host separates several of them, for pgx as for libpq.
func TestCommaInPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Smith, Jones")
	require.NoError(t, os.Rename(ready(t), dir))
	s := start(t, dir, Volatile())
	require.Equal(t, 1, query[int](t, s.URL(), `SELECT 1`))
	url, err := URL(dir)
	require.NoError(t, err)
	require.Equal(t, s.URL(), url)
}

func TestStopAtOnce(t *testing.T) {
	dir := ready(t)
	s := start(t, dir)
	remember(t, s.URL())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	// The orderly stop may be quicker than the context is looked at; both are allowed, and both keep the data.
	if err := s.Stop(ctx); err != nil {
		require.ErrorIs(t, err, context.Canceled)
	}
	<-s.Done()
	s = start(t, dir)
	requireRemembered(t, s.URL())
}

func TestLocalSettingsAreKept(t *testing.T) {
	dir := ready(t)
	conf := filepath.Join(dir, "postgres", "data", "adit-local.conf")
	require.NoError(t, os.WriteFile(conf, []byte("work_mem = 11MB\n"), 0o644))
	s := start(t, dir, Volatile())
	require.Equal(t, "11MB", query[string](t, s.URL(), `SHOW work_mem`))
}

// A configuration that PostgreSQL refuses ends the start with PostgreSQL's own words.
func TestServerThatDoesNotStart(t *testing.T) {
	dir := ready(t)
	conf := filepath.Join(dir, "postgres", "data", "adit-local.conf")
	require.NoError(t, os.WriteFile(conf, []byte("no_such_setting = 1\n"), 0o644))
	_, err := Start(deadline(t), dir, testpeer.Log(t))
	require.ErrorContains(t, err, "no_such_setting")
	require.NoError(t, os.Remove(conf))
	start(t, dir, Volatile())
}

// Root starts the server as another user; here ADIT itself is that other user.
func TestWithoutRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		stop(t, start(t, t.TempDir()))
		return
	}
	acc, err := lookupAccount("65534")
	require.NoError(t, err)
	dir, err := os.MkdirTemp("/tmp", "adit-local-test-") //nolint:usetesting // the other user must get there
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	require.NoError(t, os.Chown(dir, acc.uid, acc.gid))

	p := startParent(t, dir, &syscall.Credential{Uid: 65534, Gid: 65534})
	p.postmaster(t)
	url, err := URL(dir)
	require.NoError(t, err)
	remember(t, url)
	p.kill(t)

	// Root takes over and keeps the owner.
	s := start(t, dir)
	requireRemembered(t, s.URL())
	info, err := os.Stat(filepath.Join("/proc", strconv.Itoa(s.PID())))
	require.NoError(t, err)
	stat, ok := info.Sys().(*syscall.Stat_t)
	require.True(t, ok)
	require.Equal(t, uint32(65534), stat.Uid)
}

func TestOthersAreNotLetIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can speak as another user")
	}
	s := start(t, ready(t), Volatile())
	cfg, err := pgx.ParseConfig(s.URL())
	require.NoError(t, err)
	cfg.User = "postgres"
	_, err = pgx.ConnectConfig(deadline(t), cfg)
	require.Error(t, err)
}

func TestChooseBinaries(t *testing.T) {
	install := func(version string) string {
		dir := t.TempDir()
		script := "#!/bin/sh\necho '" + version + "'\n"
		for _, program := range []string{"initdb", "postgres"} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, program), []byte(script), 0o755))
		}
		return dir
	}
	v15again := install("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)")
	v14, v15, v17 := install("postgres (PostgreSQL) 14.3"),
		install("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)"), install("postgres (PostgreSQL) 17beta1")
	for name, tt := range map[string]struct {
		dirs   []string
		wanted int
		dir    string
		is     error
		says   string
	}{
		"the newest":           {dirs: []string{v15, v17, v14}, dir: v17},
		"the wanted":           {dirs: []string{v14, v17, v15}, wanted: 15, dir: v15},
		"an old cluster stays": {dirs: []string{v14, v17}, wanted: 14, dir: v14},
		"none":                 {dirs: []string{t.TempDir(), "/nonexistent"}, says: "found no PostgreSQL programs"},
		"too old":              {dirs: []string{v14}, says: "needs PostgreSQL 15 or later, and only 14 is installed;"},
		"other major":          {dirs: []string{v15, v17}, wanted: 16, is: ErrMajor, says: "PostgreSQL 16 created it, and only 17 and 15 are installed;"},
		"one in two places":    {dirs: []string{v15, v15again}, wanted: 16, is: ErrMajor, says: "PostgreSQL 16 created it, and only 15 is installed;"},
		"no version line":      {dirs: []string{install("something else")}, says: "found no PostgreSQL programs"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := chooseBinaries(deadline(t), tt.dirs, tt.wanted)
			if tt.says != "" {
				require.ErrorContains(t, err, tt.says)
				require.True(t, tt.is == nil || errors.Is(err, tt.is))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tt.dir, got.dir)
		})
	}
}
