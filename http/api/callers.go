// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

func (a *API) registerCallers() {
	handle(a, operation{
		method: http.MethodGet, path: "/rejected-callers", id: "list-rejected-callers", tag: quarantineTag,
		errors:  []int{400, 403},
		summary: "List who called the receiver and was turned away: from where, why, and what allows it (staff)",
	}, a.listCallers)
}

func (a *API) listCallers(
	ctx context.Context, user people.User, in *Paging,
) (*body[client.Page[client.RejectedCaller]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.RejectedCallers(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, clientCaller, func(c engine.RejectedCaller) int64 { return c.ID }), nil
}

func clientCaller(c engine.RejectedCaller) client.RejectedCaller {
	out := client.RejectedCaller{
		ID: c.ID, Server: c.Server, CallingAE: c.CallingAe, CalledAE: c.CalledAe, Address: c.Address, Reason: c.Reason,
		Detail: c.Sentence(), Calls: c.Calls, First: c.FirstAt, Last: c.LastAt,
	}
	if !c.Allows() {
		return out
	}
	out.Command = c.Command()
	out.Change = &client.ServerChange{Retrieve: &client.RetrieveChange{AddAddressRanges: []string{c.Address}}}
	if c.Reason == engine.CallCalledTitle {
		out.Change.Retrieve = &client.RetrieveChange{MoveDestination: &c.CalledAe}
	}
	return out
}
