// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/people"
)

const sessionTag = "Session"

// begun is the answer to a login.
type begun struct {
	SetCookie string `header:"Set-Cookie"`
	Body      client.Session
}

// ended is the answer to a logout.
type ended struct {
	SetCookie string `header:"Set-Cookie"`
}

func (a *API) registerSession() {
	handleOpen(a, operation{
		method: http.MethodPost, path: "/session", id: "begin-session", summary: "Log in: the cookie of a session", tag: sessionTag, errors: []int{400, 401, 413, 429},
	}, a.logIn)
	handle(a, operation{method: http.MethodGet, path: "/session", id: "get-session", summary: "How one is logged in", tag: sessionTag, always: true}, a.getSession)
	handle(a, operation{
		method: http.MethodDelete, path: "/session", id: "end-session", summary: "Log out", tag: sessionTag, status: http.StatusNoContent, always: true, errors: []int{409},
	}, a.logOut)
	handle(a, operation{
		method: http.MethodPost, path: "/session:confirm", id: "confirm-session", tag: sessionTag, status: http.StatusNoContent, always: true,
		errors: []int{400, 409, 413, 429}, summary: "Give the password of the session again: for ten minutes it may do what takes it",
	}, func(ctx context.Context, _ people.User, in *struct{ Body client.Confirmation }) (*none, error) {
		s := auth.Session(ctx)
		if s == nil {
			return nil, &engine.Conflict{Reason: "you use an API token, which can't be confirmed; log in with POST /session"}
		}
		return nil, a.people.Confirm(ctx, *s, in.Body.Password, auth.Peer(ctx))
	})
	handleOpen(a, operation{
		method: http.MethodPost, path: "/password-resets", id: "request-password", tag: sessionTag, status: http.StatusAccepted, errors: []int{400, 413, 429},
		summary: "Ask for a mail with a link for a new password; the answer is the same whether there is such an account or not",
	}, func(ctx context.Context, in *struct{ Body client.PasswordRequest }) (*none, error) {
		if err := plainText(map[string]string{"account": in.Body.Account}); err != nil {
			return nil, err
		}
		return nil, a.people.RequestReset(ctx, in.Body.Account, auth.Peer(ctx))
	})
	handleOpen(a, operation{
		method: http.MethodPost, path: "/password-resets:use", id: "reset-password", summary: "Set a new password by the code of a mail", tag: sessionTag,
		status: http.StatusNoContent, errors: []int{400, 404, 413, 429},
	}, func(ctx context.Context, in *struct{ Body client.PasswordReset }) (*none, error) {
		return nil, a.people.Reset(ctx, in.Body.Code, in.Body.Password, auth.Peer(ctx), in.Body.KeepTokens.KeepTokens)
	})
}

func (a *API) logIn(ctx context.Context, in *struct{ Body client.Login }) (*begun, error) {
	if err := plainText(map[string]string{"username": in.Body.Username}); err != nil {
		return nil, err
	}
	cookie, s, err := a.people.LogIn(ctx, in.Body.Username, in.Body.Password, auth.Peer(ctx))
	if err != nil {
		return nil, err
	}
	return &begun{SetCookie: auth.Cookie(ctx, cookie, s.ExpiresAt), Body: clientSession(s.User, &s)}, nil
}

func (a *API) getSession(ctx context.Context, user people.User, _ *struct{}) (*body[client.Session], error) {
	return &body[client.Session]{clientSession(user, auth.Session(ctx))}, nil
}

func (a *API) logOut(ctx context.Context, _ people.User, _ *struct{}) (*ended, error) {
	s := auth.Session(ctx)
	if s == nil {
		return nil, &engine.Conflict{Reason: "you use an API token, and are not logged in; DELETE /tokens/{id} revokes it"}
	}
	if err := a.people.LogOut(ctx, *s); err != nil {
		return nil, err
	}
	return &ended{SetCookie: auth.Cookie(ctx, "", time.Unix(0, 0))}, nil
}

func clientSession(user people.User, s *people.Session) client.Session {
	if s == nil {
		return client.Session{Username: user.Username, Via: people.ViaToken}
	}
	return client.Session{Username: user.Username, Via: people.ViaSession, CreatedAt: &s.CreatedAt, ExpiresAt: &s.ExpiresAt}
}
