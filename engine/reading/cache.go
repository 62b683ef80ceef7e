// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/adit-go/adit/dicom/stream"
)

// Cache is the folder of series that somebody reads: as their server sent them, one file each, which only the user who
// runs ADIT can read. It is safe for concurrent use.
type Cache struct {
	id   uuid.UUID
	dir  string
	max  int64
	gone func(seriesKey) // is told of what is not there any more; nil: nobody has to know

	mu   sync.Mutex
	used int64
	all  map[seriesKey]*entry
}

// seriesKey names a series of a server.
type seriesKey struct {
	server        int64
	study, series string
}

// How long a series is kept: since it was read last, and since it was fetched.
const (
	keptIdle = 15 * time.Minute
	keptMost = 2 * time.Hour
)

const suffix = ".series"

// OpenCache uses a folder of its own, which it makes, and empties. All files together have so many bytes at most.
func OpenCache(dir string, maxBytes int64) (*Cache, error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, fmt.Errorf("the folder of series that are read by DICOMweb can't be emptied: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the folder of series that are read by DICOMweb can't be created: %w", err)
	}
	return &Cache{id: uuid.New(), dir: dir, max: maxBytes, all: map[seriesKey]*entry{}}, nil
}

// ID is what the cache is known by to other members, until this one ends.
func (c *Cache) ID() uuid.UUID { return c.id }

// Used returns how many bytes it has.
func (c *Cache) Used() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.used
}

// ErrFull ends a retrieve for which there is no room.
var ErrFull = errors.New(
	"the series takes more room than is left for what is read by DICOMweb: try again when less is read, or have an " +
		"administrator give it more (--series-cache)",
)

// join returns the series, which its caller reads until leave. fetch is run, in a goroutine of its own, if it has to be
// got first; it ends with its context.
func (c *Cache) join(
	key seriesKey, counted int, fetch func(context.Context, *entry) error,
) (e *entry, there bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(time.Now(), 0)
	if e = c.all[key]; e != nil && e.enter() {
		return e, true, nil
	}
	f, err := c.create()
	if err != nil {
		return nil, false, err
	}
	e = newEntry(c, key, counted, &kept{File: f, cache: c})
	c.all[key] = e
	e.begin(fetch)
	return e, false, nil
}

// pass returns the series for one reader, who takes it from its beginning to its end: nobody else joins it, and nothing
// of it is kept. One that is there is taken from there.
func (c *Cache) pass(key seriesKey, counted int, fetch func(context.Context, *entry) error) (e *entry, there bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e = c.all[key]; e != nil && e.enter() {
		return e, true
	}
	e = newEntry(c, key, counted, &passing{cache: c})
	e.passing = true
	e.begin(fetch)
	return e, false
}

func newEntry(c *Cache, key seriesKey, counted int, b body) *entry {
	return &entry{
		cache: c, key: key, body: b, readers: 1, since: time.Now(), used: time.Now(), seen: time.Now(),
		counted: counted, byUID: map[string]int{}, changed: make(chan struct{}), at: map[*position]struct{}{},
	}
}

// begin has it fetched.
func (e *entry) begin(fetch func(context.Context, *entry) error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	e.cancel = cancel
	go func() {
		defer cancel(nil)
		e.end(fetch(ctx, e))
	}()
}

// unseen reports whether a series is there as a whole, and its server was not asked about it for a while. It is taken
// for seen then.
func (c *Cache) unseen(key seriesKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.all[key]
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.ended || time.Since(e.seen) < studyKept {
		return false
	}
	e.seen = time.Now()
	return true
}

// outgrown forgets a series that is there as a whole if its server counts more of it now than it did.
func (c *Cache) outgrown(key seriesKey, counted int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.all[key]; e != nil && e.countedLess(counted) {
		c.forget(e)
	}
}

