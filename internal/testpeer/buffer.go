// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bytes"
	"sync"
)

// Buffer keeps what one goroutine writes while others look at it: a program's output, a log.
type Buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

// String is what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
