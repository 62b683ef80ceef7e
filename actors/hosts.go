// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/engine/nodes"
)

const (
	hostAsked    = 30 * time.Second // between two questions for a host
	hostAskedNow = 4 * time.Second  // of one that failed, or from where a server may have called that has moved
	hostTimeout  = 5 * time.Second  // of one question
	hostPatience = 2 * time.Second  // with hosts that were never asked for
	hostsAtOnce  = 8
	hostKept     = time.Hour // an address counts so long after the last answer that had it
	hostMost     = 64        // addresses of one host
)

// hosts knows the addresses of hosts that are given by name. Nobody waits for it but for the first answers. An address
// counts for an hour after the last answer that had it, so that a name service that fails, or gives another part of its
// addresses each time, turns nobody away.
type hosts struct {
	resolve func(ctx context.Context, host string) ([]netip.Addr, error)
	ctx     context.Context //nolint:containedctx // of all questions
	end     context.CancelFunc
	asking  sync.WaitGroup
	places  chan struct{}

	mu    sync.Mutex
	known map[string]*host
}

type host struct {
	addrs map[netip.Addr]time.Time // and when they were last seen
	asked time.Time
	again bool          // ask soon
	first chan struct{} // closed when the first question has its answer
	open  bool          // a question is
}

func newHosts(resolve func(ctx context.Context, host string) ([]netip.Addr, error)) *hosts {
	if resolve == nil {
		resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	h := &hosts{resolve: resolve, places: make(chan struct{}, hostsAtOnce), known: map[string]*host{}}
	h.ctx, h.end = context.WithCancel(context.Background())
	return h
}

// close returns when nobody is asked any more.
func (h *hosts) close() {
	h.end()
	h.asking.Wait()
}

// keep asks for what is due of these hosts, and forgets all others. It waits a moment for those that were never asked
// for.
func (h *hosts) keep(ctx context.Context, names []string) {
	ctx, cancel := context.WithTimeout(ctx, hostPatience)
	defer cancel()
	for _, first := range h.ask(names) { //nolint:contextcheck // a question goes on without who asked it
		select {
		case <-first:
		case <-ctx.Done():
			return
		}
	}
}

// ask begins to ask, and gives what is closed when hosts have their first answer.
func (h *hosts) ask(names []string) (firsts []chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for name := range h.known {
		if !slices.Contains(names, name) {
			delete(h.known, name)
		}
	}
	for _, name := range names {
		known := h.known[name]
		if known == nil {
			known = &host{addrs: map[netip.Addr]time.Time{}, first: make(chan struct{})}
			h.known[name] = known
			firsts = append(firsts, known.first)
		}
		pause := hostAsked
		if known.again {
			pause = hostAskedNow
		}
		if known.open || now.Sub(known.asked) < pause || h.ctx.Err() != nil {
			continue
		}
		known.asked, known.open, known.again = now, true, false
		h.asking.Go(func() { h.question(name, known) })
	}
	return firsts
}

func (h *hosts) question(name string, known *host) {
	addrs, err := h.lookUp(name)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	for _, addr := range addrs[:min(len(addrs), hostMost)] {
		known.addrs[addr.Unmap().WithZone("")] = now
	}
	for addr, seen := range known.addrs {
		if now.Sub(seen) > hostKept || len(known.addrs) > hostMost && seen.Before(now) {
			delete(known.addrs, addr)
		}
	}
	if known.open, known.again = false, err != nil; known.first != nil {
		close(known.first)
		known.first = nil
	}
}

func (h *hosts) lookUp(name string) (addrs []netip.Addr, err error) {
	defer recovered(&err)
	select {
	case h.places <- struct{}{}:
		defer func() { <-h.places }()
	case <-h.ctx.Done():
		return nil, h.ctx.Err()
	}
	ctx, cancel := context.WithTimeout(h.ctx, hostTimeout)
	defer cancel()
	return h.resolve(ctx, name)
}

// has reports whether a host has an address, and whether it has any that is known. Nobody is waited for.
func (h *hosts) has(name string, addr netip.Addr) (has, resolved bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	known := h.known[name]
	if known == nil {
		return false, false
	}
	now := time.Now()
	for a, seen := range known.addrs {
		if now.Sub(seen) > hostKept {
			continue
		}
		resolved = true
		if a == addr || a.IsLoopback() && slices.Contains(nodes.Loopbacks, addr) {
			return true, true
		}
	}
	known.again = true // it may have moved
	return false, resolved
}
