// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dbtest gives each test a PostgreSQL database of its own, with ADIT's schema, in some tens of milliseconds.
//
// The first test of a process starts a server in a temporary directory (about two seconds) and migrates a template;
// each database is a copy of that. The server ends with the process, however that ends, and its directory is
// removed then.
package dbtest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/local"
)

const (
	patience  = time.Minute      // for the server, on a machine that is busy
	closeWait = 20 * time.Second // for connections that a test has not given back
)

var count atomic.Int64

// New returns a pool on a new database with ADIT's schema. Both end with the test; a test that has not given its
// connections back by then fails.
func New(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return open(t, URL(t))
}

// URL returns the address of a new database with ADIT's schema, for a process or for a pool of the test's own. The
// database is dropped at the end of the test, connections or not.
func URL(t testing.TB) string {
	t.Helper()
	s, err := shared()
	require.NoError(t, err)
	return s.create(t, fmt.Sprintf("TEMPLATE %s STRATEGY FILE_COPY", s.template))
}

// Empty returns the address of a new database without any schema, for tests of the migrations.
func Empty(t testing.TB) string {
	t.Helper()
	s, err := shared()
	require.NoError(t, err)
	return s.create(t, "TEMPLATE template0 STRATEGY FILE_COPY")
}

// IgnoreServer makes goleak overlook the goroutines that watch this package's server, which lives as long as the
// process: goleak.VerifyTestMain(m, dbtest.IgnoreServer()...).
func IgnoreServer() []goleak.Option {
	const pkg = "github.com/adit-go/adit/db/local."
	return []goleak.Option{
		goleak.IgnoreAnyFunction(pkg + "(*process).run"),
		goleak.IgnoreAnyFunction(pkg + "(*process).pump"),
		goleak.IgnoreAnyFunction(pkg + "(*Server).supervise"),
	}
}

func open(t testing.TB, url string) *pgxpool.Pool {
	t.Helper()
	pool, err := db.Open(t.Context(), url, db.Options{ApplicationName: "adit test"})
	require.NoError(t, err)
	t.Cleanup(func() {
		closed := make(chan struct{})
		go func() {
			defer close(closed)
			pool.Close()
		}()
		select {
		case <-closed:
		case <-time.After(closeWait):
			t.Errorf("%d connections were not given back to the pool of dbtest.New", pool.Stat().AcquiredConns())
		}
	})
	return pool
}

// server is the PostgreSQL of this process.
type server struct {
	*local.Server
	template string
}

var shared = sync.OnceValues(startServer)

func startServer() (_ *server, err error) {
	dir, err := os.MkdirTemp("", "adit-dbtest-")
	if err != nil {
		return nil, err
	}
	if err := removeAfterwards(dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	l, err := local.Start(ctx, dir, slog.New(slog.DiscardHandler), local.Volatile())
	if err != nil {
		return nil, fmt.Errorf("start the tests' PostgreSQL: %w", err)
	}
	s := &server{Server: l}
	if s.template, err = templateName(); err != nil {
		return nil, err
	}
	return s, s.makeTemplate(ctx)
}

// removeAfterwards leaves a shell behind that waits for the end of this process (its standard input ends then) and
// of the server (its lock is free then), and removes the directory.
func removeAfterwards(dir string) error {
	var pipe [2]int // the writing end is never closed but by the end of this process
	if err := syscall.Pipe2(pipe[:], syscall.O_CLOEXEC); err != nil {
		return err
	}
	wait := os.NewFile(uintptr(pipe[0]), "end of the tests")
	const script = `cat; flock "$1/postgres/postgres.lock" rm -rf "$1" || rm -rf "$1"`
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", script, "sh", dir)
	cmd.Stdin = wait
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // Ctrl-C ends the test, and this afterwards
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start what removes the tests' database: %w", err)
	}
	return wait.Close()
}

// templateName names the migrations that the template was made by.
func templateName() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(db.Migrations(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(db.Migrations(), path)
		fmt.Fprintf(h, "%s %d\n%s", filepath.Base(path), len(text), text)
		return err
	})
	return "template_" + hex.EncodeToString(h.Sum(nil))[:16], err
}

func (s *server) makeTemplate(ctx context.Context) error {
	if err := s.exec(ctx, `CREATE DATABASE `+s.template); err != nil {
		return err
	}
	if err := db.Migrate(ctx, s.url(s.template)); err != nil {
		return err
	}
	return s.exec(ctx, `ALTER DATABASE `+s.template+` IS_TEMPLATE true ALLOW_CONNECTIONS false`)
}

func (s *server) create(t testing.TB, how string) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", count.Add(1))
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(t, s.exec(ctx, `CREATE DATABASE `+name+` `+how))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, s.exec(ctx, `DROP DATABASE IF EXISTS `+name+` WITH (FORCE)`))
	})
	return s.url(name)
}

func (s *server) exec(ctx context.Context, sql string) error {
	conn, err := pgx.Connect(ctx, s.URL())
	if err != nil {
		return fmt.Errorf("connect to the tests' PostgreSQL: %w", err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		return fmt.Errorf("%s: %w", sql, err)
	}
	return nil
}

func (s *server) url(database string) string {
	u, err := url.Parse(s.URL())
	if err != nil {
		panic(err) // local makes it
	}
	u.Path = "/" + database
	return u.String()
}
