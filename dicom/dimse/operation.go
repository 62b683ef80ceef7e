// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// operation is a C-FIND, C-GET or C-MOVE under way on a ServerAssociation.
type operation struct {
	a       *ServerAssociation
	context *AcceptedContext
	rq      *Command
	final   atomic.Bool   // the final response was sent, or is about to be
	done    chan struct{} // the handler has returned

	cancelOnce sync.Once
	canceled   chan struct{}

	mu      sync.Mutex
	waiting uint16        // message ID of the sub-operation whose response is awaited; 0 if none
	answer  chan *Command // has room for one
}

func newOperation(a *ServerAssociation, c *AcceptedContext, rq *Command) *operation {
	return &operation{
		a: a, context: c, rq: rq,
		done: make(chan struct{}), canceled: make(chan struct{}), answer: make(chan *Command, 1),
	}
}

func (op *operation) cancel() { op.cancelOnce.Do(func() { close(op.canceled) }) }

// Canceled is closed when the peer has sent C-CANCEL.
func (op *operation) Canceled() <-chan struct{} { return op.canceled }

// MessageID is that of the request.
func (op *operation) MessageID() uint16 { return op.rq.MessageID }

// answered takes the response of a sub-operation; false if nobody waits for it.
func (op *operation) answered(rsp *Command) bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.waiting == 0 || op.waiting != rsp.MessageIDRespondedTo {
		return false
	}
	op.waiting = 0
	op.answer <- rsp
	return true
}

func (op *operation) response(status Status) *Command {
	return &Command{
		Field: op.rq.Field | responseBit, MessageIDRespondedTo: op.rq.MessageID, Status: status,
		AffectedSOPClassUID: op.rq.AffectedSOPClassUID,
	}
}

// errFinal keeps a handler from answering twice.
var errFinal = errors.New("dimse: the final response was already sent")

func (op *operation) pending(rsp *Command, identifier *stream.DataSet) error {
	if op.final.Load() {
		return errFinal
	}
	return op.a.sendIdentifier(op.context, rsp, identifier)
}

func (op *operation) end(rsp *Command, identifier *stream.DataSet) error {
	if op.final.Swap(true) {
		return errFinal
	}
	return op.a.sendIdentifier(op.context, rsp, identifier)
}

// FindOperation is a C-FIND that a peer asked for. The handler's status is sent as the final response unless Final
// was called before or the association has ended.
type FindOperation struct {
	*operation
	Association *ServerAssociation
	SOPClassUID string
	Priority    Priority
	Identifier  *stream.DataSet
}

// startFind reads the identifier and runs the handler.
func (a *ServerAssociation) startFind(ctx context.Context, c *AcceptedContext, rq *Command) error {
	identifier, ok, err := a.requestIdentifier(c, rq)
	if !ok || err != nil {
		return err
	}
	op := &FindOperation{newOperation(a, c, rq), a, rq.AffectedSOPClassUID, rq.Priority, identifier}
	a.start(
		op.operation, func() Status { return a.server.Find(ctx, op) }, func(s Status) error { return op.Final(s, "") },
	)
	return nil
}

// requestIdentifier reads the identifier of a request; one that is missing or cannot be read is answered here.
func (a *ServerAssociation) requestIdentifier(c *AcceptedContext, rq *Command) (d *stream.DataSet, ok bool, err error) {
	if !rq.DataSet {
		return nil, false, a.reply(c, rq, DataSetMismatch)
	}
	d, err = a.identifier(c)
	if _, alive := errors.AsType[*UnreadableError](err); alive {
		return nil, false, a.reply(c, rq, DataSetMismatch)
	}
	return d, err == nil, err
}

// Pending sends a match, or with nil a pending response without an identifier.
func (op *FindOperation) Pending(identifier *stream.DataSet) error {
	return op.pending(op.response(Pending), identifier)
}

// PendingBytes sends a match whose identifier is encoded already, in TransferSyntaxUID.
func (op *FindOperation) PendingBytes(identifier []byte) error {
	if op.final.Load() {
		return errFinal
	}
	return op.a.send(op.context, op.response(Pending), bytes.NewReader(identifier))
}

// TransferSyntaxUID is the transfer syntax of the identifiers.
func (op *FindOperation) TransferSyntaxUID() string { return op.context.TransferSyntax }

