// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
)

// confirmedFor is how long a session may change accounts after the password was given.
const confirmedFor = 10 * time.Minute

// Confirmed reports whether the session's owner is the user of this ID and gave the password within confirmedFor.
//
// It is asked within the transaction that makes a change, with the user locked if the change is to one's own account: a
// session that was ended meanwhile changes nothing.
func (s *Session) Confirmed(ctx context.Context, q *db.Queries, userID int64) (bool, error) {
	return q.SessionConfirmed(ctx, db.SessionConfirmedParams{
		Sha256: s.hash, UserID: userID, Seconds: confirmedFor.Seconds(),
	})
}

// Confirm notes that the owner of a session gave the password again. A wrong one counts as one of a login.
// ErrUnauthenticated: the session has ended.
func (s *Sessions) Confirm(ctx context.Context, session Session, password, peer string) error {
	u, tries, err := s.knows(ctx, session.User, password, peer, "password")
	if err != nil {
		return err
	}
	return s.svc.inTx(ctx, func(q *db.Queries) error {
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
		return audit.Record(ctx, q, audit.Entry{Action: "session.confirm", Object: userName(u.Username)})
	})
}

// knows checks a password of somebody who is known already. The tries are to be taken back when all is done; a wrong
// password leaves them, and is *refusal.Invalid for the field. None at all is no try, and where there is none to know,
// none is wrong.
func (s *Sessions) knows(ctx context.Context, user User, password, peer, field string) (
	u db.User, tries []int64, err error,
) {
	if u, err = s.svc.q.GetUser(ctx, user.ID); err != nil {
		return u, nil, err
	}
	switch {
	case u.PasswordHash == nil:
		return u, nil, &refusal.Conflict{
			Reason: "your account has no password yet; ask staff to set one (adit user password), or request a mail to " +
				"choose one (POST /password-resets)",
		}
	case password == "":
		return u, nil, &refusal.Invalid{Field: field, Reason: "give your present password"}
	}
	if tries, err = s.svc.try(ctx, passwordLimits(u.Username, peer)...); err != nil {
		return u, nil, err
	}
	ok, _, err := s.svc.hasher.verify(ctx, u.PasswordHash, password)
	if err == nil && !ok {
		err = &refusal.Invalid{Field: field, Reason: "this is not your password"}
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
		return now, &refusal.Conflict{Reason: "somebody else has just changed your password; log in again"}
	}
	return now, nil
}
