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
	Mail       string `json:"mail,omitempty" doc:"Address for mails; without one there are no mails, and no new password can be asked for." example:"researcher@example.org"`
	FirstName  string `json:"first_name,omitempty" doc:"Given name, as others see it." example:"Given"`
	LastName   string `json:"last_name,omitempty" doc:"Family name, as others see it." example:"Family"`
	Phone      string `json:"phone,omitempty" doc:"Telephone number, for those who have a question." example:"+49 6221 0000"`
	Department string `json:"department,omitempty" doc:"Where the person works." example:"Radiology"`
}

// PersonChange changes a Person: nil fields stay as they are.
type PersonChange struct {
	Mail       *string `json:"mail,omitempty" doc:"Another address for mails; empty: none; absent: as it is." example:"researcher@example.org"`
	FirstName  *string `json:"first_name,omitempty" doc:"Another given name; absent: as it is." example:"Given"`
	LastName   *string `json:"last_name,omitempty" doc:"Another family name; absent: as it is." example:"Family"`
	Phone      *string `json:"phone,omitempty" doc:"Another telephone number; absent: as it is." example:"+49 6221 0000"`
	Department *string `json:"department,omitempty" doc:"Another department; absent: as it is." example:"Radiology"`
}

// Me is who is calling.
type Me struct {
	Username string `json:"username" doc:"What one logs in by." example:"researcher"`
	Person
	IsStaff        bool        `json:"is_staff" doc:"Whether the user administers ADIT."`
	IsSuperuser    bool        `json:"is_superuser" doc:"Whether the user has all permissions and may administer staff; superusers are staff."`
	HasPassword    bool        `json:"has_password" doc:"Whether one can log in by a password." example:"true"`
	Groups         []string    `json:"groups" nullable:"false" doc:"Names of the groups that one belongs to." example:"Radiology"`
	ActiveGroup    string      `json:"active_group" doc:"The group whose default project takes jobs that name none; empty: there is no such group." example:"Radiology"`
	Permissions    []string    `json:"permissions" nullable:"false" doc:"Permissions of all one's groups; all that there are, for superusers." example:"selective_transfer"`
	LockedSections []string    `json:"locked_sections,omitempty" nullable:"false" doc:"Permissions that nobody may use for now, since staff has locked their sections; absent: none, as for staff." example:"selective_transfer"`
	SectionMessage string      `json:"section_message,omitempty" doc:"Why they are locked; absent if staff has not said it." example:"Until the new storage is in place."`
	EthicsIDNeeded bool        `json:"ethics_id_needed,omitempty" doc:"A batch transfer needs the number of an application to the ethics committee."`
	TimeZone       string      `json:"time_zone" doc:"Name of the site's time zone, by whose clock days begin and recurrences run." example:"Europe/Berlin"`
	Preferences    Preferences `json:"preferences" doc:"How one likes user interfaces to be; what was never set is absent." example:"{\"theme\":\"dark\"}"`
}

// MeChange changes oneself: nil fields stay as they are.
type MeChange struct {
	PersonChange
	ActiveGroup *string      `json:"active_group,omitempty" doc:"Another of one's groups, whose default project takes jobs that name none; absent: as it is." example:"Radiology"`
	Preferences *Preferences `json:"preferences,omitempty" doc:"Preferences to change; those that are absent stay as they are." example:"{\"theme\":\"dark\"}"`
}

// PasswordChange is another password for oneself.
type PasswordChange struct {
	Current  string `json:"current" writeOnly:"true" minLength:"1" doc:"The password that holds until now." example:"the old and long one"`
	Password string `json:"password" writeOnly:"true" doc:"At least 12 characters, neither among the most common ones nor with one's username or mail address in it." example:"correct horse battery staple"`
	KeepTokens
}

// KeepTokens is a part of what sets a password.
type KeepTokens struct {
	KeepTokens bool `json:"keep_tokens,omitempty" doc:"Leave the account's API tokens valid. Otherwise they are revoked, unless this is the account's first password."`
}

// Login begins a session.
type Login struct {
	Username string `json:"username" doc:"Username, in any case of letters." example:"researcher"`
	Password string `json:"password" writeOnly:"true" doc:"The password of the account." example:"correct horse battery staple"`
}

