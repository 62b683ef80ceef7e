// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

const groupsTag = "Groups"

// GroupName names a group in a path.
type GroupName struct {
	Group string `path:"group" maxLength:"150" doc:"In any case of letters."`
}

type groupMember struct {
	GroupName
	Username
}

func (a *API) registerGroups() {
	handle(a, operation{method: http.MethodGet, path: "/groups", id: "list-groups", summary: "List groups (staff)", tag: groupsTag, errors: []int{403}}, a.listGroups)
	handle(a, operation{
		method: http.MethodPost, path: "/groups", id: "add-group", summary: "Make a group with a default project (staff). To give permissions takes the password (password_needed)", tag: groupsTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413},
	}, func(ctx context.Context, user people.User, in *struct{ Body client.NewGroup }) (*created[client.Group], error) {
		g, err := groupBody(a.people.CreateGroup(ctx, user, in.Body.Name, in.Body.Permissions))
		if err != nil {
			return nil, err
		}
		return madeAt("/groups", g.Body.Name, g.Body), nil
	})
	handle(a, operation{method: http.MethodGet, path: "/groups/{group}", id: "get-group", summary: "Get a group (staff)", tag: groupsTag, errors: []int{403, 404}},
		func(ctx context.Context, user people.User, in *GroupName) (*body[client.Group], error) {
			return groupBody(a.people.Group(ctx, user, in.Group))
		})
	handle(a, operation{
		method: http.MethodPatch, path: "/groups/{group}", id: "change-group", summary: "Change the name or the permissions of a group (staff). To give some takes the password (password_needed)", tag: groupsTag,
		errors: []int{400, 403, 404, 409, 413},
	}, func(ctx context.Context, user people.User, in *struct {
		GroupName
		Body client.GroupChange
	},
	) (*body[client.Group], error) {
		return groupBody(a.people.ChangeGroup(ctx, user, in.Group, people.GroupChange(in.Body)))
	})
	handle(a, operation{
		method: http.MethodDelete, path: "/groups/{group}", id: "delete-group", summary: "Remove a group whose projects were never used (staff)", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{403, 404, 409},
	}, func(ctx context.Context, user people.User, in *GroupName) (*none, error) {
		return nil, a.people.DeleteGroup(ctx, user, in.Group)
	})
	handle(a, operation{
		method: http.MethodGet, path: "/groups/{group}/members", id: "list-members", summary: "List the members of a group (staff)", tag: groupsTag, errors: []int{403, 404},
	}, a.listMembers)
	handle(a, operation{
		method: http.MethodPut, path: "/groups/{group}/members/{username}", id: "add-member", summary: "Put a user into a group (staff). Takes the password (password_needed)", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{403, 404},
	}, func(ctx context.Context, user people.User, in *groupMember) (*none, error) {
		return nil, a.people.AddMember(ctx, user, in.Group, in.Username.Username)
	})
	handle(a, operation{
		method: http.MethodDelete, path: "/groups/{group}/members/{username}", id: "remove-member", summary: "Take a user out of a group (staff)", tag: groupsTag,
		status: http.StatusNoContent, errors: []int{403, 404},
	}, func(ctx context.Context, user people.User, in *groupMember) (*none, error) {
		return nil, a.people.RemoveMember(ctx, user, in.Group, in.Username.Username)
	})
}

func (a *API) listGroups(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.Group]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	groups, err := a.people.Groups(ctx, user, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(groups, in.Limit, clientGroup, func(g people.Group) int64 { return g.ID }), nil
}

func (a *API) listMembers(ctx context.Context, user people.User, in *struct {
	GroupName
	Paging
},
) (*body[client.Page[client.Member]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	members, err := a.people.Members(ctx, user, in.Group, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(members, in.Limit, func(m people.Member) client.Member { return client.Member(m) }, func(m people.Member) int64 { return m.ID }), nil
}

func groupBody(g people.Group, err error) (*body[client.Group], error) {
	if err != nil {
		return nil, err
	}
	return &body[client.Group]{clientGroup(g)}, nil
}

func clientGroup(g people.Group) client.Group { return client.Group(g) }
