// SPDX-License-Identifier: AGPL-3.0-or-later

package people_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people"
)

// sends runs a mailer with the house's key until the test ends, or until stop.
func (h *house) sends(sink *testpeer.MailServer) (stop func()) {
	h.t.Helper()
	m, err := h.Mail().NewMailer(mail.Config{
		Host: sink.Host, Port: sink.Port, TLS: mail.SMTPPlain, From: "adit@example.org", Poll: 10 * time.Millisecond,
	}, testpeer.Log(h.t))
	require.NoError(h.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	var runs sync.WaitGroup
	runs.Go(func() { m.Run(ctx) })
	stop = sync.OnceFunc(func() {
		cancel()
		runs.Wait()
	})
	h.t.Cleanup(stop)
	return stop
}

// TestCodesAreSealed: nothing of the database opens an account; the code is in the mail alone, and gone when that is
// sent.
func TestCodesAreSealed(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	const address = "reader@example.org"
	for name, ask := range map[string]func() error{
		"a new password": func() error { return h.Passwords.RequestReset(ctx, "reader", "192.0.2.1:1") },
		"an invitation": func() error {
			_, err := h.Users.Create(ctx, h.admin, people.NewAccount{
				Username: "invited", Person: people.Person{Mail: address}, Invite: true,
			})
			return err
		},
		"an approval": func() error {
			if err := h.Registrations.Register(
				ctx, people.Registration{Username: "asked", Person: people.Person{Mail: address}}, "192.0.2.1:1",
			); err != nil {
				return err
			}
			_, err := h.Registrations.Approve(ctx, h.admin, int64(h.count("SELECT id FROM registrations")), "", nil)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h.exec("DELETE FROM users WHERE username <> 'admin'; DELETE FROM outbox")
			h.add(people.NewAccount{Username: "reader", Person: people.Person{Mail: address}})
			require.NoError(t, ask())
			require.Equal(t, 1, h.count("SELECT count(*) FROM outbox"))
			code := codeOf(t, h.mails(address)[0])
			for _, table := range []string{"outbox", "password_resets", "audit"} {
				require.Zero(t, h.count("SELECT count(*) FROM "+table+
					" x WHERE x::text ~ '[^0-9a-f][0-9a-f]{40}[^0-9a-f]' OR x::text LIKE '%' || $1 || '%' OR x::text LIKE '%' || encode($1::bytea, 'hex') || '%'", code), table)
			}
			sink := testpeer.Mail(t, nil)
			stop := h.sends(sink)
			letters, err := sink.Wait(t.Context(), 1)
			require.NoError(t, err)
			require.Contains(t, letters[0].Body, code)
			for h.count("SELECT count(*) FROM outbox WHERE status = 'sent'") != 1 {
			}
			stop()
			require.Zero(t, h.count("SELECT count(*) FROM outbox WHERE sealed IS NOT NULL OR body <> ''"), "erased")
		})
	}
}
