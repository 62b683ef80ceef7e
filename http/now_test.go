// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	nethttp "net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestServersNowAreOfThoseWhoMayUseThem: what holds of a server now is told to staff and to those who may use it; why
// it is down to nobody else, whichever address is asked.
func TestServersNowAreOfThoseWhoMayUseThem(t *testing.T) {
	m := newMatrix(t)
	m.addServer("NOW1", "NOW1", nil)
	m.addServer("NOW2", "NOW2", nil)
	user := m.people["user3"]
	m.exec(`INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination)
		SELECT g.id, n.id, false, true FROM groups g, dicom_nodes n WHERE g.name = $1 AND n.name = 'NOW1'`, user.group)
	m.exec(`UPDATE server_state SET breaker = 'open', breaker_reason = 'It is away at secret.invalid.' WHERE server_id IN
		(SELECT id FROM dicom_nodes WHERE name LIKE 'NOW%')`)
	for name, want := range map[string]map[string]bool{
		"user3":  {"NOW1": true, "NOW2": false},
		"staff0": {"NOW1": true, "NOW2": true},
	} {
		var page client.Page[client.ServerNow]
		got := m.ask(row{route: "GET /"}, m.people[name], "/api/v1/servers:now", "")
		require.Equal(t, 200, got.StatusCode, got.body)
		require.NoError(t, json.Unmarshal([]byte(got.body), &page))
		told := map[string]string{}
		for _, s := range page.Items {
			told[s.Name] = s.Down
		}
		for server, may := range want {
			require.Equal(t, may, told[server] != "", "%s, %s", name, server)
			one := m.ask(row{route: "GET /"}, m.people[name], "/api/v1/servers/"+server+"/schedule", "")
			require.Equal(t, 200, one.StatusCode, one.body)
			if may {
				require.Contains(t, one.body, "secret.invalid")
			} else {
				require.NotContains(t, one.body, "secret.invalid")
			}
		}
	}
}

// TestUseIsOfThoseWhoMayUseIt: how a server was used is told to staff and to those who may use it.
func TestUseIsOfThoseWhoMayUseIt(t *testing.T) {
	m := newMatrix(t)
	for name, status := range map[string]int{"user0": 403, "user1": 200, "user2": 403, "staff0": 200, "superuser0": 200} {
		got := m.ask(row{route: "GET /"}, m.people[name], "/api/v1/servers/SRC/use?from=2026-11-01T00:00:00Z&to=2026-11-02T00:00:00Z", "")
		require.Equal(t, status, got.StatusCode, "%s: %s", name, got.body)
		if status == 200 {
			var use client.ServerUse
			require.NoError(t, json.Unmarshal([]byte(got.body), &use))
			require.Empty(t, use.Hours)
			require.Equal(t, 24*time.Hour, use.To.Sub(use.From))
		}
		// user2 may send to DST
		require.Equal(t, name == "user0" || name == "user1", m.ask(
			row{route: "GET /"}, m.people[name], "/api/v1/servers/DST/use", "",
		).StatusCode == nethttp.StatusForbidden, name)
	}
	use, err := m.client.Servers.Use(t.Context(), "SRC", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 28*24*time.Hour, use.To.Sub(use.From))
}
