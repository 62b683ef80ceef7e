// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pacs is a small PACS for the demo and for tests: SCP of C-ECHO, C-FIND, C-GET, C-MOVE and C-STORE, and, if it
// is asked to, origin server of QIDO-RS, WADO-RS and STOW-RS. It holds synthetic studies, which it generates as it
// sends them, and the instances that it has received. It misbehaves on request (Misbehave), can be stopped at a defined
// point (Config.Gate), and remembers what it saw (Recorder).
package pacs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
)

// Config says what a PACS is. The zero value is an empty one on a free port of the loopback interface that answers
// to any AE title and forgets the bytes of what it is sent.
type Config struct {
	Listen          string // host:port for Start; 127.0.0.1:0 when empty
	AETitle         string // others are rejected; empty answers to any
	Studies         []*phantom.Study
	CallingAETitles []string // others are rejected; empty accepts any

	// Where instances go that arrive by C-STORE. With neither, their attributes can be queried, but not their bytes sent.
	Folder string // DICOM files (PS3.10) named by SOP Instance UID
	Memory int64  // bytes of data sets to keep in memory; what is more is refused with A700

	// MoveDestinations are where C-MOVE sends to: host:port by AE title. Others are answered A801.
	MoveDestinations map[string]string

	StorageSyntaxes []string // transfer syntaxes that C-STORE takes; all when empty
	// storage commitment is offered, for what is held; the report comes over the association that asks for it
	Commitment      bool
	MaxAssociations int    // at once; 100 when 0
	MaxPDU          uint32 // as in dimse.Config
	IdleTimeout     time.Duration
	Misbehave       Misbehave
	Web             *WebConfig // nil: no DICOMweb
	// Gate is called at the points that Event names, and the PACS goes on when it returns. ctx ends with the
	// association. May be nil. It is called on goroutines of the associations and requests.
	Gate func(ctx context.Context, e Event)
	Log  *slog.Logger // nil: silent
}

// PACS is a running or startable PACS. Its methods may be called from any goroutine.
type PACS struct {
	cfg      Config
	archive  archive
	recorder *Recorder
	faults   faults
	listener listener
	memory   atomic.Int64 // bytes left

	addr   net.Addr
	stop   context.CancelFunc
	served chan error

	webAddr   net.Addr   // nil: DICOMweb is not served
	webServed chan error //

	mu           sync.Mutex
	associations map[*ul.AssociateRQ]*association
	destinations map[string]string  // as MoveDestinations
	special      map[string]*faults // of MisbehaveFor, by Study and SOP Instance UID
	moving       int                // C-MOVEs under way
}

// New makes a PACS. Serve starts it.
func New(cfg Config) *PACS {
	p := &PACS{
		cfg: cfg, recorder: newRecorder(), associations: map[*ul.AssociateRQ]*association{},
		destinations: map[string]string{},
		special:      map[string]*faults{},
	}
	maps.Copy(p.destinations, cfg.MoveDestinations)
	p.memory.Store(cfg.Memory)
	p.archive.aeTitle = cfg.AETitle
	p.AddStudies(cfg.Studies...)
	p.SetMisbehave(cfg.Misbehave)
	return p
}

// Start makes a PACS and serves on Config.Listen until Close.
func Start(cfg Config) (*PACS, error) {
	p := New(cfg)
	addr := cfg.Listen
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ctx, stop := context.WithCancel(context.Background())
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		stop()
		return nil, fmt.Errorf("the demo PACS cannot listen on %s: %w", addr, err)
	}
	if cfg.Web != nil {
		if err := p.startWeb(ctx); err != nil {
			stop()
			return nil, errors.Join(err, l.Close())
		}
	}
	p.addr, p.stop, p.served = l.Addr(), stop, make(chan error, 1)
	go func() { p.served <- p.Serve(ctx, l) }()
	return p, nil
}

// Addr returns host:port after Start.
func (p *PACS) Addr() string { return p.addr.String() }

