// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/test/harness"
)

// TestServersNow: what holds of all servers is one statement whatever their number, and what each of them would say of
// itself.
func TestServersNow(t *testing.T) {
	asked := &statements{seen: map[string]int{}}
	n := harness.New(t, harness.Config{Idle: true, Trace: asked})
	open := n.AddServer("open", "OPEN", "127.0.0.1:1", nil)
	closed := n.AddServer("closed", "CLOSED", "127.0.0.1:2", nil)
	down := n.AddServer("down", "DOWN", "127.0.0.1:3", nil)
	damaged := n.AddServer("damaged", "DAMAGED", "127.0.0.1:4", nil)
	folder := n.AddFolder("folder", t.TempDir())
	shiftTo(t, n, berlin(t, "2030-06-03 12:00:00"))
	setSchedule(t, n, "closed", night(2))
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "open", true))
	for sql, args := range map[string][]any{
		"UPDATE server_state SET breaker = 'open', breaker_reason = 'It is away.', allowance = 0, probe_at = '2030-06-03T10:05:00Z' WHERE server_id = $1": {down.ID},
		"UPDATE servers SET schedule = '{\"windows\": 1}' WHERE id = $1":                                                                                  {damaged.ID},
		"INSERT INTO association_slots (server_id, use, member_id) SELECT $1, u, gen_random_uuid() FROM unnest(ARRAY['batch', 'batch', 'interactive']) u": {open.ID},
	} {
		_, err := n.Pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}

	asked.reset()
	all, err := n.Engine.Nodes.Now(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"ServerSchedules :many": 1}, asked.reset())
	require.Len(t, all, 4)
	of := map[string]nodes.ServerNow{}
	for _, s := range all {
		of[s.Name] = s
	}
	require.Equal(t, 2, of["open"].BatchInUse)
	require.Equal(t, 1, of["open"].LiveInUse)
	require.True(t, of["open"].Paused)
	require.Equal(t, -1, of["open"].Window)
	require.Positive(t, of["open"].InForce.Batch)
	require.Equal(t, of["open"].At, of["open"].Opens)

	require.Equal(t, schedule.Limits{Interactive: 2}, of["closed"].InForce)
	require.Equal(t, "Europe/Berlin", of["closed"].Zone)
	require.Equal(t, "2030-06-03T20:00:00+02:00", of["closed"].Until.Format(time.RFC3339))
	require.Equal(t, of["closed"].Until, of["closed"].Opens)
	require.False(t, of["closed"].Paused)
	require.Zero(t, of["closed"].BatchInUse)

	require.Equal(t, "It is away.", of["down"].Down)
	require.Zero(t, *of["down"].Takes)
	require.Equal(t, "2030-06-03T10:05:00Z", of["down"].NextProbe.UTC().Format(time.RFC3339))
	require.Empty(t, of["open"].Down)

	require.Positive(t, of["damaged"].InForce.Batch, "what was kept of it")

	one, err := n.Engine.Nodes.Now(t.Context(), closed.ID, folder.ID, 1<<40)
	require.NoError(t, err)
	require.Len(t, one, 1)
	alone, err := n.Engine.Nodes.Schedule(t.Context(), "closed")
	require.NoError(t, err)
	require.Equal(t, one[0].Until, alone.Now.Until)
	require.Equal(t, one[0].InForce, alone.Now.InForce)
}
