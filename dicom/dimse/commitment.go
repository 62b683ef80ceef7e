// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// SOPReference names an instance.
type SOPReference struct {
	SOPClassUID, SOPInstanceUID string
}

// CommitmentRequest asks a peer to take over the responsibility for instances (PS3.4 J.3.2).
type CommitmentRequest struct {
	// TransactionUID is found again in the report, which may come hours later and to another process: keep it before
	// it is sent. Never used twice.
	TransactionUID string
	Instances      []SOPReference // at least one
}

// CommitmentReport is the peer's answer to a request for commitment (PS3.4 J.3.3).
type CommitmentReport struct {
	TransactionUID string
	Committed      []SOPReference
	Failed         []FailedReference
}

// FailedReference is an instance that the peer does not take over.
type FailedReference struct {
	SOPReference
	Reason Status // Failure Reason (0008,1197), PS3.3 C.14.1.1; its Meaning as of NAction
}

// CommitmentHandler takes a report, whose transaction and instances are named by UIDs. The report is gone for good once
// Success is answered: keep it before. With ProcessingFailure some peers send it again.
type CommitmentHandler func(ctx context.Context, r *CommitmentReport) Status

// The event and action types of the Storage Commitment Push Model (PS3.4 J.3.2.1, J.3.3.1).
const (
	requestCommitment  = 1
	commitmentComplete = 1
	commitmentFailures = 2
)

// RequestCommitment asks for storage commitment (N-ACTION, PS3.4 J.3.2). nil means that the peer has taken the request.
// Its report comes later, on this association (AwaitCommitment) or on one that the peer opens (Server.Commitment); one
// that comes even before the response goes to take; without take it is answered ProcessingFailure. A status other than
// Success is a *StatusError.
func (a *Association) RequestCommitment(ctx context.Context, rq CommitmentRequest, take CommitmentHandler) error {
	c, err := a.contextFor(dict.StorageCommitmentPushModel, "")
	if err != nil {
		return err
	}
	end, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	id := a.nextID()
	command := &Command{
		Field: NActionRQ, MessageID: id, ActionTypeID: requestCommitment,
		RequestedSOPClassUID:    dict.StorageCommitmentPushModel,
		RequestedSOPInstanceUID: dict.StorageCommitmentPushModelInstance,
	}
	if err := a.sendIdentifier(c, command, rq.dataSet()); err != nil {
		return err
	}
	for {
		c, command, err := a.next()
		if err != nil {
			return err
		}
		if command.Field == NEventReportRQ {
			if err := a.takeReport(ctx, c, command, take); err != nil {
				return err
			}
			continue
		}
		if err := a.expect(command, NActionRSP, id); err != nil {
			return err
		}
		if command.Status != Success {
			return &StatusError{NAction, command.Status, command.ErrorComment}
		}
		return nil
	}
}

// AwaitCommitment waits for one report on this association and hands it to take. ErrReleased says that the peer has
// released the association, so that its report comes on another one. The idle timeout ends the association.
func (a *Association) AwaitCommitment(ctx context.Context, take CommitmentHandler) error {
	end, err := a.begin(ctx)
	if err != nil {
		return err
	}
	defer end()
	c, command, err := a.next()
	if err != nil {
		return err
	}
	if command.Field != NEventReportRQ {
		return a.ul.AbortProvider(
			"it sent " + command.Field.String() + " where a report about storage commitment was due",
		)
	}
	return a.takeReport(ctx, c, command, take)
}

func (rq *CommitmentRequest) dataSet() *stream.DataSet {
	items := make([]*stream.DataSet, 0, len(rq.Instances))
	for _, i := range rq.Instances {
		item := &stream.DataSet{}
		item.Set(dict.ReferencedSOPClassUID, i.SOPClassUID)
		item.Set(dict.ReferencedSOPInstanceUID, i.SOPInstanceUID)
		items = append(items, item)
	}
	d := &stream.DataSet{}
	d.Set(dict.TransactionUID, rq.TransactionUID)
	d.SetSequence(dict.ReferencedSOPSequence, items...)
	return d
}

// takeReport reads a report, hands it on and answers it (N-EVENT-REPORT, PS3.7 10.1.1). An error has ended the
// association.
func (s *session) takeReport(ctx context.Context, c *AcceptedContext, rq *Command, take CommitmentHandler) error {
	status, err := s.report(ctx, c, rq, take)
	if err != nil {
		return err
	}
	return s.send(c, &Command{
		Field: NEventReportRSP, MessageIDRespondedTo: rq.MessageID, Status: status, EventTypeID: rq.EventTypeID,
		AffectedSOPClassUID: rq.AffectedSOPClassUID, AffectedSOPInstanceUID: rq.AffectedSOPInstanceUID,
	}, nil)
}

