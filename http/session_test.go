// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	nethttp "net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/testpeer"
)

// addUser makes a user with the password, and a token if they may have one.
func (s *site) addUser(n client.NewUser) {
	s.t.Helper()
	n.Password = password
	_, err := s.client.Users.Add(s.t.Context(), n)
	require.NoError(s.t, err)
}

// as makes a request without the administrator's token.
func (s *site) as(method, path, body string, header ...string) reply {
	s.t.Helper()
	return s.send(method, path, body, append([]string{"Authorization", ""}, header...)...)
}

func login(username, password string) string {
	text, _ := json.Marshal(client.Login{Username: username, Password: password}) //nolint:errchkjson // two texts
	return string(text)
}

// TestLogInOverSession: the session whose cookie came with the login is over.
func TestLogInOverSession(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader"})
	s.addUser(client.NewUser{Username: "writer"})
	former := "adit_session=" + s.as("POST", "/api/v1/session", login("reader", password)).Cookies()[0].Value
	got := s.as("POST", "/api/v1/session", login("writer", password), "Cookie", former)
	require.Equal(t, 200, got.StatusCode, got.body)
	require.Equal(t, 401, s.as("GET", "/api/v1/session", "", "Cookie", former).StatusCode)
	now := "adit_session=" + got.Cookies()[0].Value
	require.Contains(t, s.as("GET", "/api/v1/session", "", "Cookie", now).body, "writer")
}

func TestSession(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader"})
	for name, tt := range map[string]struct {
		header []string
		cookie string
		secure bool
	}{
		"plain": {nil, "adit_session", false},
		"HTTPS": {[]string{"X-Forwarded-For", "192.0.2.1", "X-Forwarded-Proto", "https"}, "__Host-adit_session", true},
	} {
		t.Run(name, func(t *testing.T) {
			got := s.as("POST", "/api/v1/session", login("Reader", password), tt.header...)
			require.Equal(t, 200, got.StatusCode, got.body)
			require.Len(t, got.Cookies(), 1)
			c := got.Cookies()[0]
			require.Equal(t, tt.cookie, c.Name)
			require.Equal(t, "/", c.Path)
			require.Empty(t, c.Domain)
			require.True(t, c.HttpOnly)
			require.Equal(t, tt.secure, c.Secure)
			require.Equal(t, nethttp.SameSiteLaxMode, c.SameSite)
			require.NotContains(t, got.body, c.Value)
			require.NotContains(t, s.log.String(), c.Value)

			with := append([]string{"Cookie", c.Name + "=" + c.Value}, tt.header...)
			me := s.as("GET", "/api/v1/me", "", with...)
			require.Equal(t, 200, me.StatusCode)
			require.Contains(t, me.body, `"username":"reader"`)
			tossed := append([]string{"Cookie", c.Name + "=of-a-site-beside; " + c.Name + "=" + c.Value}, tt.header...)
			require.Equal(
				t, 401, s.as("GET", "/api/v1/me", "", tossed...).StatusCode, "nobody knows which of two is ours",
			)
			session := s.as("GET", "/api/v1/session", "", with...)
			require.Contains(t, session.body, `"via":"session"`)
			require.Contains(t, session.body, `"expires_at"`)

			forged := s.as("PATCH", "/api/v1/me", `{"phone":"1"}`, append(with, "Sec-Fetch-Site", "cross-site")...)
			require.Equal(t, 403, forged.StatusCode, "another site's page")
			forged = s.as("PATCH", "/api/v1/me", `{"phone":"1"}`, append(with, "Origin", "https://evil.example")...)
			require.Equal(t, 403, forged.StatusCode)

			bad := s.send("GET", "/api/v1/me", "", append(with, "Authorization", "Token "+strings.Repeat("0", 40))...)
			require.Equal(t, 401, bad.StatusCode, "a token, be it a bad one, goes before a cookie")

			out := s.as("DELETE", "/api/v1/session", "", with...)
			require.Equal(t, 204, out.StatusCode)
			require.Equal(t, tt.cookie, out.Cookies()[0].Name)
			require.Negative(t, out.Cookies()[0].MaxAge)
			require.Equal(t, 401, s.as("GET", "/api/v1/me", "", with...).StatusCode)
		})
	}
}

