// SPDX-License-Identifier: AGPL-3.0-or-later

package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/internal/text"
)

// Object is what became of one that was brought.
type Object struct {
	Class, UID, Study, Series string
	Warning                   uint16 // Warning Reason (0008,1196) of one that was stored; 0: none
	Failure                   uint16 // Failure Reason (0008,1197) of one that was not (PS3.18 I.2.2)
	Comment                   string // the same in at most 64 characters, without a word of the object
	Away                      bool   // the server can't be reached now, and that is all
}

// Report is what became of all.
type Report struct {
	Stored, Failed []Object
	Others         []Object // that could not be read so far as to name them: they have no UIDs
}

// Away reports whether nothing was stored for no other reason than that the server can't be reached now.
func (r Report) Away() bool {
	return len(r.Stored)+len(r.Others) == 0 && len(r.Failed) > 0 &&
		!slices.ContainsFunc(r.Failed, func(o Object) bool { return !o.Away })
}

// MaxObjects bounds the parts of one request, whatever is in them.
const MaxObjects = 50_000

// queueLength is how many objects wait for the server at most; those that wait are in memory, on credit.
const queueLength = 16

// Storing is a request to store under way. Take is called by one goroutine, one object after the other; then comes End,
// or Abort at any time.
type Storing struct {
	svc        *Service
	ctx        context.Context //nolint:containedctx // of all that goes on
	cancel     context.CancelFunc
	node       nodes.DICOMNode
	study      string // that the objects have to be of; empty: any
	identified bool   // the user may store objects that name their patient
	to         sink.Sink
	queue      chan *queued
	served     chan struct{} // closed when nothing is sent any more
	over       sync.Once
	taken      int
	seen       map[string]bool // SOP Instance UIDs

	mu        sync.Mutex // for all below
	report    Report
	disclosed map[disclosure]*sums
	kinds     map[kind]verdict
	given     *verdict // why nothing more is sent
	broken    int      // objects in a row at which the server broke off
}

// kind is what a presentation context is about.
type kind struct{ class, syntax string }

// verdict is why an object is not stored; the zero value: it is.
type verdict struct {
	failure dimse.Status
	comment string
}

// Why objects are not stored.
var (
	notTaken     = verdict{dimse.RefusedSOPClass, "The server does not take this SOP class."}
	otherSyntax  = verdict{0xC122, "The server does not take this transfer syntax."}
	refusedClass = verdict{dimse.RefusedSOPClass, "ADIT is set not to send this SOP class to the server."}
	otherStudy   = verdict{0xA901, "It is of another study than the one in the path."}
	twice        = verdict{dimse.DuplicateSOPInstance, "It is in this request twice."}
	identified   = verdict{dimse.RefusedNotAuthorized, "Needs Patient Identity Removed YES, or transfer_unpseudonymized."}
	unreadable   = verdict{dimse.CannotUnderstand, "It is no DICOM object with file meta information."}
	behind       = verdict{dimse.CannotUnderstand, "A large value stands before its UIDs, which are not looked for."}
	unnamed      = verdict{dimse.CannotUnderstand, "It lacks a valid UID of class, study, series or instance."}
	notDICOM     = verdict{dimse.CannotUnderstand, "The part's Content-Type is not application/dicom."}
	damaged      = verdict{dimse.CannotUnderstand, "It is damaged."}
	tooShort     = verdict{dimse.CannotUnderstand, "It is cut off: it ends before its data does."}
	cut          = verdict{dimse.ProcessingFailure, "The request broke off within it."}
	tooMany      = verdict{dimse.OutOfResources, "The request has too many objects; send several."}
	full         = verdict{dimse.OutOfResources, "The server has no room now; try again later."}
	noSlot       = verdict{dimse.OutOfResources, "ADIT has no connection to the server free; try again later."}
	silent       = verdict{dimse.ProcessingFailure, "The server did not answer in time."}
	brokeOff     = verdict{dimse.ProcessingFailure, "The server broke off."}
	away         = verdict{dimse.ProcessingFailure, "The server accepts no connection of ADIT's now."}
	turnedAway   = verdict{dimse.ProcessingFailure, "The server turns ADIT away; its settings or ADIT's are wrong."}
	otherAnswer  = verdict{dimse.ProcessingFailure, "The server acknowledged another instance."}
	thereAlready = verdict{dimse.DuplicateSOPInstance, "The server says that it has it already."}
	listed       = verdict{dimse.ProcessingFailure, "The server says nothing of it, but lists one with its UID."}
	notSaid      = verdict{dimse.ProcessingFailure, "The server does not say that it stored it."}
	notTakenDown = verdict{dimse.ProcessingFailure, "ADIT's audit log can't be written now."}
)

