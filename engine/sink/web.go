// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
)

// Web stores by STOW-RS, with one request at a time over each slot. What is put while all of them are under way goes
// together in the next one: a server that takes long over a request gets few and large ones. What a server is sent is
// written down before (Intend), so that the next run can ask for it where the answer is lost; not if there is no task.
type Web struct {
	svc   *Service
	held  *lease.Held // nil: no task sends what is put
	name  string
	asks  bool // it can be searched by QIDO-RS
	peer  door.Peer
	slots []*door.Slot // the first is the claim's
	pace  *door.Pace   // of the server
	crept *atomic.Int64
	bytes int64 // most of a request

	mu    sync.Mutex // for all below
	more  *sync.Cond // something was put, or a line is to end
	lines []*line    // by slot; nil: not open
	queue []*stowing
	full  error          // what it answered when it had no room: nothing more is sent
	width int            // most instances of a request
	kinds map[kind]*said // what the server said of them
	// SOP Instance UIDs of requests that were broken off when the server could not be asked for them either
	doubted map[string]bool
}

// said is what a server has said of instances of a kind.
type said struct {
	taken   bool         // it stored one
	refused int          // so many were refused as such that it doesn't take
	reason  dimse.Status // which it gave for that last
}

// refuses reports whether the server was found not to take a kind: it said so, and has stored none. What it says once
// it may have said of one instance.
func (s *Web) refuses(k kind, least int) bool {
	of := s.kinds[k]
	return of != nil && !of.taken && of.refused >= least
}

// of returns what the server said of an instance's kind.
func (s *Web) of(p *stowing) *said {
	k := kind{p.Class, p.Syntax}
	if s.kinds[k] == nil {
		s.kinds[k] = &said{}
	}
	return s.kinds[k]
}

// line is what sends over one slot.
type line struct {
	to     *door.Web
	ctx    context.Context
	cancel context.CancelFunc
	ending bool          // it takes nothing more; the sink's lock is for it
	ended  chan struct{} // closed when it sends nothing any more
}

// stowing is an instance that is put.
type stowing struct {
	*Outgoing
	ctx   context.Context
	done  chan stowed
	tries int  // requests that it was in without an answer about it
	alone bool // it goes by itself
}

// stowed is what Put returns.
type stowed struct {
	status dimse.Status
	err    error
}

// perRequest is how many instances go in one request at most, which are put by as many workers for each slot.
const perRequest = 16

// mostTries is how many requests an instance is in that say nothing of it.
const mostTries = 2

func (svc *Service) web(n nodes.DICOMNode, h *lease.Held, crept *atomic.Int64) *Web {
	s := &Web{
		svc: svc, held: h, name: n.Name, asks: n.Server.QidoRs, peer: svc.nodes.Peer(n),
		pace: svc.Paces.Server(n.ID), crept: crept, bytes: int64(n.Server.WebMaxRequestMb) * 1e6,
		width: perRequest, kinds: map[kind]*said{}, doubted: map[string]bool{},
	}
	s.more = sync.NewCond(&s.mu)
	return s
}

// Prepare implements Sink. There is nothing to negotiate: a server takes what is proposed, until it says that it does
// not.
func (s *Web) Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	s.Close(ctx)
	s.mu.Lock()
	s.lines, s.full = make([]*line, len(s.slots)), nil
	s.mu.Unlock()
	if err := s.open(ctx, 0); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	accepted := map[string][]string{}
	for class, syntaxes := range proposed {
		for _, syntax := range syntaxes {
			if !s.refuses(kind{class, syntax}, 1) {
				accepted[class] = append(accepted[class], syntax)
			}
		}
	}
	return accepted, nil
}

// open connects, and begins to send over a slot.
func (s *Web) open(ctx context.Context, slot int) error {
	to, err := s.slots[slot].OpenWeb(s.peer)
	if err != nil {
		return err
	}
	if err := to.Connect(ctx); err != nil {
		to.Abort()
		return err
	}
	l := &line{to: to, ended: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.WithoutCancel(ctx))
	s.mu.Lock()
	defer s.mu.Unlock()
	if slot >= len(s.lines) {
		to.Abort()
		l.cancel()
		return errSinkClosed
	}
	s.lines[slot] = l
	go s.serve(l) //nolint:contextcheck // its context is that of the line
	return nil
}

