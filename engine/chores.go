// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/adit-go/adit/db"
)

// Chores is how a node does its part of the house-keeping: disks that fill up, folders' quotas, and the daily clean-up.
type Chores struct {
	DataDir string        // whose disk is watched as well; empty: none
	Node    string        // the node's name, for warnings of its own disks
	Pause   time.Duration // between two rounds; a minute
}

const (
	defaultChorePause = time.Minute
	choreLease        = 10 * time.Minute // renewed while a chore is done; another node takes it over after that
	choreRetry        = time.Hour        // after a chore that failed
)

// RunChores does the house-keeping until the context ends. Each node may run it: what needs doing once is done by one. A folder whose disk
// doesn't answer holds up neither the clean-up nor the other warnings for good.
func (e *Engine) RunChores(ctx context.Context, c Chores) {
	if c.Pause == 0 {
		c.Pause = defaultChorePause
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, part := range []func(context.Context, Chores) error{e.heedClock, e.cleanUpDaily, e.countFolders, e.watch} {
		all.Go(func() {
			for {
				if err := part(ctx, c); err != nil && ctx.Err() == nil {
					e.log.WarnContext(ctx, "house-keeping is not done", "reason", err)
				}
				timer := time.NewTimer(c.Pause)
				select {
				case <-timer.C:
				case <-ctx.Done():
					timer.Stop()
					return
				}
			}
		})
	}
}

// DoChores does one round: what is due.
func (e *Engine) DoChores(ctx context.Context, c Chores) error {
	return errors.Join(e.heedClock(ctx, c), e.cleanUpDaily(ctx, c), e.countFolders(ctx, c), e.watch(ctx, c))
}

func (e *Engine) cleanUpDaily(ctx context.Context, _ Chores) error {
	return e.chore(ctx, cleanUpChore, false, e.cleanUp)
}

// chore does a daily chore if it is due and no other node does it. At its first sight it is planned: for now, or for the time of the clean-up.
func (e *Engine) chore(ctx context.Context, name string, atOnce bool, do func(context.Context, *choreRun) (any, error)) error {
	next, err := e.nextCleanUp(ctx)
	if err != nil {
		return err
	}
	first := next
	if atOnce {
		first = time.Unix(0, 0)
	}
	if err := e.q.AddChore(ctx, db.AddChoreParams{Name: name, NextAt: first}); err != nil {
		return err
	}
	n, err := e.q.TakeChore(ctx, db.TakeChoreParams{Name: name, LeaseSeconds: choreLease.Seconds()})
	if err != nil || n == 0 {
		return err
	}
	run := &choreRun{e: e, name: name, kept: time.Now()}
	result, err := do(ctx, run)
	if ctx.Err() != nil { // another node, or this one at its next start, goes on
		return e.q.PlanChore(context.WithoutCancel(ctx), db.PlanChoreParams{Name: name, NextAt: time.Unix(0, 0)})
	}
	if err != nil {
		if err := e.q.KeepChore(ctx, db.KeepChoreParams{Name: name, LeaseSeconds: choreRetry.Seconds()}); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "house-keeping done", "chore", name, "result", string(text))
	return e.q.EndChore(ctx, db.EndChoreParams{Name: name, NextAt: next, Result: text})
}

// choreRun is a chore while it is done.
type choreRun struct {
	e    *Engine
	name string
	kept time.Time
}

// keep keeps other nodes from taking the chore over. It is called often, and asks the database seldom.
func (r *choreRun) keep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Since(r.kept) < choreLease/4 {
		return nil
	}
	r.kept = time.Now()
	return r.e.q.KeepChore(ctx, db.KeepChoreParams{Name: r.name, LeaseSeconds: choreLease.Seconds()})
}

// nextCleanUp is the next time of the daily clean-up by the database's clock.
func (e *Engine) nextCleanUp(ctx context.Context) (time.Time, error) {
	settings, err := e.people.Settings(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now, err := e.q.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return nextAt(now.In(e.cfg.Zone), settings.CleanUpAt)
}

// nextAt is the next time that a clock on the wall shows, as "03:00". A time that the change to summer time leaves out comes an hour later.
func nextAt(now time.Time, clock string) (time.Time, error) {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the clean-up can't be read: %w", err)
	}
	for day := 0; ; day++ {
		next := time.Date(now.Year(), now.Month(), now.Day()+day, at.Hour(), at.Minute(), 0, 0, now.Location())
		if next.After(now) {
			return next, nil
		}
	}
}
