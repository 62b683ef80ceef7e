// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	_ "embed"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ClaimSQL is the statement behind ClaimTask, without its lock; a test explains it.
//
//go:embed claim.sql
var ClaimSQL string

// Claimed names a task that a node holds: every later write about it carries the token.
type Claimed struct {
	TaskID, JobID, Token int64
}

// batcher is a pool, a connection or a transaction.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// ClaimTask gives the node the next task that is due and for whose servers there are slots, together with one slot per
// server, in one round trip. It reports false when there is none. No two claims of the cluster run at once.
func ClaimTask(ctx context.Context, conn batcher, node uuid.UUID) (Claimed, bool, error) {
	// The two statements form one implicit transaction; at READ COMMITTED the second one has a snapshot of its own,
	// taken when the lock is held.
	var batch pgx.Batch
	batch.Queue(lockSlots)
	batch.Queue(ClaimSQL, node)
	results := conn.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()

	if _, err := results.Exec(); err != nil {
		return Claimed{}, false, err
	}
	var c Claimed
	err := results.QueryRow().Scan(&c.TaskID, &c.JobID, &c.Token)
	if errors.Is(err, pgx.ErrNoRows) {
		return Claimed{}, false, results.Close()
	}
	if err != nil {
		return Claimed{}, false, err
	}
	return c, true, results.Close()
}
