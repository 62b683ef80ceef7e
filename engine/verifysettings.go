// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
)

// The ways of verifying that a destination has what it acknowledged.
const (
	VerifyNone       = "none"
	VerifyPresence   = "presence"   // it lists the instances by C-FIND
	VerifyCommitment = "commitment" // it takes over the responsibility for them (storage commitment, PS3.4 annex J)
)

// DefaultVerifyPatience is the patience with a destination that names no other.
const DefaultVerifyPatience = 10 * time.Minute

// Verify says how deliveries to a server are verified. A folder needs none: a file counts as delivered when it is whole, synced and
// renamed.
type Verify struct {
	Method   string        // empty: VerifyNone
	Patience time.Duration // until what is not verified by then is called unverified; 10 min when 0
}

func (v *Verify) checks(s Supports) []check {
	return []check{
		{slices.Contains([]string{"", VerifyNone, VerifyPresence, VerifyCommitment}, v.Method), "verify.method", "must be none, presence or commitment"},
		{v.Method != VerifyPresence || s.StudyRootFind || s.PatientRootFind, "verify.method", "presence is asked for by C-FIND, which this server doesn't support"},
		{v.Patience >= 0 && v.Patience <= 24*time.Hour, "verify.patience", "must be between one second and one day"},
	}
}

// putVerify takes over how deliveries are verified, and what goes straight to where.
func (s *NewServer) putVerify(ctx context.Context, q *db.Queries, server int64) error {
	if err := s.Verify.put(ctx, q, server); err != nil {
		return err
	}
	return putDirect(ctx, q, server, s.Retrieve.Direct)
}

// loadVerify reads the same.
func (n *DICOMNode) loadVerify(ctx context.Context, q *db.Queries) (err error) {
	if n.Verify, err = verifyOf(ctx, q, n.ID); err != nil {
		return err
	}
	n.Direct, err = directOf(ctx, q, n.ID)
	return err
}

func (v *Verify) put(ctx context.Context, q *db.Queries, server int64) error {
	if v.Method == "" || v.Method == VerifyNone {
		return q.DeleteServerVerification(ctx, server)
	}
	return q.PutServerVerification(ctx, db.PutServerVerificationParams{
		ServerID: server, Method: v.Method, PatienceS: int32(max(1, orDefault(v.Patience, DefaultVerifyPatience)/time.Second)),
	})
}

func verifyOf(ctx context.Context, q *db.Queries, server int64) (Verify, error) {
	row, err := q.GetServerVerification(ctx, server)
	if errors.Is(err, pgx.ErrNoRows) {
		return Verify{Method: VerifyNone, Patience: DefaultVerifyPatience}, nil
	}
	return Verify{Method: row.Method, Patience: time.Duration(row.PatienceS) * time.Second}, err
}

// checkDirect drops what is switched off.
func checkDirect(direct map[string]string) check {
	c := check{true, "retrieve.direct", reasonAE + "; an empty one switches it off"}
	for name, title := range direct {
		if title = strings.Trim(title, " "); title == "" {
			delete(direct, name)
			continue
		}
		direct[name] = title
		c.ok = c.ok && validAE(title)
	}
	return c
}

// putDirect takes over the AE titles under which a source sends straight to destinations, by their names.
func putDirect(ctx context.Context, q *db.Queries, source int64, direct map[string]string) error {
	if err := q.DeleteDirectMoves(ctx, source); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(direct)) {
		n, err := q.GetDicomNodeByName(ctx, name)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && (n.Kind != "server" || n.ID == source) {
			return &Invalid{Field: "retrieve.direct", Reason: fmt.Sprintf("there is no other server named %q", name)}
		}
		if err != nil {
			return err
		}
		if err := q.InsertDirectMove(ctx, db.InsertDirectMoveParams{SourceID: source, DestinationID: n.ID, AeTitle: direct[name]}); err != nil {
			return err
		}
	}
	return nil
}

func directOf(ctx context.Context, q *db.Queries, source int64) (map[string]string, error) {
	rows, err := q.ListDirectMoves(ctx, source)
	if err != nil || len(rows) == 0 {
		return nil, err
	}
	direct := map[string]string{}
	for _, row := range rows {
		direct[row.Name] = row.AeTitle
	}
	return direct, nil
}
