// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/adit-go/adit/db"
)

// Head is the last row of the audit chain at some time. Whoever keeps one can prove later that nothing before it was changed, removed or
// cut off.
type Head struct {
	Seq  int64 // of the row; 0: the chain is empty
	Hash [sha256.Size]byte
}

// String gives a head as ParseHead takes it: SEQ:HASH, the hash in hexadecimal.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.Hash) }

// ParseHead reads SEQ:HASH.
func ParseHead(text string) (Head, error) {
	number, digits, _ := strings.Cut(strings.TrimSpace(text), ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	hash, hexErr := hex.DecodeString(digits)
	if err != nil || hexErr != nil || seq < 0 || len(hash) != sha256.Size {
		return Head{}, &Invalid{Field: "head", Reason: "a head of the audit log has the form NUMBER:HASH, the hash in 64 hexadecimal digits, as `adit audit export` writes it in its last line"}
	}
	return Head{Seq: seq, Hash: [sha256.Size]byte(hash)}, nil
}

// chainVersion begins what is hashed of a row.
const chainVersion = "adit audit 1"

// encode gives what is hashed of a row: its fields as netstrings (the length in bytes in decimal, a colon, the bytes, a comma), in this order:
// chainVersion, seq, id, at in microseconds since 1970 UTC, user_id, username, via, peer, action, object, patient_id, study_uid, source,
// destination, profile, profile_sha256, detail; then the hash of the row before in 64 lower-case hexadecimal digits (of the first row: zeros).
// Numbers are in decimal, texts in UTF-8. docs/admin.md tells the same to auditors; the encoding never changes, a second one would have
// another first field.
func encode(row db.Audit, seq int64, before [sha256.Size]byte) []byte {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var out bytes.Buffer
	for _, field := range []string{
		chainVersion, number(seq), number(row.ID), number(row.At.UnixMicro()), number(row.UserID), row.Username, row.Via, row.Peer, row.Action,
		row.Object, row.PatientID, row.StudyUid, row.Source, row.Destination, row.Profile, row.ProfileSha256, row.Detail,
		hex.EncodeToString(before[:]),
	} {
		fmt.Fprintf(&out, "%d:%s,", len(field), field)
	}
	return out.Bytes()
}

// next gives the head after a row.
func (h Head) next(row db.Audit) Head {
	return Head{Seq: h.Seq + 1, Hash: sha256.Sum256(encode(row, h.Seq+1, h.Hash))}
}

// Audit reads the audit log and chains what is written to it. It is safe for concurrent use, and by several processes.
type Audit struct {
	pool *pgxpool.Pool
	q    *db.Queries
}

// NewAudit gives the audit log of a migrated database.
func NewAudit(pool *pgxpool.Pool) *Audit {
	return &Audit{pool: pool, q: db.New(pool)}
}

const (
	sealPause = 400 * time.Millisecond // rows are sealed within a second of their commit
	sealBatch = 500                    // rows in one transaction
)

// Seal chains rows as they are committed, until the context ends. Every process may run it: a lock in the database chooses who seals.
func (a *Audit) Seal(ctx context.Context, log *slog.Logger) {
	tick := time.NewTicker(sealPause)
	defer tick.Stop()
	failing := false
	var months time.Time // when those to come were last seen to
	for {
		if time.Since(months) >= monthsPause {
			months = time.Now()
			if err := a.AddMonths(ctx); err != nil && ctx.Err() == nil {
				log.WarnContext(ctx, "the audit log is not ready for the months to come; it is tried again in an hour", "error", err)
			}
		}
		n, err := a.SealOnce(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			log.ErrorContext(ctx, "the audit log can't be sealed; its rows are kept, and sealing is tried again", "error", err)
		}
		failing = err != nil
		if n == sealBatch {
			continue
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// SealOnce chains up to sealBatch rows that are committed and not in the chain yet, in the order of their IDs, and gives how many. None if
// another process is about it. A row of a lower ID that is committed later comes later in the chain: the place in the chain is the sealer's.
func (a *Audit) SealOnce(ctx context.Context) (n int, err error) {
	if waiting, err := a.q.AnyUnsealedAudit(ctx); err != nil || !waiting {
		return 0, err
	}
	err = db.InTx(ctx, a.pool, func(tx pgx.Tx) error {
		n, err = seal(ctx, a.q.WithTx(tx))
		return err
	})
	return n, err
}

// seal chains rows in a transaction. What it reads, it reads after it got the lock: each statement sees what is committed by then.
func seal(ctx context.Context, q *db.Queries) (int, error) {
	if ours, err := q.LockAuditChain(ctx); err != nil || !ours {
		return 0, err
	}
	head, err := headOf(ctx, q)
	if err != nil {
		return 0, err
	}
	rows, err := q.UnsealedAudit(ctx, sealBatch)
	if err != nil || len(rows) == 0 {
		return 0, err
	}
	var p db.SealAuditParams
	for _, row := range rows {
		head = head.next(row)
		p.Ats = append(p.Ats, row.At)
		p.Ids, p.Seqs, p.Hashes = append(p.Ids, row.ID), append(p.Seqs, head.Seq), append(p.Hashes, bytes.Clone(head.Hash[:]))
	}
	n, err := q.SealAudit(ctx, p)
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("%d of %d rows of the audit log could be sealed; run `adit audit verify`", n, len(rows))
	}
	if err != nil {
		return 0, err
	}
	return len(rows), q.PutAuditHead(ctx, db.PutAuditHeadParams{Seq: head.Seq, Hash: head.Hash[:]})
}

// Head gives the last row of the chain, as the sealer left it.
func (a *Audit) Head(ctx context.Context) (Head, error) { return headOf(ctx, a.q) }

func headOf(ctx context.Context, q *db.Queries) (Head, error) {
	row, err := q.AuditHead(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("the head of the audit log can't be read: %w", err)
	}
	return Head{Seq: row.Seq, Hash: [sha256.Size]byte(row.Hash)}, nil
}

// AuditFilter chooses rows of the audit log. Empty fields match everything.
type AuditFilter struct {
	StudyUID, PatientID string // exact
	Username            string // in any case of letters
	Action              string
	From, Until         time.Time // from the first one on, before the second
	Before              int64     // only rows with a lower ID; 0: from the newest
	Limit               int
}

// List gives rows of the audit log, the newest first, sealed or not.
func (a *Audit) List(ctx context.Context, f AuditFilter) ([]AuditRow, error) {
	p := db.ListAuditParams{
		StudyUid: given(f.StudyUID), PatientID: given(f.PatientID), Username: given(f.Username), Action: given(f.Action),
		Before: given(f.Before), Most: int32(f.Limit),
	}
	rows, err := a.list(ctx, p, given(f.From), given(f.Until))
	if err != nil {
		return nil, err
	}
	out := make([]AuditRow, len(rows))
	for i, row := range rows {
		out[i] = auditRow(row)
	}
	return out, nil
}

// list is a page of the log, in the order of time where only a part of that is asked for: no index leads to it otherwise.
func (a *Audit) list(ctx context.Context, p db.ListAuditParams, from, until *time.Time) ([]db.Audit, error) {
	if from == nil && until == nil {
		return a.q.Planned().ListAudit(ctx, p)
	}
	return a.q.Planned().ListAuditBetween(ctx, db.ListAuditBetweenParams{
		StudyUid: p.StudyUid, PatientID: p.PatientID, Username: p.Username, Action: p.Action, FromTime: from, UntilTime: until, Before: p.Before, Most: p.Most,
	})
}

// given turns a zero value into nothing.
func given[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}

// Audit gives the audit log.
func (s *Service) Audit() *Audit { return NewAudit(s.pool) }

// ReadAudit is List for staff. Who reads the log leaves a row in it (PS3.15 A.5.3.2).
func (s *Service) ReadAudit(ctx context.Context, user User, f AuditFilter) ([]AuditRow, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.Audit().List(ctx, f)
	if err != nil {
		return nil, err
	}
	return rows, Record(ctx, s.q, Entry{
		Action: "audit.read", Object: "audit log", PatientID: f.PatientID, StudyUID: f.StudyUID, Detail: map[string]any{"user": f.Username, "action": f.Action},
	})
}
