// SPDX-License-Identifier: AGPL-3.0-or-later

package schedule

import (
	"fmt"
	"slices"
	"time"

	"github.com/adit-go/adit/internal/version"
)

// Workers is how many tasks a member runs at once over the week. The first window of the list that is open holds.
type Workers struct {
	Default  int            `json:"default"`
	Windows  []WorkerWindow `json:"windows,omitempty"`
	Holidays []Date         `json:"holidays,omitempty"`
	// Grace is how many seconds the series in hand of tasks beyond the number may go on; nil: DefaultGrace.
	Grace *int `json:"grace,omitempty"`
}

// WorkerWindow is a span with a number of workers of its own.
type WorkerWindow struct {
	Span
	Workers int `json:"workers"`
}

const maxWorkers = 1000

// Version tells it apart from what it was before.
func (w *Workers) Version() string { return version.Of(w) }

// At returns the number of workers at an instant.
func (w *Workers) At(t time.Time) int {
	i := slices.IndexFunc(w.Windows, func(win WorkerWindow) bool { return win.covers(t, w.Holidays) })
	if i < 0 {
		return w.Default
	}
	return w.Windows[i].Workers
}

// Validate returns *Invalid for the first thing that can't be used.
func (w *Workers) Validate() error {
	bad := func(n int) bool { return n < 0 || n > maxWorkers }
	reason := fmt.Sprintf("must be between 0 and %d tasks at once", maxWorkers)
	if bad(w.Default) {
		return &Invalid{"default", reason}
	}
	if len(w.Windows) > MaxWindows {
		return &Invalid{"windows", fmt.Sprintf("a schedule has at most %d windows", MaxWindows)}
	}
	for i, win := range w.Windows {
		field := fmt.Sprintf("windows[%d]", i)
		if err := win.Span.validate(field); err != nil {
			return err
		}
		if bad(win.Workers) {
			return &Invalid{field + ".workers", reason}
		}
	}
	if err := validateGrace(w.Grace); err != nil {
		return err
	}
	return validateHolidays(w.Holidays)
}

// ParseWorkers reads the JSON form and validates it, like Parse.
func ParseWorkers(text []byte) (*Workers, error) {
	var w Workers
	if err := decode(text, &w); err != nil {
		return nil, err
	}
	if err := w.Validate(); err != nil {
		return nil, err
	}
	return &w, nil
}
