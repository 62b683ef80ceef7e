// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"bufio"
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/pause"
	"github.com/adit-go/adit/internal/refusal"
)

// ActDetach says that a month of the audit log was exported and taken out of the database.
const ActDetach = "audit.detach"

const (
	monthForm     = "2006-01"
	monthsPause   = time.Hour       // between two looks whether a month needs its partition
	monthRest     = 24 * time.Hour  // after its end, before a month is detached: what began in it has been committed
	detachLock    = "1s"            // that others wait, at most, while it is tried
	detachTries   = 10              // to get the lock
	detachPause   = 3 * time.Second // between them
	detachSealing = 20 * time.Second
)

// GoneRows are rows of the chain, one after the other, that were detached: what comes before them, and the last one's
// hash. By these the chain goes on over the gap.
type GoneRows struct {
	From   int64  `json:"from"`
	To     int64  `json:"to"`
	Before string `json:"before"` // hash of the row before the first one, hexadecimal
	Hash   string `json:"hash"`   // of the last one
}

// GoneMonth is a month that was detached.
type GoneMonth struct {
	Month  string `json:"month"` // as 2026-11
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"` // of its export
}

// detached is the detail of a row of ActDetach. It names all that was detached until then: the rows that told of what
// went before go with their own month.
type detached struct {
	Month  string      `json:"month"`
	Gone   []GoneRows  `json:"gone"`
	Months []GoneMonth `json:"months"`
}

// detached returns what the chain says was detached. A row of it that is not sealed yet proves nothing.
func (s *Service) detached(ctx context.Context) (detached, error) {
	var d detached
	row, err := s.q.AuditDetached(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return d, nil
	}
	if err != nil {
		return d, fmt.Errorf("the audit log can't be read: %w", err)
	}
	if err := json.Unmarshal([]byte(row.Detail), &d); err != nil {
		return detached{}, nil //nolint:nilerr // Verify finds the row that was changed
	}
	return d, nil
}

// Month is a month of the log that is in the database.
type Month struct {
	First, End  time.Time // UTC; the end is the next one's beginning
	Rows        int64
	Unsealed    int64 // of them
	From, To    int64 // places in the chain: of the first row and of the last one
	Bytes       int64 // with its indexes
	OfNoMonth   bool  // rows that came when the clock was far off; they stay
	partitionOf string
}

// String returns a month as people write it.
func (m Month) String() string {
	if m.OfNoMonth {
		return "other"
	}
	return m.First.Format(monthForm)
}

