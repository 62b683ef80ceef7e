// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
)

// late runs what comes after the final response of a C-MOVE, whose association may have ended, until the PACS does.
type late struct {
	ctx context.Context //nolint:containedctx // of the PACS, while it serves
	all sync.WaitGroup
}

func (p *PACS) move(ctx context.Context, op *dimse.MoveOperation, late *late) dimse.Status {
	a, end := p.begin(op.Association)
	defer end()
	faults := p.faultsOf(op.Identifier.Strings(dict.StudyInstanceUID))
	f := faults.move()
	under, over := p.beginMove()
	defer over()
	q := recorded(a, op.MessageID(), op.SOPClassUID, op.Identifier)
	q.MoveDestination = op.Destination
	p.recorder.moved(q)
	g := &retrieval{
		p: p, a: a, op: op, association: op.Association, faults: faults, f: f.GetFaults, apart: true,
		study: op.Identifier.String(dict.StudyInstanceUID), latePause: f.LatePause,
	}
	p.gate(ctx, g.event(AtMove, ""))
	addr, known := p.destination(op.Destination)
	switch {
	case f.Limit > 0 && under > f.Limit:
		return dimse.OutOfResourcesSubOps
	case !known:
		return dimse.MoveDestinationUnknown
	}
	objects, status := g.selected(op.SOPClassUID, op.Identifier)
	if status != dimse.Success {
		return status
	}
	d := p.newDestination(op, addr, f, objects)
	g.store = d.store
	return g.move(ctx, d, objects, f.Late, late)
}

// move sends the instances, the last ones after the final response.
func (g *retrieval) move(
	ctx context.Context, d *destination, objects []*object, lateOnes int, late *late,
) dimse.Status {
	inTime := max(0, len(objects)-lateOnes)
	status, err := g.sendAll(ctx, objects[:inTime])
	if err != nil || status != dimse.Success || inTime == len(objects) {
		d.end(ctx, err)
		if err != nil {
			return dimse.ProcessingFailure // the association has ended: nobody reads it
		}
		return g.final(ctx, AtMoveEnd, status)
	}
	g.done += len(objects) - inTime
	status = g.final(ctx, AtMoveEnd, status)
	late.all.Go(func() { g.sendLate(late.ctx, d, objects[inTime:]) })
	return status
}

// sendLate sends what the final response has counted already.
func (g *retrieval) sendLate(ctx context.Context, d *destination, objects []*object) {
	for _, o := range objects {
		if slices.Contains(g.f.Refuse, o.sopInstanceUID) {
			continue // counted as sent all the same
		}
		pause(ctx, g.latePause)
		g.number++
		g.p.gate(ctx, g.event(AtLate, o.sopInstanceUID))
		if err := g.send(ctx, o); err != nil {
			break // the PACS ends
		}
	}
	d.end(ctx, ctx.Err())
}

func pause(ctx context.Context, d time.Duration) {
	if d == 0 {
		return
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// beginMove counts a C-MOVE in, and tells how many are under way with it.
func (p *PACS) beginMove() (under int, over func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.moving++
	return p.moving, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.moving--
	}
}

func (p *PACS) destination(aeTitle string) (addr string, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	addr, known = p.destinations[aeTitle]
	return addr, known
}

// destination is where a C-MOVE sends to, over associations that are opened when they are needed.
type destination struct {
	cfg          dimse.Config
	originatorAE string // empty: not told
	originatorID uint16
	open         []*dimse.Association // by turns; nil if not open
	turn         int
	err          error // of opening: it isn't tried again
}

func (p *PACS) newDestination(op *dimse.MoveOperation, addr string, f MoveFaults, objects []*object) *destination {
	d := &destination{
		cfg: dimse.Config{
			Addr: addr, CalledAE: op.Destination, CallingAE: p.cfg.AETitle, MaxPDU: p.cfg.MaxPDU,
			IdleTimeout: p.cfg.IdleTimeout, Contexts: contextsFor(objects),
		},
		open: make([]*dimse.Association, max(1, f.Associations)),
	}
	if d.cfg.CallingAE == "" {
		d.cfg.CallingAE = op.Association.CalledAE
	}
	if f.CallingAE != "" {
		d.cfg.CallingAE = f.CallingAE
	}
	if !f.NoOriginator {
		d.originatorAE, d.originatorID = op.Association.CallingAE, op.MessageID()
	}
	return d
}

// maxContexts is how many presentation contexts an association can have (PS3.8 9.3.2.2). Instances beyond them fail.
const maxContexts = 128

// contextsFor proposes the transfer syntaxes in which the instances are held, one per context.
func contextsFor(objects []*object) []dimse.Context {
	var contexts []dimse.Context
	type pair struct{ class, syntax string }
	seen := map[pair]bool{}
	for _, o := range objects {
		p := pair{o.sopClassUID, o.transferSyntaxUID}
		if !seen[p] && len(contexts) < maxContexts {
			seen[p] = true
			contexts = append(contexts, dimse.Context{AbstractSyntax: p.class, TransferSyntaxes: []string{p.syntax}})
		}
	}
	return contexts
}

// store sends one instance over the association whose turn it is. After an error that one is opened anew.
func (d *destination) store(ctx context.Context, rq dimse.StoreRequest, data io.Reader) (dimse.StoreResponse, error) {
	if d.err != nil {
		return dimse.StoreResponse{}, d.err
	}
	i := d.turn % len(d.open)
	d.turn++
	if d.open[i] == nil {
		if d.open[i], d.err = dimse.Dial(ctx, d.cfg); d.err != nil {
			return dimse.StoreResponse{}, d.err
		}
	}
	rq.MoveOriginatorAETitle, rq.MoveOriginatorMessageID = d.originatorAE, d.originatorID
	rsp, err := d.open[i].Store(ctx, rq, data)
	var noContext *dimse.NoContextError
	if err != nil && !errors.As(err, &noContext) {
		d.open[i].Abort()
		d.open[i] = nil
	}
	return rsp, err
}

// end releases the associations, or aborts them after an error.
func (d *destination) end(ctx context.Context, err error) {
	for _, a := range d.open {
		switch {
		case a == nil:
		case err != nil:
			a.Abort()
		default:
			_ = a.Release(ctx) // it ends in any case
		}
	}
}
