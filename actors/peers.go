// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/actors/socket"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
)

// Cluster says how this member reaches others, and they it.
type Cluster struct {
	Listen        string       // host:port of the remote
	Advertise     string       // under which others reach that
	Data          net.Listener // of the channel for bytes; closed when the member ends
	DataAdvertise string
	Certificates  *cluster.Certificates
	Stores        map[uuid.UUID]Store // of files on this member's disk
}

const (
	peersEvery  = time.Second     // who is there is asked this often
	movesEvery  = 5 * time.Second // and what they expect
	peersTime   = 5 * time.Second
	offerTime   = 3 * time.Second
	shunTime    = time.Second // a member that could not be reached is not tried again for this long
	grantTime   = 30 * time.Second
	mostGrants  = 10_000
	strandTime  = 5 * time.Second
	strandAfter = "the object can't be brought to the member whose task waits for it"
)

// peers are the other members of the cluster: what they want of what arrives here, and what they bring.
type peers struct {
	cfg     Cluster
	engine  *engine.Engine
	log     *slog.Logger
	inbox   *inbox
	remote  *cluster.Remote
	channel *socket.Client
	routes  *routes
	local   signals // what peers signal

	members atomic.Pointer[[]lease.Peer]
	objects *prometheus.CounterVec

	mu     sync.Mutex
	lost   map[string]time.Time // when members with a receiver were seen to have gone, by name
	shunt  map[string]time.Time // members that could not be reached, by address, and until when they are not tried
	grants map[string]grant
}

// signals are those of base.Signals that a member tells another one.
type signals interface {
	wake()
	cancel(tasks []int64)
	steer()
	serversChanged()
}

// grant is the right to bring one instance.
type grant struct {
	uid   string
	until time.Time
}

// What becomes of an instance between members, besides what the receiver says.
const (
	sent     = "sent"
	brought  = "taken"
	stranded = "stranded" // the member that wants it can't be reached
)

// newCrossed returns the metric of what crosses from one member to another. It is declared by members that are alone,
// too.
func newCrossed() *prometheus.CounterVec {
	crossed := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "adit_cluster_objects_total",
		Help: "Instances that this member brought to another one (sent), or was brought (taken), by what happened to them.",
	}, []string{"direction", "outcome"})
	for _, direction := range []string{sent, brought} {
		crossed.WithLabelValues(direction, taken)
	}
	return crossed
}

func newPeers(cfg Cluster, e *engine.Engine, crossed *prometheus.CounterVec, log *slog.Logger) *peers {
	p := &peers{
		cfg: cfg, engine: e, log: log, objects: crossed, routes: newRoutes(),
		channel: &socket.Client{TLS: cfg.Certificates.ClientTLS(socket.Protocol)},
		lost:    map[string]time.Time{}, shunt: map[string]time.Time{}, grants: map[string]grant{},
	}
	p.members.Store(&[]lease.Peer{})
	return p
}

// Receive implements actor.Actor: it hears what other members say.
func (p *peers) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *cluster.Expect:
		p.routes.put(route{m.GetFrom(), uint16(m.GetMessageId()), m.GetSource(), m.GetStudy()})
	case *cluster.Forget:
		p.routes.forget(uint16(m.GetMessageId()))
	case *cluster.Offer:
		c.Respond(p.answer(m))
	case *cluster.Wake:
		p.local.wake()
	case *cluster.Cancel:
		p.local.cancel(m.GetTasks())
	case *cluster.Steer:
		p.local.steer()
	case *cluster.ServersChanged:
		p.local.serversChanged()
	}
}

