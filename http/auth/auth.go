// SPDX-License-Identifier: AGPL-3.0-or-later

// Package auth finds out who is calling, by the cookie of a session or by an API token. Package people decides what
// they may do.
package auth

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/people"
)

// patience is how long the database may take to say whose a token or a session is.
const patience = 5 * time.Second

type callKey struct{}

// call is what is known of a request besides its content.
type call struct {
	user    people.User
	known   bool
	session *people.Session // nil: a token was used
	token   int64           // which one; 0: none
	peer    string          // address and port
	secure  bool            // the caller's connection is encrypted
	secret  string          // of that token
	cookie  string          // of a session, valid or not
}

func callOf(ctx context.Context) call {
	c, ok := ctx.Value(callKey{}).(call)
	if !ok {
		panic("auth: a handler is served without auth.Require or auth.Anyone")
	}
	return c
}

// User is the caller. It panics where Require does not stand before, which would be a hole.
func User(ctx context.Context) people.User {
	c := callOf(ctx)
	if !c.known {
		panic("auth: a handler that needs a user is served without auth.Require")
	}
	return c.user
}

// Session is the session by which the caller is logged in; nil: they use an API token.
func Session(ctx context.Context) *people.Session { return callOf(ctx).session }

// Token is the ID of the API token that the caller uses; 0: they are logged in by a session.
func Token(ctx context.Context) int64 { return callOf(ctx).token }

// Peer is the caller's address, with the port.
func Peer(ctx context.Context) string { return callOf(ctx).peer }

// CookieOf returns the value of the session's cookie that the caller has sent, valid or not; empty if there is none.
func CookieOf(ctx context.Context) string { return callOf(ctx).cookie }

// Secure reports whether the caller's connection is encrypted, as far as a proxy.
func Secure(ctx context.Context) bool { return callOf(ctx).secure }

// Again returns what finds out whether the caller of a request is still let in, for what goes on after the request. It
// gives the user as they are then, people.ErrUnauthenticated, or an error of the database. A session is not kept alive
// by it.
func Again(ctx context.Context, who *people.Service) func(context.Context) (people.User, error) {
	c := callOf(ctx)
	return func(ctx context.Context) (people.User, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if c.session == nil {
			return who.Tokens.UserOf(ctx, c.secret)
		}
		return who.Sessions.Still(ctx, *c.session)
	}
}

// Anyone lets every request pass, for routes that are open to who is not known yet.
func Anyone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(with(r.Context(), newCall(r))))
	})
}

// Require lets a request pass that carries a valid API token, "Authorization: Token …" or "Bearer …", or the cookie of
// a session. Others get what refuse writes: for people.ErrUnauthenticated, for *people.TooMany after many bad tokens
// from one address, or for an error of the database, which has 5 s to answer.
func Require(
	who *people.Service, refuse func(w http.ResponseWriter, r *http.Request, err error),
) func(http.Handler) http.Handler {
	return require(who, refuse, token)
}

// RequireToo is Require for clients that know no tokens: theirs is the password of "Authorization: Basic …", beside any
// name.
func RequireToo(
	who *people.Service, refuse func(w http.ResponseWriter, r *http.Request, err error),
) func(http.Handler) http.Handler {
	return require(who, refuse, func(r *http.Request) string {
		if _, password, ok := r.BasicAuth(); ok {
			return strings.ToLower(strings.TrimSpace(password))
		}
		return token(r)
	})
}

func require(
	who *people.Service, refuse func(w http.ResponseWriter, r *http.Request, err error), token func(*http.Request) string,
) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c := newCall(r)
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			err := c.identify(ctx, who, r, token)
			cancel()
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(with(r.Context(), c)))
		})
	}
}

func newCall(r *http.Request) call {
	c := call{peer: r.RemoteAddr, secure: r.URL.Scheme == "https"}
	if cookies := r.CookiesNamed(cookieName(c.secure)); len(cookies) == 1 { // one of two is of a site beside ours
		c.cookie = cookies[0].Value
	}
	return c
}

func with(ctx context.Context, c call) context.Context {
	a := audit.Actor{Peer: c.peer}
	if c.known {
		a.UserID, a.Username, a.Via = c.user.ID, c.user.Username, audit.ViaToken
		if c.session != nil {
			a.Via, a.Session = audit.ViaSession, c.session
		}
	}
	return audit.WithActor(context.WithValue(ctx, callKey{}, c), a)
}

// identify finds the user. A token, be it a bad one, goes before a cookie.
func (c *call) identify(
	ctx context.Context, who *people.Service, r *http.Request, token func(*http.Request) string,
) error {
	if r.Header.Get("Authorization") != "" {
		c.secret = token(r)
		user, id, err := who.Tokens.Holder(ctx, c.secret)
		if errors.Is(err, people.ErrUnauthenticated) {
			return errors.Join(err, who.Sessions.BadToken(ctx, c.peer))
		}
		c.user, c.known, c.token = user, err == nil, id
		return err
	}
	session, err := who.Sessions.Session(ctx, c.cookie)
	c.user, c.known, c.session = session.User, err == nil, &session
	return err
}

// token returns the token of a request, empty if there is none.
func token(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(token))
}

// cookieName: over an encrypted connection browsers take a cookie of such a name from this very host only.
func cookieName(secure bool) string {
	if secure {
		return "__Host-adit_session"
	}
	return "adit_session"
}

// Cookie returns the cookie of a session, which pages can't read and other sites' pages can't make a browser send along
// with a write. Without a value it takes the cookie away.
func Cookie(ctx context.Context, value string, expires time.Time) string {
	secure := Secure(ctx)
	c := http.Cookie{ //nolint:gosec // secure wherever the connection is
		Name: cookieName(secure), Value: value, Path: "/", Expires: expires.UTC(),
		HttpOnly: true, Secure: secure, SameSite: http.SameSiteLaxMode,
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c.String()
}
