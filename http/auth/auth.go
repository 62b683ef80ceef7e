// SPDX-License-Identifier: AGPL-3.0-or-later

// Package auth finds out who is calling. What they may do is answered by people.
package auth

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/adit-go/adit/people"
)

// patience is how long the database may take to say whose a token is.
const patience = 5 * time.Second

type userKey struct{}

// User is who is calling. It panics where Require does not stand before, which would be a hole.
func User(ctx context.Context) people.User {
	user, ok := ctx.Value(userKey{}).(people.User)
	if !ok {
		panic("auth: a handler that needs a user is served without auth.Require")
	}
	return user
}

// Require lets a request pass that carries a valid API token, "Authorization: Token …" or "Bearer …". Others get what
// refuse writes: for people.ErrUnauthenticated, or for an error of the database, which has 5 s to answer.
func Require(who *people.Service, refuse func(w http.ResponseWriter, r *http.Request, err error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), patience)
			user, err := who.UserOfToken(ctx, token(r))
			cancel()
			if err != nil {
				refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), userKey{}, user)))
		})
	}
}

// token gives the token of a request, empty if there is none.
func token(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Token") && !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.ToLower(strings.TrimSpace(token))
}
