// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/adit-go/adit/db"
)

// Registration is somebody who asks for an account.
type Registration struct {
	ID       int64
	Username string // as wished
	Person
	Message   string
	CreatedAt time.Time
}

const maxRegistrations = 500 // that wait; beyond, staff has to look at them first

// Register asks for an account. Staff is told by mail. Whether the name is free is not said: staff decides about that as well.
func (s *Service) Register(ctx context.Context, r Registration, peer string) error {
	var err error
	if r.Username, err = checkUsername(r.Username); err != nil {
		return err
	}
	if r.Mail == "" {
		return &Invalid{Field: "mail", Reason: "give your mail address: the answer goes there"}
	}
	if err := r.validate(); err != nil {
		return err
	}
	if !utf8.ValidString(r.Message) || len(r.Message) > maxMessage || strings.ContainsRune(r.Message, 0) {
		return &Invalid{Field: "message", Reason: fmt.Sprintf("at most %d bytes of text", maxMessage)}
	}
	if _, err := s.try(ctx, limitOf("ask", network(peer), askMax, askWindow)); err != nil {
		return err
	}
	ctx = WithActor(ctx, Actor{Peer: peer})
	return s.inTx(ctx, func(q *db.Queries) error {
		n, err := q.CountRegistrations(ctx)
		if err != nil {
			return err
		}
		if n >= maxRegistrations {
			return &TooMany{Reason: "too many people wait for an account already; ask your administrator", RetryAfter: askWindow}
		}
		id, err := q.InsertRegistration(ctx, db.InsertRegistrationParams{
			Username: r.Username, Mail: r.Mail, FirstName: r.FirstName, LastName: r.LastName, Phone: r.Phone, Department: r.Department, Message: r.Message,
		})
		if err != nil {
			return err
		}
		where := "with adit user registrations"
		if s.publicURL != "" {
			where = "at " + s.publicURL
		}
		err = PostStaff(ctx, q, "ADIT: somebody asks for an account",
			fmt.Sprintf("Somebody asks for an account with the username %q and the mail address %s.\n\nApprove or refuse it %s.\n", r.Username, r.Mail, where))
		if err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "registration.create", Object: registrationName(id), Detail: map[string]any{"username": r.Username}})
	})
}

func registrationName(id int64) string { return fmt.Sprintf("registration %d", id) }

// Registrations lists those that wait, oldest first. It is for staff.
func (s *Service) Registrations(ctx context.Context, user User, above int64, limit int) ([]Registration, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.q.ListRegistrations(ctx, db.ListRegistrationsParams{Above: above, Max: int32(limit)})
	out := make([]Registration, len(rows))
	for i, r := range rows {
		out[i] = registrationOf(r)
	}
	return out, err
}

func registrationOf(r db.Registration) Registration {
	return Registration{
		ID: r.ID, Username: r.Username, Person: Person{r.Mail, r.FirstName, r.LastName, r.Phone, r.Department}, Message: r.Message, CreatedAt: r.CreatedAt,
	}
}

// Approve makes a user of a registration, under another name if one is given, and sends them a link to choose a password. It is for staff.
func (s *Service) Approve(ctx context.Context, user User, id int64, username string, groups []string) (Account, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Account{}, err
	}
	var a Account
	err := s.inTx(ctx, func(q *db.Queries) error {
		row, err := q.TakeRegistration(ctx, id)
		if err != nil {
			return notFound(err, "registration", id)
		}
		r := registrationOf(row)
		n := NewAccount{Username: r.Username, Person: r.Person, Groups: groups, Invite: true}
		if username != "" {
			if n.Username, err = checkUsername(username); err != nil {
				return err
			}
		}
		var granted []string
		if a, granted, err = s.addUser(ctx, q, user, n, nil); err != nil {
			return err
		}
		return Record(ctx, q, grantEntry(Entry{
			Action: "registration.approve", Object: registrationName(id), Detail: map[string]any{"username": a.Username, "groups": a.Groups},
		}, granted))
	})
	if violates(err, uniqueViolation) {
		return Account{}, &Conflict{Reason: "a user has this name already; approve it under another one, or refuse it"}
	}
	return a, err
}

// Refuse removes a registration and tells who asked, with the reason if one is given. It is for staff.
func (s *Service) Refuse(ctx context.Context, user User, id int64, reason string) error {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	if len(reason) > maxMessage || strings.ContainsRune(reason, 0) {
		return &Invalid{Field: "reason", Reason: fmt.Sprintf("at most %d bytes of text", maxMessage)}
	}
	return s.inTx(ctx, func(q *db.Queries) error {
		r, err := q.TakeRegistration(ctx, id)
		if err != nil {
			return notFound(err, "registration", id)
		}
		why := ""
		if reason != "" {
			why = "\n\n" + reason
		}
		u := db.User{Username: r.Username, Mail: r.Mail, FirstName: r.FirstName, LastName: r.LastName}
		return errors.Join(
			s.post(ctx, q, u, "No account", "your request for an account with the username %q was refused.%s", r.Username, why),
			Record(ctx, q, Entry{Action: "registration.refuse", Object: registrationName(id), Detail: map[string]any{"username": r.Username}}),
		)
	})
}
