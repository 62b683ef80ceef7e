// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// GetRequest asks for instances.
type GetRequest struct {
	SOPClassUID string
	Identifier  *stream.DataSet
	Priority    Priority
	// Unnamed is given the instances whose SOP class or instance isn't named by a UID; nil: they are refused unseen.
	Unnamed StoreHandler
	Stop    <-chan struct{} // when closed: C-CANCEL, then 20 s for the final response, then abort
}

// GetResult is the final response of a C-GET.
type GetResult struct {
	Status Status
	Counts
	FailedSOPInstanceUIDs []string
	ErrorComment          string // may hold patient data: never log it
}

// Get retrieves over this association (C-GET, PS3.7 9.1.3): each C-STORE sub-operation goes to handler, one after
// the other, on the goroutine of the caller. The final response is returned with a nil error whatever its status,
// which is the caller's to judge (Status.Meaning); an error is one of the association, which has then ended, or
// *NoContextError.
func (a *Association) Get(ctx context.Context, rq GetRequest, handler StoreHandler) (GetResult, error) {
	c, err := a.contextFor(rq.SOPClassUID, "")
	if err != nil {
		return GetResult{}, err
	}
	end, err := a.begin(ctx)
	if err != nil {
		return GetResult{}, err
	}
	defer end()
	id := a.nextID()
	command := &Command{Field: CGetRQ, MessageID: id, AffectedSOPClassUID: rq.SOPClassUID, Priority: rq.Priority}
	if err := a.sendIdentifier(c, command, rq.Identifier); err != nil {
		return GetResult{}, err
	}
	defer a.cancelOn(rq.Stop, CGet, c, id)()
	for {
		c, command, err := a.next()
		if err != nil {
			return GetResult{}, err
		}
		if command.Field == CStoreRQ {
			if err := a.subOperation(ctx, c, command, handler, rq.Unnamed); err != nil {
				return GetResult{}, err
			}
			continue
		}
		if err := a.expect(command, CGetRSP, id); err != nil {
			return GetResult{}, err
		}
		if command.Status.Class() != ClassPending {
			return a.retrieveResult(c, command)
		}
	}
}

func (a *Association) subOperation(
	ctx context.Context, c *AcceptedContext, rq *Command, handler, other StoreHandler,
) error {
	if !rq.DataSet {
		return a.answerStore(c, rq, StoreResponse{Status: CannotUnderstand})
	}
	if status := unnamed(rq); status != Success && other != nil {
		handler = other
	} else if status != Success {
		return a.answerStore(c, rq, StoreResponse{Status: status})
	}
	return a.answerStore(c, rq, StoreResponse{Status: handler(ctx, a.incoming(c, rq))})
}

// retrieveResult reads the final response of a C-GET or C-MOVE. An identifier that cannot be parsed costs the list of
// failed UIDs only.
func (a *Association) retrieveResult(c *AcceptedContext, rsp *Command) (GetResult, error) {
	r := GetResult{Status: rsp.Status, Counts: rsp.Counts, ErrorComment: rsp.ErrorComment}
	if !rsp.DataSet {
		return r, nil
	}
	d, err := a.identifier(c)
	if _, alive := errors.AsType[*UnreadableError](err); alive {
		return r, nil
	}
	if err != nil {
		return GetResult{}, err
	}
	r.FailedSOPInstanceUIDs = d.Strings(dict.FailedSOPInstanceUIDList)
	return r, nil
}

// cancelOn sends C-CANCEL when stop is closed, and aborts when the final response takes too long after that. The
// returned function ends it.
func (a *Association) cancelOn(stop <-chan struct{}, service Service, c *AcceptedContext, id uint16) (end func()) {
	if stop == nil {
		return func() {}
	}
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case <-over:
			return
		case <-stop:
		}
		if a.cancel(c, id) != nil {
			return // whoever receives learns why
		}
		timer := time.NewTimer(a.cancelGrace)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
			a.ul.AbortFor(&ul.TimeoutError{
				Doing: fmt.Sprintf("this side waited for the end of a canceled %s", service),
				After: a.cancelGrace,
			})
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}
