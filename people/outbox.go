// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"encoding/json"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/text"
)

// Mail is a message in plain text. It must hold no value of a patient.
type Mail struct {
	To      []string // addresses; each gets a mail of its own and sees none of the others
	Subject string   // one line
	Body    string

	sealed []byte // instead of a body: one that holds a code
}

// Post puts a mail into the outbox, in the caller's transaction: it goes out if that is committed, and not if it isn't. It is
// delivered at least once, always under the same Message-ID. A mail to nobody is none.
func Post(ctx context.Context, q *db.Queries, m Mail) error {
	for _, to := range m.To {
		if err := ValidMail(to); err != nil {
			return err
		}
	}
	if strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return &Invalid{Field: "subject", Reason: "it must be one line without control characters"}
	}
	return q.InsertMail(ctx, db.InsertMailParams{Recipients: m.To, Subject: m.Subject, Body: m.Body, Sealed: m.sealed})
}

const maxAddress = 254 // RFC 5321 4.5.3.1.3, less the angle brackets

// ValidMail tells whether an address can be written to: "name@host", and no display name beside it.
func ValidMail(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxAddress || !text.Plain(address) {
		return &Invalid{Field: "mail", Reason: "give an address such as name@example.org"}
	}
	return nil
}

// valid leaves out what can't be written to.
func valid(addresses []string) []string {
	return slices.DeleteFunc(addresses, func(a string) bool { return ValidMail(a) != nil })
}

// PostStaff puts a mail to all staff into the outbox.
func PostStaff(ctx context.Context, q *db.Queries, subject, body string) error {
	mails, err := q.StaffMails(ctx)
	if err != nil {
		return err
	}
	return Post(ctx, q, Mail{To: valid(mails), Subject: subject, Body: body})
}

// States of a mail.
const (
	MailPending = "pending"
	MailSent    = "sent"
	MailGivenUp = "given_up"
)

// PostedMail is a mail of the outbox.
type PostedMail struct {
	db.Outbox
}

// posted finds the subject of a mail whose words are found when it is sent.
func posted(row db.Outbox) PostedMail {
	var end jobEnd
	if row.JobEnd != nil && json.Unmarshal(row.JobEnd, &end) == nil {
		row.Subject = end.subject()
	}
	return PostedMail{row}
}

// Mails lists mails and what became of them, newest first, below an ID (0: from the newest). It is for staff.
func (s *Service) Mails(ctx context.Context, user User, below int64, status string, limit int) ([]PostedMail, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.q.Planned().ListMails(ctx, db.ListMailsParams{Below: below, Status: status, Max: int32(limit)})
	mails := make([]PostedMail, len(rows))
	for i, row := range rows {
		mails[i] = posted(row)
	}
	return mails, err
}

// RetryMail has a mail that was given up tried again from the start, under the same Message-ID. It is for staff.
func (s *Service) RetryMail(ctx context.Context, user User, id int64) (PostedMail, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return PostedMail{}, err
	}
	var m db.Outbox
	err := s.inTx(ctx, func(q *db.Queries) (err error) {
		if m, err = q.LockMail(ctx, id); err != nil {
			return notFound(err, "mail", id)
		}
		if m.Status != MailGivenUp {
			return &Conflict{Reason: "only a mail that was given up can be tried again; this one is " + m.Status}
		}
		if m, err = q.RetryMail(ctx, id); err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "mail.retry", Object: fmt.Sprintf("mail %d", id)})
	})
	return posted(m), err
}
