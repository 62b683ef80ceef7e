// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
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

// TestUseOfHours: how a server was used is told of whole hours, of the last four weeks if no time is named.
func TestUseOfHours(t *testing.T) {
	s := newSite(t)
	s.addServer("SRC", "SRC", nil)
	from := time.Date(2026, time.November, 1, 0, 0, 0, 0, time.UTC)
	use, err := s.client.Servers.Use(t.Context(), "SRC", from, from.Add(24*time.Hour))
	require.NoError(t, err)
	require.Empty(t, use.Hours)
	require.Equal(t, 24*time.Hour, use.To.Sub(use.From))
	use, err = s.client.Servers.Use(t.Context(), "SRC", time.Time{}, time.Time{})
	require.NoError(t, err)
	require.Equal(t, 28*24*time.Hour, use.To.Sub(use.From))
	far := time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)
	_, err = s.client.Servers.Use(t.Context(), "SRC", time.Time{}, far)
	require.Equal(t, 422, status(err))
}
