// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// What this implementation calls itself in each association (PS3.7 D.3.3.2): the same as in its file meta.
const (
	ImplementationClassUID    = "2.25.246521483906153128720583913620617329415"
	ImplementationVersionName = "ADIT"
)

const (
	// MaxPDU is the largest P-DATA-TF that is announced or sent, header excluded: 1 MiB with it.
	MaxPDU = 1<<20 - pduHeaderLen
	minPDU = 16 << 10

	// minPeerPDU is the least that a peer must take: below, the headers would outweigh the data.
	minPeerPDU = 128

	abortGrace     = 250 * time.Millisecond // for A-ABORT to leave and the peer to close
	closeGrace     = 2 * time.Second        // for the peer to close after A-RELEASE-RP or A-ASSOCIATE-RJ
	releaseTimeout = 10 * time.Second       // for A-RELEASE-RP to come
)

// Options of an association. The zero value has the defaults.
type Options struct {
	MaxPDU         uint32        // to announce; 16 KiB to MaxPDU, MaxPDU when 0
	IdleTimeout    time.Duration // without progress; 60 s when 0
	ConnectTimeout time.Duration // Dial: for connecting, TLS and negotiation together; 30 s when 0
	ARTIM          time.Duration // Accept: for TLS and the A-ASSOCIATE-RQ together; 30 s when 0
	TLS            *tls.Config   // nil: no TLS
	// Guard, if not nil, is asked before each write to the connection, also before it goes on after a wait. Its error
	// ends the association: from then on nothing is sent any more, and what the kernel still holds is dropped.
	Guard func() error
}

func (o Options) withDefaults() Options {
	if o.MaxPDU == 0 {
		o.MaxPDU = MaxPDU
	}
	o.MaxPDU = min(max(o.MaxPDU, minPDU), MaxPDU)
	o.IdleTimeout = orDefault(o.IdleTimeout, time.Minute)
	o.ConnectTimeout = orDefault(o.ConnectTimeout, 30*time.Second)
	o.ARTIM = orDefault(o.ARTIM, 30*time.Second)
	return o
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d <= 0 {
		return otherwise
	}
	return d
}

// Association is an association over a connection. One goroutine reads (NextPDV, Read, ReadData), others may send
// messages at the same time; Abort, Drop and Watch may be called from any.
type Association struct {
	w       *wire
	in      *inflow
	addr    string
	caller  bool // this side requested it
	rq      *AssociateRQ
	ac      *AssociateAC
	sendMax int // largest body of a P-DATA-TF that the peer takes
	recvMax int // largest that is taken

	value            Fragment // what is being read
	pduLeft, pdvLeft int      // of it
	bound            int      // how much of a data set the peer is bound to send yet (see Bound)
	// length of the last P-DATA-TF that held a fragment of a data set, and not its last: the next ones will be like it
	dataPDU int

	mu    sync.Mutex // the machine and the cause
	m     machine
	cause error

	answerBy time.Time // by when the A-ASSOCIATE-RQ must be answered; zero if it is, or isn't ours

	messages sync.Mutex // one message at a time: fragments of two do not mix
	packets  sync.Mutex // one write at a time
	torn     bool       // a PDU left in part: nothing can follow it. Under packets.

	reader sync.Mutex // held while somebody reads

	ended  atomic.Bool
	ending sync.Once
	done   chan struct{} // closed when the association has ended
}

func newAssociation(addr string, acceptor bool, opt Options) *Association {
	return &Association{
		addr: addr, caller: !acceptor, m: newMachine(acceptor),
		recvMax: int(opt.MaxPDU), done: make(chan struct{}),
	}
}

// Dial opens a connection to addr and requests an association on it. It fills in rq's maximum length and implementation
// names. Errors: *RejectedError, *NotDICOMError, *AbortedError, *LostError, *ProtocolError, a *ConnectError when there
// is no connection or nobody answers on it, or the cause of ctx.
func Dial(ctx context.Context, addr string, rq *AssociateRQ, opt Options) (*Association, error) {
	opt = opt.withDefaults()
	limit := time.Now().Add(opt.ConnectTimeout)
	dialCtx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	a := newAssociation(addr, false, opt)
	a.rq = rq
	a.event(Evt1)
	var d net.Dialer
	c, err := d.DialContext(dialCtx, "tcp", addr)
	if err != nil {
		return nil, connectError(ctx, addr, opt.ConnectTimeout, err)
	}
	a.w = newWire(c, opt.IdleTimeout)
	a.w.moves.setGuard(opt.Guard)
	a.w.setLimit(opt.ConnectTimeout, limit)
	a.answerBy = limit
	if opt.TLS != nil {
		if err := a.w.startTLS(dialCtx, clientTLS(opt.TLS, addr), false); err != nil {
			_ = c.Close()
			return nil, tlsError(ctx, addr, err)
		}
	}
	a.event(Evt2)
	rq.User.name(opt)
	b, err := AppendPDU(nil, rq)
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	defer a.Watch(ctx)()
	if err := a.writePDU(b); err != nil {
		return nil, a.unanswered(ctx, a.failed("requesting the association", err))
	}
	if err := a.awaitAnswer(); err != nil {
		return nil, a.unanswered(ctx, err)
	}
	if err := a.establish(&a.ac.User); err != nil {
		return nil, err
	}
	return a, nil
}

