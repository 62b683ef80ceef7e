// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/people"
)

const meTag = "Me"

func (a *API) registerMe() {
	handle(a, operation{method: http.MethodGet, path: "/me", id: "get-me", summary: "Who is calling", tag: meTag, always: true}, a.getMe)
	handle(a, operation{
		method: http.MethodPatch, path: "/me", id: "change-me", summary: "Change one's own account; all but the active group and the preferences takes the password (password_needed)",
		tag: meTag, errors: []int{400, 403, 413},
	}, a.changeMe)
	handle(a, operation{
		method: http.MethodPut, path: "/me/password", id: "change-password", tag: meTag,
		summary: "Change one's own password, which ends all other sessions and, unless asked otherwise, all API tokens",
		status:  http.StatusNoContent, errors: []int{400, 409, 413, 429},
	}, func(ctx context.Context, user people.User, in *struct{ Body client.PasswordChange }) (*none, error) {
		return nil, a.people.ChangePassword(ctx, user, auth.Session(ctx), people.PasswordChange{
			Current: in.Body.Current, Password: in.Body.Password, KeepTokens: in.Body.KeepTokens.KeepTokens,
		}, auth.Peer(ctx))
	})
}

func (a *API) getMe(ctx context.Context, user people.User, _ *struct{}) (*body[client.Me], error) {
	p, err := a.people.Profile(ctx, user)
	if err != nil {
		return nil, err
	}
	return &body[client.Me]{clientMe(p)}, nil
}

func (a *API) changeMe(ctx context.Context, user people.User, in *struct{ Body client.MeChange }) (*body[client.Me], error) {
	c := in.Body
	p, err := a.people.ChangeProfile(ctx, user, people.ProfileChange{
		Mail: c.Mail, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone, Department: c.Department, ActiveGroup: c.ActiveGroup, Preferences: c.Preferences,
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Me]{clientMe(p)}, nil
}

func clientMe(p people.Profile) client.Me {
	return client.Me{
		Username: p.Username, Person: client.Person(p.Person), IsStaff: p.IsStaff, IsSuperuser: p.IsSuperuser, HasPassword: p.HasPassword,
		Groups: p.Groups, ActiveGroup: p.ActiveGroup, Permissions: p.Permissions, Preferences: p.Preferences,
	}
}
