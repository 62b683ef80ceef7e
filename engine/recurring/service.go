// SPDX-License-Identifier: AGPL-3.0-or-later

// Package recurring makes mass transfers and batch queries again and again: each run finds what the ones before did
// not.
package recurring

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	jobs *jobs.Service
	mass *mass.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofJobs *jobs.Service, ofMass *mass.Service) *Service {
	return &Service{Base: b, jobs: ofJobs, mass: ofMass}
}

// Plan says when something runs, by the site's clock.
type Plan struct {
	Weekdays []time.Weekday // none: every day
	At       int            // minute of the day
	// Overlap is how many days before those that are new are looked through again, for what arrives late.
	Overlap int
	Until   string // the last day on which it runs, YYYYMMDD; empty: there is none
}

const maxOverlap = 3660 // days

func (p Plan) validate() error {
	switch {
	case p.At < 0 || p.At >= 24*60:
		return &refusal.Invalid{Field: "at", Reason: "a time of day, such as 02:00"}
	case p.Overlap < 0 || p.Overlap > maxOverlap:
		return &refusal.Invalid{Field: "overlap_days", Reason: fmt.Sprintf("0 to %d days", maxOverlap)}
	}
	return nil
}

// next returns when a plan runs after an instant; nil: not any more. A time that the change to summer time leaves out
// comes an hour later.
func (p Plan) next(after time.Time) *time.Time {
	for day := range 8 {
		at := time.Date(after.Year(), after.Month(), after.Day()+day, p.At/60, p.At%60, 0, 0, after.Location())
		if !at.After(after) || len(p.Weekdays) > 0 && !slices.Contains(p.Weekdays, at.Weekday()) {
			continue
		}
		if p.Until != "" && at.Format(dayForm) > p.Until {
			return nil
		}
		return &at
	}
	return nil
}

const dayForm = "20060102"

// Recurrence is something that runs again and again.
type Recurrence struct {
	db.Recurrence
	Owner    string
	Settings Settings
}

// Settings are those of the jobs that a recurrence makes; of one kind.
type Settings struct {
	Mass  *mass.Order   `json:"mass,omitempty"`
	Query *jobs.Queries `json:"query,omitempty"`
}

// Version changes with what people may change.
func (r Recurrence) Version() string {
	return version.Of(r.ID, r.Weekdays, r.AtMinute, r.OverlapDays, r.UntilDay, r.Paused)
}

// Plan returns when it runs.
func (r Recurrence) Plan() Plan {
	p := Plan{At: int(r.AtMinute), Overlap: int(r.OverlapDays), Until: r.UntilDay}
	for _, day := range r.Weekdays {
		p.Weekdays = append(p.Weekdays, time.Weekday(day%7))
	}
	return p
}

