// SPDX-License-Identifier: AGPL-3.0-or-later

// Package store takes objects that a person brings to a server (PS3.18 10.5), as they are and without a task.
package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes *nodes.Service
	sink  *sink.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofSink *sink.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, sink: ofSink}
}

// May returns why a user may not store to the server of an AE title by DICOMweb: *people.Denied without the permission,
// refusal.ErrNotFound where they may not write to it, *refusal.Invalid where it takes nothing.
func (svc *Service) May(ctx context.Context, user people.User, aeTitle string) error {
	_, err := svc.destination(ctx, user, aeTitle)
	return err
}

// destination returns the server of an AE title that a user may store to. One that they may not write to is not there
// for them.
func (svc *Service) destination(ctx context.Context, user people.User, aeTitle string) (nodes.DICOMNode, error) {
	node, err := svc.nodes.ByAETitleFor(ctx, user, people.DICOMwebStore, aeTitle, nodes.AsDestination)
	if err != nil {
		return nodes.DICOMNode{}, err
	}
	if !nodes.Stores(node.Server) {
		return node, &refusal.Invalid{
			Reason: fmt.Sprintf("DICOM Server %s takes no instances: it supports neither C-STORE nor STOW-RS", node.Name),
		}
	}
	return node, nil
}

// Begin takes an interactive slot of the server, which is given back where there is nothing to send for a while, and
// taken again. It is never the last one that is free, which stays for searches. Objects of other studies than the one
// given, if any is, are refused. Errors: those of May; *refusal.Invalid where the study is no UID; *door.Busy,
// *door.Closed; of the network, where a server of DICOMweb can't be reached. All that goes on ends with the context.
func (svc *Service) Begin(ctx context.Context, user people.User, aeTitle, study string) (*Storing, error) {
	node, err := svc.destination(ctx, user, aeTitle)
	if err != nil {
		return nil, err
	}
	if study != "" && !fault.ValidUID(study) {
		return nil, &refusal.Invalid{Field: "study", Reason: "is not a UID"}
	}
	err = svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{people.TransferUnpseudonymized}})
	_, denied := errors.AsType[*people.Denied](err)
	if err != nil && !denied {
		return nil, err
	}
	slots, err := svc.Door.InteractiveButOne(ctx, svc.nodes.Peer(node), 1)
	if err != nil {
		return nil, err
	}
	slot := slots[0]
	running, cancel := context.WithCancel(ctx)
	s := &Storing{
		svc: svc, ctx: running, cancel: cancel, node: node, study: study, identified: !denied,
		to: svc.sink.Alone(node, slot), queue: make(chan *queued, queueLength), served: make(chan struct{}),
		seen: map[string]bool{}, disclosed: map[disclosure]*sums{},
		kinds: map[kind]verdict{},
	}
	if _, err := s.to.Prepare(running, nil); err != nil {
		cancel()
		s.hangUp(slot)
		return nil, err
	}
	go s.serve(slot)
	return s, nil
}
