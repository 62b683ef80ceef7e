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

const welcomeLife = 24 * time.Hour

// Welcome gives the first administrator and a code for Reset, as long as nobody has a password and so nobody can log
// in; both are empty afterwards. It ends the code that an earlier start gave.
func (s *Passwords) Welcome(ctx context.Context) (username, code string, err error) {
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		username, code = "", ""
		if err := q.LockSlots(ctx); err != nil { // two processes may start at once
			return err
		}
		u, err := q.FirstAdministrator(ctx)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := q.DeletePasswordResets(ctx, u.ID); err != nil {
			return err
		}
		if code, err = resetCode(ctx, q, u.ID, welcomeLife); err != nil {
			return err
		}
		username = u.Username
		return audit.Record(ctx, q, audit.Entry{Action: "password.request", Object: userName(u.Username)})
	})
	return username, code, err
}

// Is reports whether this is the password of a user.
func (s *Passwords) Is(ctx context.Context, username, password string) (bool, error) {
	u, err := s.svc.q.UserByName(ctx, username)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	ok, _, err := s.svc.hasher.verify(ctx, u.PasswordHash, password)
	return ok, err
}
