// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
)

// Passwords are set, changed and reset.
type Passwords struct{ svc *Service }

const (
	resetLife  = time.Hour
	inviteLife = 7 * 24 * time.Hour

	// askedFor is how long it takes to ask for a new password, whether there is such an account or not.
	askedFor = 100 * time.Millisecond
)

// RequestReset sends a mail with a link for a new password to the active user with this username or mail address and a
// mail address. The caller never learns whether there is such a user. *TooMany: this address, or for this name, asked
// too often.
func (s *Passwords) RequestReset(ctx context.Context, who, peer string) error {
	done := time.NewTimer(askedFor)
	defer done.Stop()
	_, err := s.svc.try(
		ctx, limitOf("ask", network(peer), askMax, askWindow),
		limitOf("ask for", strings.ToLower(who), askForMax, askWindow),
	)
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Peer: peer})
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		users, err := q.UsersToReset(ctx, who)
		if err != nil || len(users) == 0 {
			return err
		}
		names := make([]string, len(users))
		for i, u := range users {
			names[i] = u.Username
			link, err := s.svc.link(ctx, q, u, resetLife)
			if err != nil {
				return err
			}
			err = s.svc.Mails.postSecret(
				ctx, q, u, "A new password",
				"somebody, probably you, asked for a new password for your account %q. %s\n\nThis works once, within "+
					"an hour. If it was not you, ignore this mail: your password does not change.",
				u.Username, link,
			)
			if err != nil {
				return err
			}
		}
		return audit.Record(
			ctx, q, audit.Entry{Action: "password.request", Object: userName(strings.Join(names, ", "))},
		)
	})
	if err != nil {
		return err
	}
	select {
	case <-done.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// link makes a one-time secret to choose a password by, and says how.
func (s *Service) link(ctx context.Context, q *db.Queries, u db.User, life time.Duration) (string, error) {
	text, err := resetCode(ctx, q, u.ID, life)
	if s.publicURL == "" {
		return "Open ADIT's page for new passwords and give it this code: " + text, err
	}
	return "Choose one here:\n\n  " + s.publicURL + "/reset#" + text, err // behind the #, so that no log has it
}

// resetCode makes a one-time code to choose a password by.
func resetCode(ctx context.Context, q *db.Queries, user int64, life time.Duration) (string, error) {
	text, hash := secret()
	return text, q.InsertPasswordReset(
		ctx, db.InsertPasswordResetParams{Sha256: hash, UserID: user, Seconds: life.Seconds()},
	)
}

// invite lets a user who has no password choose one.
func (s *Mails) invite(ctx context.Context, q *db.Queries, u db.User) error {
	link, err := s.svc.link(ctx, q, u, inviteLife)
	if err != nil {
		return err
	}
	return s.postSecret(
		ctx, q, u, "Your account",
		"you now have an account with the username %q and need a password for it. %s\n\nThis works once, within a "+
			"week. After that, request a new password on the login page.",
		u.Username, link,
	)
}

// Reset sets a new password by the secret of a mail, which is used up, and ends all sessions, and all tokens unless
// they are to be kept. refusal.ErrNotFound: it is unknown, used or too old.
func (s *Passwords) Reset(ctx context.Context, text, password, peer string, keepTokens bool) error {
	tries, err := s.svc.try(ctx, limitOf("address", network(peer), wrongMax, wrongWindow))
	if err != nil {
		return err
	}
	hash := hashOf(text)
	u, err := s.svc.q.UserOfPasswordReset(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return errUsedUp
	}
	if err != nil {
		return err
	}
	if err := checkPassword(password, u.Username, u.Mail); err != nil {
		return errors.Join(err, s.svc.q.DeleteAttempts(ctx, tries))
	}
	hashed, err := s.svc.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{UserID: u.ID, Username: u.Username, Peer: peer})
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		u, err := q.LockUserID(ctx, u.ID) // before its resets, as elsewhere
		if err != nil || !u.IsActive {
			return errors.Join(errUsedUp, err)
		}
		if _, err := q.TakePasswordReset(ctx, hash); errors.Is(err, pgx.ErrNoRows) {
			return errUsedUp
		} else if err != nil {
			return err
		}
		if err := q.DeleteAttempts(ctx, tries); err != nil {
			return err
		}
		if err := s.putPassword(ctx, q, u, hashed, nil, keepTokens); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "password.reset", Object: userName(u.Username)})
	})
}

var errUsedUp = fmt.Errorf(
	"this link for a new password has been used already or has expired; request another one: %w", refusal.ErrNotFound,
)
