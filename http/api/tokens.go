// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// tokensRoutes are the routes of this file.
type tokensRoutes struct{ *API }

const tokensTag = "Tokens"

// TokenID names a token in a path.
type TokenID struct {
	ID int64 `path:"id" minimum:"1" example:"12" doc:"Number of the token."`
}

type listTokens struct {
	Paging
	User string `query:"user" maxLength:"150" doc:"Username of whose tokens to show (staff); absent: one's own." example:"researcher"`
}

func (a *tokensRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/tokens", id: "list-tokens",
		summary: "List API tokens", tag: tokensTag, errors: []int{403, 404},
		description: "Shows one's own API tokens without their secrets. Staff may ask for those of another user.",
	}, a.listTokens)
	handle(a.API, operation{
		method: http.MethodPost, path: "/tokens", id: "create-token", tag: tokensTag,
		summary: "Make an API token",
		status:  http.StatusCreated, errors: []int{409},
		description: "Makes a token for the caller, which may do what the caller may do except what takes the " +
			"password. The secret is in this answer only: keep it at once.",
		example: `{"description": "Nightly export", "lifetime": "90d"}`,
	}, a.createToken)
	handle(a.API, operation{
		method: http.MethodGet, path: "/tokens/{id}", id: "get-token",
		summary: "Get an API token", tag: tokensTag,
		description: "Shows one's own token, without its secret. Staff may also see those of others.",
		errors:      []int{404},
	}, func(ctx context.Context, user people.User, in *TokenID) (*body[client.Token], error) {
		t, err := a.people.Tokens.Get(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return &body[client.Token]{clientToken(t)}, nil
	})
	handle(a.API, operation{
		method: http.MethodDelete, path: "/tokens/{id}", id: "revoke-token",
		summary: "Revoke an API token", tag: tokensTag,
		status: http.StatusNoContent, errors: []int{404},
		description: "Makes a token invalid from the next request on, for good.",
	}, func(ctx context.Context, user people.User, in *TokenID) (*none, error) {
		return nil, a.people.Tokens.Revoke(ctx, user, in.ID)
	})
}

func (a *tokensRoutes) listTokens(ctx context.Context, user people.User, in *listTokens) (
	*body[client.Page[client.Token]], error,
) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	tokens, err := a.people.Tokens.List(ctx, user, in.User, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(tokens, in.Limit, clientToken, func(t people.Token) int64 { return t.ID }), nil
}

func (a *tokensRoutes) createToken(ctx context.Context, user people.User, in *struct{ Body client.NewToken }) (
	*created[client.CreatedToken], error,
) {
	secret, t, err := a.people.Tokens.Create(ctx, user, in.Body.Description, in.Body.Lifetime)
	if err != nil {
		return nil, err
	}
	made := client.CreatedToken{Token: clientToken(t), Secret: secret}
	return madeAt("/tokens", strconv.FormatInt(t.ID, 10), made), nil
}

func clientToken(t people.Token) client.Token { return client.Token(t) }
