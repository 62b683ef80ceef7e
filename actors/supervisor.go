// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/uuid"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
)

// supervisor is the actor of this member: it claims tasks for its free workers, runs one actor per task, keeps the
// leases by its beat, and ends what it may not go on with.
type supervisor struct {
	cfg    Config
	log    *slog.Logger
	heart  *lease.Heartbeat
	member *Member

	id       uuid.UUID // of this incarnation; zero while there is none
	ctx      context.Context
	fence    context.CancelCauseFunc // ends everything of this incarnation
	lastOK   time.Time               // when the last successful beat was sent
	beatErr  error                   // of the last one that failed since then
	watcher  *lease.Watcher          // of the other members; nil while there is no incarnation
	looking  bool                    // at most one look is under way
	nextLook *time.Timer

	// by task and token: a task that came back may still be ending under its old one
	running map[lease.Held]*runningTask
	// the database says that we run it, and we don't; lost if it stays so for two beats
	strays                         map[lease.Held]bool
	registering, beating, claiming bool // each has at most one under way

	sight   *nodes.Sight // of folders; nil: not in a cluster
	seeing  bool         // at most one look is under way
	folders []int64      // as the database knows them; nil: not yet

	again    bool  // a wake came while a claim was under way
	roomFor  int64 // the task for which room was made last
	draining bool

	probing int // of at most mostProbes

	steering, steerAgain bool
	hourOf               uuid.UUID     // the incarnation that was told what the hour wants; it claims nothing before
	workers              int           // of this hour; -1: as configured
	grace                time.Duration // of this hour, for the series in hand
	later                *time.Timer   // that wakes
}

type runningTask struct {
	*task
	pid    *actor.PID
	absent int // beats in a row in which the database did not know that we run it
}

func (s *supervisor) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		s.running, s.strays, s.workers = map[lease.Held]*runningTask{}, map[lease.Held]bool{}, -1
		s.register(c)
	case registered:
		s.onRegistered(c, m)
	case tick:
		s.renew(c)
		s.beat(c)
		s.seeFolders(c)
		s.steer(c)
		s.probe(c)
		s.claim(c)
	case beaten:
		s.onBeaten(c, m)
	case look:
		s.look(c)
	case looked:
		s.onLooked(c, m)
	case seen:
		s.onSeen(c, m)
	case wake:
		s.claim(c)
	case claimed:
		s.onClaimed(c, m)
	case cancelTasks:
		for held, t := range s.running {
			if slices.Contains(m.ids, held.TaskID) {
				c.Send(t.pid, cancelTask{fault.ErrCanceled})
			}
		}
	case *actor.Terminated:
		s.onTerminated(c, m.GetWho())
	case drain:
		s.drain(c, m)
	case cut:
		for _, t := range s.running {
			c.Send(t.pid, cancelTask{fault.ErrParked})
		}
		s.claiming = false // not waited for any more
		s.stopIfDone(c)
	case *actor.Stopping:
		s.stopping()
	default:
		s.receiveHour(c)
	}
}

// receiveHour takes the messages about what the hour wants.
func (s *supervisor) receiveHour(c actor.Context) {
	switch m := c.Message().(type) {
	case steer:
		s.steer(c)
	case steered:
		s.onSteered(c, m)
	case probed:
		s.onProbed(c, m)
	}
}

// do runs blocking work beside the actor and sends its result back as a message.
func (s *supervisor) do(c actor.Context, work func() any) {
	self, root := c.Self(), c.ActorSystem().Root
	go func() {
		defer func() {
			if p := recover(); p != nil {
				s.member.fail(fmt.Errorf("the work of the member's supervisor panicked: %v", p))
			}
		}()
		root.Send(self, work())
	}()
}

// register makes a new incarnation. Until it succeeds nothing is claimed.
func (s *supervisor) register(c actor.Context) {
	s.registering = true
	cfg := s.cfg
	s.do(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.Lease)
		defer cancel()
		id, err := cfg.Engine.Lease.Register(ctx, cfg.Registration)
		return registered{id, err}
	})
}

