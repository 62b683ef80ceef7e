// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"fmt"
	"io"
	"time"
)

// progress is a line on a terminal that says how far a command is.
type progress struct {
	w     io.Writer // nil: nobody looks
	doing string    // what is done to the files
	total int
	shown bool
	next  time.Time
}

func newProgress(io streams, doing string, total int) progress {
	if !isTerminal(io.err) {
		return progress{}
	}
	return progress{w: io.err, doing: doing, total: total}
}

func (p *progress) at(done int) {
	if p.w == nil || time.Now().Before(p.next) {
		return
	}
	p.next, p.shown = time.Now().Add(100*time.Millisecond), true
	fmt.Fprintf(p.w, "\r%s: %d of %d files", p.doing, done, p.total)
}

// clear takes the line away.
func (p *progress) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.shown = false
	}
}
