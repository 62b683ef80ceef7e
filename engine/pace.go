// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"io"
	"sync"
	"time"
)

// pace holds what this node moves from and to a server within the node's share of the server's limit in MB/s.
type pace struct {
	mu   sync.Mutex
	rate float64 // bytes per second; 0: no limit
	next time.Time
}

const (
	paceBurst = time.Second // that a pause may be made up for: any minute stays within 1/60 above the limit
	paceChunk = 64 << 10
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
	of map[int64]*pace
}

func newPaces() *paces { return &paces{of: map[int64]*pace{}} }

func (p *paces) server(id int64) *pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of[id] == nil {
		p.of[id] = &pace{}
	}
	return p.of[id]
}

// set takes over the limits of this node, in bytes per second by server. Other servers have none.
func (p *paces) set(limits map[int64]float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, pc := range p.of {
		pc.set(limits[id])
	}
	for id, limit := range limits {
		if p.of[id] == nil {
			p.of[id] = &pace{rate: limit}
		}
	}
}

// paced reads from r no faster than a server allows.
func (r *run) paced(ctx context.Context, from io.Reader, node DICOMNode) io.Reader {
	if node.Server == nil {
		return from
	}
	p := r.e.paces.server(node.ID)
	if !p.limited() {
		return from
	}
	return &pacedReader{ctx, from, p}
}

type pacedReader struct {
	ctx context.Context
	r   io.Reader
	p   *pace
}

func (r *pacedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), paceChunk)])
	if n > 0 {
		if stop := r.p.take(r.ctx, n); stop != nil {
			return n, stop
		}
	}
	return n, err
}
