// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/people"
)

// groupsRoutes are the routes of this file.
type groupsRoutes struct{ *API }

const groupsTag = "Groups"

// GroupName names a group in a path.
type GroupName struct {
	Group string `path:"group" maxLength:"150" doc:"Name of the group, in any case of letters." example:"Radiology"`
}

type groupMember struct {
	GroupName
	Username
}

func (a *groupsRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/groups", id: "list-groups",
		summary: "List groups", tag: groupsTag, errors: []int{403},
		description: "Shows all groups with their permissions and how many members they have.",
	}, a.listGroups)
	handle(a.API, operation{
		method: http.MethodPost, path: "/groups", id: "add-group",
		summary: "Make a group", tag: groupsTag,
		status: http.StatusCreated, errors: []int{409},
		description: "Makes a group with a default project of its own. Give its members rights by permissions, and " +
			"DICOM nodes by `PUT /access`.",
		example: `{"name": "Radiology", "permissions": ["selective_transfer"]}`,
	}, func(ctx context.Context, user people.User, in *struct{ Body client.NewGroup }) (*created[client.Group], error) {
		g, err := groupBody(a.people.Groups.Create(ctx, user, in.Body.Name, in.Body.Permissions))
		if err != nil {
			return nil, err
		}
		return madeAt("/groups", g.Body.Name, g.Body), nil
	})
	handle(a.API, operation{
		method: http.MethodGet, path: "/groups/{group}", id: "get-group",
		summary: "Get a group", tag: groupsTag, errors: []int{403, 404},
		description: "Shows one group with its permissions and how many members it has.",
	},
		func(ctx context.Context, user people.User, in *GroupName) (*changed[client.Group], error) {
			return groupOfVersion(a.people.Groups.Get(ctx, user, in.Group))
		})
	handle(a.API, operation{
		method: http.MethodPatch, path: "/groups/{group}", id: "change-group", editable: true,
		summary: "Change a group", tag: groupsTag,
		errors: []int{404, 409},
		description: "Changes the name, the permissions, or both; what is not given stays. Permissions take effect " +
			"with the next request of each member.",
		example: `{"permissions": ["selective_transfer", "batch_query"]}`,
	}, func(ctx context.Context, user people.User, in *struct {
		GroupName
		IfMatch
		Body client.GroupChange
	},
	) (*changed[client.Group], error) {
		return groupOfVersion(a.people.Groups.Change(ctx, user, in.Group, people.GroupChange(in.Body)))
	})
	handle(a.API, operation{
		method: http.MethodDelete, path: "/groups/{group}", id: "delete-group", editable: true,
		summary: "Remove a group",
		description: "Removes a group with its access to DICOM nodes; its members keep their accounts. A group " +
			"whose projects were ever used stays (409), since pseudonyms depend on them.", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		GroupName
		IfMatch
	},
	) (*none, error) {
		return nil, a.people.Groups.Delete(ctx, user, in.Group)
	})
	handle(a.API, operation{
		method: http.MethodGet, path: "/groups/{group}/members", id: "list-members",
		summary: "List the members of a group", tag: groupsTag, errors: []int{403, 404},
		description: "Shows the users who belong to a group, with their names.",
	}, a.listMembers)
	handle(a.API, operation{
		method: http.MethodPut, path: "/groups/{group}/members/{username}",
		id: "add-member", summary: "Put a user into a group", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{404},
		description: "Gives a user the permissions and the DICOM nodes of a group. A user who is a member already " +
			"stays one.",
	}, func(ctx context.Context, user people.User, in *groupMember) (*none, error) {
		return nil, a.people.Groups.AddMember(ctx, user, in.Group, in.Username.Username)
	})
	handle(a.API, operation{
		method: http.MethodDelete, path: "/groups/{group}/members/{username}",
		id: "remove-member", summary: "Take a user out of a group", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{404},
		description: "Takes the permissions and the DICOM nodes of a group away from a user. Tasks that need them " +
			"stop before their next study.",
	}, func(ctx context.Context, user people.User, in *groupMember) (*none, error) {
		return nil, a.people.Groups.RemoveMember(ctx, user, in.Group, in.Username.Username)
	})
}

func (a *groupsRoutes) listGroups(ctx context.Context, user people.User, in *NamedList) (
	*body[client.Page[client.Group]], error,
) {
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	groups, err := a.people.Groups.List(ctx, user, o, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return ordered(groups, in.Limit, o, view.Group, func(g people.Group) (string, int64) {
		return nameOf(o, g.Name), g.ID
	}), nil
}

func (a *groupsRoutes) listMembers(ctx context.Context, user people.User, in *struct {
	GroupName
	Paging
},
) (*body[client.Page[client.Member]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	members, err := a.people.Groups.Members(ctx, user, in.Group, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(
		members, in.Limit, func(m people.Member) client.Member { return client.Member(m) },
		func(m people.Member) int64 { return m.ID },
	), nil
}

func groupOfVersion(g people.Group, err error) (*changed[client.Group], error) {
	if err != nil {
		return nil, err
	}
	return &changed[client.Group]{g.Version(), view.Group(g)}, nil
}

func groupBody(g people.Group, err error) (*body[client.Group], error) {
	if err != nil {
		return nil, err
	}
	return &body[client.Group]{view.Group(g)}, nil
}
