// SPDX-License-Identifier: AGPL-3.0-or-later

// Package mail holds the outbox and delivers it. A mail is posted in the transaction of the event that it reports, and
// is sent at least once after the commit, by any process that has a mailer. Package people decides who may read the
// outbox.
package mail

import (
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
)

// Key seals what the database keeps of a mail that holds a code.
type Key interface {
	Seal(purpose string, plain []byte) []byte
	Open(purpose string, sealed []byte) ([]byte, error)
}

// purpose is what bodies of mails are sealed for.
const purpose = "mail"

// Service is the outbox of a site.
type Service struct {
	q     *db.Queries
	key   Key
	sends bool // this process has a mailer
}

// New returns the outbox of a migrated database.
func New(pool *pgxpool.Pool, key Key) *Service { return &Service{q: db.New(pool), key: key} }

// Warning says that a new mail has to wait because no member can send it; empty: it is sent.
func (s *Service) Warning() string {
	if s.sends {
		return ""
	}
	return "ADIT has no mail server (adit serve --smtp-host), so the mail was not sent; it waits for three " +
		"days, then ADIT gives it up."
}
