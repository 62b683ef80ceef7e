// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Once makes a job by a function, in its transaction, unless a request with the same key and content has made it within
// 24 hours; hash is that of the content. An empty key makes it in any case. It returns the ID of the job.
func (svc *Service) Once(
	ctx context.Context, user people.User, key string, hash []byte, insert func(q *db.Queries) (int64, error),
) (id int64, err error) {
	return id, svc.InTx(ctx, func(q *db.Queries) (err error) {
		if key == "" {
			id, err = insert(q)
			return err
		}
		if id, err = earlierJob(ctx, q, user, key, hash); err != nil || id != 0 {
			return err
		}
		if id, err = insert(q); err != nil {
			return err
		}
		n, err := q.PutIdempotencyKey(ctx, db.PutIdempotencyKeyParams{
			UserID: user.ID, Key: key, BodySha256: hash, JobID: id,
		})
		if err == nil && n == 0 { // another request with the same key won
			return &refusal.Conflict{
				Reason: "ADIT is still handling another request with this Idempotency-Key; try again in a moment",
			}
		}
		return err
	})
}

// earlierJob returns the job that was made under the same key, 0 if there is none.
func earlierJob(ctx context.Context, q *db.Queries, user people.User, key string, hash []byte) (int64, error) {
	if err := q.DeleteOldIdempotencyKeys(ctx); err != nil {
		return 0, err
	}
	row, err := q.GetIdempotencyKey(ctx, db.GetIdempotencyKeyParams{UserID: user.ID, Key: key})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if string(row.BodySha256) != string(hash) {
		return 0, keyUsed()
	}
	return row.JobID, nil
}

func keyUsed() error {
	return &refusal.Invalid{
		Field:  "Idempotency-Key",
		Reason: "another request used the same key within the last 24 hours; use a new key for a new job",
	}
}

// checkOutside refuses a job outside the windows of its servers to those who may not make one.
func (svc making) checkOutside(ctx context.Context, user people.User, outside bool) error {
	if !outside {
		return nil
	}
	return svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{people.UrgentOutsideWindows}})
}
