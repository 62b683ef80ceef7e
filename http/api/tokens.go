// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

const tokensTag = "Tokens"

type listTokens struct {
	Paging
	User string `query:"user" maxLength:"150" doc:"Those of this user (staff); one's own by default."`
}

func (a *API) registerTokens() {
	handle(a, operation{
		method: http.MethodGet, path: "/tokens", id: "list-tokens", summary: "List API tokens, without their secrets", tag: tokensTag, errors: []int{403, 404},
	}, a.listTokens)
	handle(a, operation{
		method: http.MethodPost, path: "/tokens", id: "create-token", tag: tokensTag,
		summary: "Make an API token for oneself; its secret is shown this once. Takes the password (password_needed)",
		status:  http.StatusCreated, errors: []int{400, 403, 409, 413},
	}, a.createToken)
	handle(a, operation{
		method: http.MethodDelete, path: "/tokens/{id}", id: "revoke-token", summary: "Revoke an API token: one's own, another's for staff", tag: tokensTag,
		status: http.StatusNoContent, errors: []int{403, 404},
	}, func(ctx context.Context, user people.User, in *struct {
		ID int64 `path:"id" minimum:"1"`
	},
	) (*none, error) {
		return nil, a.people.RevokeToken(ctx, user, in.ID)
	})
}

func (a *API) listTokens(ctx context.Context, user people.User, in *listTokens) (*body[client.Page[client.Token]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	tokens, err := a.people.ListTokens(ctx, user, in.User, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(tokens, in.Limit, clientToken, func(t people.Token) int64 { return t.ID }), nil
}

func (a *API) createToken(ctx context.Context, user people.User, in *struct{ Body client.NewToken }) (*body[client.CreatedToken], error) {
	secret, t, err := a.people.CreateToken(ctx, user, in.Body.Description, in.Body.Lifetime)
	if err != nil {
		return nil, err
	}
	return &body[client.CreatedToken]{client.CreatedToken{Token: clientToken(t), Secret: secret}}, nil
}

func clientToken(t people.Token) client.Token { return client.Token(t) }
