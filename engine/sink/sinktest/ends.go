// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/sink"
)

// gone: nothing that is there is told to be gone. What is not there any more, or not as it was written, is, by its UID
// at the source, where that can be told.
func gone(tr *trial) error {
	ct := study()[ofCT]
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	var rows []db.DeliveredRow
	for _, i := range ct[:6] {
		o := i.outgoing()
		a := tr.put(0, o)
		if !a.taken() {
			return fmt.Errorf("%s is not taken: %s", i.uid, a)
		}
		rows = append(rows, i.row(o, a.status))
	}
	if err := tr.end(); err != nil {
		return err
	}
	if err := tr.goneAre(rows); err != nil {
		return err
	}
	var lost []string
	want := ct[:6]
	if tr.Lose != nil {
		tr.Lose(ct[1].uid)
		lost, want = append(lost, ct[1].sourceUID()), slices.Concat(ct[:1], ct[2:6])
	}
	if tr.Cut != nil {
		tr.Cut(ct[4].uid)
		lost = append(lost, ct[4].sourceUID())
	}
	if err := tr.goneAre(rows, lost...); err != nil {
		return err
	}
	if tr.Cut != nil { // it is there, and not as it was put
		return nil
	}
	return tr.has(want, nil)
}

// goneAre asks the sink what is gone.
func (tr *trial) goneAre(rows []db.DeliveredRow, want ...string) error {
	return tr.do("Gone", func() error {
		told, err := tr.sink.Gone(tr.ctx, rows)
		if err != nil {
			return fmt.Errorf("Gone: %w", err)
		}
		slices.Sort(told)
		slices.Sort(want)
		if !slices.Equal(told, want) {
			return fmt.Errorf(
				"of %d instances that were delivered, %v are gone, and Gone returns %v", len(rows), want, told,
			)
		}
		return nil
	})
}

// endedAnyTime: HangUp, Commit and Close may come at any time, and twice; what was acknowledged is there, and nothing
// is open afterwards.
func endedAnyTime(tr *trial) error {
	ct := study()[ofCT]
	if err := errors.Join(tr.commit(), tr.end(), tr.end()); err != nil {
		return fmt.Errorf("before Begin: %w", err)
	}
	if err := errors.Join(tr.start(), tr.end()); err != nil {
		return fmt.Errorf("before Prepare: %w", err)
	}
	if _, err := tr.prepare(ct); err != nil {
		return err
	}
	if err := tr.take(ct[:2]...); err != nil {
		return err
	}
	if err := errors.Join(tr.end(), tr.end()); err != nil {
		return err
	}
	if err := tr.has(ct[:2], nil); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(tr.ctx)
	cancel()
	for _, ctx := range []context.Context{tr.ctx, tr.ctx, ended} {
		if err := tr.closeWithin(ctx); err != nil {
			return err
		}
	}
	return tr.has(ct[:2], nil)
}

// closeWithin ends all that is open, and then HangUp once more.
func (tr *trial) closeWithin(ctx context.Context) error {
	err := tr.do("Close", func() error {
		tr.sink.Close(ctx)
		return nil
	})
	return errors.Join(err, tr.hangUp(ctx))
}

// closedUnopened: Close may come though nothing was opened: before Begin, and after a Prepare that failed.
func closedUnopened(tr *trial) error {
	if err := errors.Join(tr.closeWithin(tr.ctx), tr.closeWithin(tr.ctx)); err != nil {
		return err
	}
	if tr.Crash != nil { // a sink that was not closed yet
		tr.crash()
	}
	ended, cancel := context.WithCancel(tr.ctx)
	cancel()
	err := tr.do("Prepare", func() error {
		_, _ = tr.sink.Prepare(ended, kindsOf(study()[ofCT])) // it may fail
		return nil
	})
	if err := errors.Join(err, tr.closeWithin(ended), tr.closeWithin(tr.ctx)); err != nil {
		return err
	}
	return tr.has(nil, nil)
}

// oddlyNamed: whatever values there are to make names of, what was acknowledged is there, below the root, and nothing
// beside it. What should be a UID and is none is refused.
func oddlyNamed(tr *trial) error {
	ct := study()[ofCT]
	before, err := beside(tr.Root)
	if err != nil {
		return err
	}
	if _, err := tr.begin(ct); err != nil {
		return err
	}
	items := oddNames(ct)
	if err := tr.take(items...); err != nil {
		return err
	}
	for _, none := range noUIDs {
		for k, set := range []func(o *sink.Outgoing){
			func(o *sink.Outgoing) { o.UID = none }, func(o *sink.Outgoing) { o.Names.Series, o.Series = none, none },
			func(o *sink.Outgoing) { o.Names.Study = none },
		} {
			o := ct[k].outgoing()
			set(o)
			a := tr.put(0, o)
			if _, ok := a.refused(); !ok {
				return fmt.Errorf("an instance says that %q is a UID, and Put returns %s", none, a)
			}
		}
	}
	if err := tr.take(ct[3]); err != nil {
		return fmt.Errorf("after what should be a UID was none: %w", err)
	}
	if err := tr.holdsExactly(append(items, ct[3])...); err != nil {
		return err
	}
	after, err := beside(tr.Root)
	if err != nil {
		return err
	}
	if !slices.Equal(before, after) {
		return fmt.Errorf(
			"there is something beside the root that was not there before: %q, before that %q", after, before,
		)
	}
	return nil
}

// beside lists all that lies beside a directory, in the one that it is in.
func beside(root string) (paths []string, err error) {
	err = filepath.WalkDir(filepath.Dir(root), func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, os.ErrNotExist): // it went away meanwhile
			return nil
		case err != nil:
			return err
		case path == root:
			return fs.SkipDir
		}
		paths = append(paths, path)
		return nil
	})
	return paths, err
}
