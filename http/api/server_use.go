// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// serverUseRoutes are the routes of this file.
type serverUseRoutes struct{ *API }

func (a *serverUseRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/servers/{name}/use", ID: "get-server-use", Tag: scheduleTag, Errors: []int{403, 404},
		Summary: "Get how a server was used, by hour",
		Description: "Shows for each hour how many associations jobs and people had at a server, on average and at most, " +
			"and what was moved from and to it: what its schedule can be held against. Hours are of UTC, so that none is " +
			"twice or missing when the clocks change. They are kept for 36 days.",
	}, a.getUse)
}

func (a *serverUseRoutes) getUse(ctx context.Context, user people.User, in *struct {
	NodeName
	From time.Time `query:"from" format:"date-time" example:"2026-11-01T00:00:00Z" doc:"Hours that begin then or later; four weeks before the end by default."`
	To   time.Time `query:"to" format:"date-time" example:"2026-11-29T00:00:00Z" doc:"Hours that begin earlier; by default the current one is the last. At most 36 days after from."`
},
) (*route.Body[client.ServerUse], error) {
	use, err := a.engine.Housekeeping.Use(ctx, user, in.Name, in.From, in.To)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.ServerUse(use)), nil
}
