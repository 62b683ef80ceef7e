// SPDX-License-Identifier: AGPL-3.0-or-later

package people_test

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

const secret = "staple battery horse"

// house is a site with a superuser, and others as tests want them.
type house struct {
	*people.Service
	t     *testing.T
	pool  *pgxpool.Pool
	admin people.User
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, pool: dbtest.New(t)}
	h.Service = people.New(h.pool, people.NewKey())
	admin, err := h.Tokens.UserOf(t.Context(), bootstrap(t, h.Service))
	require.NoError(t, err)
	h.admin = admin
	return h
}

// add makes a user with the secret as password.
func (h *house) add(n people.NewAccount) people.User {
	h.t.Helper()
	n.Password = secret
	a, err := h.Users.Create(h.t.Context(), h.admin, n)
	require.NoError(h.t, err)
	return people.User{ID: a.ID, Username: a.Username, IsStaff: a.IsStaff, IsSuperuser: a.IsSuperuser}
}

func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	_, err := h.pool.Exec(h.t.Context(), sql, args...)
	require.NoError(h.t, err)
}

func (h *house) count(sql string, args ...any) (n int) {
	h.t.Helper()
	require.NoError(h.t, h.pool.QueryRow(h.t.Context(), sql, args...).Scan(&n))
	return n
}

// recorded is how many rows the audit log has of an act, be it done as a grant.
func (h *house) recorded(action string) int {
	return h.count(
		"SELECT count(*) FROM audit WHERE action = $1 OR action = 'rights.grant' AND detail::jsonb ->> 'by' = $1",
		action,
	)
}

// mails returns what lies in the outbox for somebody.
func (h *house) mails(to string) (bodies []string) {
	h.t.Helper()
	rows, err := h.pool.Query(
		h.t.Context(), "SELECT subject || E'\\n' || body, sealed FROM outbox WHERE recipient = $1 ORDER BY id", to,
	)
	require.NoError(h.t, err)
	defer rows.Close()
	for rows.Next() {
		var body string
		var sealed []byte
		require.NoError(h.t, rows.Scan(&body, &sealed))
		if sealed != nil {
			text, err := h.Open("mail", sealed)
			require.NoError(h.t, err)
			body += string(text)
		}
		bodies = append(bodies, body)
	}
	require.NoError(h.t, rows.Err())
	return bodies
}

func requireDenied(t *testing.T, err error, says string) {
	t.Helper()
	var d *people.Denied
	require.ErrorAs(t, err, &d)
	require.Contains(t, d.Reason, says)
}

func requireInvalid(t *testing.T, err error, field, says string) {
	t.Helper()
	var i *refusal.Invalid
	require.ErrorAs(t, err, &i)
	require.Equal(t, field, i.Field)
	require.Contains(t, i.Reason, says)
}

func requireConflict(t *testing.T, err error, says string) {
	t.Helper()
	var c *refusal.Conflict
	require.ErrorAs(t, err, &c)
	require.Contains(t, c.Reason, says)
}

