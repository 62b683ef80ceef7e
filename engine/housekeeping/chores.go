// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/adit-go/adit/db"
)

// Chores is how a member does its part of the housekeeping: disks that fill up, folders' quotas, and the daily
// clean-up.
type Chores struct {
	DataDir string        // whose disk is watched as well; empty: none
	DirID   uuid.UUID     // of that: members of one name may have several
	Member  string        // the member's name, for warnings of its own disks
	Pause   time.Duration // between two rounds; a minute
}

const (
	defaultChorePause = time.Minute
	choreLease        = 10 * time.Minute // renewed while a chore is done; another member takes it over after that
	choreRetry        = time.Hour        // after a chore that failed
)

// RunChores does the housekeeping until the context ends. Each member may run it: what needs doing once is done by
// one. A folder whose disk doesn't answer holds up neither the clean-up nor the other warnings for good.
func (svc *Service) RunChores(ctx context.Context, c Chores) {
	if c.Pause == 0 {
		c.Pause = defaultChorePause
	}
	var all sync.WaitGroup
	defer all.Wait()
	for _, part := range []func(context.Context, Chores) error{
		svc.heedClock, svc.cleanUpDaily, svc.countFolders, svc.watch, svc.sampleUse, svc.finishArchives,
	} {
		all.Go(func() {
			for {
				if err := part(ctx, c); err != nil && ctx.Err() == nil {
					svc.Log.WarnContext(ctx, "housekeeping failed", "reason", err)
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
func (svc *Service) DoChores(ctx context.Context, c Chores) error {
	return errors.Join(svc.heedClock(ctx, c), svc.cleanUpDaily(ctx, c), svc.countFolders(ctx, c), svc.watch(ctx, c),
		svc.sampleUse(ctx, c), svc.finishArchives(ctx, c))
}

func (svc *Service) cleanUpDaily(ctx context.Context, _ Chores) error {
	return svc.chore(ctx, cleanUpChore, false, svc.cleanUp)
}

// chore does a daily chore if it is due and no other member does it. At its first sight it is planned: for now, or for
// the time of the clean-up.
func (svc *Service) chore(
	ctx context.Context, name string, atOnce bool, do func(context.Context, *choreRun) (any, error),
) error {
	next, err := svc.nextCleanUp(ctx)
	if err != nil {
		return err
	}
	first := next
	if atOnce {
		first = time.Unix(0, 0)
	}
	if err := svc.Q.AddChore(ctx, db.AddChoreParams{Name: name, NextAt: first}); err != nil {
		return err
	}
	n, err := svc.Q.TakeChore(ctx, db.TakeChoreParams{Name: name, LeaseSeconds: choreLease.Seconds()})
	if err != nil || n == 0 {
		return err
	}
	run := &choreRun{svc: svc, name: name, kept: time.Now()}
	result, err := do(ctx, run)
	if ctx.Err() != nil { // another member, or this one at its next start, goes on
		return svc.Q.PlanChore(context.WithoutCancel(ctx), db.PlanChoreParams{Name: name, NextAt: time.Unix(0, 0)})
	}
	if err != nil {
		if err := svc.Q.KeepChore(ctx, db.KeepChoreParams{Name: name, LeaseSeconds: choreRetry.Seconds()}); err != nil {
			return err
		}
		return fmt.Errorf("%s: %w", name, err)
	}
	text, err := json.Marshal(result)
	if err != nil {
		return err
	}
	svc.Log.InfoContext(ctx, "housekeeping done", "chore", name, "result", string(text))
	return svc.Q.EndChore(ctx, db.EndChoreParams{Name: name, NextAt: next, Result: text})
}

// choreRun is a chore while it is done.
type choreRun struct {
	svc  *Service
	name string
	kept time.Time
}

// keep keeps other members from taking the chore over. It is called often, and asks the database seldom.
func (r *choreRun) keep(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if time.Since(r.kept) < choreLease/4 {
		return nil
	}
	r.kept = time.Now()
	return r.svc.Q.KeepChore(ctx, db.KeepChoreParams{Name: r.name, LeaseSeconds: choreLease.Seconds()})
}

// nextCleanUp is the next time of the daily clean-up by the database's clock.
func (svc *Service) nextCleanUp(ctx context.Context) (time.Time, error) {
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return time.Time{}, err
	}
	now, err := svc.Q.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	return nextAt(now.In(svc.Config.Zone), settings.CleanUpAt)
}

// nextAt is the next time that a clock on the wall shows, as "03:00". A time that the change to summer time leaves out
// comes an hour later.
func nextAt(now time.Time, clock string) (time.Time, error) {
	at, err := time.Parse("15:04", clock)
	if err != nil {
		return time.Time{}, fmt.Errorf("the time of the clean-up is invalid: %w", err)
	}
	for day := 0; ; day++ {
		next := time.Date(now.Year(), now.Month(), now.Day()+day, at.Hour(), at.Minute(), 0, 0, now.Location())
		if next.After(now) {
			return next, nil
		}
	}
}
