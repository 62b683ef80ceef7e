// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"fmt"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/recurring"
	"github.com/adit-go/adit/internal/words"
)

// Weekdays are their names, by time.Weekday.
var Weekdays = []string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// Recurrence returns what runs again and again.
func Recurrence(r recurring.Recurrence) client.Recurrence {
	out := client.Recurrence{
		Plan: client.Plan{
			At:      fmt.Sprintf("%02d:%02d", r.AtMinute/60, r.AtMinute%60),
			LastDay: words.Day(r.UntilDay), OverlapDays: int(r.OverlapDays),
		},
		ID: r.ID, Kind: r.Kind, Title: r.Title, Owner: r.Owner,
		StartDate: words.Day(r.FirstDay), Covered: words.Day(r.Covered),
		Paused: r.Paused, NextAt: r.NextAt, JobID: base.IDOf(r.JobID), Message: r.Message, Runs: int(r.Runs),
		CreatedAt: r.CreatedAt, Sources: []string{},
	}
	for _, day := range r.Weekdays {
		out.Weekdays = append(out.Weekdays, Weekdays[day%7])
	}
	switch s := r.Settings; {
	case s.Mass != nil:
		out.Sources, out.Destination, out.Project = []string{s.Mass.Source}, s.Mass.Destination, s.Mass.Project
		out.Filters = MassFilters(s.Mass.Filters)
	case s.Query != nil:
		out.Sources, out.Project, out.Rows = s.Query.Sources, s.Query.Project, len(s.Query.Rows)
	}
	return out
}
