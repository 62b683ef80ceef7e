// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	_ "embed"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ClaimSQL is the statement behind ClaimTask, without its lock; a test explains it.
//
//go:embed claim.sql
var ClaimSQL string

// Claimed names a task that a member holds: every later write about it carries the token.
type Claimed struct {
	TaskID, JobID, Token int64
	Kind                 string // of the job
	Moves                bool   // it moves a study; else it only asks its source
}

// batcher is a pool, a connection or a transaction.
type batcher interface {
	SendBatch(ctx context.Context, b *pgx.Batch) pgx.BatchResults
}

// Claim is what a claim found.
type Claim struct {
	Claimed // without Found: the task for which the member has to make room, if any
	Found   bool
	// Without a task: after how long a rate or a window may allow one, 0 if none is in sight; and whether the caps that
	// are kept of a server are those of an hour that is over.
	Again time.Duration
	Stale bool
}

// ClaimTask gives the member the next task that is due and for whose servers there are slots, together with one slot
// per server, in one round trip. No two claims of the cluster run at once. probe is after how long the next trial of a
// server may follow one that doesn't end.
func ClaimTask(ctx context.Context, conn batcher, member uuid.UUID, probe time.Duration) (Claim, error) {
	// The two statements form one implicit transaction; at READ COMMITTED the second one has a snapshot of its own,
	// taken when the lock is held.
	var batch pgx.Batch
	batch.Queue(lockSlots)
	batch.Queue(ClaimSQL, member, probe.Seconds())
	results := conn.SendBatch(ctx, &batch)
	defer func() { _ = results.Close() }()

	if _, err := results.Exec(); err != nil {
		return Claim{}, err
	}
	var c Claim
	var again float64
	if err := results.QueryRow().Scan(&c.TaskID, &c.JobID, &c.Kind, &c.Moves, &c.Token, &again, &c.Stale); err != nil {
		return Claim{}, err
	}
	c.Found, c.Again = c.Token != 0, time.Duration(again*float64(time.Second))
	return c, results.Close()
}
