// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
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
	handle(a.API, operation{
		method: http.MethodGet, path: "/access/{group}/{node}", id: "get-access", tag: groupsTag,
		errors: []int{403, 404}, summary: "Get what a group may do at a DICOM node",
		description: "Shows whether a group may read from a DICOM node and send to it. 404 if it may do " +
			"neither.",
	}, a.getAccess)
	handle(a.API, operation{
		method: http.MethodGet, path: "/access", id: "list-access",
		summary: "List who may use which DICOM nodes", tag: groupsTag, errors: []int{403},
		description: "Shows which groups may read from which DICOM nodes and send to them. Filter by a group, by a " +
			"node, or by both to see one entry.",
	}, a.listAccess)
	handle(a.API, operation{
		method: http.MethodPut, path: "/access", id: "set-access", editable: true, tag: groupsTag,
		errors:  []int{400, 403, 413},
		summary: "Set what a group may do at a DICOM node",
		description: "Lets a group read from a DICOM node, send to it, or both, and replaces what it could do " +
			"there before. With neither `source` nor `destination` the group loses its access. Jobs that run " +
			"already go on.",
		example: `{"group": "Radiology", "node": "PACS", "source": true, "destination": false}`,
	}, a.setAccess)
}

func (a *accessRoutes) listAccess(ctx context.Context, user people.User, in *listAccess) (
	*body[client.Page[client.Access]], error,
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
	out := pageOf(rows, in.Limit, view.Access, func(r people.Access) int64 { return r.NodeID })
	if out.Body.NextCursor != "" {
		last := rows[in.Limit-1]
		out.Body.NextCursor = fmt.Sprintf("%d-%d", last.GroupID, last.NodeID)
	}
	return out, nil
}

func (a *accessRoutes) getAccess(
	ctx context.Context, user people.User, in *oneAccess,
) (*changed[client.Access], error) {
	rows, err := a.people.Groups.Accesses(ctx, user, people.AccessFilter{Group: in.Group, Node: in.Node, Limit: 1})
	if err != nil {
		return nil, err
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("access of group %q to DICOM node %q: %w", in.Group, in.Node, refusal.ErrNotFound)
	}
	return &changed[client.Access]{rows[0].Version(), view.Access(rows[0])}, nil
}

func (a *accessRoutes) setAccess(
	ctx context.Context, user people.User, in *struct {
		IfMatch
		Body client.Access
	},
) (*changed[client.Access], error) {
	if err := plainText(map[string]string{"group": in.Body.Group, "node": in.Body.Node}); err != nil {
		return nil, err
	}
	access, err := a.people.Groups.SetAccess(
		ctx, user, in.Body.Group, in.Body.Node, in.Body.Source, in.Body.Destination,
	)
	if err != nil {
		return nil, err
	}
	return &changed[client.Access]{access.Version(), view.Access(access)}, nil
}
