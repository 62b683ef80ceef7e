// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// callersRoutes are the routes of this file.
type callersRoutes struct{ *API }

func (a *callersRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/rejected-callers", ID: "list-rejected-callers", Tag: quarantineTag,
		Errors:  []int{400, 403},
		Summary: "List callers that the receiver turned away",
		Description: "Shows, newest first, who called the DICOM receiver and was turned away: from which address, " +
			"why, and which change of a server's settings would let them in. Use it when a PACS fails to deliver " +
			"by C-MOVE.",
	}, a.listCallers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/receiver", ID: "get-receiver", Tag: quarantineTag,
		Errors:  []int{403},
		Summary: "Get what a PACS has to know about ADIT",
		Description: "Shows the AE titles of ADIT and the ports of its DICOM receiver, as the administrator of a PACS " +
			"has to enter them there. A load balancer or a container may use other ports outside.",
	}, a.getReceiver)
}

func (a *callersRoutes) getReceiver(context.Context, people.User, *struct{}) (*route.Body[client.Receiver], error) {
	c := a.engine.Receive.Config
	return route.Answer(client.Receiver{
		AETitle: c.AETitle, PlainAETitle: c.PlainAETitle, Port: c.ReceiverPort, TLSPort: c.ReceiverTLSPort,
	}), nil
}

func (a *callersRoutes) listCallers(
	ctx context.Context, user people.User, in *route.Paging,
) (*route.Body[client.Page[client.RejectedCaller]], error) {
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	rows, err := a.engine.Receive.RejectedCallers(ctx, user, below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(rows, in.Limit, view.Caller, func(c receive.RejectedCaller) int64 { return c.ID }), nil
}
