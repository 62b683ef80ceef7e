// SPDX-License-Identifier: AGPL-3.0-or-later

// Package housekeeping does what is due now and then: it removes, sums up, counts and measures.
package housekeeping

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes *nodes.Service
	sinks *sink.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofSinks *sink.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, sinks: ofSinks}
}