// Session is how one is logged in.
type Session struct {
	Username  string     `json:"username" doc:"Who is logged in." example:"researcher"`
	Via       string     `json:"via" enum:"session,token" doc:"How the caller is known: by a session, or by an API token."`
	CreatedAt *time.Time `json:"created_at,omitempty" doc:"When the session began; absent for a token." example:"2026-11-23T08:15:30Z"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"When the session ends at the latest; 12 hours without a request end it as well." example:"2026-11-30T08:15:30Z"`
}

// PasswordRequest asks for a mail with a link for a new password.
type PasswordRequest struct {
	Account string `json:"account" minLength:"1" maxLength:"254" doc:"Username or mail address of the account." example:"researcher"`
}

// PasswordReset sets a new password by the code of a mail, which is used up by it.
type PasswordReset struct {
	Code     string `json:"code" writeOnly:"true" maxLength:"100" doc:"What stands behind the # of the link in the mail." example:"f3b1c0ffee"`
	Password string `json:"password" writeOnly:"true" doc:"At least 12 characters, neither among the most common ones nor with the username or mail address in it." example:"correct horse battery staple"`
	KeepTokens
}

// Confirmation gives the password of a session again.
type Confirmation struct {
	Password string `json:"password" writeOnly:"true" minLength:"1" doc:"The password of the account whose session this is." example:"correct horse battery staple"`
}

// User is a user as staff sees one.
type User struct {
	Versioned
	ID       int64  `json:"id" doc:"Number of the user, which stays the same if the username changes." example:"7"`
	Username string `json:"username" doc:"What the user logs in by; unique in any case of letters." example:"researcher"`
	Person
	IsActive    bool      `json:"is_active" doc:"Whether the user may log in; tokens of others do not work either." example:"true"`
	IsStaff     bool      `json:"is_staff" doc:"Whether the user administers ADIT."`
	IsSuperuser bool      `json:"is_superuser" doc:"Whether the user has all permissions and may administer staff; superusers are staff."`
	HasPassword bool      `json:"has_password" doc:"Whether the user can log in by a password." example:"true"`
	Groups      []string  `json:"groups" nullable:"false" doc:"Names of the groups that the user belongs to." example:"Radiology"`
	CreatedAt   time.Time `json:"created_at" doc:"When the account was made." example:"2026-11-23T08:15:30Z"`
	Warning     string    `json:"warning,omitempty" readOnly:"true" doc:"Why the mail that this sends waits: ADIT has no mail server. Only in answers to what sends one." example:"No mail server is set; mails wait until one is."`
}

// NewUser is a user to be made.
type NewUser struct {
	Username string `json:"username" doc:"1 to 150 letters, digits and @ . + - _; unique in any case of letters." example:"researcher"`
	Person
	Password    string   `json:"password,omitempty" writeOnly:"true" doc:"At least 12 characters; absent: the account has none, and can log in once it gets one." example:"correct horse battery staple"`
	Invite      bool     `json:"invite,omitempty" doc:"Send a mail with a link to choose a password."`
	IsStaff     bool     `json:"is_staff,omitempty" doc:"Set by superusers only."`
	IsSuperuser bool     `json:"is_superuser,omitempty" doc:"Set by superusers only. Superusers are staff."`
	Groups      []string `json:"groups,omitempty" maxItems:"100" doc:"Names of the groups that the user belongs to; none if absent." example:"Radiology"`
}

// UserChange changes a user: nil fields stay as they are.
type UserChange struct {
	Username *string `json:"username,omitempty" doc:"Another username; absent: as it is." example:"researcher"`
	PersonChange
	IsActive    *bool `json:"is_active,omitempty" doc:"Whether the user may log in. To disable a user ends sessions, revokes tokens for good and stops running transfers. Absent: as it is." example:"false"`
	IsStaff     *bool `json:"is_staff,omitempty" doc:"Set by superusers only."`
	IsSuperuser *bool `json:"is_superuser,omitempty" doc:"Set by superusers only."`
}

// NewPassword is another password for a user.
type NewPassword struct {
	Password string `json:"password" writeOnly:"true" doc:"At least 12 characters, neither among the most common ones nor with the username or mail address in it." example:"correct horse battery staple"`
	KeepTokens
}

