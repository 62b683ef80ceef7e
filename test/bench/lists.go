// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/adit-go/adit/client"
)

const (
	manyTasks   = 100_000
	manyJobs    = 10_000
	pageOfTasks = 500
	pageOfJobs  = 50
	pagesATurn  = 20
)

// lists are the rows of what pages ask for: they must not get slower with what they don't show.
var lists = []comparison{
	{
		name: "tasks", what: "A page of 500 tasks of a job of 100,000: pages/s",
		ours: "tasks that wait, with why", theirs: "tasks that have ended",
		required: "≥ 0.33× (≤ 3 times as long)", met: func(r result) bool { return r.ratio() >= 1.0/3 },
		prepare: pagesOfTasks,
	},
	{
		name: "big-job", what: "Making jobs: tasks/s",
		ours: "one of 100,000 tasks", theirs: "100 of 1,000 tasks",
		required: "≥ 0.5×", met: func(r result) bool { return r.ratio() >= 0.5 },
		prepare: bigJobs,
	},
	{
		name: "jobs", what: "The first page of the list of jobs, 50 that wait: pages/s",
		ours: "of 10,000 jobs", theirs: "of 50 jobs",
		required: "≥ 0.33× (≤ 3 times as long)", met: func(r result) bool { return r.ratio() >= 1.0/3 },
		prepare: pagesOfJobs,
	},
}

// idle starts an adit serve whose jobs wait, since their source is paused.
func (b *bench) idle(in *room, name string) (*aditServer, error) {
	room := &room{ctx: in.ctx} // a row may have two of them
	in.closers = append(in.closers, room.leave)
	var err error
	if room.dir, err = room.tempDir(); err != nil {
		return nil, err
	}
	a, err := b.serve(room, name)
	if err != nil {
		return nil, err
	}
	nobody := &server{port: "1"}
	err = errors.Join(a.add(in.ctx, "source", "SOURCE", nobody), a.add(in.ctx, "destination", "DESTINATION", nobody))
	if err == nil {
		_, err = a.Servers.Pause(in.ctx, "source")
	}
	if err == nil {
		_, err = a.Site.ChangeSettings(in.ctx, client.SettingsChange{MaxJobsPerHour: new(0)})
	}
	return a, err
}

// make makes a job of so many tasks.
func (a *aditServer) make(ctx context.Context, tasks int) (int64, error) {
	job := client.NewJob{Kind: client.SelectiveTransfer, Source: "source", Destination: "destination"}
	for i := range tasks {
		job.Studies = append(job.Studies, client.NewStudy{StudyInstanceUID: fmt.Sprintf("1.2.826.0.1.3680043.8.498.%d", i+1)})
	}
	made, err := a.Jobs.Create(ctx, job, "")
	return made.ID, err
}

// timed measures what an adit serve and its PostgreSQL do.
func (a *aditServer) timed(n int, do func() error) (sample, error) {
	before, err := spent(a.pid)
	if err != nil {
		return sample{}, err
	}
	start := time.Now()
	if err := do(); err != nil {
		return sample{}, err
	}
	wall := time.Since(start)
	after, err := spent(a.pid)
	return sample{images: n, wall: wall, cpu: after - before}, err
}

// firstPage asks for the first page of a list, of so many items, some times.
func firstPage[T any](a *aditServer, items int, list func() iter.Seq2[T, error]) side {
	return func() (sample, error) {
		return a.timed(pagesATurn, func() error {
			for range pagesATurn {
				n := 0
				for _, err := range list() {
					if err != nil {
						return err
					}
					if n++; n == items {
						break
					}
				}
				if n != items {
					return fmt.Errorf("the page has %d items, and should have %d", n, items)
				}
			}
			return nil
		})
	}
}

func pagesOfTasks(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.idle(in, "tasks")
	if err != nil {
		return nil, nil, err
	}
	var ids [2]int64
	for i := range ids {
		if ids[i], err = a.make(in.ctx, manyTasks); err != nil {
			return nil, nil, err
		}
	}
	if _, err := a.Jobs.Act(in.ctx, ids[1], client.CancelJob); err != nil {
		return nil, nil, err
	}
	page := func(id int64) side {
		return firstPage(a, pageOfTasks, func() iter.Seq2[client.Task, error] {
			return a.Tasks.List(in.ctx, id, client.TaskFilter{Limit: pageOfTasks})
		})
	}
	return page(ids[0]), page(ids[1]), nil
}

func bigJobs(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.idle(in, "big-job")
	if err != nil {
		return nil, nil, err
	}
	jobs := func(n int) side {
		return func() (sample, error) {
			return a.timed(manyTasks, func() error {
				for range n {
					if _, err := a.make(in.ctx, manyTasks/n); err != nil {
						return err
					}
				}
				return nil
			})
		}
	}
	return jobs(1), jobs(100), nil
}

func pagesOfJobs(b *bench, in *room) (ours, theirs side, err error) {
	var sides [2]side
	for i, jobs := range []int{manyJobs, pageOfJobs} {
		a, err := b.idle(in, fmt.Sprintf("jobs-%d", jobs))
		if err != nil {
			return nil, nil, err
		}
		if err := a.makeMany(in.ctx, jobs); err != nil {
			return nil, nil, err
		}
		sides[i] = firstPage(a, pageOfJobs, func() iter.Seq2[client.Job, error] {
			return a.Jobs.List(in.ctx, client.JobFilter{Limit: pageOfJobs})
		})
	}
	return sides[0], sides[1], nil
}

// makeMany makes so many jobs of one task, several at once.
func (a *aditServer) makeMany(ctx context.Context, jobs int) error {
	const callers = 4
	var all sync.WaitGroup
	errs := make([]error, callers)
	for i := range callers {
		all.Go(func() {
			for n := i; n < jobs && errs[i] == nil; n += callers {
				_, errs[i] = a.make(ctx, 1)
			}
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
