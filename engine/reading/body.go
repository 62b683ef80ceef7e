// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/google/uuid"
)

// body is where the bytes of a series lie. One writes, at its end alone; any number read what was written.
type body interface {
	io.ReaderAt
	io.Closer
	// append writes at the end, which is at off. Nobody reads what is before from any more.
	append(p []byte, off, from int64) error
	// remove takes its name off the disk. Who reads it reads on, and what it has counts until it is closed.
	remove()
	// held returns how many bytes of the cache's room it has.
	held() int64
}

// kept is the body of a series that stays: a file of the cache.
type kept struct {
	*os.File
	cache *Cache

	mu      sync.Mutex
	size    int64
	removed bool // nothing is written to it any more
}

func (k *kept) append(p []byte, off, _ int64) error {
	if err := k.cache.take(int64(len(p))); err != nil {
		return err
	}
	n, err := k.WriteAt(p, off)
	k.mu.Lock()
	removed := k.removed
	k.size += int64(n)
	k.mu.Unlock()
	k.cache.give(int64(len(p) - n))
	if removed {
		return errRemoved
	}
	return notKept(err)
}

func (k *kept) remove() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.removed {
		k.removed = true
		_ = os.Remove(k.Name()) // it goes at the next start
	}
}

func (k *kept) held() int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.size
}

// ErrNoDisk ends a retrieve that the disk has no room for, whatever the cache may have.
var ErrNoDisk = errors.New(
	"the disk on which ADIT keeps what is read by DICOMweb is full; have an administrator make room, or give it less " +
		"(--series-cache)",
)

func notKept(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%w: %w", ErrNoDisk, err)
	}
	return fmt.Errorf("a series that is to be read can't be kept: %w", err)
}

// passing is the body of a series that one reader takes as it comes, and nobody afterwards: it lies in memory, as far
// as it was not read. Where the server can be held back no longer, what comes goes to a file, which is one of the cache
// as long as it is read.
type passing struct {
	cache *Cache

	mu   sync.RWMutex
	ring []byte // what is at off lies at off % len(ring)
	file *kept  // of all from where it was needed; nil: it was not
}

// passingRoom is how many bytes wait in memory at most: as many as fit into a processor's cache.
const passingRoom = 4 << 20

func (p *passing) append(b []byte, off, from int64) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil && off-from+int64(len(b)) > passingRoom {
		if err := p.spill(from, off); err != nil {
			return err
		}
	}
	if p.file != nil {
		return p.file.append(b, off, from)
	}
	if p.ring == nil {
		p.ring = make([]byte, passingRoom)
	}
	for len(b) > 0 {
		n := copy(p.ring[off%passingRoom:], b)
		b, off = b[n:], off+int64(n)
	}
	return nil
}

// spill writes what waits into a file.
func (p *passing) spill(from, to int64) error {
	f, err := p.cache.create()
	if err != nil {
		return err
	}
	p.file = &kept{File: f, cache: p.cache}
	for from < to {
		at := from % passingRoom
		n := min(to-from, passingRoom-at)
		if err := p.file.append(p.ring[at:at+n], from, from); err != nil {
			return err
		}
		from += n
	}
	p.ring = nil
	return nil
}

// ReadAt implements io.ReaderAt. It reads nothing that nobody was to read any more.
func (p *passing) ReadAt(b []byte, off int64) (read int, err error) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.file != nil {
		return p.file.ReadAt(b, off)
	}
	for read < len(b) {
		n := copy(b[read:], p.ring[(off+int64(read))%passingRoom:])
		read += n
	}
	return read, nil
}

func (p *passing) remove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		p.file.remove()
	}
}

func (p *passing) held() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return 0
	}
	return p.file.held()
}

// Close implements io.Closer.
func (p *passing) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file == nil {
		return nil
	}
	return p.file.Close()
}

// create makes a file of the cache, with a name that tells nothing.
func (c *Cache) create() (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(c.dir, uuid.NewString()+suffix), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, notKept(err)
}