// Workers implements Sink: as many as fill a request over each slot. The first ones hold a slot each.
func (s *Web) Workers() int { return max(1, len(s.slots)) * perRequest }

// Enter begins to send over the slot of a worker beyond the first, if it has one.
func (s *Web) Enter(ctx context.Context, worker int) error {
	if worker >= len(s.slots) {
		return ctx.Err()
	}
	return s.open(ctx, worker)
}

// Leave ends what goes over the slot of a worker, when what is under way there has been answered, and gives it back.
func (s *Web) Leave(ctx context.Context, worker int) error {
	if worker >= len(s.slots) {
		return nil
	}
	s.mu.Lock()
	var l *line
	if worker < len(s.lines) {
		l, s.lines[worker] = s.lines[worker], nil
	}
	s.mu.Unlock()
	s.end(ctx, l)
	return s.slots[worker].Close(ctx)
}

// end ends lines: each when what is under way there has been answered, at once if the context ends.
func (s *Web) end(ctx context.Context, lines ...*line) {
	lines = slices.DeleteFunc(lines, func(l *line) bool { return l == nil })
	s.mu.Lock()
	for _, l := range lines {
		l.ending = true
	}
	s.more.Broadcast()
	s.mu.Unlock()
	for _, l := range lines {
		stop := context.AfterFunc(ctx, l.cancel)
		<-l.ended
		stop()
		l.cancel()
		l.to.Abort()
	}
}

// Close implements Sink. What is put and was not sent yet is not sent any more.
func (s *Web) Close(ctx context.Context) {
	s.mu.Lock()
	lines, left := s.lines, s.queue
	s.lines, s.queue = nil, nil
	s.mu.Unlock()
	for _, p := range left {
		p.done <- stowed{err: errSinkClosed}
	}
	s.end(ctx, lines...)
}

// Put implements Sink.
func (s *Web) Put(ctx context.Context, _ int, o *Outgoing) (dimse.Status, error) {
	if err := ctx.Err(); err != nil {
		return 0, context.Cause(ctx)
	}
	p := &stowing{Outgoing: o, ctx: ctx, done: make(chan stowed, 1)}
	s.mu.Lock()
	switch {
	case s.lines == nil:
		s.mu.Unlock()
		return 0, errSinkClosed
	case s.full != nil:
		defer s.mu.Unlock()
		return 0, s.full
	case s.refuses(kind{o.Class, o.Syntax}, 2):
		defer s.mu.Unlock()
		return s.kinds[kind{o.Class, o.Syntax}].reason, &dimse.NoContextError{
			SOPClassUID: o.Class, TransferSyntaxUID: o.Syntax,
		}
	}
	s.queue = append(s.queue, p)
	s.more.Signal()
	s.mu.Unlock()
	select {
	case a := <-p.done:
		return a.status, a.err
	case <-ctx.Done():
	}
	if s.withdraw(p) {
		return 0, context.Cause(ctx)
	}
	a := <-p.done // its request is broken off
	return a.status, a.err
}

// withdraw takes an instance back that was not sent yet.
func (s *Web) withdraw(p *stowing) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.Index(s.queue, p)
	if i < 0 {
		return false
	}
	s.queue = slices.Delete(s.queue, i, i+1)
	return true
}

// serve sends what is put until its line ends.
func (s *Web) serve(l *line) {
	defer close(l.ended)
	for {
		batch := s.next(l)
		if batch == nil {
			return
		}
		s.send(l, batch)
	}
}

// next waits for something to send, and takes what goes into one request: instances that are there to be read again, as
// many as it has room for; any other by itself. nil: the line ends.
func (s *Web) next(l *line) []*stowing {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.queue) == 0 && !l.ending {
		s.more.Wait()
	}
	if l.ending {
		s.more.Signal() // it may have been woken for what another one is to send
		return nil
	}
	first := s.queue[0]
	n, size := 1, first.Size
	for ; first.Again && !first.alone && n < min(len(s.queue), s.width); n++ {
		p := s.queue[n]
		if size += p.Size; !p.Again || p.alone || size > s.bytes || p.Names.Study != first.Names.Study {
			break
		}
	}
	batch := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	return batch
}

