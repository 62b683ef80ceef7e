// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// probe is what Writable writes. A temporary table that is emptied at the end of each transaction takes room on the
// database's disk anew each time, leaves no trace in the log of changes or for vacuum, and is made once per session.
var probe = []string{
	`SET LOCAL temp_tablespaces = ''`,
	`SET LOCAL client_min_messages = warning`,
	`CREATE TEMPORARY TABLE IF NOT EXISTS adit_probe (filler text) ON COMMIT DELETE ROWS`,
	`INSERT INTO adit_probe SELECT repeat('x', 2000) FROM generate_series(1, 128)`,
}

// Writable tries whether the database can write: it may be read-only, or its disk may be full. Reading tells neither.
func Writable(ctx context.Context, conn Beginner) error {
	err := InTx(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range probe {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return nil
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42501" {
		return nil // it may make no temporary tables: then nobody can say
	}
	if err != nil {
		return fmt.Errorf("try whether the database can write: %w", err)
	}
	return nil
}
