// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"context"

	"github.com/adit-go/adit/db"
)

// Session is a login; package people keeps them.
type Session interface {
	// Confirmed reports whether the session is of the user of this ID, who gave the password again a short while ago.
	// It is asked in the transaction of q.
	Confirmed(ctx context.Context, q *db.Queries, userID int64) (bool, error)
}

// Unconfirmed says that an act needs the password again. Nothing was changed.
type Unconfirmed struct {
	Reason string
}

func (u *Unconfirmed) Error() string { return u.Reason }

// confirmed refuses what would let a found token or an open session become lasting control of an account, or a way for
// data: what takes the password (see acts) is done by somebody who gave it a short while ago. It returns *Unconfirmed
// for others. An account without a password has none to ask for: its token is all that its owner has.
func confirmed(ctx context.Context, q *db.Queries) error {
	a := ActorOf(ctx)
	switch {
	case a.Session != nil:
		ok, err := a.Session.Confirmed(ctx, q, a.UserID)
		if err == nil && !ok {
			return &Unconfirmed{Reason: "you gave your password too long ago for this; confirm your " +
				"session with POST /session:confirm, and try again"}
		}
		return err
	case a.Via == ViaToken:
		u, err := q.GetUser(ctx, a.UserID)
		if err == nil && u.PasswordHash != nil {
			return &Unconfirmed{
				Reason: "an API token can't do this, since it needs your password; log in with POST /session, and try " +
					"again with that session",
			}
		}
		return err
	}
	return nil // adit itself
}
