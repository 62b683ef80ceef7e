// SPDX-License-Identifier: AGPL-3.0-or-later

// Package batchquery runs the tasks of batch queries, each of which asks a server what one row of a file describes, and
// keeps what they found.
package batchquery

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes *nodes.Service
	jobs  *jobs.Service
	lease *lease.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofJobs *jobs.Service, ofLease *lease.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, jobs: ofJobs, lease: ofLease}
}
