// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/lease"
)

// ready says why this process should get no requests.
func (s *server) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("ADIT is shutting down.")
	}
	member := s.running.Load()
	if member == nil {
		return errors.New("ADIT is starting.")
	}
	if s.has(lease.RoleWeb) && member.Without(lease.RoleWeb) {
		return errors.New("This member of the cluster serves no people now: its role web was taken away.")
	}
	if err := s.database.trouble(); err != nil {
		return err
	}
	err := db.CheckSchema(ctx, s.pool)
	if errors.Is(err, db.ErrSchemaTooOld) || errors.Is(err, db.ErrSchemaTooNew) {
		return err
	}
	if err == nil {
		err = s.writes.try(ctx, s.pool)
	}
	if err == nil {
		return nil
	}
	s.log.InfoContext(ctx, "not ready", "reason", err)
	trouble := db.TroubleOf(err)
	switch {
	case trouble == nil || trouble.Away():
		return errors.New("ADIT's database doesn't answer.")
	default:
		return errors.New(capital(trouble.Reason) + ".")
	}
}

// writes is what is known of whether the database can write.
type writes struct {
	mu    sync.Mutex
	tried time.Time
	err   error
}

// writesHold is how long that holds: anybody may ask for it.
const (
	writesHold     = time.Second
	writesPatience = 4 * time.Second
)

func (w *writes) try(ctx context.Context, pool *pgxpool.Pool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.tried) > writesHold {
		// the answer is for others as well
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writesPatience)
		defer cancel()
		w.err = db.Writable(ctx, pool)
		w.tried = time.Now()
	}
	return w.err
}

// capital begins a sentence.
func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
