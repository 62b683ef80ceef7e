// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
)

// Sessions are the logins of users.
type Sessions struct{ svc *Service }

const (
	sessionIdle = 12 * time.Hour      // without a request
	sessionLife = 14 * 24 * time.Hour // at the most
)

// Session is a login by a browser.
type Session struct {
	User      User
	CreatedAt time.Time
	ExpiresAt time.Time
	hash      []byte
}

// LogIn begins a session for who knows the password, and gives the cookie's value, which is kept nowhere. peer is the
// caller's address. A session whose cookie the caller has so far, whoever's it is, ends: the new one takes its place.
//
// ErrWrongPassword: there is no such user, or the password is another one, or the account is disabled; nobody learns
// which, not even by the time that it takes. *TooMany: ten wrong passwords in five minutes for this account or from
// this address.
func (s *Sessions) LogIn(ctx context.Context, username, password, peer, former string) (
	cookie string, session Session, err error,
) {
	tries, err := s.svc.try(ctx, passwordLimits(username, peer)...)
	if err != nil {
		return "", Session{}, err
	}
	u, err := s.svc.q.UserByName(ctx, username)
	known := err == nil
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return "", Session{}, err
	}
	ok, outdated, err := s.svc.hasher.verify(ctx, u.PasswordHash, password)
	if err != nil {
		return "", Session{}, err
	}
	if !ok || !u.IsActive {
		return "", Session{}, s.refuseLogIn(ctx, u, known, peer)
	}
	ctx = audit.WithActor(ctx, audit.Actor{UserID: u.ID, Username: u.Username, Via: audit.ViaSession, Peer: peer})
	var renewed *string
	if outdated {
		h, err := s.svc.hasher.hash(ctx, password)
		if err != nil {
			return "", Session{}, err
		}
		renewed = &h
	}
	return s.begin(ctx, u, tries, renewed, former)
}

// begin begins a session of a user whose password was right, in the place of a former one. renewed, if not nil, is
// another hash of that password.
func (s *Sessions) begin(ctx context.Context, u db.User, tries []int64, renewed *string, former string) (
	cookie string, session Session, err error,
) {
	replaced, err := s.Session(ctx, former)
	if err != nil && !errors.Is(err, ErrUnauthenticated) {
		return "", Session{}, err
	}
	cookie, hash := secret()
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		now, err := q.LockUserID(ctx, u.ID)
		if err != nil || !now.IsActive || now.PasswordHash == nil || *now.PasswordHash != *u.PasswordHash {
			return errors.Join(ErrWrongPassword, err) // changed while it was checked
		}
		if renewed != nil {
			if err := q.SetPassword(ctx, db.SetPasswordParams{ID: u.ID, PasswordHash: renewed}); err != nil {
				return err
			}
		}
		if err := q.InsertSession(ctx, db.InsertSessionParams{
			Sha256: hash, UserID: u.ID, Seconds: sessionLife.Seconds(),
		}); err != nil {
			return err
		}
		if err := q.DeleteAttempts(ctx, tries); err != nil {
			return err
		}
		if err := endSession(ctx, q, replaced); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "session.begin", Object: userName(u.Username)})
	})
	if err != nil {
		return "", Session{}, err
	}
	session, err = s.Session(ctx, cookie)
	return cookie, session, err
}

// refuseLogIn leaves the one kind of entry in the audit log that tells of something refused. What was typed is not in
// it: it may be a password.
func (s *Sessions) refuseLogIn(ctx context.Context, u db.User, known bool, peer string) error {
	object := "unknown user"
	if known {
		object = userName(u.Username)
	}
	ctx = audit.WithActor(ctx, audit.Actor{Peer: peer})
	if err := audit.Record(ctx, s.svc.q, audit.Entry{Action: "session.refused", Object: object}); err != nil {
		return err
	}
	return ErrWrongPassword
}

// Session returns the session of a cookie, or ErrUnauthenticated. It is one indexed look-up, but that once a minute it
// is noted that the session is in use.
func (s *Sessions) Session(ctx context.Context, cookie string) (Session, error) {
	if len(cookie) != 2*tokenBytes {
		return Session{}, ErrUnauthenticated
	}
	hash := hashOf(cookie)
	row, err := s.svc.q.UserOfSession(ctx, db.UserOfSessionParams{Sha256: hash, IdleSeconds: sessionIdle.Seconds()})
	if errors.Is(err, pgx.ErrNoRows) {
		return Session{}, ErrUnauthenticated
	}
	if err != nil {
		return Session{}, err
	}
	if row.Stale {
		if err := s.svc.q.TouchSession(ctx, hash); err != nil {
			return Session{}, err
		}
	}
	return Session{User: userOf(row), CreatedAt: row.CreatedAt, ExpiresAt: row.ExpiresAt, hash: hash}, nil
}

// Still returns the user of a session as they are now, or ErrUnauthenticated if it has ended. It does not count as use
// of the session.
func (s *Sessions) Still(ctx context.Context, session Session) (User, error) {
	row, err := s.svc.q.UserOfSession(ctx, db.UserOfSessionParams{
		Sha256: session.hash, IdleSeconds: sessionIdle.Seconds(),
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return User{}, ErrUnauthenticated
	}
	return userOf(row), err
}

func userOf(row db.UserOfSessionRow) User {
	return User{
		ID: row.ID, Username: row.Username, IsStaff: row.IsStaff,
		IsSuperuser: row.IsSuperuser, ActiveGroupID: row.ActiveGroupID,
	}
}

// LogOut ends a session at once.
func (s *Sessions) LogOut(ctx context.Context, session Session) error {
	return s.svc.inTx(ctx, func(q *db.Queries) error { return endSession(ctx, q, session) })
}

func endSession(ctx context.Context, q *db.Queries, session Session) error {
	n, err := q.DeleteSession(ctx, session.hash)
	if err != nil || n == 0 {
		return err // it has ended already
	}
	return audit.Record(ctx, q, audit.Entry{Action: "session.end", Object: userName(session.User.Username)})
}

func userName(username string) string { return "user " + username }