// plain is an answer without what differs between any two.
func plain(r reply) string {
	r.Header.Del("Date")
	r.Header.Del("X-Request-ID")
	return fmt.Sprintf("%d %v %s", r.StatusCode, r.Header, r.body)
}

// TestPasswordNeeded: what takes the password names itself to programs, and is done by a session that was confirmed.
func TestPasswordNeeded(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addUser(client.NewUser{Username: "reader", Groups: []string{"Radiology"}})
	got := s.as("POST", "/api/v1/session", login("reader", password))
	cookie := []string{"Cookie", "adit_session=" + got.Cookies()[0].Value}
	made := s.as("POST", "/api/v1/tokens", `{"lifetime":"90d"}`, cookie...)
	require.Equal(t, 201, made.StatusCode, made.body)
	var token client.CreatedToken
	require.NoError(t, json.Unmarshal([]byte(made.body), &token))

	for route, body := range map[string]string{
		"POST /api/v1/tokens": `{"lifetime":"24h"}`, "PATCH /api/v1/me": `{"mail":"thief@example.org"}`,
	} {
		method, path, _ := strings.Cut(route, " ")
		needed := func(header ...string) {
			t.Helper()
			got := s.as(method, path, body, header...)
			require.Equal(t, 403, got.StatusCode)
			require.Equal(t, client.CodePasswordNeeded, got.problem(t).Code)
		}
		_, err := s.pool.Exec(ctx, "UPDATE sessions SET confirmed_at = now() - interval '11 minutes'")
		require.NoError(t, err)
		needed("Authorization", "Token "+token.Secret)
		needed(cookie...)
		needed(append([]string{"Authorization", "Token " + token.Secret}, cookie...)...)
		require.Equal(t, 409, s.as(
			"POST", "/api/v1/session:confirm", `{"password":"`+password+`"}`, "Authorization", "Token "+token.Secret,
		).StatusCode)
		require.Equal(t, 401, s.as("POST", "/api/v1/session:confirm", `{"password":"`+password+`"}`).StatusCode)
		require.Equal(
			t, 422, s.as("POST", "/api/v1/session:confirm", `{"password":"a wrong secret"}`, cookie...).StatusCode,
		)
		needed(cookie...)
		require.Equal(
			t, 204, s.as("POST", "/api/v1/session:confirm", `{"password":"`+password+`"}`, cookie...).StatusCode,
		)
		require.Less(t, s.as(method, path, body, cookie...).StatusCode, 300)
	}

	in, err := s.client.LogIn(ctx, client.Login{Username: "reader", Password: password})
	require.NoError(t, err)
	require.NoError(t, in.Confirm(ctx, password))
	_, err = in.Tokens.Create(ctx, client.NewToken{Lifetime: client.Lifetime24Hours})
	require.NoError(t, err)
	require.NoError(t, in.LogOut(ctx))
	_, err = in.Account.Get(ctx)
	require.ErrorContains(t, err, "log in")
	me, err := s.client.Account.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, "admin", me.Username, "the client that it came from keeps its token")
}

