// SPDX-License-Identifier: AGPL-3.0-or-later

package recurring

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
)

// TestNext keeps to the clock on the wall, over both changes of it.
func TestNext(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	for _, test := range []struct {
		name, after string
		plan        Plan
		want        string
	}{
		{"later today", "2026-11-30 01:00", Plan{At: 120}, "2026-11-30 02:00"},
		{"tomorrow", "2026-11-30 02:00", Plan{At: 120}, "2026-12-01 02:00"},
		{"on a Monday", "2026-11-30 02:00", Plan{At: 120, Weekdays: []time.Weekday{time.Monday}}, "2026-12-07 02:00"},
		{"a time that is left out", "2026-03-28 12:00", Plan{At: 150}, "2026-03-29 03:30"},
		{"a time that comes twice", "2026-10-24 12:00", Plan{At: 150}, "2026-10-25 02:30"},
		{"the last day", "2026-11-30 01:00", Plan{At: 120, Until: "20261130"}, "2026-11-30 02:00"},
		{"after the last day", "2026-11-30 02:00", Plan{At: 120, Until: "20261130"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			after, err := time.ParseInLocation("2006-01-02 15:04", test.after, berlin)
			require.NoError(t, err)
			next := test.plan.next(after)
			if test.want == "" {
				require.Nil(t, next)
				return
			}
			require.NotNil(t, next)
			require.Equal(t, test.want, next.Format("2006-01-02 15:04"))
		})
	}
}

func TestDays(t *testing.T) {
	now := time.Date(2026, 11, 30, 2, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name, first, covered, from, to string
		overlap                        int32
	}{
		{"the first run", "20261101", "", "20261101", "20261129", 0},
		{"the next one", "20261101", "20261128", "20261129", "20261129", 0},
		{"with an overlap", "20261101", "20261128", "20261126", "20261129", 3},
		{"never before the first day", "20261127", "20261128", "20261127", "20261129", 30},
		{"twice on a day: none", "20261101", "20261129", "20261130", "20261129", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			first, last := Recurrence{Recurrence: db.Recurrence{
				FirstDay: test.first, Covered: test.covered, OverlapDays: test.overlap,
			}}.days(now)
			require.Equal(t, test.from, first.Format(dayForm))
			require.Equal(t, test.to, last.Format(dayForm))
		})
	}
}

// TestStoredSettings: what the database has of a recurrence means the same in later versions.
func TestStoredSettings(t *testing.T) {
	read := func(text string) (s Settings) {
		t.Helper()
		r, err := recurrenceOf(db.Recurrence{Settings: []byte(text)}, "")
		require.NoError(t, err)
		return r.Settings
	}
	s := read(`{"mass": {"Title": "A", "Source": "PACS", "Destination": "DST", "Project": "P",
		"TrialProtocolID": "T", "Pseudonymize": true, "LeaveOutRejected": false, "MailWhenFinished": true, "Weekly": true,
		"First": "2026-12-01T00:00:00Z", "Filters": [{"mode": "include", "modality": "CT", "min_age": 18}]}}`)
	require.Equal(t, &mass.Order{
		Transfer: jobs.Transfer{
			About: jobs.About{Title: "A"}, Source: "PACS", Destination: "DST", Project: "P", TrialProtocolID: "T",
			Pseudonymize: true, LeaveOutRejected: new(false), MailWhenFinished: true,
		},
		Weekly: true, First: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		Filters: mass.Filters{{Mode: mass.Include, Modality: "CT", MinAge: new(18)}},
	}, s.Mass)
	s = read(`{"query": {"Title": "B", "Sources": ["PACS"], "Project": "P", "ExtraColumns": ["C"],
		"Rows": [{"row": 2, "patient_id": "1", "modalities": ["CT"], "extra": ["x"]}]}}`)
	require.Equal(t, &jobs.Queries{
		About: jobs.About{Title: "B"}, Sources: []string{"PACS"}, Project: "P", ExtraColumns: []string{"C"},
		Rows: []jobs.Query{{Row: 2, PatientID: "1", Modalities: []string{"CT"}, Extra: []string{"x"}}},
	}, s.Query)
}