// run keeps up with who is there until ctx ends.
func (p *peers) run(ctx context.Context) {
	tick := time.NewTicker(peersEvery)
	defer tick.Stop()
	var asked time.Time
	for {
		look, cancel := context.WithTimeout(ctx, peersTime)
		err := p.look(look, time.Since(asked) > movesEvery)
		cancel()
		if err == nil && time.Since(asked) > movesEvery {
			asked = time.Now()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look reads who is there, and what they expect. What can't be read now stays as it was known.
func (p *peers) look(ctx context.Context, moves bool) error {
	members, err := p.engine.Lease.Peers(ctx, p.cfg.Advertise)
	if err != nil {
		return err
	}
	p.noteLost(*p.members.Swap(&members), members)
	if !moves || len(members) == 0 && p.routes.empty() {
		return nil
	}
	began := time.Now()
	rows, err := p.engine.Receive.Expected(ctx, p.cfg.Advertise)
	if err != nil {
		return err
	}
	p.routes.replace(routesOf(rows), began)
	return nil
}

// receivers reports whether another member has a receiver. One that has just come is found, too.
func (p *peers) receivers() bool {
	return p.haveReceiver() || p.lookNow(context.Background()) && p.haveReceiver()
}

// lookNow reports whether it could.
func (p *peers) lookNow(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, peersTime)
	defer cancel()
	return p.look(ctx, false) == nil
}

func (p *peers) haveReceiver() bool {
	return slices.ContainsFunc(*p.members.Load(), func(m lease.Peer) bool {
		return slices.Contains(m.Roles, lease.RoleReceiver)
	})
}

// lostTime is how long what a source sent to a receiver that has gone may be what a run misses.
const lostTime = 30 * time.Second

func (p *peers) noteLost(before, now []lease.Peer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range before {
		if slices.Contains(m.Roles, lease.RoleReceiver) &&
			!slices.ContainsFunc(now, func(other lease.Peer) bool { return other.ID == m.ID }) {
			p.lost[m.Name] = time.Now()
		}
	}
	maps.DeleteFunc(p.lost, func(_ string, at time.Time) bool { return time.Since(at) > lostTime })
}

// away names members with a receiver that do not answer, or have just gone.
func (p *peers) away() []string {
	var asked sync.WaitGroup
	p.mu.Lock()
	names := maps.Clone(p.lost)
	p.mu.Unlock()
	var mu sync.Mutex
	for _, m := range *p.members.Load() {
		if !slices.Contains(m.Roles, lease.RoleReceiver) {
			continue
		}
		asked.Go(func() {
			if _, err := p.remote.Ask(m.ActorAddr, &cluster.Offer{}, offerTime); err != nil {
				mu.Lock()
				defer mu.Unlock()
				names[m.Name] = time.Now()
			}
		})
	}
	asked.Wait()
	return slices.Sorted(maps.Keys(names))
}

// tell sends a hint to all others.
func (p *peers) tell(m proto.Message) {
	for _, peer := range *p.members.Load() {
		p.remote.Tell(peer.ActorAddr, m)
	}
}

// expect implements expectant.
func (p *peers) expect(d *retrieve.Inbound, messageID uint16) {
	p.tell(&cluster.Expect{
		From: p.cfg.Advertise, MessageId: uint32(messageID), Source: d.Source(), Study: d.Study(),
	})
}

// forget implements expectant.
func (p *peers) forget(messageID uint16) {
	p.tell(&cluster.Forget{From: p.cfg.Advertise, MessageId: uint32(messageID)})
}

// deliver hands an instance to the run that it is for, here or at another member, in the order of DESIGN.md.
// messageID: of the C-MOVE that it names as one of ours; 0: none.
func (p *peers) deliver(ctx context.Context, a arrived, messageID uint16) (d delivery, taken bool) {
	raw := &rewound{Reader: a.Data}
	a.Data, a.raw = raw, raw
	if d.offer(ctx, a, p.inbox.byMove(a)) {
		return d, true
	}
	b := bringing{peers: p, a: a, tried: map[string]bool{}}
	if messageID != 0 && b.to(ctx, p.routes.byMessage(messageID, a.servers), &d) ||
		messageID != 0 && b.toExpecting(ctx, messageID, "", &d) ||
		d.offer(ctx, a, p.inbox.missing(a, true)) {
		return d, true
	}
	study, _, _ := a.UIDs()
	if b.to(ctx, p.routes.byStudy(study, a.servers), &d) ||
		d.offer(ctx, a, p.inbox.missing(a, false)) || d.offer(ctx, a, p.inbox.ofSeries(a)) ||
		b.toExpecting(ctx, 0, study, &d) {
		return d, true
	}
	if b.stranded != nil {
		p.objects.WithLabelValues(sent, stranded).Inc()
		p.strand(ctx, b.stranded)
		d.status, d.outcome = dimse.ProcessingFailure, stranded
		return d, true
	}
	return d, false
}

// bringing is an instance that may be wanted elsewhere.
type bringing struct {
	*peers
	a        arrived
	tried    map[string]bool // members, by address
	stranded *route          // the first that could not be reached
}

// toExpecting tries those that the database says to expect it.
func (b *bringing) toExpecting(ctx context.Context, messageID uint16, study string, d *delivery) (done bool) {
	rows, err := b.engine.Receive.Expecting(ctx, b.cfg.Advertise, b.a.servers, messageID, study)
	if err != nil {
		b.log.WarnContext(ctx, "which member expects an instance can't be read now", "err", err)
		d.status, d.outcome = dimse.ProcessingFailure, failed
		return true
	}
	return b.to(ctx, routesOf(rows), d)
}

// to offers the instance to the members of some routes, and brings it to the first that wants it.
func (b *bringing) to(ctx context.Context, list []route, d *delivery) (done bool) {
	for _, r := range list {
		if b.tried[r.address] {
			continue
		}
		b.tried[r.address] = true
		granted, err := b.offered(r)
		switch {
		case err != nil:
			if !errors.Is(err, errShunned) { // else it was said a moment ago
				b.log.WarnContext(ctx, strandAfter, "member", r.address, "err", err)
			}
			if b.stranded == nil {
				b.stranded = &r
			}
		case granted.GetToken() != "":
			b.bring(ctx, r, granted, d)
			return true
		case granted.GetLate():
			d.stopped = true
		default:
			b.routes.drop(r)
		}
	}
	return false
}

// errShunned says that a member is not asked, since it could not be reached just before.
var errShunned = errors.New("it could not be reached a moment ago")

// offered asks a member whether it wants the instance.
func (b *bringing) offered(r route) (*cluster.Grant, error) {
	if b.shunned(r.address) {
		return nil, errShunned
	}
	study, series, _ := b.a.UIDs()
	answer, err := b.remote.Ask(r.address, &cluster.Offer{
		Servers: b.a.servers, SopInstanceUid: b.a.SOPInstanceUID, Study: study, Series: series,
		Originator: originator(b.a.Arrival), MessageId: uint32(b.a.MoveOriginatorMessageID),
	}, offerTime)
	if err != nil {
		b.shun(r.address)
		return nil, err
	}
	granted, ok := answer.(*cluster.Grant)
	switch {
	case !ok:
		return nil, fmt.Errorf("it answered %T", answer)
	case granted.GetBusy():
		return nil, errors.New("it has granted as many as it can")
	}
	return granted, nil
}

// bring brings the instance to the member that granted it. After that nothing of it is left for anybody else.
func (b *bringing) bring(ctx context.Context, r route, granted *cluster.Grant, d *delivery) {
	a := b.a
	answer, err := b.channel.Bring(ctx, granted.GetAddress(), socket.Object{
		Token: granted.GetToken(), Servers: a.servers, SOPClassUID: a.SOPClassUID, SOPInstanceUID: a.SOPInstanceUID,
		TransferSyntaxUID: a.TransferSyntaxUID, Priority: uint16(a.Priority), Originator: a.MoveOriginatorAETitle,
		MessageID: a.MoveOriginatorMessageID,
	}, a.raw.again(), a.Abort)
	var broken *socket.SourceError
	switch {
	case errors.As(err, &broken): // its association ends by itself: that is no fault of the cluster
		d.status, d.outcome = dimse.ProcessingFailure, failed
	case err != nil:
		b.log.WarnContext(ctx, strandAfter, "member", r.address, "err", err)
		b.shun(r.address)
		b.strand(ctx, &r)
		d.status, d.outcome = dimse.ProcessingFailure, stranded
	case answer.Abort:
		d.status, d.outcome = dimse.Success, late // and its association was ended
	default:
		d.status, d.outcome = dimse.Status(answer.Status), answer.Outcome
	}
	b.objects.WithLabelValues(sent, d.outcome).Inc()
}

// strand has the run know that something came which could not be brought to it.
func (p *peers) strand(ctx context.Context, r *route) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), strandTime)
	defer cancel()
	if err := p.engine.Receive.Strand(ctx, r.messageID); err != nil {
		p.log.WarnContext(ctx, "that an object could not be brought to its member can't be recorded now", "err", err)
	}
}

