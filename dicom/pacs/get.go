// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"context"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
)

func (p *PACS) get(ctx context.Context, op *dimse.GetOperation) dimse.Status {
	a, end := p.begin(op.Association)
	defer end()
	faults := p.faultsOf(op.Identifier.Strings(dict.StudyInstanceUID))
	g := retrieval{
		p: p, a: a, op: op, association: op.Association, faults: faults, f: faults.get(), store: op.Store,
		study: op.Identifier.String(dict.StudyInstanceUID),
	}
	p.recorder.got(recorded(a, op.MessageID(), op.SOPClassUID, op.Identifier))
	p.gate(ctx, g.event(AtGet, ""))
	objects, status := g.selected(op.SOPClassUID, op.Identifier)
	if status != dimse.Success {
		return status
	}
	status, err := g.sendAll(ctx, objects)
	if err != nil {
		return dimse.ProcessingFailure // the association has ended: nobody reads it
	}
	return g.final(ctx, AtGetEnd, status)
}
