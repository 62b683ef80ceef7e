// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
)

// TestForeignKeysHaveIndexes: an index begins with the columns of each foreign key, so that what it points at can be
// deleted without a walk over all that may point there.
func TestForeignKeysHaveIndexes(t *testing.T) {
	rows, err := dbtest.New(t).Query(t.Context(), `
		SELECT c.conrelid::regclass || ' (' || (SELECT string_agg(a.attname, ', ' ORDER BY a.attnum) FROM pg_attribute a
		                                         WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey)) || ')'
		FROM pg_constraint c
		WHERE c.contype = 'f' AND c.connamespace = 'public'::regnamespace AND NOT EXISTS (
		    SELECT FROM pg_index i
		    CROSS JOIN LATERAL (SELECT (string_to_array(i.indkey::text, ' ')::smallint[])[1:least(i.indnkeyatts, cardinality(c.conkey))] AS first) k
		    WHERE i.indrelid = c.conrelid AND i.indisvalid AND i.indpred IS NULL AND k.first <@ c.conkey
		      AND (cardinality(k.first) = cardinality(c.conkey) OR i.indisunique))
		ORDER BY 1`)
	require.NoError(t, err)
	bare, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Empty(t, bare)
}