func (p *peers) shun(address string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.shunt[address] = time.Now().Add(shunTime)
}

func (p *peers) shunned(address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Now().Before(p.shunt[address])
}

// answer says whether a run here wants what another member offers.
func (p *peers) answer(o *cluster.Offer) *cluster.Grant {
	a := arrived{
		Arrival: receive.NewArrival(&dimse.Incoming{
			SOPInstanceUID: o.GetSopInstanceUid(), MoveOriginatorAETitle: o.GetOriginator(),
			MoveOriginatorMessageID: uint16(o.GetMessageId()),
		}, func() {}),
		servers: o.GetServers(), told: &header{o.GetStudy(), o.GetSeries()},
	}
	if len(p.inbox.byMove(a)) == 0 && len(p.inbox.missing(a, true)) == 0 && len(p.inbox.missing(a, false)) == 0 &&
		len(p.inbox.ofSeries(a)) == 0 {
		return &cluster.Grant{}
	}
	token := rand.Text()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.grants) >= mostGrants {
		for t, g := range p.grants {
			if now.After(g.until) {
				delete(p.grants, t)
			}
		}
	}
	if len(p.grants) >= mostGrants {
		return &cluster.Grant{Busy: true}
	}
	p.grants[token] = grant{a.SOPInstanceUID, now.Add(grantTime)}
	return &cluster.Grant{Token: token, Address: p.cfg.DataAdvertise}
}

