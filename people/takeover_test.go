// SPDX-License-Identifier: AGPL-3.0-or-later

package people_test

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

const otherSecret = "another long secret"

func requireUnconfirmed(t *testing.T, err error) {
	t.Helper()
	var u *audit.Unconfirmed
	require.ErrorAs(t, err, &u)
	require.Contains(t, u.Reason, "your password")
}

// enter begins a session and returns the context of its requests.
func (h *house) enter(u people.User) (context.Context, people.Session) {
	h.t.Helper()
	_, s, err := h.Sessions.LogIn(h.t.Context(), u.Username, secret, "192.0.2.1:1", "")
	require.NoError(h.t, err)
	return audit.WithActor(
		h.t.Context(), audit.Actor{UserID: u.ID, Username: u.Username, Via: audit.ViaSession, Session: &s},
	), s
}

func (h *house) byToken(u people.User) context.Context {
	return audit.WithActor(h.t.Context(), audit.Actor{UserID: u.ID, Username: u.Username, Via: audit.ViaToken})
}

// TestWhatTakesThePassword: neither a token nor a session that was left open becomes lasting control of an account.
// What takes something away is free.
func TestWhatTakesThePassword(t *testing.T) {
	yes, no := new(true), new(false)
	for name, test := range map[string]struct {
		do    func(h *house, ctx context.Context, who people.User) error
		staff bool
		free  bool
	}{
		"token": {do: func(h *house, ctx context.Context, who people.User) error {
			_, _, err := h.Tokens.Create(ctx, who, "", "90d")
			return err
		}},
		"mail": {do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.ChangeProfile(ctx, who, people.ProfileChange{Mail: new("thief@example.org")}))
		}},
		"no mail": {do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.ChangeProfile(ctx, who, people.ProfileChange{Mail: new("")}))
		}},
		"phone": {do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.ChangeProfile(ctx, who, people.ProfileChange{Phone: new("0")}))
		}},
		"active group": {free: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.ChangeProfile(
				ctx, who, people.ProfileChange{ActiveGroup: new("Radiology"), Preferences: map[string]any{}},
			))
		}},
		"another's mail": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Change(ctx, who, "victim", people.AccountChange{Mail: new("thief@example.org")}))
		}},
		"another's name": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Change(ctx, who, "victim", people.AccountChange{Username: new("vic")}))
		}},
		"another's password": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return h.Passwords.SetPassword(ctx, who, "victim", otherSecret, false)
		}},
		"new account": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Create(ctx, who, people.NewAccount{Username: "puppet", Password: otherSecret}))
		}},
		"invitation": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Create(ctx, who, people.NewAccount{
				Username: "puppet", Person: people.Person{Mail: "thief@example.org"}, Invite: true,
			}))
		}},
		"approval": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Registrations.Approve(ctx, who, int64(h.count("SELECT id FROM registrations")), "", nil))
		}},
		"enabled again": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Change(ctx, who, "gone", people.AccountChange{Active: yes}))
		}},
		"disabled": {staff: true, free: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Users.Change(ctx, who, "victim", people.AccountChange{Active: no}))
		}},
		"disabled and more": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(
				h.Users.Change(ctx, who, "victim", people.AccountChange{Active: no, Mail: new("thief@example.org")}),
			)
		}},
		"member": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return h.Groups.AddMember(ctx, who, "Radiology", "victim")
		}},
		"no member": {staff: true, free: true, do: func(h *house, ctx context.Context, who people.User) error {
			return h.Groups.RemoveMember(ctx, who, "Readers", "victim")
		}},
		"permissions": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Groups.Change(
				ctx, who, "Readers", people.GroupChange{Permissions: &[]string{people.Explorer, people.Linkage}},
			))
		}},
		"fewer permissions": {staff: true, free: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Groups.Change(ctx, who, "Readers", people.GroupChange{Permissions: &[]string{}}))
		}},
		"new group": {staff: true, do: func(h *house, ctx context.Context, who people.User) error {
			return second(h.Groups.Create(ctx, who, "Puppets", []string{people.Linkage}))
		}},
		"deleted": {staff: true, free: true, do: func(h *house, ctx context.Context, who people.User) error {
			return h.Users.Delete(ctx, who, "victim")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			_, err := h.Groups.Create(t.Context(), h.admin, "Readers", []string{people.Explorer})
			require.NoError(t, err)
			who := h.add(people.NewAccount{
				Username: "owner", Staff: test.staff, Groups: []string{"Radiology", "Readers"},
				Person: people.Person{Mail: "owner@example.org"},
			})
			h.add(people.NewAccount{Username: "victim", Groups: []string{"Readers"}})
			h.add(people.NewAccount{Username: "gone"})
			h.exec("UPDATE users SET is_active = username <> 'gone'")
			require.NoError(t, h.Registrations.Register(
				t.Context(), people.Registration{Username: "asks", Person: people.Person{Mail: "asks@example.org"}},
				"192.0.2.1:1",
			))
			session, s := h.enter(who)
			h.exec("UPDATE sessions SET confirmed_at = now() - interval '11 minutes'")
			before := h.count("SELECT count(*) FROM audit")
			check := func(ctx context.Context) {
				t.Helper()
				if err := test.do(h, ctx, who); !test.free {
					requireUnconfirmed(t, err)
					require.Equal(t, before, h.count("SELECT count(*) FROM audit"), "nothing was changed")
				}
			}
			if test.free {
				require.NoError(t, test.do(h, h.byToken(who), who))
				return
			}
			check(h.byToken(who))
			check(session)
			h.exec("UPDATE sessions SET confirmed_at = now() + interval '1 hour'") // the clock was put back
			check(session)
			requireInvalid(
				t, h.Sessions.Confirm(session, s, "a wrong secret", "192.0.2.1:1"), "password", "not your password",
			)
			check(session)
			require.NoError(t, h.Sessions.Confirm(session, s, secret, "192.0.2.1:1"))
			require.Equal(t, 1, h.recorded("session.confirm"))
			ended, e := h.enter(who) // another device, whose session has ended
			require.NoError(t, h.Sessions.LogOut(t.Context(), e))
			before = h.count("SELECT count(*) FROM audit")
			check(ended)
			require.NoError(t, test.do(h, session, who))
		})
	}
}

