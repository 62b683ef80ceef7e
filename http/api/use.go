// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/people/apiuse"
)

// useRoutes are the routes of this file.
type useRoutes struct{ *API }

type listUse struct {
	Paging
	User string `query:"user" maxLength:"150" doc:"Only of this user, by username." example:"researcher"`
	From string `query:"from" maxLength:"10" doc:"Only from this day (UTC) on, as YYYY-MM-DD." example:"2026-11-01"`
	To   string `query:"to" maxLength:"10" doc:"Only up to this day (UTC), as YYYY-MM-DD." example:"2026-11-30"`
}

func (a *useRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/api-use", id: "list-api-use", tag: usersTag, errors: []int{400, 403},
		summary: "List who used the API how much",
		description: "Shows, newest first, how many requests each user sent on a day by which token or by sessions, " +
			"for what, and how many failed. A request is counted within a minute, and rows are kept for 8 weeks. " +
			"Use it to find a program that asks too often, or a token that nobody uses any more.",
	}, a.listUse)
}

func (a *useRoutes) listUse(
	ctx context.Context, _ people.User, in *listUse,
) (*body[client.Page[client.APIUse]], error) {
	if err := plainText(map[string]string{"user": in.User}); err != nil {
		return nil, err
	}
	below, err := in.after()
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
	return pageOf(rows, in.Limit, clientUse, func(u apiuse.Row) int64 { return u.ID }), nil
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

type operationKey struct{}

// counted counts the requests of those who are known. It stands behind auth.Require.
func counted(who *people.Service) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := r.Context()
			operation, done := new(string), false
			ww := middleware.NewWrapResponseWriter(w, r.ProtoMajor)
			defer func() {
				status := ww.Status()
				if !done { // it panicked, or its answer broke off
					status = http.StatusInternalServerError
				}
				who.Use.Count(apiuse.Request{
					UserID: auth.User(ctx).ID, TokenID: auth.Token(ctx), Operation: *operation,
					Status: status, Bytes: int64(ww.BytesWritten()),
				})
			}()
			next.ServeHTTP(ww, r.WithContext(context.WithValue(ctx, operationKey{}, operation)))
			done = true
		})
	}
}

// Counted counts requests that are served outside of this API as those of an operation.
func Counted(who *people.Service, operation string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return counted(who)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if name, ok := r.Context().Value(operationKey{}).(*string); ok {
				*name = operation
			}
			next.ServeHTTP(w, r)
		}))
	}
}

// named tells counted which operation it is.
func named(ctx huma.Context, next func(huma.Context)) {
	if operation, ok := ctx.Context().Value(operationKey{}).(*string); ok {
		*operation = ctx.Operation().OperationID
	}
	next(ctx)
}
