// SPDX-License-Identifier: AGPL-3.0-or-later

package schedule_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/schedule"
)

const (
	berlin  = "Europe/Berlin"
	newYork = "America/New_York"
)

// hospital: nights eight, weekends and holidays all day six, working days closed for jobs from 8 to 17, else two.
func hospital(zone string) *schedule.Schedule {
	window := func(days []schedule.Weekday, from, to schedule.TimeOfDay, batch, interactive int) schedule.Window {
		return schedule.Window{
			Span:   schedule.Span{Weekdays: days, From: from, To: to, TimeZone: zone},
			Limits: schedule.Limits{Batch: batch, Interactive: interactive},
		}
	}
	workdays := []schedule.Weekday{
		schedule.Monday, schedule.Tuesday, schedule.Wednesday, schedule.Thursday, schedule.Friday,
	}
	return &schedule.Schedule{
		Default: schedule.Limits{Batch: 2, Interactive: 2},
		Windows: []schedule.Window{
			// maintenance: nobody
			window([]schedule.Weekday{schedule.Sunday}, schedule.Clock(2, 0), schedule.Clock(4, 0), 0, 0),
			window(nil, schedule.Clock(20, 0), schedule.Clock(6, 0), 8, 1),
			window(
				[]schedule.Weekday{schedule.Saturday, schedule.Sunday, schedule.Holiday},
				0, schedule.Clock(24, 0), 6, 2,
			),
			window(workdays, schedule.Clock(8, 0), schedule.Clock(17, 0), 0, 4),
		},
		Holidays: []schedule.Date{{Year: 2026, Month: time.December, Day: 25}},
	}
}

func at(t *testing.T, zone, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	require.NoError(t, err)
	layout := "2006-01-02 15:04"
	if strings.HasSuffix(text, "Z") {
		layout, loc = "2006-01-02 15:04Z", time.UTC
	}
	instant, err := time.ParseInLocation(layout, text, loc)
	require.NoError(t, err)
	return instant
}

// TestWeek walks through a week with a holiday.
func TestWeek(t *testing.T) {
	tests := []struct {
		at                 string // Berlin
		batch, interactive int
		until, opens       string
	}{
		{"2026-12-21 00:00", 8, 1, "2026-12-21 06:00", "2026-12-21 00:00"}, // Monday: Sunday's night goes on
		{"2026-12-21 05:59", 8, 1, "2026-12-21 06:00", "2026-12-21 05:59"},
		{"2026-12-21 06:00", 2, 2, "2026-12-21 08:00", "2026-12-21 06:00"},
		{"2026-12-21 08:00", 0, 4, "2026-12-21 17:00", "2026-12-21 17:00"},
		{"2026-12-21 16:59", 0, 4, "2026-12-21 17:00", "2026-12-21 17:00"},
		{"2026-12-21 17:00", 2, 2, "2026-12-21 20:00", "2026-12-21 17:00"},
		{"2026-12-21 20:00", 8, 1, "2026-12-22 06:00", "2026-12-21 20:00"},
		{"2026-12-24 23:00", 8, 1, "2026-12-25 06:00", "2026-12-24 23:00"}, // the night before the holiday
		{"2026-12-25 06:00", 6, 2, "2026-12-25 20:00", "2026-12-25 06:00"}, // a holiday, though a Friday
		{"2026-12-25 10:00", 6, 2, "2026-12-25 20:00", "2026-12-25 10:00"},
		{"2026-12-26 10:00", 6, 2, "2026-12-26 20:00", "2026-12-26 10:00"}, // Saturday
		{"2026-12-27 01:59", 8, 1, "2026-12-27 02:00", "2026-12-27 01:59"},
		{"2026-12-27 02:00", 0, 0, "2026-12-27 04:00", "2026-12-27 04:00"},
		{"2026-12-27 04:00", 8, 1, "2026-12-27 06:00", "2026-12-27 04:00"},
		{"2026-12-28 09:00", 0, 4, "2026-12-28 17:00", "2026-12-28 17:00"}, // Monday again
	}
	s := hospital(berlin)
	require.NoError(t, s.Validate())
	for _, tt := range tests {
		t.Run(tt.at, func(t *testing.T) {
			now := at(t, berlin, tt.at)
			got := s.At(now)
			require.Equal(t, tt.batch, got.Batch)
			require.Equal(t, tt.interactive, got.Interactive)
			require.Equal(t, tt.until, got.Until.Format("2006-01-02 15:04"))
			require.True(t, s.Opens(now).Equal(at(t, berlin, tt.opens)), s.Opens(now))
		})
	}
}