// putBack has instances be sent once more, before others.
func (s *Web) putBack(ps []*stowing) {
	if len(ps) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines == nil {
		for _, p := range ps {
			p.done <- stowed{err: errSinkClosed}
		}
		return
	}
	s.queue = append(slices.Clone(ps), s.queue...)
	s.more.Broadcast()
}

// send makes one request, and answers those whose instances are in it.
func (s *Web) send(l *line, batch []*stowing) {
	ctx, cancel := context.WithCancel(l.ctx)
	defer cancel()
	for _, p := range batch { // they are one task's, and end together
		defer context.AfterFunc(p.ctx, cancel)()
	}
	rest, err := s.undoubted(ctx, l, batch)
	if err != nil {
		answer(batch, err)
		return
	}
	if batch = rest; len(batch) == 0 {
		return
	}
	if err := s.intend(ctx, batch); err != nil {
		answer(batch, err)
		return
	}
	parts := make([]web.Outgoing, len(batch))
	for i, p := range batch {
		open := func() io.Reader { return door.WithPace(ctx, p.Open(), s.pace, s.crept) }
		if !p.Again {
			open = door.Once(open)
		}
		parts[i] = web.Outgoing{
			SOPClassUID: p.Class, SOPInstanceUID: p.UID, TransferSyntaxUID: p.Syntax, Open: open,
		}
	}
	stored, err := l.to.Store(ctx, batch[0].Names.Study, parts)
	if err == nil {
		s.answered(ctx, l, batch, stored)
		return
	}
	s.failed(ctx, l, batch, err)
}

func uidsOf(ps []*stowing) []string {
	uids := make([]string, len(ps))
	for i, p := range ps {
		uids[i] = p.UID
	}
	return uids
}

// intend writes down what is about to be sent.
func (s *Web) intend(ctx context.Context, batch []*stowing) error {
	if s.held == nil {
		return nil
	}
	n, err := s.svc.Q.IntendToStore(ctx, db.IntendToStoreParams{
		TaskID: s.held.TaskID, Token: s.held.Token, SopInstanceUids: uidsOf(batch),
	})
	if err == nil && n == 0 {
		err = fault.ErrFenced
	}
	return err
}

// forget takes back what was written down of instances that the server refused: one of theirs that it has is not what
// it was sent.
func (s *Web) forget(ctx context.Context, refused []*stowing) error {
	if s.held == nil || len(refused) == 0 {
		return nil
	}
	return s.svc.Q.ForgetIntended(ctx, db.ForgetIntendedParams{
		TaskID: s.held.TaskID, Token: s.held.Token, SopInstanceUids: uidsOf(refused),
	})
}

// undoubted asks the server for those instances that an earlier request was broken off with. What it lists is answered;
// the others are to be sent.
func (s *Web) undoubted(ctx context.Context, l *line, batch []*stowing) ([]*stowing, error) {
	var ask []*stowing
	s.mu.Lock()
	for _, p := range batch {
		if s.doubted[p.UID] {
			ask = append(ask, p)
		}
	}
	s.mu.Unlock()
	if len(ask) == 0 {
		return batch, nil
	}
	there, err := s.listed(ctx, l, ask)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	for _, p := range ask {
		delete(s.doubted, p.UID)
	}
	s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(batch), func(p *stowing) bool {
		if there[p.UID] {
			p.Listed = true
			p.done <- stowed{status: dimse.DuplicateSOPInstance}
		}
		return there[p.UID]
	}), nil
}

