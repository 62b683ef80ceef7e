// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Finding is one thing that the check of a DICOM node found: a check that was made, or, after all of these, a
// suggestion.
type Finding struct {
	Check      *Check
	Suggestion *Suggestion
}

// Check tries whether a server answers, offers what it is configured with, can be searched at every level and sends an
// instance, or whether a folder is writable. It reads eight instances at the most and keeps none. It is for staff;
// *people.TooMany after many at a time.
func (svc *Service) Check(ctx context.Context, user people.User, name string) (Report, error) {
	var report Report
	for f, err := range svc.Findings(ctx, user, name) {
		switch {
		case err != nil:
			return report, err
		case f.Check != nil:
			report.Checks = append(report.Checks, *f.Check)
		default:
			report.Suggestions = append(report.Suggestions, *f.Suggestion)
		}
	}
	return report, nil
}

// Findings is Check that yields what is found as it is found. Leaving the loop ends the check.
func (svc *Service) Findings(ctx context.Context, user people.User, name string) iter.Seq2[Finding, error] {
	return findings(ctx, func(ctx context.Context, tell func(Check)) ([]Suggestion, error) {
		node, err := svc.admit(ctx, user, func() (nodes.DICOMNode, error) { return svc.nodes.ByName(ctx, name) })
		switch {
		case err != nil:
			return nil, err
		case node.Folder != nil:
			return nil, svc.checkFolder(ctx, node, tell)
		}
		return svc.checkServer(ctx, node, tell)
	})
}

// FindingsOfUnsaved is Findings of a server that is not one of ours (yet). If its settings name no service, it is asked
// for all. It is for staff, one at a time for each of them (*refusal.Conflict), and counts as a check of a saved one
// does. A server at the same address that is one of ours gives a slot for it.
func (svc *Service) FindingsOfUnsaved(
	ctx context.Context, user people.User, s nodes.NewServer,
) iter.Seq2[Finding, error] {
	return findings(ctx, func(ctx context.Context, tell func(Check)) ([]Suggestion, error) {
		node, err := svc.admit(ctx, user, func() (nodes.DICOMNode, error) { return svc.nodes.Unsaved(user, s) })
		if err != nil {
			return nil, err
		}
		unasked := s.Supports == (nodes.Supports{})
		if unasked && node.Server.WebRootUrl != "" { // what can be tried; whether it takes what is sent can't be
			node.Server.QidoRs, node.Server.WadoRs = true, true
		}
		d := svc.doctor(node, tell)
		d.unsaved, d.unasked = true, unasked
		if d.slot, err = svc.slotOfUnsaved(ctx, node, &d.peer); err != nil {
			return nil, err
		}
		detail := node.AddressDetail()
		detail["saved"] = false
		return d.check(ctx, audit.Entry{Action: "server.check", Object: "server " + node.Name, Detail: detail})
	})
}

// findings yields what a check tells, and then what it suggests.
func findings(
	ctx context.Context, check func(ctx context.Context, tell func(Check)) ([]Suggestion, error),
) iter.Seq2[Finding, error] {
	return func(yield func(Finding, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		left := false
		tell := func(f Finding) {
			if !left && !yield(f, nil) {
				left = true
				cancel()
			}
		}
		suggestions, err := check(ctx, func(c Check) { tell(Finding{Check: &c}) })
		for _, s := range suggestions {
			tell(Finding{Suggestion: &s})
		}
		if err != nil && !left {
			yield(Finding{}, err)
		}
	}
}

// admit returns the node that is to be checked to who may check one, and not too many.
func (svc *Service) admit(
	ctx context.Context, user people.User, of func() (nodes.DICOMNode, error),
) (nodes.DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nodes.DICOMNode{}, err
	}
	node, err := of()
	if err != nil {
		return nodes.DICOMNode{}, err
	}
	return node, svc.People.Site.LimitChecks(ctx, user)
}

func (svc *Service) checkFolder(ctx context.Context, node nodes.DICOMNode, tell func(Check)) error {
	c := Check{Name: "folder", OK: true, Detail: "The folder exists and is writable."}
	if err := svc.nodes.CheckFolderNode(ctx, node); err != nil {
		c.OK, c.Detail = false, fault.Sentence(err)
	}
	tell(c)
	return audit.Record(ctx, svc.Q, audit.Entry{Action: "folder.check", Object: "folder " + node.Name})
}

func (svc *Service) checkServer(ctx context.Context, node nodes.DICOMNode, tell func(Check)) ([]Suggestion, error) {
	d := svc.doctor(node, tell)
	var err error
	if d.slot, err = svc.Door.Interactive(ctx, d.peer); err != nil {
		return nil, err
	}
	return d.check(ctx, audit.Entry{Action: "server.check", Object: "server " + node.Name, Source: node.Name})
}

func (svc *Service) doctor(node nodes.DICOMNode, tell func(Check)) *doctor {
	return &doctor{svc: svc, node: node, peer: svc.nodes.Peer(node), tell: tell, title: cmp.Or(
		node.Server.MoveDestination, svc.Config.AETitle,
	)}
}

// slotOfUnsaved takes the slot of a server that is not ours: of the one of ours that is at its address, if there is
// one.
func (svc *Service) slotOfUnsaved(ctx context.Context, node nodes.DICOMNode, peer *door.Peer) (*door.Slot, error) {
	own, err := svc.nodes.ServerAt(ctx, node)
	if err != nil {
		return nil, err
	}
	if own != 0 {
		peer.ServerID = own
		return svc.Door.Interactive(ctx, *peer)
	}
	slot, err := svc.Door.Trial(ctx, *peer)
	if errors.Is(err, door.ErrTrial) {
		err = &refusal.Conflict{
			Reason: "you are checking another server that isn't saved; wait until that check has ended",
		}
	}
	return slot, err
}

// check examines the server, once that is in the audit log, and gives the slot back.
func (d *doctor) check(ctx context.Context, entry audit.Entry) ([]Suggestion, error) {
	err := audit.Record(ctx, d.svc.Q, entry)
	if err == nil {
		err = d.examine(ctx)
	}
	if err == nil && !d.unsaved && !slices.ContainsFunc(d.report.Checks, func(c Check) bool { return !c.OK }) {
		err = d.svc.Q.ResetServer(ctx, d.node.ID) // it is well, whatever its tasks found
		d.svc.Reconsider()
	}
	return d.report.Suggestions, errors.Join(err, d.slot.Close(ctx))
}