func (s *supervisor) onRegistered(c actor.Context, m registered) {
	s.registering = false
	if m.err != nil {
		s.log.Error("this member can't be registered, trying again", "err", m.err)
		s.stopIfDone(c)
		return // the next tick tries again
	}
	s.id, s.lastOK, s.beatErr = m.member, time.Now(), nil
	s.watchAnew()
	s.extend()
	s.ctx, s.fence = context.WithCancelCause(context.Background())
	s.member.setRegistered()
	s.folders = nil
	s.stopIfDone(c)
	s.beat(c) // others have seen this incarnation since its row was written
	s.look(c)
	s.seeFolders(c)
	s.steer(c) // then it claims: limits in MB/s hold for the first task, too
}

// beat says that we live.
func (s *supervisor) beat(c actor.Context) {
	if s.id == uuid.Nil || s.lapsed(c) || s.beating {
		return
	}
	s.beating = true
	id, e, heart, term := s.id, s.cfg.Engine, s.heart, s.cfg.Lease
	progress := map[lease.Held]*lease.Progress{}
	for _, t := range s.running {
		progress[t.held] = t.progress
	}
	s.do(c, func() any {
		b := beaten{member: id, sent: time.Now()}
		ctx, cancel := context.WithTimeout(context.Background(), term/2)
		defer cancel()
		if b.held, b.err = heart.Beat(ctx, id); b.err != nil {
			return b
		}
		var revoked error
		b.revoked, revoked = e.Lease.Revoked(ctx, b.held)
		b.after = errors.Join(revoked, e.Lease.PushProgress(ctx, progress))
		return b
	})
}

func (s *supervisor) onBeaten(c actor.Context, m beaten) {
	s.beating = false
	if m.member != s.id {
		return
	}
	switch {
	case errors.Is(m.err, fault.ErrFenced):
		s.fencedByOther(c)
		return
	case m.err != nil:
		s.beatErr = m.err
		s.log.Warn("the beat failed", "err", m.err)
		s.watchAnew() // we were not healthy: others' silence proves nothing
		return
	}
	s.lastOK, s.beatErr = m.sent, nil
	s.extend()
	if m.after != nil {
		s.log.Warn("rights and progress were not exchanged, trying again at the next beat", "err", m.after)
	}
	s.reconcile(c, m)
}

// watchAnew forgets what was seen of the other members.
func (s *supervisor) watchAnew() {
	s.watcher = s.cfg.Engine.Lease.NewWatcher(s.heart, s.id, s.cfg.Lease, s.cfg.beatInterval())
}

// look looks whether the other members are alive.
func (s *supervisor) look(c actor.Context) {
	if s.id == uuid.Nil || s.looking || s.lapsed(c) {
		return
	}
	s.looking = true
	watcher, within := s.watcher, s.cfg.Lease/2
	s.do(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		l := looked{watcher: watcher}
		l.next, l.freed, l.err = watcher.Look(ctx)
		return l
	})
}

func (s *supervisor) onLooked(c actor.Context, m looked) {
	s.looking = false
	if s.id == uuid.Nil {
		return
	}
	if m.watcher == s.watcher && errors.Is(m.err, fault.ErrFenced) {
		s.fencedByOther(c)
		return
	}
	if m.err != nil && m.watcher == s.watcher && s.beatErr == nil {
		s.log.Warn("the other members can't be watched now, trying again", "err", m.err)
	}
	self, root := c.Self(), c.ActorSystem().Root
	if s.nextLook != nil {
		s.nextLook.Stop()
	}
	s.nextLook = time.AfterFunc(m.next, func() { root.Send(self, look{}) })
	if m.freed {
		s.claim(c)
	}
}

func (s *supervisor) fencedByOther(c actor.Context) {
	s.log.Error("another member declared this one dead; it stops every transfer and starts anew")
	s.fenceSelf(c)
}

// extend lets this incarnation write until it would have to fence itself.
func (s *supervisor) extend() { s.cfg.Engine.Lease.Door.Extend(s.id, s.lastOK.Add(s.cfg.deadline())) }