const (
	refusedByThem = "The server refused it."
	saysRemoved   = "YES" // Patient Identity Removed (0012,0062)
)

// queued is an object between its receipt and the server's answer.
type queued struct {
	sink.Outgoing

	came   *part // as the request brings it
	sent   *part // as it is sent while it comes; nil: it is in memory
	sums   *sums
	finish func()
	done   chan struct{} // closed when it was answered
}

// part is the object as it comes.
type part struct {
	r   io.Reader
	n   int64
	err error // of reading, but for the end
}

func (p *part) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	p.n += int64(n)
	if err != io.EOF { // one that wraps it is no end
		p.err = err
	}
	return n, err
}

// ErrEnough says that a request has more objects than are taken.
var ErrEnough = errors.New("the request has too many objects")

// Skip takes down a part of the request that is no DICOM object by its media type. The error is ErrEnough: nothing more
// can come then.
func (s *Storing) Skip() error {
	if err := s.count(); err != nil {
		return err
	}
	s.other(notDICOM)
	return nil
}

// Unread takes down that the request can't be read on behind a part, of which there are so many.
func (s *Storing) Unread(parts int) {
	s.other(verdict{dimse.ProcessingFailure, fmt.Sprintf("The body can't be read behind its part %d.", parts)})
}

// count counts a part of the request: each of them takes room in the answer.
func (s *Storing) count() error {
	if s.taken++; s.taken > MaxObjects {
		s.other(tooMany)
		return ErrEnough
	}
	return nil
}

// Take reads an object in the form of a file (PS3.10 7), whose preamble may be missing, and has it stored. It returns
// when all of it was read that is needed; End tells what became of it. An error is that of reading, ErrEnough, or that
// of the context: nothing more can come then.
func (s *Storing) Take(r io.Reader) error {
	if err := s.count(); err != nil {
		return err
	}
	p := &part{r: r}
	_, obj, err := stream.OpenFile(withPreamble(p), stream.Limits{})
	if err != nil {
		switch {
		case p.err != nil:
			s.other(cut)
		case errors.Is(err, stream.ErrNotPart10):
			s.other(unreadable)
		default:
			s.other(p.faulty(err))
		}
		return p.err
	}
	q, why := s.admit(obj)
	if q == nil || why.comment != "" {
		_ = obj.Close() // gives memory back
		s.fail(q, why)
		return nil
	}
	q.came = p
	return s.send(q, obj)
}

// admit returns an object as it is to be sent, or why it is not. Without a name there is nothing to return.
func (s *Storing) admit(obj *stream.Object) (*queued, verdict) {
	h := obj.Header()
	study, series := h.Text(dict.StudyInstanceUID), h.Text(dict.SeriesInstanceUID)
	q := &queued{finish: func() {}, Outgoing: sink.Outgoing{
		Class: h.SOPClassUID(), UID: h.SOPInstanceUID(), Syntax: obj.TransferSyntax().UID, Series: series,
		Names: sink.ObjectNames{Study: study, Series: series},
	}}
	for _, uid := range []string{q.Class, q.UID, q.Syntax, study, series} {
		if body, ok := obj.Body(); !fault.ValidUID(uid) && ok && body.Tag < dict.SeriesInstanceUID {
			return nil, behind
		} else if !fault.ValidUID(uid) {
			return nil, unnamed
		}
	}
	switch {
	case s.study != "" && study != s.study:
		return q, otherStudy
	case s.seen[q.UID]:
		return q, twice
	case slices.Contains(s.node.Server.RefusedSopClasses, q.Class):
		return q, refusedClass
	case !s.identified && h.Text(dict.PatientIdentityRemoved) != saysRemoved:
		return q, identified
	}
	s.seen[q.UID] = true
	var err error
	if q.sums, err = s.disclose(disclosure{text.Storable(h.Text(dict.PatientID)), study}); err != nil {
		return q, notTakenDown
	}
	return q, verdict{}
}

