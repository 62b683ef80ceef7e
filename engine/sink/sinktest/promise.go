// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/sink"
)

// promise is one thing that a sink promises.
type promise struct {
	name string
	// needs returns what a subject has to be able to, and can't; empty: it can. nil: nothing beside Held.
	needs func(s *Subject) string
	// holds drives the sink, and returns how the promise is broken.
	holds func(tr *trial) error
}

// errNotTried says that a promise could not be tried.
var errNotTried = errors.New("not tried")

// check tries a promise on a new subject, and closes its sinks.
func (p *promise) check(ctx context.Context, s Subject, patience time.Duration) (err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tr := &trial{Subject: s, ctx: ctx, grace: patience / 6, sink: s.Sink, all: []sink.Sink{s.Sink}}
	defer func() {
		for _, of := range tr.all {
			err = errors.Join(err, tr.do("Close", func() error {
				of.Close(ctx)
				return nil
			}))
		}
	}()
	if p.needs != nil {
		if what := p.needs(&s); what != "" {
			return fmt.Errorf("%w: %s", errNotTried, what)
		}
	}
	return p.holds(tr)
}

// trial drives a sink as transfer does.
type trial struct {
	Subject
	ctx   context.Context
	grace time.Duration // for what has to end by now
	sink  sink.Sink
	all   []sink.Sink // that were in use
}

// do calls a method of the sink. It returns an error also if that panics, or does not return.
func (tr *trial) do(what string, f func() error) error {
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("%s panics: %v\n%s", what, p, debug.Stack())
			}
		}()
		done <- f()
	}()
	select {
	case err := <-done:
		return err
	case <-tr.ctx.Done():
	}
	select { // what returned with the context did return
	case err := <-done:
		return err
	case <-time.After(tr.grace):
		return fmt.Errorf("%s does not return", what)
	}
}

// begin takes a sink from its first call to where instances may be put.
func (tr *trial) begin(items ...[]*item) (accepted map[string][]string, err error) {
	if err := tr.start(); err != nil {
		return nil, err
	}
	return tr.prepare(items...)
}

// start is begin without Prepare.
func (tr *trial) start() error {
	return tr.do("Begin", func() error {
		gone, err := tr.sink.Gone(tr.ctx, nil)
		if err != nil || len(gone) > 0 {
			return fmt.Errorf("Gone of nothing, before Begin: %v, %w", gone, err)
		}
		if err := tr.sink.Begin(tr.ctx); err != nil {
			return fmt.Errorf("Begin: %w", err)
		}
		tr.sink.Expect(modalities)
		return nil
	})
}

// prepare opens the way for instances.
func (tr *trial) prepare(items ...[]*item) (accepted map[string][]string, err error) {
	var all []*item
	for _, some := range items {
		all = append(all, some...)
	}
	proposed := kindsOf(all)
	err = tr.do("Prepare", func() (err error) {
		if accepted, err = tr.sink.Prepare(tr.ctx, proposed); err != nil {
			return fmt.Errorf("Prepare: %w", err)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return accepted, within(accepted, proposed)
}

// answer is what Put returns.
type answer struct {
	status dimse.Status
	err    error
}

// taken reports whether the destination has acknowledged the instance.
func (a answer) taken() bool {
	return a.err == nil && (a.status.Class() == dimse.ClassSuccess || a.status.Class() == dimse.ClassWarning)
}

// refused returns the status with which the destination does not take this instance, though it may take others; false:
// something else.
func (a answer) refused() (dimse.Status, bool) {
	if refusal, ok := errors.AsType[*sink.Refusal](a.err); ok {
		return refusal.Status, true
	}
	if _, ok := errors.AsType[*dimse.NoContextError](a.err); ok {
		return dimse.RefusedSOPClass, true
	}
	return a.status, a.err == nil && !a.taken()
}

// failed reports whether the sink itself failed.
func (a answer) failed() bool {
	_, refused := a.refused()
	return a.err != nil && !refused && !errors.Is(a.err, sink.ErrOtherInstance)
}

func (a answer) String() string { return fmt.Sprintf("status %s, error %v", a.status, a.err) }

// put puts an instance.
func (tr *trial) put(worker int, o *sink.Outgoing) answer { return tr.putWithin(tr.ctx, worker, o) }

// putWithin puts an instance as long as a context lasts.
func (tr *trial) putWithin(ctx context.Context, worker int, o *sink.Outgoing) (a answer) {
	err := tr.do("Put", func() error {
		a.status, a.err = tr.sink.Put(ctx, worker, o)
		return nil
	})
	if err != nil { // a belongs to who does not return
		return answer{err: err}
	}
	return a
}

// take puts instances that have to be taken, as the first worker.
func (tr *trial) take(items ...*item) error {
	for _, i := range items {
		if a := tr.put(0, i.outgoing()); !a.taken() {
			return fmt.Errorf("%s is not taken: %s", i.uid, a)
		}
	}
	return nil
}

// commit makes durable what was acknowledged.
func (tr *trial) commit() error {
	return tr.do("Commit", func() error {
		if err := tr.sink.Commit(); err != nil {
			return fmt.Errorf("Commit: %w", err)
		}
		return nil
	})
}

// hangUp ends what connects the sink to its destination.
func (tr *trial) hangUp(ctx context.Context) error {
	return tr.do("HangUp", func() error {
		tr.sink.HangUp(ctx)
		return nil
	})
}

// end ends a run that has put all it could.
func (tr *trial) end() error {
	if err := tr.hangUp(tr.ctx); err != nil {
		return err
	}
	return tr.commit()
}

// holdsExactly ends the run and looks whether the destination has these instances and no other.
func (tr *trial) holdsExactly(want ...*item) error {
	if err := tr.end(); err != nil {
		return err
	}
	return tr.has(want, nil)
}

// has looks whether the destination has the instances that are wanted, and no others than those that may be there.
func (tr *trial) has(want, may []*item) error {
	if tr.Quiet != nil {
		ctx, cancel := context.WithTimeout(tr.ctx, tr.grace)
		defer cancel()
		if err := tr.Quiet(ctx); err != nil {
			return fmt.Errorf("something is still open to the destination: %w", err)
		}
	}
	held, err := tr.Held()
	if err != nil {
		return err
	}
	return compare(held, want, may)
}

// crash ends the sink as the end of its process does, and goes on with that of the next run.
func (tr *trial) crash() {
	tr.sink = tr.Crash()
	tr.all = append(tr.all, tr.sink)
}
