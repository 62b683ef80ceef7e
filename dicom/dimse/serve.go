// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/ul"
)

// ServerAssociation is an association that a peer opened.
type ServerAssociation struct {
	AssociationRequest
	session
	server   *Server
	place    *place
	op       *operation // the C-FIND, C-GET or C-MOVE under way; nil if none
	lastID   uint16     // of the sub-operations
	reported int        // reports about storage commitment that the peer has yet to answer
	once     sync.Once  // for the end
}

// Contexts lists the accepted contexts.
func (a *ServerAssociation) Contexts() []AcceptedContext { return slices.Clone(a.contexts) }

// Abort sends A-ABORT and closes.
func (a *ServerAssociation) Abort() { a.ul.Abort() }

// Drop closes the connection without a word, even in the middle of a data set.
func (a *ServerAssociation) Drop() { a.ul.Drop() }

// run serves until the association ends. nil means that the peer released it.
func (a *ServerAssociation) run(ctx context.Context) error {
	defer a.ul.Watch(ctx)()
	handlers, cancel := context.WithCancelCause(ctx)
	defer func() {
		cancel(a.ul.Err())
		a.awaitOperation()
	}()
	for {
		c, rq, err := a.receive()
		if errors.Is(err, ul.ErrReleaseRequested) {
			cancel(err)
			a.awaitOperation()
			// Counted off before the answer leaves: who has it may open the next association at once.
			a.ended(nil)
			return a.ul.ConfirmRelease()
		}
		if err == nil {
			err = a.dispatch(handlers, c, rq)
		}
		if err != nil {
			return err
		}
	}
}

// dispatch handles one message. An error ends the association.
func (a *ServerAssociation) dispatch(ctx context.Context, c *AcceptedContext, rq *Command) error {
	if !a.server.places.begin(a.place) {
		return errMadeRoom
	}
	defer a.server.places.end(a.place)
	switch rq.Field {
	case CCancelRQ:
		if a.op != nil && rq.MessageIDRespondedTo == a.op.rq.MessageID {
			a.op.cancel()
		}
		return nil
	case CStoreRSP:
		return a.storeAnswered(rq)
	case CEchoRQ:
		status := Success
		if a.server.Echo != nil {
			status = a.server.Echo(ctx, a)
		}
		return a.reply(c, rq, status)
	}
	if rq.Field == NEventReportRSP && a.reported > 0 {
		a.reported--
		return nil
	}
	if rq.Field.Response() {
		return a.ul.AbortProvider(fmt.Sprintf("it sent %s, which was not requested", rq.Field))
	}
	if a.op != nil && !a.op.final.Load() {
		return a.ul.AbortProvider(
			fmt.Sprintf("it sent %s during another operation, which was not negotiated", rq.Field),
		)
	}
	a.awaitOperation()
	return a.serve(ctx, c, rq)
}

// serve gives a request to its handler.
func (a *ServerAssociation) serve(ctx context.Context, c *AcceptedContext, rq *Command) error {
	switch {
	case rq.Field == CStoreRQ && a.server.Store != nil && rq.DataSet:
		if status := unnamed(rq); status != Success {
			if a.server.Refused != nil {
				a.server.Refused(a, status)
			}
			return a.answerStore(c, rq, StoreResponse{Status: status})
		}
		rsp := a.server.Store(ctx, a, a.incoming(c, rq))
		if rsp.Status == Success {
			a.server.places.prove(a.place)
		}
		return a.answerStore(c, rq, rsp)
	case rq.Field == CFindRQ && a.server.Find != nil:
		return a.startFind(ctx, c, rq)
	case rq.Field == CGetRQ && a.server.Get != nil:
		return a.startGet(ctx, c, rq)
	case rq.Field == CMoveRQ && a.server.Move != nil:
		return a.startMove(ctx, c, rq)
	case rq.Field == NActionRQ && a.server.CommitmentRequest != nil &&
		c.AbstractSyntax == dict.StorageCommitmentPushModel:
		return a.serveCommitment(ctx, c, rq)
	case rq.Field == NEventReportRQ && a.server.Commitment != nil:
		return a.takeReport(ctx, c, rq, func(ctx context.Context, r *CommitmentReport) Status {
			return a.server.Commitment(ctx, a, r)
		})
	}
	return a.reply(c, rq, UnrecognizedOperation)
}

// reply sends a response that has nothing but a status.
func (a *ServerAssociation) reply(c *AcceptedContext, rq *Command, status Status) error {
	return a.send(c, &Command{
		Field: rq.Field | responseBit, MessageIDRespondedTo: rq.MessageID, Status: status,
		AffectedSOPClassUID: rq.AffectedSOPClassUID, AffectedSOPInstanceUID: rq.AffectedSOPInstanceUID,
	}, nil)
}

// storeAnswered hands the response of a sub-operation to the handler that waits for it.
func (a *ServerAssociation) storeAnswered(rsp *Command) error {
	if a.op != nil && a.op.answered(rsp) {
		return nil
	}
	return a.ul.AbortProvider(
		fmt.Sprintf("it sent %s for message %d, for which no answer is pending", rsp.Field, rsp.MessageIDRespondedTo),
	)
}

// start runs a handler beside the receiving loop. final sends the handler's status as the final response.
func (a *ServerAssociation) start(op *operation, handler func() Status, final func(Status) error) {
	a.op = op
	_ = a.server.places.begin(a.place) // with the request, which was begun
	release := a.ul.Hold()             // the peer waits for us: its silence is no idleness
	go func() {
		defer close(op.done)
		defer a.server.places.end(a.place)
		defer release()
		status := handler()
		if a.ul.Err() == nil && !op.final.Load() {
			_ = final(status) // a failure has ended the association, which the receiving loop reports
		}
	}()
}

// awaitOperation waits for the handler of the operation under way.
func (a *ServerAssociation) awaitOperation() {
	if a.op != nil {
		<-a.op.done
		a.op = nil
	}
}

func (a *ServerAssociation) nextID() uint16 {
	if a.lastID++; a.lastID == 0 {
		a.lastID = 1
	}
	return a.lastID
}
