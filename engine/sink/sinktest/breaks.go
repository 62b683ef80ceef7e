// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/adit-go/adit/db"
)

// afterCrash: what was acknowledged before Commit is there whatever ends the process, and the next run finds it, goes
// on, and may put again what it does not know of.
func afterCrash(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	committed, lost, rest := ct[:6], ct[6:8], ct[8:12]
	var rows []db.DeliveredRow
	for _, i := range committed {
		o := i.outgoing()
		a := tr.put(0, o)
		if !a.taken() {
			return fmt.Errorf("%s is not taken: %s", i.uid, a)
		}
		rows = append(rows, i.row(o, a.status))
	}
	if err := errors.Join(tr.commit(), tr.take(lost...)); err != nil {
		return err
	}
	tr.crash()
	if err := tr.has(committed, lost); err != nil {
		return fmt.Errorf("after a crash: %w", err)
	}
	if err := tr.goneAre(rows); err != nil {
		return fmt.Errorf("the next run, after a crash: %w", err)
	}
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	for _, i := range committed[4:] { // of which the ledger may not know
		if err := tr.again(i); err != nil {
			return err
		}
	}
	for _, i := range lost {
		if err := tr.again(i); err != nil {
			return err
		}
	}
	if err := tr.take(rest...); err != nil {
		return err
	}
	return tr.holdsExactly(ct[:12]...)
}

// errSource is why a source breaks off.
var errSource = errors.New("the source broke off")

// brokenSource: an instance whose source breaks off is an error, and leaves nothing that looks whole: not even if all
// bytes had come, or if the error wraps io.EOF. It may come again, and others go on.
func brokenSource(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	size := len(ct[0].data)
	var want []*item
	next := 0
	for _, after := range []int{0, 1, size / 2, size} {
		for _, why := range []error{errSource, io.ErrUnexpectedEOF, fmt.Errorf("the connection was lost: %w", io.EOF)} {
			cut, good := ct[next], ct[next+1]
			next += 2
			o := cut.outgoingFrom(cut.broken(min(after, len(cut.data)), why), false)
			if a := tr.put(0, o); !a.failed() {
				return fmt.Errorf(
					"the source broke off after %d of %d bytes (%w), and Put returns %s", after, size, why, a,
				)
			}
			if err := tr.take(good); err != nil {
				return fmt.Errorf("after the source of another instance broke off: %w", err)
			}
			want = append(want, good)
		}
	}
	if err := tr.take(ct[4]); err != nil {
		return fmt.Errorf("after its source had broken off: %w", err)
	}
	return tr.holdsExactly(append(want, ct[4])...)
}

// openedOnce: the data set is opened by Put, and anew only if that is allowed, or nothing was read before.
func openedOnce(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	for n, i := range ct[:4] {
		w, again := &watched{item: i}, n%2 == 0
		a := tr.put(0, i.outgoingFrom(w.open, again))
		if !a.taken() {
			return fmt.Errorf("%s is not taken: %s", i.uid, a)
		}
		if err := w.misused(again); err != nil {
			return err
		}
	}
	return tr.holdsExactly(ct[:4]...)
}

// brokenConnection: an instance within which the connection breaks is either there, sent anew from its beginning, or an
// error. What can't come again is an error, and others go on.
func brokenConnection(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	want := []*item{ct[0]}
	if err := tr.take(ct[0]); err != nil {
		return err
	}
	for n, again := range []bool{false, true, false} {
		i, next := ct[1+2*n], ct[2+2*n]
		tr.Break()
		w := &watched{item: i}
		a := tr.put(0, i.outgoingFrom(w.open, again))
		switch {
		case !again && !a.failed():
			return fmt.Errorf("the connection broke within %s, which can't come again, and Put returns %s", i.uid, a)
		case a.taken():
			want = append(want, i)
		case !a.failed():
			return fmt.Errorf("the connection broke within %s, and Put returns %s", i.uid, a)
		}
		if err := w.misused(again); err != nil {
			return err
		}
		if err := tr.take(next); err != nil {
			return fmt.Errorf("after the connection broke: %w", err)
		}
		want = append(want, next)
	}
	return tr.holdsExactly(want...)
}

// droppedConnection: a connection that was dropped while nothing was put costs no instance that can come again.
func droppedConnection(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	for _, i := range ct[:3] {
		if err := tr.take(i); err != nil {
			return fmt.Errorf("after the connection was dropped: %w", err)
		}
		tr.Drop()
	}
	return tr.holdsExactly(ct[:3]...)
}

// endedContext: what Put returns when its context has ended is true. A source that ends with the context is one that
// breaks off, and what comes later, with a context that lasts, goes on.
func endedContext(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(tr.ctx)
	cancel()
	want := []*item{ct[1], ct[3]}
	if a := tr.putWithin(ended, 0, ct[0].outgoing()); a.taken() {
		want = append(want, ct[0])
	}
	if err := tr.take(ct[1]); err != nil {
		return fmt.Errorf("after a context that had ended: %w", err)
	}
	ctx, cancel := context.WithCancel(tr.ctx)
	defer cancel()
	r := &endingReader{ctx: ctx, cancel: cancel, left: ct[2].data[:len(ct[2].data)/2]}
	if a := tr.putWithin(ctx, 0, ct[2].outgoingFrom(func() io.Reader { return r }, false)); !a.failed() {
		return fmt.Errorf("the context ended in the middle of the source, and Put returns %s", a)
	}
	if err := tr.take(ct[3]); err != nil {
		return fmt.Errorf("after a context that ended: %w", err)
	}
	if err := tr.hangUp(ended); err != nil {
		return err
	}
	return tr.holdsExactly(want...)
}

// endingReader reads what is left, then ends a context, and breaks off with it.
type endingReader struct {
	ctx    context.Context
	cancel context.CancelFunc
	left   []byte
}

func (r *endingReader) Read(b []byte) (int, error) {
	if len(r.left) > 0 {
		n := copy(b, r.left)
		r.left = r.left[n:]
		return n, nil
	}
	r.cancel()
	return 0, context.Cause(r.ctx)
}

// stalled: Put ends with its context where the destination answers nothing any more, when all of an instance has come
// to it and when little of it has; others go on.
func stalled(tr *trial) error {
	ct, large := study()[ofCT], study()[ofLarge]
	accepted, err := tr.begin(ct, large)
	if err != nil {
		return err
	}
	want, stuck := []*item{ct[0]}, []*item{ct[1]}
	if err := tr.take(ct[0]); err != nil {
		return err
	}
	if slices.Contains(accepted[large[0].class], large[0].syntax) {
		stuck = append(stuck, large[0])
	}
	for n, i := range stuck {
		if a := tr.putStalled(i); !a.failed() {
			return fmt.Errorf("the destination answers nothing, and Put returns %s", a)
		} else if tr.ctx.Err() != nil {
			return a.err
		}
		if err := tr.take(ct[2+n]); err != nil {
			return fmt.Errorf("after the destination had stalled: %w", err)
		}
		want = append(want, ct[2+n])
	}
	if err := tr.end(); err != nil {
		return err
	}
	return tr.has(want, stuck)
}

// putStalled puts an instance that the destination does not answer, and ends its context when something of it has come
// there.
func (tr *trial) putStalled(i *item) answer {
	came := tr.Stall()
	ctx, cancel := context.WithCancel(tr.ctx)
	defer cancel()
	go func() {
		select {
		case <-came:
			cancel()
		case <-ctx.Done():
		}
	}()
	return tr.putWithin(ctx, 0, i.outgoing())
}
