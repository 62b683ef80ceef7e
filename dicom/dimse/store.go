// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"cmp"
	"context"
	"io"

	"github.com/adit-go/adit/dicom/dict"
)

// StoreRequest names the instance to store.
type StoreRequest struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	Priority                                       Priority
	MoveOriginatorAETitle                          string // empty: not sent
	MoveOriginatorMessageID                        uint16
}

func (rq *StoreRequest) command(id uint16) *Command {
	return &Command{
		Field: CStoreRQ, MessageID: id, Priority: rq.Priority,
		AffectedSOPClassUID: rq.SOPClassUID, AffectedSOPInstanceUID: rq.SOPInstanceUID,
		MoveOriginatorAETitle: rq.MoveOriginatorAETitle, MoveOriginatorMessageID: rq.MoveOriginatorMessageID,
	}
}

// StoreResponse is the answer to a C-STORE.
type StoreResponse struct {
	Status            Status
	ErrorComment      string // may hold patient data: never log it
	OffendingElements []uint32
	// Affected SOP Instance UID, empty if absent; of an answer of ours, empty: that of the request
	SOPInstanceUID string
}

func storeResponse(c *Command) StoreResponse {
	return StoreResponse{c.Status, c.ErrorComment, c.OffendingElements, c.AffectedSOPInstanceUID}
}

// Store sends one instance (C-STORE, PS3.7 9.1.1). data is the data set without file meta, in the transfer syntax
// named; one of odd length gets a NULL byte behind it (ul.SendMessage). The response's status is the caller's to judge
// (Status.Meaning). Errors: *NoContextError (nothing was sent), *ul.SourceError when data failed (its Sent tells
// whether the association had to be aborted), else of the association, which has then ended. Up to Window calls may run
// at once, from a goroutine each, and be answered in any order; more wait. The end of one call's ctx aborts the
// association of all.
func (a *Association) Store(ctx context.Context, rq StoreRequest, data io.Reader) (StoreResponse, error) {
	c, err := a.contextFor(rq.SOPClassUID, rq.TransferSyntaxUID)
	if err != nil {
		return StoreResponse{}, err
	}
	if a.window != nil {
		return a.storeAsync(ctx, c, rq, data)
	}
	end, err := a.begin(ctx)
	if err != nil {
		return StoreResponse{}, err
	}
	defer end()
	id := a.nextID()
	if err := a.send(c, rq.command(id), data); err != nil {
		return StoreResponse{}, err
	}
	_, rsp, err := a.response(CStoreRSP, id)
	if err != nil {
		return StoreResponse{}, err
	}
	return storeResponse(rsp), nil
}

// Incoming is an instance that arrives by C-STORE.
type Incoming struct {
	SOPClassUID, SOPInstanceUID, TransferSyntaxUID string
	Priority                                       Priority
	MoveOriginatorAETitle                          string // empty: absent
	MoveOriginatorMessageID                        uint16
	// Data is the data set, streamed from the connection; valid until the handler returns. What the handler leaves
	// unread is drained. Its errors are those of the association. It is an io.WriterTo.
	Data io.Reader
}

// StoreHandler takes an instance and says what to answer.
type StoreHandler func(ctx context.Context, in *Incoming) Status

// incoming describes the C-STORE request whose data set is being received.
func (s *session) incoming(c *AcceptedContext, rq *Command) *Incoming {
	return &Incoming{
		SOPClassUID: rq.AffectedSOPClassUID, SOPInstanceUID: rq.AffectedSOPInstanceUID,
		TransferSyntaxUID: c.TransferSyntax,
		Priority:          rq.Priority, MoveOriginatorAETitle: rq.MoveOriginatorAETitle,
		MoveOriginatorMessageID: rq.MoveOriginatorMessageID, Data: &s.data,
	}
}

// unnamed is what a C-STORE request is answered whose SOP class or instance isn't named by a UID; Success if both are.
// What is made of these names further on, such as a file's name or a row of a database, relies on it.
func unnamed(rq *Command) Status {
	switch {
	case !dict.ValidUID(rq.AffectedSOPClassUID):
		return ClassInstanceConflict
	case !dict.ValidUID(rq.AffectedSOPInstanceUID):
		return InvalidSOPInstance
	}
	return Success
}

// answerStore drains what is left of the data set and answers.
func (s *session) answerStore(c *AcceptedContext, rq *Command, r StoreResponse) error {
	if err := s.data.drain(); err != nil {
		return err
	}
	return s.send(c, &Command{
		Field: CStoreRSP, MessageIDRespondedTo: rq.MessageID, Status: r.Status,
		AffectedSOPClassUID:    rq.AffectedSOPClassUID,
		AffectedSOPInstanceUID: cmp.Or(r.SOPInstanceUID, rq.AffectedSOPInstanceUID),
		ErrorComment:           r.ErrorComment, OffendingElements: r.OffendingElements,
	}, nil)
}