// doubt has instances be asked for before they are sent again.
func (s *Web) doubt(ps []*stowing) {
	if !s.asks {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ps {
		s.doubted[p.UID] = true
	}
}

// answer answers instances by an error.
func answer(ps []*stowing, err error) {
	for _, p := range ps {
		p.done <- stowed{err: err}
	}
}

// answered goes by what a server says of each instance. What it says nothing of is asked for.
func (s *Web) answered(ctx context.Context, l *line, batch []*stowing, stored web.Stored) {
	var unknown, again, refused []*stowing
	s.mu.Lock()
	for _, p := range batch {
		s.of(p).taken = s.of(p).taken || stored.Instances[p.UID].Outcome == web.Acknowledged
	}
	s.mu.Unlock()
	for _, p := range batch {
		r := stored.Instances[p.UID]
		switch {
		case r.Outcome == web.Acknowledged:
			p.done <- stowed{status: noted(r.Warning)}
		case r.Outcome == web.Unknown:
			unknown = append(unknown, p)
		case r.Failure == uint16(dimse.ProcessingFailure) && p.Again && !p.alone: // once more, and by itself
			p.alone = true
			again = append(again, p)
		default:
			refused = append(refused, p)
		}
	}
	err := s.forget(ctx, refused)
	for _, p := range refused {
		if err != nil {
			p.done <- stowed{err: err}
		} else {
			p.done <- s.refused(p, stored.Instances[p.UID])
		}
	}
	s.putBack(again)
	s.settle(ctx, l, unknown, &Refusal{dimse.ProcessingFailure, fmt.Sprintf(
		"the destination answered the request with status %d, and does not say that it stored this instance", stored.Status,
	)})
}

// noted is the status of an instance that was stored, with a warning or without.
func noted(warning uint16) dimse.Status {
	status := dimse.Status(warning)
	if warning != 0 && status.Class() != dimse.ClassWarning {
		return dimse.CoercionOfDataElements
	}
	return status
}

// Failure reasons beyond those of the standard. Azure numbers two of its own; others give a status of HTTP.
const (
	alreadyThere   = 45070
	beingWritten   = 45071
	otherSyntax    = 0xC122
	classNotTaken  = 0x0122
	duplicateThere = 0x0111
)

// refused is what becomes of an instance that the server says it did not store (PS3.18 I.2.2).
func (s *Web) refused(p *stowing, r web.Result) stowed {
	switch r.Failure {
	case alreadyThere, beingWritten, duplicateThere:
		return stowed{status: dimse.DuplicateSOPInstance}
	case http.StatusFailedDependency, http.StatusServiceUnavailable, http.StatusTooManyRequests:
		return stowed{err: fault.Full(
			"DICOM Server %s is out of resources: it answered an instance with reason %d", s.name, r.Failure,
		)}
	case otherSyntax, classNotTaken:
		s.mu.Lock()
		defer s.mu.Unlock()
		of := s.of(p)
		if of.refused++; of.taken { // it is about this instance
			return stowed{status: dimse.Status(r.Failure)}
		}
		of.reason = dimse.Status(r.Failure)
		return stowed{of.reason, &dimse.NoContextError{SOPClassUID: p.Class, TransferSyntaxUID: p.Syntax}}
	}
	if status := dimse.Status(r.Failure); status.Class() == dimse.ClassFailure {
		return stowed{status: status}
	}
	return stowed{err: &Refusal{
		dimse.ProcessingFailure, fmt.Sprintf(
			"the destination refused this instance, and gives no reason that is known (%d); look into its log", r.Failure,
		),
	}}
}

// failed goes by a request that no instance was answered for.
func (s *Web) failed(ctx context.Context, l *line, batch []*stowing, err error) {
	var ofSource *web.SourceError
	var connect *web.ConnectError
	var token *web.TokenError
	code := 0
	if status, ok := errors.AsType[*web.StatusError](err); ok {
		code = status.Code
	}
	switch {
	case errors.As(err, &connect), errors.As(err, &token), errors.Is(err, fault.ErrFenced):
		answer(batch, err)
	case ctx.Err() != nil:
		s.doubt(batch)
		answer(batch, err)
	case errors.As(err, &ofSource):
		s.brokenSource(batch, ofSource)
	case code == http.StatusRequestEntityTooLarge && len(batch) > 1:
		s.mu.Lock()
		s.width = max(1, min(s.width, len(batch)/2))
		s.mu.Unlock()
		s.putBack(batch)
	case code == http.StatusRequestEntityTooLarge:
		answer(batch, &Refusal{
			dimse.RefusedSOPClass, "the destination takes no request as large as this instance (status 413); ask its " +
				"administrator to allow larger ones",
		})
	case fault.WebBusy(err):
		s.leaveAlone(batch, fault.Full("DICOM Server %s is out of resources: %w", s.name, err))
	case fault.NeedsSettings(err):
		answer(batch, err)
	case slices.Contains(undecided, code):
		s.settle(ctx, l, batch, &Refusal{dimse.CannotUnderstand, fmt.Sprintf(
			"the destination did not store this instance, and does not say why (status %d)", code,
		)})
	case fault.PeerFailed(err):
		s.settle(ctx, l, batch, err)
	default:
		answer(batch, err)
	}
}

// undecided are the statuses after which some of a request may have been stored.
var undecided = []int{
	http.StatusBadRequest, http.StatusConflict, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity,
}

// leaveAlone sends nothing more to a server that has no room.
func (s *Web) leaveAlone(batch []*stowing, err error) {
	s.mu.Lock()
	left := s.queue
	s.queue, s.full = nil, err
	s.mu.Unlock()
	answer(append(batch, left...), err)
}

// brokenSource ends the put whose instance could not be read to its end. The others are sent again.
func (s *Web) brokenSource(batch []*stowing, err *web.SourceError) {
	var others []*stowing
	for _, p := range batch {
		if p.UID == err.SOPInstanceUID || len(batch) == 1 {
			p.done <- stowed{err: err}
			continue
		}
		others = append(others, p)
	}
	s.putBack(others)
}

// settle asks the server for instances of which it has not said whether it stored them. Those that it lists count as
// already there, which is confirmed at the end; others are sent once more, if they can be. After that they are answered
// by err.
func (s *Web) settle(ctx context.Context, l *line, ps []*stowing, err error) {
	if len(ps) == 0 {
		return
	}
	there, asked := map[string]bool{}, error(nil)
	if s.asks {
		there, asked = s.listed(ctx, l, ps)
	}
	if asked != nil {
		s.doubt(ps)
	}
	var again []*stowing
	var refused *Refusal
	for _, p := range ps {
		p.tries++
		switch {
		case there[p.UID]:
			p.Listed = true
			p.done <- stowed{status: dimse.DuplicateSOPInstance}
		case asked == nil && p.Again && p.tries < mostTries:
			p.alone = len(ps) > 1
			again = append(again, p)
		case !p.Again && errors.As(err, &refused): // what it was sent may have been cut on its way
			p.done <- stowed{err: fault.Again("%s", err)}
		default:
			p.done <- stowed{err: err}
		}
	}
	s.putBack(again)
}

// listed asks which instances the server lists.
func (s *Web) listed(ctx context.Context, l *line, ps []*stowing) (map[string]bool, error) {
	bySeries := map[web.Resource][]string{}
	for _, p := range ps {
		in := web.Resource{Study: p.Names.Study, Series: p.Names.Series}
		bySeries[in] = append(bySeries[in], p.UID)
	}
	there := map[string]bool{}
	for in, uids := range bySeries {
		match := &stream.DataSet{}
		match.Set(dict.SOPInstanceUID, uids...)
		search := web.Search{Level: web.Instance, In: in, Match: match, Include: []dict.Tag{dict.SOPInstanceUID}}
		for ds, err := range l.to.Search(ctx, search) {
			if _, incomplete := errors.AsType[*web.IncompleteError](err); incomplete {
				break // they were asked for by their UIDs
			}
			if err != nil {
				return there, err
			}
			there[ds.String(dict.SOPInstanceUID)] = true
		}
	}
	return there, nil
}

// Gone implements Sink: a server has to be asked.
func (s *Web) Gone(context.Context, []db.DeliveredRow) ([]string, error) { return nil, nil }

// Begin implements Sink.
func (s *Web) Begin(context.Context) error { return nil }

// Expect implements Sink.
func (s *Web) Expect([]string) {}

// Slots implements Sink.
func (s *Web) Slots() []*door.Slot { return s.slots }

// SetSlots implements Sink.
func (s *Web) SetSlots(slots []*door.Slot) { s.slots = slots }

// HangUp implements Sink.
func (s *Web) HangUp(ctx context.Context) { s.Close(ctx) }

// Commit implements Sink.
func (s *Web) Commit() error { return nil }
