// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Person is how somebody is called and reached.
type Person struct {
	Mail       string `json:"mail,omitempty" doc:"Address for mails; without, there are none, and no password can be asked for."`
	FirstName  string `json:"first_name,omitempty"`
	LastName   string `json:"last_name,omitempty"`
	Phone      string `json:"phone,omitempty"`
	Department string `json:"department,omitempty"`
}

// PersonChange changes a Person: nil fields stay as they are.
type PersonChange struct {
	Mail       *string `json:"mail,omitempty"`
	FirstName  *string `json:"first_name,omitempty"`
	LastName   *string `json:"last_name,omitempty"`
	Phone      *string `json:"phone,omitempty"`
	Department *string `json:"department,omitempty"`
}

// Me is who is calling.
type Me struct {
	Username string `json:"username"`
	Person
	IsStaff     bool           `json:"is_staff"`
	IsSuperuser bool           `json:"is_superuser"`
	HasPassword bool           `json:"has_password" doc:"Otherwise one can't log in by a password."`
	Groups      []string       `json:"groups" nullable:"false"`
	ActiveGroup string         `json:"active_group" doc:"Whose default project jobs belong to that name none; empty: none."`
	Permissions []string       `json:"permissions" nullable:"false" doc:"Of all one's groups; all there are, for superusers."`
	Preferences map[string]any `json:"preferences" doc:"Of the user interface."`
}

// MeChange changes oneself: nil fields stay as they are.
type MeChange struct {
	PersonChange
	ActiveGroup *string        `json:"active_group,omitempty" doc:"One of one's groups."`
	Preferences map[string]any `json:"preferences,omitzero" doc:"All of them; at most 16 KiB of JSON."`
}

// PasswordChange is another password for oneself.
type PasswordChange struct {
	Current  string `json:"current" writeOnly:"true"`
	Password string `json:"password" writeOnly:"true" doc:"At least 12 characters, neither among the most common ones nor with one's username or mail address in it."`
	KeepTokens
}

// KeepTokens is a part of what sets a password.
type KeepTokens struct {
	KeepTokens bool `json:"keep_tokens,omitempty" doc:"Leave the account's API tokens valid. Otherwise they are revoked, unless this is the account's first password."`
}

// Login begins a session.
type Login struct {
	Username string `json:"username"`
	Password string `json:"password" writeOnly:"true"`
}

// Session is how one is logged in.
type Session struct {
	Username  string     `json:"username"`
	Via       string     `json:"via" enum:"session,token"`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"Of the session."`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the session ends at the latest; 12 hours without a request end it as well."`
}

// PasswordRequest asks for a mail with a link for a new password.
type PasswordRequest struct {
	Account string `json:"account" minLength:"1" maxLength:"254" doc:"Username or mail address."`
}

// PasswordReset sets a new password by the code of a mail, which is used up by it.
type PasswordReset struct {
	Code     string `json:"code" writeOnly:"true" maxLength:"100" doc:"What stands behind the # of the link."`
	Password string `json:"password" writeOnly:"true"`
	KeepTokens
}

// Confirmation gives the password of a session again.
type Confirmation struct {
	Password string `json:"password" writeOnly:"true"`
}

// User is a user as staff sees one.
type User struct {
	ID       int64  `json:"id"`
	Username string `json:"username"`
	Person
	IsActive    bool      `json:"is_active"`
	IsStaff     bool      `json:"is_staff"`
	IsSuperuser bool      `json:"is_superuser"`
	HasPassword bool      `json:"has_password"`
	Groups      []string  `json:"groups" nullable:"false"`
	CreatedAt   time.Time `json:"created_at"`
	Warning     string    `json:"warning,omitempty" readOnly:"true" doc:"Why the mail that this sends waits: ADIT has no mail server. Only in answers to what sends one."`
}

// NewUser is a user to be made.
type NewUser struct {
	Username string `json:"username" doc:"1 to 150 letters, digits and @ . + - _; unique in any case of letters."`
	Person
	Password    string   `json:"password,omitempty" writeOnly:"true" doc:"None by default."`
	Invite      bool     `json:"invite,omitempty" doc:"Send a mail with a link to choose a password."`
	IsStaff     bool     `json:"is_staff,omitempty" doc:"Set by superusers only."`
	IsSuperuser bool     `json:"is_superuser,omitempty" doc:"Set by superusers only. Superusers are staff."`
	Groups      []string `json:"groups,omitempty" maxItems:"100"`
}

// UserChange changes a user: nil fields stay as they are.
type UserChange struct {
	Username *string `json:"username,omitempty"`
	PersonChange
	IsActive    *bool `json:"is_active,omitempty" doc:"Whoever is disabled loses sessions and tokens for good, and running transfers stop."`
	IsStaff     *bool `json:"is_staff,omitempty" doc:"Set by superusers only."`
	IsSuperuser *bool `json:"is_superuser,omitempty" doc:"Set by superusers only."`
}

// NewPassword is another password for a user.
type NewPassword struct {
	Password string `json:"password" writeOnly:"true"`
	KeepTokens
}