// seeFolders finds out which folders this member sees: in a cluster it takes tasks of these alone.
func (s *supervisor) seeFolders(c actor.Context) {
	if s.sight == nil || s.id == uuid.Nil || s.seeing {
		return
	}
	s.seeing = true
	id, e, sight, known, within := s.id, s.cfg.Engine, s.sight, s.folders, s.cfg.Lease
	s.do(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		m := seen{member: id}
		if m.folders, m.err = sight.Look(ctx); m.err == nil && (known == nil || !slices.Equal(m.folders, known)) {
			m.changed = true
			m.err = e.Lease.SetFolders(ctx, id, m.folders)
		}
		return m
	})
}

func (s *supervisor) onSeen(c actor.Context, m seen) {
	s.seeing = false
	switch {
	case m.member != s.id:
		s.seeFolders(c)
	case m.err != nil:
		s.log.Warn("this member can't say which folders it sees, trying again at the next beat", "err", m.err)
	case m.changed:
		s.folders = m.folders
		s.claim(c)
	}
}

// lapsed fences ourselves if it could not be said for too long that we live.
func (s *supervisor) lapsed(c actor.Context) bool {
	if time.Since(s.lastOK) <= s.cfg.deadline() {
		return false
	}
	s.log.Error(
		"the database has recorded no beat of this member for a whole lease; every transfer of this member "+
			"stops and continues later",
		"err", s.beatErr,
	)
	s.fenceSelf(c)
	return true
}

// reconcile compares what the database says that we run with what we run, both ways. A difference counts when it was
// seen by two beats in a row: claims and ends are under way between them.
func (s *supervisor) reconcile(c actor.Context, m beaten) {
	rows, strays := map[lease.Held]bool{}, map[lease.Held]bool{}
	for _, row := range m.held {
		rows[row.Held] = true
		t := s.running[row.Held]
		switch {
		case t == nil:
			strays[row.Held] = true
		case row.CancelRequested:
			c.Send(t.pid, cancelTask{fault.ErrCanceled})
		}
	}
	for held, why := range m.revoked {
		if t := s.running[held]; t != nil {
			s.log.Warn("stopping a running task", "task", held.TaskID, "reason", why)
			c.Send(t.pid, cancelTask{why})
		}
	}
	for held, t := range s.running {
		if t.absent++; rows[held] {
			t.absent = 0
		} else if t.absent >= 2 {
			c.Send(t.pid, cancelTask{fault.ErrFenced})
		}
	}
	for held := range strays {
		if s.strays[held] {
			s.lose(c, held)
		}
	}
	s.strays = strays
}

// lose gives back a task that nobody runs.
func (s *supervisor) lose(c actor.Context, held lease.Held) {
	e, log := s.cfg.Engine, s.log
	s.do(c, func() any {
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Lease)
		defer cancel()
		if err := e.Lease.Lose(ctx, held); err != nil && !errors.Is(err, fault.ErrFenced) {
			log.Warn(
				"a task of a dead member can't be given back, trying again at the next beat", "task", held.TaskID, "err", err,
			)
		}
		return wake{}
	})
}

// fenceSelf closes every socket of this incarnation; a new one is made when all its tasks have ended.
func (s *supervisor) fenceSelf(c actor.Context) {
	s.cfg.Engine.Lease.Door.Fence(s.id)
	s.fence(fault.ErrFenced)
	s.cfg.Registration.Previous = s.id
	s.id = uuid.Nil
	s.renew(c)
}

func (s *supervisor) renew(c actor.Context) {
	if s.id == uuid.Nil && len(s.running) == 0 && !s.draining && !s.registering {
		s.register(c)
	}
}

