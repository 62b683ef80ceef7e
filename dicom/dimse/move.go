// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"

	"github.com/adit-go/adit/dicom/stream"
)

// MoveRequest asks a peer to send instances to a third AE.
type MoveRequest struct {
	SOPClassUID string
	Identifier  *stream.DataSet
	Destination string // AE title that the peer knows with its address
	Priority    Priority
	// MessageID of the request, which the C-STORE sub-operations carry as Move Originator Message ID; 0 takes the
	// association's next. A receiver tells moves apart by it: it should be unique over all that run at a time.
	MessageID uint16
	Stop      <-chan struct{} // when closed: C-CANCEL, then 20 s for the final response, then abort
}

// MoveResult is the final response of a C-MOVE.
type MoveResult = GetResult

// Move lets the peer send instances to another AE (C-MOVE, PS3.7 9.1.4). progress, unless nil, gets the counts of each
// pending response, on the goroutine of the caller. The final response is returned with a nil error whatever its status,
// which is the caller's to judge (Status.Meaning); an error is one of the association, which has then ended, or
// *NoContextError. That the peer has answered doesn't mean that the last instance has arrived: it may come later.
func (a *Association) Move(ctx context.Context, rq MoveRequest, progress func(Counts)) (MoveResult, error) {
	c, err := a.contextFor(rq.SOPClassUID, "")
	if err != nil {
		return MoveResult{}, err
	}
	end, err := a.begin(ctx)
	if err != nil {
		return MoveResult{}, err
	}
	defer end()
	id := rq.MessageID
	if id == 0 {
		id = a.nextID()
	}
	command := &Command{
		Field: CMoveRQ, MessageID: id, AffectedSOPClassUID: rq.SOPClassUID, Priority: rq.Priority,
		MoveDestination: rq.Destination,
	}
	if err := a.sendIdentifier(c, command, rq.Identifier); err != nil {
		return MoveResult{}, err
	}
	defer a.cancelOn(rq.Stop, CMove, c, id)()
	for {
		c, rsp, err := a.response(CMoveRSP, id)
		if err != nil {
			return MoveResult{}, err
		}
		if rsp.Status.Class() != ClassPending {
			return a.retrieveResult(c, rsp)
		}
		if progress != nil {
			progress(rsp.Counts)
		}
	}
}
