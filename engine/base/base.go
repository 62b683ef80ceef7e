// SPDX-License-Identifier: AGPL-3.0-or-later

// Package base is the foundation of every room of an engine: its database, the people, the door to the servers, its
// configuration, and the signals that tell the actors that something has changed.
package base

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

// Base is shared by the services of one engine. Signals and Others are set once, before the first request.
type Base struct {
	Pool    *pgxpool.Pool
	Q       *db.Queries
	People  *people.Service
	Door    *door.Door
	Paces   *door.Paces
	Credit  *door.Credit // what all who buffer instances may hold
	Metrics *Metrics
	Log     *slog.Logger
	Config  Config
	Signals Signals
	Others  Others
}

// New returns the base of an engine on a migrated database. The door must hold slots in the name of the same member
// that claims tasks.
func New(pool *pgxpool.Pool, who *people.Service, doors *door.Door, log *slog.Logger, cfg Config) *Base {
	cfg = cfg.WithDefaults()
	return &Base{
		Pool: pool, Q: db.New(pool), People: who, Door: doors, Paces: door.NewPaces(),
		Credit: door.NewCredit(cfg.BufferBytes), Metrics: NewMetrics(), Log: log,
		Config: cfg, Signals: NoSignals{}, Others: NoOthers{},
	}
}

// InTx runs fn in a transaction, again if PostgreSQL gave it up.
func (b *Base) InTx(ctx context.Context, fn func(q *db.Queries) error) error {
	return db.InTx(ctx, b.Pool, func(tx pgx.Tx) error { return fn(b.Q.WithTx(tx)) })
}

// Reconsider has the member look at once at what may start now, and what has to stop.
func (b *Base) Reconsider() {
	b.Signals.Steer()
	b.Signals.Wake()
}

// Config of an engine. The zero value of a field takes the default named with it.
type Config struct {
	// our AE title where a server names no other, and the receiver's for instances as they are stored; "ADIT"
	AETitle string
	// PlainAETitle is the receiver's for instances that are not compressed; "ADIT_LE".
	PlainAETitle string
	// ReceiverPort and ReceiverTLSPort are where the receiver of this process listens; 0: nowhere.
	ReceiverPort, ReceiverTLSPort int
	// ExcludedModalities are those of series that are left out where a patient is pseudonymized.
	ExcludedModalities []string
	BufferBytes        int64           // small instances that may wait for a destination, all together; 64 MiB
	RetryPauses        []time.Duration // between the attempts of a task that failed by its own fault; 2 min, 4 min
	WaitPauses         []time.Duration // while a server is not available, the last one repeating; 5, 10, 20, 40, 60 s
	// for the series in hand when a window closes, where its schedule names none; 5 min
	ParkGrace    time.Duration
	ParkPatience time.Duration  // with a source that does not end a retrieve when it is asked to; 20 s
	ProbePause   time.Duration  // at most, between two probes of an unavailable server; 90 s
	RecallPause  time.Duration  // at least, between two attempts at a study that is offline or nearline; 30 s
	Zone         *time.Location // of the site's days; UTC
	// at least, between two questions whether a destination has what it acknowledged; 1 s
	VerifyPause time.Duration

	// FolderRoots are where staff may add folders; superusers may elsewhere, but nobody may in DataDir, besides its
	// OwnFolders. Without any, staff may nowhere.
	FolderRoots []string
	DataDir     string

	// Cluster says that other members may see other folders than this one.
	Cluster bool
}

const (
	defaultParkPatience = 20 * time.Second
	defaultProbePause   = 90 * time.Second
)

// Excludes reports whether an instance is left out where a patient is pseudonymized, by its own modality or by its SOP
// class: what a server says of its series may be wrong.
func (c *Config) Excludes(modality, class string) bool {
	return slices.ContainsFunc(c.ExcludedModalities, func(m string) bool {
		return m == modality || dict.IsClassOfModality(class, m)
	})
}

// WithDefaults returns the configuration with the default in the place of each zero value.
func (c Config) WithDefaults() Config {
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
		c.WaitPauses = []time.Duration{
			5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute,
		}
	}
	c.ParkGrace, c.ParkPatience = cmp.Or(c.ParkGrace, schedule.DefaultGrace),
		cmp.Or(c.ParkPatience, defaultParkPatience)
	c.ProbePause = cmp.Or(c.ProbePause, defaultProbePause)
	c.RecallPause = cmp.Or(c.RecallPause, 30*time.Second)
	c.Zone = cmp.Or(c.Zone, time.UTC)
	c.VerifyPause = cmp.Or(c.VerifyPause, time.Second)
	return c
}

// Signals is what the engine asks of the actors above it. Every signal is a hint: whoever misses one finds the truth in
// the database at the next beat.
type Signals interface {
	// Wake says that there may be work to claim.
	Wake()
	// Cancel says that somebody wants running tasks to stop.
	Cancel(taskIDs []int64)
	// Steer says that running tasks may have to stop for now.
	Steer()
	// ServersChanged says that other AE titles may call now. It returns when that is in effect.
	ServersChanged()
}

// NoSignals tell nobody.
type NoSignals struct{}

// Wake implements Signals.
func (NoSignals) Wake() {}

// Cancel implements Signals.
func (NoSignals) Cancel([]int64) {}

// Steer implements Signals.
func (NoSignals) Steer() {}

// ServersChanged implements Signals.
func (NoSignals) ServersChanged() {}