func TestLogIn(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	h.add(people.NewAccount{Username: "Reader"})
	const fortnight = 14 * 24 * time.Hour
	began := time.Now().Truncate(time.Microsecond)
	cookie, s, err := h.Sessions.LogIn(ctx, "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	require.Equal(t, "Reader", s.User.Username)
	require.WithinRange(t, s.ExpiresAt, began.Add(fortnight), time.Now().Add(fortnight))
	found, err := h.Sessions.Session(ctx, cookie)
	require.NoError(t, err)
	require.Equal(t, s, found)
	require.Zero(
		t, h.count("SELECT count(*) FROM sessions WHERE encode(sha256, 'escape') LIKE '%' || $1 || '%'", cookie),
		"only a hash is kept",
	)
	require.Zero(t, h.count("SELECT count(*) FROM attempts"), "a login that succeeds doesn't count")
	require.Equal(t, 1, h.recorded("session.begin"))

	for name, bad := range map[string][2]string{
		"wrong password": {"reader", "another secret of mine"},
		"no such user":   {"nobody", secret}, "no password": {"admin", ""}, "": {"", ""},
	} {
		_, _, err := h.Sessions.LogIn(ctx, bad[0], bad[1], "192.0.2.1:1", "")
		require.ErrorIs(t, err, people.ErrWrongPassword, name)
	}
	require.Equal(t, 4, h.recorded("session.refused"))
	require.Zero(t,
		h.count(
			"SELECT count(*) FROM audit WHERE detail || object LIKE '%' || $1 || '%' OR object LIKE '%nobody%'", secret,
		),
		"what was typed may be a password",
	)

	require.NoError(t, h.Sessions.LogOut(ctx, found))
	_, err = h.Sessions.Session(ctx, cookie)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	require.NoError(t, h.Sessions.LogOut(ctx, found))
	require.Equal(t, 1, h.recorded("session.end"))
	for _, bad := range []string{"", cookie[:39], strings.Repeat("0", 40)} {
		_, err = h.Sessions.Session(ctx, bad)
		require.ErrorIs(t, err, people.ErrUnauthenticated)
	}
}

// TestSessionEnds: by time, by silence, and with the account.
func TestSessionEnds(t *testing.T) {
	h := newHouse(t)
	h.add(people.NewAccount{Username: "reader"})
	for name, end := range map[string]func(){
		"expired":  func() { h.exec("UPDATE sessions SET expires_at = now()") },
		"idle":     func() { h.exec("UPDATE sessions SET last_seen_at = now() - interval '12 hours'") },
		"disabled": func() { h.exec("UPDATE users SET is_active = false WHERE username = 'reader'") },
	} {
		t.Run(name, func(t *testing.T) {
			h.exec("UPDATE users SET is_active = true")
			cookie, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.1:1", "")
			require.NoError(t, err)
			end()
			_, err = h.Sessions.Session(t.Context(), cookie)
			require.ErrorIs(t, err, people.ErrUnauthenticated)
		})
	}
	h.exec("UPDATE users SET is_active = false WHERE username = 'reader'")
	_, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.1:1", "")
	require.ErrorIs(t, err, people.ErrWrongPassword)
}

// TestLogInReplaces: who logs in over a session ends it, whoever's it was; no other.
func TestLogInReplaces(t *testing.T) {
	h := newHouse(t)
	h.add(people.NewAccount{Username: "reader"})
	h.add(people.NewAccount{Username: "writer"})
	elsewhere, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.2:1", "")
	require.NoError(t, err)
	former, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	_, _, err = h.Sessions.LogIn(t.Context(), "writer", "a wrong secret", "192.0.2.1:1", former)
	require.ErrorIs(t, err, people.ErrWrongPassword)
	_, err = h.Sessions.Session(t.Context(), former)
	require.NoError(t, err, "nobody has logged in over it")
	_, s, err := h.Sessions.LogIn(t.Context(), "writer", secret, "192.0.2.1:1", former)
	require.NoError(t, err)
	require.Equal(t, "writer", s.User.Username)
	_, err = h.Sessions.Session(t.Context(), former)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	_, err = h.Sessions.Session(t.Context(), elsewhere)
	require.NoError(t, err)
	require.Equal(t, 1, h.recorded("session.end"))
}

// TestLastSeen is written once a minute at most.
func TestLastSeen(t *testing.T) {
	h := newHouse(t)
	h.add(people.NewAccount{Username: "reader"})
	cookie, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	version := func() int { return h.count("SELECT xmin::text::bigint FROM sessions") }
	before := version()
	for range 3 {
		_, err = h.Sessions.Session(t.Context(), cookie)
		require.NoError(t, err)
	}
	require.Equal(t, before, version(), "reading is all")
	h.exec("UPDATE sessions SET last_seen_at = now() - interval '61 seconds'")
	_, err = h.Sessions.Session(t.Context(), cookie)
	require.NoError(t, err)
	require.Equal(t, 1, h.count("SELECT count(*) FROM sessions WHERE last_seen_at > now() - interval '30 seconds'"))
}

// TestWrongPasswords: ten within five minutes, for an account or from an address, wherever they were tried.
func TestWrongPasswords(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	other := people.New(h.pool, people.NewKey()) // of another process
	h.add(people.NewAccount{Username: "reader"})
	h.add(people.NewAccount{Username: "writer"})
	const attacker = "192.0.2.1:1"
	tooMany := func(err error) {
		t.Helper()
		var many *people.TooMany
		require.ErrorAs(t, err, &many)
		require.Greater(t, many.RetryAfter, 4*time.Minute)
		require.LessOrEqual(t, many.RetryAfter, 5*time.Minute)
	}
	// At once, and over both processes: no more than ten are even looked at.
	var all sync.WaitGroup
	results := make(chan error, 24)
	for i := range cap(results) {
		all.Go(func() {
			s := []*people.Service{h.Service, other}[i%2]
			_, _, err := s.Sessions.LogIn(ctx, "reader", "a wrong secret", attacker, "")
			results <- err
		})
	}
	all.Wait()
	close(results)
	wrong := 0
	for err := range results {
		if errors.Is(err, people.ErrWrongPassword) {
			wrong++
			continue
		}
		tooMany(err)
	}
	require.Equal(t, 10, wrong)

	_, _, err := other.Sessions.LogIn(ctx, "READER", secret, "192.0.2.2:1", "")
	tooMany(err) // the account, from elsewhere, with the right password
	_, _, err = other.Sessions.LogIn(ctx, "writer", secret, attacker, "")
	tooMany(err) // another account, from that address
	tooMany(h.Passwords.ChangePassword(
		ctx, people.User{ID: int64(h.count("SELECT id FROM users WHERE username = 'reader'")), Username: "reader"},
		nil, people.PasswordChange{Current: secret, Password: "x"}, "192.0.2.2:1",
	))
	_, _, err = other.Sessions.LogIn(ctx, "writer", secret, "192.0.2.2:1", "")
	require.NoError(t, err)
	h.exec("UPDATE attempts SET at = at - interval '5 minutes'")
	_, _, err = h.Sessions.LogIn(ctx, "reader", secret, attacker, "")
	require.NoError(t, err)
	require.Zero(t, h.count("SELECT count(*) FROM attempts WHERE at > now() - interval '1 minute'"))
}

// TestAddressOfIPv6: whoever has a /64 has one address.
func TestAddressOfIPv6(t *testing.T) {
	h := newHouse(t)
	for i := range 10 {
		_, _, err := h.Sessions.LogIn(
			t.Context(), strings.Repeat("u", i+1), "a wrong secret", "[2001:db8::"+string(rune('1'+i%9))+"]:1", "",
		)
		require.ErrorIs(t, err, people.ErrWrongPassword)
	}
	_, _, err := h.Sessions.LogIn(t.Context(), "v", "a wrong secret", "[2001:db8::ffff]:1", "")
	var many *people.TooMany
	require.ErrorAs(t, err, &many)
}

func TestBadTokens(t *testing.T) {
	h := newHouse(t)
	for range 100 {
		require.NoError(t, h.Sessions.BadToken(t.Context(), "192.0.2.1:1"))
	}
	var many *people.TooMany
	require.ErrorAs(t, h.Sessions.BadToken(t.Context(), "192.0.2.1:2"), &many)
	require.NoError(t, h.Sessions.BadToken(t.Context(), "192.0.2.2:1"))
}

func TestAPITokens(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	group, err := h.Groups.Create(ctx, h.admin, "readers", []string{people.Tokens})
	require.NoError(t, err)
	reader, staff, stranger := h.add(people.NewAccount{Username: "reader", Groups: []string{group.Name}}),
		h.add(people.NewAccount{Username: "staff", Staff: true}), h.add(people.NewAccount{Username: "stranger"})

	_, _, err = h.Tokens.Create(ctx, stranger, "", "24h")
	requireDenied(t, err, `"tokens"`)
	_, _, err = h.Tokens.Create(ctx, reader, "", "never")
	requireDenied(t, err, `"tokens_without_expiry"`)
	_, _, err = h.Tokens.Create(ctx, reader, "", "1y")
	requireInvalid(t, err, "lifetime", "90d")
	_, _, err = h.Tokens.Create(ctx, reader, strings.Repeat("x", 201), "24h")
	requireInvalid(t, err, "description", "200")

	const week = 7 * 24 * time.Hour
	began := time.Now().Truncate(time.Microsecond)
	text, token, err := h.Tokens.Create(ctx, reader, "for the script", "7d")
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40}$`, text)
	require.WithinRange(t, *token.ExpiresAt, began.Add(week), time.Now().Add(week))
	who, err := h.Tokens.UserOf(ctx, text)
	require.NoError(t, err)
	require.Equal(t, "reader", who.Username)
	_, forever, err := h.Tokens.Create(ctx, h.admin, "", "never")
	require.NoError(t, err)
	require.Nil(t, forever.ExpiresAt)

	own, err := h.Tokens.List(ctx, reader, "", 0, 10)
	require.NoError(t, err)
	require.Equal(t, []people.Token{token}, own)
	_, err = h.Tokens.List(ctx, reader, "admin", 0, 10)
	requireDenied(t, err, "only staff")
	others, err := h.Tokens.List(ctx, staff, "Reader", 0, 10)
	require.NoError(t, err)
	require.Equal(t, own, others)

	require.ErrorIs(t, h.Tokens.Revoke(ctx, stranger, token.ID), refusal.ErrNotFound)
	nothing := token.ID + 1000
	require.Equal(
		t, strings.ReplaceAll(h.Tokens.Revoke(ctx, stranger, nothing).Error(), strconv.FormatInt(nothing, 10), "N"),
		strings.ReplaceAll(h.Tokens.Revoke(ctx, stranger, token.ID).Error(), strconv.FormatInt(token.ID, 10), "N"),
		"no telling them apart",
	)
	requireDenied(t, h.Tokens.Revoke(ctx, staff, forever.ID), "only superusers")
	require.NoError(t, h.Tokens.Revoke(ctx, staff, token.ID))
	_, err = h.Tokens.UserOf(ctx, text)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	require.ErrorIs(t, h.Tokens.Revoke(ctx, staff, token.ID), refusal.ErrNotFound)
	require.Equal(t, 1, h.recorded("token.revoke"))
	require.Equal(t, 2, h.recorded("token.create"))
	require.Zero(t, h.count("SELECT count(*) FROM audit WHERE detail LIKE '%' || $1 || '%'", text))

	h.exec(
		"INSERT INTO api_tokens (user_id, sha256) SELECT $1, sha256(n::text::bytea) FROM generate_series(1, 100) n",
		reader.ID,
	)
	_, _, err = h.Tokens.Create(ctx, reader, "", "24h")
	requireConflict(t, err, "revoke those")
}

// TestAdministrators: staff can't raise themselves, and there is always a superuser.
func TestAdministrators(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	user, staff := h.add(people.NewAccount{Username: "user"}), h.add(people.NewAccount{Username: "staff", Staff: true})
	h.add(people.NewAccount{Username: "colleague", Staff: true})
	yes, no := new(true), new(false)

	for name, change := range map[string]people.AccountChange{
		"staff": {Staff: yes}, "superuser": {Superuser: yes}, "no staff": {Staff: no},
	} {
		_, err := h.Users.Change(ctx, staff, "user", change)
		requireDenied(t, err, "only superusers")
		_, err = h.Users.Change(ctx, staff, "staff", change)
		requireDenied(t, err, "only superusers")
		_, err = h.Users.Change(ctx, user, "user", change)
		requireDenied(t, err, "only")
		require.NotEmpty(t, name)
	}
	_, err := h.Users.Create(ctx, staff, people.NewAccount{Username: "new", Staff: true})
	requireDenied(t, err, "only superusers")
	_, err = h.Users.Create(ctx, user, people.NewAccount{Username: "new"})
	requireDenied(t, err, "only staff")
	for _, who := range []string{"admin", "colleague"} {
		_, err = h.Users.Change(ctx, staff, who, people.AccountChange{Active: no})
		requireDenied(t, err, "only superusers")
		requireDenied(t, h.Passwords.SetPassword(ctx, staff, who, "another long secret", false), "only superusers")
		requireDenied(t, h.Users.Delete(ctx, staff, who), "only superusers")
	}
	requireDenied(t, h.Passwords.SetPassword(ctx, staff, "staff", "another long secret", false), "only superusers")
	_, err = h.Users.Change(ctx, staff, "user", people.AccountChange{Phone: new("4711")})
	require.NoError(t, err)

	for name, lose := range map[string]func() error{
		"disabled": func() error {
			_, err := h.Users.Change(ctx, h.admin, "admin", people.AccountChange{Active: no})
			return err
		},
		"demoted": func() error {
			_, err := h.Users.Change(ctx, h.admin, "admin", people.AccountChange{Superuser: no})
			return err
		},
		"deleted": func() error { return h.Users.Delete(ctx, h.admin, "admin") },
	} {
		t.Run(name, func(t *testing.T) { requireConflict(t, lose(), "last active superuser") })
	}
	_, err = h.Users.Change(ctx, h.admin, "admin", people.AccountChange{Staff: no})
	requireInvalid(t, err, "staff", "superusers are always staff")

	a, err := h.Users.Change(ctx, h.admin, "user", people.AccountChange{Superuser: yes})
	require.NoError(t, err)
	require.True(t, a.IsStaff)
	// Two superusers who demote each other at the same time: one of them stays.
	user.IsStaff, user.IsSuperuser = true, true
	var all sync.WaitGroup
	errs := make(chan error, 2)
	for _, pair := range []struct {
		who  people.User
		whom string
	}{{h.admin, "user"}, {user, "admin"}} {
		all.Go(func() {
			_, err := h.Users.Change(ctx, pair.who, pair.whom, people.AccountChange{Superuser: no})
			errs <- err
		})
	}
	all.Wait()
	require.Equal(t, 1, h.count("SELECT count(*) FROM users WHERE is_superuser AND is_active"))
	one, other := <-errs, <-errs
	require.NotEqual(t, one == nil, other == nil, "one was refused")
}

// TestDisable: sessions, tokens and links end for good.
func TestDisable(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	user := h.add(people.NewAccount{
		Username: "reader", Person: people.Person{Mail: "reader@example.org"}, Groups: []string{"Radiology"},
	})
	cookie, _, err := h.Sessions.LogIn(ctx, "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	text, _, err := h.Tokens.Create(ctx, user, "", "24h")
	require.NoError(t, err)
	require.NoError(t, h.Passwords.RequestReset(ctx, "reader", "192.0.2.1:1"))
	link := codeOf(t, h.mails("reader@example.org")[0])
	_, err = h.Users.Change(ctx, h.admin, "reader", people.AccountChange{Active: new(false)})
	require.NoError(t, err)
	requireDenied(t, h.Check(ctx, user.ID, people.Action{}), "disabled")
	_, err = h.Users.Change(ctx, h.admin, "reader", people.AccountChange{Active: new(true)})
	require.NoError(t, err)
	_, err = h.Sessions.Session(ctx, cookie)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	_, err = h.Tokens.UserOf(ctx, text)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	require.ErrorIs(t, h.Passwords.Reset(ctx, link, "another long secret", "192.0.2.1:1", false), refusal.ErrNotFound)
	require.Equal(t, 2, h.recorded("user.change"))
}

func TestUsers(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	for name, n := range map[string]people.NewAccount{
		"username": {Username: "a b"}, "no username": {},
		"leading dot": {Username: "..", Person: people.Person{}}, "long": {Username: strings.Repeat("x", 151)},
		"Cyrillic": {Username: "\u0430dmin"}, "all Cyrillic": {Username: "\u0441\u043e\u0441\u043e"},
		"Greek": {Username: "\u0391da"}, "no dot": {Username: "adm\u0131n"},
		"script a": {Username: "\u0251da"}, "hidden": {Username: "ad\u200bmin"},
		"turned":       {Username: "a\u202enimda"},
		"a mark alone": {Username: "ad\u0335a"}, "digits": {Username: "ada\u0661"},
	} {
		_, err := h.Users.Create(ctx, h.admin, n)
		requireInvalid(t, err, "username", "150")
		require.NotEmpty(t, name)
	}
	_, err := h.Users.Create(ctx, h.admin, people.NewAccount{Username: "x", Person: people.Person{Mail: "nowhere"}})
	requireInvalid(t, err, "mail", "name@example.org")
	_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: "x", Person: people.Person{Phone: "1\n2"}})
	requireInvalid(t, err, "phone", "control")
	_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: "x", Password: "short"})
	requireInvalid(t, err, "password", "12")
	_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: "x", Groups: []string{"nothing"}})
	requireInvalid(t, err, "groups", "nothing")
	_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: "x", Invite: true})
	requireInvalid(t, err, "mail", "invitation")
	require.Equal(t, 1, h.count("SELECT count(*) FROM users"))
	require.Zero(t, h.recorded("user.create"))

	a, err := h.Users.Create(ctx, h.admin, people.NewAccount{
		Username: "Röntgen", Person: people.Person{Mail: "w.c@example.org", FirstName: "Wilhelm"},
		Groups: []string{"radiology"}, Invite: true,
	})
	require.NoError(t, err)
	require.Equal(t, []string{"Radiology"}, a.Groups)
	require.False(t, a.HasPassword)
	for _, same := range []string{"RO\u0308NTGEN", "\uff32\u00f6ntgen"} {
		_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: same})
		requireConflict(t, err, "another user")
	}
	_, err = h.Users.Create(ctx, h.admin, people.NewAccount{Username: "RÖNTGEN"})
	requireConflict(t, err, "another user")
	require.NoError(t, h.Passwords.Reset(ctx, codeOf(t, h.mails("w.c@example.org")[0]), secret, "192.0.2.1:1", false))
	_, _, err = h.Sessions.LogIn(ctx, "röntgen", secret, "192.0.2.1:1", "")
	require.NoError(t, err)

	found, err := h.Users.List(ctx, h.admin, people.UserFilter{Search: "WILHELM", Active: new(true), Limit: 10})
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.True(t, found[0].HasPassword)
	_, err = h.Users.Get(ctx, h.admin, "nobody")
	require.ErrorIs(t, err, refusal.ErrNotFound)

	// Who owns jobs stays, as their jobs do.
	h.exec(`INSERT INTO jobs (kind, owner_id, project_id, priority, n_pending) SELECT 'selective_transfer', $1, id, 4, 1 FROM projects LIMIT 1`, a.ID)
	requireConflict(t, h.Users.Delete(ctx, h.admin, "Röntgen"), "disable")
	h.exec("DELETE FROM jobs")
	require.NoError(t, h.Users.Delete(ctx, h.admin, "Röntgen"))
	require.Equal(t, 1, h.recorded("user.delete"))
}

func TestPasswords(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	reader := h.add(people.NewAccount{Username: "reader", Person: people.Person{Mail: "reader@example.org"}})
	first, s, err := h.Sessions.LogIn(ctx, "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	second, _, err := h.Sessions.LogIn(ctx, "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)

	requireInvalid(t,
		h.Passwords.ChangePassword(
			ctx, reader, &s,
			people.PasswordChange{Current: "a wrong secret", Password: "another long secret"}, "192.0.2.1:1",
		),
		"current", "not your password",
	)
	require.Equal(t, 2, h.count("SELECT count(*) FROM attempts"), "it counts as a login")
	requireInvalid(t, h.Passwords.ChangePassword(
		ctx, reader, &s, people.PasswordChange{Current: secret, Password: "short"}, "192.0.2.1:1",
	), "password", "12")
	require.Equal(t, 2, h.count("SELECT count(*) FROM attempts"))
	require.NoError(t, h.Passwords.ChangePassword(
		ctx, reader, &s, people.PasswordChange{Current: secret, Password: "another long secret"}, "192.0.2.1:1",
	))
	_, err = h.Sessions.Session(ctx, first)
	require.NoError(t, err, "the session in use goes on")
	_, err = h.Sessions.Session(ctx, second)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	require.Contains(t, h.mails("reader@example.org")[0], "was changed")

	require.NoError(t, h.Passwords.SetPassword(ctx, h.admin, "reader", "yet another secret", false))
	_, err = h.Sessions.Session(ctx, first)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	_, _, err = h.Sessions.LogIn(ctx, "reader", "yet another secret", "192.0.2.1:1", "")
	require.NoError(t, err)
	require.ErrorIs(
		t, h.Passwords.SetPassword(ctx, h.admin, "nobody", "yet another secret", false), refusal.ErrNotFound,
	)
	require.NoError(
		t, h.Passwords.SetPassword(ctx, h.admin, "admin", "the first password", false), "of the first administrator",
	)
	require.Equal(t, 1, h.recorded("password.change"))
	require.Equal(t, 2, h.recorded("password.set"))
}

// codeOf finds the secret in a mail.
func codeOf(t *testing.T, mail string) string {
	t.Helper()
	m := regexp.MustCompile(`[0-9a-f]{40}`).FindString(mail)
	require.NotEmpty(t, m, mail)
	return m
}

func TestReset(t *testing.T) {
	h := newHouse(t)
	h.SetPublicURL("https://adit.example.org/")
	ctx := t.Context()
	const peer, mail = "192.0.2.1:1", "reader@example.org"
	h.add(people.NewAccount{Username: "reader", Person: people.Person{Mail: mail, FirstName: "Ada"}})
	h.add(people.NewAccount{Username: "silent"})
	cookie, _, err := h.Sessions.LogIn(ctx, "reader", secret, peer, "")
	require.NoError(t, err)

	for _, who := range []string{"nobody", "silent", "nobody@example.org"} {
		require.NoError(t, h.Passwords.RequestReset(ctx, who, peer), "nobody learns who is here")
	}
	require.Zero(t, h.count("SELECT count(*) FROM outbox"))
	require.NoError(t, h.Passwords.RequestReset(ctx, "READER@example.org", peer))
	require.NoError(t, h.Passwords.RequestReset(ctx, "reader", peer))
	mails := h.mails(mail)
	require.Len(t, mails, 2)
	require.Contains(t, mails[0], "Dear Ada")
	require.Regexp(t, `\n  https://adit\.example\.org/reset#[0-9a-f]{40}\n`, mails[0])
	require.Zero(t, h.count(
		"SELECT count(*) FROM password_resets WHERE encode(sha256, 'escape') = $1", codeOf(t, mails[0]),
	))

	code := codeOf(t, mails[0])
	requireInvalid(t, h.Passwords.Reset(ctx, code, "short", peer, false), "password", "12")
	require.NoError(
		t, h.Passwords.Reset(ctx, code, "another long secret", peer, false),
		"a password that is refused uses nothing up",
	)
	require.ErrorIs(t, h.Passwords.Reset(ctx, code, "another long secret", peer, false), refusal.ErrNotFound)
	require.ErrorIs(
		t, h.Passwords.Reset(ctx, codeOf(t, mails[1]), "another long secret", peer, false),
		refusal.ErrNotFound, "nor do the others work any more",
	)
	require.ErrorContains(t, h.Passwords.Reset(ctx, "", "another long secret", peer, false), "request another one")
	_, err = h.Sessions.Session(ctx, cookie)
	require.ErrorIs(t, err, people.ErrUnauthenticated)
	_, _, err = h.Sessions.LogIn(ctx, "reader", "another long secret", peer, "")
	require.NoError(t, err)
	require.Contains(t, h.mails(mail)[2], "was changed")

	require.NoError(t, h.Passwords.RequestReset(ctx, "reader", peer))
	h.exec("UPDATE password_resets SET expires_at = now()")
	require.ErrorIs(
		t, h.Passwords.Reset(ctx, codeOf(t, h.mails(mail)[3]), "yet another secret", peer, false), refusal.ErrNotFound,
	)
	var many *people.TooMany
	require.NoError(t, h.Passwords.RequestReset(ctx, "reader", peer))
	require.ErrorAs(t, h.Passwords.RequestReset(ctx, "Reader", "192.0.2.9:1"), &many, "no flood of mails")
	require.Equal(t, 1, h.recorded("password.reset"))
	require.Equal(t, 4, h.recorded("password.request"))
}

