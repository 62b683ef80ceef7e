// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"time"

	"github.com/adit-go/adit/db"
)

// confirmedFor is how long a session may change accounts after the password was given.
const confirmedFor = 10 * time.Minute

// Unconfirmed says that an act takes the password again. Nothing was changed.
type Unconfirmed struct {
	Reason string
}

func (u *Unconfirmed) Error() string { return u.Reason }

// confirmed refuses what would let a found token or an open session become lasting control of an account: addresses, passwords, tokens,
// accounts and memberships are changed by somebody who gave the password within confirmedFor. It returns *Unconfirmed for others. An account
// without a password has none to ask for: its token is all that its owner has. To take something away needs no confirmation.
//
// It is asked within the transaction that makes the change, with the user locked if the change is to one's own account: a session that was
// ended meanwhile changes nothing.
func confirmed(ctx context.Context, q *db.Queries) error {
	a := ActorOf(ctx)
	switch {
	case a.Session != nil:
		ok, err := q.SessionConfirmed(ctx, db.SessionConfirmedParams{Sha256: a.Session.hash, UserID: a.UserID, Seconds: confirmedFor.Seconds()})
		if err == nil && !ok {
			return &Unconfirmed{Reason: "this takes your password again, as it was given a while ago; confirm your session with POST /session:confirm, and try again"}
		}
		return err
	case a.Via == ViaToken:
		u, err := q.GetUser(ctx, a.UserID)
		if err == nil && u.PasswordHash != nil {
			return &Unconfirmed{Reason: "an API token can't do this, as it takes your password; log in with POST /session, and try again with that session"}
		}
		return err
	}
	return nil // adit itself
}

// Confirm notes that the owner of a session gave the password again. A wrong one counts as one of a login. ErrUnauthenticated: the session has
// ended.
func (s *Service) Confirm(ctx context.Context, session Session, password, peer string) error {
	u, tries, err := s.knows(ctx, session.User, password, peer, "password")
	if err != nil {
		return err
	}
	return s.inTx(ctx, func(q *db.Queries) error {
		if _, err := lockKnown(ctx, q, u); err != nil {
			return err
		}
		n, err := q.ConfirmSession(ctx, db.ConfirmSessionParams{Sha256: session.hash, UserID: u.ID})
		if err != nil {
			return err
		}
		if n == 0 {
			return ErrUnauthenticated
		}
		if err := q.DeleteAttempts(ctx, tries); err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "session.confirm", Object: userName(u.Username)})
	})
}

// knows checks a password of somebody who is known already. The tries are to be taken back when all is done; a wrong password leaves them, and
// is *Invalid for the field.
func (s *Service) knows(ctx context.Context, user User, password, peer, field string) (u db.User, tries []int64, err error) {
	if tries, err = s.try(ctx, passwordLimits(user.Username, peer)...); err != nil {
		return u, nil, err
	}
	if u, err = s.q.GetUser(ctx, user.ID); err != nil {
		return u, nil, err
	}
	ok, _, err := s.hasher.verify(ctx, u.PasswordHash, password)
	if err == nil && !ok {
		err = &Invalid{Field: field, Reason: "this is not your password"}
	}
	return u, tries, err
}

// lockKnown locks somebody whose password was checked, if it is the same still.
func lockKnown(ctx context.Context, q *db.Queries, u db.User) (db.User, error) {
	now, err := q.LockUserID(ctx, u.ID)
	if err != nil {
		return now, err
	}
	if !now.IsActive || now.PasswordHash == nil || *now.PasswordHash != *u.PasswordHash {
		return now, &Conflict{Reason: "your password was changed by somebody else just now; log in again"}
	}
	return now, nil
}
