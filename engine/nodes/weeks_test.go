// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/schedule"
)

// TestWeeksEnds: work goes on only while all servers are open for jobs.
func TestWeeksEnds(t *testing.T) {
	at := func(day, hour int) time.Time { return time.Date(2026, 11, day, hour, 0, 0, 0, time.UTC) }
	open := func(from, to int) *schedule.Schedule {
		return &schedule.Schedule{Windows: []schedule.Window{{
			Span:   schedule.Span{From: schedule.Clock(from, 0), To: schedule.Clock(to, 0), TimeZone: "UTC"},
			Limits: schedule.Limits{Batch: 2},
		}}}
	}
	w := Weeks{Of: map[int64]*schedule.Schedule{
		1: {Default: schedule.Limits{Batch: 4}}, 2: open(20, 6), 3: open(22, 8), 4: open(8, 12), 5: {},
	}}
	for name, tt := range map[string]struct {
		from    time.Time
		hours   int
		servers []int64
		want    time.Time
	}{
		"always open":          {at(2, 10), 50, []int64{1}, at(4, 12)},
		"folders":              {at(2, 10), 3, []int64{99}, at(2, 13)},
		"no server":            {at(2, 10), 3, nil, at(2, 13)},
		"in the window":        {at(2, 1), 3, []int64{1, 2}, at(2, 4)},
		"until it closes":      {at(2, 1), 5, []int64{2}, at(2, 6)},
		"over its end":         {at(2, 5), 3, []int64{2}, at(2, 22)},
		"over several windows": {at(2, 5), 21, []int64{2}, at(4, 6)},
		"before it opens":      {at(2, 12), 2, []int64{2}, at(2, 22)},
		"both have to be open": {at(2, 5), 3, []int64{2, 3}, at(3, 0)},
		"never both":           {at(2, 5), 1, []int64{2, 4}, time.Time{}},
		"never":                {at(2, 5), 1, []int64{1, 5}, time.Time{}},
	} {
		require.Equal(t, tt.want, w.Ends(tt.from, time.Duration(tt.hours)*time.Hour, tt.servers...), name)
	}
}
