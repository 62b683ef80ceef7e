// SPDX-License-Identifier: AGPL-3.0-or-later

// Package live serves live events: over one WebSocket per page a client is told of jobs, tasks, servers and itself as
// they change, whichever process of ADIT changes them, and searches with results as they come. See DESIGN.md.
package live

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/feed"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/people"
)

const (
	pace      = 250 * time.Millisecond // between two versions of a topic
	slowPace  = 5 * time.Second        // of stats
	retry     = time.Second            // after the database gave no answer
	lookTime  = 10 * time.Second       // for reading what is new
	rightPace = time.Second            // between two rounds over all rights
	rightsDue = 2 * time.Minute        // without a word that they have changed
)

// Config says what a hub serves.
type Config struct {
	Engine  *engine.Engine
	People  *people.Service
	Log     *slog.Logger
	Metrics *prometheus.Registry
	// PublicURL is the address that people use; a page from there may connect whatever a proxy makes of the Host
	// header. Nil: it is not told.
	PublicURL *url.URL
}

// Hub tells connections what is new. It is safe for concurrent use.
type Hub struct {
	engine  *engine.Engine
	people  *people.Service
	log     *slog.Logger
	public  *url.URL
	metrics metrics

	mu     sync.Mutex
	closed bool
	round  int64 // of rights: it is another one since they may have changed
	conns  map[*conn]struct{}
	of     map[int64]int // connections of a user
	topics map[key]*topic
	inJob  map[int64]map[*topic]struct{} // topics of a job and of its tasks

	stir    chan struct{} // there is something to read
	rights  chan struct{} // rights may have changed
	serving sync.WaitGroup
}

// New returns a hub. It tells what it is told of (Tell), and nothing before Run.
func New(cfg Config) *Hub {
	return &Hub{
		engine: cfg.Engine, people: cfg.People, log: cfg.Log, public: cfg.PublicURL, metrics: newMetrics(cfg.Metrics),
		conns: map[*conn]struct{}{}, of: map[int64]int{},
		topics: map[key]*topic{}, inJob: map[int64]map[*topic]struct{}{},
		stir: make(chan struct{}, 1), rights: make(chan struct{}, 1),
	}
}

// Run tells what is new until ctx ends, then closes all connections (1001) and waits for them.
func (h *Hub) Run(ctx context.Context) {
	var parts sync.WaitGroup
	parts.Go(func() { h.lookAgain(ctx) })
	parts.Go(func() { h.judgeAgain(ctx) })
	parts.Go(func() { h.pulse(ctx) })
	<-ctx.Done()
	h.mu.Lock()
	h.closed = true
	conns := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	for _, c := range conns {
		c.close(closeGoingAway, "ADIT is shutting down; connect again in a moment.")
	}
	h.serving.Wait()
	parts.Wait()
}

// pulse gives all connections a sign of life, all at once: that takes less than as many timers.
func (h *Hub) pulse(ctx context.Context) {
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		beat := alive()
		h.mu.Lock()
		conns := slices.Collect(maps.Keys(h.conns))
		h.mu.Unlock()
		for _, c := range conns {
			c.mu.Lock()
			c.beat = beat
			c.mu.Unlock()
			wake(c.stir)
		}
	}
}

// wake has one who waits at a channel of one place go on.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Tell marks what a change concerns. It does not block.
func (h *Hub) Tell(c feed.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.People || c.Anything {
		h.round++
		wake(h.rights)
	}
	if len(h.topics) == 0 {
		return
	}
	switch {
	case c.Anything || c.AllJobs:
		for _, t := range h.topics {
			h.mark(t, 0, true)
		}
	case c.Job > 0:
		h.tellJob(c)
	case c.Nodes:
		for k, t := range h.topics {
			switch {
			case k.kind == ofServer, k.kind == ofServers, !t.again.IsZero(): // what waits may wait for another reason
				h.mark(t, 0, false)
			}
		}
	case c.People, c.Profile:
		for k, t := range h.topics {
			if k.kind == ofMe || k.kind == ofServers && c.People {
				h.mark(t, 0, false)
			}
		}
	}
	wake(h.stir)
}

