// SPDX-License-Identifier: AGPL-3.0-or-later

// Package quarantine handles unsolicited instances: it counts them, and keeps them for a while where there is room.
package quarantine

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes       *nodes.Service
	unsolicited *unsolicited
	quarantine  *Quarantine // nil: there is none
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, unsolicited: newUnsolicited()}
}
