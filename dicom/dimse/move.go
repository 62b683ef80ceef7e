// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
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
	// Alive is asked when the peer has been silent for the idle timeout, since what it sends meanwhile goes elsewhere:
	// true lets it be silent for as long again. nil: it may not be.
	Alive func() bool
}

// MoveResult is the final response of a C-MOVE.
type MoveResult = GetResult

// Move lets the peer send instances to another AE (C-MOVE, PS3.7 9.1.4). progress, unless nil, gets the counts of each
// pending response, on the goroutine of the caller. The final response is returned with a nil error whatever its
// status, which is the caller's to judge (Status.Meaning); an error is one of the association, which has then ended, or
// *NoContextError. That the peer has answered doesn't mean that the last instance has arrived: it may come later.
func (a *Association) Move(ctx context.Context, rq MoveRequest, progress func(Counts)) (MoveResult, error) {
	c, err := a.contextFor(rq.SOPClassUID, "")
	if err != nil {
		return MoveResult{}, err
	}
	over, err := a.begin(ctx)
	if err != nil {
		return MoveResult{}, err
	}
	defer over()
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
	responses, end := a.bearSilence(rq.Alive)
	defer end()
	for {
		c, rsp, err := a.response(CMoveRSP, id)
		if err != nil {
			return MoveResult{}, err
		}
		if rsp.Status.Class() != ClassPending {
			return a.retrieveResult(c, rsp)
		}
		responses.Add(1)
		if progress != nil {
			progress(rsp.Counts)
		}
	}
}

// bearSilence lets the peer be silent beyond the idle timeout, as long as alive says so. Responses are to be counted
// meanwhile.
func (a *Association) bearSilence(alive func() bool) (responses *atomic.Int64, end func()) {
	responses = &atomic.Int64{}
	if alive == nil {
		return responses, func() {}
	}
	release := a.ul.Hold()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(a.idle)
		defer tick.Stop()
		for seen := int64(0); ; {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			n := responses.Load()
			if moves := alive(); !moves && n == seen {
				a.ul.AbortFor(&ul.TimeoutError{Doing: "this side waited for the end of a C-MOVE", After: a.idle})
				return
			}
			seen = n
		}
	}()
	return responses, func() {
		close(over)
		<-ended
		release()
	}
}