// tellJob marks what a change of a job, or of a task of it, concerns. Under h.mu.
func (h *Hub) tellJob(c feed.Change) {
	for t := range h.inJob[c.Job] {
		if t.key.kind == ofJob || c.Task == 0 || c.Task == t.key.id {
			h.mark(t, c.Task, c.AllTasks)
		}
	}
	for k, t := range h.topics {
		if k.kind == ofJobs {
			h.markList(t, c)
		} else if k.kind == ofStats || k.kind == ofServer || k.kind == ofServers {
			h.mark(t, 0, false)
		}
	}
}

// mark notes that a topic is to be read, and which row of it.
func (h *Hub) mark(t *topic, changed int64, many bool) {
	t.dirty = true
	if t.key.kind != ofJob && t.key.kind != ofJobs { // the others have no rows
		return
	}
	t.many = t.many || many
	switch {
	case changed == 0:
	case len(t.changed) >= maxRows:
		t.many = true
	default:
		t.changed[changed] = struct{}{}
	}
}

// markList notes that a job of a list was changed. That one was deleted is told to those who could see it.
func (h *Hub) markList(t *topic, c feed.Change) {
	if c.Owner != 0 && t.key.user != 0 && t.key.user != c.Owner {
		return
	}
	h.mark(t, c.Job, false)
	if _, marked := t.changed[c.Job]; marked && c.Owner != 0 {
		t.removed[c.Job] = struct{}{}
	}
}

// lookAgain reads what is new, at most once in pace.
func (h *Hub) lookAgain(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.stir:
		case <-timer.C:
		}
		if rest := pace - time.Since(last); rest > 0 {
			timer.Reset(rest)
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
		}
		last = time.Now()
		timer.Reset(h.look(ctx, last))
	}
}

// work takes what is to be read now, and says when there is more.
func (h *Hub) work(now time.Time) (list []look, next time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next = time.Hour
	for _, t := range h.topics {
		if !t.again.IsZero() && !now.Before(t.again) {
			t.dirty = true
		}
		due := t.again
		if t.dirty {
			due = t.at
			if !now.Before(t.at) {
				list = append(list, look{
					t, slices.Collect(maps.Keys(t.changed)), maps.Clone(t.removed), t.many, t.newcome,
				})
				clear(t.changed)
				clear(t.removed)
				t.dirty, t.many, t.newcome, t.again = false, false, false, time.Time{}
				continue
			}
		}
		if !due.IsZero() {
			next = min(next, due.Sub(now))
		}
	}
	return list, next
}

// look reads what is to be read now, tells it, and says when to come again.
func (h *Hub) look(ctx context.Context, now time.Time) time.Duration {
	list, next := h.work(now)
	if len(list) == 0 {
		return next
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	all, err := h.read(ctx, list)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil {
			h.log.WarnContext(ctx, "live events wait: what is new can't be read", "err", err)
		}
		for _, l := range list {
			l.topic.dirty, l.topic.many, l.topic.newcome = true, l.topic.many || l.many, l.topic.newcome || l.newcome
			for _, id := range l.changed {
				h.mark(l.topic, id, false)
			}
			maps.Copy(l.topic.removed, l.removed)
		}
		return retry
	}
	stirred := map[*conn]struct{}{}
	for i, l := range list {
		t := l.topic
		t.at = now.Add(paceOf(t.key.kind))
		if !t.publish(l, all[i], now) {
			continue
		}
		for c := range t.subs {
			stirred[c] = struct{}{}
		}
		if !t.again.IsZero() {
			next = min(next, t.again.Sub(now))
		}
	}
	for c := range stirred {
		wake(c.stir)
	}
	return max(next, pace)
}

// paceOf returns the time between two versions of a topic.
func paceOf(k kind) time.Duration {
	if k == ofStats {
		return slowPace
	}
	return pace
}

// attaching says how a connection is subscribed to a topic.
type attaching struct {
	only  bool  // a subscription that there is goes on by another key; if there is none any more, nothing is done
	round int64 // of rights, in which they were asked; -1: they are asked again in any case
}

// The ends of attach.
var (
	errTooMany   = errors.New("the connection has as many topics as it may")
	errNewRights = errors.New("rights may have changed since they were asked")
)