// TestTokenOfNoPassword: where there is no password, as after the first start, the token is all that its owner has;
// with the first password it stays, and needs it from then on.
func TestTokenOfNoPassword(t *testing.T) {
	h := newHouse(t)
	ctx := h.byToken(h.admin)
	require.NoError(t, second(h.Users.Create(ctx, h.admin, people.NewAccount{Username: "reader"})))
	require.NoError(t, h.Passwords.SetPassword(ctx, h.admin, "admin", secret, false))
	require.Equal(t, 1, h.count("SELECT count(*) FROM api_tokens"))
	requireUnconfirmed(t, h.Passwords.SetPassword(ctx, h.admin, "admin", otherSecret, false))
	requireUnconfirmed(t, second(h.Users.Create(ctx, h.admin, people.NewAccount{Username: "puppet"})))
}

// TestPasswordEndsTokens: whoever sets it, and however, unless they say otherwise.
func TestPasswordEndsTokens(t *testing.T) {
	for name, set := range map[string]func(
		h *house, ctx context.Context, who people.User, s *people.Session, keep bool,
	) error{
		"changed": func(h *house, ctx context.Context, who people.User, s *people.Session, keep bool) error {
			return h.Passwords.ChangePassword(
				ctx, who, s, people.PasswordChange{Current: secret, Password: otherSecret, KeepTokens: keep},
				"192.0.2.1:1",
			)
		},
		"changed by token": func(h *house, _ context.Context, who people.User, _ *people.Session, keep bool) error {
			return h.Passwords.ChangePassword(
				h.byToken(who), who, nil,
				people.PasswordChange{Current: secret, Password: otherSecret, KeepTokens: keep}, "192.0.2.1:1",
			)
		},
		"set by staff": func(h *house, _ context.Context, who people.User, _ *people.Session, keep bool) error {
			return h.Passwords.SetPassword(h.byToken(h.admin), h.admin, who.Username, otherSecret, keep)
		},
		"reset": func(h *house, ctx context.Context, _ people.User, _ *people.Session, keep bool) error {
			if err := h.Passwords.RequestReset(ctx, "owner", "192.0.2.1:1"); err != nil {
				return err
			}
			return h.Passwords.Reset(
				ctx, codeOf(h.t, h.mails("owner@example.org")[0]), otherSecret, "192.0.2.1:1", keep,
			)
		},
	} {
		for _, keep := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				h := newHouse(t)
				who := h.add(people.NewAccount{
					Username: "owner", Groups: []string{"Radiology"},
					Person: people.Person{Mail: "owner@example.org"},
				})
				ctx, s := h.enter(who)
				other, _, err := h.Sessions.LogIn(t.Context(), "owner", secret, "192.0.2.1:1", "")
				require.NoError(t, err)
				token, _, err := h.Tokens.Create(ctx, who, "", "90d")
				require.NoError(t, err)
				require.NoError(t, set(h, ctx, who, &s, keep))
				_, err = h.Tokens.UserOf(t.Context(), token)
				require.Equal(t, keep, err == nil, err)
				_, err = h.Sessions.Session(t.Context(), other)
				require.ErrorIs(t, err, people.ErrUnauthenticated, "another device")
				require.Equal(
					t, 1, h.count("SELECT count(*) FROM api_tokens WHERE user_id = $1", h.admin.ID), "another's",
				)
			})
		}
	}
}

