// SPDX-License-Identifier: AGPL-3.0-or-later

// Package actors runs claimed tasks: a supervisor actor for the member and one actor per running task, on Proto.Actor.
// PostgreSQL holds the truth; the actors give structure and speed, and nothing relies on one of their messages being
// delivered. See DESIGN.md.
package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/actors/socket"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/lease"
)

// Config of a member. Engine, DatabaseURL and Registration are required.
type Config struct {
	Engine       *engine.Engine
	DatabaseURL  string // for the beat's own connection
	Registration lease.Registration
	Workers      int           // tasks that run at once; 8
	Lease        time.Duration // how long the member may be silent before others take over its tasks; 15 s
	Receiver     *Receiver     // nil: this member takes no instances
	Cluster      *Cluster      // nil: it is alone
	Log          *slog.Logger
}

const (
	defaultWorkers = 8
	defaultLease   = 15 * time.Second
	beatsPerLease  = 5
	leaseMargin    = 3 * time.Second // by which we stop before others may start
)

func (c Config) beatInterval() time.Duration { return c.Lease / beatsPerLease }

// deadline is how long after its last successful beat the member must stop everything.
func (c Config) deadline() time.Duration { return c.Lease - min(leaseMargin, c.Lease/beatsPerLease) }

// Member is the running actor system of this process.
type Member struct {
	system     *actor.ActorSystem
	supervisor *actor.PID
	ticker     *time.Ticker
	inbox      *inbox
	receiver   *receiver // nil if there is none
	receiverID *actor.PID
	peers      *peers // nil: it is alone
	endPeers   func()
	crossed    *prometheus.CounterVec
	roles      atomic.Pointer[[]string] // in effect; nil: as it was started

	once       sync.Once
	done       chan struct{}
	registered chan struct{}
	regOnce    sync.Once
	err        error
}

// deadLetterInterval is how long the library counts messages to actors that have ended, which are nothing unusual. A
// goroutine of its own lives as long.
const deadLetterInterval = 100 * time.Millisecond

// Start starts the member; it registers itself and claims tasks from then on.
func Start(cfg Config) (*Member, error) {
	if cfg.Workers == 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.Lease == 0 {
		cfg.Lease = defaultLease
	}
	m := &Member{
		done: make(chan struct{}), registered: make(chan struct{}), ticker: time.NewTicker(cfg.beatInterval()),
		crossed: newCrossed(),
	}
	m.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(quiet{cfg.Log.Handler()}) }),
		actor.WithDeadLetterThrottleInterval(deadLetterInterval),
	)
	m.inbox = newInbox(m.listens)
	if cfg.Cluster != nil {
		if err := m.startPeers(cfg); err != nil {
			return nil, err
		}
	}
	if cfg.Receiver != nil {
		if err := m.startReceiver(cfg); err != nil {
			return nil, err
		}
	}
	cfg.Engine.Retrieve.SetInbox(m.inbox)
	s := &supervisor{cfg: cfg, log: cfg.Log, heart: cfg.Engine.Lease.NewHeartbeat(cfg.DatabaseURL), member: m}
	if cfg.Engine.Lease.Config.Cluster {
		s.sight = cfg.Engine.Nodes.NewSight()
	}
	props := actor.PropsFromProducer(
		func() actor.Actor { return s }, actor.WithSupervisor(s), actor.WithGuardian(stopAlways{}),
	)
	pid, err := m.system.Root.SpawnNamed(props, "supervisor")
	if err != nil {
		return nil, err
	}
	m.supervisor = pid
	cfg.Engine.SetSignals(m)
	go m.ticks()
	return m, nil
}

// startReceiver comes before the supervisor: what it claims first may need it.
func (m *Member) startReceiver(cfg Config) error {
	m.receiver = newReceiver(*cfg.Receiver, cfg.Engine, m.inbox, m.peers, cfg.Log, m.fail)
	pid, err := m.system.Root.SpawnNamed(
		actor.PropsFromProducer(func() actor.Actor { return m.receiver }, actor.WithGuardian(stopAlways{})), "receiver",
	)
	if err != nil {
		return err
	}
	m.receiverID = pid
	return nil
}

// listens reports whether there is a receiver anywhere.
func (m *Member) listens() bool {
	return m.receiver != nil && !m.Without(lease.RoleReceiver) || m.peers != nil && m.peers.receivers()
}

// startPeers opens the ways to and from the other members, before anything is claimed or received. They end last.
func (m *Member) startPeers(cfg Config) error {
	p := newPeers(*cfg.Cluster, cfg.Engine, m.crossed, cfg.Log)
	p.inbox, p.local = m.inbox, m
	var err error
	p.remote, err = cluster.Start(m.system, cluster.Config{
		Listen: p.cfg.Listen, Advertise: p.cfg.Advertise, Certificates: p.cfg.Certificates, Log: cfg.Log,
	})
	if err != nil {
		return fmt.Errorf("the cluster's listener: %w", err)
	}
	_, err = m.system.Root.SpawnNamed(
		actor.PropsFromProducer(func() actor.Actor { return p }, actor.WithGuardian(stopAlways{})), cluster.PeerActor,
	)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	look, done := context.WithTimeout(ctx, peersTime)
	defer done()
	if err := p.look(look, true); err != nil {
		cfg.Log.Warn("the other members can't be read now, trying again", "err", err)
	}
	var parts sync.WaitGroup
	parts.Go(func() { p.run(ctx) })
	parts.Go(func() {
		s := &socket.Server{Handler: p, TLS: p.cfg.Certificates.ServerTLS(socket.Protocol), Log: cfg.Log}
		if err := s.Serve(ctx, p.cfg.Data); err != nil {
			m.fail(fmt.Errorf("the channel between members: %w", err)) //nolint:contextcheck // the end has time of its own
		}
	})
	m.peers, m.inbox.told, m.inbox.away = p, p, p.away
	cfg.Engine.SetOthers(others{p})
	m.endPeers = func() {
		cancel()
		p.remote.Close()
		p.channel.Close()
		parts.Wait()
	}
	return nil
}

