// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// retrieval is a C-GET or C-MOVE under way.
type retrieval struct {
	p           *PACS
	a           *association
	op          retrieveOperation
	association *dimse.ServerAssociation
	study       string // that is asked for
	faults      *faults
	f           GetFaults
	latePause   time.Duration
	store       func(ctx context.Context, rq dimse.StoreRequest, data io.Reader) (dimse.StoreResponse, error)
	apart       bool // store has associations of its own: their end is not that of op
	number      int  // of the instance that is being sent
	copies      bool // it was sent before
	left        int
	done        int
	failed      []string
	warning     int
}

// retrieveOperation is a dimse.GetOperation or dimse.MoveOperation.
type retrieveOperation interface {
	Canceled() <-chan struct{}
	Pending(c dimse.Counts) error
	Final(r dimse.GetResult) error
}

var (
	// errDropped tells that the connection was closed as a fault wants it, errAborted that the association was aborted.
	errDropped = errors.New("pacs: the connection was dropped")
	errAborted = errors.New("pacs: the association was aborted")
)

// selected returns the instances that are asked for, in the order in which they are sent; or a status to answer at
// once.
func (g *retrieval) selected(sopClass string, identifier *stream.DataSet) ([]*object, dimse.Status) {
	rq, ok := newRequest(sopClass, identifier)
	if status, away := g.faults.recall(); away {
		return nil, status
	}
	switch {
	case g.f.Status != dimse.Success:
		return nil, g.f.Status
	case !ok:
		return nil, dimse.DataSetMismatch
	case g.f.Empty:
		return nil, dimse.Success
	}
	if g.f.Wide {
		rq.level = studyLevel // what is below doesn't select
	}
	var objects []*object
	var named map[string]bool
	if uids := identifier.Strings(dict.SOPInstanceUID); rq.level == imageLevel && len(uids) > 0 {
		named = make(map[string]bool, len(uids))
		for _, uid := range uids {
			named[uid] = true
		}
	}
	if !g.f.Instead {
		for _, r := range g.p.archive.rowsOf(imageLevel, named, rq.selects) {
			objects = append(objects, r.object)
		}
	}
	for _, uid := range g.f.Besides {
		if o := g.p.archive.instance(uid); o != nil {
			objects = append(objects, o)
		}
	}
	if g.f.OutOfOrder {
		slices.Reverse(objects)
	}
	return objects, dimse.Success
}

func (g *retrieval) event(k EventKind, sopInstanceUID string) Event {
	return Event{
		Kind: k, Association: g.a.number, CallingAE: g.a.callingAE, Canceled: g.op.Canceled(),
		Number: g.number, StudyInstanceUID: g.study, SOPInstanceUID: sopInstanceUID,
	}
}

// sendAll performs the sub-operations and gives the final status. An error means that the association has ended.
func (g *retrieval) sendAll(ctx context.Context, objects []*object) (dimse.Status, error) {
	g.left = len(objects)
	for i, o := range objects {
		g.number = i + 1
		if g.f.SuccessAfter > 0 && i == g.f.SuccessAfter {
			return dimse.Success, nil
		}
		g.p.gate(ctx, g.event(AtSubOperation, o.sopInstanceUID))
		if g.f.AbortAtObject == g.number {
			g.association.Abort()
			return 0, errAborted
		}
		if !g.f.IgnoreCancel && isClosed(g.op.Canceled()) {
			return dimse.Canceled, g.cancel(ctx)
		}
		g.left--
		if err := g.subOperation(ctx, o); err != nil {
			return 0, err
		}
	}
	g.left = 0
	switch {
	case len(g.failed) == 0:
		return dimse.Success, nil
	case g.f.RefusedStatus != 0:
		return g.f.RefusedStatus, nil
	case len(g.failed) == len(objects):
		return dimse.OutOfResourcesSubOps, nil
	}
	return dimse.SubOperationsIncomplete, nil
}

// cancel aborts the association if C-CANCEL is to be answered so.
func (g *retrieval) cancel(ctx context.Context) error {
	if !g.f.AbortOnCancel {
		return nil
	}
	g.p.gate(ctx, g.event(AtCancelAbort, ""))
	g.association.Abort()
	return errAborted
}

// subOperation sends one instance, and reports progress.
func (g *retrieval) subOperation(ctx context.Context, o *object) error {
	times := 1
	if g.f.SendTwice == g.number || g.f.TwiceAll {
		times = 2
	}
	for n := range times {
		g.copies = n > 0
		if g.refuses(o) || o.open == nil {
			g.failed = append(g.failed, o.sopInstanceUID)
			continue
		}
		if err := g.send(ctx, o); err != nil {
			return err
		}
	}
	if g.f.NoPending {
		return nil
	}
	return g.op.Pending(g.counts())
}

func (g *retrieval) refuses(o *object) bool {
	return slices.Contains(g.f.Refuse, o.sopInstanceUID) &&
		g.faults.nth(g.faults.asked, o.sopInstanceUID, g.f.RefuseFirst)
}

func (g *retrieval) counts() dimse.Counts {
	return dimse.Counts{
		Remaining: dimse.Counted(g.left), Completed: dimse.Counted(g.done),
		Failed: dimse.Counted(len(g.failed)), Warning: dimse.Counted(g.warning),
	}
}

