// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// meRoutes are the routes of this file.
type meRoutes struct{ *API }

const meTag = "Me"

func (a *meRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/me", ID: "get-me", Summary: "Get the account of the caller", Tag: meTag, Always: true,
		Description: "Shows who is calling, with their groups and permissions. Use it to check a token, or to " +
			"decide what to offer a user.",
	}, a.getMe)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/me", ID: "change-me", Summary: "Change one's own account",
		Tag: meTag,
		Description: "Changes the properties that are given and leaves the others, also within `preferences`. " +
			"Preferences are for user interfaces; ADIT only keeps them.",
		Example: `{"active_group": "Radiology", "preferences": {"theme": "dark", "last_source": "PACS"}}`,
	}, a.changeMe)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/me/password", ID: "change-password", Tag: meTag,
		Summary: "Change one's own password",
		Status:  http.StatusNoContent, Errors: []int{409, 429},
		Description: "Sets a new password, ends all other sessions of the account and, unless `keep_tokens` is " +
			"set, revokes its API tokens. Too many wrong passwords answer 429 for a while.",
	}, func(ctx context.Context, user people.User, in *struct{ Body client.PasswordChange }) (*route.None, error) {
		return nil, a.people.Passwords.ChangePassword(ctx, user, auth.Session(ctx), people.PasswordChange{
			Current: in.Body.Current, Password: in.Body.Password, KeepTokens: in.Body.KeepTokens.KeepTokens,
		}, auth.Peer(ctx))
	})
}

func (a *meRoutes) getMe(ctx context.Context, user people.User, _ *struct{}) (*route.Body[client.Me], error) {
	p, err := a.people.Users.Profile(ctx, user)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Me(p)), nil
}

func (a *meRoutes) changeMe(
	ctx context.Context, user people.User, in *struct{ Body client.MeChange },
) (*route.Body[client.Me], error) {
	c := in.Body
	if err := a.knownNodes(ctx, c.Preferences); err != nil {
		return nil, err
	}
	preferences, err := view.PreferencesChange(c.Preferences)
	if err != nil {
		return nil, err
	}
	p, err := a.people.Users.ChangeProfile(ctx, user, people.ProfileChange{
		Mail: c.Mail, FirstName: c.FirstName, LastName: c.LastName, Phone: c.Phone,
		Department: c.Department, ActiveGroup: c.ActiveGroup, Preferences: preferences,
	})
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Me(p)), nil
}

// knownNodes refuses preferences that name no DICOM node: no other text may be kept in them.
func (a *meRoutes) knownNodes(ctx context.Context, p *client.Preferences) error {
	if p == nil {
		return nil
	}
	for field, name := range map[string]*string{
		"preferences.last_source": p.LastSource, "preferences.last_destination": p.LastDestination,
	} {
		if name == nil || *name == "" {
			continue
		}
		_, err := a.engine.Nodes.ByName(ctx, *name)
		if errors.Is(err, refusal.ErrNotFound) {
			return &refusal.Invalid{Field: field, Reason: "there is no DICOM node of this name"}
		}
		if err != nil {
			return err
		}
	}
	return nil
}
