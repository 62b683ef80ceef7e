// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"context"
	"sync"
)

// Stop holds a PACS at one point, for tests: give its Gate to Config, wait for Reached, then Release.
type Stop struct {
	kind    EventKind
	number  int
	once    sync.Once
	reached chan Event
	release func()
	going   chan struct{}
}

// StopAt makes a Stop for the first event of a kind with a number (Event.Number); any number if it is 0.
func StopAt(kind EventKind, number int) *Stop {
	s := &Stop{kind: kind, number: number, reached: make(chan Event, 1), going: make(chan struct{})}
	s.release = sync.OnceFunc(func() { close(s.going) })
	return s
}

// Gate is for Config.Gate. It holds the first that comes to the point until Release, or until its association ends.
func (s *Stop) Gate(ctx context.Context, e Event) {
	if e.Kind != s.kind || s.number != 0 && e.Number != s.number {
		return
	}
	s.once.Do(func() { // whoever comes to the point meanwhile waits, too
		s.reached <- e
		select {
		case <-s.going:
		case <-ctx.Done():
		}
	})
}

// Reached returns the event when the point is reached.
func (s *Stop) Reached() <-chan Event { return s.reached }

// Release lets the PACS go on, and stop nowhere again.
func (s *Stop) Release() { s.release() }
