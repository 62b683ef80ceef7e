// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
)

// pace holds what this node moves from and to a server within the node's share of the server's limit in MB/s.
type pace struct {
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

func (p *pace) set(rate float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rate = rate
}

func (p *pace) limited() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rate > 0
}

// chunk returns how many bytes are waited for at once: at a low limit that many transfers share, each goes on often enough
// that no peer takes it for silent.
func (p *pace) chunk() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rate <= 0 {
		return paceChunk
	}
	return int(max(paceLeast, min(paceChunk, p.rate*paceStep.Seconds())))
}

// take waits until n more bytes are within the limit.
func (p *pace) take(ctx context.Context, n int) error {
	wait := p.reserve(n)
	if wait <= 0 {
		return nil
	}
	return pause(ctx, wait)
}

func (p *pace) reserve(n int) time.Duration {
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

// paces are those of all servers.
type paces struct {
	mu sync.Mutex
	of map[pacedWay]*pace
}

// pacedWay is what a pace counts: all that goes from and to a server (ahead is false), or what is read at sources to be sent there.
type pacedWay struct {
	server int64
	ahead  bool
}

func newPaces() *paces { return &paces{of: map[pacedWay]*pace{}} }

// server returns the pace of all that goes from and to a server.
func (p *paces) server(id int64) *pace { return p.way(pacedWay{server: id}) }

// ahead returns the pace of what sources are asked for on behalf of a destination. Read faster than it may be sent on, it would
// fill the buffers, and the source would wait for its answers as long as that takes.
func (p *paces) ahead(id int64) *pace { return p.way(pacedWay{id, true}) }

func (p *paces) way(w pacedWay) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[w] == nil {
		p.of[w] = &pace{}
	}
	return p.of[w]
}

// set takes over the limits of this node, in bytes per second by server. Other servers have none.
func (p *paces) set(limits map[int64]float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range limits {
		for _, w := range []pacedWay{{id, false}, {id, true}} {
			if p.of[w] == nil {
				p.of[w] = &pace{}
			}
		}
	}
	for w, pc := range p.of {
		pc.set(limits[w.server])
	}
}

// paced reads what comes from the source no faster than source and destination allow: the stricter holds.
func (r *run) paced(ctx context.Context, from io.Reader) io.Reader {
	from = withPace(ctx, from, r.e.paces.server(r.src.ID), &r.crept)
	if r.dst.Server == nil {
		return from
	}
	return withPace(ctx, from, r.e.paces.ahead(r.dst.ID), &r.crept)
}

// drain reads what is left of an instance that isn't sent on: the source sends it all the same, and it counts.
func (r *run) drain(ctx context.Context, o *dimse.Incoming) {
	if p := r.e.paces.server(r.src.ID); p.limited() {
		_, _ = io.Copy(io.Discard, withPace(ctx, o.Data, p, &r.crept)) // an error of the association meets its owner next
	}
}

// withPace reads no faster than a pace allows, and counts in crept what it lets pass.
func withPace(ctx context.Context, from io.Reader, p *pace, crept *atomic.Int64) io.Reader {
	if !p.limited() {
		return from
	}
	return &pacedReader{ctx, from, p, crept}
}

type pacedReader struct {
	ctx   context.Context
	r     io.Reader
	p     *pace
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
