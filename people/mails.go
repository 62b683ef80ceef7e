// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"fmt"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/mail"
)

// Mails are those of the site to its users.
type Mails struct{ svc *Service }

// Mail returns the outbox. It checks no rights.
func (s *Service) Mail() *mail.Service { return s.mail }

// List lists mails and what became of them, newest first, below an ID (0: from the newest). It is for staff.
func (s *Mails) List(ctx context.Context, user User, below int64, status string, limit int) ([]mail.Posted, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	return s.svc.mail.List(ctx, below, status, limit)
}

// Get returns a mail and what became of it. It is for staff.
func (s *Mails) Get(ctx context.Context, user User, id int64) (mail.Posted, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return mail.Posted{}, err
	}
	return s.svc.mail.Get(ctx, id)
}

// Retry sends a mail again that was given up, from the start, under the same Message-ID. It is for staff.
func (s *Mails) Retry(ctx context.Context, user User, id int64) (m mail.Posted, err error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return mail.Posted{}, err
	}
	err = s.svc.inTx(ctx, func(q *db.Queries) (err error) {
		if m, err = mail.Retry(ctx, q, id); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "mail.retry", Object: fmt.Sprintf("mail %d", id)})
	})
	return m, err
}

// Broadcast posts a mail to everybody who has an address, none of whom sees the others, and tells how many they are. It
// is for staff.
func (s *Mails) Broadcast(ctx context.Context, user User, subject, text string) (n int, err error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return 0, err
	}
	if subject, text = strings.TrimSpace(subject), strings.TrimSpace(text); subject == "" || text == "" {
		return 0, &refusal.Invalid{Field: "subject", Reason: "a mail needs a subject and a text"}
	}
	err = s.svc.inTx(ctx, func(q *db.Queries) error {
		mails, err := q.AllMails(ctx)
		if err != nil {
			return err
		}
		to := mail.Reachable(mails)
		if n = len(to); n == 0 {
			return &refusal.Conflict{Reason: "no user has a mail address"}
		}
		if err := mail.Post(ctx, q, mail.Message{To: to, Subject: subject, Body: text + "\n"}); err != nil {
			return err
		}
		return audit.Record(
			ctx, q, audit.Entry{Action: "mail.broadcast", Object: "everybody", Detail: map[string]any{"recipients": n}},
		)
	})
	return n, err
}

// post sends a mail to a user, if there is an address.
func (s *Mails) post(ctx context.Context, q *db.Queries, u db.User, subject, format string, args ...any) error {
	if u.Mail == "" {
		return nil
	}
	return mail.Post(ctx, q, letter(u, subject, format, args...))
}

// postSecret is post for a mail that holds a code: whoever reads the database finds no code in it.
func (s *Mails) postSecret(ctx context.Context, q *db.Queries, u db.User, subject, format string, args ...any) error {
	if u.Mail == "" {
		return nil
	}
	return s.svc.mail.PostSealed(ctx, q, letter(u, subject, format, args...))
}

func letter(u db.User, subject, format string, args ...any) mail.Message {
	name := strings.TrimSpace(u.FirstName + " " + u.LastName)
	if name == "" {
		name = u.Username
	}
	return mail.Message{
		To: []string{u.Mail}, Subject: "ADIT: " + subject,
		Body: "Dear " + name + ",\n\n" + fmt.Sprintf(format, args...) + "\n",
	}
}
