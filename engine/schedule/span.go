// SPDX-License-Identifier: AGPL-3.0-or-later

package schedule

import (
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
)

// Span is a part of certain days. Without days it is every day, holidays included; a span that names days doesn't begin
// on a holiday unless it names Holiday. It belongs to the day on which it begins, and may end on the next one.
//
// Both ends are the first instant at which the clock on the wall shows the time, or has passed it: where an hour is
// skipped, what would begin within it begins after it; where an hour comes twice, the first one counts. So spans that
// meet on paper meet on every night.
type Span struct {
	Weekdays []Weekday `json:"weekdays,omitempty"`
	From     TimeOfDay `json:"from"`
	To       TimeOfDay `json:"to"` // not later than From: on the next day
	TimeZone string    `json:"time_zone"`
}

// Weekday is a day on which a span begins: mon to sun, or holiday.
type Weekday string

// The days.
const (
	Monday    Weekday = "mon"
	Tuesday   Weekday = "tue"
	Wednesday Weekday = "wed"
	Thursday  Weekday = "thu"
	Friday    Weekday = "fri"
	Saturday  Weekday = "sat"
	Sunday    Weekday = "sun"
	Holiday   Weekday = "holiday"
)

var weekdays = [...]Weekday{Sunday, Monday, Tuesday, Wednesday, Thursday, Friday, Saturday} // as time.Weekday counts

// TimeOfDay is hours and minutes, "20:00". "24:00" is the end of the day.
type TimeOfDay int // minutes

// Clock returns a time of day.
func Clock(hour, minute int) TimeOfDay { return TimeOfDay(hour*60 + minute) }

const day = TimeOfDay(24 * 60)

func (t TimeOfDay) String() string { return fmt.Sprintf("%02d:%02d", t/60, t%60) }

// MarshalText writes HH:MM.
func (t TimeOfDay) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads HH:MM, from 00:00 to 24:00.
func (t *TimeOfDay) UnmarshalText(text []byte) error {
	digit := func(i int) int { return int(text[i] - '0') }
	ok := len(text) == 5 && text[2] == ':'
	for _, i := range []int{0, 1, 3, 4} {
		ok = ok && text[i] >= '0' && text[i] <= '9'
	}
	if !ok {
		what := "it"
		if len(text) <= len("20:00:00") { // what is longer was meant for another place, and may be a patient's
			what = fmt.Sprintf("%q", text)
		}
		return &Invalid{"time of day", what + " is not a time such as 20:00"}
	}
	*t = Clock(digit(0)*10+digit(1), digit(3)*10+digit(4))
	if digit(3) > 5 || *t > day {
		return &Invalid{"time of day", fmt.Sprintf("%q is not a time from 00:00 to 24:00", text)}
	}
	return nil
}

// Date is a day of the calendar, "2026-12-25".
type Date struct {
	Year  int
	Month time.Month
	Day   int
}

func (d Date) String() string { return fmt.Sprintf("%04d-%02d-%02d", d.Year, int(d.Month), d.Day) }

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(text []byte) error {
	t, err := time.Parse(time.DateOnly, string(text))
	if err != nil {
		return &Invalid{"holidays", fmt.Sprintf("%q is not a date such as 2026-12-25", text)}
	}
	*d = dateOf(t)
	return nil
}

func dateOf(t time.Time) Date {
	y, m, d := t.Date()
	return Date{y, m, d}
}

func (d Date) add(days int) Date {
	return dateOf(time.Date(d.Year, d.Month, d.Day+days, 12, 0, 0, 0, time.UTC))
}

func (d Date) weekday() Weekday {
	return weekdays[time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC).Weekday()]
}

// zones are looked up once: reading one takes much longer than all else here.
var zones sync.Map

