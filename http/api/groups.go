// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
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
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/groups", ID: "list-groups",
		Summary: "List groups", Tag: groupsTag, Errors: []int{403},
		Description: "Shows all groups with their permissions and how many members they have.",
	}, a.listGroups)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/groups", ID: "add-group",
		Summary: "Make a group", Tag: groupsTag,
		Status: http.StatusCreated, Errors: []int{409},
		Description: "Makes a group with a default project of its own. Give its members rights by permissions, and " +
			"DICOM nodes by `PUT /access`.",
		Example: `{"name": "Radiology", "permissions": ["selective_transfer"]}`,
	}, func(
		ctx context.Context, user people.User, in *struct{ Body client.NewGroup },
	) (*route.Created[client.Group], error) {
		g, err := groupBody(a.people.Groups.Create(ctx, user, in.Body.Name, in.Body.Permissions))
		if err != nil {
			return nil, err
		}
		return route.MadeAt("/groups", g.Body.Name, g.Body), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/groups/{group}", ID: "get-group",
		Summary: "Get a group", Tag: groupsTag, Errors: []int{403, 404},
		Description: "Shows one group with its permissions and how many members it has.",
	},
		func(ctx context.Context, user people.User, in *GroupName) (*route.Changed[client.Group], error) {
			return groupOfVersion(a.people.Groups.Get(ctx, user, in.Group))
		})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/groups/{group}", ID: "change-group", Editable: true,
		Summary: "Change a group", Tag: groupsTag,
		Errors: []int{404, 409},
		Description: "Changes the name, the permissions, or both; what is not given stays. Permissions take effect " +
			"with the next request of each member.",
		Example: `{"permissions": ["selective_transfer", "batch_query"]}`,
	}, func(ctx context.Context, user people.User, in *struct {
		GroupName
		route.IfMatch
		Body client.GroupChange
	},
	) (*route.Changed[client.Group], error) {
		return groupOfVersion(a.people.Groups.Change(ctx, user, in.Group, people.GroupChange(in.Body)))
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/groups/{group}", ID: "delete-group", Editable: true,
		Summary: "Remove a group",
		Description: "Removes a group with its access to DICOM nodes; its members keep their accounts. A group " +
			"whose projects were ever used stays (409), since pseudonyms depend on them.", Tag: groupsTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		GroupName
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.people.Groups.Delete(ctx, user, in.Group)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/groups/{group}/members", ID: "list-members",
		Summary: "List the members of a group", Tag: groupsTag, Errors: []int{403, 404},
		Description: "Shows the users who belong to a group, with their names.",
	}, a.listMembers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/groups/{group}/members/{username}",
		ID: "add-member", Summary: "Put a user into a group", Tag: groupsTag,
		Status: http.StatusNoContent, Errors: []int{404},
		Description: "Gives a user the permissions and the DICOM nodes of a group. A user who is a member already " +
			"stays one.",
	}, func(ctx context.Context, user people.User, in *groupMember) (*route.None, error) {
		return nil, a.people.Groups.AddMember(ctx, user, in.Group, in.Username.Username)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/groups/{group}/members/{username}",
		ID: "remove-member", Summary: "Take a user out of a group", Tag: groupsTag,
		Status: http.StatusNoContent, Errors: []int{404},
		Description: "Takes the permissions and the DICOM nodes of a group away from a user. Tasks that need them " +
			"stop before their next study.",
	}, func(ctx context.Context, user people.User, in *groupMember) (*route.None, error) {
		return nil, a.people.Groups.RemoveMember(ctx, user, in.Group, in.Username.Username)
	})
}

func (a *groupsRoutes) listGroups(ctx context.Context, user people.User, in *NamedList) (
	*route.Body[client.Page[client.Group]], error,
) {
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	groups, err := a.people.Groups.List(ctx, user, o, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.Ordered(groups, in.Limit, o, view.Group, func(g people.Group) (string, int64) {
		return nameOf(o, g.Name), g.ID
	}), nil
}

func (a *groupsRoutes) listMembers(ctx context.Context, user people.User, in *struct {
	GroupName
	route.Paging
},
) (*route.Body[client.Page[client.Member]], error) {
	above, err := in.After()
	if err != nil {
		return nil, err
	}
	members, err := a.people.Groups.Members(ctx, user, in.Group, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(
		members, in.Limit, func(m people.Member) client.Member { return client.Member(m) },
		func(m people.Member) int64 { return m.ID },
	), nil
}

func groupOfVersion(g people.Group, err error) (*route.Changed[client.Group], error) {
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(g.Version(), view.Group(g)), nil
}

func groupBody(g people.Group, err error) (*route.Body[client.Group], error) {
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Group(g)), nil
}
