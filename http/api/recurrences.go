// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/recurring"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// recurrencesRoutes are the routes of this file.
type recurrencesRoutes struct{ *API }

const recurrencesTag = "Recurrences"

// RecurrenceID names a recurrence.
type RecurrenceID struct {
	ID int64 `path:"id" minimum:"1" example:"3" doc:"Number of the recurrence."`
}

func (a *recurrencesRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/recurrences", ID: "create-recurrence", Tag: recurrencesTag,
		Status: http.StatusCreated, Body: batchBody, Errors: []int{409},
		Summary: "Have something run again and again",
		Description: "Makes a mass transfer or a batch query that runs at the days and the time given, with the rights " +
			"that its owner has then. Each run is a job of its own and is about what earlier runs did not deliver or find, by " +
			"UID. It runs once at a time. Its owner gets a mail if a run fails, finds nothing new or can't be made.",
		Example: `{"at": "02:00", "weekdays": ["mon", "tue"], "overlap_days": 7, "mass": {"source": "PACS", "destination": "research", "start_date": "2026-12-01", "filters": [{"modality": "CT"}]}}`,
	}, a.create)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/recurrences", ID: "list-recurrences", Tag: recurrencesTag,
		Summary:     "List what runs again and again",
		Description: "Shows one's own, newest first; staff sees those of everybody.",
	}, a.list)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/recurrences/{id}", ID: "get-recurrence", Tag: recurrencesTag, Errors: []int{404},
		Editable: true, Summary: "Get what runs again and again",
		Description: "Shows when it runs, and how the last run ended.",
	}, func(ctx context.Context, user people.User, in *RecurrenceID) (*route.Changed[client.Recurrence], error) {
		return recurrenceOfVersion(a.engine.Recurring.Get(ctx, user, in.ID))
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/recurrences/{id}", ID: "change-recurrence", Tag: recurrencesTag,
		Errors: []int{404}, Editable: true, Summary: "Change when something runs",
		Description: "Changes the plan as a whole, or pauses and continues.", Example: `{"paused": true}`,
	}, a.change)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/recurrences/{id}", ID: "delete-recurrence", Tag: recurrencesTag,
		Status: http.StatusNoContent, Errors: []int{404}, Editable: true, Summary: "Remove what runs again and again",
		Description: "It runs no more. The jobs that it has made stay.",
	}, func(ctx context.Context, user people.User, in *struct {
		RecurrenceID
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.engine.Recurring.Delete(ctx, user, in.ID)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/recurrences/{id}:run", ID: "run-recurrence", Tag: recurrencesTag,
		Errors: []int{404, 409}, Summary: "Run something now",
		Description: "Makes a run at once, beside its plan. While the last run goes on it answers 409.",
	}, func(ctx context.Context, user people.User, in *RecurrenceID) (*route.Body[client.Recurrence], error) {
		r, err := a.engine.Recurring.RunNow(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return route.Answer(view.Recurrence(r)), nil
	})
}

func recurrenceOfVersion(r recurring.Recurrence, err error) (*route.Changed[client.Recurrence], error) {
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(r.Version(), view.Recurrence(r)), nil
}

// planOf returns a plan of a request.
func planOf(p client.Plan) (plan recurring.Plan, err error) {
	at, err := time.Parse("15:04", p.At)
	if err != nil {
		return plan, &refusal.Invalid{Field: "at", Reason: "a time of day, such as 02:00"}
	}
	plan.At, plan.Overlap = at.Hour()*60+at.Minute(), p.OverlapDays
	if p.LastDay != "" {
		day, err := dayOf("last_day", p.LastDay)
		if err != nil {
			return plan, err
		}
		plan.Until = day.Format("20060102")
	}
	for _, day := range p.Weekdays {
		plan.Weekdays = append(plan.Weekdays, time.Weekday(slices.Index(view.Weekdays, strings.ToLower(day))))
	}
	return plan, nil
}

func (a *recurrencesRoutes) create(ctx context.Context, user people.User, in *struct{ Body client.NewRecurrence }) (
	*route.Created[client.Recurrence], error,
) {
	plan, err := planOf(in.Body.Plan)
	if err != nil {
		return nil, err
	}
	var s recurring.Settings
	switch b := in.Body; {
	case (b.Mass == nil) == (b.Query == nil):
		return nil, &refusal.Invalid{Field: "mass", Reason: "give either mass or query"}
	case b.Mass != nil:
		o, err := orderOf(b.Mass.MassSettings)
		if err != nil {
			return nil, err
		}
		if o.First, err = dayOf("mass.start_date", b.Mass.StartDate); err != nil {
			return nil, err
		}
		s.Mass = &o
	default:
		q, err := a.queriesOf(ctx, user, *b.Query)
		if err != nil {
			return nil, err
		}
		s.Query = &q
	}
	r, err := a.engine.Recurring.Create(ctx, user, plan, s)
	if err != nil {
		return nil, err
	}
	return route.MadeAt("/recurrences", strconv.FormatInt(r.ID, 10), view.Recurrence(r)), nil
}

// queriesOf reads the file of a batch query.
func (a *API) queriesOf(ctx context.Context, user people.User, b client.NewBatchQuery) (jobs.Queries, error) {
	return a.engine.BatchJobs.Queries(ctx, user, fileOf(b.BatchFile), jobs.Queries{
		About: aboutOf(b.BatchAbout), Sources: b.Sources, Project: b.Project, Urgent: b.Urgent,
		OutsideWindows: b.OutsideWindows, MailWhenFinished: b.MailWhenFinished,
	})
}

func (a *recurrencesRoutes) list(ctx context.Context, user people.User, in *route.Paging) (
	*route.Body[client.Page[client.Recurrence]], error,
) {
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.Recurring.List(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(list, in.Limit, view.Recurrence, func(r recurring.Recurrence) int64 { return r.ID }), nil
}

func (a *recurrencesRoutes) change(ctx context.Context, user people.User, in *struct {
	RecurrenceID
	route.IfMatch
	Body client.RecurrenceChange
},
) (*route.Changed[client.Recurrence], error) {
	c := recurring.Change{Paused: in.Body.Paused}
	if in.Body.Plan != nil {
		plan, err := planOf(*in.Body.Plan)
		if err != nil {
			return nil, err
		}
		c.Plan = &plan
	}
	return recurrenceOfVersion(a.engine.Recurring.Change(ctx, user, in.ID, c))
}