// Group is what permissions and access to DICOM nodes are given to.
type Group struct {
	Versioned
	ID          int64    `json:"id" doc:"Number of the group, which stays the same if its name changes." example:"2"`
	Name        string   `json:"name" doc:"Unique in any case of letters." example:"Radiology"`
	Permissions []string `json:"permissions" nullable:"false" doc:"What its members may do." example:"selective_transfer"`
	Members     int      `json:"members" doc:"How many users belong to it." example:"14"`
}

// NewGroup is a group to be made. It gets a default project.
type NewGroup struct {
	Name        string   `json:"name" doc:"1 to 150 characters, unique in any case of letters." example:"Radiology"`
	Permissions []string `json:"permissions,omitempty" maxItems:"100" doc:"What its members may do; nothing if absent." example:"selective_transfer"`
}

// GroupChange changes a group: nil fields stay as they are.
type GroupChange struct {
	Name        *string   `json:"name,omitempty" doc:"Another name of 1 to 150 characters; absent: as it is." example:"Radiology"`
	Permissions *[]string `json:"permissions,omitempty" maxItems:"100" doc:"All permissions that it has from now on; absent: as they are." example:"selective_transfer,batch_query"`
}

// Member is a member of a group.
type Member struct {
	ID        int64  `json:"id" doc:"Number of the user." example:"7"`
	Username  string `json:"username" doc:"What the user logs in by." example:"researcher"`
	FirstName string `json:"first_name" doc:"Given name; may be empty." example:"Given"`
	LastName  string `json:"last_name" doc:"Family name; may be empty." example:"Family"`
	IsActive  bool   `json:"is_active" doc:"Whether the user may log in." example:"true"`
}

