// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/internal/pause"
	"github.com/adit-go/adit/internal/refusal"
)

// retryEnd is how long to wait before the end of a task is written again, while the database is away.
const retryEnd = 500 * time.Millisecond

// task is the actor of one running task. It never blocks: the run is a goroutine under the actor's context, which
// reports back by message.
type task struct {
	engine   *engine.Engine
	log      *slog.Logger
	held     lease.Held
	progress *lease.Progress
	member   context.Context // ends when this incarnation is fenced

	cancel  context.CancelCauseFunc
	signals *lease.StopSignals
	ended   atomic.Bool // the run has ended and is written down, or can't be
}

// name carries the fencing token, so that a late message can't reach a newer owner.
func (t *task) name() string { return fmt.Sprintf("task-%d-%d", t.held.TaskID, t.held.Token) }

func (t *task) Receive(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started:
		ctx, cancel := context.WithCancelCause(t.member)
		t.cancel = cancel
		self, root := c.Self(), c.ActorSystem().Root // the actor's own context must not be used in the goroutine
		go func() {
			defer root.Send(self, ran{})
			t.run(ctx)
			t.ended.Store(true)
		}()
	case *actor.Stopping, *actor.Restarting:
		t.cancel(fault.ErrParked)
	case cancelTask:
		t.cancel(m.cause)
	case orderTask:
		if m.order.Park {
			t.signals.ParkWithin(m.order.Grace)
		} else {
			t.signals.Shed(m.order.Slots, m.order.Grace)
		}
	case ran:
		t.cancel(nil)
		c.Stop(c.Self())
	}
}

// run moves the task and writes down how it ended. A panic is the task's, not the process's.
func (t *task) run(ctx context.Context) {
	defer func() {
		if p := recover(); p != nil {
			t.log.Error(
				"a task panicked; it is given back", "task", t.held.TaskID, "panic", p, "stack", string(debug.Stack()),
			)
			t.write(func(ctx context.Context) error { return t.engine.Lease.Lose(ctx, t.held) })
		}
	}()
	outcome := t.engine.Run(ctx, t.held, t.signals, t.progress)
	t.write(func(ctx context.Context) error { return t.engine.Lease.End(ctx, outcome) })
}

// write keeps trying until the end of the task is in the database, or the task is not ours any more.
func (t *task) write(end func(context.Context) error) {
	for {
		err := end(t.member)
		if err == nil || errors.Is(err, fault.ErrFenced) ||
			errors.Is(err, refusal.ErrNotFound) || t.member.Err() != nil {
			return
		}
		t.log.Warn("the end of a task can't be written, trying again", "task", t.held.TaskID, "err", err)
		if pause.For(t.member, retryEnd) != nil {
			return
		}
	}
}
