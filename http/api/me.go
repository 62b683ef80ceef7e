// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

func (a *API) registerMe() {
	handle(a, operation{method: http.MethodGet, path: "/me", id: "get-me", summary: "Who is calling", tag: "Me", always: true},
		func(_ context.Context, user people.User, _ *struct{}) (*body[client.Me], error) {
			return &body[client.Me]{client.Me{Username: user.Username, IsStaff: user.IsStaff, IsSuperuser: user.IsSuperuser}}, nil
		})
}
