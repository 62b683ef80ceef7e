// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"slices"
	"sync"
	"time"

	"github.com/adit-go/adit/engine/receive"
)

// route leads to the member whose run waits for what a C-MOVE brings.
type route struct {
	address   string // of its actors
	messageID uint16
	source    int64  // ID of the server that is moved from
	study     string // empty: not told
}

// routesOf returns those of what the database says of C-MOVEs.
func routesOf(moves []receive.Move) []route {
	list := make([]route, len(moves))
	for i, m := range moves {
		list[i] = route{m.ActorAddr, uint16(m.MessageID), m.SourceID, m.StudyUid}
	}
	return list
}

// routes are the C-MOVEs of other members that are under way, as far as that is known. The truth is in the database.
type routes struct {
	mu      sync.RWMutex
	byID    map[uint16]route
	changed map[uint16]time.Time // what was told since the database was read last
}

func newRoutes() *routes { return &routes{byID: map[uint16]route{}, changed: map[uint16]time.Time{}} }

func (r *routes) put(to route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.byID[to.messageID], r.changed[to.messageID] = to, time.Now()
}

func (r *routes) forget(messageID uint16) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.byID, messageID)
	r.changed[messageID] = time.Now()
}

// drop forgets a route that led to nothing.
func (r *routes) drop(to route) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID[to.messageID] == to {
		delete(r.byID, to.messageID)
	}
}

// replace takes what the database said after an instant; what was told since then is newer.
func (r *routes) replace(list []route, began time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	byID, changed := map[uint16]route{}, map[uint16]time.Time{}
	for id, at := range r.changed {
		if at.After(began.Add(-peersTime)) {
			changed[id] = at
			if to, ok := r.byID[id]; ok {
				byID[id] = to
			}
		}
	}
	for _, to := range list {
		if _, told := changed[to.messageID]; !told {
			byID[to.messageID] = to
		}
	}
	r.byID, r.changed = byID, changed
}

func (r *routes) empty() bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.byID)+len(r.changed) == 0
}

// moving reports whether one of these servers is being moved from.
func (r *routes) moving(servers []int64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, to := range r.byID {
		if slices.Contains(servers, to.source) {
			return true
		}
	}
	return false
}

func (r *routes) byMessage(messageID uint16, servers []int64) []route {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if to, ok := r.byID[messageID]; ok && slices.Contains(servers, to.source) {
		return []route{to}
	}
	return nil
}

func (r *routes) byStudy(study string, servers []int64) (list []route) {
	if study == "" {
		return nil
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, to := range r.byID {
		if to.study == study && slices.Contains(servers, to.source) {
			list = append(list, to)
		}
	}
	return list
}
