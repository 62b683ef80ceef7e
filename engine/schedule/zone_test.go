// SPDX-License-Identifier: AGPL-3.0-or-later

package schedule

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestZone: instants are told in the zone of the window that people think of.
func TestZone(t *testing.T) {
	berlin := Window{
		Span: Span{From: Clock(20, 0), To: Clock(6, 0), TimeZone: "Europe/Berlin"}, Limits: Limits{Batch: 2},
	}
	tokyo := Window{Span: Span{From: Clock(12, 0), To: Clock(13, 0), TimeZone: "Asia/Tokyo"}, Limits: Limits{Batch: 3}}
	noon, midnight, day := time.Date(2030, 6, 3, 3, 30, 0, 0, time.UTC), time.Date(2030, 6, 3, 23, 0, 0, 0, time.UTC),
		time.Date(2030, 6, 3, 10, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		name    string
		windows []Window
		at      time.Time
		zone    string
	}{
		{"no windows", nil, noon, ""},
		{"the one that is open", []Window{tokyo, berlin}, midnight, "Europe/Berlin"},
		{"the first that is open", []Window{tokyo, berlin}, noon, "Asia/Tokyo"},
		{"the one that opens next", []Window{tokyo, berlin}, day, "Europe/Berlin"},
		{"one that changes nothing", []Window{{Span: tokyo.Span}}, day, "Asia/Tokyo"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Schedule{Windows: tt.windows}
			require.Equal(t, tt.zone, s.Zone(tt.at))
		})
	}
}

// TestGraceBounds: a grace is a day at most.
func TestGraceBounds(t *testing.T) {
	for seconds, ok := range map[int]bool{-1: false, 0: true, 300: true, 86400: true, 86401: false} {
		s, w := Schedule{Grace: &seconds}, Workers{Grace: &seconds}
		for _, err := range []error{s.Validate(), w.Validate()} {
			if ok {
				require.NoError(t, err)
				continue
			}
			require.EqualError(t, err, "grace: must be between 0 and 86400 seconds; leave it out for 300")
		}
	}
}