// Port returns the port after Start.
func (p *PACS) Port() int {
	if a, ok := p.addr.(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// Close ends what Start began: it aborts associations and requests, and waits for them.
func (p *PACS) Close() error {
	p.stop()
	err := <-p.served
	if p.webServed != nil {
		err = errors.Join(err, <-p.webServed)
	}
	return err
}

// Recorder tells what the PACS saw.
func (p *PACS) Recorder() *Recorder { return p.recorder }

// AddStudies adds synthetic studies.
func (p *PACS) AddStudies(studies ...*phantom.Study) {
	for _, st := range studies {
		for _, in := range st.Instances() {
			p.archive.add(phantomObject(in, nil))
		}
	}
}

// AddInstance adds a synthetic instance with other values of some attributes: of its UIDs, to have an instance in two
// series, one that a study lacks elsewhere, or a UID that is none.
func (p *PACS) AddInstance(in *phantom.Instance, values map[dict.Tag]string) {
	p.archive.add(phantomObject(in, values))
}

// AddMoveDestination adds to Config.MoveDestinations, for a receiver whose address is not known before.
func (p *PACS) AddMoveDestination(aeTitle, addr string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.destinations[aeTitle] = addr
}

// SetMisbehave replaces the faults, and counts their limits anew. Operations under way keep theirs.
func (p *PACS) SetMisbehave(m Misbehave) { p.faults.set(m) }

// Serve serves until ctx ends, then aborts what is open, and returns nil. It is called once.
func (p *PACS) Serve(ctx context.Context, l net.Listener) error {
	late := &late{ctx: ctx}
	defer late.all.Wait()
	s := &dimse.Server{
		Accept: p.accept,
		Choose: p.choose,
		Echo:   p.echo,
		Find:   p.find,
		Get:    p.get,
		Move: func(ctx context.Context, op *dimse.MoveOperation) dimse.Status {
			return p.move(ctx, op, late)
		},
		Store:             p.store,
		CommitmentRequest: p.commit,
		Ended:             p.ended,
		MaxAssociations:   1 << 16, // accept counts
		MaxPDU:            p.cfg.MaxPDU,
		IdleTimeout:       p.cfg.IdleTimeout,
		Log:               p.cfg.Log,
	}
	p.listener.Listener = l
	return s.Serve(ctx, &p.listener)
}

// association is what the PACS keeps of one.
type association struct {
	number    int
	callingAE string
	conn      net.Conn
	rejectAll bool
	idle      *time.Timer // nil: never dropped
	idleAfter time.Duration
}

// drop closes the connection without a word.
func (a *association) drop() {
	if a.conn != nil {
		_ = a.conn.Close() // that is the point
	}
}

// accept decides about an association.
func (p *PACS) accept(_ context.Context, rq *dimse.AssociationRequest) error {
	conn := p.listener.take(rq.RemoteAddr)
	f := p.faults.association()
	if err := p.rejection(rq, f); err != nil {
		p.recorder.rejected()
		return err
	}
	a := &association{callingAE: rq.CallingAE, conn: conn, rejectAll: f.NoContexts, idleAfter: f.DropIdle}
	a.number = p.recorder.opened()
	if a.idleAfter > 0 {
		a.idle = time.AfterFunc(a.idleAfter, a.drop)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.associations[rq.RQ] = a
	return nil
}

func (p *PACS) rejection(rq *dimse.AssociationRequest, f AssociationFaults) error {
	limit := cmp.Or(f.Limit, p.cfg.MaxAssociations, 100)
	switch {
	case f.Reject == RejectCalledAE || p.cfg.AETitle != "" && rq.CalledAE != p.cfg.AETitle:
		return dimse.RejectCalledAE
	case f.Reject == RejectCallingAE ||
		len(p.cfg.CallingAETitles) > 0 && !slices.Contains(p.cfg.CallingAETitles, rq.CallingAE):
		return dimse.RejectCallingAE
	case f.Reject == RejectTransient:
		return &dimse.Reject{Result: ul.RejectedTransient, Source: ul.RejectedByUser, Reason: ul.ReasonNone}
	case f.Reject == RejectLimit || p.recorder.open() >= limit:
		return dimse.RejectLimit
	case f.Contexts > 0 && len(rq.RQ.Contexts) > f.Contexts:
		return errors.New("too many presentation contexts")
	}
	return nil
}

func (p *PACS) ended(a *dimse.ServerAssociation, err error) {
	p.mu.Lock()
	kept := p.associations[a.RQ]
	delete(p.associations, a.RQ)
	p.mu.Unlock()
	if kept.idle != nil {
		kept.idle.Stop()
	}
	p.recorder.closed(err)
}

// begin finds the association of an operation, and stops its idle timer until end is called.
func (p *PACS) begin(a *dimse.ServerAssociation) (kept *association, end func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept = p.associations[a.RQ]
	if kept.idle == nil {
		return kept, func() {}
	}
	kept.idle.Stop()
	return kept, func() { kept.idle.Reset(kept.idleAfter) }
}

// services are the abstract syntaxes besides storage.
var services = []string{
	dict.Verification,
	dict.PatientRootQueryRetrieveInformationModelFind, dict.StudyRootQueryRetrieveInformationModelFind,
	dict.PatientRootQueryRetrieveInformationModelGet, dict.StudyRootQueryRetrieveInformationModelGet,
	dict.PatientRootQueryRetrieveInformationModelMove, dict.StudyRootQueryRetrieveInformationModelMove,
}

// studyRoot are those of services that have no PATIENT level.
var studyRoot = []string{
	dict.StudyRootQueryRetrieveInformationModelFind, dict.StudyRootQueryRetrieveInformationModelGet,
	dict.StudyRootQueryRetrieveInformationModelMove,
}

// choose answers a presentation context.
func (p *PACS) choose(rq *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
	p.mu.Lock()
	rejectAll := p.associations[rq.RQ].rejectAll
	p.mu.Unlock()
	if rejectAll {
		return "", ul.ContextUserRejection
	}
	_, registered := dict.LookupUID(c.AbstractSyntax)
	var wanted []string // in order of preference
	switch {
	case slices.Contains(services, c.AbstractSyntax),
		p.cfg.Commitment && c.AbstractSyntax == dict.StorageCommitmentPushModel:
		wanted = []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}
	case registered && !dict.IsStorageClass(c.AbstractSyntax):
		return "", ul.ContextAbstractSyntaxRefused
	case isSCP(rq.RQ, c.AbstractSyntax): // for C-GET: what is held comes first
		wanted = append(
			p.archive.syntaxesOf(c.AbstractSyntax), dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		)
		wanted = append(wanted, c.TransferSyntaxes...)
	case len(p.cfg.StorageSyntaxes) > 0:
		wanted = p.cfg.StorageSyntaxes
	default:
		wanted = c.TransferSyntaxes
	}
	for _, ts := range wanted {
		if slices.Contains(c.TransferSyntaxes, ts) {
			return ts, ul.ContextAccepted
		}
	}
	return "", ul.ContextTransferSyntaxesRefused
}

// isSCP reports whether the peer wants to be SCP of a SOP class: to be sent its instances by C-GET.
func isSCP(rq *ul.AssociateRQ, sopClass string) bool {
	return slices.ContainsFunc(
		rq.User.Roles, func(r ul.RoleSelection) bool { return r.SOPClassUID == sopClass && r.SCP },
	)
}

func (p *PACS) echo(_ context.Context, a *dimse.ServerAssociation) dimse.Status {
	_, end := p.begin(a)
	defer end()
	return dimse.Success
}

// listener remembers the last connections that it gave away, so that one can be cut without a word. They are given
// away as they are: what is above knows how to make TCP quick.
type listener struct {
	net.Listener
	mu     sync.Mutex
	recent [256]net.Conn
	next   int
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.recent[l.next] = c
		l.next = (l.next + 1) % len(l.recent)
	}
	return c, err
}

// take returns the connection from an address and forgets it; nil if it came too long ago.
func (l *listener) take(addr net.Addr) net.Conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range l.recent {
		if c != nil && c.RemoteAddr().String() == addr.String() {
			l.recent[i] = nil
			return c
		}
	}
	return nil
}
