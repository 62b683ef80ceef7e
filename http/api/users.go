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

// usersRoutes are the routes of this file.
type usersRoutes struct{ *API }

const usersTag = "Users"

// Username names a user in a path.
type Username struct {
	Username string `path:"username" maxLength:"150" doc:"Username of the user, in any case of letters." example:"researcher"`
}

type listUsers struct {
	route.Paging
	Search string `query:"search" maxLength:"150" doc:"Text in usernames, names and mail addresses, in any case of letters." example:"radiology"`
	Active string `query:"active" enum:"true,false" doc:"Only active or only disabled users."`
	Staff  string `query:"staff" enum:"true,false" example:"true" doc:"Only staff; false: only others."`
	Group  string `query:"group" maxLength:"150" example:"Radiology" doc:"Only members of this group."`
	Sort   string `query:"sort" enum:"id,-id,username,-username" default:"id" example:"username" doc:"What the list is sorted by; with - downwards. id: as they were made."`
}

func (a *usersRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/users", ID: "list-users",
		Summary: "List users", Tag: usersTag, Errors: []int{403},
		Description: "Shows the accounts, with their groups and rights. Search by a part of a username, a name or " +
			"a mail address.",
	}, a.listUsers)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/users", ID: "add-user",
		Summary: "Add a user", Tag: usersTag,
		Status: http.StatusCreated, Errors: []int{409, 429},
		Description: "Makes an account. Give it a password, or set `invite` to send a mail with a link to choose " +
			"one.",
		Example: `{"username": "researcher", "mail": "researcher@example.org", "invite": true, "groups": ["Radiology"]}`,
	}, a.addUser)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/users/{username}", ID: "get-user",
		Summary: "Get a user", Tag: usersTag, Errors: []int{403, 404},
		Description: "Shows one account with its groups and rights.",
	}, a.getUser)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/users/{username}", ID: "change-user", Editable: true,
		Summary: "Change or disable a user", Tag: usersTag,
		Errors: []int{404, 409},
		Description: "Changes the properties that are given and leaves the others. To disable an account ends its " +
			"sessions, revokes its tokens and stops its running transfers.",
		Example: `{"is_active": false}`,
	}, a.changeUser)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/users/{username}", ID: "delete-user", Editable: true,
		Summary: "Remove a user",
		Description: "Removes an account with its sessions and tokens. The owner of a job can't be removed (409); " +
			"disable the account instead.", Tag: usersTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		Username
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.people.Users.Delete(ctx, user, in.Username.Username)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/users/{username}/password", ID: "set-password",
		Tag: usersTag, Status: http.StatusNoContent, Errors: []int{404, 429},
		Summary: "Set the password of a user",
		Description: "Gives a user another password, ends all their sessions and, unless `keep_tokens` is set, " +
			"revokes their API tokens.",
	}, func(ctx context.Context, user people.User, in *struct {
		Username
		Body client.NewPassword
	},
	) (*route.None, error) {
		return nil, a.people.Passwords.SetPassword(
			ctx, user, in.Username.Username, in.Body.Password, in.Body.KeepTokens.KeepTokens,
		)
	})
}

func (a *usersRoutes) listUsers(ctx context.Context, user people.User, in *listUsers) (
	*route.Body[client.Page[client.User]], error,
) {
	if err := plainText(map[string]string{"group": in.Group}); err != nil {
		return nil, err
	}
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	users, err := a.people.Users.List(ctx, user, people.UserFilter{
		Search: in.Search, Active: yesOrNo(in.Active), Staff: yesOrNo(in.Staff), Group: in.Group, Order: o,
		Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return route.Ordered(users, in.Limit, o, view.User, func(u people.Account) (string, int64) {
		return nameOf(o, u.Username), u.ID
	}), nil
}

func (a *usersRoutes) addUser(
	ctx context.Context, user people.User, in *struct{ Body client.NewUser },
) (*route.Created[client.User], error) {
	n := in.Body
	if err := plainTexts("groups", n.Groups); err != nil {
		return nil, err
	}
	u, err := a.people.Users.Create(ctx, user, people.NewAccount{
		Username: n.Username, Person: people.Person(n.Person), Password: n.Password,
		Staff: n.IsStaff, Superuser: n.IsSuperuser, Groups: n.Groups, Invite: n.Invite,
	})
	out, err := userBody(u, err)
	if err != nil {
		return nil, err
	}
	if n.Invite {
		out.Body.Warning = a.people.Mail().Warning()
	}
	return route.MadeAt("/users", out.Body.Username, out.Body), nil
}

func (a *usersRoutes) getUser(
	ctx context.Context, user people.User, in *Username,
) (*route.Changed[client.User], error) {
	return userOfVersion(a.people.Users.Get(ctx, user, in.Username))
}

func (a *usersRoutes) changeUser(ctx context.Context, user people.User, in *struct {
	Username
	route.IfMatch
	Body client.UserChange
},
) (*route.Changed[client.User], error) {
	c := in.Body
	return userOfVersion(a.people.Users.Change(ctx, user, in.Username.Username, people.AccountChange{
		Username: c.Username, Mail: c.Mail, FirstName: c.FirstName,
		LastName: c.LastName, Phone: c.Phone, Department: c.Department,
		Active: c.IsActive, Staff: c.IsStaff, Superuser: c.IsSuperuser,
	}))
}

func userOfVersion(u people.Account, err error) (*route.Changed[client.User], error) {
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(u.Version(), view.User(u)), nil
}

func userBody(u people.Account, err error) (*route.Body[client.User], error) {
	if err != nil {
		return nil, err
	}
	return route.Answer(view.User(u)), nil
}

// plainTexts is plainText for a list.
func plainTexts(field string, list []string) error {
	for _, text := range list {
		if err := plainName(map[string]string{field: text}); err != nil {
			return err
		}
	}
	return nil
}
