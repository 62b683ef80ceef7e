// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// move has the server send one image to our receiver, as it would in a transfer. Nobody here waits for that image: a receiver refuses it, and
// so the sub-operation fails; but a server that gets so far knows the title.
func (d *doctor) move(ctx context.Context, src *source, sp *specimen) {
	s := d.node.Server
	if !s.StudyRootMove && !s.PatientRootMove {
		return
	}
	class := dict.StudyRootQueryRetrieveInformationModelMove
	if !s.StudyRootMove {
		class = dict.PatientRootQueryRetrieveInformationModelMove
	}
	src.release(ctx)
	a, err := d.slot.Open(ctx, d.peer, []dimse.Context{{AbstractSyntax: class, TransferSyntaxes: plainSyntaxes}})
	if !d.tried("move", err) {
		return
	}
	defer func() { _ = a.Release(ctx) }() // it ends in any case
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, "SERIES")
	id.Set(dict.PatientID, sp.inv.patientID)
	id.Set(dict.StudyInstanceUID, sp.inv.study)
	id.Set(dict.SeriesInstanceUID, sp.series.uid)
	if len(sp.instances) > 0 {
		id.Set(dict.QueryRetrieveLevel, "IMAGE")
		id.Set(dict.SOPInstanceUID, sp.instances[0])
	}
	result, err := a.Move(ctx, dimse.MoveRequest{SOPClassUID: class, Identifier: id, Destination: d.title}, nil)
	meaning := result.Status.Meaning(dimse.CMove)
	switch {
	case err != nil:
		d.badf("move", "%s", sentence(err))
	case meaning.Outcome == dimse.Configure:
		d.badf("move", "The server doesn't know the destination %s (status %s); have its administrator add this AE title with the address and port of ADIT's receiver, "+
			"or set the title under which it knows that (move_destination).", d.title, result.Status)
	case result.Failed.Value > 0 || result.Completed.Value > 0:
		d.goodf("move", "The server knows the destination %s, and tries to send there.", d.title)
	default:
		d.badf("move", "The server answered with status %s: %s. Look into its log.", result.Status, meaning.Text)
	}
}
