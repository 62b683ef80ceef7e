// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// Plan says when something runs again and again, by the site's clock.
type Plan struct {
	At          string   `json:"at" pattern:"^([01][0-9]|2[0-3]):[0-5][0-9]$" doc:"Time of day, HH:MM." example:"02:00"`
	Weekdays    []string `json:"weekdays,omitempty" maxItems:"7" enum:"mon,tue,wed,thu,fri,sat,sun" doc:"Days on which it runs; absent: every day." example:"mon"`
	LastDay     string   `json:"last_day,omitempty" format:"date" doc:"The last day on which it runs; absent: there is none." example:"2027-12-31"`
	OverlapDays int      `json:"overlap_days,omitempty" minimum:"0" maximum:"3660" doc:"Of a mass transfer: days before the new ones that each run looks through again, for what arrives late." example:"7"`
}

// RecurringMass is a mass transfer that runs again and again.
type RecurringMass struct {
	MassSettings
	StartDate string `json:"start_date" format:"date" doc:"The first day that is looked through. Each run goes on where the last one that ended well has stopped, and looks through all days until yesterday." example:"2026-12-01"`
}

// NewRecurrence is something that is to run again and again: a mass transfer or a batch query.
type NewRecurrence struct {
	Plan
	Mass  *RecurringMass `json:"mass,omitempty" doc:"The mass transfer. Each run transfers what earlier ones have not."`
	Query *NewBatchQuery `json:"query,omitempty" doc:"The batch query. Each run gives what earlier ones have not found."`
}

// Recurrence is something that runs again and again.
type Recurrence struct {
	Versioned
	Plan
	ID          int64        `json:"id" doc:"Number of the recurrence." example:"3"`
	Kind        string       `json:"kind" enum:"mass_transfer,batch_query" doc:"What its runs are." example:"mass_transfer"`
	Title       string       `json:"title,omitempty" doc:"What it is called, for people." example:"Stroke imaging 2026"`
	Owner       string       `json:"owner" doc:"Username of who made it, and with whose rights it runs." example:"researcher"`
	Sources     []string     `json:"sources" nullable:"false" doc:"Names of the servers that are looked through or asked." example:"PACS"`
	Destination string       `json:"destination,omitempty" doc:"Name of the DICOM node that studies go to; absent of a batch query." example:"research"`
	Project     string       `json:"project" doc:"Name of the project that its jobs belong to." example:"stroke-2026"`
	Filters     []MassFilter `json:"filters,omitempty" doc:"Of a mass transfer."`
	Rows        int          `json:"rows,omitempty" doc:"Rows of a batch query." example:"12"`
	StartDate   string       `json:"start_date,omitempty" format:"date" doc:"Of a mass transfer: the first day that is looked through." example:"2026-12-01"`
	Covered     string       `json:"covered,omitempty" format:"date" doc:"Of a mass transfer: the last day that a run has looked through to its end; absent: there was none." example:"2026-12-23"`
	Paused      bool         `json:"paused" doc:"It does not run until it is continued."`
	NextAt      *time.Time   `json:"next_at,omitempty" doc:"When it runs next; absent if it runs no more."`
	JobID       int64        `json:"job_id,omitempty" doc:"The job of its last run; absent before the first one." example:"4711"`
	Message     string       `json:"message,omitempty" doc:"How the last run ended, or why it could not be made." example:"Job 4711 found 12 new."`
	Runs        int          `json:"runs" doc:"How often it has run." example:"23"`
	CreatedAt   time.Time    `json:"created_at" doc:"When it was made."`
}

// RecurrenceChange changes when something runs; nil fields stay as they are.
type RecurrenceChange struct {
	Plan   *Plan `json:"plan,omitempty" doc:"When it runs; as a whole. Absent: as it is."`
	Paused *bool `json:"paused,omitempty" doc:"Whether it is not to run for now. Absent: as it is."`
}

// Create makes a recurrence.
func (c Recurrences) Create(ctx context.Context, r NewRecurrence) (Recurrence, error) {
	var made Recurrence
	return made, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/recurrences", body: r}, &made)
}

// List returns one's own recurrences, newest first; all of them for staff.
func (c Recurrences) List(ctx context.Context) iter.Seq2[Recurrence, error] {
	return list[Recurrence](ctx, c.caller, "/api/v1/recurrences", url.Values{})
}

// Get returns a recurrence.
func (c Recurrences) Get(ctx context.Context, id int64) (Recurrence, error) {
	var r Recurrence
	return r, c.do(ctx, get(recurrencePath(id), nil), &r)
}

func recurrencePath(id int64) string { return fmt.Sprintf("/api/v1/recurrences/%d", id) }

// Change changes when a recurrence runs.
func (c Recurrences) Change(
	ctx context.Context, id int64, change RecurrenceChange, only ...Condition,
) (Recurrence, error) {
	var r Recurrence
	return r, c.do(ctx, request{method: http.MethodPatch, path: recurrencePath(id), body: change}.only(only), &r)
}

// Run makes a run at once. While the last one goes on, the *Problem's Status is 409.
func (c Recurrences) Run(ctx context.Context, id int64) (Recurrence, error) {
	var r Recurrence
	return r, c.do(ctx, request{method: http.MethodPost, path: recurrencePath(id) + ":run"}, &r)
}

// Delete removes a recurrence. The jobs that it has made stay.
func (c Recurrences) Delete(ctx context.Context, id int64, only ...Condition) error {
	return c.do(ctx, remove(recurrencePath(id)).only(only), nil)
}