// name fills in what an A-ASSOCIATE-RQ and -AC say about this side.
func (u *UserInfo) name(opt Options) {
	u.MaxPDU = opt.MaxPDU
	u.ImplementationUID = ImplementationClassUID
	u.ImplementationVersion = ImplementationVersionName
}

func clientTLS(cfg *tls.Config, addr string) *tls.Config {
	if cfg.ServerName != "" || cfg.InsecureSkipVerify {
		return cfg
	}
	cfg = cfg.Clone()
	if host, _, err := net.SplitHostPort(addr); err == nil {
		cfg.ServerName = host
	}
	return cfg
}

// unanswered says that a peer that took the connection and then nothing more is not available. With TLS 1.3 it
// refuses this side's certificate only then, by an alert, which may get lost when it closes.
func (a *Association) unanswered(ctx context.Context, err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" { // an alert of TLS
		return tlsError(ctx, a.addr, op)
	}
	lost, _ := errors.AsType[*LostError](err)
	if lost != nil && !a.w.secured() {
		return &ConnectError{
			Addr: a.addr, Err: err,
			What: "it closed the connection instead of answering the association request; check host and port, " +
				"whether it expects TLS, and whether this host may call it",
		}
	}
	if lost != nil {
		return &ConnectError{
			Addr: a.addr, Err: err,
			What: "it closed the connection after the TLS handshake; perhaps it does not accept the client certificate, " +
				"or requires one: set a client certificate with its key, signed by an authority that it trusts",
		}
	}
	if t, ok := errors.AsType[*TimeoutError](err); ok {
		return &ConnectError{Addr: a.addr, Err: err, What: fmt.Sprintf(
			"it accepted the connection, but did not answer the association request "+
				"within %s; it may hang or be overloaded, or another program listens there: check host and port",
			t.After,
		)}
	}
	return err
}

// lastTry is the time, at the end of the wait for an answer, that is left to find out whether a silent peer speaks
// HTTP.
const lastTry = time.Second

// awaitAnswer reads the answer to the A-ASSOCIATE-RQ.
func (a *Association) awaitAnswer() error {
	const doing = "waiting for the answer to the association request"
	timeout := time.Until(a.answerBy)
	a.w.setLimit(a.w.limitOf, a.answerBy.Add(-min(lastTry, timeout/2)))
	p, err := a.readPDU(doing, TypeAssociateAC, TypeAssociateRJ)
	if err != nil {
		return err
	}
	switch p := p.(type) {
	case *AssociateAC:
		a.ac, a.answerBy = p, time.Time{}
		return nil
	case *AssociateRJ:
		err := &RejectedError{*p, a.addr, a.rq.CalledAE, a.rq.CallingAE}
		return a.end(err, nil)
	}
	return a.end(fmt.Errorf("ul: %T is not an answer", p), nil)
}

// establish makes the association ready for data.
func (a *Association) establish(peer *UserInfo) error {
	a.sendMax = MaxPDU
	if peer.MaxPDU != 0 {
		if peer.MaxPDU < minPeerPDU {
			err := protocolErrorf(AbortInvalidParameter, "it takes at most %d bytes per PDU", peer.MaxPDU)
			return a.end(err, &Abort{AbortedByProvider, err.Reason})
		}
		a.sendMax = int(min(peer.MaxPDU, MaxPDU))
	}
	a.w.setLimit(0, time.Time{})
	a.in = &inflow{w: a.w}
	return nil
}