// TestMailMoves: the old address is told, and the links that went there open nothing.
func TestMailMoves(t *testing.T) {
	for name, change := range map[string]func(h *house, who people.User, mail string) error{
		"by the owner": func(h *house, who people.User, mail string) error {
			ctx, _ := h.enter(who)
			return second(h.Users.ChangeProfile(ctx, who, people.ProfileChange{Mail: &mail}))
		},
		"by staff": func(h *house, _ people.User, mail string) error {
			return second(h.Users.Change(h.t.Context(), h.admin, "owner", people.AccountChange{Mail: &mail}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			ctx := t.Context()
			const old = "old@example.org"
			who := h.add(people.NewAccount{Username: "owner", Person: people.Person{Mail: old}})
			require.NoError(t, h.Passwords.RequestReset(ctx, "owner", "192.0.2.1:1"))
			code := codeOf(t, h.mails(old)[0])
			require.NoError(t, change(h, who, "new@example.org"))
			require.Contains(t, h.mails(old)[1], "mail address was changed")
			require.NotContains(t, h.mails(old)[1], "new@example.org")
			require.ErrorIs(t, h.Passwords.Reset(ctx, code, otherSecret, "192.0.2.1:1", false), refusal.ErrNotFound)
			require.NoError(t, change(h, who, old))
			require.ErrorIs(
				t, h.Passwords.Reset(ctx, code, otherSecret, "192.0.2.1:1", false),
				refusal.ErrNotFound, "nor when the address comes back",
			)
			require.NoError(t, change(h, who, old))
			require.Len(t, h.mails(old), 2, "the same address is no change")
			require.Len(t, h.mails("new@example.org"), 1)
		})
	}
	h := newHouse(t)
	h.add(people.NewAccount{Username: "owner", Person: people.Person{Mail: "old@example.org"}})
	require.NoError(t, second(
		h.Users.Change(t.Context(), h.admin, "owner", people.AccountChange{Username: new("renamed")}),
	))
	require.Contains(t, h.mails("old@example.org")[0], `"renamed"`)
	invited, err := h.Users.Create(t.Context(), h.admin, people.NewAccount{
		Username: "invited", Person: people.Person{Mail: "typo@example.org"}, Invite: true,
	})
	require.NoError(t, err)
	code := codeOf(t, h.mails("typo@example.org")[0])
	require.NoError(t, second(
		h.Users.Change(t.Context(), h.admin, invited.Username, people.AccountChange{Mail: new("right@example.org")}),
	))
	require.ErrorIs(
		t, h.Passwords.Reset(t.Context(), code, otherSecret, "192.0.2.1:1", false),
		refusal.ErrNotFound, "an invitation to the wrong person",
	)
}

// TestResetMeetsChange: a link that is asked for while the address changes goes to the new one, or is dead.
func TestResetMeetsChange(t *testing.T) {
	h := newHouse(t)
	const old = "old@example.org"
	h.add(people.NewAccount{Username: "owner", Person: people.Person{Mail: old}})
	tx, err := h.pool.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }() // it is committed
	_, err = tx.Exec(t.Context(), "UPDATE users SET mail = 'new@example.org' WHERE username = 'owner'")
	require.NoError(t, err)
	var asking sync.WaitGroup
	asked := make(chan error, 1)
	asking.Go(func() { asked <- h.Passwords.RequestReset(t.Context(), "owner", "192.0.2.1:1") })
	untilWaiting(t, h.pool, asked)
	require.NoError(t, tx.Commit(t.Context()))
	asking.Wait()
	require.NoError(t, <-asked)
	require.Empty(t, h.mails(old))
	require.Len(t, h.mails("new@example.org"), 1)
}

// untilWaiting waits until somebody waits for a lock. It fails if what should wait has ended.
func untilWaiting(t *testing.T, pool *pgxpool.Pool, ended chan error) {
	t.Helper()
	for {
		var n int
		require.NoError(t, pool.QueryRow(t.Context(),
			"SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
		).Scan(&n))
		if n > 0 {
			return
		}
		require.Empty(t, ended, "it did not wait")
	}
}

