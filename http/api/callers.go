// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// callersRoutes are the routes of this file.
type callersRoutes struct{ *API }

func (a *callersRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/rejected-callers", id: "list-rejected-callers", tag: quarantineTag,
		errors:  []int{400, 403},
		summary: "List callers that the receiver turned away",
		description: "Shows, newest first, who called the DICOM receiver and was turned away: from which address, " +
			"why, and which change of a server's settings would let them in. Use it when a PACS fails to deliver " +
			"by C-MOVE.",
	}, a.listCallers)
}

func (a *callersRoutes) listCallers(
	ctx context.Context, user people.User, in *Paging,
) (*body[client.Page[client.RejectedCaller]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.Receive.RejectedCallers(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(rows, in.Limit, view.Caller, func(c receive.RejectedCaller) int64 { return c.ID }), nil
}
