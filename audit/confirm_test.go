// SPDX-License-Identifier: AGPL-3.0-or-later

package audit_test

import (
	"cmp"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
)

// session answers whether its user gave the password.
type session struct {
	ok  bool
	err error
}

func (s session) Confirmed(_ context.Context, _ *db.Queries, userID int64) (bool, error) {
	return s.ok && userID == 7, s.err
}

// TestRecordAsksForThePassword: what takes the password leaves a row only if the session was confirmed. An act that
// nobody has put into the table of acts takes it, and so does one that widens.
func TestRecordAsksForThePassword(t *testing.T) {
	lost := errors.New("the database is lost")
	for name, tt := range map[string]struct {
		entry     audit.Entry
		by        audit.Session
		as        int64 // who shows it; 0: its user
		refused   bool
		grantedBy string
	}{
		"confirmed":        {entry: audit.Entry{Action: "user.create"}, by: session{ok: true}},
		"not confirmed":    {entry: audit.Entry{Action: "user.create"}, by: session{}, refused: true},
		"takes none":       {entry: audit.Entry{Action: "user.delete"}, by: session{}},
		"no such act":      {entry: audit.Entry{Action: "server.explode"}, by: session{}, refused: true},
		"widens":           {entry: audit.Entry{Action: "folder.change", Widens: true}, by: session{}, refused: true},
		"gives rights":     {entry: audit.Entry{Action: "group.change", Granted: []string{"b", "a", "b"}}, by: session{}, refused: true},
		"gave rights":      {entry: audit.Entry{Action: "group.change", Granted: []string{"b", "a", "b"}}, by: session{ok: true}, grantedBy: "group.change"},
		"can't be known":   {entry: audit.Entry{Action: "user.create"}, by: session{err: lost}, refused: true},
		"by ADIT itself":   {entry: audit.Entry{Action: "user.create"}},
		"of somebody else": {entry: audit.Entry{Action: "user.create"}, by: session{ok: true}, as: 8, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, pool := newService(t)
			actor := audit.Actor{UserID: cmp.Or(tt.as, 7), Username: "ada", Via: audit.ViaSession, Session: tt.by}
			err := audit.Record(audit.WithActor(t.Context(), actor), db.New(pool), tt.entry)
			rows, listed := s.List(t.Context(), audit.Filter{Limit: 10})
			require.NoError(t, listed)
			if tt.refused {
				var unconfirmed *audit.Unconfirmed
				require.True(t, errors.As(err, &unconfirmed) || errors.Is(err, lost), "%v", err)
				require.Empty(t, rows)
				return
			}
			require.NoError(t, err)
			require.Len(t, rows, 1)
			if tt.grantedBy != "" {
				require.Equal(t, "rights.grant", rows[0].Action)
				require.JSONEq(t, `{"by": "group.change", "granted": ["a", "b"]}`, rows[0].Detail)
			}
		})
	}
}
