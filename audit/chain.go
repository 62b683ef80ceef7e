// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

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
	"github.com/adit-go/adit/internal/refusal"
)

// Head is the last row of the audit chain at some time. Anyone who keeps one can prove later that nothing before it was
// changed, removed or cut off.
type Head struct {
	Seq  int64 // of the row; 0: the chain is empty
	Hash [sha256.Size]byte
}

// String returns a head as ParseHead takes it: SEQ:HASH, the hash in hexadecimal.
func (h Head) String() string { return fmt.Sprintf("%d:%x", h.Seq, h.Hash) }

// ParseHead reads SEQ:HASH.
func ParseHead(text string) (Head, error) {
	number, digits, _ := strings.Cut(strings.TrimSpace(text), ":")
	seq, err := strconv.ParseInt(number, 10, 64)
	hash, hexErr := hex.DecodeString(digits)
	if err != nil || hexErr != nil || seq < 0 || len(hash) != sha256.Size {
		return Head{}, &refusal.Invalid{
			Field: "head",
			Reason: "a head of the audit log has the form NUMBER:HASH, the hash in 64 hexadecimal digits, as `adit " +
				"audit export` writes it in its last line",
		}
	}
	return Head{Seq: seq, Hash: [sha256.Size]byte(hash)}, nil
}

// chainVersion begins what is hashed of a row.
const chainVersion = "adit audit 1"

// encode returns what is hashed of a row: its fields as netstrings (the length in bytes in decimal, a colon, the bytes,
// a comma), in this order: chainVersion, seq, id, at in microseconds since 1970 UTC, user_id, username, via, peer,
// action, object, patient_id, study_uid, source, destination, profile, profile_sha256, detail; then the hash of the row
// before in 64 lower-case hexadecimal digits (of the first row: zeros). Numbers are in decimal, texts in UTF-8.
// docs/admin.md describes it for auditors; the encoding never changes, a second one would have another first field.
func encode(row db.Audit, seq int64, before [sha256.Size]byte) []byte {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var out bytes.Buffer
	for _, field := range []string{
		chainVersion, number(seq), number(row.ID), number(row.At.UnixMicro()),
		number(row.UserID), row.Username, row.Via, row.Peer, row.Action,
		row.Object, row.PatientID, row.StudyUid, row.Source,
		row.Destination, row.Profile, row.ProfileSha256, row.Detail,
		hex.EncodeToString(before[:]),
	} {
		fmt.Fprintf(&out, "%d:%s,", len(field), field)
	}
	return out.Bytes()
}

// next returns the head after a row.
func (h Head) next(row db.Audit) Head {
	return Head{Seq: h.Seq + 1, Hash: sha256.Sum256(encode(row, h.Seq+1, h.Hash))}
}

// Service reads the audit log and chains what is written to it. It is safe for concurrent use, and by several
// processes.
type Service struct {
	pool *pgxpool.Pool
	q    *db.Queries
}

// New returns the audit log of a migrated database.
func New(pool *pgxpool.Pool) *Service {
	return &Service{pool: pool, q: db.New(pool)}
}

const (
	sealPause = 400 * time.Millisecond // rows are sealed within a second of their commit
	restPause = 5 * time.Second        // where somebody tells that there are rows
	sealBatch = 500                    // rows in one transaction
)

// Seal chains rows as they are committed, until the context ends. Every process may run it: a lock in the database
// chooses who seals. told says that rows were committed; if it is nil, Seal looks for itself all the time.
func (s *Service) Seal(ctx context.Context, log *slog.Logger, told <-chan struct{}) {
	rest := sealPause
	if told != nil {
		rest = restPause
	}
	tick := time.NewTicker(rest)
	defer tick.Stop()
	failing := false
	var months time.Time // when those to come were last seen to
	for {
		if time.Since(months) >= monthsPause {
			months = time.Now()
			if err := s.AddMonths(ctx); err != nil && ctx.Err() == nil {
				log.WarnContext(
					ctx, "the audit log can't be prepared for the coming months; ADIT tries again in an hour",
					"error", err,
				)
			}
		}
		n, err := s.SealOnce(ctx)
		if err != nil && ctx.Err() == nil && !failing {
			log.ErrorContext(
				ctx, "the audit log can't be sealed; its rows are kept, and ADIT tries again", "error", err,
			)
		}
		failing = err != nil
		if n == sealBatch {
			continue
		}
		select {
		case <-tick.C:
		case <-told:
		case <-ctx.Done():
			return
		}
	}
}

// SealOnce chains up to sealBatch rows that are committed and not in the chain yet, in the order of their IDs, and
// gives how many. None if another process is about it. A row of a lower ID that is committed later comes later in the
// chain: the place in the chain is the sealer's.
func (s *Service) SealOnce(ctx context.Context) (n int, err error) {
	if waiting, err := s.q.AnyUnsealedAudit(ctx); err != nil || !waiting {
		return 0, err
	}
	err = db.InTx(ctx, s.pool, func(tx pgx.Tx) error {
		n, err = seal(ctx, s.q.WithTx(tx))
		return err
	})
	return n, err
}

// seal chains rows in a transaction. What it reads, it reads after it got the lock: each statement sees what is
// committed by then.
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
		p.Ids, p.Seqs, p.Hashes = append(p.Ids, row.ID), append(p.Seqs, head.Seq),
			append(p.Hashes, bytes.Clone(head.Hash[:]))
	}
	n, err := q.SealAudit(ctx, p)
	if err == nil && n != int64(len(rows)) {
		err = fmt.Errorf("only %d of %d rows of the audit log could be sealed; run `adit audit verify`", n, len(rows))
	}
	if err != nil {
		return 0, err
	}
	return len(rows), q.PutAuditHead(ctx, db.PutAuditHeadParams{Seq: head.Seq, Hash: head.Hash[:]})
}

// Head returns the last row of the chain, as the sealer left it.
func (s *Service) Head(ctx context.Context) (Head, error) { return headOf(ctx, s.q) }

func headOf(ctx context.Context, q *db.Queries) (Head, error) {
	row, err := q.AuditHead(ctx)
	if err != nil {
		return Head{}, fmt.Errorf("the head of the audit log can't be read: %w", err)
	}
	return Head{Seq: row.Seq, Hash: [sha256.Size]byte(row.Hash)}, nil
}
