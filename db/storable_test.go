// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// Whatever bytes a value from outside has, the statement is done, and what can be kept is kept.
func TestAnyTextIsStored(t *testing.T) {
	ctx := t.Context()
	pool, err := db.Open(ctx, dbtest.URL(t), db.Options{})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	for _, value := range []string{"plain ä", "1.2\x00\xff3", "\xc3\x28", "a\x1b[2Jb", "\xed\xa0\x80", "one\n\ttwo"} {
		var one, pointed string
		var many []string
		err := pool.QueryRow(
			ctx, `SELECT $1::text, $2::text, $3::text[]`, value, &value, []string{"first", value},
		).Scan(&one, &pointed, &many)
		require.NoError(t, err, "%q", value)
		require.Equal(t, one, pointed)
		require.Equal(t, []string{"first", one}, many)
		require.NoError(t, db.New(pool).CountUnsolicited(ctx, db.CountUnsolicitedParams{
			Server: "S", SopClassUid: value, Instances: 1,
		}), "%q", value)
	}
	var kept string
	require.NoError(t, pool.QueryRow(ctx, `SELECT $1::jsonb->>'a'`, []byte(`{"a":"x\u0000\\u0000y"}`)).Scan(&kept))
	require.Equal(t, `x`+"\ufffd"+`\u0000y`, kept)
	var raw []byte
	require.NoError(t, pool.QueryRow(ctx, `SELECT $1::bytea`, []byte("\x00\xff\\u0000")).Scan(&raw))
	require.Equal(t, []byte("\x00\xff\\u0000"), raw, "bytes stay as they are")
	rows, err := db.New(pool).ListUnsolicited(ctx, db.ListUnsolicitedParams{Max: 100})
	require.NoError(t, err)
	require.NotEmpty(t, rows)
}
