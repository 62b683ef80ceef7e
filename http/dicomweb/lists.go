// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"context"
	"sync"
	"time"
)

// list is what a search has found, row by row as it goes out.
type list struct {
	rows  [][]byte
	bytes int
	cut   bool // there is more than this

	unheeded []string // keywords of what the server did not match by
}

// result is a list, or why there is none.
type result struct {
	list

	err error
}

// page returns the rows that were asked for, and whether there are some that nobody gets.
func (l list) page(q asked) (rows [][]byte, more bool) {
	from := min(q.offset, len(l.rows))
	to := len(l.rows)
	if q.limit > 0 {
		to = from + min(to-from, q.limit)
	}
	return l.rows[from:to], l.cut && to == len(l.rows)
}

// How long a list is kept for its next page, and how much all of them may take.
const (
	kept      = time.Minute
	mostBytes = 64 << 20
)

// lists keeps what was found for a while, so that pages are parts of one list, and has requests for the same share one
// search.
type lists struct {
	mu    sync.Mutex
	all   map[string]*entry
	bytes int
}

// entry is a search, under way or done.
type entry struct {
	cancel  context.CancelFunc
	waiting int           // requests
	done    chan struct{} // closed when there is a result
	got     result
	ended   time.Time
}

func newLists() *lists { return &lists{all: map[string]*entry{}} }

// get gives the result of a search: of one that was made a moment ago, or is under way, else of a new one. That ends
// when nobody waits for it any more.
func (l *lists) get(ctx context.Context, key string, find func(context.Context) (list, error)) <-chan result {
	e := l.join(ctx, key, find)
	out := make(chan result, 1)
	go func() {
		select {
		case <-e.done:
			out <- e.got
		case <-ctx.Done():
			out <- result{err: ctx.Err()}
		}
		l.leave(key, e)
	}()
	return out
}

// join counts a request among those who wait for a search, and begins it if there is none.
func (l *lists) join(ctx context.Context, key string, find func(context.Context) (list, error)) *entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop(time.Now())
	if e := l.all[key]; e != nil {
		e.waiting++
		return e
	}
	searching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e := &entry{cancel: cancel, waiting: 1, done: make(chan struct{})}
	l.all[key] = e
	go func() {
		defer cancel()
		found, err := find(searching)
		l.mu.Lock()
		defer l.mu.Unlock()
		e.got, e.ended = result{found, err}, time.Now()
		if l.all[key] == e {
			if err != nil || found.bytes > mostBytes/4 {
				delete(l.all, key) // the next one asks again
			} else {
				l.bytes += found.bytes
			}
		}
		close(e.done)
	}()
	return e
}

// leave ends a search that nobody waits for.
func (l *lists) leave(key string, e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.waiting--; e.waiting == 0 && e.ended.IsZero() {
		e.cancel()
		if l.all[key] == e {
			delete(l.all, key)
		}
	}
}

// drop forgets what is too old, and the oldest where all of them are too large.
func (l *lists) drop(now time.Time) {
	for {
		var oldest string
		for key, e := range l.all {
			if e.ended.IsZero() {
				continue
			}
			if now.Sub(e.ended) > kept {
				l.forget(key)
			} else if oldest == "" || e.ended.Before(l.all[oldest].ended) {
				oldest = key
			}
		}
		if l.bytes <= mostBytes || oldest == "" {
			return
		}
		l.forget(oldest)
	}
}

func (l *lists) forget(key string) {
	l.bytes -= l.all[key].got.bytes
	delete(l.all, key)
}
