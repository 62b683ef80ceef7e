// SPDX-License-Identifier: AGPL-3.0-or-later

// Package actors runs claimed tasks: a supervisor actor for the node and one actor per running task, on Proto.Actor. PostgreSQL
// holds the truth; the actors give structure and speed, and nothing relies on one of their messages being delivered. See
// DESIGN.md.
package actors

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/engine"
)

// Config of a node. Engine, DatabaseURL and Registration are required.
type Config struct {
	Engine       *engine.Engine
	DatabaseURL  string // for the beat's own connection
	Registration engine.Registration
	Workers      int           // tasks that run at once; 8
	Lease        time.Duration // how long the node may be silent before others take over its tasks; 15 s
	Receiver     *Receiver     // nil: this node takes no objects, and moves nothing by C-MOVE
	Log          *slog.Logger
}

const (
	defaultWorkers = 8
	defaultLease   = 15 * time.Second
	beatsPerLease  = 5
	leaseMargin    = 3 * time.Second // by which we stop before others may start
)

func (c Config) beatInterval() time.Duration { return c.Lease / beatsPerLease }

// deadline is how long after its last successful beat the node must stop everything.
func (c Config) deadline() time.Duration { return c.Lease - min(leaseMargin, c.Lease/beatsPerLease) }

// Node is the running actor system of this process.
type Node struct {
	system     *actor.ActorSystem
	supervisor *actor.PID
	ticker     *time.Ticker
	receiver   *receiver // nil if there is none
	receiverID *actor.PID

	once       sync.Once
	done       chan struct{}
	registered chan struct{}
	regOnce    sync.Once
	err        error
}

// deadLetterInterval is how long the library counts messages to actors that have ended, which are nothing unusual. A goroutine of its own
// lives as long.
const deadLetterInterval = 100 * time.Millisecond

// Start starts the node; it registers itself and claims tasks from then on.
func Start(cfg Config) (*Node, error) {
	if cfg.Workers == 0 {
		cfg.Workers = defaultWorkers
	}
	if cfg.Lease == 0 {
		cfg.Lease = defaultLease
	}
	n := &Node{done: make(chan struct{}), registered: make(chan struct{}), ticker: time.NewTicker(cfg.beatInterval())}
	n.system = actor.NewActorSystem(
		actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return cfg.Log }),
		actor.WithDeadLetterThrottleInterval(deadLetterInterval),
	)
	if cfg.Receiver != nil {
		if err := n.startReceiver(cfg); err != nil {
			return nil, err
		}
	}
	s := &supervisor{cfg: cfg, log: cfg.Log, heart: cfg.Engine.NewHeart(cfg.DatabaseURL), node: n}
	props := actor.PropsFromProducer(func() actor.Actor { return s }, actor.WithSupervisor(s), actor.WithGuardian(stopAlways{}))
	pid, err := n.system.Root.SpawnNamed(props, "supervisor")
	if err != nil {
		return nil, err
	}
	n.supervisor = pid
	cfg.Engine.SetSignals(n)
	go n.ticks()
	return n, nil
}

// startReceiver comes before the supervisor: what it claims first may need it.
func (n *Node) startReceiver(cfg Config) error {
	n.receiver = newReceiver(*cfg.Receiver, cfg.Engine, cfg.Log, n.fail)
	pid, err := n.system.Root.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return n.receiver }, actor.WithGuardian(stopAlways{})), "receiver")
	if err != nil {
		return err
	}
	n.receiverID = pid
	cfg.Engine.SetInbox(n.receiver)
	return nil
}

// Collectors gives the metrics of the node, to be registered once.
func (n *Node) Collectors() []prometheus.Collector {
	if n.receiver == nil {
		return nil
	}
	return []prometheus.Collector{n.receiver.objects, n.receiver.rejected, n.receiver.opened}
}

func (n *Node) ticks() {
	refresh := time.NewTicker(sendersRefresh)
	defer refresh.Stop()
	for {
		select {
		case <-refresh.C:
			if n.receiver != nil {
				n.system.Root.Send(n.receiverID, readServers{})
			}
		case <-n.ticker.C:
			n.system.Root.Send(n.supervisor, tick{})
		case <-n.done:
			n.ticker.Stop()
			return
		}
	}
}

// Wake implements engine.Signals.
func (n *Node) Wake() { n.system.Root.Send(n.supervisor, wake{}) }

// Cancel implements engine.Signals.
func (n *Node) Cancel(taskIDs []int64) { n.system.Root.Send(n.supervisor, cancelTasks{taskIDs}) }

// Steer implements engine.Signals.
func (n *Node) Steer() { n.system.Root.Send(n.supervisor, steer{}) }

// Registered is closed when the node may claim tasks for the first time.
func (n *Node) Registered() <-chan struct{} { return n.registered }

// Done is closed when the node has ended: after Stop, or by itself because of an error, which Err then gives.
func (n *Node) Done() <-chan struct{} { return n.done }

// Err is nil unless the node ended by itself.
func (n *Node) Err() error {
	select {
	case <-n.done:
		return n.err
	default:
		return nil
	}
}

const (
	// cutGrace is how long tasks may take to close their sockets and write down where they stand.
	cutGrace = 10 * time.Second
	// politeEnd is how long before they are cut off tasks end the series in hand by C-CANCEL, and release their associations.
	politeEnd = 10 * time.Second
)

// Stop claims nothing more and lets running tasks stop between two series; shortly before the context's deadline at the next instance, and
// when it ends at once. They wait for the next start, and nothing of what they delivered is repeated.
func (n *Node) Stop(ctx context.Context) error {
	grace := time.Duration(math.MaxInt64)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		grace = left - min(politeEnd, left/2)
	}
	n.system.Root.Send(n.supervisor, drain{grace})
	select {
	case <-n.done:
		return n.Err()
	case <-ctx.Done():
	}
	n.system.Root.Send(n.supervisor, cut{})
	select {
	case <-n.done:
		return n.Err()
	case <-time.After(cutGrace):
		return errors.New("running transfers did not stop in time; they go on at the next start")
	}
}

func (n *Node) setRegistered() { n.regOnce.Do(func() { close(n.registered) }) }

func (n *Node) ended(asked bool) {
	if asked {
		n.fail(nil)
	} else {
		n.fail(errors.New("the node supervisor failed"))
	}
}

func (n *Node) fail(err error) {
	n.once.Do(func() {
		n.err = err
		go func() { // not on the actor's own time
			if n.receiver != nil {
				n.system.Root.Stop(n.receiverID)
				n.receiver.end()
			}
			close(n.done)
		}()
	})
}

// stopAlways stops the supervisor when it fails: the process then ends, and whoever runs it starts it anew.
type stopAlways struct{}

func (stopAlways) HandleFailure(_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	sup.StopChildren(child)
}