// send performs a C-STORE sub-operation. An error means that the association has ended.
func (g *retrieval) send(ctx context.Context, o *object) error {
	r, err := g.open(o)
	if err != nil {
		g.failed = append(g.failed, o.sopInstanceUID)
		return nil
	}
	defer func() { _ = r.Close() }() // read only
	data := g.outgoing(ctx, o, r)
	rsp, err := g.store(ctx, dimse.StoreRequest{
		SOPClassUID: o.sopClassUID, SOPInstanceUID: o.sopInstanceUID, TransferSyntaxUID: o.transferSyntaxUID,
	}, data)
	if err != nil {
		return g.notSent(ctx, o, err)
	}
	t := Transfer{
		Association: g.a.number, SOPClassUID: o.sopClassUID, SOPInstanceUID: o.sopInstanceUID,
		TransferSyntaxUID: o.transferSyntaxUID, Bytes: data.n, SHA256: hex.EncodeToString(data.sum.Sum(nil)),
		Status: uint16(rsp.Status), Time: time.Now(),
	}
	g.p.recorder.sent(t)
	event := g.event(AtSent, o.sopInstanceUID)
	event.Transfer = &t
	g.p.gate(ctx, event)
	switch rsp.Status.Class() {
	case dimse.ClassSuccess:
		g.done++
	case dimse.ClassWarning:
		g.warning++
	default:
		g.failed = append(g.failed, o.sopInstanceUID)
	}
	return nil
}

// open opens a data set with the faults that are inside.
func (g *retrieval) open(o *object) (io.ReadCloser, error) {
	values, other := g.f.Inside[o.sopInstanceUID]
	damage, odd := slices.Contains(g.f.Damage, o.sopInstanceUID), slices.Contains(g.f.Odd, o.sopInstanceUID)
	open := o.open
	if other && (g.copies || !g.f.InsideCopies) && o.openWith != nil {
		open = func() (io.ReadCloser, error) { return o.openWith(values) }
	}
	r, err := open()
	if err != nil || !damage && !odd {
		return r, err
	}
	defer func() { _ = r.Close() }() // read only
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	if damage {
		copy(b[2:], "damaged!") // the element number, VR and length of the first element
	}
	if odd {
		b = append(b, trailingPadding(o.transferSyntaxUID)...)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// trailingPadding is Data Set Trailing Padding (FFFC,FFFC) of one byte.
func trailingPadding(transferSyntaxUID string) []byte {
	if dict.TransferSyntaxOf(transferSyntaxUID).Implicit {
		return []byte{0xFC, 0xFF, 0xFC, 0xFF, 1, 0, 0, 0, 0}
	}
	return []byte{0xFC, 0xFF, 0xFC, 0xFF, 'O', 'B', 0, 0, 1, 0, 0, 0, 0}
}

// outgoing is the data set with the faults that stop it.
func (g *retrieval) outgoing(ctx context.Context, o *object, r io.Reader) *hashed {
	data := &hashed{r: r, sum: sha256.New(), limit: -1}
	if n, ok := g.f.Truncate[o.sopInstanceUID]; ok {
		data.limit, data.beyond = n, func() error { return io.EOF }
	}
	if g.f.DropAtObject == g.number {
		data.limit, data.beyond = g.f.DropAfterBytes, g.a.dropped
	}
	if g.f.StallAtObject == g.number {
		data.limit, data.beyond = g.f.StallAfterBytes, func() error { return stalled(ctx) }
	}
	return data
}

// notSent counts an instance as failed if the association lives on.
func (g *retrieval) notSent(ctx context.Context, o *object, err error) error {
	var noContext *dimse.NoContextError
	var source *ul.SourceError
	alive := errors.As(err, &noContext) || errors.As(err, &source) && !source.Sent || g.apart && ctx.Err() == nil
	if !alive || errors.Is(err, errDropped) {
		return err
	}
	g.failed = append(g.failed, o.sopInstanceUID)
	return nil
}

// final sends the final response.
func (g *retrieval) final(ctx context.Context, at EventKind, status dimse.Status) dimse.Status {
	if g.f.FinalStatus != nil {
		status = *g.f.FinalStatus
	}
	r := dimse.GetResult{Status: status}
	if !g.f.NoCounts {
		r.Counts = g.counts()
		if status != dimse.Canceled { // elsewhere it must not be there (PS3.4 C.4.3.1.4)
			r.Remaining = dimse.Count{}
		}
	}
	if !g.f.NoFailedList && status != dimse.Success {
		r.FailedSOPInstanceUIDs = g.failed
	}
	if g.f.Counts != nil {
		r.Counts = *g.f.Counts
	}
	event := g.event(at, "")
	event.Result = &r
	g.p.gate(ctx, event)
	_ = g.op.Final(r) // if it fails the association has ended, and nobody reads the status
	return status
}

// dropped drops the connection inside an instance.
func (a *association) dropped() error {
	a.drop()
	return errDropped
}

// stalled waits for the end of the association.
func stalled(ctx context.Context) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// hashed counts and digests what is read, and calls beyond instead of going past limit.
type hashed struct {
	r      io.Reader
	n      int64
	sum    hash.Hash
	limit  int64 // -1: none
	beyond func() error
	err    error // of reading, but for io.EOF
}

func (h *hashed) Read(b []byte) (int, error) {
	if h.limit >= 0 {
		if h.n >= h.limit {
			h.err = h.beyond()
			return 0, h.err
		}
		b = b[:min(int64(len(b)), h.limit-h.n)]
	}
	n, err := h.r.Read(b)
	h.n += int64(n)
	h.sum.Write(b[:n])
	if err != io.EOF { // an error that wraps io.EOF is no end
		h.err = err
	}
	return n, err
}
