// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
)

const (
	resetLife  = time.Hour
	inviteLife = 7 * 24 * time.Hour

	// askedFor is how long it takes to ask for a new password, whether there is such an account or not.
	askedFor = 100 * time.Millisecond
)

// RequestReset sends a mail with a link for a new password to whoever has this username or mail address, active, with a mail address. Who
// asks never learns whether there is anybody. *TooMany: this address, or for this name, asked too often.
func (s *Service) RequestReset(ctx context.Context, who, peer string) error {
	done := time.NewTimer(askedFor)
	defer done.Stop()
	_, err := s.try(ctx, limitOf("ask", network(peer), askMax, askWindow), limitOf("ask for", strings.ToLower(who), askForMax, askWindow))
	if err != nil {
		return err
	}
	ctx = WithActor(ctx, Actor{Peer: peer})
	err = s.inTx(ctx, func(q *db.Queries) error {
		users, err := q.UsersToReset(ctx, who)
		if err != nil || len(users) == 0 {
			return err
		}
		names := make([]string, len(users))
		for i, u := range users {
			names[i] = u.Username
			link, err := s.link(ctx, q, u, resetLife)
			if err != nil {
				return err
			}
			err = s.postSecret(ctx, q, u, "A new password", "somebody, probably you, asked for a new password for your account %q. %s\n\nThis works once, within an hour. If it was not you, there is nothing to do: your password stays as it is.", u.Username, link)
			if err != nil {
				return err
			}
		}
		return Record(ctx, q, Entry{Action: "password.request", Object: userName(strings.Join(names, ", "))})
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
	text, hash := secret()
	err := q.InsertPasswordReset(ctx, db.InsertPasswordResetParams{Sha256: hash, UserID: u.ID, Seconds: life.Seconds()})
	if s.publicURL == "" {
		return "Open ADIT's page for new passwords and give it this code: " + text, err
	}
	return "Choose one here:\n\n  " + s.publicURL + "/password#" + text, err // behind the #, so that no log has it
}

// invite lets a user who has no password choose one.
func (s *Service) invite(ctx context.Context, q *db.Queries, u db.User) error {
	link, err := s.link(ctx, q, u, inviteLife)
	if err != nil {
		return err
	}
	return s.postSecret(ctx, q, u, "Your account", "you have an account now, with the username %q, and need a password for it. %s\n\nThis works once, within a week. Later, ask for a new password at the login.", u.Username, link)
}

// post sends a mail to a user, if there is an address.
func (s *Service) post(ctx context.Context, q *db.Queries, u db.User, subject, format string, args ...any) error {
	if u.Mail == "" {
		return nil
	}
	return Post(ctx, q, letter(u, subject, format, args...))
}

// postSecret is post for a mail that holds a code: whoever reads the database finds no code in it.
func (s *Service) postSecret(ctx context.Context, q *db.Queries, u db.User, subject, format string, args ...any) error {
	if u.Mail == "" {
		return nil
	}
	m := letter(u, subject, format, args...)
	m.sealed, m.Body = s.key.Seal(mailPurpose, []byte(m.Body)), ""
	return Post(ctx, q, m)
}

// mailPurpose is what bodies of mails are sealed for.
const mailPurpose = "mail"

func letter(u db.User, subject, format string, args ...any) Mail {
	name := strings.TrimSpace(u.FirstName + " " + u.LastName)
	if name == "" {
		name = u.Username
	}
	return Mail{To: []string{u.Mail}, Subject: "ADIT: " + subject, Body: "Dear " + name + ",\n\n" + fmt.Sprintf(format, args...) + "\n"}
}

// Reset sets a new password by the secret of a mail, which is used up, and ends all sessions, and all tokens unless they are to
// be kept. ErrNotFound: it is unknown, used or too old.
func (s *Service) Reset(ctx context.Context, text, password, peer string, keepTokens bool) error {
	tries, err := s.try(ctx, limitOf("address", network(peer), wrongMax, wrongWindow))
	if err != nil {
		return err
	}
	hash := hashOf(text)
	u, err := s.q.UserOfPasswordReset(ctx, hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return errUsedUp
	}
	if err != nil {
		return err
	}
	if err := checkPassword(password, u.Username, u.Mail); err != nil {
		return errors.Join(err, s.q.DeleteAttempts(ctx, tries))
	}
	hashed, err := s.hasher.hash(ctx, password)
	if err != nil {
		return err
	}
	ctx = WithActor(ctx, Actor{UserID: u.ID, Username: u.Username, Peer: peer})
	return s.inTx(ctx, func(q *db.Queries) error {
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
		return Record(ctx, q, Entry{Action: "password.reset", Object: userName(u.Username)})
	})
}

var errUsedUp = fmt.Errorf("this link for a new password was used already, or is too old; ask for another one: %w", ErrNotFound)
