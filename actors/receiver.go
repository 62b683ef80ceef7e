// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/engine/receive"
)

// Receiver says how the member takes the instances of C-MOVEs.
type Receiver struct {
	Listener    net.Listener           // nil: none. Listeners are closed when the member ends.
	TLSListener net.Listener           // nil: none
	TLS         *tls.Config            // for TLSListener
	Quarantine  *quarantine.Quarantine // for instances that nobody asked for; nil: they are not kept
	// MaxAssociations is how many there may be of servers that C-MOVEs are under way from, and how many of all others;
	// 100 when 0. Half of them may be of one AE title and address.
	MaxAssociations int
	IdleTimeout     time.Duration
	// Rest closes the listeners for a while, and opens them again; nil: they stay open.
	Rest func(resting bool)
	// Resolve returns the addresses of a host of a server; nil: the system's name service.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)
}

const (
	receiverGrace  = 2 * time.Second // for open associations when the member ends
	sendersRefresh = 5 * time.Second // AE titles that were added by another process are known this late
	sendersTimeout = 10 * time.Second
	quarantineTidy = time.Hour

	defaultAssociations = 100
)

// receiver owns the C-STORE SCP of the member.
type receiver struct {
	cfg      Receiver
	engine   *engine.Engine
	inbox    *inbox
	peers    *peers // nil: there are no other members
	log      *slog.Logger
	fail     func(error) // ends the member
	objects  *prometheus.CounterVec
	rejected *prometheus.CounterVec
	opened   prometheus.GaugeFunc
	scps     []*dimse.Server // of the listeners; under mu

	refreshing bool      // by the actor alone
	tidied     time.Time // by refresh alone, of which one runs at a time
	cancel     context.CancelFunc
	served     chan struct{} // closed when the server has ended
	hosts      *hosts

	again sync.Mutex
	began time.Time // of the last reading for the sake of a caller; under again

	reading sync.Mutex
	mu      sync.RWMutex
	ready   chan struct{}              // closed when the servers are known
	servers map[int64]*nodes.Sender    // by ID
	callers map[string][]*nodes.Sender // by calling AE title
	called  map[string]bool            // AE titles that are answered to; true: uncompressed only
}

func newReceiver(
	cfg Receiver, e *engine.Engine, box *inbox, others *peers, log *slog.Logger, fail func(error),
) *receiver {
	e.Quarantine.SetQuarantine(cfg.Quarantine)
	r := &receiver{
		cfg: cfg, engine: e, inbox: box, peers: others, log: log, fail: fail, served: make(chan struct{}),
		ready: make(chan struct{}), hosts: newHosts(cfg.Resolve),
		objects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_receiver_objects_total",
			Help: "Instances that servers sent to the receiver, by what happened to them.",
		}, []string{"server", "outcome"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_receiver_rejected_total",
			Help: "Calls that the receiver turned away, by reason; `adit receiver callers` lists the callers.",
		}, []string{"reason"}),
	}
	for _, reason := range append(nodes.CallReasons(), crowded) {
		r.rejected.WithLabelValues(reason)
	}
	r.opened = prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "adit_receiver_associations_open",
		Help: "Associations that servers have open to the receiver of this process.",
	}, func() float64 { return float64(r.associations()) })
	return r
}

// crowded is why a call was turned away that might have come in at another time.
const crowded = "too_many"

// associations returns how many there are.
func (r *receiver) associations() (n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.scps {
		n += s.Open()
	}
	return n
}

// Messages of the receiver's actor.
type (
	readServers struct{}
	serversRead struct{ err error }
	receiverEnd struct{ err error }
)

// Receive implements actor.Actor: it starts and ends the server, and keeps the list of who may call.
func (r *receiver) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		ctx, cancel := context.WithCancel(context.Background())
		r.cancel = cancel
		self, root := c.Self(), c.ActorSystem().Root
		go func() {
			defer close(r.served)
			if err := r.serve(ctx); err != nil {
				root.Send(self, receiverEnd{err})
			}
		}()
		r.refresh(c)
	case readServers:
		r.refresh(c)
	case serversRead:
		r.refreshing = false
		if m.err != nil {
			r.log.Warn("the list of servers that may send instances can't be read, trying again", "err", m.err)
		}
	case receiverEnd:
		r.fail(fmt.Errorf("the DICOM receiver: %w", m.err))
	case *actor.Stopping, *actor.Restarting:
		r.cancel()
	}
}

// refresh reads the servers beside the actor.
func (r *receiver) refresh(c actor.Context) {
	if r.refreshing {
		return
	}
	r.refreshing = true
	self, root := c.Self(), c.ActorSystem().Root
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), sendersTimeout)
		defer cancel()
		err := r.read(ctx)
		if err := r.tidy(ctx); err != nil {
			r.log.WarnContext(
				ctx, "unsolicited instances can't be recorded or tidied up now, trying again",
				"err", err,
			)
		}
		root.Send(self, serversRead{err})
	}()
}

