// SPDX-License-Identifier: AGPL-3.0-or-later

// Package apiuse counts who uses the API how much: by user, token, day and operation. It counts in memory and writes
// one statement a minute at most, so that no request waits for it; as long as the database is away, what was counted
// waits. Of a request it keeps who sent it, what it was for and how it ended: neither the address nor anything in it.
package apiuse

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/pause"
	"github.com/adit-go/adit/internal/refusal"
)

// Kept is for how many days it is kept.
const Kept = 56

const (
	every     = time.Minute     // between two times of writing down
	patience  = 5 * time.Second // with the database, at the end of the process as well
	mostKinds = 5000            // that are counted apart; what is more, of all operations and tokens of a user together
)

// Request is one that was answered.
type Request struct {
	UserID    int64
	TokenID   int64  // 0: a session
	Operation string // as the document of the API calls it
	Status    int    // of HTTP
	Bytes     int64  // of the answer
}

// Service counts requests, and tells what was counted.
type Service struct {
	q *db.Queries

	mu     sync.Mutex
	counts map[kind]count

	writing sync.Mutex // one at a time
}

// kind is what is counted apart. Its day is by the clock of this process, only to tell rows apart until they are
// written: the database has the last word.
type kind struct {
	day, user, token int64
	operation        string
}

type count struct {
	requests, clientErrors, serverErrors, bytes int64
	last                                        time.Time
}

func (c *count) add(o count) {
	c.requests += o.requests
	c.clientErrors += o.clientErrors
	c.serverErrors += o.serverErrors
	c.bytes += o.bytes
	if o.last.After(c.last) {
		c.last = o.last
	}
}

// New returns a service that has counted nothing yet.
func New(q *db.Queries) *Service { return &Service{q: q, counts: map[kind]count{}} }

// Count takes down a request. It never waits.
func (s *Service) Count(r Request) {
	now := time.Now()
	c := count{requests: 1, bytes: r.Bytes, last: now}
	switch {
	case r.Status >= 500:
		c.serverErrors = 1
	case r.Status >= 400:
		c.clientErrors = 1
	}
	s.add(kind{now.Unix() / (24 * 60 * 60), r.UserID, r.TokenID, r.Operation}, c)
}

func (s *Service) add(of kind, c count) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, is := s.counts[of]
	if !is && len(s.counts) >= mostKinds {
		of = kind{day: of.day, user: of.user}
		known = s.counts[of]
	}
	known.add(c)
	s.counts[of] = known
}

func (s *Service) take() map[kind]count {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := s.counts
	s.counts = map[kind]count{}
	return counts
}

// Flush writes down what was counted since the last time, in one statement; none if nothing was. What can't be written
// now waits for the next time.
func (s *Service) Flush(ctx context.Context) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	counts := s.take()
	if len(counts) == 0 {
		return nil
	}
	var p db.AddAPIUseParams
	for of, c := range counts {
		p.Ages = append(p.Ages, time.Since(c.last).Seconds())
		p.UserIds, p.TokenIds = append(p.UserIds, of.user), append(p.TokenIds, of.token)
		p.Operations, p.Requests = append(p.Operations, of.operation), append(p.Requests, c.requests)
		p.ClientErrors, p.ServerErrors = append(p.ClientErrors, c.clientErrors), append(p.ServerErrors, c.serverErrors)
		p.Bytes = append(p.Bytes, c.bytes)
	}
	err := s.q.AddAPIUse(ctx, p)
	if err != nil {
		for of, c := range counts {
			s.add(of, c)
		}
	}
	return err
}

// Run writes down each minute what was counted, and at the end what is left.
func (s *Service) Run(ctx context.Context, log *slog.Logger) {
	for running := true; running; {
		running = pause.For(ctx, every) == nil
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := s.Flush(within)
		cancel()
		if err != nil {
			log.WarnContext(ctx, "the use of the API can't be written down; ADIT tries again", "reason", err)
		}
	}
}

// Filter chooses rows.
type Filter struct {
	Username string     // empty: of all users
	From, To *time.Time // first and last day, midnight UTC; nil: all
	Below    int64      // ID that all have less than; 0: the list begins
	Limit    int
}

// Row is what a user asked for on a day, by one token or by sessions, for one operation.
type Row = db.ListAPIUseRow

// List returns a page of what was written down, the latest first. A *refusal.Invalid says that there is no such user.
func (s *Service) List(ctx context.Context, f Filter) ([]Row, error) {
	p := db.ListAPIUseParams{FirstDay: f.From, LastDay: f.To, Below: f.Below, Max: int32(f.Limit)}
	if f.Username != "" {
		u, err := s.q.UserByName(ctx, f.Username)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, &refusal.Invalid{Field: "user", Reason: "there is no such user"}
		}
		if err != nil {
			return nil, err
		}
		p.UserID = &u.ID
	}
	return s.q.Planned().ListAPIUse(ctx, p)
}