// TestClockChanges: spans are read off the clock on the wall, once a night.
func TestClockChanges(t *testing.T) {
	tests := []struct {
		name, zone, day string // on which the span begins
		from, to        schedule.TimeOfDay
		begin, end      string // UTC; the same: not that night
	}{
		// Berlin 2026: 29 March 02:00 becomes 03:00 at 01:00Z; 25 October 03:00 becomes 02:00 at 01:00Z.
		{"Berlin spring, over the night", berlin, "2026-03-28", schedule.Clock(20, 0), schedule.Clock(6, 0), "2026-03-28 19:00Z", "2026-03-29 04:00Z"},
		{"Berlin spring, begins in the hour that is skipped", berlin, "2026-03-29", schedule.Clock(2, 30), schedule.Clock(5, 0), "2026-03-29 01:00Z", "2026-03-29 03:00Z"},
		{"Berlin spring, ends in it", berlin, "2026-03-29", schedule.Clock(1, 0), schedule.Clock(2, 30), "2026-03-29 00:00Z", "2026-03-29 01:00Z"},
		{"Berlin spring, within it", berlin, "2026-03-29", schedule.Clock(2, 15), schedule.Clock(2, 45), "2026-03-29 01:00Z", "2026-03-29 01:00Z"},
		{"Berlin spring, the whole day", berlin, "2026-03-29", 0, schedule.Clock(24, 0), "2026-03-28 23:00Z", "2026-03-29 22:00Z"},
		{"Berlin autumn, over the night", berlin, "2026-10-24", schedule.Clock(20, 0), schedule.Clock(6, 0), "2026-10-24 18:00Z", "2026-10-25 05:00Z"},
		{"Berlin autumn, begins in the hour that comes twice", berlin, "2026-10-25", schedule.Clock(2, 30), schedule.Clock(5, 0), "2026-10-25 00:30Z", "2026-10-25 04:00Z"},
		{"Berlin autumn, ends in it", berlin, "2026-10-25", schedule.Clock(1, 0), schedule.Clock(2, 30), "2026-10-24 23:00Z", "2026-10-25 00:30Z"},
		{"Berlin autumn, from 2 to 3", berlin, "2026-10-25", schedule.Clock(2, 0), schedule.Clock(3, 0), "2026-10-25 00:00Z", "2026-10-25 02:00Z"},
		{"Berlin autumn, the whole day", berlin, "2026-10-25", 0, schedule.Clock(24, 0), "2026-10-24 22:00Z", "2026-10-25 23:00Z"},
		// New York 2026: 8 March 02:00 becomes 03:00 at 07:00Z; 1 November 02:00 becomes 01:00 at 06:00Z.
		{"New York spring, over the night", newYork, "2026-03-07", schedule.Clock(22, 0), schedule.Clock(5, 0), "2026-03-08 03:00Z", "2026-03-08 09:00Z"},
		{"New York spring, begins in the hour that is skipped", newYork, "2026-03-08", schedule.Clock(2, 1), schedule.Clock(4, 0), "2026-03-08 07:00Z", "2026-03-08 08:00Z"},
		{"New York autumn, over the night", newYork, "2026-10-31", schedule.Clock(22, 0), schedule.Clock(5, 0), "2026-11-01 02:00Z", "2026-11-01 10:00Z"},
		{"New York autumn, begins in the hour that comes twice", newYork, "2026-11-01", schedule.Clock(1, 30), schedule.Clock(4, 0), "2026-11-01 05:30Z", "2026-11-01 09:00Z"},
		{"New York autumn, ends at the jump", newYork, "2026-11-01", schedule.Clock(0, 0), schedule.Clock(2, 0), "2026-11-01 04:00Z", "2026-11-01 07:00Z"},
		{"a midnight that is skipped", "America/Santiago", "2026-09-06", 0, schedule.Clock(24, 0), "2026-09-06 04:00Z", "2026-09-07 03:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			weekday := at(t, tt.zone, tt.day+" 12:00").Weekday()
			s := &schedule.Schedule{Windows: []schedule.Window{{
				Span:   schedule.Span{Weekdays: []schedule.Weekday{schedule.Weekday(strings.ToLower(weekday.String()[:3]))}, From: tt.from, To: tt.to, TimeZone: tt.zone},
				Limits: schedule.Limits{Batch: 1},
			}}}
			require.NoError(t, s.Validate())
			begin, end := at(t, tt.zone, tt.begin), at(t, tt.zone, tt.end)
			require.Zero(t, s.At(begin.Add(-time.Second)).Batch)
			if begin.Equal(end) {
				require.Zero(t, s.At(begin).Batch)
				return
			}
			require.True(t, s.Opens(begin.Add(-time.Hour)).Equal(begin), s.Opens(begin.Add(-time.Hour)))
			for now := begin; now.Before(end); now = now.Add(10 * time.Minute) {
				require.Equal(t, 1, s.At(now).Batch, now)
				require.True(t, s.At(now).Until.Equal(end), s.At(now).Until)
			}
			require.Zero(t, s.At(end).Batch)
		})
	}
}