// drop forgets what is too old, and, while more room is needed than there is, what was read longest ago. It never takes
// away what somebody reads. The lock must be held.
func (c *Cache) drop(now time.Time, room int64) {
	for {
		var oldest *entry
		for _, e := range c.all {
			idle, used, old := e.idle(now)
			switch {
			case old:
				c.forget(e)
			case idle && (oldest == nil || used.Before(oldest.lastUsed())):
				oldest = e
			}
		}
		if c.used+room <= c.max || oldest == nil {
			return
		}
		c.forget(oldest)
	}
}

// forget takes a series away: its file ends with its last reader. The lock must be held.
func (c *Cache) forget(e *entry) {
	if c.all[e.key] == e {
		delete(c.all, e.key)
		if c.gone != nil {
			go c.gone(e.key)
		}
	}
	c.used -= e.remove()
}

// take takes room for what is about to be written.
func (c *Cache) take(n int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.used+n > c.max {
		c.drop(time.Now(), n)
	}
	if c.used+n > c.max {
		return ErrFull
	}
	c.used += n
	return nil
}

// give gives room back.
func (c *Cache) give(n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= n
}

// Expire removes what nobody has read for a while.
func (c *Cache) Expire(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(now, 0)
}

// entry is a series on the disk, whole or on its way.
type entry struct {
	cache  *Cache
	key    seriesKey
	body   body
	cancel context.CancelCauseFunc

	passing bool // it is for one reader, and in no cache

	mu      sync.Mutex
	items   []item // in the order in which they came
	byUID   map[string]int
	size    int64 // bytes of the file
	counted int   // instances, as far as the server said so; -1: it doesn't
	ended   bool
	err     error // with which the fetch ended
	removed bool
	readers int
	since   time.Time // it is in the cache
	used    time.Time // last
	seen    time.Time // its server was asked for what it has of it
	at      map[*position]struct{}
	loose   bool // nobody's slowness holds the server back any more
	waiting int
	changed chan struct{} // closed at the next change, if somebody waits for one
}

// item is an instance of a series: a file as of PS3.10 within the entry's.
type item struct {
	class, uid, syntax string
	off                int64
	size               int64 // so far
	whole              bool
}

// position is how far somebody has read who reads a series from its beginning.
type position struct{ off int64 }

var (
	// errAbandoned ends a fetch that nobody waits for.
	errAbandoned = errors.New("nobody reads the series any more")
	errRemoved   = errors.New("the series was taken out of the cache")
)

// enter counts a reader; false: the series can't be read any more.
func (e *entry) enter() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed || e.err != nil {
		return false
	}
	e.readers++
	return true
}

// leave ends a reader. A fetch that nobody waits for any more is ended, unless the last reader has what it wanted: who
// looks at one instance will look at another one.
func (e *entry) leave(content bool) {
	e.mu.Lock()
	e.readers--
	e.used = time.Now()
	gone := e.readers == 0 && e.ended && (e.removed || e.passing)
	abandoned := e.readers == 0 && !e.ended && !content
	e.tell()
	e.mu.Unlock()
	if abandoned {
		time.AfterFunc(linger, e.abandon)
	}
	if gone {
		e.cache.give(e.close())
	}
}

// close ends its body, when nobody reads or writes it any more, and returns the room that it had.
func (e *entry) close() int64 {
	e.body.remove()
	n := e.body.held()
	_ = e.body.Close()
	return n
}

// linger is how long a fetch goes on without a reader: some clients give up one request and make another.
const linger = 300 * time.Millisecond

func (e *entry) abandon() {
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	e.mu.Lock()
	left := e.readers == 0 && !e.ended
	e.mu.Unlock()
	if left {
		e.cancel(errAbandoned)
	}
	if left && !e.passing {
		e.cache.forget(e)
	}
}

// idle reports whether nobody reads it and it is whole, since when, and whether it is too old to be kept.
func (e *entry) idle(now time.Time) (idle bool, used time.Time, old bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	idle = e.readers == 0 && e.ended
	return idle, e.used, idle && (now.Sub(e.used) > keptIdle || e.err != nil) || e.ended && now.Sub(e.since) > keptMost
}

