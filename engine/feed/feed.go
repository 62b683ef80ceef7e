// SPDX-License-Identifier: AGPL-3.0-or-later

// Package feed tells what has changed in the database, whichever process changed it. It tells no more than ids: whoever
// is told reads the rows again, under the rights of those who look.
package feed

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/internal/pause"
)

const (
	channel = "adit" // of NOTIFY, as migration 00042 says
	// How long to wait before the connection is opened again.
	reconnectPause = time.Second
	closeTimeout   = 2 * time.Second
	quiet          = time.Minute // without a word after which the connection is tried
	tryTimeout     = 10 * time.Second
)

// Change is something that has changed. What is not named stays as it is.
type Change struct {
	Job      int64 // was made, changed or deleted
	Owner    int64 // of Job: it was deleted, and was this user's
	Task     int64 // of Job: was changed or deleted
	AllTasks bool  // of Job: many of its tasks were changed
	AllJobs  bool  // many jobs were changed
	People   bool  // who is known, or what they may do, may be different now
	Profile  bool  // what people say of themselves, their active group or preferences
	Nodes    bool  // DICOM nodes were added, changed or removed
	Audit    bool  // rows were added to the audit log
	// Anything may have changed: for a while nothing was heard, which is over now.
	Anything bool
}

// Service of one engine.
type Service struct{ *base.Base }

// New returns the service of an engine.
func New(b *base.Base) *Service { return &Service{b} }

// Follow tells each change from now on, until ctx ends, over a connection of its own, which it opens again when it is
// lost. It begins with Anything. tell must not block: what it is told waits in the connection meanwhile.
func (svc *Service) Follow(ctx context.Context, tell func(Change)) {
	lost := false
	for {
		err := svc.listen(ctx, func(c Change) {
			if lost && c.Anything {
				svc.Log.InfoContext(ctx, "changes in the database are heard again")
			}
			lost = false
			tell(c)
		})
		if ctx.Err() != nil {
			return
		}
		if !lost {
			svc.Log.WarnContext(ctx, "changes in the database are not heard for now; pages may show an old state", "err", err)
		}
		lost = true
		if pause.For(ctx, reconnectPause) != nil {
			return
		}
	}
}

// listen tells changes until the connection is lost.
func (svc *Service) listen(ctx context.Context, tell func(Change)) error {
	conn, err := pgx.ConnectConfig(ctx, svc.Pool.Config().ConnConfig.Copy())
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
	}()
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return err
	}
	tell(Change{Anything: true})
	for {
		n, err := heard(ctx, conn)
		if err != nil {
			return err
		}
		if c, ok := read(n); ok {
			tell(c)
		}
	}
}

// heard waits for a notification. A connection over which nothing comes is tried: a network may swallow what it ends.
func heard(ctx context.Context, conn *pgx.Conn) (string, error) {
	for {
		wait, cancel := context.WithTimeout(ctx, quiet)
		n, err := conn.WaitForNotification(wait)
		over := wait.Err() != nil
		cancel()
		if err == nil {
			return n.Payload, nil
		}
		if ctx.Err() != nil || !over {
			return "", err
		}
		try, cancel := context.WithTimeout(ctx, tryTimeout)
		err = conn.Ping(try)
		cancel()
		if err != nil {
			return "", err
		}
	}
}

// read understands a notification. Words of a newer version are passed over.
func read(payload string) (c Change, ok bool) {
	word, rest, _ := strings.Cut(payload, " ")
	first, second, _ := strings.Cut(rest, " ")
	id := func(text string) int64 {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	switch word {
	case "job":
		c.Job, c.Owner = id(first), id(second)
	case "task":
		c.Job, c.Task = id(first), id(second)
	case "tasks":
		c.Job, c.AllTasks = id(first), true
	case "jobs":
		c.AllJobs = true
	case "people":
		c.People = true
	case "profile":
		c.Profile = true
	case "nodes":
		c.Nodes = true
	case "audit":
		c.Audit = true
	}
	ok = c.Job > 0 && (word != "task" || c.Task > 0) || c.AllJobs || c.People || c.Profile || c.Nodes || c.Audit
	return c, ok
}