// TestSpansMeet: what meets on paper meets on the night of a clock change, without a gap and without both holding.
func TestSpansMeet(t *testing.T) {
	for _, tt := range []struct{ zone, day string }{
		{berlin, "2026-03-29"},
		{berlin, "2026-10-25"},
		{newYork, "2026-03-08"},
		{newYork, "2026-11-01"},
		{berlin, "2026-06-01"},
	} {
		begin := at(t, tt.zone, tt.day+" 00:00")
		for minute := range schedule.Clock(5, 0) {
			if minute == 0 {
				continue
			}
			span := func(from, to schedule.TimeOfDay) *schedule.Schedule {
				return &schedule.Schedule{Windows: []schedule.Window{
					{Span: schedule.Span{From: from, To: to, TimeZone: tt.zone}, Limits: schedule.Limits{Batch: 1}},
				}}
			}
			first, second := span(0, minute), span(minute, schedule.Clock(24, 0))
			for now := begin; now.Before(begin.Add(7 * time.Hour)); now = now.Add(30 * time.Minute) {
				require.Equal(t, 1, first.At(now).Batch+second.At(now).Batch, "%s %s at %s", tt.day, minute, now)
			}
		}
	}
}

// TestNeverOpens: a schedule that never opens says so, and one that opens on a holiday only finds it.
func TestNeverOpens(t *testing.T) {
	now := at(t, berlin, "2026-01-01 12:00")
	closed := &schedule.Schedule{Default: schedule.Limits{Interactive: 2}}
	require.True(t, closed.Opens(now).IsZero())
	require.True(t, closed.At(now).Until.IsZero())

	holiday := &schedule.Schedule{
		Windows:  []schedule.Window{{Span: schedule.Span{Weekdays: []schedule.Weekday{schedule.Holiday}, From: schedule.Clock(9, 0), To: schedule.Clock(10, 0), TimeZone: berlin}, Limits: schedule.Limits{Batch: 1}}},
		Holidays: []schedule.Date{{Year: 2026, Month: time.December, Day: 25}},
	}
	require.True(t, holiday.Opens(now).Equal(at(t, berlin, "2026-12-25 09:00")))
	holiday.Holidays = nil
	require.True(t, holiday.Opens(now).IsZero())
}