func weekdays(p Plan) []int16 {
	list := []int16{}
	for _, day := range p.Weekdays {
		list = append(list, int16((int(day)+6)%7+1))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

const maxRows = 10_000 // of a batch query that recurs

// Create makes a recurrence, of what the user may do now; each run asks again.
func (svc *Service) Create(ctx context.Context, user people.User, p Plan, s Settings) (Recurrence, error) {
	if err := p.validate(); err != nil {
		return Recurrence{}, err
	}
	row := db.InsertRecurrenceParams{
		OwnerID: user.ID, Weekdays: weekdays(p), AtMinute: int16(p.At), OverlapDays: int32(p.Overlap), UntilDay: p.Until,
	}
	var err error
	switch {
	case s.Mass != nil:
		row.Kind, row.Title, row.FirstDay = jobs.MassTransfer, s.Mass.Title, s.Mass.First.Format(dayForm)
		s.Mass.DryRun = false
		s.Mass.Project, err = svc.projectName(ctx, user, s.Mass.Project, svc.mass.Check, s.Mass)
	case s.Query != nil && p.Overlap > 0:
		err = &refusal.Invalid{Field: "overlap_days", Reason: "a batch query has no days, and so no overlap"}
	case s.Query != nil && len(s.Query.Rows) > maxRows:
		err = &refusal.Invalid{Field: "file", Reason: fmt.Sprintf("a batch query that recurs has at most %d rows", maxRows)}
	case s.Query != nil:
		row.Kind, row.Title = jobs.BatchQuery, s.Query.Title
		check := func(ctx context.Context, user people.User, _ *mass.Order) (int64, error) {
			return svc.jobs.CheckQueries(ctx, user, *s.Query)
		}
		s.Query.Project, err = svc.projectName(ctx, user, s.Query.Project, check, nil)
	default:
		err = &refusal.Invalid{Field: "mass", Reason: "say what is to run: a mass transfer or a batch query"}
	}
	if err != nil {
		return Recurrence{}, err
	}
	now, err := svc.now(ctx)
	if err != nil {
		return Recurrence{}, err
	}
	if row.NextAt = p.next(now); row.NextAt == nil {
		return Recurrence{}, &refusal.Invalid{Field: "last_day", Reason: "it would never run: its last day comes before"}
	}
	//nolint:musttag // the names are held by TestStoredSettings
	if row.Settings, err = json.Marshal(s); err != nil {
		return Recurrence{}, err
	}
	var id int64
	if err := svc.InTx(ctx, func(q *db.Queries) error {
		made, err := q.InsertRecurrence(ctx, row)
		if err != nil {
			return err
		}
		id = made.ID
		return audit.Record(ctx, q, entry(made, "create", s))
	}); err != nil {
		return Recurrence{}, err
	}
	return svc.Get(ctx, user, id)
}

// projectName checks an order, and returns the name of its project: what the default is today is not what it may be
// when it runs.
func (svc *Service) projectName(
	ctx context.Context, user people.User, named string,
	check func(context.Context, people.User, *mass.Order) (project int64, err error), o *mass.Order,
) (string, error) {
	project, err := check(ctx, user, o)
	if err != nil || named != "" {
		return named, err
	}
	return svc.Q.ProjectName(ctx, project)
}

// now is the database's time, by the site's clock.
func (svc *Service) now(ctx context.Context) (time.Time, error) {
	now, err := svc.Q.Now(ctx)
	return now.In(svc.Config.Zone), err
}

// entry is a row of the audit log for what is done to a recurrence.
func entry(r db.Recurrence, act string, s Settings) audit.Entry {
	e := audit.Entry{
		Action: "recurrence." + act, Object: fmt.Sprintf("recurrence %d", r.ID),
		Detail: map[string]any{
			"kind": r.Kind, "weekdays": r.Weekdays, "at": clock(r.AtMinute), "until": r.UntilDay, "paused": r.Paused,
		},
	}
	if s.Mass != nil {
		e.Source, e.Destination = s.Mass.Source, s.Mass.Destination
	} else if s.Query != nil {
		e.Source = strings.Join(s.Query.Sources, ", ")
	}
	return e
}

func clock(minute int16) string { return fmt.Sprintf("%02d:%02d", minute/60, minute%60) }

// Get returns a recurrence that the user owns or, as staff, may see. Others' are ErrNotFound.
func (svc *Service) Get(ctx context.Context, user people.User, id int64) (Recurrence, error) {
	row, err := svc.Q.GetRecurrence(ctx, id)
	if err != nil {
		return Recurrence{}, refusal.NotFound(err, "recurrence", id)
	}
	if row.Recurrence.OwnerID != user.ID && !user.IsStaff {
		return Recurrence{}, fmt.Errorf("recurrence %d: %w", id, refusal.ErrNotFound)
	}
	return recurrenceOf(row.Recurrence, row.Owner)
}

func recurrenceOf(row db.Recurrence, owner string) (Recurrence, error) {
	r := Recurrence{Recurrence: row, Owner: owner}
	return r, json.Unmarshal(row.Settings, &r.Settings) //nolint:musttag // the names are held by TestStoredSettings
}

// List lists the user's recurrences, all for staff, newest first, those below an ID (0: from the newest).
func (svc *Service) List(ctx context.Context, user people.User, below int64, limit int) (list []Recurrence, err error) {
	p := db.ListRecurrencesParams{OwnerID: user.ID, Below: below, Max: int32(limit)}
	if user.IsStaff {
		p.OwnerID = 0
	}
	rows, err := svc.Q.Planned().ListRecurrences(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, row := range rows {
		r, err := recurrenceOf(row.Recurrence, row.Owner)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

// Change is what is changed of a recurrence; nil fields stay as they are.
type Change struct {
	Plan   *Plan
	Paused *bool
}

// Change changes when a recurrence runs, for its owner or staff.
func (svc *Service) Change(ctx context.Context, user people.User, id int64, c Change) (Recurrence, error) {
	seen, err := svc.Get(ctx, user, id)
	if err != nil {
		return Recurrence{}, err
	}
	if c.Paused != nil && !*c.Paused && seen.Paused {
		if err := svc.People.Site.CheckOpen(ctx, user, seen.Kind); err != nil {
			return Recurrence{}, err
		}
	}
	now, err := svc.now(ctx)
	if err != nil {
		return Recurrence{}, err
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		row, err := q.LockRecurrence(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "recurrence", id)
		}
		r := Recurrence{Recurrence: row}
		if err := version.Check(ctx, r.Version()); err != nil {
			return err
		}
		plan := r.Plan()
		if c.Plan != nil {
			plan = *c.Plan
		}
		if err := plan.validate(); err != nil {
			return err
		}
		p := db.ChangeRecurrenceParams{
			ID: id, Weekdays: weekdays(plan), AtMinute: int16(plan.At), OverlapDays: int32(plan.Overlap), UntilDay: plan.Until,
			Paused: row.Paused, NextAt: plan.next(now),
		}
		if c.Paused != nil {
			p.Paused = *c.Paused
		}
		if err := q.ChangeRecurrence(ctx, p); err != nil {
			return err
		}
		row.Weekdays, row.AtMinute, row.UntilDay, row.Paused = p.Weekdays, p.AtMinute, p.UntilDay, p.Paused
		return audit.Record(ctx, q, entry(row, "change", seen.Settings))
	})
	if err != nil {
		return Recurrence{}, err
	}
	return svc.Get(ctx, user, id)
}

// Delete removes a recurrence, for its owner or staff. The jobs that it has made stay.
func (svc *Service) Delete(ctx context.Context, user people.User, id int64) error {
	seen, err := svc.Get(ctx, user, id)
	if err != nil {
		return err
	}
	return svc.InTx(ctx, func(q *db.Queries) error {
		row, err := q.LockRecurrence(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "recurrence", id)
		}
		if err := version.Check(ctx, Recurrence{Recurrence: row}.Version()); err != nil {
			return err
		}
		if err := q.DeleteRecurrence(ctx, id); err != nil {
			return err
		}
		return audit.Record(ctx, q, entry(row, "delete", seen.Settings))
	})
}