// tidy writes down what came without having been asked for, and lets the quarantine expire now and then.
func (r *receiver) tidy(ctx context.Context) (err error) {
	defer recovered(&err)
	err = errors.Join(r.engine.Quarantine.FlushUnsolicited(ctx), r.engine.Receive.FlushRejected(ctx))
	if time.Since(r.tidied) < quarantineTidy {
		return err
	}
	r.tidied = time.Now()
	return errors.Join(err, r.engine.Quarantine.TidyQuarantine(ctx))
}

// read takes over who may call, and under which names we are called.
func (r *receiver) read(ctx context.Context) (err error) {
	defer recovered(&err)
	r.reading.Lock() // who reads later knows more, and must not be overwritten
	defer r.reading.Unlock()
	senders, err := r.engine.Nodes.Senders(ctx)
	if err != nil {
		return err
	}
	asStored, plain := r.engine.Nodes.AETitles()
	called, callers := map[string]bool{asStored: false, plain: true}, map[string][]*nodes.Sender{}
	servers, names := make(map[int64]*nodes.Sender, len(senders)), []string{}
	for _, s := range senders {
		servers[s.ID] = s
		if s.Host != "" && !slices.Contains(names, s.Host) {
			names = append(names, s.Host)
		}
		for _, title := range s.AETitles {
			callers[title] = append(callers[title], s)
		}
		if s.Destination != "" {
			called[s.Destination] = false
		}
		if s.PlainDestination != "" {
			called[s.PlainDestination] = true
		}
	}
	r.hosts.keep(ctx, names)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.callers == nil {
		close(r.ready)
	}
	r.servers, r.callers, r.called = servers, callers, called
	return nil
}

// recovered turns a panic into an error: nobody supervises a goroutine.
func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("panic: %v", p)
	}
}

// serve runs the C-STORE SCP until ctx ends. Nobody is answered before the servers are known.
func (r *receiver) serve(ctx context.Context) (err error) {
	defer recovered(&err)
	select {
	case <-r.ready:
	case <-ctx.Done(): // which closes the listeners below
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	running := 0
	most := cmp.Or(r.cfg.MaxAssociations, defaultAssociations)
	var certs certificates
	plain := func(ctx context.Context, rq *dimse.AssociationRequest) error { return r.accept(ctx, rq, false, nil) }
	secured := func(ctx context.Context, rq *dimse.AssociationRequest) error {
		return r.accept(ctx, rq, true, certs.take(rq.RemoteAddr.String()))
	}
	for _, l := range []struct {
		net.Listener
		tls    *tls.Config
		accept func(context.Context, *dimse.AssociationRequest) error
	}{{r.cfg.Listener, nil, plain}, {r.cfg.TLSListener, r.cfg.TLS, secured}} {
		if l.Listener == nil {
			continue
		}
		if l.tls != nil {
			l.tls = certs.watch(l.tls)
		}
		s := &dimse.Server{
			Accept: l.accept, Store: r.store, Refused: r.unnamed, Unheard: r.unheard, Crowded: r.crowded,
			Commitment: r.report, Choose: receive.Choose(r.plain), TLS: l.tls, Log: r.log, Grace: receiverGrace,
			MaxAssociations: most, MaxPerCaller: max(1, most/2), IdleTimeout: r.cfg.IdleTimeout,
		}
		r.mu.Lock()
		r.scps = append(r.scps, s)
		r.mu.Unlock()
		running++
		go func() { ended <- s.Serve(ctx, l.Listener) }()
	}
	for range running {
		err = errors.Join(err, <-ended)
		cancel() // one without the other is a misconfiguration that nobody notices
	}
	return err
}

// end returns when what the actor began has ended, and is written down.
func (r *receiver) end() {
	<-r.served
	r.hosts.close()
	ctx, cancel := context.WithTimeout(context.Background(), receiverGrace)
	defer cancel()
	if err := errors.Join(r.engine.Quarantine.FlushUnsolicited(ctx), r.engine.Receive.FlushRejected(ctx)); err != nil {
		r.log.Warn(
			"the counts of unsolicited instances and of callers that were turned away can't be written",
			"err", err,
		)
	}
}

func (r *receiver) plain(calledAE string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.called[calledAE]
}

// moving reports whether one of these servers is being moved from, by this member or another one.
func (r *receiver) moving(senders []*nodes.Sender) bool {
	servers := ids(senders)
	return r.inbox.moving(servers) || r.peers != nil && r.peers.routes.moving(servers)
}

// What becomes of an instance.
const (
	taken       = "taken"
	duplicate   = "duplicate"
	refused     = "refused"     // by the task or its destination
	late        = "late"        // of a C-MOVE that has ended; discarded
	unsolicited = "unsolicited" // nobody asked for it
	kept        = "quarantined" // nobody asked for it; kept for people to look at
	failed      = "failed"      // whose it is can't be found out now
	unnamed     = "unnamed"     // by no UID: refused before anything was asked
)

// store takes an instance to the run that wants it.
func (r *receiver) store(
	ctx context.Context, a *dimse.ServerAssociation, in *dimse.Incoming,
) (rsp dimse.StoreResponse) {
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "receiving an instance panicked", "panic", p, "stack", string(debug.Stack()))
			rsp.Status = dimse.ProcessingFailure
		}
	}()
	senders := r.admitted(a)
	if len(senders) == 0 { // its server was removed meanwhile
		r.objects.WithLabelValues("", unsolicited).Inc()
		return dimse.StoreResponse{Status: dimse.RefusedNotAuthorized}
	}
	arrival := receive.NewArrival(in, a.Abort)
	defer arrival.Close()
	status, outcome := r.deliver(ctx, senders, arrival)
	if outcome == unsolicited && r.engine.Quarantine.TakeUnsolicited(ctx, callerOf(senders[0], a), arrival) {
		outcome = kept
	}
	r.objects.WithLabelValues(senders[0].Name, outcome).Inc()
	if outcome == unsolicited || outcome == kept || outcome == failed {
		r.log.InfoContext(
			ctx, "the receiver refused an instance that no transfer expects",
			"server", senders[0].Name, "peer", a.RemoteAddr.String(),
			"sop_class", in.SOPClassUID, "outcome", outcome,
		)
	}
	return dimse.StoreResponse{Status: status}
}

