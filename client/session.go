// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"net/http"
	"net/http/cookiejar"
)

// LogIn begins a session and returns a client that uses it, and no token. For ten minutes it may do what takes the
// password: make tokens, and change accounts. LogOut ends it.
func (c *Client) LogIn(ctx context.Context, login Login) (*Client, error) {
	jar, err := cookiejar.New(nil)
	if err != nil {
		return nil, err
	}
	sender, session := *c.http, *c.caller
	sender.Jar = jar
	session.token, session.http = "", &sender
	in := newClient(&session)
	return in, in.do(ctx, post("/api/v1/session", login), nil)
}

// Confirm gives the password of the client's session again.
func (c *Client) Confirm(ctx context.Context, password string) error {
	return c.do(ctx, post("/api/v1/session:confirm", Confirmation{password}), nil)
}

// LogOut ends the client's session.
func (c *Client) LogOut(ctx context.Context) error {
	return c.do(ctx, request{method: http.MethodDelete, path: "/api/v1/session"}, nil)
}
