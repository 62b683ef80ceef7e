// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"time"

	"github.com/google/uuid"

	"github.com/adit-go/adit/engine/lease"
)

// Messages are immutable. Those that report the end of blocking work name the incarnation for which it was done: what
// comes from an earlier one is ignored.
type (
	tick        struct{} // time to beat, and to look for work
	wake        struct{} // there may be work
	cancelTasks struct{ ids []int64 }
	// no new work; what runs stops between two series, and after the grace at the next instance
	drain struct{ grace time.Duration }
	cut   struct{} // what still runs stops now

	registered struct {
		member uuid.UUID
		err    error
	}
	beaten struct {
		member  uuid.UUID
		sent    time.Time
		held    []lease.HeldTask
		revoked map[lease.Held]*lease.RevokedError // of those, the ones whose owner may not go on
		err     error
		after   error // of what is done with each beat
	}
	seen struct {
		member  uuid.UUID
		folders []int64 // that it sees
		changed bool
		err     error
	}
	look   struct{} // time to look at the other members
	looked struct {
		watcher *lease.Watcher // as which incarnation, and since when
		next    time.Duration
		freed   bool // tasks or slots of a member that has gone may be claimed
		err     error
	}
	claimed struct {
		member uuid.UUID
		held   lease.Held
		ok     bool
		again  time.Duration // 0, or when a rate or a window may allow a task
		err    error
	}
	steer   struct{} // running tasks may have to stop for now
	steered struct {
		member uuid.UUID
		orders lease.Orders
		err    error
	}
	probed struct {
		asked bool
		err   error
	}

	cancelTask struct{ cause error } // to a task actor
	orderTask  struct{ order lease.Order }
	ran        struct{} // from a task actor's own goroutine
)
