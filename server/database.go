// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/internal/pause"
)

const databaseGrace = 20 * time.Second

// database is the PostgreSQL of a server: the embedded one, which is started again when it ends by itself, or one that
// others look after.
type database struct {
	url string

	dataDir string
	log     *slog.Logger
	ended   chan<- error
	ctx     context.Context
	cancel  context.CancelFunc
	local   *local.Server         // of the supervisor, once it runs
	down    atomic.Pointer[error] // why it doesn't run
	done    chan struct{}         // closed when the supervisor has ended; nil without one
}

// startDatabase starts the embedded PostgreSQL if no URL is given. As long as there is no room for it, that is waited
// for.
func startDatabase(ctx context.Context, dataDir, url string, log *slog.Logger, ended chan<- error) (*database, error) {
	if url != "" {
		return &database{url: url}, nil
	}
	var srv *local.Server
	err := again(ctx, func() (wait bool, err error) {
		if srv, err = local.Start(ctx, dataDir, log); local.NoRoom(err) {
			log.Error(
				"the embedded PostgreSQL can't be started; ADIT starts it when there is room",
				"reason", notRunning(err), "error", err,
			)
			return true, err
		}
		return false, err
	})
	if err != nil {
		return nil, err
	}
	d := &database{url: srv.URL(), dataDir: dataDir, log: log, ended: ended, local: srv, done: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go d.supervise()
	return d, nil
}

// supervise starts the server again whenever it ends, and never gives up: what keeps it down may be put right.
func (d *database) supervise() {
	defer close(d.done)
	var pauses pauses
	for {
		started := time.Now()
		select {
		case <-d.local.Done():
		case <-d.ctx.Done():
			return
		}
		if time.Since(started) > longestPause {
			pauses = 0
		}
		cause := d.local.Err()
		for cause != nil {
			d.down.Store(&cause)
			wait := pauses.next()
			d.log.Error(
				"the embedded PostgreSQL is not running; ADIT starts it again",
				"reason", notRunning(cause), "error", cause, "in", wait.String(),
			)
			if pause.For(d.ctx, wait) != nil {
				return
			}
			cause = d.restart()
		}
		d.down.Store(nil)
		if d.local.URL() != d.url {
			d.fail(errors.New("the embedded PostgreSQL now has another address; restart ADIT"))
			return
		}
	}
}

// restart takes as long as PostgreSQL takes to recover.
func (d *database) restart() error {
	srv, err := local.Start(d.ctx, d.dataDir, d.log)
	if err != nil {
		return err
	}
	d.local = srv
	return nil
}

// trouble says why the embedded PostgreSQL doesn't run, nil if it does, or if the database is another one.
func (d *database) trouble() error {
	if cause := d.down.Load(); cause != nil {
		return errors.New(notRunning(*cause))
	}
	return nil
}

// notRunning says in sentences why the embedded PostgreSQL doesn't run, and what to do. Everybody may read it.
func notRunning(cause error) string {
	reason := local.Reason(cause)
	if reason == "" {
		reason = "the log says why"
	}
	return fmt.Sprintf("ADIT's embedded database is not running: %s.", reason)
}

func (d *database) fail(err error) {
	if d.ctx.Err() != nil {
		return
	}
	select {
	case d.ended <- err:
	default: // others were first
	}
}

// stop ends the embedded PostgreSQL.
func (d *database) stop() error {
	if d.done == nil {
		return nil
	}
	d.cancel()
	<-d.done
	ctx, cancel := context.WithTimeout(context.Background(), databaseGrace)
	defer cancel()
	select {
	case <-d.local.Done():
		return nil // unexpectedly, and already reported
	default:
		return d.local.Stop(ctx)
	}
}

// openDatabase migrates the database and opens it. A database that doesn't answer yet, as after a power cut, is
// waited for.
func (s *server) openDatabase(ctx context.Context) error {
	return again(ctx, func() (bool, error) {
		err := db.Migrate(ctx, s.database.url)
		if err == nil {
			s.pool, err = db.Open(ctx, s.database.url, db.Options{})
		}
		trouble := db.TroubleOf(err)
		if trouble == nil || !trouble.Passes() {
			return false, err
		}
		s.log.Error("the database is not ready yet; ADIT starts when it is", "reason", trouble.Reason, "error", err)
		return true, err
	})
}

const (
	firstPause   = time.Second
	longestPause = time.Minute
)

// pauses counts what was tried in vain: at once, then after a second, and twice as long each time up to a minute.
type pauses int

func (p *pauses) next() time.Duration {
	n := *p
	*p++
	if n == 0 {
		return 0
	}
	return min(firstPause<<min(n-1, 10), longestPause)
}

// again tries something until it succeeds, or fails in a way that waiting doesn't mend, with growing pauses.
func again(ctx context.Context, try func() (wait bool, err error)) error {
	tried := pauses(1)
	for {
		wait, err := try()
		if !wait {
			return err
		}
		if stopped := pause.For(ctx, tried.next()); stopped != nil {
			return errors.Join(stopped, err)
		}
	}
}
