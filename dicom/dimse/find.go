// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/adit-go/adit/dicom/stream"
)

// Find queries (C-FIND, PS3.7 9.1.2) and yields the identifiers of the matches; pending responses without one are
// passed over. Leaving the loop early sends C-CANCEL and drains, for at most twenty seconds. A final status other
// than Success is yielded as *StatusError, an identifier that cannot be parsed as *UnreadableError with the association
// alive; an error is always the last.
func (a *Association) Find(
	ctx context.Context, sopClass string, identifier *stream.DataSet,
) iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		c, err := a.contextFor(sopClass, "")
		if err != nil {
			yield(nil, err)
			return
		}
		end, err := a.begin(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		defer end()
		f := finding{a: a, context: c, id: a.nextID()}
		rq := &Command{Field: CFindRQ, MessageID: f.id, AffectedSOPClassUID: sopClass}
		if err := a.sendIdentifier(c, rq, identifier); err != nil {
			yield(nil, err)
			return
		}
		if err := f.run(yield); err != nil {
			yield(nil, err)
		}
	}
}

// finding is a C-FIND under way.
type finding struct {
	a       *Association
	context *AcceptedContext
	id      uint16
}

// run yields matches until the final response. An error is returned for the caller to yield.
func (f *finding) run(yield func(*stream.DataSet, error) bool) error {
	for {
		c, rsp, err := f.a.response(CFindRSP, f.id)
		if err != nil {
			return err
		}
		if rsp.Status.Class() != ClassPending {
			if rsp.Status != Success {
				return &StatusError{CFind, rsp.Status, rsp.ErrorComment}
			}
			return nil
		}
		if !rsp.DataSet {
			continue
		}
		match, err := f.a.identifier(c)
		if err != nil {
			if _, alive := errors.AsType[*UnreadableError](err); alive {
				f.cancel()
			}
			return err
		}
		if !yield(match, nil) {
			f.cancel()
			return nil
		}
	}
}

// cancel sends C-CANCEL and drains. Whatever comes then ends the query: its errors stay with the association.
func (f *finding) cancel() {
	timer := time.AfterFunc(f.a.cancelGrace, f.a.ul.Abort)
	defer timer.Stop()
	if f.a.cancel(f.context, f.id) != nil {
		return
	}
	for {
		_, rsp, err := f.a.response(CFindRSP, f.id)
		if err != nil || rsp.Status.Class() != ClassPending {
			return
		}
	}
}

// cancel sends C-CANCEL for a request (PS3.7 9.3.2.3).
func (s *session) cancel(c *AcceptedContext, id uint16) error {
	return s.send(c, &Command{Field: CCancelRQ, MessageIDRespondedTo: id}, nil)
}
