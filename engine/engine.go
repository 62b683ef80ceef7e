// SPDX-License-Identifier: AGPL-3.0-or-later

// Package engine is what a transfer is: DICOM nodes, jobs and tasks with their states, claims and leases, the pipeline that
// moves a study from its source to its destination, the ledger of what was delivered, and the law that success means
// complete. DESIGN.md says how it holds together.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/pacs"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

// ErrNotFound is people's: what does not exist, and likewise what belongs to somebody else.
var ErrNotFound = people.ErrNotFound

type (
	// Invalid is people's: which part of a request can't be used, and why.
	Invalid = people.Invalid
	// Conflict is people's: the job or task is in a state that doesn't allow the action. Nothing was changed.
	Conflict = people.Conflict
)

// Config of an engine. The zero value of a field takes the default named with it.
type Config struct {
	AETitle string // our AE title where a server names no other, and the receiver's for objects as they are stored; "ADIT"
	// PlainAETitle is the receiver's for objects that are not compressed; "ADIT_LE".
	PlainAETitle string
	// ExcludedModalities are those of series that are left out where a patient is pseudonymized.
	ExcludedModalities []string
	BufferBytes        int64           // small objects that may wait for the destination, all tasks together; 64 MiB
	RetryPauses        []time.Duration // between the attempts of a task that failed by its own fault; 2 min, 4 min
	WaitPauses         []time.Duration // while a server can't be had, the last one repeating; 5, 10, 20, 40, 60 s
	ParkGrace          time.Duration   // for the series in hand when a window closes, where its schedule names none; 5 min
	ParkPatience       time.Duration   // with a source that does not end a retrieve when it is asked to; 20 s
	ProbePause         time.Duration   // at most, between two tries of a server that can't be had; 90 s
	RecallPause        time.Duration   // at least, between two attempts at a study that is offline or nearline; 30 s
	Zone               *time.Location  // of the site's days; UTC
	VerifyPause        time.Duration   // at least, between two questions whether a destination has what it acknowledged; 1 s

	// FolderRoots are where staff may add folders; superusers may elsewhere, but nobody may in DataDir, besides its OwnFolders. Without any, staff may nowhere.
	FolderRoots []string
	DataDir     string
}

func (c Config) withDefaults() Config {
	if c.AETitle == "" {
		c.AETitle = "ADIT"
	}
	if c.PlainAETitle == "" {
		c.PlainAETitle = "ADIT_LE"
	}
	if c.BufferBytes == 0 {
		c.BufferBytes = 64 << 20
	}
	if c.RetryPauses == nil {
		c.RetryPauses = []time.Duration{2 * time.Minute, 4 * time.Minute}
	}
	if c.WaitPauses == nil {
		c.WaitPauses = []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute}
	}
	c.ParkGrace, c.ParkPatience = orDefault(c.ParkGrace, schedule.DefaultGrace), orDefault(c.ParkPatience, defaultParkPatience)
	c.ProbePause = orDefault(c.ProbePause, defaultProbePause)
	c.RecallPause = orDefault(c.RecallPause, 30*time.Second)
	c.Zone = orDefault(c.Zone, time.UTC)
	c.VerifyPause = orDefault(c.VerifyPause, time.Second)
	return c
}

const (
	defaultParkPatience = 20 * time.Second
	defaultProbePause   = 90 * time.Second
)

// Signals is what the engine asks of the actors above it. Every signal is a hint: whoever misses one finds the truth in
// the database at the next beat.
type Signals interface {
	// Wake tells that there may be work to claim.
	Wake()
	// Cancel tells that somebody wants running tasks to stop.
	Cancel(taskIDs []int64)
	// Steer tells that running tasks may have to stop for now.
	Steer()
}

// Engine does what one process does about transfers. It is safe for concurrent use.
type Engine struct {
	pool       *pgxpool.Pool
	q          *db.Queries
	people     *people.Service
	door       *pacs.Door
	credit     *credit
	metrics    *metrics
	log        *slog.Logger
	cfg        Config
	signals    Signals
	inbox      Inbox
	paces      *paces
	reports    *reports
	foreign    *foreign
	callers    *callers
	foreseen   *foreseen
	quarantine *Quarantine // nil: there is none
}

// New gives an engine on a migrated database. The door must hold slots in the name of the same node that claims tasks.
func New(pool *pgxpool.Pool, who *people.Service, door *pacs.Door, log *slog.Logger, cfg Config) *Engine {
	cfg = cfg.withDefaults()
	e := &Engine{
		pool: pool, q: db.New(pool), people: who, door: door, credit: newCredit(cfg.BufferBytes), metrics: newMetrics(), log: log, cfg: cfg,
		signals: noSignals{}, inbox: noInbox{}, paces: newPaces(), reports: newReports(), foreign: newForeign(), callers: newCallers(), foreseen: newForeseen(),
	}
	door.SetRefresh(e.RefreshSchedules)
	return e
}

// SetSignals connects the actors. It is called once, before the first request.
func (e *Engine) SetSignals(s Signals) { e.signals = s }

// SetInbox connects the receiver. It is called once, before the first task runs.
func (e *Engine) SetInbox(i Inbox) { e.inbox = i }

type noSignals struct{}

func (noSignals) Wake()          {}
func (noSignals) Cancel([]int64) {}
func (noSignals) Steer()         {}

// inTx runs fn in a transaction, again if PostgreSQL gave it up.
func (e *Engine) inTx(ctx context.Context, fn func(q *db.Queries) error) error {
	return db.InTx(ctx, e.pool, func(tx pgx.Tx) error { return fn(e.q.WithTx(tx)) })
}

// notFound turns the absence of a row into ErrNotFound.
func notFound(err error, what string, id any) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("%s %v: %w", what, id, ErrNotFound)
	}
	return err
}
