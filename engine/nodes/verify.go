// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
)

// The ways of verifying that a destination has what it acknowledged.
const (
	VerifyNone       = "none"
	VerifyPresence   = "presence"   // it lists the instances by C-FIND or QIDO-RS
	VerifyCommitment = "commitment" // it takes over the responsibility for them (storage commitment, PS3.4 annex J)
)

// loadVerify reads what a server keeps beside its row: how deliveries to it are verified, and what goes from it
// straight to where.
func (n *DICOMNode) loadVerify(ctx context.Context, q *db.Queries) (err error) {
	if n.Verify, err = verifyOf(ctx, q, n.ID); err != nil {
		return err
	}
	n.Direct, err = directOf(ctx, q, n.ID)
	return err
}

func (v *Verify) put(ctx context.Context, q *db.Queries, server int64) error {
	if v.Method == VerifyNone {
		return q.DeleteServerVerification(ctx, server)
	}
	return q.PutServerVerification(ctx, db.PutServerVerificationParams{
		ServerID: server, Method: v.Method, PatienceS: int32(v.Patience / time.Second),
	})
}

func verifyOf(ctx context.Context, q *db.Queries, server int64) (Verify, error) {
	row, err := q.GetServerVerification(ctx, server)
	if errors.Is(err, pgx.ErrNoRows) {
		return Defaults().Verify, nil
	}
	return Verify{Method: row.Method, Patience: time.Duration(row.PatienceS) * time.Second}, err
}

// checkDirect drops what is switched off.
func checkDirect(direct map[string]string) check {
	c := check{
		true, "retrieve.direct",
		"an AE title has 1 to 16 ASCII characters, without a backslash; an empty one switches it off",
	}
	for name, title := range direct {
		if title = trimBlanks(title); title == "" {
			delete(direct, name)
			continue
		}
		direct[name] = title
		c.ok = c.ok && fault.ValidAE(title)
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
			return &refusal.Invalid{
				Field: "retrieve.direct", Reason: fmt.Sprintf("there is no other server named %q", name),
			}
		}
		if err != nil {
			return err
		}
		if err := q.InsertDirectMove(ctx, db.InsertDirectMoveParams{
			SourceID: source, DestinationID: n.ID, AeTitle: direct[name],
		}); err != nil {
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
