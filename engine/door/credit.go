// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import "sync/atomic"

// Credit is what the member may hold of buffered instances, in bytes, all of it together. Nobody waits for it: who gets
// none streams unbuffered.
type Credit struct {
	free atomic.Int64
}

// NewCredit returns a credit of so many bytes.
func NewCredit(total int64) *Credit {
	c := &Credit{}
	c.free.Store(total)
	return c
}

// Take returns n bytes of credit, or none.
func (c *Credit) Take(n int64) bool {
	if c.free.Add(-n) >= 0 {
		return true
	}
	c.free.Add(n)
	return false
}

// Give returns credit.
func (c *Credit) Give(n int64) { c.free.Add(n) }
