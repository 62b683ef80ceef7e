// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

// Package local runs a private PostgreSQL inside ADIT's data directory, for sites that do not want to maintain a
// database. DESIGN.md describes what it promises, and which accident each of its precautions prevents.
package local

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	superuser    = "adit" // role and database of the cluster
	socketName   = ".s.PGSQL.5432"
	leftoverWait = 30 * time.Second // PostgreSQL itself kills what has not ended 5 s after an immediate stop
	quitWait     = 10 * time.Second
	firstPause   = 20 * time.Millisecond
	longestPause = 250 * time.Millisecond
)

// ErrInUse says that another ADIT, or a PostgreSQL started by hand, works in the data directory.
var ErrInUse = errors.New("the data directory is in use")

// Server is a running PostgreSQL. It is supervised, not restarted: who started it watches Done, and calls Start
// again or gives up.
type Server struct {
	dir      string
	process  *process
	url      string
	ownLock  *os.File
	treeLock *os.File

	done chan struct{}
	stop chan struct{} // holds one value once Stop has been called
	err  error         // set before done is closed
}

// Option changes how Start runs the server.
type Option func(*settings)

type settings struct {
	volatile     bool
	leftoverWait time.Duration
}

// Volatile trades the data for speed: nothing is ever forced to disk. For tests only.
func Volatile() Option { return func(s *settings) { s.volatile = true } }

// Start starts the PostgreSQL of a data directory and returns when it has accepted a connection to the database
// "adit"; both are made at the first start. ctx bounds the start only; the server runs until Stop, or until this
// process ends in whatever way.
//
// The directory belongs to one process at a time: a second one gets ErrInUse. Processes that a killed predecessor
// left behind are waited for, 30 s at most. Nothing that somebody else made is deleted or changed.
func Start(ctx context.Context, dataDir string, logger *slog.Logger, opts ...Option) (_ *Server, err error) {
	set := settings{leftoverWait: leftoverWait}
	for _, opt := range opts {
		opt(&set)
	}
	logger = logger.With("part", "postgresql")

	dir, err := openLayout(dataDir)
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, done: make(chan struct{}), stop: make(chan struct{}, 1)}
	defer func() {
		if err != nil {
			s.unlock()
		}
	}()
	if s.ownLock, err = lockOwn(dir); err != nil {
		return nil, err
	}
	if s.treeLock, err = lockTree(ctx, dir, set.leftoverWait); err != nil {
		return nil, err
	}
	c, err := prepare(ctx, dir, s.treeLock, logger, set)
	if err != nil {
		return nil, err
	}
	if err := s.launch(ctx, c, logger); err != nil {
		return nil, err
	}
	logger.Info("the embedded PostgreSQL accepts connections", "major", c.bin.major, "pid", s.PID())
	return s, nil
}

// URL is the address of the database, for pgx and for libpq alike.
func (s *Server) URL() string { return s.url }

// PID is the process of the postmaster.
func (s *Server) PID() int { return s.process.cmd.Process.Pid }

// Done is closed when the server has ended, and its locks are released.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err says, after Done, why the server ended: nil after an orderly Stop.
func (s *Server) Err() error {
	select {
	case <-s.done:
		return s.err
	default:
		return nil
	}
}

// Stop ends the server and returns when it has ended: first a fast shutdown, which rolls back what is open and
// writes everything down; when ctx ends before that, an immediate one, after which the next start recovers from the
// log. An error means that it was not the fast one. Stop may be called again, and after the server has ended.
func (s *Server) Stop(ctx context.Context) error {
	select {
	case s.stop <- struct{}{}:
	default: // called before
	}
	s.process.signal(syscall.SIGINT)
	select {
	case <-s.done:
		return s.err
	case <-ctx.Done():
	}
	s.stopAtOnce()
	return fmt.Errorf(
		"ADIT stopped the embedded PostgreSQL at once, since its orderly stop took too long (%w); it recovers at the "+
			"next start",
		ctx.Err(),
	)
}

func (s *Server) stopAtOnce() {
	s.process.signal(syscall.SIGQUIT)
	timer := time.NewTimer(quitWait)
	defer timer.Stop()
	select {
	case <-s.done:
		return
	case <-timer.C:
	}
	s.process.signal(syscall.SIGKILL)
	<-s.done
}

// launch starts the postmaster and waits until it serves the database.
func (s *Server) launch(ctx context.Context, c *cluster, logger *slog.Logger) error {
	var err error
	s.url = databaseURL(c.socketDir, superuser)
	s.process, err = c.startPostmaster(logger, s.treeLock)
	if err != nil {
		return err
	}
	go s.supervise()

	if err := s.ready(ctx, databaseURL(c.socketDir, "postgres")); err != nil {
		s.stop <- struct{}{}
		s.stopAtOnce()
		return err
	}
	return nil
}

// supervise waits for the postmaster's end, whatever its reason.
func (s *Server) supervise() {
	<-s.process.done
	select {
	case <-s.stop:
		removeSocketLink(s.dir)
	default:
		s.err = s.process.ended("unexpectedly")
	}
	s.unlock()
	close(s.done)
}

func (s *Server) unlock() {
	for _, f := range []*os.File{s.treeLock, s.ownLock} {
		if f != nil {
			_ = f.Close() // closing is what unlocks; there is nothing to lose
		}
	}
}

// ready connects until it is let in: a server that recovers from a crash may take its time, so there is no limit
// but ctx and the life of the process.
func (s *Server) ready(ctx context.Context, adminURL string) error {
	pause := firstPause
	for {
		err := createDatabase(ctx, adminURL)
		if err == nil {
			return nil
		}
		if refusedForGood(err) {
			return fmt.Errorf("the embedded PostgreSQL does not let ADIT in: %w", err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-s.process.done:
			timer.Stop()
			return s.process.ended("while it started")
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("the embedded PostgreSQL was not ready in time (%w): %w", ctx.Err(), err)
		}
		pause = min(2*pause, longestPause)
	}
}

func createDatabase(ctx context.Context, adminURL string) (err error) {
	cfg, err := pgx.ParseConfig(adminURL)
	if err != nil {
		return err
	}
	cfg.ConnectTimeout = 5 * time.Second
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()

	var exists bool
	if err := conn.QueryRow(
		ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, superuser,
	).Scan(&exists); err != nil ||
		exists {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE DATABASE `+superuser)
	return err
}

// refusedForGood tells an answer of the server from "not yet" (class 57: starting up, shutting down) and from
// silence.
func refusedForGood(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code[:2] != "57"
}

// URL is the address of the server that runs in a data directory, started by whichever process.
func URL(dataDir string) (string, error) {
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(dir, "postgres")
	running, err := isLocked(filepath.Join(dir, treeLockName))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("check whether the embedded database is running: %w", err)
	}
	if !running {
		return "", fmt.Errorf("the embedded database of %s is not running; `adit serve` starts it", dataDir)
	}
	socketDir, err := reachableSocketDir(dir)
	if err != nil {
		return "", err
	}
	return databaseURL(socketDir, superuser), nil
}

func databaseURL(socketDir, database string) string {
	q := url.Values{"host": {socketDir}, "port": {"5432"}}
	return (&url.URL{
		Scheme: "postgres", User: url.User(superuser), Host: "", Path: "/" + database, RawQuery: q.Encode(),
	}).String()
}
