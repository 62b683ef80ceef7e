// SPDX-License-Identifier: AGPL-3.0-or-later

// Package transfer is one run of a task, from its claim to its verdict.
package transfer

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/engine/verify"
)

// Rooms are the services that a transfer needs.
type Rooms struct {
	Nodes      *nodes.Service
	Projects   *projects.Service
	Jobs       *jobs.Service
	Lease      *lease.Service
	Ledger     *ledger.Service
	Sink       *sink.Service
	Receive    *receive.Service
	Quarantine *quarantine.Service
	Verify     *verify.Service
	Retrieve   *retrieve.Service
}

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes      *nodes.Service
	projects   *projects.Service
	jobs       *jobs.Service
	lease      *lease.Service
	ledger     *ledger.Service
	sink       *sink.Service
	receive    *receive.Service
	quarantine *quarantine.Service
	verify     *verify.Service
	retrieve   *retrieve.Service

	firsts *firsts
}

// New returns the service of an engine.
func New(b *base.Base, of Rooms) *Service {
	return &Service{
		Base: b, nodes: of.Nodes, projects: of.Projects, jobs: of.Jobs,
		lease: of.Lease, ledger: of.Ledger, sink: of.Sink, receive: of.Receive,
		quarantine: of.Quarantine, verify: of.Verify, retrieve: of.Retrieve,
		firsts: newFirsts(),
	}
}