func (e *entry) lastUsed() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.used
}

// remove takes it off the disk, and returns the room that this makes. Who reads it reads on, and keeps the room.
func (e *entry) remove() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.removed {
		return 0
	}
	e.removed = true
	e.body.remove()
	if e.readers == 0 && e.ended {
		return e.close()
	}
	return 0
}

// tell wakes who waits for a change. The lock must be held.
func (e *entry) tell() {
	if e.waiting > 0 {
		close(e.changed)
		e.changed, e.waiting = make(chan struct{}), 0
	}
}

// await waits for a change until the context ends. The lock must be held, and is held again afterwards.
func (e *entry) await(ctx context.Context) error {
	e.waiting++
	changed := e.changed
	e.mu.Unlock()
	defer e.mu.Lock()
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// end takes down how the fetch ended.
func (e *entry) end(err error) {
	if e.passing {
		if e.ends(err) {
			e.cache.give(e.close())
		}
		return
	}
	e.cache.mu.Lock()
	defer e.cache.mu.Unlock()
	if e.ends(err) {
		e.cache.used -= e.close()
	}
	if err != nil {
		e.cache.forget(e) // the next one asks again
	}
}

// ends reports whether the last reader has gone already, and left the end of the body to the fetch.
func (e *entry) ends(err error) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ended, e.err = true, err
	e.used = time.Now()
	e.tell()
	return e.readers == 0 && (e.removed || e.passing)
}

// counts takes down that there are at least so many instances.
func (e *entry) counts(n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counted = max(e.counted, n)
}

// expected returns how many there are at least; -1: nobody says so.
func (e *entry) expected() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.counted
}

// countedLess reports whether it is there as a whole, and was counted when there were fewer.
func (e *entry) countedLess(n int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.ended && n > max(e.counted, len(e.items))
}

// has reports whether an instance has come.
func (e *entry) has(uid string) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ok := e.byUID[uid]
	return ok
}