// Final sends the final response.
func (op *FindOperation) Final(status Status, errorComment string) error {
	rsp := op.response(status)
	rsp.ErrorComment = errorComment
	return op.end(rsp, nil)
}

// GetOperation is a C-GET that a peer asked for. The handler's status is sent as the final response, without
// counts, unless Final was called before or the association has ended.
type GetOperation struct {
	*operation
	Association *ServerAssociation
	SOPClassUID string
	Priority    Priority
	Identifier  *stream.DataSet
}

// startGet reads the identifier and runs the handler.
func (a *ServerAssociation) startGet(ctx context.Context, c *AcceptedContext, rq *Command) error {
	identifier, ok, err := a.requestIdentifier(c, rq)
	if !ok || err != nil {
		return err
	}
	op := &GetOperation{newOperation(a, c, rq), a, rq.AffectedSOPClassUID, rq.Priority, identifier}
	a.start(op.operation, func() Status { return a.server.Get(ctx, op) }, func(s Status) error {
		return op.Final(GetResult{Status: s})
	})
	return nil
}

// Store performs one C-STORE sub-operation, one at a time. Errors as of Association.Store.
func (op *GetOperation) Store(ctx context.Context, rq StoreRequest, data io.Reader) (StoreResponse, error) {
	a := op.Association
	c, err := a.contextFor(rq.SOPClassUID, rq.TransferSyntaxUID)
	if err != nil {
		return StoreResponse{}, err
	}
	defer a.ul.Watch(ctx)()
	id := a.nextID()
	op.mu.Lock()
	op.waiting = id
	op.mu.Unlock()
	if err := a.send(c, rq.command(id), data); err != nil {
		op.mu.Lock()
		op.waiting = 0
		op.mu.Unlock()
		return StoreResponse{}, err
	}
	defer a.ul.Await()() // now the peer's silence counts again
	select {
	case rsp := <-op.answer:
		return storeResponse(rsp), nil
	case <-a.ul.Done():
		return StoreResponse{}, a.ul.Err()
	}
}

// Pending sends a pending response with the counts that are present.
func (op *GetOperation) Pending(c Counts) error { return op.pendingCounts(c) }

// Final sends the final response with the counts that are present, and the failed UIDs if any.
func (op *GetOperation) Final(r GetResult) error { return op.retrieved(r) }

func (op *operation) pendingCounts(c Counts) error {
	rsp := op.response(Pending)
	rsp.Counts = c
	return op.pending(rsp, nil)
}

// retrieved sends the final response of a C-GET or C-MOVE.
func (op *operation) retrieved(r GetResult) error {
	rsp := op.response(r.Status)
	rsp.Counts, rsp.ErrorComment = r.Counts, r.ErrorComment
	if len(r.FailedSOPInstanceUIDs) == 0 {
		return op.end(rsp, nil)
	}
	failed := &stream.DataSet{}
	failed.Set(dict.FailedSOPInstanceUIDList, r.FailedSOPInstanceUIDs...)
	return op.end(rsp, failed)
}

// MoveOperation is a C-MOVE that a peer asked for (PS3.7 9.1.4). The handler opens the association to the destination
// itself and stores there, with the caller's AE title and MessageID as the Move Originator. Its status is sent as the
// final response, without counts, unless Final was called before or the association has ended.
type MoveOperation struct {
	*operation
	Association *ServerAssociation
	SOPClassUID string
	Priority    Priority
	Identifier  *stream.DataSet
	Destination string // AE title; MoveDestinationUnknown is the answer to one that has no address
}

// startMove reads the identifier and runs the handler.
func (a *ServerAssociation) startMove(ctx context.Context, c *AcceptedContext, rq *Command) error {
	identifier, ok, err := a.requestIdentifier(c, rq)
	if !ok || err != nil {
		return err
	}
	op := &MoveOperation{newOperation(a, c, rq), a, rq.AffectedSOPClassUID, rq.Priority, identifier, rq.MoveDestination}
	a.start(op.operation, func() Status { return a.server.Move(ctx, op) }, func(s Status) error {
		return op.Final(MoveResult{Status: s})
	})
	return nil
}

// Pending sends a pending response with the counts that are present.
func (op *MoveOperation) Pending(c Counts) error { return op.pendingCounts(c) }

// Final sends the final response with the counts that are present, and the failed UIDs if any.
func (op *MoveOperation) Final(r MoveResult) error { return op.retrieved(r) }
