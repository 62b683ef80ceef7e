// SPDX-License-Identifier: AGPL-3.0-or-later

// Package schedule says what a server allows at which hour. It is a pure function of the windows and an instant: it
// reads no clock and uses no database.
package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a container has no zones of its own
	"unicode/utf8"

	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
)

// Limits are what a server allows at once and per time.
type Limits struct {
	Name  string `json:"name,omitempty"` // what people call them, such as night
	Batch int    `json:"batch"`          // associations of jobs at once; 0: closed for jobs
	// associations of people who wait at once; both 0: nobody
	Interactive      int     `json:"interactive"`
	StudiesPerMinute float64 `json:"studies_per_minute,omitempty"` // that may start; 0: no limit
	// of all jobs together, from the server and to it, 1 MB = 1,000,000 bytes; 0: no limit
	MBPerSecond float64 `json:"mb_per_second,omitempty"`
}

// Schedule is what a server allows over the week. The first window of the list that is open holds; outside all windows
// the default does.
type Schedule struct {
	Default  Limits   `json:"default"`
	Windows  []Window `json:"windows,omitempty"`
	Holidays []Date   `json:"holidays,omitempty"` // by the calendar of each window's time zone
	// Grace is how many seconds the series in hand may go on when a window closes or a cap falls; nil: DefaultGrace.
	Grace *int `json:"grace,omitempty"`
}

// Version tells it apart from what it was before.
func (s *Schedule) Version() string { return version.Of(s) }

// Window is open from one time of day until another, on certain days.
type Window struct {
	Span
	Limits
}

// State is what holds at an instant, and how long.
type State struct {
	Limits
	Window int       // place of the window in the list; -1: the default
	Until  time.Time // from then on something else holds; zero: not within the next weeks
}

// The bounds of what can be asked for.
const (
	MaxWindows  = 100
	MaxHolidays = 1000
	MaxCap      = 1000
	MaxName     = 64 // characters
	MaxGrace    = 24 * time.Hour

	maxStudiesPerMinute = 6000
	minStudiesPerMinute = 0.01
	maxMBPerSecond      = 100_000
	minMBPerSecond      = 0.1
)

// DefaultGrace is that of who names no other.
const DefaultGrace = 5 * time.Minute

// Zone returns the time zone that people tell the instants of a schedule in: that of the window that is open, else of
// the one that opens next, else of the first one; empty if there is none.
func (s *Schedule) Zone(t time.Time) string {
	state := s.At(t)
	if state.Window < 0 && !state.Until.IsZero() {
		state.Window = s.windowAt(state.Until)
	}
	switch {
	case state.Window >= 0:
		return s.Windows[state.Window].TimeZone
	case len(s.Windows) > 0:
		return s.Windows[0].TimeZone
	}
	return ""
}

// At returns what holds at an instant.
func (s *Schedule) At(t time.Time) State {
	i := s.windowAt(t)
	state := State{Limits: s.limits(i), Window: i}
	for edge := range edges(s.spans(), s.Holidays, t, stateDays) {
		if s.limits(s.windowAt(edge)) != state.Limits {
			state.Until = edge
			break
		}
	}
	return state
}

// Opens returns the first instant, from t on, at which jobs may run; zero: not within the next year.
func (s *Schedule) Opens(t time.Time) time.Time {
	if s.limits(s.windowAt(t)).Batch > 0 {
		return t
	}
	if !s.everOpen() {
		return time.Time{}
	}
	for edge := range edges(s.spans(), s.Holidays, t, yearDays) {
		if s.limits(s.windowAt(edge)).Batch > 0 {
			return edge
		}
	}
	return time.Time{}
}

// How far ahead is looked: for what follows, a week that is full of holidays, and then some; for an opening, a year.
const (
	stateDays = 21
	yearDays  = 367
)

func (s *Schedule) everOpen() bool {
	return s.Default.Batch > 0 || slices.ContainsFunc(s.Windows, func(w Window) bool { return w.Batch > 0 })
}