// Access is how a group may use a DICOM node.
type Access struct {
	Versioned
	Group       string `json:"group" doc:"The group that has the access, by its name in any case of letters." example:"Radiology"`
	Node        string `json:"node" doc:"The server or folder that it is about, by its name." example:"PACS"`
	Kind        string `json:"kind,omitempty" enum:"server,folder" readOnly:"true" doc:"Whether the node is a server or a folder."`
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
	ID          int64      `json:"id" doc:"Number of the token." example:"12"`
	Username    string     `json:"username" doc:"Username of whose it is." example:"researcher"`
	Description string     `json:"description" doc:"What it is for; may be empty." example:"Nightly export"`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was made." example:"2026-11-23T08:15:30Z"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty" doc:"When it stops working; absent: never." example:"2027-02-21T08:15:30Z"`
}

// NewToken is a token to be made.
type NewToken struct {
	Description string `json:"description,omitempty" doc:"What it is for; at most 200 characters." example:"Nightly export"`
	Lifetime    string `json:"lifetime" enum:"24h,7d,30d,90d,never" doc:"How long it works: hours, days, or for ever. never takes the permission tokens_without_expiry." example:"90d"`
}

// CreatedToken is a token that was just made, with its secret.
type CreatedToken struct {
	Token
	Secret string `json:"secret" doc:"The token itself: 40 hexadecimal characters, in this answer only." example:"3f786850e387550fdab836ed7e6dc881de23001b"`
}

// Registration is somebody who asks for an account.
type Registration struct {
	ID       int64  `json:"id" doc:"Number of the request." example:"9"`
	Username string `json:"username" doc:"Username that is asked for; it may be taken." example:"researcher"`
	Person
	Message   string    `json:"message" doc:"What the person tells those who decide; may be empty." example:"For the stroke study"`
	CreatedAt time.Time `json:"created_at" doc:"When the account was asked for." example:"2026-11-23T08:15:30Z"`
}

// NewRegistration asks for an account.
type NewRegistration struct {
	Username string `json:"username" doc:"Username that one would like: 1 to 150 letters, digits and @ . + - _." example:"researcher"`
	Person
	Message string `json:"message,omitempty" maxLength:"1000" doc:"What those who decide should know; at most 1000 characters." example:"For the stroke study"`
}

// Approval makes a user of a registration.
type Approval struct {
	Username string   `json:"username,omitempty" doc:"Another username than the one that was asked for; absent: that one." example:"researcher"`
	Groups   []string `json:"groups,omitempty" maxItems:"100" doc:"Names of the groups that the new user belongs to; none if absent." example:"Radiology"`
}

// Refusal refuses a registration.
type Refusal struct {
	Reason string `json:"reason,omitempty" maxLength:"1000" doc:"Why, for the mail to whoever asked; absent: the mail gives no reason." example:"Please ask through your department."`
}

func post(path string, body any) request {
	return request{method: http.MethodPost, path: path, body: body}
}

func put(path string, body any) request {
	return request{method: http.MethodPut, path: path, body: body, repeatable: true}
}

func patch(path string, body any) request {
	return request{method: http.MethodPatch, path: path, body: body, repeatable: true}
}

func remove(path string) request {
	return request{method: http.MethodDelete, path: path, repeatable: true, gone: []int{http.StatusNotFound}}
}

// Change changes one's own account.
func (c Account) Change(ctx context.Context, change MeChange) (Me, error) {
	var m Me
	return m, c.do(ctx, patch("/api/v1/me", change), &m)
}

// ChangePassword changes one's own password, which ends all other sessions, and all tokens unless they are to be kept.
func (c Account) ChangePassword(ctx context.Context, change PasswordChange) error {
	return c.do(ctx, request{method: http.MethodPut, path: "/api/v1/me/password", body: change}, nil)
}

// RequestPassword asks for a mail with a link for a new password. It never tells whether there is such an account.
func (c Account) RequestPassword(ctx context.Context, account string) error {
	return c.do(ctx, post("/api/v1/password-resets", PasswordRequest{account}), nil)
}

// ResetPassword sets a new password by the code of a mail.
func (c Account) ResetPassword(ctx context.Context, reset PasswordReset) error {
	return c.do(ctx, post("/api/v1/password-resets:use", reset), nil)
}

// Session tells how the caller is logged in.
func (c *Client) Session(ctx context.Context) (Session, error) {
	var s Session
	return s, c.do(ctx, get("/api/v1/session", nil), &s)
}

// List returns one's own tokens, or those of another user (staff).
func (c Tokens) List(ctx context.Context, username string) iter.Seq2[Token, error] {
	q := url.Values{}
	if username != "" {
		q.Set("user", username)
	}
	return list[Token](ctx, c.caller, "/api/v1/tokens", q)
}

// Get returns a token without its secret: one's own, another's for staff.
func (c Tokens) Get(ctx context.Context, id int64) (Token, error) {
	var t Token
	return t, c.do(ctx, get("/api/v1/tokens/"+strconv.FormatInt(id, 10), nil), &t)
}

// Create makes a token for oneself.
func (c Tokens) Create(ctx context.Context, n NewToken) (CreatedToken, error) {
	var t CreatedToken
	return t, c.do(ctx, post("/api/v1/tokens", n), &t)
}

// Revoke ends a token at once: one's own, another's for staff.
func (c Tokens) Revoke(ctx context.Context, id int64) error {
	return c.do(ctx, remove("/api/v1/tokens/"+strconv.FormatInt(id, 10)), nil)
}

func userPath(name string) string { return "/api/v1/users/" + escape(name) }

// UserFilter chooses users. Empty fields match everything.
type UserFilter struct {
	Search string // in usernames, names and mail addresses
	Active *bool
	Staff  *bool
	Group  string // that they belong to
	Sort   string // id, username; with - downwards; empty: id
}

// List returns users.
func (c Users) List(ctx context.Context, f UserFilter) iter.Seq2[User, error] {
	return list[User](ctx, c.caller, "/api/v1/users", query(map[string]any{
		"search": f.Search, "active": f.Active, "staff": f.Staff, "group": f.Group, "sort": f.Sort,
	}))
}

// Get returns a user by the name.
func (c Users) Get(ctx context.Context, username string) (User, error) {
	var u User
	return u, c.do(ctx, get(userPath(username), nil), &u)
}

// Add makes a user.
func (c Users) Add(ctx context.Context, n NewUser) (User, error) {
	var u User
	return u, c.do(ctx, post("/api/v1/users", n), &u)
}

// Change changes a user.
func (c Users) Change(
	ctx context.Context, username string, change UserChange, only ...Condition,
) (User, error) {
	var u User
	return u, c.do(ctx, patch(userPath(username), change).only(only), &u)
}

// Delete removes a user who owns no jobs.
func (c Users) Delete(ctx context.Context, username string, only ...Condition) error {
	return c.do(ctx, remove(userPath(username)).only(only), nil)
}

// SetPassword gives a user another password, which ends all sessions of theirs, and all tokens unless they are to be
// kept.
func (c Users) SetPassword(ctx context.Context, username string, n NewPassword) error {
	return c.do(ctx, put(userPath(username)+"/password", n), nil)
}

func groupPath(name string) string { return "/api/v1/groups/" + escape(name) }

// List returns groups.
func (c Groups) List(ctx context.Context) iter.Seq2[Group, error] {
	return list[Group](ctx, c.caller, "/api/v1/groups", nil)
}

// Get returns a group by its name.
func (c Groups) Get(ctx context.Context, name string) (Group, error) {
	var g Group
	return g, c.do(ctx, get(groupPath(name), nil), &g)
}

// Add makes a group with a default project.
func (c Groups) Add(ctx context.Context, n NewGroup) (Group, error) {
	var g Group
	return g, c.do(ctx, post("/api/v1/groups", n), &g)
}

// Change changes a group.
func (c Groups) Change(ctx context.Context, name string, change GroupChange, only ...Condition) (Group, error) {
	var g Group
	return g, c.do(ctx, patch(groupPath(name), change).only(only), &g)
}

// Delete removes a group whose projects were never used.
func (c Groups) Delete(ctx context.Context, name string, only ...Condition) error {
	return c.do(ctx, remove(groupPath(name)).only(only), nil)
}

// Members lists the members of a group.
func (c Groups) Members(ctx context.Context, group string) iter.Seq2[Member, error] {
	return list[Member](ctx, c.caller, groupPath(group)+"/members", nil)
}

// AddMember puts a user into a group.
func (c Groups) AddMember(ctx context.Context, group, username string) error {
	return c.do(ctx, put(groupPath(group)+"/members/"+escape(username), nil), nil)
}

// RemoveMember takes a user out of a group.
func (c Groups) RemoveMember(ctx context.Context, group, username string) error {
	return c.do(ctx, remove(groupPath(group)+"/members/"+escape(username)), nil)
}

// Access lists which groups may use which DICOM nodes: of one group, of one node, or all.
func (c Groups) Access(ctx context.Context, group, node string) iter.Seq2[Access, error] {
	q := url.Values{}
	if group != "" {
		q.Set("group", group)
	}
	if node != "" {
		q.Set("node", node)
	}
	return list[Access](ctx, c.caller, "/api/v1/access", q)
}

// SetAccess says how a group may use a DICOM node; as neither source nor destination takes the access away.
func (c Groups) SetAccess(ctx context.Context, a Access, only ...Condition) (Access, error) {
	var out Access
	return out, c.do(ctx, put("/api/v1/access", a).only(only), &out)
}

// Add asks for an account. It needs no token.
func (c Registrations) Add(ctx context.Context, n NewRegistration) error {
	return c.do(ctx, post("/api/v1/registrations", n), nil)
}

// List returns those who wait for an account.
func (c Registrations) List(ctx context.Context) iter.Seq2[Registration, error] {
	return list[Registration](ctx, c.caller, "/api/v1/registrations", nil)
}

func registrationPath(id int64) string { return "/api/v1/registrations/" + strconv.FormatInt(id, 10) }

// Get returns somebody who waits for an account.
func (c Registrations) Get(ctx context.Context, id int64) (Registration, error) {
	var r Registration
	return r, c.do(ctx, get(registrationPath(id), nil), &r)
}

// Approve makes a user of a registration.
func (c Registrations) Approve(ctx context.Context, id int64, a Approval) (User, error) {
	var u User
	return u, c.do(ctx, post(registrationPath(id)+":approve", a), &u)
}

// Refuse refuses a registration.
func (c Registrations) Refuse(ctx context.Context, id int64, r Refusal) error {
	return c.do(ctx, post(registrationPath(id)+":refuse", r), nil)
}
