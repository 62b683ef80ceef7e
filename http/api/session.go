// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// sessionRoutes are the routes of this file.
type sessionRoutes struct{ *API }

const sessionTag = "Session"

// begun is the answer to a login.
type begun struct {
	SetCookie string `header:"Set-Cookie" doc:"The cookie of the session, which the browser keeps." example:"adit_session=4f0c…; Path=/; HttpOnly; SameSite=Lax"`
	Body      client.Session
}

// ended is the answer to a logout.
type ended struct {
	SetCookie string `header:"Set-Cookie" doc:"Takes the cookie of the session away." example:"adit_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"`
}

func (a *sessionRoutes) register() {
	route.HandleOpen(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/session", ID: "begin-session",
		Summary: "Log in", Tag: sessionTag, Errors: []int{401, 429},
		Description: "Begins a session and answers with its cookie. It takes the place of a session whose cookie " +
			"comes with the request. For the first ten minutes the session may also " +
			"do what takes the password. Too many wrong passwords answer 429 for a while.",
	}, a.logIn)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/session", ID: "get-session",
		Summary: "Get the session of the caller", Tag: sessionTag, Always: true,
		Description: "Shows whether the caller uses a session or a token, and when the session ends.",
	}, a.getSession)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/session", ID: "end-session", Summary: "Log out",
		Tag: sessionTag, Status: http.StatusNoContent, Always: true, Errors: []int{409},
		Description: "Ends the session and takes its cookie away. A caller with an API token has no session to end " +
			"(409).",
	}, a.logOut)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/session:confirm", ID: "confirm-session",
		Tag: sessionTag, Status: http.StatusNoContent, Always: true,
		Errors:  []int{400, 409, 413, 429},
		Summary: "Confirm the password of a session",
		Description: "Takes the password once more: for the next ten minutes the session may do what needs it. Use " +
			"it when an answer has the code `password_needed`.",
	}, func(ctx context.Context, _ people.User, in *struct{ Body client.Confirmation }) (*route.None, error) {
		s := auth.Session(ctx)
		if s == nil {
			return nil,
				&refusal.Conflict{Reason: "you use an API token, which can't be confirmed; log in with POST /session"}
		}
		return nil, a.people.Sessions.Confirm(ctx, *s, in.Body.Password, auth.Peer(ctx))
	})
	route.HandleOpen(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/password-resets", ID: "request-password",
		Tag: sessionTag, Status: http.StatusAccepted, Errors: []int{429},
		Summary: "Ask for a new password",
		Description: "Sends a mail with a link to choose a new password, if there is such an account with an " +
			"address. The answer is the same if there is none.",
	}, func(ctx context.Context, in *struct{ Body client.PasswordRequest }) (*route.None, error) {
		if err := plainText(map[string]string{"account": in.Body.Account}); err != nil {
			return nil, err
		}
		return nil, a.people.Passwords.RequestReset(ctx, in.Body.Account, auth.Peer(ctx))
	})
	route.HandleOpen(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/password-resets:use", ID: "reset-password",
		Summary: "Set a new password by a mailed code", Tag: sessionTag,
		Status: http.StatusNoContent, Errors: []int{404, 429},
		Description: "Sets the password by the code of a mail, ends all sessions of the account and, unless " +
			"`keep_tokens` is set, revokes its API tokens. A code works once, and for a limited time.",
	}, func(ctx context.Context, in *struct{ Body client.PasswordReset }) (*route.None, error) {
		return nil,
			a.people.Passwords.Reset(ctx, in.Body.Code, in.Body.Password, auth.Peer(ctx), in.Body.KeepTokens.KeepTokens)
	})
}

func (a *sessionRoutes) logIn(ctx context.Context, in *struct{ Body client.Login }) (*begun, error) {
	if err := plainText(map[string]string{"username": in.Body.Username}); err != nil {
		return nil, err
	}
	cookie, s, err := a.people.Sessions.LogIn(ctx, in.Body.Username, in.Body.Password, auth.Peer(ctx), auth.CookieOf(ctx))
	if err != nil {
		return nil, err
	}
	return &begun{SetCookie: auth.Cookie(ctx, cookie, s.ExpiresAt), Body: clientSession(s.User, &s)}, nil
}

func (a *sessionRoutes) getSession(
	ctx context.Context, user people.User, _ *struct{},
) (*route.Body[client.Session], error) {
	return route.Answer(clientSession(user, auth.Session(ctx))), nil
}

func (a *sessionRoutes) logOut(ctx context.Context, _ people.User, _ *struct{}) (*ended, error) {
	s := auth.Session(ctx)
	if s == nil {
		return nil,
			&refusal.Conflict{Reason: "you use an API token, and are not logged in; DELETE /tokens/{id} revokes it"}
	}
	if err := a.people.Sessions.LogOut(ctx, *s); err != nil {
		return nil, err
	}
	return &ended{SetCookie: auth.Cookie(ctx, "", time.Unix(0, 0))}, nil
}

func clientSession(user people.User, s *people.Session) client.Session {
	if s == nil {
		return client.Session{Username: user.Username, Via: audit.ViaToken}
	}
	return client.Session{
		Username: user.Username, Via: audit.ViaSession, CreatedAt: &s.CreatedAt, ExpiresAt: &s.ExpiresAt,
	}
}
