// SPDX-License-Identifier: AGPL-3.0-or-later

// Package doctor tries a server, and reports which of its settings are wrong.
package doctor

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes    *nodes.Service
	receive  *receive.Service
	retrieve *retrieve.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofReceive *receive.Service, ofRetrieve *retrieve.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, receive: ofReceive, retrieve: ofRetrieve}
}