// Collectors returns the metrics of the member, to be registered once.
func (m *Member) Collectors() []prometheus.Collector {
	all := []prometheus.Collector{m.crossed}
	if m.receiver != nil {
		all = append(all, m.receiver.objects, m.receiver.rejected, m.receiver.opened)
	}
	return all
}

func (m *Member) ticks() {
	refresh := time.NewTicker(sendersRefresh)
	defer refresh.Stop()
	for {
		select {
		case <-refresh.C:
			if m.receiver != nil {
				m.system.Root.Send(m.receiverID, readServers{})
			}
		case <-m.ticker.C:
			m.system.Root.Send(m.supervisor, tick{})
		case <-m.done:
			m.ticker.Stop()
			return
		}
	}
}

// Wake implements base.Signals.
func (m *Member) Wake() {
	m.wake()
	if m.peers != nil {
		m.peers.tell(&cluster.Wake{})
	}
}

// Cancel implements base.Signals.
func (m *Member) Cancel(taskIDs []int64) {
	m.cancel(taskIDs)
	if m.peers != nil {
		for part := range slices.Chunk(taskIDs, mostTold) {
			m.peers.tell(&cluster.Cancel{Tasks: part})
		}
	}
}

// mostTold is how many tasks are named in one message: it has to be a small one.
const mostTold = 1000

// Steer implements base.Signals.
func (m *Member) Steer() {
	m.steer()
	if m.peers != nil {
		m.peers.tell(&cluster.Steer{})
	}
}

// ServersChanged implements base.Signals.
func (m *Member) ServersChanged() {
	if m.receiver != nil {
		m.receiver.serversChanged(context.Background())
	}
	if m.peers != nil {
		m.peers.tell(&cluster.ServersChanged{})
	}
}

func (m *Member) wake()                  { m.system.Root.Send(m.supervisor, wake{}) }
func (m *Member) cancel(taskIDs []int64) { m.system.Root.Send(m.supervisor, cancelTasks{taskIDs}) }
func (m *Member) steer()                 { m.system.Root.Send(m.supervisor, steer{}) }

// serversChanged has the receiver read them; who tells it does not wait.
func (m *Member) serversChanged() {
	if m.receiver != nil {
		m.system.Root.Send(m.receiverID, readServers{})
	}
}

// Without reports whether a role that this member was started with was taken away from it.
func (m *Member) Without(role string) bool {
	roles := m.roles.Load()
	return roles != nil && !slices.Contains(*roles, role)
}

// setRoles takes over which roles are in effect.
func (m *Member) setRoles(roles []string) {
	before := m.Without(lease.RoleReceiver)
	m.roles.Store(&roles)
	if now := m.Without(lease.RoleReceiver); now != before && m.receiver != nil && m.receiver.cfg.Rest != nil {
		m.receiver.cfg.Rest(now)
	}
}

// Registered is closed when the member may claim tasks for the first time.
func (m *Member) Registered() <-chan struct{} { return m.registered }

// Done is closed when the member has ended: after Stop, or because of an error, which Err then returns.
func (m *Member) Done() <-chan struct{} { return m.done }

// Err is nil unless the member ended because of an error.
func (m *Member) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

const (
	// cutGrace is how long tasks may take to close their sockets and write down where they stand.
	cutGrace = 10 * time.Second
	// politeEnd is how long before they are cut off tasks end the series in hand by C-CANCEL, and release their
	// associations.
	politeEnd = 10 * time.Second
)

// Stop claims nothing more and lets running tasks stop between two series; shortly before the context's deadline at the
// next instance, and when it ends at once. They wait for the next start, and nothing of what they delivered is
// repeated.
func (m *Member) Stop(ctx context.Context) error {
	grace := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		grace = left - min(politeEnd, left/2)
	}
	m.system.Root.Send(m.supervisor, drain{grace})
	select {
	case <-m.done:
		return m.Err()
	case <-ctx.Done():
	}
	m.system.Root.Send(m.supervisor, cut{})
	select {
	case <-m.done:
		return m.Err()
	case <-time.After(cutGrace):
		return errors.New("running transfers did not stop in time; they continue after the next start")
	}
}

func (m *Member) setRegistered() { m.regOnce.Do(func() { close(m.registered) }) }

func (m *Member) ended(asked bool) {
	if asked {
		m.fail(nil)
	} else {
		m.fail(errors.New("the member's supervisor failed"))
	}
}

func (m *Member) fail(err error) {
	m.once.Do(func() {
		m.err = err
		go func() { // not on the actor's own time
			if m.receiver != nil {
				m.system.Root.Stop(m.receiverID)
				m.receiver.end()
			}
			if m.peers != nil {
				m.endPeers()
			}
			close(m.done)
		}()
	})
}

// stopAlways stops the supervisor when it fails: the process then ends, and whoever runs it starts it anew.
type stopAlways struct{}

func (stopAlways) HandleFailure(
	_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any,
) {
	sup.StopChildren(child)
}