// redeem reports whether a token was granted for an instance. It is good once.
func (p *peers) redeem(token, uid string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	g, ok := p.grants[token]
	delete(p.grants, token)
	return ok && g.uid == uid && time.Now().Before(g.until)
}

// Take implements socket.Handler: another member brings an object that a run here waits for.
func (p *peers) Take(ctx context.Context, o socket.Object, data io.Reader, abort func()) socket.Answer {
	answer := func(status dimse.Status, outcome string) socket.Answer {
		p.objects.WithLabelValues(brought, outcome).Inc()
		return socket.Answer{Status: uint16(status), Outcome: outcome}
	}
	if !p.redeem(o.Token, o.SOPInstanceUID) {
		return answer(dimse.RefusedNotAuthorized, refused)
	}
	arrival := receive.NewArrival(&dimse.Incoming{
		SOPClassUID: o.SOPClassUID, SOPInstanceUID: o.SOPInstanceUID, TransferSyntaxUID: o.TransferSyntaxUID,
		Priority: dimse.Priority(o.Priority), MoveOriginatorAETitle: o.Originator, MoveOriginatorMessageID: o.MessageID,
		Data: data,
	}, abort)
	defer arrival.Close()
	d, ok := p.inbox.here(ctx, arrived{Arrival: arrival, servers: o.Servers})
	if !ok {
		return answer(dimse.Success, late) // who wanted it was stopped meanwhile
	}
	return answer(d.status, d.outcome)
}

// Open implements socket.Handler.
func (p *peers) Open(_ context.Context, f socket.File) (io.ReadCloser, error) {
	store, ok := p.cfg.Stores[f.Store]
	if !ok {
		return nil, fmt.Errorf("store %s: %w", f.Store, fs.ErrNotExist)
	}
	return store.Open(f.Name)
}

// Remove implements socket.Handler.
func (p *peers) Remove(_ context.Context, f socket.File) error {
	store, ok := p.cfg.Stores[f.Store]
	if !ok {
		return nil
	}
	return store.Remove(f.Name)
}