// Months lists the months that have rows in the database, the oldest first.
func (s *Service) Months(ctx context.Context) ([]Month, error) {
	rows, err := s.pool.Query(ctx, `SELECT c.relname::text, pg_total_relation_size(c.oid)
		FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'audit'::regclass ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Month, err error) {
		if err = row.Scan(&m.partitionOf, &m.Bytes); err != nil {
			return m, err
		}
		m.First, err = time.Parse("audit_2006_01", m.partitionOf)
		m.OfNoMonth, m.End = err != nil, m.First.AddDate(0, 1, 0)
		return m, nil
	})
	if err != nil {
		return nil, err
	}
	var months []Month
	for _, m := range all {
		err := s.pool.QueryRow(ctx,
			`SELECT count(*), count(*) FILTER (WHERE seq IS NULL), coalesce(min(seq), 0), coalesce(max(seq), 0) FROM `+
				pgx.Identifier{m.partitionOf}.Sanitize(),
		).Scan(&m.Rows, &m.Unsealed, &m.From, &m.To)
		if err != nil {
			return nil, err
		}
		if m.Rows > 0 {
			months = append(months, m)
		}
	}
	return months, nil
}

// MonthExport is what was written of a month.
type MonthExport struct {
	Month  Month
	Before Head // that the export follows
	Head   Head // of its last row
	gone   []GoneRows
}

// ExportMonth writes a month as Export does: all rows of the chain from its first one to its last one, also those few
// of other months that were sealed between them. It refuses a month that may not be detached.
func (s *Service) ExportMonth(ctx context.Context, w io.Writer, month string) (MonthExport, error) {
	first, err := time.Parse(monthForm, month)
	if err != nil {
		return MonthExport{}, &refusal.Invalid{Field: "month", Reason: "give a month such as 2026-11"}
	}
	months, err := s.Months(ctx)
	if err != nil {
		return MonthExport{}, err
	}
	i := slices.IndexFunc(months, func(m Month) bool { return !m.OfNoMonth && m.First.Equal(first) })
	if i < 0 {
		return MonthExport{}, &refusal.Conflict{Reason: fmt.Sprintf(
			"the database has no rows of %s; `adit audit months` lists the months that it has", month,
		)}
	}
	out := MonthExport{Month: months[i]}
	if err := s.mayDetach(ctx, months[i], months[0]); err != nil {
		return out, err
	}
	d, err := s.detached(ctx)
	if err != nil {
		return out, err
	}
	if out.Before, err = s.headAt(ctx, out.Month.From-1, d.Gone); err != nil {
		return out, err
	}
	buffered := bufio.NewWriter(w)
	lines := json.NewEncoder(buffered)
	out.Head = out.Before
	for link, err := range s.chain(ctx, out.Before.Seq, out.Month.To, d.Gone) {
		if err == nil && link.gone != nil {
			err = lines.Encode(goneLine{link.gone})
		} else if err == nil {
			out.note(link.row)
			err = lines.Encode(link.row)
		}
		if err != nil {
			return out, err
		}
		out.Head = link.head()
	}
	return out, errors.Join(lines.Encode(exportEnd{out.Head.String()}), buffered.Flush())
}

// note takes down a row of the chain that goes with its month, before the head is set on it.
func (x *MonthExport) note(r Row) {
	if r.At.Before(x.Month.First) || !r.At.Before(x.Month.End) {
		return
	}
	if n := len(x.gone); n > 0 && x.gone[n-1].To == r.Seq-1 {
		x.gone[n-1].To, x.gone[n-1].Hash = r.Seq, r.Hash
		return
	}
	x.gone = append(x.gone, GoneRows{From: r.Seq, To: r.Seq, Before: hex.EncodeToString(x.Head.Hash[:]), Hash: r.Hash})
}

// mayDetach refuses a month that others still need, or that is not the oldest.
func (s *Service) mayDetach(ctx context.Context, m, oldest Month) error {
	now, err := s.q.Now(ctx)
	if err != nil {
		return err
	}
	behind, err := s.q.AuditReceiversBehind(ctx, m.To)
	if err != nil {
		return err
	}
	switch {
	case !oldest.OfNoMonth && m.First.After(oldest.First):
		return &refusal.Conflict{
			Reason: fmt.Sprintf("months must be detached in order; the oldest one is %s", oldest),
		}
	case now.Before(m.End.Add(monthRest)):
		return &refusal.Conflict{Reason: fmt.Sprintf("%s can be detached one day after it ends", m)}
	case m.Unsealed > 0:
		return &refusal.Conflict{Reason: fmt.Sprintf(
			"%d rows of %s are not sealed yet; a running ADIT seals them within a second: try again then",
			m.Unsealed, m,
		)}
	case behind > 0:
		return &refusal.Conflict{Reason: fmt.Sprintf(
			"the receiver of the audit messages has not received all rows of %s yet; try again when it has", m,
		)}
	}
	return nil
}

// headAt returns the head at a place of the chain: of its row, or of rows that were detached and end there.
func (s *Service) headAt(ctx context.Context, seq int64, gone []GoneRows) (Head, error) {
	if seq == 0 {
		return Head{}, nil
	}
	for _, g := range gone {
		if g.To == seq {
			return ParseHead(fmt.Sprintf("%d:%s", g.To, g.Hash))
		}
	}
	row, err := s.q.SealedRow(ctx, seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return Head{},
			&refusal.Conflict{Reason: fmt.Sprintf("row %d of the audit log is missing; run `adit audit verify`", seq)}
	}
	if err != nil {
		return Head{}, err
	}
	return Head{Seq: seq, Hash: [32]byte(row.Hash)}, nil
}

// DetachMonth takes a month out of the database whose export was verified and has this hash, and leaves a row in the
// log that the chain goes on by. It seals that row.
func (s *Service) DetachMonth(ctx context.Context, x MonthExport, sha256 string) error {
	before, err := s.detached(ctx)
	if err != nil {
		return err
	}
	d := detached{
		Month: x.Month.String(), Gone: joined(append(before.Gone, x.gone...)),
		Months: append(before.Months, GoneMonth{x.Month.String(), x.Month.Rows, sha256}),
	}
	for try := 1; ; try++ {
		err = s.detach(ctx, x.Month, d)
		if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "55P03" || try == detachTries {
			break
		}
		if err := pause.For(ctx, detachPause); err != nil {
			return err
		}
	}
	if err != nil {
		return fmt.Errorf("%s was not detached; its export stays as it is, and nothing was removed: %w", x.Month, err)
	}
	sealing, cancel := context.WithTimeout(ctx, detachSealing)
	defer cancel()
	for { // by us, or by who runs
		d, err := s.detached(sealing)
		if err != nil || slices.ContainsFunc(
			d.Months, func(m GoneMonth) bool { return m.Month == x.Month.String() && m.SHA256 == sha256 },
		) {
			return err
		}
		if _, err := s.SealOnce(sealing); err != nil {
			return err
		}
		if err := pause.For(sealing, 10*time.Millisecond); err != nil {
			return fmt.Errorf(
				"%s was detached; the row that records this is not sealed yet, but a running ADIT will seal it: %w", x.Month, err,
			)
		}
	}
}

// detach does it: the row that tells of it and the end of the partition are one transaction.
func (s *Service) detach(ctx context.Context, m Month, d detached) error {
	return db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		table := pgx.Identifier{m.partitionOf}.Sanitize()
		if _, err := tx.Exec(
			ctx, "SET LOCAL lock_timeout = '"+detachLock+"'; LOCK TABLE audit IN ACCESS EXCLUSIVE MODE",
		); err != nil {
			return err
		}
		var rows int64
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM "+table).Scan(&rows); err != nil {
			return err
		}
		if rows != m.Rows {
			return &refusal.Conflict{
				Reason: fmt.Sprintf("%s has %d new rows since it was exported; export it again", m, rows-m.Rows),
			}
		}
		if _, err := tx.Exec(ctx, "ALTER TABLE audit DETACH PARTITION "+table+"; DROP TABLE "+table); err != nil {
			return err
		}
		return Record(ctx, s.q.WithTx(tx), Entry{
			Action: ActDetach, Object: "audit log",
			Detail: map[string]any{"month": d.Month, "gone": d.Gone, "months": d.Months},
		})
	})
}

// joined returns runs of rows in their order, those that follow each other as one.
func joined(runs []GoneRows) (out []GoneRows) {
	slices.SortFunc(runs, func(a, b GoneRows) int { return cmp.Compare(a.From, b.From) })
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].To+1 == r.From {
			out[n-1].To, out[n-1].Hash = r.To, r.Hash
			continue
		}
		out = append(out, r)
	}
	return out
}

// AddMonths makes the partitions of this month and of the next three. What is written while there is none of its month
// can't be detached.
func (s *Service) AddMonths(ctx context.Context) error {
	err := db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SET LOCAL lock_timeout = '"+detachLock+"'"); err != nil {
			return err
		}
		return s.q.WithTx(tx).AddAuditMonths(ctx)
	})
	if err != nil {
		return fmt.Errorf("the audit log's partitions for the months to come can't be made: %w", err)
	}
	return nil
}