func TestWorkers(t *testing.T) {
	w, err := schedule.ParseWorkers([]byte(
		`{"default": 4, "windows": [{"from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin", "workers": 16}]}`,
	))
	require.NoError(t, err)
	require.Equal(t, 4, w.At(at(t, berlin, "2026-06-01 19:59")))
	require.Equal(t, 16, w.At(at(t, berlin, "2026-06-01 20:00")))
	require.Equal(t, 16, w.At(at(t, berlin, "2026-06-02 05:59")))
	require.Equal(t, 4, w.At(at(t, berlin, "2026-06-02 06:00")))
	_, err = schedule.ParseWorkers([]byte(`{"default": -1}`))
	require.EqualError(t, err, "default: must be between 0 and 1000 tasks at once")
	_, err = schedule.ParseWorkers(
		[]byte(`{"default": 1, "windows": [{"from": "20:00", "to": "06:00", "time_zone": "UTC", "workers": 1001}]}`),
	)
	require.EqualError(t, err, "windows[0].workers: must be between 0 and 1000 tasks at once")
}

func TestJSON(t *testing.T) {
	s := hospital(berlin)
	s.Windows[0].StudiesPerMinute, s.Windows[1].MBPerSecond = 30, 12.5
	s.Default.Name, s.Windows[0].Name = "day", strings.Repeat("é", schedule.MaxName)
	text, err := json.Marshal(s)
	require.NoError(t, err)
	again, err := schedule.Parse(text)
	require.NoError(t, err)
	require.Equal(t, s, again)

	const window = `{"default": {"batch": 1, "interactive": 1}, "windows": [%s]}`
	tests := map[string]string{
		`{"default": {"batch": 1, "interactiv": 1}}`:                                                                       "unknown field",
		`{"default": {"batch": -1, "interactive": 1}}`:                                                                     "default.batch: must be between 0 and 1000",
		`{"default": {"batch": 1, "interactive": 1001}}`:                                                                   "default.interactive: must be between 0 and 1000",
		`{"default": {"batch": 1, "interactive": 1, "studies_per_minute": -1}}`:                                            "default.studies_per_minute: must be between",
		`{"default": {"batch": 1, "interactive": 1, "mb_per_second": 0.01}}`:                                               "default.mb_per_second: must be between",
		`{"default": {"batch": 1.5}}`:                                                                                      "is invalid",
		`{"default": {"name": " night"}}`:                                                                                  "default.name: must have at most 64 characters",
		fmt.Sprintf(window, `{"name": "`+strings.Repeat("é", 65)+`", "from": "20:00", "to": "06:00", "time_zone": "UTC"}`): "windows[0].name: must have at most 64 characters",
		`{"default": {}} {}`: "something follows",
		``:                   "is invalid",
		fmt.Sprintf(window, `{"weekdays": ["monday"], "from": "20:00", "to": "06:00", "time_zone": "UTC"}`):                   `windows[0].weekdays: "monday" is not one of`,
		fmt.Sprintf(window, `{"weekdays": ["mon", "mon"], "from": "20:00", "to": "06:00", "time_zone": "UTC"}`):               "windows[0].weekdays: mon occurs twice",
		fmt.Sprintf(window, `{"from": "20:0", "to": "06:00", "time_zone": "UTC"}`):                                            `"20:0" is not a time such as 20:00`,
		fmt.Sprintf(window, `{"from": "20:60", "to": "06:00", "time_zone": "UTC"}`):                                           `"20:60" is not a time from 00:00 to 24:00`,
		fmt.Sprintf(window, `{"from": "24:00", "to": "06:00", "time_zone": "UTC"}`):                                           "windows[0].from: must be a time from 00:00 to 23:59",
		fmt.Sprintf(window, `{"from": "06:00", "to": "06:00", "time_zone": "UTC"}`):                                           "windows[0].to: the window ends when it begins",
		fmt.Sprintf(window, `{"from": "20:00", "to": "06:00"}`):                                                               "windows[0].time_zone: name a time zone",
		fmt.Sprintf(window, `{"from": "20:00", "to": "06:00", "time_zone": "Europe/Heidelberg"}`):                             `unknown time zone "Europe/Heidelberg"`,
		fmt.Sprintf(window, `{"from": "20:00", "to": "06:00", "time_zone": "UTC", "batch": 2000}`):                            "windows[0].batch: must be between",
		`{"default": {"batch": 1, "interactive": 1}, "holidays": ["25.12.2026"]}`:                                             `"25.12.2026" is not a date`,
		fmt.Sprintf(window, strings.Repeat(`{"from": "20:00", "to": "06:00", "time_zone": "UTC"},`, 100)+`{"from": "20:00"}`): "at most 100 windows",
	}
	for text, words := range tests {
		_, err := schedule.Parse([]byte(text))
		require.ErrorContains(t, err, words, text)
	}
}