// TestStaffGivesWhatItHas: by no way does staff come to permissions, groups or accounts that have more than itself;
// superusers do, and it stands out.
func TestStaffGivesWhatItHas(t *testing.T) {
	for name, test := range map[string]struct {
		do      func(h *house, who people.User) error
		says    string
		granted string
	}{
		"its own group": {func(h *house, who people.User) error {
			return second(h.Groups.Change(h.t.Context(), who, "Staff", people.GroupChange{
				Permissions: &[]string{people.Explorer, people.Linkage},
			}))
		}, "linkage", "linkage"},
		"another group": {func(h *house, who people.User) error {
			return second(h.Groups.Change(
				h.t.Context(), who, "Readers", people.GroupChange{Permissions: &[]string{people.Linkage}},
			))
		}, "linkage", "linkage"},
		"a new group": {func(h *house, who people.User) error {
			return second(h.Groups.Create(h.t.Context(), who, "New", []string{people.Linkage, people.Explorer}))
		}, "linkage", "linkage"},
		"joins more": {func(h *house, who people.User) error {
			return h.Groups.AddMember(h.t.Context(), who, "Identities", who.Username)
		}, "linkage", "linkage"},
		"joins as much": {func(h *house, who people.User) error {
			return h.Groups.AddMember(h.t.Context(), who, "Readers", who.Username)
		}, "themselves", "membership"},
		"a colleague": {func(h *house, who people.User) error {
			return h.Groups.AddMember(h.t.Context(), who, "Identities", "plain")
		}, "linkage", "linkage"},
		"a puppet": {func(h *house, who people.User) error {
			return second(h.Users.Create(h.t.Context(), who, people.NewAccount{
				Username: "puppet", Password: otherSecret, Groups: []string{"Identities"},
			}))
		}, "linkage", "linkage"},
		"an approved puppet": {func(h *house, who people.User) error {
			err := h.Registrations.Register(
				h.t.Context(), people.Registration{Username: "puppet", Person: people.Person{Mail: "p@example.org"}},
				"192.0.2.1:1",
			)
			if err != nil {
				return err
			}
			return second(h.Registrations.Approve(
				h.t.Context(), who, int64(h.count("SELECT id FROM registrations")), "", []string{"Identities"},
			))
		}, "linkage", "linkage"},
		"another's password": {func(h *house, who people.User) error {
			return h.Passwords.SetPassword(h.t.Context(), who, "keeper", otherSecret, false)
		}, "linkage", ""},
		"another's mail": {func(h *house, who people.User) error {
			return second(
				h.Users.Change(h.t.Context(), who, "keeper", people.AccountChange{Mail: new("thief@example.org")}),
			)
		}, "linkage", ""},
		"raises": {func(h *house, who people.User) error {
			return second(h.Users.Change(h.t.Context(), who, "plain", people.AccountChange{Staff: new(true)}))
		}, "superusers", "staff"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			h.exec("DELETE FROM group_permissions WHERE permission = 'linkage'")
			for group, permission := range map[string]string{
				"Staff": people.Explorer, "Readers": people.Explorer, "Identities": people.Linkage,
			} {
				_, err := h.Groups.Create(t.Context(), h.admin, group, []string{permission})
				require.NoError(t, err)
			}
			staff := h.add(people.NewAccount{Username: "staff", Staff: true, Groups: []string{"Staff"}})
			h.add(people.NewAccount{Username: "keeper", Groups: []string{"Identities"}})
			h.add(people.NewAccount{Username: "plain", Groups: []string{"Staff"}})
			before, grants := h.count("SELECT count(*) FROM audit"), h.recordedLacking()
			requireDenied(t, test.do(h, staff), test.says)
			h.exec("DELETE FROM registrations")
			if name != "an approved puppet" {
				require.Equal(t, before, h.count("SELECT count(*) FROM audit"), "nothing was changed")
			}
			require.NoError(t, test.do(h, h.admin))
			if test.granted == "" {
				require.Equal(t, grants, h.recordedLacking())
				return
			}
			require.Equal(t, 1, h.count(
				`SELECT count(*) FROM audit WHERE id = (SELECT max(id) FROM audit) AND action = 'rights.grant' AND detail::jsonb -> 'granted' ? $1`,
				test.granted,
			))
		})
	}
}

