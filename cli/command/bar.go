// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Bar is a line on a terminal that shows how far a command is. A nil Bar shows nothing.
type Bar struct {
	w     io.Writer
	width func() int
	shown bool
	next  time.Time
}

// NewBar returns a bar on the terminal that w is; nil if it is none, or one that can't rewrite a line.
func NewBar(w io.Writer) *Bar {
	if !IsTerminal(w) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	return &Bar{w: w, width: func() int { return terminalWidth(w) }}
}

const (
	usualWidth = 80                     // of a terminal that doesn't say
	barWidth   = 20                     // characters
	redraw     = 100 * time.Millisecond // at most so often
)

func terminalWidth(w io.Writer) int {
	if f, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return usualWidth
}

// Show rewrites the line.
func (b *Bar) Show(done, total int, text string) {
	if b == nil || time.Now().Before(b.next) {
		return
	}
	b.next, b.shown = time.Now().Add(redraw), true
	fmt.Fprint(b.w, "\r\x1b[K"+barLine(done, total, text, b.width()))
}

// Count is Show for so many things of one kind.
func (b *Bar) Count(done, total int, what string) {
	if b != nil {
		b.Show(done, total, fmt.Sprintf("%d of %d %s", done, total, what))
	}
}

// barLine draws a bar and its text, as far as they fit.
func barLine(done, total int, text string, width int) string {
	full, percent := 0, 0
	if total > 0 {
		full, percent = barWidth*done/total, 100*done/total
	}
	line := []rune(fmt.Sprintf(
		"[%s%s] %3d%%  %s", strings.Repeat("#", full), strings.Repeat("-", barWidth-full), percent, text,
	))
	return string(line[:min(len(line), max(width-1, 0))]) // in the last column some terminals begin a new line
}

// Clear takes the line away, so that something else can be written.
func (b *Bar) Clear() {
	if b != nil && b.shown {
		fmt.Fprint(b.w, "\r\x1b[K")
		b.shown, b.next = false, time.Time{}
	}
}
