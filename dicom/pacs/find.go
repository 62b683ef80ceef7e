// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"bytes"
	"context"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

func (p *PACS) gate(ctx context.Context, e Event) {
	if p.cfg.Gate != nil {
		p.cfg.Gate(ctx, e)
	}
}

func (p *PACS) find(ctx context.Context, op *dimse.FindOperation) dimse.Status {
	a, end := p.begin(op.Association)
	defer end()
	f := p.faults.find()
	p.recorder.found(recorded(a, op.MessageID(), op.SOPClassUID, op.Identifier))
	event := Event{Kind: AtFind, Association: a.number, CallingAE: a.callingAE, Canceled: op.Canceled()}
	p.gate(ctx, event)
	rq, ok := newRequest(op.SOPClassUID, op.Identifier)
	rq.ignored = f.IgnoreKeys
	if !ok {
		return dimse.DataSetMismatch
	}
	if status, over := f.atOnce(rq); over {
		return status
	}
	for range f.EmptyPending {
		if op.Pending(nil) != nil {
			return dimse.ProcessingFailure // the association has ended: nobody reads it
		}
	}
	for i, r := range f.listed(p.archive.rows(rq.level, rq.matches)) {
		if f.Cap > 0 && i == f.Cap {
			break
		}
		event.Kind, event.Number = AtMatch, i+1
		p.gate(ctx, event)
		if !f.IgnoreCancel && isClosed(op.Canceled()) {
			if f.AbortOnCancel {
				event.Kind = AtCancelAbort
				p.gate(ctx, event)
				op.Association.Abort()
			}
			return dimse.Canceled
		}
		times := 1
		if f.SendTwice == i+1 {
			times = 2
		}
		for range times {
			if f.pending(op, rq.answer(r, f)) != nil {
				return dimse.ProcessingFailure
			}
		}
	}
	return dimse.Success
}

// atOnce gives the status of a query that is answered without a match.
func (f FindFaults) atOnce(rq request) (status dimse.Status, over bool) {
	terms := rq.identifier.String(dict.SpecificCharacterSet)
	strange := f.Understands != "" && terms != "" && terms != f.Understands
	switch {
	case f.Status != dimse.Success:
		return f.Status, true
	case f.ImageLevelRefused && rq.level == imageLevel:
		return dimse.DataSetMismatch, true
	case strange && f.Refuses:
		return 0xC001, true
	}
	return dimse.Success, strange || f.ImageLevelEmpty && rq.level == imageLevel
}

// pending sends a match, or what is left of it.
func (f FindFaults) pending(op *dimse.FindOperation, identifier *stream.DataSet) error {
	if !f.Garbled && !f.CutOff {
		return op.Pending(identifier)
	}
	b, err := identifier.Encode(op.TransferSyntaxUID())
	if err != nil {
		return err
	}
	if f.Garbled {
		b = bytes.Repeat([]byte{0xFE, 0xFF}, len(b)/2)
	}
	if f.CutOff {
		b = b[:len(b)-1]
	}
	return op.PendingBytes(b)
}

// listed leaves out the objects that are not to be listed.
func (f FindFaults) listed(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return r.object != nil && slices.Contains(f.Unlisted, r.object.sopInstanceUID) })
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
