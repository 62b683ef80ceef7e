// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/people/apiuse"
)

// useRoutes are the routes of this file.
type useRoutes struct{ *API }

type listUse struct {
	route.Paging
	User string `query:"user" maxLength:"150" doc:"Only of this user, by username." example:"researcher"`
	From string `query:"from" maxLength:"10" doc:"Only from this day (UTC) on, as YYYY-MM-DD." example:"2026-11-01"`
	To   string `query:"to" maxLength:"10" doc:"Only up to this day (UTC), as YYYY-MM-DD." example:"2026-11-30"`
}

func (a *useRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/api-use", ID: "list-api-use", Tag: usersTag, Errors: []int{400, 403},
		Summary: "List who used the API how much",
		Description: "Shows, newest first, how many requests each user sent on a day by which token or by sessions, " +
			"for what, and how many failed. A request is counted within a minute, and rows are kept for 8 weeks. " +
			"Use it to find a program that asks too often, or a token that nobody uses any more.",
	}, a.listUse)
}

func (a *useRoutes) listUse(
	ctx context.Context, _ people.User, in *listUse,
) (*route.Body[client.Page[client.APIUse]], error) {
	if err := plainText(map[string]string{"user": in.User}); err != nil {
		return nil, err
	}
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	f := apiuse.Filter{Username: in.User, Below: below, Limit: in.Limit + 1}
	if f.From, err = day("from", in.From); err != nil {
		return nil, err
	}
	if f.To, err = day("to", in.To); err != nil {
		return nil, err
	}
	rows, err := a.people.Use.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, in.Limit, clientUse, func(u apiuse.Row) int64 { return u.ID }), nil
}

// day reads a day; nil: none was given.
func day(field, text string) (*time.Time, error) {
	if text == "" {
		return nil, nil //nolint:nilnil // there is none
	}
	d, err := time.Parse(time.DateOnly, text)
	if err != nil || d.Year() < 1 {
		return nil, &refusal.Invalid{Field: field, Reason: "give a day as YYYY-MM-DD, such as 2026-11-30"}
	}
	return &d, nil
}

func clientUse(u apiuse.Row) client.APIUse {
	return client.APIUse{
		ID: u.ID, Day: u.Day.Format(time.DateOnly), Username: u.Username, TokenID: u.TokenID, Token: u.Token,
		Operation: u.Operation, Requests: u.Requests, ClientErrors: u.ClientErrors, ServerErrors: u.ServerErrors,
		Bytes: u.Bytes, Last: u.LastAt,
	}
}