// TestResetOnce: of two who use a link at the same time, one succeeds.
func TestResetOnce(t *testing.T) {
	h := newHouse(t)
	h.add(people.NewAccount{Username: "reader", Person: people.Person{Mail: "reader@example.org"}})
	require.NoError(t, h.Passwords.RequestReset(t.Context(), "reader", "192.0.2.1:1"))
	code := codeOf(t, h.mails("reader@example.org")[0])
	var all sync.WaitGroup
	errs := make(chan error, 4)
	for range cap(errs) {
		all.Go(func() { errs <- h.Passwords.Reset(t.Context(), code, "another long secret", "192.0.2.1:1", false) })
	}
	all.Wait()
	close(errs)
	done := 0
	for err := range errs {
		if err == nil {
			done++
			continue
		}
		require.ErrorIs(t, err, refusal.ErrNotFound)
	}
	require.Equal(t, 1, done)
}

func TestRegistration(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	const peer, mail = "192.0.2.1:1", "ada@example.org"
	h.exec("UPDATE users SET mail = 'admin@example.org'")
	ada := people.Registration{
		Username: "ada", Person: people.Person{Mail: mail, FirstName: "Ada", LastName: "L."},
		Message: "I read <b>CT</b>.\nPlease.",
	}
	requireInvalid(t, h.Registrations.Register(ctx, people.Registration{Username: "ada"}, peer), "mail", "answer")
	requireInvalid(
		t, h.Registrations.Register(ctx, people.Registration{Username: "a/b", Person: ada.Person}, peer),
		"username", "150",
	)
	require.NoError(t, h.Registrations.Register(ctx, ada, peer))
	taken := ada
	taken.Username = "Admin"
	require.NoError(t, h.Registrations.Register(ctx, taken, peer), "nobody learns who is here")
	require.Contains(t, h.mails("admin@example.org")[0], `"ada"`)
	require.Empty(t, h.mails(mail))
	_, _, err := h.Sessions.LogIn(ctx, "ada", "", peer, "")
	require.ErrorIs(t, err, people.ErrWrongPassword, "nobody is let in before staff says so")

	reader := h.add(people.NewAccount{Username: "reader"})
	_, err = h.Registrations.List(ctx, reader, 0, 10)
	requireDenied(t, err, "only staff")
	waiting, err := h.Registrations.List(ctx, h.admin, 0, 10)
	require.NoError(t, err)
	require.Len(t, waiting, 2)
	require.Equal(t, ada.Message, waiting[0].Message)
	_, err = h.Registrations.Approve(ctx, reader, waiting[0].ID, "", nil)
	requireDenied(t, err, "only staff")
	_, err = h.Registrations.Approve(ctx, h.admin, waiting[0].ID, "", []string{"nothing"})
	requireInvalid(t, err, "groups", "nothing")
	a, err := h.Registrations.Approve(ctx, h.admin, waiting[0].ID, "", []string{"Radiology"})
	require.NoError(t, err)
	require.Equal(t, []string{"Radiology"}, a.Groups)
	_, err = h.Registrations.Approve(ctx, h.admin, waiting[0].ID, "", nil)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	require.NoError(t, h.Passwords.Reset(ctx, codeOf(t, h.mails(mail)[0]), secret, peer, false))
	_, _, err = h.Sessions.LogIn(ctx, "ada", secret, peer, "")
	require.NoError(t, err)

	_, err = h.Registrations.Approve(ctx, h.admin, waiting[1].ID, "", nil)
	requireConflict(t, err, "under another one")
	require.NoError(t, h.Registrations.Refuse(ctx, h.admin, waiting[1].ID, "You have an account."))
	last := h.mails(mail)
	require.Contains(t, last[len(last)-1], "You have an account.")
	require.ErrorIs(t, h.Registrations.Refuse(ctx, h.admin, waiting[1].ID, ""), refusal.ErrNotFound)
	for action, n := range map[string]int{
		"registration.create": 2, "registration.approve": 1, "registration.refuse": 1, "user.create": 1,
	} {
		require.Equal(t, n, h.recorded(action), action)
	}

	for range 10 - 2 {
		require.NoError(t, h.Registrations.Register(ctx, ada, peer))
	}
	var many *people.TooMany
	require.ErrorAs(t, h.Registrations.Register(ctx, ada, peer), &many)
	h.exec("INSERT INTO registrations (username, mail) SELECT 'x', 'x' FROM generate_series(1, 500)")
	require.ErrorAs(t, h.Registrations.Register(ctx, ada, "192.0.2.2:1"), &many)
}