// send has an object sent: from memory if it is small and there is credit, else while it comes.
func (s *Storing) send(q *queued, obj *stream.Object) error {
	if !s.svc.Credit.Take(door.CreditUnit) {
		return s.pass(q, obj, func() { _ = obj.Close() })
	}
	b := &door.Buffer{}
	whole, err := b.Fill(obj)
	if err == nil && !whole {
		return s.pass(q, io.MultiReader(b.Reader(), obj), func() {
			b.Free()
			s.svc.Credit.Give(door.CreditUnit)
			_ = obj.Close()
		})
	}
	_ = obj.Close() // gives memory back
	kept := b.Held()
	if err != nil {
		b.Free()
		s.svc.Credit.Give(door.CreditUnit)
		s.fail(q, q.unread(err))
		return q.came.err
	}
	s.svc.Credit.Give(door.CreditUnit - kept)
	q.Size, q.Again = int64(b.Size), true
	q.Open = func() io.Reader { return b.Reader() }
	q.finish = func() { b.Free(); s.svc.Credit.Give(kept) }
	return s.enqueue(q)
}

// pass hands an object on while it still comes.
func (s *Storing) pass(q *queued, data io.Reader, finish func()) error {
	defer finish()
	q.sent, q.done = &part{r: data}, make(chan struct{})
	q.Open = func() io.Reader { return q.sent }
	if err := s.enqueue(q); err != nil {
		return err
	}
	<-q.done
	return q.came.err
}

// unread is why an object is not stored that can't be read to its end, by the error that it was met with.
func (q *queued) unread(err error) verdict {
	if q.came.err != nil {
		return cut
	}
	return q.came.faulty(err)
}

// faulty is why an object is not stored that is not as it should be.
func (p *part) faulty(err error) verdict {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return tooShort
	}
	return damaged
}

func (s *Storing) enqueue(q *queued) error {
	select {
	case s.queue <- q:
		return nil
	case <-s.ctx.Done():
		q.finish()
		s.fail(q, cut)
		return s.ctx.Err()
	}
}

// slotStays is how long a slot is kept while there is nothing to send. Somebody else may wait for it.
const slotStays = time.Second

// serve sends objects until there are no more, over a slot at first, and then over one whenever there is something to
// send.
func (s *Storing) serve(slot *door.Slot) {
	defer close(s.served)
	for more := s.sendOver(slot, nil); more; {
		q, ok := <-s.queue
		if !ok {
			return
		}
		slot, why := s.connect()
		if slot == nil {
			s.done(q, why)
			continue
		}
		more = s.sendOver(slot, q)
	}
}

// sendOver sends objects over a slot, until there is nothing to send for a while. more: there may be something later.
func (s *Storing) sendOver(slot *door.Slot, first *queued) (more bool) {
	var workers sync.WaitGroup
	var busy atomic.Int64
	work := make(chan *queued)
	for i := range s.to.Workers() {
		workers.Go(func() {
			if i > 0 && s.to.Enter(s.ctx, i) != nil {
				return // its context has ended
			}
			for q := range work {
				s.done(q, s.put(i, q))
				busy.Add(-1)
			}
		})
	}
	hand := func(q *queued) {
		busy.Add(1)
		work <- q
	}
	if first != nil {
		hand(first)
	}
	tick := time.NewTicker(slotStays)
	defer tick.Stop()
	for idle := false; !idle; {
		var q *queued
		select {
		case q, more = <-s.queue:
			if idle = !more; more {
				hand(q)
				tick.Reset(slotStays)
			}
		case <-tick.C:
			idle, more = busy.Load() == 0, true
		}
	}
	close(work)
	workers.Wait()
	s.hangUp(slot)
	return more
}

// mostBusy is how often a slot is waited for, ten seconds each, before the rest is given up.
const mostBusy = 6

