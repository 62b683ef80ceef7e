// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/stream"
)

// Find queries (C-FIND, PS3.7 9.1.2) and yields the identifiers of the matches; pending responses without one are
// passed over. Leaving the loop early sends C-CANCEL and drains, for at most twenty seconds. When ctx ends C-CANCEL is
// sent at once, and a peer that has not ended the query a second later is aborted. A final status other
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
		if ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
			return
		}
		end, err := a.begin(context.WithoutCancel(ctx)) // heed ends the query when ctx ends
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
		defer f.heed(ctx)()
		if err := f.run(ctx, yield); err != nil {
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

// politeness is how long a peer has to end a query for which nobody waits any more.
const politeness = time.Second

// heed has the query end when ctx does: by C-CANCEL, or, if the peer does not heed that, by an abort.
func (f *finding) heed(ctx context.Context) (stop func()) {
	ended := make(chan struct{})
	var canceling sync.WaitGroup
	canceling.Add(1)
	forget := context.AfterFunc(ctx, func() {
		defer canceling.Done()
		timer := time.AfterFunc(min(f.a.cancelGrace, politeness), f.a.ul.Abort)
		defer timer.Stop()
		_ = f.a.cancel(f.context, f.id) // where it fails the association has ended
		<-ended
	})
	return func() {
		close(ended)
		if !forget() {
			canceling.Wait()
		}
	}
}

// run yields matches until the final response. An error is returned for the caller to yield.
func (f *finding) run(ctx context.Context, yield func(*stream.DataSet, error) bool) error {
	for {
		c, rsp, err := f.a.response(CFindRSP, f.id)
		if ctx.Err() != nil && (err != nil || rsp.Status.Class() != ClassPending) {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if rsp.Status.Class() != ClassPending {
			if rsp.Status != Success {
				return &StatusError{CFind, rsp.Status, rsp.ErrorComment}
			}
			return nil
		}
		if !rsp.DataSet || ctx.Err() != nil { // data that is not read is passed over
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
