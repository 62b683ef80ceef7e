// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"net/http"
	"net/http/cookiejar"
)

const sessionPath = "/api/v1/session"

// LogIn begins a session and returns a client that uses it, and no token. For ten minutes it may do what takes the
// password: make tokens, and change accounts. LogOut ends it.
//
// A session ends by itself after 12 hours without a request, and after two weeks: calls then fail with a
// *SessionEndedError. The client keeps no password to log in again by. Programs that run longer use a token.
func (c *Client) LogIn(ctx context.Context, login Login) (*Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	sender, session := *c.http, *c.caller
	sender.Jar = jar
	session.token, session.http = "", &sender
	in := newClient(&session)
	rq := post(sessionPath, login)
	rq.repeatable = true // of two sessions, the one that nobody has the cookie of ends by itself
	if err := in.do(ctx, rq, nil); err != nil {
		return in, err
	}
	session.session = true
	return in, nil
}

// Confirm gives the password of the client's session again.
func (c *Client) Confirm(ctx context.Context, password string) error {
	rq := post(sessionPath+":confirm", Confirmation{password})
	rq.repeatable = true
	return c.do(ctx, rq, nil)
}

// LogOut ends the client's session.
func (c *Client) LogOut(ctx context.Context) error {
	rq := remove(sessionPath)
	rq.gone = []int{http.StatusUnauthorized}
	return c.do(ctx, rq, nil)
}
