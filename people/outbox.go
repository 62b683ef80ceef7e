// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"net/mail"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/db"
)

// Mail is a message in plain text. It must hold no value of a patient.
type Mail struct {
	To      []string // addresses; each gets a mail of its own and sees none of the others
	Subject string   // one line
	Body    string
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
	return q.InsertMail(ctx, db.InsertMailParams{Recipients: m.To, Subject: m.Subject, Body: m.Body})
}

const maxAddress = 254 // RFC 5321 4.5.3.1.3, less the angle brackets

// ValidMail tells whether an address can be written to: "name@host", and no display name beside it.
func ValidMail(address string) error {
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Address != address || len(address) > maxAddress || strings.ContainsFunc(address, unicode.IsControl) {
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
