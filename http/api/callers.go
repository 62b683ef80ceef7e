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
	handle(a.API, operation{
		method: http.MethodGet, path: "/receiver", id: "get-receiver", tag: quarantineTag,
		errors:  []int{403},
		summary: "Get what a PACS has to know about ADIT",
		description: "Shows the AE titles of ADIT and the ports of its DICOM receiver, as the administrator of a PACS " +
			"has to enter them there. A load balancer or a container may use other ports outside.",
	}, a.getReceiver)
}

func (a *callersRoutes) getReceiver(context.Context, people.User, *struct{}) (*body[client.Receiver], error) {
	c := a.engine.Receive.Config
	return &body[client.Receiver]{client.Receiver{
		AETitle: c.AETitle, PlainAETitle: c.PlainAETitle, Port: c.ReceiverPort, TLSPort: c.ReceiverTLSPort,
	}}, nil
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