// Group is what permissions and access to DICOM nodes are given to.
type Group struct {
	ID          int64    `json:"id"`
	Name        string   `json:"name"`
	Permissions []string `json:"permissions" nullable:"false"`
	Members     int      `json:"members" doc:"How many there are."`
}

// NewGroup is a group to be made. It gets a default project.
type NewGroup struct {
	Name        string   `json:"name" doc:"1 to 150 characters, unique in any case of letters."`
	Permissions []string `json:"permissions,omitempty" maxItems:"100"`
}

// GroupChange changes a group: nil fields stay as they are.
type GroupChange struct {
	Name        *string   `json:"name,omitempty"`
	Permissions *[]string `json:"permissions,omitempty" maxItems:"100" doc:"All of them."`
}

// Member is a member of a group.
type Member struct {
	ID        int64  `json:"id"`
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	IsActive  bool   `json:"is_active"`
}

// Access is how a group may use a DICOM node.
type Access struct {
	Group       string `json:"group"`
	Node        string `json:"node"`
	Kind        string `json:"kind,omitempty" enum:"server,folder" readOnly:"true"`
	Source      bool   `json:"source" doc:"Its members may read from there."`
	Destination bool   `json:"destination" doc:"Its members may send there."`
}

// How long a token is valid.
const (
	Lifetime24Hours = "24h"
	Lifetime7Days   = "7d"
	Lifetime30Days  = "30d"
	Lifetime90Days  = "90d"
	LifetimeNever   = "never" // it never ends; takes the permission tokens_without_expiry
)

// Token is an API token, without its secret.
type Token struct {
	ID          int64      `json:"id"`
	Username    string     `json:"username" doc:"Whose it is."`
	Description string     `json:"description"`
	CreatedAt   time.Time  `json:"created_at"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"Absent: never."`
}

// NewToken is a token to be made.
type NewToken struct {
	Description string `json:"description,omitempty" doc:"What it is for; at most 200 characters."`
	Lifetime    string `json:"lifetime" enum:"24h,7d,30d,90d,never" doc:"never takes the permission tokens_without_expiry."`
}

// CreatedToken is a token that was just made, with its secret.
type CreatedToken struct {
	Token
	Secret string `json:"secret" doc:"40 hexadecimal characters, shown this once."`
}

// Registration is somebody who asks for an account.
type Registration struct {
	ID       int64  `json:"id"`
	Username string `json:"username" doc:"As wished; it may be taken."`
	Person
	Message   string    `json:"message"`
	CreatedAt time.Time `json:"created_at"`
}

// NewRegistration asks for an account.
type NewRegistration struct {
	Username string `json:"username"`
	Person
	Message string `json:"message,omitempty" maxLength:"1000" doc:"To those who decide."`
}

// Approval makes a user of a registration.
type Approval struct {
	Username string   `json:"username,omitempty" doc:"Another one than was wished."`
	Groups   []string `json:"groups,omitempty" maxItems:"100"`
}

