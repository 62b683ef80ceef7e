// SPDX-License-Identifier: AGPL-3.0-or-later

// Package retrieve gets the instances of a study from its source by all means: by C-GET, by C-MOVE, and over parallel
// associations.
package retrieve

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/source"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes    *nodes.Service
	receive  *receive.Service
	inbox    Inbox
	foreseen *source.Foreseen
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofReceive *receive.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, receive: ofReceive, inbox: noInbox{}, foreseen: source.NewForeseen()}
}

// SetInbox connects the receiver. It is called once, before the first task runs.
func (svc *Service) SetInbox(i Inbox) { svc.inbox = i }

// Inbox returns the receiver.
func (svc *Service) Inbox() Inbox { return svc.inbox }
