// SPDX-License-Identifier: AGPL-3.0-or-later

package hours

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
)

// TestPrintSchedule: instants are told by the clock of the server's windows, with the zone's name, wherever the command
// runs.
func TestPrintSchedule(t *testing.T) {
	until := time.Date(2030, time.June, 4, 4, 0, 0, 0, time.UTC)
	grace := 90
	window := client.Window{
		Weekdays: []string{"mon"}, From: "20:00", To: "06:00",
		TimeZone: "Europe/Berlin", Limits: client.Limits{Batch: 4, Interactive: 1},
	}
	for _, tt := range []struct {
		name  string
		s     client.ServerSchedule
		lines []string
	}{
		{
			"open",
			client.ServerSchedule{
				ServerNow: client.ServerNow{
					TimeZone: "Europe/Berlin", InForce: window.Limits, Window: 1, Until: &until,
				},
				Schedule: client.Schedule{
					Windows: []client.Window{window}, Grace: &grace, Holidays: []string{"2030-12-25"},
				},
			},
			[]string{
				"until 2030-06-04 06:00:00 CEST;", "grace: 1m30s for the series in hand",
				"holidays: 2030-12-25: windows of weekdays don't begin then, unless they name holiday, too",
			},
		},
		{
			"closed",
			client.ServerSchedule{ServerNow: client.ServerNow{TimeZone: "America/New_York", Opens: &until}},
			[]string{"It takes jobs again from 2030-06-04 00:00:00 EDT.", "grace: 5m0s"},
		},
		{
			"by an older server",
			client.ServerSchedule{ServerNow: client.ServerNow{Opens: &until}},
			[]string{"It takes jobs again from " + command.Stamp(until) + "."},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var out strings.Builder
			printSchedule(&out, "PACS", tt.s)
			for _, line := range tt.lines {
				require.Contains(t, out.String(), line)
			}
		})
	}
}

// TestNamedWindows: a window is named by one word, or by several in quotes.
func TestNamedWindows(t *testing.T) {
	const rest = "mon-tue 20:00-06:00 Europe/Berlin batch=8"
	for text, want := range map[string]string{
		rest: "", rest + " name=night": "night", `name="late night" ` + rest: "late night", rest + ` "name=late night"`: "late night",
	} {
		w, err := parseWindow(text)
		require.NoError(t, err, text)
		require.Equal(t, want, w.Name, text)
		require.Equal(t, []string{"mon", "tue"}, w.Weekdays, text)
		require.Equal(t, 8, w.Batch, text)
	}
	_, err := parseWindow(rest + ` name="night`)
	require.ErrorContains(t, err, "quote")
	var out strings.Builder
	printSchedule(&out, "PACS", client.ServerSchedule{
		Schedule:  client.Schedule{Default: client.Limits{Name: "day"}, Windows: []client.Window{{Limits: client.Limits{Name: "night"}}}},
		ServerNow: client.ServerNow{Window: 1, InForce: client.Limits{Name: "night", Batch: 1}},
	})
	for _, part := range []string{`window 1 "night" is open`, `default "day":`, `window 1 "night":`} {
		require.Contains(t, out.String(), part)
	}
}
