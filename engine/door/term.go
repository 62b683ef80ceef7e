// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// ErrFenced says that others may run by now what this incarnation of the member ran.
var ErrFenced = errors.New("the task now belongs to another process")

// term is how long an incarnation may write to anybody. A process that was frozen, or a machine that slept, wakes in the
// middle of what it did: only a look at the clock right before each write keeps it from going on.
type term struct {
	until atomic.Int64 // nanoseconds since begun by the monotonic clock; 0: for ever
}

var begun = time.Now()

const over = 1 // of a term that is not extended any more

// check returns ErrFenced when the term is over. A slot that was taken before there was a member has none.
func (t *term) check() error {
	if t == nil {
		return nil
	}
	if until := t.until.Load(); until != 0 && int64(time.Since(begun)) > until {
		return ErrFenced
	}
	return nil
}

// Extend says until when an incarnation may write.
func (d *Door) Extend(member uuid.UUID, until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.terms[member]; t != nil && t.until.Load() != over {
		t.until.Store(max(over, int64(until.Sub(begun))))
	}
}

// Fence says that an incarnation may write nothing any more.
func (d *Door) Fence(member uuid.UUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.terms[member]; t != nil {
		t.until.Store(over)
	}
}

// Guard returns what reports whether an incarnation may still write, to be asked right before it does.
func (d *Door) Guard(member uuid.UUID) func() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.terms[member].check
}