// connect takes a slot again; nil: why it can't.
func (s *Storing) connect() (*door.Slot, verdict) {
	if why := s.givenUp(); why != nil {
		return nil, *why
	}
	slots, err := []*door.Slot(nil), error(nil)
	for range mostBusy {
		slots, err = s.svc.Door.InteractiveButOne(s.ctx, s.svc.nodes.Peer(s.node), 1)
		if _, busy := errors.AsType[*door.Busy](err); !busy {
			break
		}
	}
	if err == nil {
		s.to.SetSlots(slots)
		if _, err = s.to.Prepare(s.ctx, nil); err == nil {
			return slots[0], verdict{}
		}
		s.hangUp(slots[0])
	}
	if _, busy := errors.AsType[*door.Busy](err); busy {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.given = &noSlot
		return nil, noSlot
	}
	return nil, s.failed(err)
}

// hangUp ends what is open over a slot, and gives it back.
func (s *Storing) hangUp(slot *door.Slot) {
	s.to.HangUp(s.ctx)
	if err := slot.Close(s.ctx); err != nil {
		s.svc.Log.WarnContext(s.ctx, "a slot can't be given back now", "server", s.node.Name, "err", err)
	}
}

// done takes down what became of an object.
func (s *Storing) done(q *queued, why verdict) {
	q.finish()
	if why.comment != "" {
		s.fail(q, why)
	}
	if q.done != nil {
		close(q.done)
	}
}

// put sends an object, and returns why it is not stored.
func (s *Storing) put(worker int, q *queued) verdict {
	if why := s.givenUp(); why != nil {
		return *why
	}
	if why := s.asked(kind{q.Class, q.Syntax}); why.comment != "" {
		return why
	}
	status, err := s.to.Put(s.ctx, worker, &q.Outgoing)
	return s.answered(q, status, err)
}

