// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/client"
)

const (
	manyListeners = 200
	watchedJobs   = 20
	liveTurn      = 10 * time.Second
	idleTurn      = 30 * time.Second
	mostIdleCPU   = 10 // ms in a second
)

// live are the rows of live events: what a listener costs.
var live = []comparison{
	{
		name: "live", what: "Live events of 20 jobs that change all the time: events/s",
		ours: "to 200 listeners", theirs: "to one listener",
		required: "≥ 150×, CPU ≤ 0.1×", met: func(r result) bool { return r.ratio() >= 150 && r.cpuRatio() <= 0.1 },
		prepare: listening,
	},
	{
		name: "live-idle", what: "`adit serve` at rest, without its PostgreSQL: seconds",
		ours: "with 200 listeners", theirs: "with none",
		required: "CPU ≤ 10 ms a second (1 %)", met: func(r result) bool {
			return r.median(func(p pair) float64 { return p.ours.cpuPerImage() }) <= mostIdleCPU
		},
		prepare: resting,
	},
}

// audience are listeners, who count what they are told.
type audience struct {
	events atomic.Int64
	end    func() error
}

// listen has so many listeners told of jobs, and waits until each has been told of all of them once.
func (a *aditServer) listen(ctx context.Context, listeners int, jobs []int64) (*audience, error) {
	ctx, cancel := context.WithCancel(ctx)
	who := &audience{}
	var topics []string
	for _, id := range jobs {
		topics = append(topics, client.TopicOfJob(id))
	}
	var all, ready sync.WaitGroup
	errs := make([]error, listeners)
	ready.Add(listeners)
	for i := range listeners {
		all.Go(func() {
			first := len(topics)
			for e, err := range a.Live.Follow(ctx, topics...) {
				if err != nil {
					if first > 0 {
						ready.Done()
					}
					if ctx.Err() == nil {
						errs[i] = err
					}
					return
				}
				who.events.Add(1)
				if e.First && first > 0 {
					if first--; first == 0 {
						ready.Done()
					}
				}
			}
		})
	}
	who.end = func() error {
		cancel()
		all.Wait()
		return errors.Join(errs...)
	}
	ready.Wait()
	return who, errors.Join(errs...)
}

// watched starts an adit serve with jobs that wait.
func (b *bench) watched(in *room, name string) (*aditServer, []int64, error) {
	a, err := b.idle(in, name)
	if err != nil {
		return nil, nil, err
	}
	ids := make([]int64, watchedJobs)
	for i := range ids {
		if ids[i], err = a.make(in.ctx, 1); err != nil {
			return nil, nil, err
		}
	}
	return a, ids, nil
}

// listening changes jobs all the time while listeners are told of them.
func listening(b *bench, in *room) (ours, theirs side, err error) {
	a, ids, err := b.watched(in, "live")
	if err != nil {
		return nil, nil, err
	}
	to := func(listeners int) side {
		return func() (s sample, err error) {
			who, err := a.listen(in.ctx, listeners, ids)
			if err != nil {
				return s, err
			}
			defer func() { err = errors.Join(err, who.end()) }()
			before := who.events.Load()
			s, err = a.timed(1, func() error { return a.disturb(in.ctx, ids) })
			s.images = int(who.events.Load() - before)
			return s, err
		}
	}
	return to(manyListeners), to(1), nil
}

// disturb changes jobs all the time for a turn.
func (a *aditServer) disturb(ctx context.Context, ids []int64) error {
	end := time.Now().Add(liveTurn)
	for n := 0; time.Now().Before(end); n++ {
		for _, id := range ids {
			if _, err := a.Jobs.Change(ctx, id, client.JobChange{Priority: new(1 + n%8)}); err != nil {
				return err
			}
		}
	}
	return nil
}

func resting(b *bench, in *room) (ours, theirs side, err error) {
	a, ids, err := b.watched(in, "live-idle")
	if err != nil {
		return nil, nil, err
	}
	if err := a.endAll(in.ctx, ids); err != nil {
		return nil, nil, err
	}
	with := func(listeners int) side {
		return func() (s sample, err error) {
			who, err := a.listen(in.ctx, listeners, ids)
			if err != nil {
				return s, err
			}
			defer func() { err = errors.Join(err, who.end()) }()
			before, err := clock(a.pid)
			if err != nil {
				return s, err
			}
			select {
			case <-time.After(idleTurn):
			case <-in.ctx.Done():
				return s, in.ctx.Err()
			}
			after, err := clock(a.pid)
			return sample{images: int(idleTurn.Seconds()), wall: idleTurn, cpu: after - before}, err
		}
	}
	return with(manyListeners), with(0), nil
}

// endAll cancels jobs: one that has ended is not read again.
func (a *aditServer) endAll(ctx context.Context, ids []int64) error {
	for _, id := range ids {
		if _, err := a.Jobs.Act(ctx, id, client.CancelJob); err != nil {
			return err
		}
	}
	return nil
}