// claim looks for work while a worker is free. One claim is under way at a time.
func (s *supervisor) claim(c actor.Context) {
	if s.claiming {
		s.again = true
		return
	}
	if s.id == uuid.Nil || s.hourOf != s.id || s.draining || len(s.running) >= s.slots() {
		return
	}
	s.claiming, s.again = true, false
	id, e, ctx := s.id, s.cfg.Engine, s.ctx
	s.do(c, func() any {
		held, ok, again, err := e.Lease.Claim(ctx, id)
		return claimed{id, held, ok, again, err}
	})
}

// slots is how many tasks may run at once this hour.
func (s *supervisor) slots() int {
	if s.workers >= 0 {
		return s.workers
	}
	return s.cfg.Workers
}

// steer asks what the hour wants of this member. One such question is under way at a time.
func (s *supervisor) steer(c actor.Context) {
	if s.steering {
		s.steerAgain = true
		return
	}
	if s.id == uuid.Nil {
		return
	}
	s.steering, s.steerAgain = true, false
	id, e, ctx, name := s.id, s.cfg.Engine, s.ctx, s.cfg.Registration.Name
	s.do(c, func() any {
		orders, err := e.Lease.Orders(ctx, id, name)
		return steered{id, orders, err}
	})
}

// drain lets everything that runs come to a stop.
func (s *supervisor) drain(c actor.Context, m drain) {
	s.draining = true
	s.park(c, slices.Collect(maps.Keys(s.running)), m.grace)
	s.stopIfDone(c)
}

// fit parks the newest tasks beyond the workers of this hour.
func (s *supervisor) fit(c actor.Context) {
	over := len(s.running) - s.slots()
	if over <= 0 {
		return
	}
	newest := slices.SortedFunc(
		maps.Keys(s.running), func(a, b lease.Held) int { return cmp.Compare(b.Token, a.Token) },
	)
	s.park(c, newest[:over], s.grace)
}

func (s *supervisor) park(c actor.Context, tasks []lease.Held, grace time.Duration) {
	for _, held := range tasks {
		c.Send(s.running[held].pid, orderTask{
			lease.Order{TaskID: held.TaskID, Token: held.Token, Park: true, Grace: grace},
		})
	}
}

// makeRoom parks all that runs, for a task that has to run alone. As long as it waits for that, claims bring nothing
// else.
func (s *supervisor) makeRoom(c actor.Context, lonely lease.Held) {
	if s.roomFor != lonely.TaskID && len(s.running) > 0 {
		s.log.Info(
			"the tasks of this member stop and continue later, because one task has to run alone",
			"task", lonely.TaskID, "running", len(s.running),
		)
	}
	s.roomFor = lonely.TaskID
	s.park(c, slices.Collect(maps.Keys(s.running)), s.grace)
}

// onSteered tells running tasks to give way.
func (s *supervisor) onSteered(c actor.Context, m steered) {
	s.steering = false
	if m.member == s.id {
		s.hourOf = s.id
	}
	if m.err == nil && m.member == s.id {
		s.workers, s.grace = m.orders.Workers, m.orders.Grace
		s.member.setRoles(m.orders.Roles)
		s.fit(c)
		for _, order := range m.orders.Tasks {
			for held, t := range s.running {
				if held.TaskID == order.TaskID && held.Token == order.Token {
					c.Send(t.pid, orderTask{order})
				}
			}
		}
	}
	if m.err != nil && m.member == s.id {
		s.log.Warn("the schedules can't be read now, trying again at the next beat", "err", m.err)
	}
	s.claim(c)
	if s.steerAgain {
		s.steer(c)
	}
}

// mostProbes is how many servers a member asks for a sign of life at once: it takes long where nobody answers, and the
// others are not to wait for that.
const mostProbes = 8

// probe asks unavailable servers for a sign of life.
func (s *supervisor) probe(c actor.Context) {
	if s.probing == mostProbes || s.id == uuid.Nil || s.draining {
		return
	}
	s.probing++
	id, e, ctx := s.id, s.cfg.Engine, s.ctx
	s.do(c, func() any {
		asked, err := e.Lease.Probe(ctx, id)
		return probed{asked, err}
	})
}

