// SPDX-License-Identifier: AGPL-3.0-or-later

// Package engine is the transfer, in rooms: DICOM nodes, jobs and tasks with their states, claims and leases, the
// pipeline that moves a study from its source to its destination, the ledger of delivered instances, and the rule that
// success means complete. DESIGN.md says how the rooms work together, and which room is above which. This package wires
// them; no room imports it.
package engine

import (
	"context"
	"log/slog"
	"slices"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/batchjobs"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/download"
	"github.com/adit-go/adit/engine/feed"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/inquiry"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/recurring"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/store"
	"github.com/adit-go/adit/engine/transfer"
	"github.com/adit-go/adit/engine/verify"
	"github.com/adit-go/adit/people"
)

// Engine does what one process does about transfers. It is safe for concurrent use.
type Engine struct {
	Nodes        *nodes.Service
	Query        *query.Service
	Reading      *reading.Service
	Download     *download.Service
	Projects     *projects.Service
	Jobs         *jobs.Service
	Lease        *lease.Service
	Receive      *receive.Service
	Quarantine   *quarantine.Service
	Verify       *verify.Service
	Retrieve     *retrieve.Service
	Transfer     *transfer.Service
	Store        *store.Service
	BatchQuery   *batchquery.Service
	BatchJobs    *batchjobs.Service
	Mass         *mass.Service
	Recurring    *recurring.Service
	Doctor       *doctor.Service
	Housekeeping *housekeeping.Service
	Feed         *feed.Service

	base *base.Base
}

// New returns an engine on a migrated database. The door must hold slots in the name of the same member that claims
// tasks.
func New(pool *pgxpool.Pool, who *people.Service, doors *door.Door, log *slog.Logger, cfg base.Config) *Engine {
	b := base.New(pool, who, doors, log, cfg)
	e := &Engine{
		base: b, Nodes: nodes.New(b), Projects: projects.New(b),
		Receive: receive.New(b), Feed: feed.New(b),
	}
	e.Query, e.Jobs, e.Lease, e.Quarantine = query.New(b, e.Nodes), jobs.New(b, e.Nodes, e.Projects),
		lease.New(b, e.Nodes), quarantine.New(b, e.Nodes)
	e.Retrieve = retrieve.New(b, e.Nodes, e.Receive)
	e.Reading = reading.New(b, e.Nodes, e.Projects, e.Retrieve)
	e.Download = download.New(b, e.Reading)
	e.Verify = verify.New(b, func() bool { return e.Retrieve.Inbox().Listens() })
	sinks := sink.New(b, e.Nodes)
	e.Housekeeping = housekeeping.New(b, e.Nodes, sinks)
	e.Store = store.New(b, e.Nodes, sinks)
	e.Transfer = transfer.New(b, transfer.Rooms{
		Nodes: e.Nodes, Projects: e.Projects, Jobs: e.Jobs,
		Lease: e.Lease, Ledger: ledger.New(b), Sink: sinks,
		Receive: e.Receive, Quarantine: e.Quarantine, Verify: e.Verify, Retrieve: e.Retrieve,
	})
	asks := inquiry.New(b, e.Nodes, e.Lease)
	e.BatchQuery, e.Mass = batchquery.New(b, e.Jobs, asks), mass.New(b, e.Jobs, asks)
	e.Recurring = recurring.New(b, e.Jobs, e.Mass)
	e.BatchJobs = batchjobs.New(b, e.Jobs, e.BatchQuery)
	e.Doctor = doctor.New(b, e.Nodes, e.Receive, e.Retrieve)
	doors.SetRefresh(e.Nodes.RefreshSchedules)
	return e
}

// Run does what a claimed task is about, and gives the outcome that Lease.End writes down. It ends soon after the
// context does, whose cause is one of ErrCanceled, ErrParked and ErrFenced, and stops as the signals tell it to.
func (e *Engine) Run(
	ctx context.Context, held lease.Held, signals *lease.StopSignals, progress *lease.Progress,
) lease.Outcome {
	switch {
	case held.Kind == jobs.BatchQuery:
		return e.BatchQuery.Run(ctx, held, signals)
	case held.Kind == jobs.MassTransfer && !held.Moves:
		return e.Mass.Run(ctx, held, signals)
	}
	return e.Transfer.Run(ctx, held, signals, progress)
}

// SetSignals connects the actors. It is called once, before the first request.
func (e *Engine) SetSignals(s base.Signals) { e.base.Signals = s }

// SetOthers connects the other members. It is called once, before the first request.
func (e *Engine) SetOthers(o base.Others) { e.base.Others = o }

// Collectors returns the metrics of transfers, of the site and of associations, to be registered once.
func (e *Engine) Collectors() []prometheus.Collector {
	return slices.Concat(
		e.base.Metrics.Collectors(), []prometheus.Collector{e.Housekeeping.SiteMetrics()}, e.base.Door.Collectors(),
		e.Reading.Collectors(),
	)
}
