// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Beginner is what begins a transaction: a pool, a connection, or a transaction (then a savepoint).
type Beginner interface {
	Begin(ctx context.Context) (pgx.Tx, error)
}

const (
	txAttempts   = 10
	txFirstPause = 2 * time.Millisecond // doubles each time, 1 s at the last
)

// InTx runs fn in a transaction and commits it if fn returns nil, else rolls it back and returns fn's error.
//
// A transaction that PostgreSQL gave up for the sake of another one (40001 serialization_failure, 40P01
// deadlock_detected) is run anew, up to ten times. fn must therefore do nothing that outlives a rollback. This is
// the only place where a transaction is retried; a lost connection is reported, since nobody knows whether its
// commit arrived.
func InTx(ctx context.Context, db Beginner, fn func(tx pgx.Tx) error) error {
	pause := txFirstPause
	for attempt := 1; ; attempt++ {
		err := pgx.BeginFunc(ctx, db, fn)
		if err == nil || !givenUp(err) {
			return err
		}
		if attempt == txAttempts {
			return fmt.Errorf("the transaction conflicted with others %d times in a row: %w", txAttempts, err)
		}
		// Between half and all of the pause, so that two that collided do not collide again.
		timer := time.NewTimer(pause/2 + rand.N(pause/2)) //nolint:gosec // nobody gains by guessing it
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
		pause *= 2
	}
}

func givenUp(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40001" || pg.Code == "40P01")
}
