// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/adit-go/adit/engine/sink"
)

// whole: all instances that all workers put, in every transfer syntax, from every kind of reader, are there byte for
// byte, under their own UIDs, whatever is committed meanwhile.
func whole(tr *trial) error {
	accepted, err := tr.begin(study()...)
	if err != nil {
		return err
	}
	items := slices.Concat(study()...)
	if !slices.Contains(accepted[items[0].class], items[0].syntax) {
		return fmt.Errorf("the destination does not take SOP class %s in transfer syntax %s; the suite needs that",
			items[0].class, items[0].syntax)
	}
	queue := make(chan *sink.Outgoing, len(items))
	var taken []*item
	for n, i := range items {
		if !slices.Contains(accepted[i.class], i.syntax) {
			continue
		}
		shape := shapes[n%len(shapes)]
		if len(i.data) > 1<<20 {
			shape = shapes[1]
		}
		queue <- i.outgoingFrom(func() io.Reader { return shape(i.data) }, n%2 == 0)
		taken = append(taken, i)
	}
	close(queue)
	if err := tr.putAll(queue); err != nil {
		return err
	}
	return tr.holdsExactly(taken...)
}

// putAll lets all workers of the sink put what is queued, and commits whenever something was acknowledged.
func (tr *trial) putAll(queue <-chan *sink.Outgoing) error {
	n := tr.sink.Workers()
	if n < 1 {
		return fmt.Errorf("the sink has %d workers", n)
	}
	receipts, failed := make(chan struct{}, 1), make(chan error, n+1)
	var workers, ledger sync.WaitGroup
	ledger.Go(func() {
		for range receipts {
			if err := tr.commit(); err != nil {
				failed <- err
				break
			}
		}
		for range receipts { // the workers are not to wait
		}
	})
	var first sync.WaitGroup // of what each worker puts: none has put all before another has begun
	first.Add(n)
	for w := range n {
		workers.Go(func() { failed <- tr.work(w, queue, receipts, &first) })
	}
	workers.Wait()
	close(receipts)
	ledger.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// work is what a worker does. One that finds no place beside the others leaves.
func (tr *trial) work(worker int, queue <-chan *sink.Outgoing, receipts chan<- struct{}, first *sync.WaitGroup) error {
	begun := sync.OnceFunc(first.Done)
	defer begun()
	if worker > 0 {
		if err := tr.do("Enter", func() error { return tr.sink.Enter(tr.ctx, worker) }); err != nil {
			return tr.leave(worker)
		}
	}
	for o := range queue {
		if a := tr.put(worker, o); !a.taken() {
			return fmt.Errorf("worker %d: %s is not taken: %s", worker, o.UID, a)
		}
		receipts <- struct{}{}
		begun()
		first.Wait()
	}
	return nil
}

// leave gives back what a worker holds.
func (tr *trial) leave(worker int) error {
	return tr.do("Leave", func() error {
		if err := tr.sink.Leave(tr.ctx, worker); err != nil {
			return fmt.Errorf("Leave of worker %d: %w", worker, err)
		}
		return nil
	})
}

// notTaken: Prepare names nothing that was not proposed; what it names is taken, and what it does not name is not
// there, which is the destination's answer to that instance alone.
func notTaken(tr *trial) error {
	accepted, err := tr.begin(study()...)
	if err != nil {
		return err
	}
	var taken []*item
	for _, series := range study() {
		i := series[0]
		a := tr.put(0, i.outgoing())
		_, isRefused := a.refused()
		switch named := slices.Contains(accepted[i.class], i.syntax); {
		case named != a.taken():
			return fmt.Errorf("SOP class %s in transfer syntax %s: accepted by Prepare is %t, and Put returns %s",
				i.class, i.syntax, named, a)
		case !named && !isRefused:
			return fmt.Errorf(
				"SOP class %s in transfer syntax %s is not taken, and Put returns that the sink failed: %s",
				i.class, i.syntax, a,
			)
		case named:
			taken = append(taken, i)
		}
	}
	return tr.holdsExactly(taken...)
}

// preparedAnew: Prepare comes again when the study has grown, and what was taken before is still taken.
func preparedAnew(tr *trial) error {
	ct, reports := study()[ofCT], study()[ofReports]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	if err := tr.take(ct[0]); err != nil {
		return err
	}
	accepted, err := tr.prepare(ct, reports)
	if err != nil {
		return err
	}
	want := []*item{ct[0], ct[1]}
	if slices.Contains(accepted[reports[0].class], reports[0].syntax) {
		want = append(want, reports[0])
	}
	if err := tr.take(want[1:]...); err != nil {
		return fmt.Errorf("after it was prepared anew: %w", err)
	}
	return tr.holdsExactly(want...)
}

// slots: it has a worker for each slot, or several, and takes others in their place while nothing is open.
func slots(tr *trial) error {
	ct := study()[ofCT]
	own := tr.sink.Slots()
	expect := func(n int) error {
		if workers := tr.sink.Workers(); workers < max(1, n) || workers%max(1, n) != 0 {
			return fmt.Errorf("the sink has %d workers over %d slots", tr.sink.Workers(), n)
		}
		return nil
	}
	if err := expect(len(own)); err != nil {
		return err
	}
	tr.sink.SetSlots(nil)
	if n := len(tr.sink.Slots()); n > 0 {
		return fmt.Errorf("the sink keeps %d slots that were taken from it", n)
	}
	want := ct[:1]
	if len(own) > 0 {
		tr.sink.SetSlots(own[:1])
		if err := errors.Join(expect(1), tr.start()); err != nil {
			return err
		}
		if _, err := tr.prepare(ct); err != nil {
			return err
		}
		if err := errors.Join(tr.take(ct[0]), tr.hangUp(tr.ctx)); err != nil {
			return err
		}
		want = ct[:2]
	} else if err := tr.start(); err != nil {
		return err
	}
	tr.sink.SetSlots(own)
	if !slices.Equal(tr.sink.Slots(), own) {
		return errors.New("the sink has other slots than it was given")
	}
	if _, err := tr.prepare(ct); err != nil {
		return err
	}
	if err := errors.Join(expect(len(own)), tr.take(want[len(want)-1])); err != nil {
		return err
	}
	return tr.holdsExactly(want...)
}

// workersComeAndGo: a worker enters, puts and leaves, and one that can't enter leaves, while the first one puts all the
// time.
func workersComeAndGo(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	queue, first := make(chan *item), make(chan error, 1)
	go func() {
		var err error
		for i := range queue {
			if err != nil {
				continue
			}
			once := i.outgoingFrom(func() io.Reader { return bytes.NewReader(i.data) }, false)
			if a := tr.put(0, once); !a.taken() {
				err = fmt.Errorf("%s is not taken from the first worker: %s", i.uid, a)
			}
		}
		first <- err
	}()
	others, firsts, err := tr.comeAndGo(queue, ct)
	close(queue)
	if err := errors.Join(err, <-first); err != nil {
		return err
	}
	return tr.holdsExactly(append(others, firsts...)...)
}

const fewWorkers = 5 // are enough to come and go

// comeAndGo gives the first worker something to put between all that the others do. It returns what those have put, and
// what the first has.
func (tr *trial) comeAndGo(first chan<- *item, ct []*item) (others, firsts []*item, err error) {
	ended, cancel := context.WithCancel(tr.ctx)
	cancel()
	meanwhile := func() {
		first <- ct[len(firsts)]
		firsts = ct[:len(firsts)+1]
	}
	for worker := 1; worker < min(tr.sink.Workers(), fewWorkers); worker++ {
		ctx := tr.ctx
		if worker > 1 { // no place for this one
			ctx = ended
		}
		meanwhile()
		if err := tr.do("Enter", func() error { return tr.sink.Enter(ctx, worker) }); err == nil {
			mine := ct[len(ct)-1-len(others)]
			others = append(others, mine)
			if a := tr.put(worker, mine.outgoing()); !a.taken() {
				return nil, nil, fmt.Errorf("worker %d: %s is not taken: %s", worker, mine.uid, a)
			}
		}
		meanwhile()
		if err := tr.leave(worker); err != nil {
			return nil, nil, err
		}
		meanwhile()
	}
	return others, firsts, nil
}