// Accept answers a connection. decide gets the request and returns either an *AssociateAC, whose maximum length
// and implementation names are filled in, or an *AssociateRJ; it returns without waiting for anything remote.
// After an *AssociateRJ the error is ErrRefused. Until decide has accepted, the connection costs less than 300 KB
// and lives no longer than opt.ARTIM.
func Accept(ctx context.Context, c net.Conn, opt Options, decide func(*AssociateRQ) PDU) (*Association, error) {
	opt = opt.withDefaults()
	a := newAssociation(c.RemoteAddr().String(), true, opt)
	a.w = newWire(c, opt.IdleTimeout)
	a.w.moves.setGuard(opt.Guard)
	a.event(Evt5)
	a.w.setLimit(opt.ARTIM, time.Now().Add(opt.ARTIM))
	defer a.Watch(ctx)()
	if opt.TLS != nil {
		if err := a.w.startTLS(ctx, opt.TLS, true); err != nil {
			return nil, a.end(tlsError(ctx, a.addr, err), nil)
		}
	}
	p, err := a.readPDU("waiting for the association request", TypeAssociateRQ)
	if err != nil {
		return nil, err
	}
	a.rq = p.(*AssociateRQ)
	return a.answer(decide(a.rq), opt)
}

// ErrRefused is returned by Accept after it has sent A-ASSOCIATE-RJ.
var ErrRefused = errors.New("the association was refused")

func (a *Association) answer(p PDU, opt Options) (*Association, error) {
	event := Evt8
	if ac, ok := p.(*AssociateAC); ok {
		event = Evt7
		a.ac = ac
		ac.User.name(opt)
	}
	b, err := AppendPDU(nil, p)
	if err != nil {
		return nil, a.end(err, &Abort{})
	}
	if a.event(event) == None {
		return nil, a.end(ErrEnded, nil)
	}
	if event == Evt8 {
		a.close(b, ErrRefused)
		return nil, ErrRefused
	}
	if err := a.writePDU(b); err != nil {
		return nil, a.failed("accepting the association", err)
	}
	if err := a.establish(&a.rq.User); err != nil {
		return nil, err
	}
	return a, nil
}

// RQ is the request that led to the association.
func (a *Association) RQ() *AssociateRQ { return a.rq }

// AC is the answer to it.
func (a *Association) AC() *AssociateAC { return a.ac }

// RemoteAddr is the peer's address.
func (a *Association) RemoteAddr() net.Addr { return a.w.raw.RemoteAddr() }

// Hold lets reads wait beyond the idle timeout until the returned function is called: for a server whose own
// handler is at work while the peer rightly says nothing.
func (a *Association) Hold() (release func()) {
	a.w.held.Add(1)
	return func() { a.w.held.Add(-1) }
}

// Await undoes a Hold until the returned function is called: its handler waits for the peer.
func (a *Association) Await() (done func()) {
	a.w.held.Add(-1)
	return func() { a.w.held.Add(1) }
}

// Watch aborts the association when ctx ends, whoever reads or writes on it and whether or not the peer moves.
// The association's error is then the cause of ctx. The returned function stops watching.
func (a *Association) Watch(ctx context.Context) (stop func()) {
	f := context.AfterFunc(ctx, func() { _ = a.end(context.Cause(ctx), &Abort{}) })
	return func() { f() }
}

// Done is closed when the association has ended.
func (a *Association) Done() <-chan struct{} { return a.done }

// Err is why the association ended, nil while it lives.
func (a *Association) Err() error {
	if !a.ended.Load() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.cause
}

func (a *Association) event(e Event) Action {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.m.step(e)
}

