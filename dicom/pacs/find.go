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
	rq, ok := newRequest(op.SOPClassUID, op.Identifier)
	f, l := p.faultsOf(op.Identifier.Strings(dict.StudyInstanceUID)).find(
		rq.level, op.Identifier.String(dict.SeriesInstanceUID),
	)
	p.recorder.found(recorded(a, op.MessageID(), op.SOPClassUID, op.Identifier))
	event := Event{
		Kind: AtFind, Association: a.number, CallingAE: a.callingAE, Canceled: op.Canceled(),
		StudyInstanceUID: op.Identifier.String(dict.StudyInstanceUID),
		Level:            op.Identifier.String(dict.QueryRetrieveLevel),
	}
	p.gate(ctx, event)
	rq.ignored = slices.Concat(f.IgnoreKeys, l.IgnoreKeys)
	if status, at := f.atOnce(l, rq); !ok || at {
		if !ok && status == dimse.Success {
			status = dimse.DataSetMismatch
		}
		return status
	}
	for range f.EmptyPending {
		if op.Pending(nil) != nil {
			return dimse.ProcessingFailure // the association has ended: nobody reads it
		}
	}
	rows := capped(capped(l.listed(rq.level, f.listed(p.archive.rows(rq.level, rq.matches))), f.Cap), l.Cap)
	for i, r := range rows {
		event.Kind, event.Number, event.Answer = AtMatch, i+1, rq.answer(r, f, l)
		p.gate(ctx, event)
		if !f.IgnoreCancel && isClosed(op.Canceled()) {
			if f.AbortOnCancel {
				event.Kind = AtCancelAbort
				p.gate(ctx, event)
				op.Association.Abort()
			}
			return dimse.Canceled
		}
		if f.DropAtMatch == event.Number {
			a.drop()
			return dimse.ProcessingFailure // nobody reads it
		}
		times := 1
		if f.SendTwice == i+1 || l.Twice {
			times = 2
		}
		for range times {
			if f.pending(op, event.Answer) != nil {
				return dimse.ProcessingFailure
			}
		}
	}
	return dimse.Success
}

// capped returns no more than so many rows, all if it is 0.
func capped(rows []row, limit int) []row {
	if limit == 0 {
		return rows
	}
	return rows[:min(limit, len(rows))]
}

// listed leaves out what is not to be answered, and adds what isn't there.
func (f ListFaults) listed(l level, rows []row) []row {
	rows = slices.DeleteFunc(rows, func(r row) bool { return slices.Contains(f.Hidden, r.uid(l)) })
	if len(rows) == 0 {
		return rows
	}
	own := map[level]dict.Tag{
		studyLevel: dict.StudyInstanceUID, seriesLevel: dict.SeriesInstanceUID, imageLevel: dict.SOPInstanceUID,
	}[l]
	for _, uid := range f.Unknown {
		ds := &stream.DataSet{}
		for e := range rows[0].attributes.All() {
			ds.Put(e)
		}
		ds.Set(own, uid)
		rows = append(rows, row{attributes: ds, computed: rows[0].computed})
	}
	return rows
}

// atOnce returns the status of a query that is answered without a match.
func (f FindFaults) atOnce(list ListFaults, rq request) (status dimse.Status, over bool) {
	terms := rq.identifier.String(dict.SpecificCharacterSet)
	strange := f.Understands != "" && terms != "" && terms != f.Understands
	switch {
	case f.Status != dimse.Success:
		return f.Status, true
	case list.Status != dimse.Success:
		return list.Status, true
	case f.ImageLevelRefused && rq.level == imageLevel:
		return dimse.DataSetMismatch, true
	case strange && f.Refuses:
		return 0xC001, true
	}
	return dimse.Success, strange || f.ImageLevelEmpty && rq.level == imageLevel || list.Empty
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
		b = b[:len(b)-2] // one byte less could be a pad byte that lacks
	}
	return op.PendingBytes(b)
}

// listed leaves out the instances that are not to be listed.
func (f FindFaults) listed(rows []row) []row {
	return slices.DeleteFunc(
		rows, func(r row) bool { return r.object != nil && slices.Contains(f.Unlisted, r.object.sopInstanceUID) },
	)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