func TestGroups(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	user := h.add(people.NewAccount{Username: "reader"})
	for _, err := range []error{
		second(h.Groups.Create(ctx, user, "x", nil)), second(h.Groups.List(ctx, user, page.Order{}, 1)),
		second(h.Groups.Get(ctx, user, "Radiology")),
		second(h.Groups.Change(ctx, user, "Radiology", people.GroupChange{})),
		h.Groups.Delete(ctx, user, "Radiology"), h.Groups.AddMember(ctx, user, "Radiology", "reader"),
		h.Groups.RemoveMember(ctx, user, "Radiology", "admin"), second(h.Groups.Members(ctx, user, "Radiology", 0, 1)),
		second(h.Groups.SetAccess(ctx, user, "x", "y", true, true)),
		second(h.Groups.Accesses(ctx, user, people.AccessFilter{})),
	} {
		requireDenied(t, err, "only staff")
	}
	requireInvalid(t, second(h.Groups.Create(ctx, h.admin, "a/b", nil)), "name", "slash")
	requireInvalid(t, second(h.Groups.Create(ctx, h.admin, "x", []string{"everything"})), "permissions", "explorer")
	g, err := h.Groups.Create(ctx, h.admin, "Default", []string{"upload", "explorer", "upload"})
	require.NoError(t, err)
	require.Equal(t, []string{"explorer", "upload"}, g.Permissions)
	requireConflict(t, second(h.Groups.Create(ctx, h.admin, "DEFAULT", nil)), "another group")
	require.Equal(t, 1, h.count(
		"SELECT count(*) FROM projects WHERE group_id = $1 AND is_default AND name LIKE 'Default (group %'", g.ID,
	), "its name was taken")

	require.NoError(t, h.Groups.AddMember(ctx, h.admin, "default", "Reader"))
	require.NoError(t, h.Groups.AddMember(ctx, h.admin, "default", "reader"))
	p, err := h.Users.Profile(ctx, user)
	require.NoError(t, err)
	require.Equal(t, "Default", p.ActiveGroup)
	require.Equal(t, []string{"explorer", "upload"}, p.Permissions)
	require.Equal(t, "UTC", p.TimeZone)
	h.SetTimeZone("Europe/Berlin")
	p, err = h.Users.Profile(ctx, user)
	require.NoError(t, err)
	require.Equal(t, "Europe/Berlin", p.TimeZone)
	require.NoError(t, h.Groups.AddMember(ctx, h.admin, "Radiology", "reader"))
	_, err = h.Users.ChangeProfile(ctx, user, people.ProfileChange{ActiveGroup: new("nothing")})
	requireInvalid(t, err, "active_group", "no group")
	p, err = h.Users.ChangeProfile(ctx, user, people.ProfileChange{
		ActiveGroup: new("radiology"), Phone: new("4711"), Preferences: map[string]any{"theme": "dark"},
	})
	require.NoError(t, err)
	require.Equal(t, "Radiology", p.ActiveGroup)
	require.Equal(t, map[string]any{"theme": "dark"}, p.Preferences)
	_, err = h.Users.ChangeProfile(
		ctx, user, people.ProfileChange{Preferences: map[string]any{"other": strings.Repeat("x", 4096)}},
	)
	requireInvalid(t, err, "preferences", "4096")
	p, err = h.Users.ChangeProfile(ctx, user, people.ProfileChange{Preferences: map[string]any{"rail": true}})
	require.NoError(t, err)
	require.Equal(t, map[string]any{"theme": "dark", "rail": true}, p.Preferences)
	members, err := h.Groups.Members(ctx, h.admin, "Radiology", 0, 10)
	require.NoError(t, err)
	require.Len(t, members, 2)

	require.NoError(t, h.Groups.RemoveMember(ctx, h.admin, "Radiology", "reader"))
	require.ErrorIs(t, h.Groups.RemoveMember(ctx, h.admin, "Radiology", "reader"), refusal.ErrNotFound)
	p, err = h.Users.Profile(ctx, user)
	require.NoError(t, err)
	require.Equal(t, "Default", p.ActiveGroup)

	g, err = h.Groups.Change(
		ctx, h.admin, "Default", people.GroupChange{Name: new("Readers"), Permissions: &[]string{"explorer"}},
	)
	require.NoError(t, err)
	require.Equal(t, people.Group{ID: g.ID, Name: "Readers", Permissions: []string{"explorer"}, Members: 1}, g)
	requireConflict(
		t, second(h.Groups.Change(ctx, h.admin, "Readers", people.GroupChange{Name: new("radiology")})),
		"another group",
	)
	requireDenied(
		t, h.Check(ctx, user.ID, people.Action{Permissions: []string{people.Explorer, people.Upload}}), `"upload"`,
	)

	var node int64
	require.NoError(t,
		h.pool.QueryRow(ctx, "INSERT INTO dicom_nodes (name, kind) VALUES ('pacs', 'server') RETURNING id").Scan(&node),
	)
	requireInvalid(t, second(h.Groups.SetAccess(ctx, h.admin, "nothing", "pacs", true, true)), "group", "no group")
	requireInvalid(
		t, second(h.Groups.SetAccess(ctx, h.admin, "Readers", "nothing", true, true)), "node", "no DICOM node",
	)
	require.NoError(t, second(h.Groups.SetAccess(ctx, h.admin, "readers", "PACS", true, false)))
	require.NoError(t, h.Check(ctx, user.ID, people.Action{Source: node}))
	requireDenied(t, h.Check(ctx, user.ID, people.Action{Destination: node}), "as a destination")
	rows, err := h.Groups.Accesses(ctx, h.admin, people.AccessFilter{Node: "pacs", Limit: 10})
	require.NoError(t, err)
	require.Equal(
		t, []people.Access{{GroupID: g.ID, NodeID: node, Group: "Readers", Node: "pacs", Kind: "server", Source: true}},
		rows,
	)
	require.NoError(t, second(h.Groups.SetAccess(ctx, h.admin, "readers", "PACS", false, false)))
	requireDenied(t, h.Check(ctx, user.ID, people.Action{Source: node}), "as a source")
	require.Zero(t, h.count("SELECT count(*) FROM node_access"))

	h.exec(`INSERT INTO linkage (project_id, pseudonym, identity, patient_id) SELECT id, 'P1', 'x', 'x' FROM projects WHERE group_id = $1`, g.ID)
	requireConflict(t, h.Groups.Delete(ctx, h.admin, "Readers"), "must be kept")
	h.exec("DELETE FROM linkage")
	require.NoError(t, h.Groups.Delete(ctx, h.admin, "Readers"))
	require.ErrorIs(t, h.Groups.Delete(ctx, h.admin, "Readers"), refusal.ErrNotFound)
	for action, n := range map[string]int{
		"group.create": 1, "group.change": 1, "group.delete": 1, "group.add_member": 3,
		"group.remove_member": 1, "access.change": 2, "me.change": 2,
	} {
		require.Equal(t, n, h.recorded(action), action)
	}
}

