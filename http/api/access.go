// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

type listAccess struct {
	Cursor string `query:"cursor" maxLength:"41" doc:"next_cursor of the page before; absent for the first one."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page."`
	Group  string `query:"group" maxLength:"150" doc:"Only of this group."`
	Node   string `query:"node" maxLength:"64" doc:"Only to this DICOM node."`
}

func (a *API) registerAccess() {
	handle(a, operation{
		method: http.MethodGet, path: "/access", id: "list-access", summary: "List which groups may use which DICOM nodes (staff)", tag: groupsTag, errors: []int{403},
	}, a.listAccess)
	handle(a, operation{
		method: http.MethodPut, path: "/access", id: "set-access", tag: groupsTag, errors: []int{400, 403, 413},
		summary: "Say how a group may use a DICOM node; as neither source nor destination takes the access away (staff)",
	}, a.setAccess)
}

func (a *API) listAccess(ctx context.Context, user people.User, in *listAccess) (*body[client.Page[client.Access]], error) {
	f := people.AccessFilter{Group: in.Group, Node: in.Node, Limit: in.Limit + 1}
	if in.Cursor != "" {
		if n, err := fmt.Sscanf(in.Cursor, "%d-%d", &f.AboveGroup, &f.AboveNode); n != 2 || err != nil {
			return nil, &engine.Invalid{Field: "cursor", Reason: "this is not a next_cursor of a list; start without a cursor"}
		}
	}
	rows, err := a.people.Accesses(ctx, user, f)
	if err != nil {
		return nil, err
	}
	page := pageOf(rows, in.Limit, clientAccess, func(r people.Access) int64 { return r.NodeID })
	if page.Body.NextCursor != "" {
		last := rows[in.Limit-1]
		page.Body.NextCursor = fmt.Sprintf("%d-%d", last.GroupID, last.NodeID)
	}
	return page, nil
}

func (a *API) setAccess(ctx context.Context, user people.User, in *struct{ Body client.Access }) (*body[client.Access], error) {
	if err := plainText(map[string]string{"group": in.Body.Group, "node": in.Body.Node}); err != nil {
		return nil, err
	}
	access, err := a.people.SetAccess(ctx, user, in.Body.Group, in.Body.Node, in.Body.Source, in.Body.Destination)
	if err != nil {
		return nil, err
	}
	return &body[client.Access]{clientAccess(access)}, nil
}

func clientAccess(a people.Access) client.Access {
	return client.Access{Group: a.Group, Node: a.Node, Kind: a.Kind, Source: a.Source, Destination: a.Destination}
}
