// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	defaultAssociations = 100

	// maxWaiting bounds the connections beyond the associations: those that have not asked yet, are being rejected or
	// are closing.
	maxWaiting = 128

	// silence is how long an association that has brought something may rest before it makes room for another one.
	silence = 5 * time.Second
)

// errMadeRoom ends a connection that had nothing to say while others wanted its place.
var errMadeRoom = errors.New("it was silent, and ADIT closed it to make room for another connection")

// places are the connections of a Server. Places are short by design: who fills them must not keep out who has
// something to say. So no newcomer waits for a place, and it is the silent ones that leave: of the peer that has the
// most, the one that is silent longest. There is no fixed bound for an address, since one may stand for many peers
// (NAT, balancers).
type places struct {
	mu  sync.Mutex
	all map[*place]struct{}
}

// place is one connection. Under places.mu.
type place struct {
	conn  net.Conn
	evict context.CancelCauseFunc // ends the association
	addr  string                  // without the port; empty while it isn't known
	since time.Time               // since when it is as it is
	gone  bool                    // it had to make room

	open     bool // holds an association; else it waits
	caller   string
	expected bool
	work     int  // operations under way
	proven   bool // an instance of its was taken
}

// arrive gives a connection a place, which another one leaves if it must.
func (s *places) arrive(c net.Conn, evict context.CancelCauseFunc) *place {
	p := &place{conn: c, evict: evict, since: time.Now()}
	if tcp, ok := c.(*net.TCPConn); ok { // others may wait for a header that tells it
		p.addr = addressOf(tcp.RemoteAddr())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting := func(p *place) bool { return !p.open }
	if count := s.count(waiting, addressed); total(count) >= maxWaiting {
		victim := s.silent(waiting, addressed, count)
		victim.gone = true
		delete(s.all, victim)
		victim.evict(errMadeRoom)
		_ = victim.conn.Close() // nothing to be polite about
	}
	if s.all == nil {
		s.all = map[*place]struct{}{}
	}
	s.all[p] = struct{}{}
	return p
}

func addressOf(a net.Addr) string {
	text := a.String()
	if addr, err := netip.ParseAddrPort(text); err == nil {
		return addr.Addr().Unmap().String()
	}
	return text
}

func addressed(p *place) string { return p.addr }
func called(p *place) string    { return p.caller }

// count counts the places of a kind by whose they are.
func (s *places) count(kind func(*place) bool, whose func(*place) string) map[string]int {
	count := map[string]int{}
	for p := range s.all {
		if kind(p) {
			count[whose(p)]++
		}
	}
	return count
}

func total(count map[string]int) (n int) {
	for _, k := range count {
		n += k
	}
	return n
}

// silent returns, of the places of a kind, the one that is silent longest of those whose owner has the most; nil if
// there is none.
func (s *places) silent(kind func(*place) bool, whose func(*place) string, count map[string]int) (victim *place) {
	for p := range s.all {
		if !kind(p) {
			continue
		}
		if victim != nil {
			a, b := count[whose(p)], count[whose(victim)]
			if a < b || a == b && !p.since.Before(victim.since) {
				continue
			}
		}
		victim = p
	}
	return victim
}

// told takes down where a connection comes from.
func (s *places) told(p *place, addr net.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.addr = addressOf(addr)
}

// opened is how many associations there are.
func (s *places) opened() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return total(s.count(func(p *place) bool { return p.open }, called))
}

// admit turns a place into one of an association, or says why not. Those that are expected and all others have so many
// places each, and a caller (AE title and address) perCaller of them; 0: no bound.
func (s *places) admit(p *place, rq *AssociationRequest, most, perCaller int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone {
		return errMadeRoom
	}
	caller := rq.CallingAE + " " + p.addr
	alike := func(o *place) bool { return o.open && o.expected == rq.Expected }
	count := s.count(alike, called)
	own := perCaller > 0 && count[caller] >= perCaller
	if own || total(count) >= most {
		now := time.Now()
		victim := s.silent(func(o *place) bool {
			switch {
			case !alike(o), o.work > 0, o.proven && now.Sub(o.since) < silence:
				return false
			case own:
				return o.caller == caller
			}
			return count[o.caller] >= count[caller] // nobody pays for one who has more
		}, called, count)
		if victim == nil {
			return RejectLimit
		}
		victim.gone, victim.open, victim.since = true, false, now
		victim.evict(errMadeRoom)
	}
	p.open, p.caller, p.expected, p.since = true, caller, rq.Expected, time.Now()
	return nil
}

// begin takes down that an operation begins; false if the association had to make room meanwhile.
func (s *places) begin(p *place) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.gone {
		return false
	}
	p.work++
	return true
}

// end takes down that it has ended.
func (s *places) end(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.work--
	p.since = time.Now()
}

// prove takes down that an instance was taken.
func (s *places) prove(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.proven = true
}

// close turns the place of an association into one of a connection that is closing.
func (s *places) close(p *place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.open, p.since = false, time.Now()
}

func (s *places) leave(p *place) (gone bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, p)
	return p.gone
}
