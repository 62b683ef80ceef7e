// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"time"

	"github.com/adit-go/adit/internal/pause"
)

const (
	firstPoll   = 200 * time.Millisecond
	longestPoll = 2 * time.Second
)

// Wait follows a job until it has ended, and returns it as it is then: its Status is a Final one. progress, unless it
// is nil, gets the job at once and whenever something of it has changed, from the goroutine of the call. A job that
// waits for somebody to verify it, or that is paused, is waited for; the end of ctx ends that, and nothing of the job.
func (c Jobs) Wait(ctx context.Context, id int64, progress func(Job)) (Job, error) {
	var last Job
	for job, err := range c.states(ctx, id) {
		if err != nil {
			return last, err
		}
		if progress != nil {
			progress(job)
		}
		if last = job; Final(job.Status) {
			break
		}
	}
	return last, nil
}

// states yields a job as it is now, and whenever it has changed, until the loop ends or an error does: by live events,
// or, where something between here and ADIT lets none through, by asking again and again.
func (c Jobs) states(ctx context.Context, id int64) iter.Seq2[Job, error] {
	return func(yield func(Job, error) bool) {
		for e, err := range Live(c).Follow(ctx, TopicOfJob(id)) {
			switch {
			case errors.Is(err, errNoSocket):
				c.poll(ctx, id, yield)
				return
			case e.Ended != nil:
				err = e.Ended
			}
			if err != nil {
				yield(Job{}, err)
				return
			}
			if e.Job != nil && !yield(*e.Job, nil) {
				return
			}
		}
	}
}

// poll yields what states does.
func (c Jobs) poll(ctx context.Context, id int64, yield func(Job, error) bool) {
	var last Job
	for every := firstPoll; ; every = min(every*3/2, longestPoll) {
		job, err := c.Get(ctx, id)
		if changed := err != nil || !reflect.DeepEqual(job, last); changed && !yield(job, err) || err != nil {
			return
		}
		last = job
		if err := pause.For(ctx, every); err != nil {
			yield(job, err)
			return
		}
	}
}
