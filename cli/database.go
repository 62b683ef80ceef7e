// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/adit-go/adit/db/local"
)

const (
	maxRestarts   = 5 // of the embedded PostgreSQL, within restartWindow
	restartWindow = 5 * time.Minute
	restartLimit  = 2 * time.Minute // for one start, recovery included
	databaseGrace = 20 * time.Second
)

// database is the PostgreSQL of a server: the embedded one, which is started again when it ends by itself, or one that
// others look after.
type database struct {
	url string

	dataDir string
	log     *slog.Logger
	ended   chan<- error
	ctx     context.Context
	cancel  context.CancelFunc
	local   *local.Server // of the supervisor, once it runs
	done    chan struct{} // closed when the supervisor has ended; nil without one
}

// startDatabase starts the embedded PostgreSQL if no URL is given. ended is told when it can't be kept running.
func startDatabase(ctx context.Context, dataDir, url string, log *slog.Logger, ended chan<- error) (*database, error) {
	if url != "" {
		return &database{url: url}, nil
	}
	srv, err := local.Start(ctx, dataDir, log)
	if err != nil {
		return nil, err
	}
	d := &database{url: srv.URL(), dataDir: dataDir, log: log, ended: ended, local: srv, done: make(chan struct{})}
	d.ctx, d.cancel = context.WithCancel(context.WithoutCancel(ctx))
	go d.supervise() //nolint:contextcheck // it has a context for as long as it lives
	return d, nil
}

// supervise starts the server again when it ends.
func (d *database) supervise() {
	defer close(d.done)
	var starts []time.Time
	for {
		select {
		case <-d.local.Done():
		case <-d.ctx.Done():
			return
		}
		cause := d.local.Err()
		for {
			if d.ctx.Err() != nil {
				return
			}
			d.log.Error("the embedded PostgreSQL has ended; it is started again", "error", cause)
			if starts = append(starts, time.Now()); len(starts) > maxRestarts {
				if time.Since(starts[0]) < restartWindow {
					d.fail(fmt.Errorf("the embedded PostgreSQL can't be started again; it ended %d times within %s: %w", maxRestarts+1, restartWindow, cause))
					return
				}
				starts = starts[1:]
			}
			if cause = d.restart(); cause == nil { // what ended it may end it again while it starts
				break
			}
		}
		if d.local.URL() != d.url {
			d.fail(errors.New("the embedded PostgreSQL has another address now; start ADIT again"))
			return
		}
	}
}

func (d *database) restart() error {
	ctx, cancel := context.WithTimeout(d.ctx, restartLimit)
	defer cancel()
	srv, err := local.Start(ctx, d.dataDir, d.log)
	if err != nil {
		return err
	}
	d.local = srv
	return nil
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
		return nil // by itself, and reported already
	default:
		return d.local.Stop(ctx)
	}
}
