// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"sync"
	"time"
)

// turns lets fewer C-MOVEs at once go to a source that said that it had too many.
type turns struct {
	mu      sync.Mutex
	sources map[int64]*turnsOf
}

type turnsOf struct {
	running int
	limit   int           // 0: none
	good    int           // C-MOVEs in a row that the source did not refuse
	changed chan struct{} // closed when one has ended, and made anew
}

const (
	turnPatience = 30 * time.Second // after that the slots are given back
	turnsForMore = 8                // good ones after which one more at once is tried
)

func newTurns() *turns { return &turns{sources: map[int64]*turnsOf{}} }

// begin waits for a turn at a source. end must be called; busy tells that the source refused, because it had too many.
func (t *turns) begin(ctx context.Context, source DICOMNode) (end func(busy bool), err error) {
	timer := time.NewTimer(turnPatience)
	defer timer.Stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.sources[source.ID]
	if of == nil {
		of = &turnsOf{changed: make(chan struct{})}
		t.sources[source.ID] = of
	}
	for of.limit > 0 && of.running >= of.limit {
		changed := of.changed
		t.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			err = wait("DICOM Server %s takes few C-MOVEs at once, and others go first", source.Name)
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		t.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
	of.running++
	return func(busy bool) { t.end(of, busy) }, nil
}

func (t *turns) end(of *turnsOf, busy bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of.running--
	switch {
	case busy:
		of.limit, of.good = max(1, of.running), 0
	case of.limit > 0:
		if of.good++; of.good == turnsForMore {
			of.limit++
			of.good = 0
		}
	}
	close(of.changed)
	of.changed = make(chan struct{})
}