// asked returns whether a server of DIMSE takes a kind. It is asked for the class in the transfer syntax that all know
// as well, so that the person learns what of both it does not take.
func (s *Storing) asked(k kind) verdict {
	if nodes.StoresByWeb(s.node.Server) { // it says so of each instance
		return verdict{}
	}
	s.mu.Lock()
	known, ok := s.kinds[k]
	s.mu.Unlock()
	if ok {
		return known
	}
	syntaxes := []string{k.syntax}
	if k.syntax != dict.ImplicitVRLittleEndian {
		syntaxes = append(syntaxes, dict.ImplicitVRLittleEndian)
	}
	accepted, err := s.to.Prepare(s.ctx, map[string][]string{k.class: syntaxes})
	_, none := errors.AsType[*dimse.NoContextsError](err)
	switch {
	case err != nil && !none:
		return s.failed(err)
	case len(accepted[k.class]) == 0:
		known = notTaken
	case !slices.Contains(accepted[k.class], k.syntax):
		known = otherSyntax
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kinds[k] = known
	return known
}

// answered goes by the server's answer.
func (s *Storing) answered(q *queued, status dimse.Status, err error) verdict {
	var refused *sink.Refusal
	var noContext *dimse.NoContextError
	var noContexts *dimse.NoContextsError
	switch {
	case errors.As(err, &refused):
		return verdict{refused.Status, notSaid.comment}
	case errors.As(err, &noContext) && status == otherSyntax.failure:
		return otherSyntax
	case errors.As(err, &noContext), errors.As(err, &noContexts):
		return notTaken
	case errors.Is(err, sink.ErrOtherInstance):
		return otherAnswer
	case err != nil && q.sent != nil && q.sent.err != nil:
		return q.unread(q.sent.err)
	case err != nil:
		return s.failed(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = 0
	switch m := status.Meaning(dimse.CStore); m.Outcome {
	case dimse.Done, dimse.DoneNoted:
		o := q.object()
		o.Warning = uint16(status)
		s.report.Stored = append(s.report.Stored, o)
		q.sums.stored++
		q.sums.bytes += q.size()
		return verdict{}
	case dimse.AlreadyThere:
		if q.Listed {
			return listed
		}
		return thereAlready
	case dimse.BackOff:
		s.given = &verdict{status, full.comment}
		return *s.given
	}
	return verdict{status, refusedByThem}
}

func (q *queued) object() Object {
	return Object{Class: q.Class, UID: q.UID, Study: q.Names.Study, Series: q.Series}
}

// size is that of what was sent, in bytes.
func (q *queued) size() int64 {
	if q.sent != nil {
		return q.sent.n
	}
	return q.Size
}

// failed is what becomes of an object after the server failed. One that can't be reached, has no room or says nothing
// is left alone; one that broke off gets one more, as it may have been for the object.
func (s *Storing) failed(err error) verdict {
	if s.ctx.Err() != nil {
		return cut
	}
	why, last := away, true
	own, ok := errors.AsType[*fault.Fault](err)
	switch {
	case ok && own.Full, fault.WebBusy(err):
		why = full
	case fault.NeedsSettings(err):
		why = turnedAway
	case fault.Unreachable(err), fault.DatabaseTrouble(err) != nil:
	case fault.SaidNothing(err):
		why = silent
	case fault.PeerFailed(err):
		why, last = brokeOff, false
	}
	s.svc.Log.InfoContext(s.ctx, "an object could not be stored", "server", s.node.Name, "reason", fault.ReasonOf(err))
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken++; last || s.broken > 1 {
		s.given = &why
	}
	return why
}

func (s *Storing) givenUp() *verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.given
}

// fail takes down that an object was not stored; nil: it has no name.
func (s *Storing) fail(q *queued, why verdict) {
	if q == nil {
		s.other(why)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := q.object()
	o.Failure, o.Comment, o.Away = uint16(why.failure), why.comment, why == away
	s.report.Failed = append(s.report.Failed, o)
	if q.sums != nil {
		q.sums.failed++
	}
}

func (s *Storing) other(why verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Others = append(s.report.Others, Object{Failure: uint16(why.failure), Comment: why.comment})
}

// End waits for what was taken, and tells what became of it.
func (s *Storing) End(ctx context.Context) Report {
	s.close(ctx)
	return s.report
}

// Abort gives up what was not stored yet. After End it does nothing.
func (s *Storing) Abort(ctx context.Context) {
	s.cancel()
	s.close(ctx)
}

func (s *Storing) close(ctx context.Context) {
	s.over.Do(func() {
		close(s.queue)
		<-s.served
		s.cancel()
		s.takeDown(ctx)
	})
}

// disclosure is a study of a patient of which something is stored.
type disclosure struct{ patient, study string }

// sums are what became of the objects of a study.
type sums struct {
	stored, failed int
	bytes          int64
}

// disclose takes down in the audit log, before the first object of a study goes out, that it does.
func (s *Storing) disclose(d disclosure) (*sums, error) {
	s.mu.Lock()
	known := s.disclosed[d]
	s.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if err := audit.Record(s.ctx, s.svc.Q, s.entry(audit.ActStoring, d, nil)); err != nil {
		s.svc.Log.WarnContext(s.ctx, "an object is not stored, as that can't be taken down", "err", err)
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.disclosed[d] = &sums{}
	return s.disclosed[d], nil
}

func (s *Storing) entry(act string, d disclosure, detail map[string]any) audit.Entry {
	return audit.Entry{
		Action: act, Object: "server " + s.node.Name, PatientID: d.patient, StudyUID: d.study,
		Destination: s.node.Name, Detail: detail,
	}
}

// takeDown says in the audit log what was stored.
func (s *Storing) takeDown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeDownTimeout)
	defer cancel()
	for d, n := range s.disclosed {
		if n.stored == 0 {
			continue
		}
		outcome := "success"
		if n.failed > 0 {
			outcome = "failure"
		}
		err := audit.Record(ctx, s.svc.Q, s.entry(audit.ActStore, d, map[string]any{
			"outcome": outcome, "stored": n.stored, "failed": n.failed, "bytes": n.bytes,
		}))
		if err != nil {
			s.svc.Log.WarnContext(ctx, "it can't be taken down what was stored", "server", s.node.Name, "err", err)
			return
		}
	}
}

const takeDownTimeout = 10 * time.Second

// withPreamble puts the preamble before an object that begins with its file meta information: pydicom writes those.
func withPreamble(r io.Reader) io.Reader {
	head := make([]byte, len(metaBegins))
	n, _ := io.ReadFull(r, head) // who reads on gets the error
	begin := string(head[:n])
	if begin == metaBegins {
		begin = strings.Repeat("\x00", 128) + "DICM" + begin
	}
	return io.MultiReader(strings.NewReader(begin), r)
}

// metaBegins is the beginning of the group length (0002,0000), which comes first.
const metaBegins = "\x02\x00\x00\x00UL"
