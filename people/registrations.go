// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/mail"
)

// Registrations are requests for an account.
type Registrations struct{ svc *Service }

// Registration is a request for an account.
type Registration struct {
	ID       int64
	Username string // as wished
	Person
	Message   string
	CreatedAt time.Time
}

const maxRegistrations = 500 // that wait; beyond, staff has to look at them first

// Register asks for an account. Staff is told by mail. Whether the name is free is not said: staff decides about that
// as well.
func (s *Registrations) Register(ctx context.Context, r Registration, peer string) error {
	var err error
	if r.Username, err = checkUsername(r.Username); err != nil {
		return err
	}
	if r.Mail == "" {
		return &refusal.Invalid{Field: "mail", Reason: "give your mail address: the answer is sent there"}
	}
	if err := r.validate(); err != nil {
		return err
	}
	if len(r.Message) > maxMessage || !text.PlainLines(r.Message) {
		return &refusal.Invalid{Field: "message", Reason: fmt.Sprintf(
			"at most %d bytes of text, without control characters or other invisible characters", maxMessage,
		)}
	}
	if _, err := s.svc.try(ctx, limitOf("ask", network(peer), askMax, askWindow)); err != nil {
		return err
	}
	ctx = audit.WithActor(ctx, audit.Actor{Peer: peer})
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		n, err := q.CountRegistrations(ctx)
		if err != nil {
			return err
		}
		if n >= maxRegistrations {
			return &TooMany{
				Reason:     "too many people are already waiting for an account; ask your administrator",
				RetryAfter: askWindow,
			}
		}
		id, err := q.InsertRegistration(ctx, db.InsertRegistrationParams{
			Username: r.Username, Mail: r.Mail, FirstName: r.FirstName, LastName: r.LastName,
			Phone: r.Phone, Department: r.Department, Message: r.Message,
		})
		if err != nil {
			return err
		}
		where := "with adit user registrations"
		if s.svc.publicURL != "" {
			where = "at " + s.svc.publicURL
		}
		err = mail.PostStaff(ctx, q, "ADIT: request for an account",
			fmt.Sprintf(
				"Somebody requested an account with the username %q and the mail address %s.\n\nApprove or refuse "+
					"it %s.\n",
				r.Username, r.Mail, where,
			))
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "registration.create", Object: registrationName(id),
			Detail: map[string]any{"username": r.Username},
		})
	})
}

func registrationName(id int64) string { return fmt.Sprintf("registration %d", id) }

// List lists those that wait, oldest first. It is for staff.
func (s *Registrations) List(ctx context.Context, user User, above int64, limit int) ([]Registration, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.svc.q.ListRegistrations(ctx, db.ListRegistrationsParams{Above: above, Max: int32(limit)})
	out := make([]Registration, len(rows))
	for i, r := range rows {
		out[i] = registrationOf(r)
	}
	return out, err
}

// Get gives one that waits. It is for staff.
func (s *Registrations) Get(ctx context.Context, user User, id int64) (Registration, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Registration{}, err
	}
	r, err := s.svc.q.GetRegistration(ctx, id)
	return registrationOf(r), refusal.NotFound(err, "registration", id)
}

func registrationOf(r db.Registration) Registration {
	return Registration{
		ID: r.ID, Username: r.Username, Person: Person{r.Mail, r.FirstName, r.LastName, r.Phone, r.Department},
		Message: r.Message, CreatedAt: r.CreatedAt,
	}
}

// Approve makes a user of a registration, under another name if one is given, and sends them a link to choose a
// password. It is for staff.
func (s *Registrations) Approve(
	ctx context.Context, user User, id int64, username string, groups []string,
) (Account, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Account{}, err
	}
	var a Account
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		row, err := q.TakeRegistration(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "registration", id)
		}
		r := registrationOf(row)
		n := NewAccount{Username: r.Username, Person: r.Person, Groups: groups, Invite: true}
		if username != "" {
			if n.Username, err = checkUsername(username); err != nil {
				return err
			}
		}
		e := audit.Entry{Action: "registration.approve", Object: registrationName(id)}
		if a, err = s.svc.Users.add(ctx, q, user, n, nil, &e); err != nil {
			return err
		}
		e.Detail = map[string]any{"username": a.Username, "groups": a.Groups}
		return audit.Record(ctx, q, e)
	})
	if db.Violates(err, db.UniqueViolation) {
		return Account{},
			&refusal.Conflict{Reason: "a user already has this name; approve the request under another one, or refuse it"}
	}
	return a, err
}

// Refuse removes a registration and tells who asked, with the reason if one is given. It is for staff.
func (s *Registrations) Refuse(ctx context.Context, user User, id int64, reason string) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	if len(reason) > maxMessage || !text.PlainLines(reason) {
		return &refusal.Invalid{Field: "reason", Reason: fmt.Sprintf(
			"at most %d bytes of text, without control characters or other invisible characters", maxMessage,
		)}
	}
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		r, err := q.TakeRegistration(ctx, id)
		if err != nil {
			return refusal.NotFound(err, "registration", id)
		}
		why := ""
		if reason != "" {
			why = "\n\n" + reason
		}
		u := db.User{Username: r.Username, Mail: r.Mail, FirstName: r.FirstName, LastName: r.LastName}
		return errors.Join(
			s.svc.Mails.post(
				ctx, q, u, "No account",
				"your request for an account with the username %q was refused.%s", r.Username, why,
			),
			audit.Record(ctx, q, audit.Entry{
				Action: "registration.refuse", Object: registrationName(id),
				Detail: map[string]any{"username": r.Username},
			}),
		)
	})
}
