// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// accessRoutes are the routes of this file.
type accessRoutes struct{ *API }

type listAccess struct {
	Cursor string `query:"cursor" maxLength:"41" doc:"The next_cursor of the page before; absent for the first one." example:"2-3"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page." example:"50"`
	Group  string `query:"group" maxLength:"150" doc:"Name of the only group to show; absent: all." example:"Radiology"`
	Node   string `query:"node" maxLength:"64" doc:"Name of the only DICOM node to show; absent: all." example:"PACS"`
}

type oneAccess struct {
	GroupName
	Node string `path:"node" maxLength:"255" example:"PACS" doc:"Name of the DICOM node, in any case of letters."`
}

func (a *accessRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/access/{group}/{node}", ID: "get-access", Tag: groupsTag,
		Errors: []int{403, 404}, Summary: "Get what a group may do at a DICOM node",
		Description: "Shows whether a group may read from a DICOM node and send to it. 404 if it may do " +
			"neither.",
	}, a.getAccess)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/access", ID: "list-access",
		Summary: "List who may use which DICOM nodes", Tag: groupsTag, Errors: []int{403},
		Description: "Shows which groups may read from which DICOM nodes and send to them. Filter by a group, by a " +
			"node, or by both to see one entry.",
	}, a.listAccess)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/access", ID: "set-access", Editable: true, Tag: groupsTag,
		Errors:  []int{400, 403, 413},
		Summary: "Set what a group may do at a DICOM node",
		Description: "Lets a group read from a DICOM node, send to it, or both, and replaces what it could do " +
			"there before. With neither `source` nor `destination` the group loses its access. Jobs that run " +
			"already go on.",
		Example: `{"group": "Radiology", "node": "PACS", "source": true, "destination": false}`,
	}, a.setAccess)
}

func (a *accessRoutes) listAccess(ctx context.Context, user people.User, in *listAccess) (
	*route.Body[client.Page[client.Access]], error,
) {
	f := people.AccessFilter{Group: in.Group, Node: in.Node, Limit: in.Limit + 1}
	if in.Cursor != "" {
		n, err := fmt.Sscanf(in.Cursor, "%d-%d", &f.AboveGroup, &f.AboveNode)
		if n != 2 || err != nil || in.Cursor != fmt.Sprintf("%d-%d", f.AboveGroup, f.AboveNode) {
			return nil, page.Unknown()
		}
	}
	rows, err := a.people.Groups.Accesses(ctx, user, f)
	if err != nil {
		return nil, err
	}
	out := route.PageOf(rows, in.Limit, view.Access, func(r people.Access) int64 { return r.NodeID })
	if out.Body.NextCursor != "" {
		last := rows[in.Limit-1]
		out.Body.NextCursor = fmt.Sprintf("%d-%d", last.GroupID, last.NodeID)
	}
	return out, nil
}

func (a *accessRoutes) getAccess(
	ctx context.Context, user people.User, in *oneAccess,
) (*route.Changed[client.Access], error) {
	rows, err := a.people.Groups.Accesses(ctx, user, people.AccessFilter{Group: in.Group, Node: in.Node, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("access of group %q to DICOM node %q: %w", in.Group, in.Node, refusal.ErrNotFound)
	}
	return route.ChangedTo(rows[0].Version(), view.Access(rows[0])), nil
}

func (a *accessRoutes) setAccess(
	ctx context.Context, user people.User, in *struct {
		route.IfMatch
		Body client.Access
	},
) (*route.Changed[client.Access], error) {
	if err := plainText(map[string]string{"group": in.Body.Group, "node": in.Body.Node}); err != nil {
		return nil, err
	}
	access, err := a.people.Groups.SetAccess(
		ctx, user, in.Body.Group, in.Body.Node, in.Body.Source, in.Body.Destination,
	)
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(access.Version(), view.Access(access)), nil
}
