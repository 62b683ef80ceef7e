// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// Planned returns queries that PostgreSQL plans anew for the values that they are given. It keeps a plan for any values
// after five times, which for a filter that may be left out is one that walks the whole table.
func (q *Queries) Planned() *Queries { return &Queries{db: planned{q.db}} }

type planned struct{ DBTX }

func (p planned) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return p.DBTX.Query(ctx, sql, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
}