// TestStaffOpensNoLinkage: staff that reads the linkage of one project lets nobody read that of another one, by
// whatever of permission, membership and password was missing; whom it may show what it reads itself.
func TestStaffOpensNoLinkage(t *testing.T) {
	for name, do := range map[string]func(h *house, who people.User) error{
		"a reader joins": func(h *house, who people.User) error {
			return h.Groups.AddMember(h.t.Context(), who, "Heart", "reader")
		},
		"a member may read": func(h *house, who people.User) error {
			return h.Groups.AddMember(h.t.Context(), who, "Linkers", "nurse")
		},
		"all members may read": func(h *house, who people.User) error {
			return second(h.Groups.Change(
				h.t.Context(), who, "Heart", people.GroupChange{Permissions: &[]string{people.Linkage}},
			))
		},
		"a new puppet": func(h *house, who people.User) error {
			return second(h.Users.Create(h.t.Context(), who, people.NewAccount{
				Username: "puppet", Password: otherSecret, Groups: []string{"Linkers", "Heart"},
			}))
		},
		"a reader's password": func(h *house, who people.User) error {
			return h.Passwords.SetPassword(h.t.Context(), who, "keeper", otherSecret, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			for group, permissions := range map[string][]string{"Linkers": {people.Linkage}, "Heart": nil} {
				_, err := h.Groups.Create(t.Context(), h.admin, group, permissions)
				require.NoError(t, err)
			}
			staff := h.add(people.NewAccount{Username: "staff", Staff: true, Groups: []string{"Linkers"}})
			h.add(people.NewAccount{Username: "reader", Groups: []string{"Linkers"}})
			h.add(people.NewAccount{Username: "nurse", Groups: []string{"Heart"}})
			h.add(people.NewAccount{Username: "keeper", Groups: []string{"Linkers", "Heart"}})
			h.add(people.NewAccount{Username: "other"})
			require.NoError(t, h.Groups.AddMember(t.Context(), staff, "Heart", "other"), "who reads nothing")
			requireDenied(t, do(h, staff), "linkage table")
			require.NoError(t, h.Groups.AddMember(t.Context(), h.admin, "Heart", "staff"))
			require.NoError(t, do(h, staff), "it reads that table itself")
		})
	}
}

// TestStaffGivesItsOwn: what staff has it may give, and what there was already may stay.
func TestStaffGivesItsOwn(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	for group, permissions := range map[string][]string{
		"Staff": {people.Explorer, people.Upload}, "Mixed": {people.Linkage},
	} {
		_, err := h.Groups.Create(ctx, h.admin, group, permissions)
		require.NoError(t, err)
	}
	staff := h.add(people.NewAccount{Username: "staff", Staff: true, Groups: []string{"Staff"}})
	h.add(people.NewAccount{Username: "plain"})
	grants := h.recordedLacking()
	require.NoError(t, second(h.Groups.Create(ctx, staff, "New", []string{people.Upload})))
	require.NoError(t, h.Groups.AddMember(ctx, staff, "New", "plain"))
	require.NoError(t, h.Passwords.SetPassword(ctx, staff, "plain", otherSecret, false))
	require.NoError(t, h.Groups.AddMember(ctx, staff, "Staff", "staff"), "nothing new")
	require.NoError(t, second(h.Groups.Change(ctx, staff, "Mixed", people.GroupChange{
		Permissions: &[]string{people.Linkage, people.Explorer}, Name: new("More"),
	})))
	require.NoError(t, second(
		h.Groups.Change(ctx, staff, "More", people.GroupChange{Permissions: &[]string{people.Explorer}}),
	))
	requireDenied(
		t, second(h.Groups.Change(ctx, staff, "More", people.GroupChange{Permissions: &[]string{people.Linkage}})),
		"linkage",
	)
	require.Equal(t, grants, h.recordedLacking())
}

// recordedLacking is how many grants there are of what the giver lacks.
func (h *house) recordedLacking() int {
	return h.count("SELECT count(*) FROM audit WHERE action = 'rights.grant' AND detail::jsonb ? 'lacked'")
}

// TestNoCurrentPassword: none at all is no wrong password, and locks nobody out; nor does that of an account that has
// none.
func TestNoCurrentPassword(t *testing.T) {
	h := newHouse(t)
	who := h.add(people.NewAccount{Username: "owner"})
	ctx, s := h.enter(who)
	for range 12 {
		requireInvalid(
			t, h.Passwords.ChangePassword(ctx, who, &s, people.PasswordChange{Password: otherSecret}, "192.0.2.1:1"),
			"current", "give your present password",
		)
		requireInvalid(t, h.Sessions.Confirm(ctx, s, "", "192.0.2.1:1"), "password", "give your present password")
		requireConflict(t, h.Passwords.ChangePassword(
			h.byToken(h.admin), h.admin, nil,
			people.PasswordChange{Current: secret, Password: otherSecret}, "192.0.2.1:1",
		), "no password yet")
	}
	_, _, err := h.Sessions.LogIn(t.Context(), "owner", secret, "192.0.2.1:1", "")
	require.NoError(t, err)
}
