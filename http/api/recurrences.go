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
	handle(a.API, operation{
		method: http.MethodPost, path: "/recurrences", id: "create-recurrence", tag: recurrencesTag,
		status: http.StatusCreated, body: batchBody, errors: []int{409},
		summary: "Have something run again and again",
		description: "Makes a mass transfer or a batch query that runs at the days and the time given, with the rights that " +
			"its owner has then. Each run is a job of its own and is about what earlier runs did not deliver or find, by " +
			"UID. It runs once at a time. Its owner gets a mail if a run fails, finds nothing new or can't be made.",
		example: `{"at": "02:00", "weekdays": ["mon", "tue"], "overlap_days": 7, "mass": {"source": "PACS", "destination": "research", "start_date": "2026-12-01", "filters": [{"modality": "CT"}]}}`,
	}, a.create)
	handle(a.API, operation{
		method: http.MethodGet, path: "/recurrences", id: "list-recurrences", tag: recurrencesTag,
		summary: "List what runs again and again", description: "Shows one's own, newest first; staff sees those of everybody.",
	}, a.list)
	handle(a.API, operation{
		method: http.MethodGet, path: "/recurrences/{id}", id: "get-recurrence", tag: recurrencesTag, errors: []int{404},
		editable: true, summary: "Get what runs again and again",
		description: "Shows when it runs, and how the last run ended.",
	}, func(ctx context.Context, user people.User, in *RecurrenceID) (*changed[client.Recurrence], error) {
		return recurrenceOfVersion(a.engine.Recurring.Get(ctx, user, in.ID))
	})
	handle(a.API, operation{
		method: http.MethodPatch, path: "/recurrences/{id}", id: "change-recurrence", tag: recurrencesTag,
		errors: []int{404}, editable: true, summary: "Change when something runs",
		description: "Changes the plan as a whole, or pauses and continues.", example: `{"paused": true}`,
	}, a.change)
	handle(a.API, operation{
		method: http.MethodDelete, path: "/recurrences/{id}", id: "delete-recurrence", tag: recurrencesTag,
		status: http.StatusNoContent, errors: []int{404}, editable: true, summary: "Remove what runs again and again",
		description: "It runs no more. The jobs that it has made stay.",
	}, func(ctx context.Context, user people.User, in *struct {
		RecurrenceID
		IfMatch
	},
	) (*none, error) {
		return nil, a.engine.Recurring.Delete(ctx, user, in.ID)
	})
	handle(a.API, operation{
		method: http.MethodPost, path: "/recurrences/{id}:run", id: "run-recurrence", tag: recurrencesTag,
		errors: []int{404, 409}, summary: "Run something now",
		description: "Makes a run at once, beside its plan. While the last run goes on it answers 409.",
	}, func(ctx context.Context, user people.User, in *RecurrenceID) (*body[client.Recurrence], error) {
		r, err := a.engine.Recurring.RunNow(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return &body[client.Recurrence]{view.Recurrence(r)}, nil
	})
}

func recurrenceOfVersion(r recurring.Recurrence, err error) (*changed[client.Recurrence], error) {
	if err != nil {
		return nil, err
	}
	return &changed[client.Recurrence]{r.Version(), view.Recurrence(r)}, nil
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
	*created[client.Recurrence], error,
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
	return madeAt("/recurrences", strconv.FormatInt(r.ID, 10), view.Recurrence(r)), nil
}

// queriesOf reads the file of a batch query.
func (a *API) queriesOf(ctx context.Context, user people.User, b client.NewBatchQuery) (jobs.Queries, error) {
	return a.engine.BatchJobs.Queries(ctx, user, fileOf(b.BatchFile), jobs.Queries{
		About: aboutOf(b.BatchAbout), Sources: b.Sources, Project: b.Project, Urgent: b.Urgent,
		OutsideWindows: b.OutsideWindows, MailWhenFinished: b.MailWhenFinished,
	})
}

func (a *recurrencesRoutes) list(ctx context.Context, user people.User, in *Paging) (
	*body[client.Page[client.Recurrence]], error,
) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.Recurring.List(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(list, in.Limit, view.Recurrence, func(r recurring.Recurrence) int64 { return r.ID }), nil
}

func (a *recurrencesRoutes) change(ctx context.Context, user people.User, in *struct {
	RecurrenceID
	IfMatch
	Body client.RecurrenceChange
},
) (*changed[client.Recurrence], error) {
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