// Refusal refuses a registration.
type Refusal struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"For the mail to who asked."`
}

func post(path string, body any) request {
	return request{method: http.MethodPost, path: path, body: body}
}

func put(path string, body any) request {
	return request{method: http.MethodPut, path: path, body: body, repeatable: true}
}

func patch(path string, body any) request {
	return request{method: http.MethodPatch, path: path, body: body}
}

func remove(path string) request { return request{method: http.MethodDelete, path: path} }

// ChangeMe changes one's own account.
func (c *Client) ChangeMe(ctx context.Context, change MeChange) (Me, error) {
	var m Me
	return m, c.do(ctx, patch("/api/v1/me", change), &m)
}

// ChangePassword changes one's own password, which ends all other sessions, and all tokens unless they are to be kept.
func (c *Client) ChangePassword(ctx context.Context, change PasswordChange) error {
	return c.do(ctx, request{method: http.MethodPut, path: "/api/v1/me/password", body: change}, nil)
}

// RequestPassword asks for a mail with a link for a new password. It never tells whether there is such an account.
func (c *Client) RequestPassword(ctx context.Context, account string) error {
	return c.do(ctx, post("/api/v1/password-resets", PasswordRequest{account}), nil)
}

// ResetPassword sets a new password by the code of a mail.
func (c *Client) ResetPassword(ctx context.Context, reset PasswordReset) error {
	return c.do(ctx, post("/api/v1/password-resets:use", reset), nil)
}

// Session tells how the caller is logged in.
func (c *Client) Session(ctx context.Context) (Session, error) {
	var s Session
	return s, c.do(ctx, get("/api/v1/session", nil), &s)
}

// Tokens lists one's own tokens, or those of another user (staff).
func (c *Client) Tokens(ctx context.Context, username string) iter.Seq2[Token, error] {
	q := url.Values{}
	if username != "" {
		q.Set("user", username)
	}
	return list[Token](ctx, c, "/api/v1/tokens", q)
}

// CreateToken makes a token for oneself.
func (c *Client) CreateToken(ctx context.Context, n NewToken) (CreatedToken, error) {
	var t CreatedToken
	return t, c.do(ctx, post("/api/v1/tokens", n), &t)
}

// RevokeToken ends a token at once: one's own, another's for staff.
func (c *Client) RevokeToken(ctx context.Context, id int64) error {
	return c.do(ctx, remove("/api/v1/tokens/"+strconv.FormatInt(id, 10)), nil)
}

func userPath(name string) string { return "/api/v1/users/" + escape(name) }

// UserFilter chooses users. Empty fields match everything.
type UserFilter struct {
	Search string // in usernames, names and mail addresses
	Active *bool
}

// Users lists users.
func (c *Client) Users(ctx context.Context, f UserFilter) iter.Seq2[User, error] {
	q := url.Values{}
	if f.Search != "" {
		q.Set("search", f.Search)
	}
	if f.Active != nil {
		q.Set("active", strconv.FormatBool(*f.Active))
	}
	return list[User](ctx, c, "/api/v1/users", q)
}

// User finds a user by the name.
func (c *Client) User(ctx context.Context, username string) (User, error) {
	var u User
	return u, c.do(ctx, get(userPath(username), nil), &u)
}

// AddUser makes a user.
func (c *Client) AddUser(ctx context.Context, n NewUser) (User, error) {
	var u User
	return u, c.do(ctx, post("/api/v1/users", n), &u)
}

// ChangeUser changes a user.
func (c *Client) ChangeUser(ctx context.Context, username string, change UserChange) (User, error) {
	var u User
	return u, c.do(ctx, patch(userPath(username), change), &u)
}

// DeleteUser removes a user who owns no jobs.
func (c *Client) DeleteUser(ctx context.Context, username string) error {
	return c.do(ctx, remove(userPath(username)), nil)
}

// SetPassword gives a user another password, which ends all sessions of theirs, and all tokens unless they are to be kept.
func (c *Client) SetPassword(ctx context.Context, username string, n NewPassword) error {
	return c.do(ctx, put(userPath(username)+"/password", n), nil)
}

func groupPath(name string) string { return "/api/v1/groups/" + escape(name) }

// Groups lists groups.
func (c *Client) Groups(ctx context.Context) iter.Seq2[Group, error] {
	return list[Group](ctx, c, "/api/v1/groups", nil)
}

// Group finds a group by its name.
func (c *Client) Group(ctx context.Context, name string) (Group, error) {
	var g Group
	return g, c.do(ctx, get(groupPath(name), nil), &g)
}

// AddGroup makes a group with a default project.
func (c *Client) AddGroup(ctx context.Context, n NewGroup) (Group, error) {
	var g Group
	return g, c.do(ctx, post("/api/v1/groups", n), &g)
}

// ChangeGroup changes a group.
func (c *Client) ChangeGroup(ctx context.Context, name string, change GroupChange) (Group, error) {
	var g Group
	return g, c.do(ctx, patch(groupPath(name), change), &g)
}

// DeleteGroup removes a group whose projects were never used.
func (c *Client) DeleteGroup(ctx context.Context, name string) error {
	return c.do(ctx, remove(groupPath(name)), nil)
}

// Members lists the members of a group.
func (c *Client) Members(ctx context.Context, group string) iter.Seq2[Member, error] {
	return list[Member](ctx, c, groupPath(group)+"/members", nil)
}

// AddMember puts a user into a group.
func (c *Client) AddMember(ctx context.Context, group, username string) error {
	return c.do(ctx, put(groupPath(group)+"/members/"+escape(username), nil), nil)
}

// RemoveMember takes a user out of a group.
func (c *Client) RemoveMember(ctx context.Context, group, username string) error {
	return c.do(ctx, remove(groupPath(group)+"/members/"+escape(username)), nil)
}

// Access lists which groups may use which DICOM nodes: of one group, of one node, or all.
func (c *Client) Access(ctx context.Context, group, node string) iter.Seq2[Access, error] {
	q := url.Values{}
	if group != "" {
		q.Set("group", group)
	}
	if node != "" {
		q.Set("node", node)
	}
	return list[Access](ctx, c, "/api/v1/access", q)
}

// SetAccess says how a group may use a DICOM node; as neither source nor destination takes the access away.
func (c *Client) SetAccess(ctx context.Context, a Access) (Access, error) {
	var out Access
	return out, c.do(ctx, put("/api/v1/access", a), &out)
}

// Register asks for an account. It needs no token.
func (c *Client) Register(ctx context.Context, n NewRegistration) error {
	return c.do(ctx, post("/api/v1/registrations", n), nil)
}

// Registrations lists those who wait for an account.
func (c *Client) Registrations(ctx context.Context) iter.Seq2[Registration, error] {
	return list[Registration](ctx, c, "/api/v1/registrations", nil)
}

func registrationPath(id int64) string { return "/api/v1/registrations/" + strconv.FormatInt(id, 10) }

// Approve makes a user of a registration.
func (c *Client) Approve(ctx context.Context, id int64, a Approval) (User, error) {
	var u User
	return u, c.do(ctx, post(registrationPath(id)+":approve", a), &u)
}

// Refuse refuses a registration.
func (c *Client) Refuse(ctx context.Context, id int64, r Refusal) error {
	return c.do(ctx, post(registrationPath(id)+":refuse", r), nil)
}