func (s *Schedule) spans() []Span {
	spans := make([]Span, len(s.Windows))
	for i, w := range s.Windows {
		spans[i] = w.Span
	}
	return spans
}

func (s *Schedule) windowAt(t time.Time) int {
	return slices.IndexFunc(s.Windows, func(w Window) bool { return w.covers(t, s.Holidays) })
}

func (s *Schedule) limits(window int) Limits {
	if window < 0 {
		return s.Default
	}
	return s.Windows[window].Limits
}

// Invalid says which part of a schedule can't be used, and why.
type Invalid struct {
	Field  string // such as windows[2].from
	Reason string
}

func (e *Invalid) Error() string { return e.Field + ": " + e.Reason }

// Validate returns *Invalid for the first thing that can't be used.
func (s *Schedule) Validate() error {
	if len(s.Windows) > MaxWindows {
		return &Invalid{"windows", fmt.Sprintf("a schedule has at most %d windows", MaxWindows)}
	}
	if err := s.Default.validate("default"); err != nil {
		return err
	}
	for i, w := range s.Windows {
		field := fmt.Sprintf("windows[%d]", i)
		if err := w.Span.validate(field); err != nil {
			return err
		}
		if err := w.Limits.validate(field); err != nil {
			return err
		}
	}
	if err := validateGrace(s.Grace); err != nil {
		return err
	}
	return validateHolidays(s.Holidays)
}

func validateGrace(seconds *int) error {
	if most := int(MaxGrace / time.Second); seconds != nil && (*seconds < 0 || *seconds > most) {
		return &Invalid{"grace", fmt.Sprintf(
			"must be between 0 and %d seconds; leave it out for %d", most, int(DefaultGrace/time.Second),
		)}
	}
	return nil
}

func (l Limits) validate(field string) error {
	if l.Name != "" && (utf8.RuneCountInString(l.Name) > MaxName || !text.Name(l.Name)) {
		return &Invalid{field + ".name", fmt.Sprintf(
			"must have at most %d characters, none of them invisible, and single spaces only between words", MaxName,
		)}
	}
	rate := func(v, least, most float64) bool { return v == 0 || v >= least && v <= most } // not a number is neither
	switch {
	case l.Batch < 0 || l.Batch > MaxCap:
		return &Invalid{field + ".batch", fmt.Sprintf(
			"must be between 0 and %d associations; 0 closes the server for jobs", MaxCap,
		)}
	case l.Interactive < 0 || l.Interactive > MaxCap:
		return &Invalid{field + ".interactive", fmt.Sprintf(
			"must be between 0 and %d associations; 0 closes the server for searches", MaxCap,
		)}
	case !rate(l.StudiesPerMinute, minStudiesPerMinute, maxStudiesPerMinute):
		return &Invalid{field + ".studies_per_minute", fmt.Sprintf(
			"must be between %g and %d studies; leave it out for no limit", minStudiesPerMinute, maxStudiesPerMinute,
		)}
	case !rate(l.MBPerSecond, minMBPerSecond, maxMBPerSecond):
		return &Invalid{field + ".mb_per_second", fmt.Sprintf(
			"must be between %g and %d MB; leave it out for no limit", minMBPerSecond, maxMBPerSecond,
		)}
	}
	return nil
}

// Parse reads the JSON form and validates it. Errors are sentences; *Invalid names the part.
func Parse(form []byte) (*Schedule, error) {
	var s Schedule
	if err := decode(form, &s); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return &s, nil
}

// decode refuses what it doesn't know: a misspelt cap would be no cap.
func decode(form []byte, to any) error {
	d := json.NewDecoder(strings.NewReader(string(form)))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		if invalid, ok := errors.AsType[*Invalid](err); ok {
			return invalid
		}
		return fmt.Errorf(
			"the schedule is invalid: %s; `adit schedule export` shows the form",
			strings.TrimPrefix(err.Error(), "json: "),
		)
	}
	if d.More() {
		return errors.New("the schedule is invalid: something follows its end")
	}
	return nil
}