// add writes an instance down as it comes.
func (e *entry) add(ctx context.Context, meta stream.FileMeta, data io.WriterTo, p patience) error {
	e.mu.Lock()
	e.byUID[meta.MediaStorageSOPInstanceUID] = len(e.items)
	e.items = append(e.items, item{
		class: meta.MediaStorageSOPClassUID, uid: meta.MediaStorageSOPInstanceUID, syntax: meta.TransferSyntaxUID,
		off: e.size,
	})
	e.mu.Unlock()
	w := &writer{e: e, ctx: ctx, patience: p}
	_, err := w.Write(meta.AppendTo(nil))
	if err == nil {
		_, err = data.WriteTo(w)
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.items[len(e.items)-1].whole = true
	e.tell()
	return nil
}

// window is how far a fetch goes ahead of its fastest reader, in bytes.
const window = 16 << 20

// window of a series that passes leaves room in memory for what is written at once.
func (e *entry) window() int64 {
	if e.passing {
		return passingRoom / 2
	}
	return window
}

// writer writes to the end of an entry, no further ahead of who reads it than the window.
type writer struct {
	e        *entry
	ctx      context.Context
	patience patience
}

func (w *writer) Write(p []byte) (int, error) {
	if err := w.e.hold(w.ctx, w.patience); err != nil {
		return 0, err
	}
	return w.e.append(p)
}

// append writes to the end of the body, and so of the last instance.
func (e *entry) append(p []byte) (int, error) {
	e.mu.Lock()
	from := e.readFrom()
	e.mu.Unlock()
	if err := e.body.append(p, e.size, from); err != nil { // e.size changes here alone
		return 0, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.size += int64(len(p))
	e.items[len(e.items)-1].size += int64(len(p))
	e.tell()
	return len(p), nil
}

// readFrom returns from where on somebody will read. The lock must be held.
func (e *entry) readFrom() int64 {
	if len(e.at) < e.readers || len(e.at) == 0 {
		return 0 // from anywhere
	}
	from := e.size
	for p := range e.at {
		from = min(from, p.off)
	}
	return from
}

// hold waits while all who read the series from its beginning are slow. A server that was held back for as long as it
// bears, or for a moment while somebody else waits for it, is held back no more: what comes lies on the disk then.
func (e *entry) hold(ctx context.Context, p patience) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := context.Cause(ctx); err != nil {
		return err
	}
	if e.loose || !e.ahead() {
		return nil
	}
	for since := time.Now(); e.ahead(); {
		moment, cancel := context.WithTimeout(ctx, min(p.bears, pressedPatience))
		_ = e.await(moment) // what ended it is looked at below
		cancel()
		if err := context.Cause(ctx); err != nil {
			return err
		}
		held := time.Since(since)
		if held >= p.bears || held >= pressedPatience && p.pressed != nil && p.pressed() {
			e.loose = true
			return nil
		}
	}
	return nil
}

// patience is how long a server is held back for who reads slowly.
type patience struct {
	bears   time.Duration
	pressed func() bool // others wait for it; nil: nobody does
}

// pressedPatience is how long it is held back while others wait for it.
const pressedPatience = time.Second

// ahead reports whether what was written is far ahead of who reads. The lock must be held.
func (e *entry) ahead() bool {
	if len(e.at) == 0 || len(e.at) < e.readers {
		return false // nobody reads it all, or somebody waits for something further on
	}
	for p := range e.at {
		if e.size-p.off < e.window() {
			return false
		}
	}
	return true
}

// next waits until the instance of this number has begun to come. ok is false if the series has no more.
func (e *entry) next(ctx context.Context, n int) (i item, ok bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n >= len(e.items) && !e.ended {
		if err := e.await(ctx); err != nil {
			return item{}, false, err
		}
	}
	if n < len(e.items) {
		return e.items[n], true, nil
	}
	return item{}, false, e.err
}

// find waits until an instance is there as a whole. ok is false if the series has none of this UID.
func (e *entry) find(ctx context.Context, uid string) (i item, ok bool, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		if n, ok := e.byUID[uid]; ok && e.items[n].whole {
			return e.items[n], true, nil
		}
		if e.ended {
			return item{}, false, e.err
		}
		if err := e.await(ctx); err != nil {
			return item{}, false, err
		}
	}
}

// whole waits until all of the series is there.
func (e *entry) whole(ctx context.Context) ([]item, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for !e.ended {
		if err := e.await(ctx); err != nil {
			return nil, err
		}
	}
	return e.items, e.err
}

// tail reads an instance while it comes. The end of what came is its end only where the instance is whole.
type tail struct {
	ctx context.Context
	e   *entry
	n   int       // number of the instance
	off int64     // within it
	pos *position // nil: it holds nobody back
}

// Read implements io.Reader.
func (t *tail) Read(p []byte) (int, error) {
	n, at, err := t.available()
	if err != nil {
		return 0, err
	}
	if n = min(n, int64(len(p))); n == 0 {
		return 0, nil
	}
	read, err := t.e.body.ReadAt(p[:n], at)
	t.off += int64(read)
	if t.pos != nil {
		t.e.mu.Lock()
		t.pos.off = at + int64(read)
		t.e.tell()
		t.e.mu.Unlock()
	}
	return read, err
}

// available waits until there is something to read, and returns how much and where.
func (t *tail) available() (n, at int64, err error) {
	e := t.e
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		i := e.items[t.n]
		switch {
		case i.size > t.off:
			return i.size - t.off, i.off + t.off, nil
		case i.whole:
			return 0, 0, io.EOF
		case e.ended && e.err != nil:
			return 0, 0, e.err
		case e.ended:
			return 0, 0, io.ErrUnexpectedEOF
		}
		if err := e.await(t.ctx); err != nil {
			return 0, 0, err
		}
	}
}