func (s *session) report(ctx context.Context, c *AcceptedContext, rq *Command, take CommitmentHandler) (Status, error) {
	switch {
	case rq.AffectedSOPClassUID != dict.StorageCommitmentPushModel:
		return NoSuchSOPClass, nil
	case rq.EventTypeID != commitmentComplete && rq.EventTypeID != commitmentFailures:
		return NoSuchEventType, nil
	case !rq.DataSet:
		return InvalidArgument, nil
	}
	d, err := s.identifier(c)
	if _, alive := errors.AsType[*UnreadableError](err); alive {
		return InvalidArgument, nil
	}
	if err != nil {
		return 0, err
	}
	r := parseReport(d)
	switch {
	case !r.named():
		return InvalidArgument, nil
	case take == nil:
		return ProcessingFailure, nil
	}
	return take(ctx, r), nil
}

// named reports whether the transaction and all instances are named by UIDs. A row of a database relies on it, as with
// C-STORE.
func (r *CommitmentReport) named() bool {
	unnamed := func(i SOPReference) bool { return !dict.ValidUID(i.SOPInstanceUID) }
	return dict.ValidUID(r.TransactionUID) && !slices.ContainsFunc(r.Committed, unnamed) &&
		!slices.ContainsFunc(r.Failed, func(f FailedReference) bool { return unnamed(f.SOPReference) })
}

func parseReport(d *stream.DataSet) *CommitmentReport {
	r := &CommitmentReport{TransactionUID: d.String(dict.TransactionUID)}
	for _, item := range d.Items(dict.ReferencedSOPSequence) {
		r.Committed = append(r.Committed, reference(item))
	}
	for _, item := range d.Items(dict.FailedSOPSequence) {
		reason := ProcessingFailure
		if n, ok := item.Int(dict.FailureReason); ok {
			reason = Status(n)
		}
		r.Failed = append(r.Failed, FailedReference{reference(item), reason})
	}
	return r
}

func reference(item *stream.DataSet) SOPReference {
	return SOPReference{item.String(dict.ReferencedSOPClassUID), item.String(dict.ReferencedSOPInstanceUID)}
}

// serveCommitment answers a request for commitment (N-ACTION, PS3.4 J.3.2), and reports before it answers: over the
// association that the peer has open anyway. An error has ended the association.
func (a *ServerAssociation) serveCommitment(ctx context.Context, c *AcceptedContext, rq *Command) error {
	if !rq.DataSet || rq.ActionTypeID != requestCommitment {
		return a.reply(c, rq, InvalidArgument)
	}
	d, err := a.identifier(c)
	if _, alive := errors.AsType[*UnreadableError](err); alive {
		return a.reply(c, rq, InvalidArgument)
	}
	if err != nil {
		return err
	}
	asked := parseReport(d)
	status, report := a.server.CommitmentRequest(
		ctx, a, &CommitmentRequest{TransactionUID: asked.TransactionUID, Instances: asked.Committed},
	)
	if report != nil {
		event := uint16(commitmentComplete)
		if len(report.Failed) > 0 {
			event = commitmentFailures
		}
		a.reported++
		err = a.sendIdentifier(c, &Command{
			Field: NEventReportRQ, MessageID: a.nextID(), EventTypeID: event,
			AffectedSOPClassUID:    dict.StorageCommitmentPushModel,
			AffectedSOPInstanceUID: dict.StorageCommitmentPushModelInstance,
		}, report.dataSet())
		if err != nil {
			return err
		}
	}
	return a.reply(c, rq, status)
}

func (r *CommitmentReport) dataSet() *stream.DataSet {
	committed := CommitmentRequest{TransactionUID: r.TransactionUID, Instances: r.Committed}
	d := committed.dataSet()
	failed := make([]*stream.DataSet, 0, len(r.Failed))
	for _, f := range r.Failed {
		item := &stream.DataSet{}
		item.Set(dict.ReferencedSOPClassUID, f.SOPClassUID)
		item.Set(dict.ReferencedSOPInstanceUID, f.SOPInstanceUID)
		item.SetInt(dict.FailureReason, int(f.Reason))
		failed = append(failed, item)
	}
	if len(failed) > 0 {
		d.SetSequence(dict.FailedSOPSequence, failed...)
	}
	if len(r.Committed) == 0 {
		d.Remove(dict.ReferencedSOPSequence)
	}
	return d
}
