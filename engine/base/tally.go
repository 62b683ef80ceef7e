// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"errors"
	"sync"
	"time"
)

// Tally counts by kind what may come at any rate, until it is written down. It is safe for concurrent use.
type Tally[K comparable] struct {
	most int       // kinds that are counted apart between two times of writing down
	rest func(K) K // the kind that one beyond these is counted as

	mu     sync.Mutex
	counts map[K]Sightings
}

// Sightings is how often something came, and when.
type Sightings struct {
	N, Kept     int64
	first, last time.Time
}

// FirstAge returns how long ago the first one came, in seconds: the database's clock is not this process's.
func (c Sightings) FirstAge() float64 { return time.Since(c.first).Seconds() }

// LastAge returns how long ago the last one came, in seconds.
func (c Sightings) LastAge() float64 { return time.Since(c.last).Seconds() }

// NewTally returns a tally of so many kinds at the most. rest is the kind that any other one is counted as.
func NewTally[K comparable](most int, rest func(K) K) *Tally[K] {
	return &Tally[K]{most: most, rest: rest, counts: map[K]Sightings{}}
}

// One counts one; kept: it was kept.
func (t *Tally[K]) One(of K, kept bool) {
	c := Sightings{N: 1, first: time.Now()}
	if c.last = c.first; kept {
		c.Kept = 1
	}
	t.add(of, c)
}

func (t *Tally[K]) add(of K, c Sightings) {
	t.mu.Lock()
	defer t.mu.Unlock()
	known, is := t.counts[of]
	if !is && len(t.counts) >= t.most {
		of = t.rest(of)
		known, is = t.counts[of]
	}
	if !is {
		known.first = c.first
	}
	if c.first.Before(known.first) {
		known.first = c.first
	}
	if c.last.After(known.last) {
		known.last = c.last
	}
	known.N, known.Kept = known.N+c.N, known.Kept+c.Kept
	t.counts[of] = known
}

// Take returns what was counted, and begins anew.
func (t *Tally[K]) Take() map[K]Sightings {
	t.mu.Lock()
	defer t.mu.Unlock()
	counts := t.counts
	t.counts = map[K]Sightings{}
	return counts
}

// Flush writes down what was counted since the last time. What can't be written now is kept for the next time, and
// keeps nothing else.
func (t *Tally[K]) Flush(write func(K, Sightings) error) error {
	var failed error
	for of, c := range t.Take() {
		if err := write(of, c); err != nil {
			failed = errors.Join(failed, err)
			t.add(of, c)
		}
	}
	return failed
}