// TestNobodyLearnsWhoIsHere: what needs no login answers the same for who has an account and for who hasn't.
func TestNobodyLearnsWhoIsHere(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader", Person: client.Person{Mail: "reader@example.org"}})
	s.addUser(client.NewUser{Username: "gone"})
	_, err := s.client.Users.Change(t.Context(), "gone", client.UserChange{IsActive: new(false)})
	require.NoError(t, err)
	for name, ask := range map[string]func(who string) reply{
		"login":        func(who string) reply { return s.as("POST", "/api/v1/session", login(who, "a wrong secret")) },
		"new password": func(who string) reply { return s.as("POST", "/api/v1/password-resets", `{"account":"`+who+`"}`) },
		"registration": func(who string) reply {
			return s.as("POST", "/api/v1/registrations", `{"username":"`+who+`","mail":"x@example.org"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, plain(ask("nobody")), plain(ask("reader")))
			require.Equal(t, plain(ask("nobody")), plain(ask("gone")))
		})
	}
	require.Equal(
		t, plain(s.as("POST", "/api/v1/session", login("nobody", "a wrong secret"))),
		plain(s.as("POST", "/api/v1/session", login("gone", password))), "the right one of a disabled account",
	)
}

func TestTooManyPasswords(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader"})
	from := func(addr, username, pw string) reply {
		return s.as("POST", "/api/v1/session", login(username, pw), "X-Forwarded-For", addr)
	}
	for i := range 10 {
		got := from("192.0.2.1", "reader", "a wrong secret")
		require.Equal(t, 401, got.StatusCode, i)
		require.Contains(t, got.problem(t).Detail, "username or the password is wrong")
	}
	for _, got := range []reply{from("192.0.2.2", "reader", password), from("192.0.2.1", "admin", password)} {
		require.Equal(t, 429, got.StatusCode)
		after, err := strconv.Atoi(got.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.Greater(t, after, 240)
		require.LessOrEqual(t, after, 300)
		require.Contains(t, got.problem(t).Detail, "try again in 5 minutes")
	}
	require.Equal(
		t, 401, from("192.0.2.2", "admin", "a wrong secret").StatusCode, "neither that account nor that address",
	)
}

// TestTooManyTokens: an address that tries tokens is told to wait; whoever has a good one is not kept out by that.
func TestTooManyTokens(t *testing.T) {
	s := newSite(t)
	_, err := s.pool.Exec(t.Context(),
		`INSERT INTO attempts (key) SELECT sha256('token' || '\000'::bytea || '192.0.2.1') FROM generate_series(1, 99)`,
	)
	require.NoError(t, err)
	bad := func() reply {
		return s.send(
			"GET", "/api/v1/me", "", "Authorization", "Token "+strings.Repeat("0", 40), "X-Forwarded-For", "192.0.2.1",
		)
	}
	require.Equal(t, 401, bad().StatusCode)
	got := bad()
	require.Equal(t, 429, got.StatusCode)
	require.NotEmpty(t, got.Header.Get("Retry-After"))
	require.Equal(t, 200, s.send("GET", "/api/v1/me", "", "X-Forwarded-For", "192.0.2.1").StatusCode)
}

// TestRevokedAtOnce: the next request knows of it.
func TestRevokedAtOnce(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	_, err := s.client.Groups.Add(ctx, client.NewGroup{
		Name: "Readers", Permissions: []string{"tokens", "selective_transfer", "transfer_unpseudonymized"},
	})
	require.NoError(t, err)
	s.addUser(client.NewUser{Username: "reader", Groups: []string{"Readers"}})
	s.addServer("SRC", "SRC", nil)
	s.addServer("DST", "DST", nil)
	for _, a := range []client.Access{
		{Group: "Readers", Node: "SRC", Source: true}, {Group: "Readers", Node: "DST", Destination: true},
	} {
		_, err := s.client.Groups.SetAccess(ctx, a)
		require.NoError(t, err)
	}
	got := s.as("POST", "/api/v1/session", login("reader", password))
	cookie := []string{"Cookie", "adit_session=" + got.Cookies()[0].Value}
	made := s.as("POST", "/api/v1/tokens", `{"lifetime":"24h"}`, cookie...)
	require.Equal(t, 201, made.StatusCode, made.body)
	var token client.CreatedToken
	require.NoError(t, json.Unmarshal([]byte(made.body), &token))
	byToken := func() int {
		return s.send("GET", "/api/v1/me", "", "Authorization", "Bearer "+token.Secret).StatusCode
	}
	transfer := func() int {
		return s.as(
			"POST", "/api/v1/jobs",
			`{"kind":"selective_transfer","source":"SRC","destination":"DST","studies":[{"study_instance_uid":"1.2.3"}]}`,
			cookie...,
		).StatusCode
	}
	require.Equal(t, 200, byToken())
	require.Equal(t, 201, transfer())
	require.NoError(t, s.client.Tokens.Revoke(ctx, token.ID))
	require.Equal(t, 401, byToken())
	_, err = s.client.Groups.SetAccess(ctx, client.Access{Group: "Readers", Node: "SRC"})
	require.NoError(t, err)
	require.Equal(t, 403, transfer())
	_, err = s.client.Groups.SetAccess(ctx, client.Access{Group: "Readers", Node: "SRC", Source: true})
	require.NoError(t, err)
	require.Equal(t, 201, transfer())
	_, err = s.client.Groups.Change(ctx, "Readers", client.GroupChange{Permissions: &[]string{"tokens"}})
	require.NoError(t, err)
	require.Equal(t, 403, transfer())
	require.NoError(t, s.client.Users.SetPassword(ctx, "reader", client.NewPassword{Password: "another long secret"}))
	require.Equal(t, 401, s.as("GET", "/api/v1/me", "", cookie...).StatusCode)
}

// TestAccountsByClient walks the Go client over users, groups, access and tokens.
func TestAccountsByClient(t *testing.T) {
	s := newSite(t)
	ctx, c := t.Context(), s.client
	for i := range 3 {
		s.addUser(client.NewUser{
			Username: fmt.Sprintf("reader%d", i),
			Person:   client.Person{Department: "CT"}, Groups: []string{"Radiology"},
		})
	}
	users, err := collect(c.Users.List(ctx, client.UserFilter{Search: "reader"}))
	require.NoError(t, err)
	require.Len(t, users, 3)
	u, err := c.Users.Change(ctx, "reader0", client.UserChange{PersonChange: client.PersonChange{Phone: new("4711")}})
	require.NoError(t, err)
	require.Equal(t, "4711", u.Phone)
	require.Equal(t, "CT", u.Department)
	u, err = c.Users.Get(ctx, "READER0")
	require.NoError(t, err)
	require.True(t, u.HasPassword && u.IsActive)
	require.NoError(t, c.Users.Delete(ctx, "reader0"))
	_, err = c.Users.Get(ctx, "reader0")
	require.ErrorContains(t, err, "ot found")

	g, err := c.Groups.Get(ctx, "Radiology")
	require.NoError(t, err)
	require.Equal(t, 3, g.Members)
	members, err := collect(c.Groups.Members(ctx, "Radiology"))
	require.NoError(t, err)
	require.Len(t, members, 3)
	require.NoError(t, c.Groups.RemoveMember(ctx, "Radiology", "reader1"))
	_, err = c.Groups.Add(ctx, client.NewGroup{Name: "A: group/of"})
	require.ErrorContains(t, err, "slash")
	_, err = c.Groups.Add(ctx, client.NewGroup{Name: "Ring: CT & MR"})
	require.NoError(t, err)
	require.NoError(t, c.Groups.AddMember(ctx, "Ring: CT & MR", "reader1"))
	require.ErrorContains(t, c.Groups.AddMember(ctx, "Ring: CT & MR", "nobody"), "ot found")
	require.NoError(t, c.Groups.Delete(ctx, "Ring: CT & MR"))
	groups, err := collect(c.Groups.List(ctx))
	require.NoError(t, err)
	require.Len(t, groups, 1)

	for i := range 60 { // more than a page
		s.addServer(fmt.Sprintf("S%d", i), fmt.Sprintf("S%d", i), nil)
	}
	access, err := collect(c.Groups.Access(ctx, "Radiology", ""))
	require.NoError(t, err)
	require.Len(t, access, 60)
	require.Len(t, slices.CompactFunc(access, func(a, b client.Access) bool { return a.Node == b.Node }), 60)
	require.Equal(t, 422, s.send("GET", "/api/v1/access?cursor=x", "").StatusCode)

	me, err := c.Account.Change(ctx, client.MeChange{Preferences: &client.Preferences{Theme: new("dark")}})
	require.NoError(t, err)
	require.Equal(t, client.Preferences{Theme: new("dark")}, me.Preferences)
	session, err := c.Session(ctx)
	require.NoError(t, err)
	require.Equal(t, "token", session.Via)
	made, err := c.Tokens.Create(ctx, client.NewToken{Lifetime: client.LifetimeNever, Description: "for ever"})
	require.NoError(t, err)
	tokens, err := collect(c.Tokens.List(ctx, ""))
	require.NoError(t, err)
	require.Contains(t, tokens, made.Token)
	require.NotContains(t, s.send("GET", "/api/v1/tokens", "").body, made.Secret)
	require.NoError(t, c.Tokens.Revoke(ctx, made.ID))

	require.NoError(t, c.Registrations.Add(ctx, client.NewRegistration{
		Username: "ada", Person: client.Person{Mail: "ada@example.org"},
	}))
	require.NoError(t, c.Registrations.Add(ctx, client.NewRegistration{
		Username: "eve", Person: client.Person{Mail: "eve@example.org"},
	}))
	waiting, err := collect(c.Registrations.List(ctx))
	require.NoError(t, err)
	require.Len(t, waiting, 2)
	u, err = c.Registrations.Approve(
		ctx, waiting[0].ID, client.Approval{Username: "ada.l", Groups: []string{"Radiology"}},
	)
	require.NoError(t, err)
	require.Equal(t, "ada.l", u.Username)
	require.NoError(t, c.Registrations.Refuse(ctx, waiting[1].ID, client.Refusal{Reason: "Who?"}))
	var sealed []byte
	require.NoError(
		t, s.pool.QueryRow(ctx, "SELECT sealed FROM outbox WHERE recipient = 'ada@example.org'").Scan(&sealed),
	)
	mail, err := s.people.Open("mail", sealed)
	require.NoError(t, err)
	code := regexp.MustCompile(`[0-9a-f]{40}`).FindString(string(mail))
	require.NoError(t, c.Account.ResetPassword(ctx, client.PasswordReset{Code: code, Password: password}))
	require.Equal(t, 200, s.as("POST", "/api/v1/session", login("ada.l", password)).StatusCode)
	require.NoError(t, c.Account.RequestPassword(ctx, "ada.l"))
	require.NoError(t, c.Users.SetPassword(ctx, "admin", client.NewPassword{Password: password}))
	require.NoError(
		t, c.Account.ChangePassword(ctx, client.PasswordChange{Current: password, Password: "another long secret"}),
	)
}

// TestNodeSecretsStayHere: the private key for a server is sealed in the database, and no route shows it again, nor the
// audit log, nor the log.
func TestNodeSecretsStayHere(t *testing.T) {
	s := newSite(t)
	own := testpeer.NewAuthority(t).Issue(t, "adit.example")
	s.addServer("SRC", "SRC", func(n *client.ServerSettings) {
		n.TLS = client.TLS{Use: true, Certificate: string(own.Certificate), Key: string(own.Key)}
	})
	_, err := s.client.Servers.Change(t.Context(), "SRC", client.ServerChange{Port: new(4242)})
	require.NoError(t, err)
	block, _ := pem.Decode(own.Key)
	require.NotNil(t, block)
	// Any line of the key is a piece of it; the first ones are public, and in the certificate as well.
	pieces := []string{string(block.Bytes[len(block.Bytes)-64:])}
	for i, line := range strings.Split(string(own.Key), "\n") {
		if i > 10 && len(line) == 64 {
			pieces = append(pieces, line)
		}
	}
	require.Greater(t, len(pieces), 5)
	var sealed []byte
	require.NoError(t, s.pool.QueryRow(t.Context(), "SELECT tls_sealed_key FROM servers").Scan(&sealed))
	answers := map[string]string{"the database": string(sealed), "the log": s.log.String()}
	var audit string
	require.NoError(t, s.pool.QueryRow(
		t.Context(), "SELECT coalesce(string_agg(audit::text, ' '), '') FROM audit",
	).Scan(&audit))
	answers["the audit log"] = audit
	var doc document
	require.NoError(t, json.Unmarshal([]byte(s.as("GET", "/api/v1/openapi.json", "").body), &doc))
	for path, operations := range doc.Paths {
		if _, ok := operations["get"]; ok {
			filled := strings.NewReplacer(
				"{name}", "SRC", "{id}", "1", "{username}", "admin", "{group}", "Radiology", "{member}", "test",
			).Replace(path)
			answers[path] = s.send("GET", filled, "").body
		}
	}
	require.Contains(t, answers["/api/v1/servers"], "BEGIN CERTIFICATE")
	for where, text := range answers {
		for _, piece := range pieces {
			require.NotContains(t, text, piece, where)
			require.NotContains(t, strings.ReplaceAll(text, `\n`, ""), piece, where)
		}
	}
}
