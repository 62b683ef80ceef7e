// SPDX-License-Identifier: AGPL-3.0-or-later

// Package lease decides who runs a task: claims, heartbeats, what stops a run and how it ends, and how much load a
// server can take.
package lease

import (
	"sync/atomic"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes   *nodes.Service
	resting atomic.Bool // the last claim found nothing to do, or there was none yet
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service) *Service {
	svc := &Service{Base: b, nodes: ofNodes}
	svc.resting.Store(true)
	return svc
}