// Location returns a time zone of the IANA database, which is looked up once.
func Location(name string) (*time.Location, error) {
	if loc, ok := zones.Load(name); ok {
		return loc.(*time.Location), nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil {
		return nil, err
	}
	zones.Store(name, loc)
	return loc, nil
}

// location of a validated span.
func (s Span) location() *time.Location {
	loc, err := Location(s.TimeZone)
	if err != nil {
		return time.UTC
	}
	return loc
}

// beginsOn reports whether the span begins on a date.
func (s Span) beginsOn(d Date, holidays []Date) bool {
	if len(s.Weekdays) == 0 {
		return true
	}
	if slices.Contains(holidays, d) {
		return slices.Contains(s.Weekdays, Holiday)
	}
	return slices.Contains(s.Weekdays, d.weekday())
}

// on returns the ends of the span that begins on a date. Where an hour is skipped they may be the same instant.
func (s Span) on(d Date) (from, to time.Time) {
	loc, last := s.location(), d
	if s.To <= s.From {
		last = d.add(1)
	}
	return firstShowing(d, s.From, loc), firstShowing(last, s.To, loc)
}

// covers reports whether the span is open at an instant.
func (s Span) covers(t time.Time, holidays []Date) bool {
	today := dateOf(t.In(s.location()))
	for _, d := range [...]Date{today, today.add(-1)} {
		if !s.beginsOn(d, holidays) {
			continue
		}
		if from, to := s.on(d); !t.Before(from) && t.Before(to) {
			return true
		}
	}
	return false
}

// firstShowing returns the first instant at which the clock on the wall shows a time of a date, or has passed it.
func firstShowing(d Date, at TimeOfDay, loc *time.Location) time.Time {
	wall := time.Date(d.Year, d.Month, d.Day, 0, int(at), 0, 0, time.UTC) // the wall's reading, as if it were UTC
	// The instants at which it can be shown, by each offset that holds in the days around; the earliest that proves
	// right is wanted.
	var gap time.Time
	for _, offset := range offsetsAround(wall, loc) {
		t := wall.Add(-offset)
		if _, now := t.In(loc).Zone(); time.Duration(now)*time.Second == offset {
			return t.In(loc)
		}
		if gap.IsZero() { // if the reading is skipped, the earliest lies before the jump
			_, gap = t.In(loc).ZoneBounds()
		}
	}
	return gap.In(loc)
}

// offsetsAround returns the offsets of the zone a day before and after a reading of the wall, the greater first: it
// gives the earlier instant.
func offsetsAround(wall time.Time, loc *time.Location) []time.Duration {
	var offsets []time.Duration
	for _, t := range [...]time.Time{wall.Add(-36 * time.Hour), wall, wall.Add(36 * time.Hour)} {
		_, s := t.In(loc).Zone()
		if o := time.Duration(s) * time.Second; !slices.Contains(offsets, o) {
			offsets = append(offsets, o)
		}
	}
	slices.SortFunc(offsets, func(a, b time.Duration) int { return int((b - a) / time.Second) })
	return offsets
}

// edges yields the instants after t at which some span begins or ends, in order, over so many days.
func edges(spans []Span, holidays []Date, t time.Time, days int) iter.Seq[time.Time] {
	return func(yield func(time.Time) bool) {
		var ahead []time.Time // found, but not yet in their turn
		for i := -1; i <= days; i++ {
			for _, s := range spans {
				if d := dateOf(t.In(s.location())).add(i); s.beginsOn(d, holidays) {
					from, to := s.on(d)
					ahead = append(ahead, from, to)
				}
			}
			slices.SortFunc(ahead, time.Time.Compare)
			// What begins on later dates, in whatever zone, is later than this.
			sure := t.AddDate(0, 0, i-1)
			for len(ahead) > 0 && (ahead[0].Before(sure) || i == days) {
				edge := ahead[0]
				ahead = slices.DeleteFunc(ahead, edge.Equal)
				if edge.After(t) && !yield(edge) {
					return
				}
			}
		}
	}
}

func (s Span) validate(field string) error {
	seen := map[Weekday]bool{}
	for _, d := range s.Weekdays {
		if d != Holiday && !slices.Contains(weekdays[:], d) {
			return &Invalid{
				field + ".weekdays", fmt.Sprintf("%q is not one of mon, tue, wed, thu, fri, sat, sun and holiday", d),
			}
		}
		if seen[d] {
			return &Invalid{field + ".weekdays", fmt.Sprintf("%s occurs twice", d)}
		}
		seen[d] = true
	}
	switch {
	case s.From < 0 || s.From >= day:
		return &Invalid{field + ".from", "must be a time from 00:00 to 23:59"}
	case s.To < 0 || s.To > day:
		return &Invalid{field + ".to", "must be a time from 00:00 to 24:00"}
	case s.From == s.To:
		return &Invalid{field + ".to", "the window ends when it begins; a whole day is 00:00 to 24:00"}
	}
	if s.TimeZone == "" || s.TimeZone == "Local" {
		return &Invalid{field + ".time_zone", "name a time zone, such as Europe/Berlin"}
	}
	if _, err := Location(s.TimeZone); err != nil {
		return &Invalid{
			field + ".time_zone", fmt.Sprintf("unknown time zone %q; give one such as Europe/Berlin", s.TimeZone),
		}
	}
	return nil
}

func validateHolidays(holidays []Date) error {
	if len(holidays) > MaxHolidays {
		return &Invalid{
			"holidays", fmt.Sprintf("a schedule has at most %d holidays; remove past ones", MaxHolidays),
		}
	}
	return nil
}
