// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/internal/pause"
)

// Pace holds what this member moves from and to a server within the member's share of the server's limit in MB/s.
type Pace struct {
	mu   sync.Mutex
	rate float64 // bytes per second; 0: no limit
	next time.Time
}

const (
	paceBurst = time.Second // that a pause may be made up for: any minute stays within 1/60 above the limit
	paceChunk = 64 << 10    // that is waited for at once, and no more than paceStep of the limit allows, but paceLeast
	paceStep  = time.Second / 16
	paceLeast = 4 << 10
)

func (p *Pace) set(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

// Limited reports whether there is a limit.
func (p *Pace) Limited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate > 0
}

// chunk returns how many bytes are waited for at once: at a low limit that many transfers share, each goes on often
// enough that no peer takes it for silent.
func (p *Pace) chunk() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate <= 0 {
		return paceChunk
	}
	return int(max(paceLeast, min(paceChunk, p.rate*paceStep.Seconds())))
}

// take waits until n more bytes are within the limit.
func (p *Pace) take(ctx context.Context, n int) error {
	wait := p.reserve(n)
	if wait <= 0 {
		return nil
	}
	return pause.For(ctx, wait)
}

func (p *Pace) reserve(n int) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate <= 0 {
		return 0
	}
	now := time.Now()
	if earliest := now.Add(-paceBurst); p.next.Before(earliest) {
		p.next = earliest
	}
	wait := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / p.rate * float64(time.Second)))
	return wait
}

// Paces are those of all servers.
type Paces struct {
	mu sync.Mutex
	of map[pacedWay]*Pace
}

// pacedWay is what a pace counts: all that goes from and to a server (ahead is false), or what is read at sources to be
// sent there.
type pacedWay struct {
	server int64
	ahead  bool
}

// NewPaces returns paces without a limit.
func NewPaces() *Paces { return &Paces{of: map[pacedWay]*Pace{}} }

// Server returns the pace of all that goes from and to a server.
func (p *Paces) Server(id int64) *Pace { return p.way(pacedWay{server: id}) }

// Ahead returns the pace of what sources are asked for on behalf of a destination. Read faster than it may be sent on,
// it would fill the buffers, and the source would wait for its answers as long as that takes.
func (p *Paces) Ahead(id int64) *Pace { return p.way(pacedWay{id, true}) }

func (p *Paces) way(w pacedWay) *Pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[w] == nil {
		p.of[w] = &Pace{}
	}
	return p.of[w]
}

// Set takes over the limits of this member, in bytes per second by server. Other servers have none.
func (p *Paces) Set(limits map[int64]float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range limits {
		for _, w := range []pacedWay{{id, false}, {id, true}} {
			if p.of[w] == nil {
				p.of[w] = &Pace{}
			}
		}
	}
	for w, pc := range p.of {
		pc.set(limits[w.server])
	}
}

// WithPace reads no faster than a pace allows, and counts in crept what it lets pass.
func WithPace(ctx context.Context, from io.Reader, p *Pace, crept *atomic.Int64) io.Reader {
	if !p.Limited() {
		return from
	}
	return &pacedReader{ctx, from, p, crept}
}

type pacedReader struct {
	ctx   context.Context
	r     io.Reader
	p     *Pace
	crept *atomic.Int64
}

func (r *pacedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), r.p.chunk())])
	if n > 0 {
		if stop := r.p.take(r.ctx, n); stop != nil {
			return n, stop
		}
		r.crept.Add(int64(n))
	}
	return n, err
}