func (s *supervisor) onProbed(c actor.Context, m probed) {
	s.probing--
	if m.err != nil && s.id != uuid.Nil {
		s.log.Warn("the probe of an unavailable server failed", "err", m.err)
	}
	if m.asked && m.err == nil {
		s.probe(c)
	}
}

func (s *supervisor) onClaimed(c actor.Context, m claimed) {
	s.claiming = false
	defer s.stopIfDone(c)
	switch {
	case m.err != nil:
		s.log.Warn("tasks can't be claimed now, trying again at the next beat", "err", m.err)
		return
	case m.ok && m.member != s.id:
		return // of an incarnation that ended: whoever fenced it gives the task back
	case m.ok:
		// The hour may have taken the worker away while the claim was under way, and so may the end of the process.
		s.start(c, m.held, s.draining || len(s.running) >= s.slots())
		s.claim(c)
		return
	case m.held.TaskID != 0 && m.member == s.id:
		s.makeRoom(c, m.held)
	}
	switch {
	case s.again:
		s.claim(c)
	case m.again > 0 && m.again < s.cfg.beatInterval():
		s.wakeIn(c, m.again)
	}
}

// wakeIn looks for work again before the next tick does.
func (s *supervisor) wakeIn(c actor.Context, d time.Duration) {
	self, root := c.Self(), c.ActorSystem().Root
	if s.later != nil {
		s.later.Stop()
	}
	s.later = time.AfterFunc(d, func() { root.Send(self, wake{}) })
}

// start runs a task, or gives it back at once without a loss if it comes too late.
func (s *supervisor) start(c actor.Context, held lease.Held, late bool) {
	t := &task{
		engine: s.cfg.Engine, log: s.log, held: held, progress: &lease.Progress{},
		member: s.ctx, signals: lease.NewStopSignals(),
	}
	if late {
		t.signals.ParkWithin(0)
	}
	pid, err := c.SpawnNamed(actor.PropsFromProducer(func() actor.Actor { return t }), t.name())
	if err != nil {
		s.log.Error("a task actor can't be started", "task", held.TaskID, "err", err)
		s.lose(c, held)
		return
	}
	s.running[held] = &runningTask{task: t, pid: pid} // a parent is told when its child terminates
}

// onTerminated frees the worker of a task actor that has ended. One that ended without having written down how is given
// back.
func (s *supervisor) onTerminated(c actor.Context, who *actor.PID) {
	for held, t := range s.running {
		if !t.pid.Equal(who) {
			continue
		}
		delete(s.running, held)
		if !t.ended.Load() {
			s.log.Error("a task actor ended unexpectedly; its task is given back", "task", held.TaskID)
			s.lose(c, held)
		}
	}
	s.renew(c)
	s.claim(c)
	s.stopIfDone(c)
}

// HandleFailure is the supervision strategy for task actors: none is restarted in place. The child is stopped, and
// onTerminated gives its task back.
func (s *supervisor) HandleFailure(
	_ *actor.ActorSystem, sup actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, reason, _ any,
) {
	s.log.Error("a task actor failed", "actor", child.GetId(), "reason", reason)
	sup.StopChildren(child)
}

// stopIfDone ends the supervisor once it drains and nothing runs. A claim under way may still bring a task, which is to
// be given back.
func (s *supervisor) stopIfDone(c actor.Context) {
	if s.draining && len(s.running) == 0 && !s.claiming {
		c.Stop(c.Self())
	}
}

// stopping runs when nothing is left to do for this incarnation, or when the supervisor failed.
func (s *supervisor) stopping() {
	if s.fence != nil {
		s.fence(fault.ErrParked)
	}
	if s.later != nil {
		s.later.Stop()
	}
	if s.nextLook != nil {
		s.nextLook.Stop()
	}
	s.heart.Close()
	if s.id != uuid.Nil {
		ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Lease)
		defer cancel()
		if err := s.cfg.Engine.Lease.Deregister(ctx, s.id); err != nil {
			s.log.Warn("the member could not sign off; its lease will expire", "err", err)
		}
	}
	s.member.ended(s.draining)
}