// TestUntil checks on random schedules that what At promises holds: the same limits until Until, others from then on.
func TestUntil(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	zones := []string{berlin, newYork, "Asia/Kolkata", "UTC", "Pacific/Apia"}
	all := []schedule.Weekday{
		schedule.Monday, schedule.Tuesday, schedule.Wednesday, schedule.Thursday,
		schedule.Friday, schedule.Saturday, schedule.Sunday, schedule.Holiday,
	}
	for range 60 {
		s := &schedule.Schedule{Default: schedule.Limits{Batch: random.IntN(3), Interactive: 1}}
		start := time.Date(2026, 1, 1, 0, random.IntN(365*24*60), 0, 0, time.UTC)
		for range random.IntN(4) {
			w := schedule.Window{Limits: schedule.Limits{Batch: random.IntN(3), Interactive: 1}}
			w.From, w.To, w.TimeZone = schedule.TimeOfDay(random.IntN(1440)), schedule.TimeOfDay(random.IntN(1441)),
				zones[random.IntN(len(zones))]
			for _, d := range all {
				if random.IntN(2) == 0 {
					w.Weekdays = append(w.Weekdays, d)
				}
			}
			s.Windows = append(s.Windows, w)
		}
		y, m, d := start.AddDate(0, 0, random.IntN(4)).Date()
		s.Holidays = []schedule.Date{{Year: y, Month: m, Day: d}}
		if s.Validate() != nil {
			continue // a span without length
		}
		state := s.At(start)
		for now := start; now.Before(start.AddDate(0, 0, 5)); now = now.Add(13 * time.Minute) {
			got := s.At(now)
			if !state.Until.IsZero() && !now.Before(state.Until) {
				require.NotEqual(t, state.Limits, s.At(state.Until).Limits)
				require.Equal(t, state.Limits, s.At(state.Until.Add(-time.Second)).Limits)
				state = got
			}
			require.Equal(t, state.Limits, got.Limits, "%s: %+v", now, s)
			if opens := s.Opens(now); !opens.IsZero() {
				require.Positive(t, s.At(opens).Batch)
				require.True(t, got.Batch == 0 || opens.Equal(now))
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, zone := range []string{berlin, newYork} {
		text, err := json.Marshal(hospital(zone))
		require.NoError(f, err)
		f.Add(text, int64(1_774_746_000))
	}
	f.Add([]byte(
		`{"default":{"batch":0,"interactive":0},"windows":[{"from":"02:30","to":"02:45","time_zone":"Antarctica/Troll","batch":1,"interactive":0}]}`,
	), int64(0))
	f.Fuzz(func(t *testing.T, text []byte, seconds int64) {
		s, err := schedule.Parse(text)
		if err != nil {
			return
		}
		now := time.Unix(seconds%4_000_000_000, 0)
		state := s.At(now)
		require.True(t, state.Until.IsZero() || state.Until.After(now))
		if opens := s.Opens(now); !opens.IsZero() {
			require.False(t, opens.Before(now))
			require.Positive(t, s.At(opens).Batch)
		}
		again, err := json.Marshal(s)
		require.NoError(t, err)
		same, err := schedule.Parse(again)
		require.NoError(t, err)
		require.Equal(t, state, same.At(now))
	})
}

func BenchmarkAt(b *testing.B) {
	s, now := hospital(berlin), time.Date(2026, 3, 28, 12, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.At(now)
	}
}