// attach subscribes a connection to a topic.
func (h *Hub) attach(c *conn, name string, user people.User, k key, how attaching) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, had := c.subs[name]
	switch {
	case c.gone, how.only && !had:
		return nil
	case how.round >= 0 && how.round != h.round:
		return errNewRights
	case !had && len(c.subs) >= maxTopics:
		return errTooMany
	}
	h.detach(c, name)
	t := h.topics[k]
	if t == nil {
		t = &topic{
			key: k, user: user, subs: map[*conn]*subscription{}, rows: map[int64]row{}, changed: map[int64]struct{}{},
			removed: map[int64]struct{}{}, dirty: true,
		}
		h.topics[k] = t
		if job := k.ofJob(); job != 0 {
			if h.inJob[job] == nil {
				h.inJob[job] = map[*topic]struct{}{}
			}
			h.inJob[job][t] = struct{}{}
		}
	}
	if k.kind == ofJobs {
		t.newcome, t.dirty = true, true
	}
	s := &subscription{topic: t, first: true}
	t.subs[c], c.subs[name] = s, s
	wake(h.stir)
	wake(c.stir)
	return nil
}

// ofJob returns the job whose changes concern a topic; 0: no single one's.
func (k key) ofJob() int64 {
	if k.kind == ofJob {
		return k.id
	}
	return k.job
}

// detach ends a subscription. Under h.mu.
func (h *Hub) detach(c *conn, name string) {
	s := c.subs[name]
	if s == nil {
		return
	}
	delete(c.subs, name)
	t := s.topic
	delete(t.subs, c)
	if len(t.subs) > 0 {
		return
	}
	if h.topics[t.key] == t {
		delete(h.topics, t.key)
	}
	if job := t.key.ofJob(); job != 0 {
		if delete(h.inJob[job], t); len(h.inJob[job]) == 0 {
			delete(h.inJob, job)
		}
	}
}

// judgeAgain asks again for the rights of all connections, when they may have changed and from time to time.
func (h *Hub) judgeAgain(ctx context.Context) {
	timer := time.NewTimer(rightsDue)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.rights:
		case <-timer.C:
		}
		h.judge(ctx)
		timer.Reset(rightPace)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		timer.Reset(rightsDue)
	}
}

// verdict is what a user sees by a name.
type verdict struct {
	key key
	err error
}

// judge ends what people may not see any more. While the database gives no answer, all stays as it is.
func (h *Hub) judge(ctx context.Context) {
	h.mu.Lock()
	conns := slices.Collect(maps.Keys(h.conns))
	h.mu.Unlock()
	type question struct {
		user people.User
		name string
	}
	known := map[question]verdict{}
	for _, c := range conns {
		user, err := c.admitted(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.refused(ctx, err)
			}
			continue
		}
		h.mu.Lock()
		c.user = user
		names := make(map[string]key, len(c.subs))
		for name, s := range c.subs {
			names[name] = s.topic.key
		}
		h.mu.Unlock()
		for name, before := range names {
			if before.sight.Own { // nobody loses the right to see their own
				continue
			}
			q := question{user, name}
			v, asked := known[q]
			if !asked {
				v.key, v.err = h.keyOf(ctx, user, name)
				known[q] = v
			}
			switch {
			case v.err != nil:
				c.refuse(ctx, name, v.err)
			case v.key != before:
				_ = h.attach(c, name, user, v.key, attaching{only: true, round: -1}) // it has the topic already
			}
		}
		c.judgeSearches(ctx, user)
	}
}

// refuse ends a topic of a connection with the reason. An answer that the database does not give ends nothing.
func (c *conn) refuse(ctx context.Context, name string, err error) {
	p := problem.Of(ctx, err).Problem
	c.hub.mu.Lock()
	_, had := c.subs[name]
	goesOn := had && p.Status >= http.StatusInternalServerError
	if !goesOn {
		c.hub.detach(c, name)
	}
	c.hub.mu.Unlock()
	if !goesOn {
		c.say(endOf(name, p))
	}
}

// refused closes a connection whose user is not let in any more.
func (c *conn) refused(ctx context.Context, err error) {
	var maintenance *people.Maintenance
	switch {
	case errors.Is(err, people.ErrUnauthenticated):
		c.close(client.CloseUnauthenticated, "The session or token has ended; log in again.")
	case errors.As(err, &maintenance):
		c.close(closeTryLater, "ADIT is in maintenance; connect again later.")
	default:
		c.hub.log.WarnContext(ctx, "the rights behind live events can't be asked now", "err", err)
	}
}
