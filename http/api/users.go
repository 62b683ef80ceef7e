// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

const usersTag = "Users"

// Username names a user in a path.
type Username struct {
	Username string `path:"username" maxLength:"150" doc:"In any case of letters."`
}

type listUsers struct {
	Paging
	Search string `query:"search" maxLength:"150" doc:"Text in usernames, names and mail addresses, in any case of letters."`
	Active string `query:"active" enum:"true,false" doc:"Only active or only disabled users."`
}

func (a *API) registerUsers() {
	handle(a, operation{method: http.MethodGet, path: "/users", id: "list-users", summary: "List users (staff)", tag: usersTag, errors: []int{403}}, a.listUsers)
	handle(a, operation{
		method: http.MethodPost, path: "/users", id: "add-user", summary: "Make a user (staff; superusers for staff). Takes the password (password_needed)", tag: usersTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413, 429},
	}, a.addUser)
	handle(a, operation{method: http.MethodGet, path: "/users/{username}", id: "get-user", summary: "Get a user (staff)", tag: usersTag, errors: []int{403, 404}}, a.getUser)
	handle(a, operation{
		method: http.MethodPatch, path: "/users/{username}", id: "change-user", summary: "Change or disable a user (staff; superusers for staff). All but to disable one takes the password (password_needed)", tag: usersTag,
		errors: []int{400, 403, 404, 409, 413},
	}, a.changeUser)
	handle(a, operation{
		method: http.MethodDelete, path: "/users/{username}", id: "delete-user", summary: "Remove a user who owns no jobs (staff; superusers for staff)", tag: usersTag,
		status: http.StatusNoContent, errors: []int{403, 404, 409},
	}, func(ctx context.Context, user people.User, in *Username) (*none, error) {
		return nil, a.people.DeleteUser(ctx, user, in.Username)
	})
	handle(a, operation{
		method: http.MethodPut, path: "/users/{username}/password", id: "set-password", tag: usersTag, status: http.StatusNoContent, errors: []int{400, 403, 404, 413, 429},
		summary: "Give a user another password, which ends all their sessions and, unless asked otherwise, all API tokens (staff; superusers for staff). " +
			"Takes the password (password_needed)",
	}, func(ctx context.Context, user people.User, in *struct {
		Username
		Body client.NewPassword
	},
	) (*none, error) {
		return nil, a.people.SetPassword(ctx, user, in.Username.Username, in.Body.Password, in.Body.KeepTokens.KeepTokens)
	})
}

func (a *API) listUsers(ctx context.Context, user people.User, in *listUsers) (*body[client.Page[client.User]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	f := people.UserFilter{Search: in.Search, Above: above, Limit: in.Limit + 1}
	if in.Active != "" {
		f.Active = new(in.Active == "true")
	}
	users, err := a.people.Users(ctx, user, f)
	if err != nil {
		return nil, err
	}
	return pageOf(users, in.Limit, clientUser, func(u people.Account) int64 { return u.ID }), nil
}

func (a *API) addUser(ctx context.Context, user people.User, in *struct{ Body client.NewUser }) (*created[client.User], error) {
	n := in.Body
	if err := plainTexts("groups", n.Groups); err != nil {
		return nil, err
	}
	u, err := a.people.CreateUser(ctx, user, people.NewAccount{
		Username: n.Username, Person: people.Person(n.Person), Password: n.Password, Staff: n.IsStaff, Superuser: n.IsSuperuser, Groups: n.Groups, Invite: n.Invite,
	})
	out, err := userBody(u, err)
	if err != nil {
		return nil, err
	}
	if n.Invite {
		out.Body.Warning = a.people.MailWarning()
	}
	return madeAt("/users", out.Body.Username, out.Body), nil
}

func (a *API) getUser(ctx context.Context, user people.User, in *Username) (*body[client.User], error) {
	return userBody(a.people.Account(ctx, user, in.Username))
}

func (a *API) changeUser(ctx context.Context, user people.User, in *struct {
	Username
	Body client.UserChange
},
) (*body[client.User], error) {
	c := in.Body
	return userBody(a.people.ChangeUser(ctx, user, in.Username.Username, people.AccountChange{
		Username: c.Username, Mail: c.Mail, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone, Department: c.Department,
		Active: c.IsActive, Staff: c.IsStaff, Superuser: c.IsSuperuser,
	}))
}

func userBody(u people.Account, err error) (*body[client.User], error) {
	if err != nil {
		return nil, err
	}
	return &body[client.User]{clientUser(u)}, nil
}

func clientUser(u people.Account) client.User {
	return client.User{
		ID: u.ID, Username: u.Username, Person: client.Person(u.Person), IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		HasPassword: u.HasPassword, Groups: u.Groups, CreatedAt: u.CreatedAt,
	}
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
