// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestLook: what somebody has moved to look at it is expected by the other members while the C-MOVE is under way, known
// to be late afterwards, and ends with the member.
func TestLook(t *testing.T) {
	n := newIdle(t)
	ctx := t.Context()
	from := n.AddServer("pacs", "PACS", "127.0.0.1:1", nil)
	join(t, n, uuid.New(), "other")
	join(t, n, uuid.New(), "one") // the slots are in its name now
	expecting := func(id uint16, study string) int {
		t.Helper()
		moves, err := n.Engine.Receive.Expecting(ctx, "other:7201", []int64{from.ID}, id, study)
		require.NoError(t, err)
		for _, m := range moves {
			require.Equal(t, "one:7201", m.ActorAddr)
		}
		return len(moves)
	}
	late := func(id uint16) bool {
		t.Helper()
		known, err := n.Engine.Nodes.KnowsMove(ctx, []int64{from.ID}, id, "")
		require.NoError(t, err)
		return known
	}
	id, end, err := n.Engine.Retrieve.BeginLook(ctx, from, "1.2.3")
	require.NoError(t, err)
	require.Equal(t, 1, expecting(id, ""))
	require.Equal(t, 1, expecting(0, "1.2.3"))
	require.Zero(t, expecting(id+1, "1.2.4"))
	require.False(t, late(id))
	require.NoError(t, n.Engine.Lease.Tidy(ctx))
	require.Equal(t, 1, expecting(id, ""), "it ended with the housekeeping")

	end()
	require.Zero(t, expecting(id, "1.2.3"))
	require.True(t, late(id))

	id, _, err = n.Engine.Retrieve.BeginLook(ctx, from, "1.2.3")
	require.NoError(t, err)
	_, err = n.Pool.Exec(ctx, "UPDATE members SET fenced_at = now() WHERE name = 'one'")
	require.NoError(t, err)
	require.Zero(t, expecting(id, ""))
	require.NoError(t, n.Engine.Lease.Tidy(ctx))
	require.True(t, late(id))
}