// readPDU reads a whole PDU during negotiation: one of the wanted types, else the association ends.
func (a *Association) readPDU(doing string, wanted ...PDUType) (PDU, error) {
	h := make([]byte, pduHeaderLen)
	if err := a.readHeader(h); err != nil {
		return nil, a.failed(doing, err)
	}
	t, n := PDUType(h[0]), binary.BigEndian.Uint32(h[2:])
	if got := notDICOM(h); got != "" {
		a.event(Evt19)
		return nil, a.end(&NotDICOMError{a.addr, got}, &Abort{AbortedByProvider, AbortUnrecognizedPDU})
	}
	if !allowed(t, wanted) {
		a.event(eventOf(t))
		err := protocolErrorf(AbortUnexpectedPDU, "it sent %s while this side was %s", t, doing)
		return nil, a.end(err, &Abort{AbortedByProvider, err.Reason})
	}
	if n > maxAssociatePDU {
		a.event(Evt19)
		err := protocolErrorf(
			AbortInvalidParameter, "it announced %s of %d bytes, more than the limit of %d", t, n, maxAssociatePDU,
		)
		return nil, a.end(err, &Abort{AbortedByProvider, err.Reason})
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(a.w.nc, body); err != nil {
		return nil, a.failed(doing, noEOF(err))
	}
	p, err := DecodePDU(t, body)
	if err != nil {
		a.event(Evt19)
		return nil, a.end(err, &Abort{AbortedByProvider, abortReason(err)})
	}
	a.event(eventOf(t))
	if ab, ok := p.(*Abort); ok {
		return nil, a.end(a.abortedBy(*ab), nil)
	}
	return p, nil
}

// abortedBy makes an abort of the peer's an error.
func (a *Association) abortedBy(ab Abort) *AbortedError {
	e := &AbortedError{Abort: ab}
	reasonless := ab.Source == AbortedByUser || ab.Reason == AbortNoReason
	if a.caller && reasonless && a.value.ContextID == 0 { // it has sent no message
		e.CallingAE = a.rq.CallingAE
	}
	return e
}

// readHeader reads the first bytes of a PDU. A peer that has not said a word to the association request gets the end of
// a line: an HTTP server waits for one, and then answers in its own language. The association is lost in either case.
func (a *Association) readHeader(h []byte) error {
	n, err := io.ReadFull(a.w.nc, h)
	if n > 0 || a.answerBy.IsZero() || !errors.Is(err, os.ErrDeadlineExceeded) || a.ended.Load() {
		return err
	}
	a.w.setLimit(a.w.limitOf, a.answerBy)
	a.answerBy = time.Time{}
	if werr := a.writePDU([]byte("\r\n\r\n")); werr != nil {
		return err
	}
	if _, again := io.ReadFull(a.w.nc, h); again != nil || notDICOM(h) == "" {
		return err
	}
	return nil
}

func allowed(t PDUType, wanted []PDUType) bool {
	return t == TypeAbort || slices.Contains(wanted, t)
}

func abortReason(err error) AbortReason {
	if p, ok := errors.AsType[*ProtocolError](err); ok {
		return p.Reason
	}
	return AbortNoReason
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// writePDU writes one small PDU.
func (a *Association) writePDU(b []byte) error {
	a.packets.Lock()
	defer a.packets.Unlock()
	if a.torn {
		return ErrEnded
	}
	n, err := a.w.nc.Write(b)
	a.torn = err != nil && n > 0
	return err
}

// failed ends the association because of an error of the connection and returns what to report.
func (a *Association) failed(doing string, err error) error {
	stopped, isStopped := errors.AsType[*guardError](err)
	switch {
	case a.ended.Load():
		return a.end(err, nil)
	case isStopped:
		a.event(Evt17)
		return a.end(stopped.cause, nil)
	case errors.Is(err, os.ErrDeadlineExceeded):
		a.event(Evt18)
		return a.end(&TimeoutError{doing, a.w.waited()}, &Abort{})
	}
	a.event(Evt17)
	return a.end(&LostError{doing, err}, nil)
}

// end ends the association: the first call wakes whoever reads or writes, sends abort unless it is nil or a PDU
// is torn, and closes the connection. It returns the error of the first call.
func (a *Association) end(cause error, abort *Abort) error {
	a.ending.Do(func() {
		a.setEnded(cause)
		a.packets.Lock() // whoever wrote has been woken and is leaving
		defer a.packets.Unlock()
		if abort != nil && !a.torn && a.event(Evt15) != AA2 {
			b, _ := AppendPDU(nil, abort) // always fits
			a.w.farewell(b, abortGrace)
		}
		a.torn = true
		a.w.cut()
	})
	return a.Err()
}

func (a *Association) setEnded(cause error) {
	a.mu.Lock()
	a.cause = cause
	a.mu.Unlock()
	a.ended.Store(true)
	close(a.done)
	a.w.interrupt()
}

// close ends the association politely: it writes b, if any, and waits shortly for the peer to close.
func (a *Association) close(b []byte, cause error) {
	a.ending.Do(func() {
		a.setEnded(cause)
		a.packets.Lock()
		defer a.packets.Unlock()
		if b != nil {
			a.w.farewell(b, closeGrace)
		}
		a.torn = true
		_ = a.w.raw.Close()
	})
}

// Abort sends A-ABORT if the peer takes it at once, and closes the connection: what was not sent yet is dropped.
func (a *Association) Abort() { _ = a.end(ErrEnded, &Abort{}) }

// AbortProvider is Abort for a breach of protocol that the layer above has found.
func (a *Association) AbortProvider(what string) error {
	err := &ProtocolError{AbortUnexpectedParameter, what}
	return a.end(err, &Abort{AbortedByProvider, err.Reason})
}

// AbortFor is Abort with a cause, which is from then on the association's error.
func (a *Association) AbortFor(cause error) { _ = a.end(cause, &Abort{}) }

// Drop closes the connection without a word.
func (a *Association) Drop() { _ = a.end(ErrEnded, nil) }
