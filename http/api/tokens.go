// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
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
	route.Paging
	User string `query:"user" maxLength:"150" doc:"Username of whose tokens to show (staff); absent: one's own." example:"researcher"`
}

func (a *tokensRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/tokens", ID: "list-tokens",
		Summary: "List API tokens", Tag: tokensTag, Errors: []int{403, 404},
		Description: "Shows one's own API tokens without their secrets. Staff may ask for those of another user.",
	}, a.listTokens)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/tokens", ID: "create-token", Tag: tokensTag,
		Summary: "Make an API token",
		Status:  http.StatusCreated, Errors: []int{409},
		Description: "Makes a token for the caller, which may do what the caller may do except what takes the " +
			"password. The secret is in this answer only: keep it at once.",
		Example: `{"description": "Nightly export", "lifetime": "90d"}`,
	}, a.createToken)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/tokens/{id}", ID: "get-token",
		Summary: "Get an API token", Tag: tokensTag,
		Description: "Shows one's own token, without its secret. Staff may also see those of others.",
		Errors:      []int{404},
	}, func(ctx context.Context, user people.User, in *TokenID) (*route.Body[client.Token], error) {
		t, err := a.people.Tokens.Get(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return route.Answer(clientToken(t)), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/tokens/{id}", ID: "revoke-token",
		Summary: "Revoke an API token", Tag: tokensTag,
		Status: http.StatusNoContent, Errors: []int{404},
		Description: "Makes a token invalid from the next request on, for good.",
	}, func(ctx context.Context, user people.User, in *TokenID) (*route.None, error) {
		return nil, a.people.Tokens.Revoke(ctx, user, in.ID)
	})
}

func (a *tokensRoutes) listTokens(ctx context.Context, user people.User, in *listTokens) (
	*route.Body[client.Page[client.Token]], error,
) {
	above, err := in.After()
	if err != nil {
		return nil, err
	}
	tokens, err := a.people.Tokens.List(ctx, user, in.User, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(tokens, in.Limit, clientToken, func(t people.Token) int64 { return t.ID }), nil
}

func (a *tokensRoutes) createToken(ctx context.Context, user people.User, in *struct{ Body client.NewToken }) (
	*route.Created[client.CreatedToken], error,
) {
	secret, t, err := a.people.Tokens.Create(ctx, user, in.Body.Description, in.Body.Lifetime)
	if err != nil {
		return nil, err
	}
	made := client.CreatedToken{Token: clientToken(t), Secret: secret}
	return route.MadeAt("/tokens", strconv.FormatInt(t.ID, 10), made), nil
}

func clientToken(t people.Token) client.Token { return client.Token(t) }
