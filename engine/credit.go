// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import "sync/atomic"

// credit is what the node may hold of buffered objects, in bytes, all tasks together. Nobody waits for it: who gets none
// streams unbuffered.
type credit struct {
	free atomic.Int64
}

func newCredit(total int64) *credit {
	c := &credit{}
	c.free.Store(total)
	return c
}

// take gives n bytes of credit, or none.
func (c *credit) take(n int64) bool {
	if c.free.Add(-n) >= 0 {
		return true
	}
	c.free.Add(n)
	return false
}

// give returns credit.
func (c *credit) give(n int64) { c.free.Add(n) }