// unnamed counts an instance that was refused since it is named by no UID.
func (r *receiver) unnamed(a *dimse.ServerAssociation, status dimse.Status) {
	server := ""
	if senders := r.admitted(a); len(senders) > 0 {
		server = senders[0].Name
		r.engine.Quarantine.CountUnnamed(callerOf(senders[0], a))
	}
	r.objects.WithLabelValues(server, unnamed).Inc()
	r.log.Info(
		"the receiver refused an instance without a valid SOP Class UID or SOP Instance UID",
		"server", server, "peer", a.RemoteAddr.String(), "status", status.String(),
	)
}

// report takes what a server says about storage commitment.
func (r *receiver) report(
	ctx context.Context, a *dimse.ServerAssociation, report *dimse.CommitmentReport,
) (status dimse.Status) {
	defer func() {
		if p := recover(); p != nil {
			r.log.ErrorContext(ctx, "receiving a report panicked", "panic", p, "stack", string(debug.Stack()))
			status = dimse.ProcessingFailure
		}
	}()
	return r.engine.Verify.TakeReport(ctx, ids(r.admitted(a)), report)
}

// callerOf names for people who sent an instance.
func callerOf(s *nodes.Sender, a *dimse.ServerAssociation) quarantine.Caller {
	c := quarantine.Caller{Server: s.Name, CallingAE: a.CallingAE}
	if addr, ok := addressOf(a.RemoteAddr); ok {
		c.Address = addr.String()
	}
	return c
}

// deliver finds the run that an instance is for, in this order: by the C-MOVE that it names, among what runs miss, by
// its study and series; see DESIGN.md. One for which nobody waits any more is discarded, and answered as if it were
// stored: only the ledger proves delivery.
func (r *receiver) deliver(ctx context.Context, senders []*nodes.Sender, a *receive.Arrival) (dimse.Status, string) {
	at := arrived{Arrival: a, servers: ids(senders)}
	var messageID uint16
	if slices.ContainsFunc(senders, func(s *nodes.Sender) bool { return s.OurAE == originator(a) }) {
		messageID = a.MoveOriginatorMessageID
	}
	var d delivery
	var taken bool
	if r.peers == nil {
		d, taken = r.inbox.here(ctx, at)
	} else {
		d, taken = r.peers.deliver(ctx, at, messageID)
	}
	switch {
	case taken:
		return d.status, d.outcome
	case d.stopped:
		return dimse.Success, late // who wanted it was stopped
	}
	study, _, _ := at.UIDs()
	known, err := r.engine.Nodes.KnowsMove(ctx, at.servers, messageID, study)
	switch {
	case err != nil:
		return dimse.ProcessingFailure, failed
	case known:
		return dimse.Success, late
	}
	return dimse.RefusedNotAuthorized, unsolicited
}

func ids(senders []*nodes.Sender) []int64 {
	list := make([]int64, len(senders))
	for i, s := range senders {
		list[i] = s.ID
	}
	return list
}

// serversChanged reads anew who may send instances, and returns when that counts.
func (r *receiver) serversChanged(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sendersTimeout)
	defer cancel()
	if err := r.read(ctx); err != nil {
		r.log.WarnContext(ctx, "the list of servers that may send instances can't be read now", "err", err)
	}
}
