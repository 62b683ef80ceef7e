// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
)

// SeenBeat is when a member's beat was first seen at a value, by this process's monotonic clock.
type SeenBeat struct {
	Beat int64
	At   time.Time
}

// Watcher looks at the beats of the other members in the name of one incarnation of this one. One goroutine at a time.
type Watcher struct {
	svc   *Service
	heart *Heartbeat
	self  uuid.UUID
	lease time.Duration
	beat  time.Duration // how often members beat

	seen       map[uuid.UUID]SeenBeat
	looked     time.Time // when the last look that was answered began
	tidied     time.Time
	leftBehind int64 // slots of the dead that were still counted
	gone       bool  // a member has gone whose tasks may not be pending yet
}

// NewWatcher returns one that has seen nothing. It has to be replaced after any time in which this member itself was
// not healthy: the silence of others proves nothing then.
func (svc *Service) NewWatcher(heart *Heartbeat, self uuid.UUID, lease, beat time.Duration) *Watcher {
	return &Watcher{svc: svc, heart: heart, self: self, lease: lease, beat: beat, seen: map[uuid.UUID]SeenBeat{}}
}

const (
	looksPerLease = 20
	longestLook   = 250 * time.Millisecond // between two looks at somebody
)

// Look fences the members whose beat stood still for a whole lease by this process's own clock. next is after how long
// to look again: often where there is somebody to look at, else with each beat. freed: tasks or slots of a member that
// has gone may be claimed now. ErrFenced: this member itself was declared dead.
func (w *Watcher) Look(ctx context.Context) (next time.Duration, freed bool, err error) {
	often := min(longestLook, w.lease/looksPerLease)
	began := time.Now()
	if began.Sub(w.looked) > w.lease/2 { // this process was away itself
		clear(w.seen)
	}
	short, cancel := context.WithTimeout(ctx, w.beat) // the beat may have to wait for it
	defer cancel()
	members, err := w.heart.lookAround(short)
	if err != nil {
		clear(w.seen)
		return often, false, err
	}
	w.looked = began
	fenced, err := w.compare(ctx, began, members)
	if err != nil {
		return often, false, err
	}
	now := members[0] // compare has found ourselves
	freed = fenced || now.LeftBehind < w.leftBehind
	w.leftBehind = now.LeftBehind
	if fenced || now.ExpireIn <= 0 || time.Since(w.tidied) >= w.beat {
		if err := w.svc.Tidy(ctx); err != nil {
			return often, freed, err
		}
		if w.tidied = time.Now(); now.ExpireIn <= 0 {
			w.leftBehind, freed = 0, true
		}
	}
	if w.gone {
		left, err := w.svc.Q.FencedMembersWithTasks(ctx)
		if err != nil {
			return often, freed, err
		}
		w.gone = len(left) > 0
		freed = freed || !w.gone
	}
	switch {
	case len(members) > 1 || fenced || w.gone:
		return often, freed, nil
	case now.LeftBehind > 0:
		return min(w.beat, max(often, time.Duration(now.ExpireIn*float64(time.Second)))), freed, nil
	}
	return w.beat, freed, nil
}

// compare holds the beats against those that were seen before, and reports whether it has fenced somebody.
func (w *Watcher) compare(ctx context.Context, began time.Time, members []db.LookAroundRow) (fenced bool, err error) {
	left := maps.Clone(w.seen)
	alive := false
	for _, m := range members {
		if m.ID == w.self {
			alive = true
			continue
		}
		delete(left, m.ID)
		last, known := w.seen[m.ID]
		switch {
		case !known || last.Beat != m.Beat:
			w.seen[m.ID] = SeenBeat{Beat: m.Beat, At: time.Now()}
			continue
		case began.Sub(last.At) < w.lease:
			continue
		}
		n, err := w.svc.Q.FenceMember(ctx, db.FenceMemberParams{ID: m.ID, Beat: m.Beat})
		if err != nil {
			return fenced, err
		}
		delete(w.seen, m.ID)
		if n > 0 {
			fenced = true
			w.svc.Log.WarnContext(ctx, "a member stopped beating and was fenced", "member", m.ID, "name", m.Name)
		}
	}
	if !alive {
		return fenced, fault.ErrFenced
	}
	for id := range left { // it has signed off, or somebody else has fenced it, and gives its tasks back
		delete(w.seen, id)
		w.gone = true
	}
	return fenced, nil
}
