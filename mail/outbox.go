// SPDX-License-Identifier: AGPL-3.0-or-later

package mail

import (
	"context"
	"encoding/json"
	netmail "net/mail"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
)

// Message is the content of a mail, in plain text. It must not contain a value of a patient.
type Message struct {
	To      []string // addresses; each gets a mail of its own and sees none of the others
	Subject string   // one line
	Body    string
}

// Post puts a mail into the outbox, in the caller's transaction: it goes out if that is committed, and not if it isn't.
// It is delivered at least once, always under the same Message-ID. A mail without recipients is not posted.
func Post(ctx context.Context, q *db.Queries, m Message) error { return post(ctx, q, m, nil) }

// PostSealed is Post for a mail that holds a code: whoever reads the database finds no code in it.
func (s *Service) PostSealed(ctx context.Context, q *db.Queries, m Message) error {
	sealed := s.key.Seal(purpose, []byte(m.Body))
	m.Body = ""
	return post(ctx, q, m, sealed)
}

// post puts a mail into the outbox. sealed stands in the place of a body.
func post(ctx context.Context, q *db.Queries, m Message, sealed []byte) error {
	for _, to := range m.To {
		if err := ValidAddress(to); err != nil {
			return err
		}
	}
	if strings.ContainsFunc(m.Subject, unicode.IsControl) {
		return &refusal.Invalid{Field: "subject", Reason: "it must be one line without control characters"}
	}
	return q.InsertMail(ctx, db.InsertMailParams{Recipients: m.To, Subject: m.Subject, Body: m.Body, Sealed: sealed})
}

const maxAddress = 254 // RFC 5321 4.5.3.1.3, less the angle brackets

// ValidAddress returns why an address can't be written to, which is "name@host" without a display name beside it; nil:
// it can.
func ValidAddress(address string) error {
	parsed, err := netmail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxAddress || !text.Plain(address) {
		return &refusal.Invalid{Field: "mail", Reason: "give an address such as name@example.org"}
	}
	return nil
}

// Reachable returns those of some addresses that can be written to. It reuses their array.
func Reachable(addresses []string) []string {
	return slices.DeleteFunc(addresses, func(a string) bool { return ValidAddress(a) != nil })
}

// PostStaff puts a mail to all staff into the outbox.
func PostStaff(ctx context.Context, q *db.Queries, subject, body string) error {
	mails, err := q.StaffMails(ctx)
	if err != nil {
		return err
	}
	return Post(ctx, q, Message{To: Reachable(mails), Subject: subject, Body: body})
}

// States of a mail.
const (
	Pending = "pending"
	Sent    = "sent"
	GivenUp = "given_up"
)

// Posted is a mail of the outbox.
type Posted struct {
	db.Outbox
}

// posted finds the subject of a mail whose words are found when it is sent.
func posted(row db.Outbox) Posted {
	var end jobEnd
	if row.JobEnd != nil && json.Unmarshal(row.JobEnd, &end) == nil {
		row.Subject = end.subject()
	}
	return Posted{row}
}

// List returns mails and what became of them, newest first, below an ID (0: from the newest). An empty status is any.
func (s *Service) List(ctx context.Context, below int64, status string, limit int) ([]Posted, error) {
	rows, err := s.q.Planned().ListMails(ctx, db.ListMailsParams{Below: below, Status: status, Max: int32(limit)})
	mails := make([]Posted, len(rows))
	for i, row := range rows {
		mails[i] = posted(row)
	}
	return mails, err
}

// Get gives a mail and what became of it.
func (s *Service) Get(ctx context.Context, id int64) (Posted, error) {
	m, err := s.q.GetMail(ctx, id)
	return posted(m), refusal.NotFound(err, "mail", id)
}

// Retry has a mail that was given up tried again from the start, under the same Message-ID, in the caller's
// transaction.
func Retry(ctx context.Context, q *db.Queries, id int64) (Posted, error) {
	m, err := q.LockMail(ctx, id)
	if err != nil {
		return Posted{}, refusal.NotFound(err, "mail", id)
	}
	if m.Status != GivenUp {
		return Posted{},
			&refusal.Conflict{Reason: "only a mail that ADIT gave up can be sent again; this one is " + m.Status}
	}
	m, err = q.RetryMail(ctx, id)
	return posted(m), err
}