func second[T any](_ T, err error) error { return err }

// TestActors: each entry names who acted, and how they came in.
func TestActors(t *testing.T) {
	h := newHouse(t)
	h.add(people.NewAccount{Username: "reader"})
	_, _, err := h.Sessions.LogIn(t.Context(), "reader", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
	ctx := audit.WithActor(context.Background(), audit.Actor{
		UserID: h.admin.ID, Username: "admin", Via: audit.ViaToken, Peer: "192.0.2.7:1",
	})
	require.NoError(t, h.Groups.AddMember(ctx, h.admin, "Radiology", "reader"))
	require.Equal(t, 1, h.count(
		"SELECT count(*) FROM audit WHERE action = 'session.begin' AND username = 'reader' AND via = 'session' AND peer = '192.0.2.1'",
	))
	require.Equal(t, 1, h.count("SELECT count(*) FROM audit WHERE action = 'rights.grant' AND detail LIKE '%group.add_member%' AND username = 'admin' AND via = 'token' AND object = 'group Radiology' AND detail LIKE '%reader%'"))
}

// TestTokenCheckIsOneLookUp: token and user are found by their indexes, however many there are, and by one query.
func TestTokenCheckIsOneLookUp(t *testing.T) {
	h := newHouse(t)
	h.exec(`INSERT INTO users (username) SELECT 'user' || n FROM generate_series(1, 5000) n`)
	h.exec(`INSERT INTO api_tokens (user_id, sha256) SELECT id, sha256(id::text::bytea) FROM users`)
	h.exec(`INSERT INTO sessions (user_id, sha256, expires_at) SELECT id, sha256(id::text::bytea), now() + interval '1 day' FROM users`)
	h.exec(`ANALYZE`)
	token, _, err := h.Tokens.Create(t.Context(), h.admin, "", "24h")
	require.NoError(t, err)
	before := h.pool.Stat().AcquireCount()
	_, err = h.Tokens.UserOf(t.Context(), token)
	require.NoError(t, err)
	require.EqualValues(t, 1, h.pool.Stat().AcquireCount()-before)
	for table, query := range map[string]string{
		"api_tokens_sha256_key": `SELECT u.id FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.sha256 = '\x00' AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.is_active`,
		"sessions_pkey":         `SELECT u.id FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.sha256 = '\x00' AND s.expires_at > now() AND u.is_active`,
	} {
		rows, err := h.pool.Query(t.Context(), "EXPLAIN "+query)
		require.NoError(t, err)
		var plan strings.Builder
		for rows.Next() {
			var line string
			require.NoError(t, rows.Scan(&line))
			plan.WriteString(line + "\n")
		}
		require.NoError(t, rows.Err())
		require.Contains(t, plan.String(), "Index Scan using "+table)
		require.Contains(t, plan.String(), "Index Scan using users_pkey")
		require.NotContains(t, plan.String(), "Seq Scan")
	}
}
