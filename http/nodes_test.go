// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestOnlyStaffSeesWhereNodesAre: others get the names of DICOM nodes, what they may do there and whether it is paused,
// and never a host, port, path or AE title: neither from a list nor from a refusal.
func TestOnlyStaffSeesWhereNodesAre(t *testing.T) {
	m := newMatrix(t)
	const host = "pacs-host.invalid"
	m.addServer("HIDDEN", "HIDDEN-AET", func(s *client.ServerSettings) {
		s.Host, s.Port, s.CallingAETitle = host, 10417, "CALLED-SO"
		s.Retrieve.MoveDestination = "MOVED-TO"
	})
	path := t.TempDir()
	_, err := m.client.Folders.Add(t.Context(), client.FolderSettings{Name: "HIDDEN2", Path: path})
	require.NoError(t, err)
	user := m.people["user3"]
	m.exec(`INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination)
		SELECT g.id, n.id, n.kind = 'server', true FROM groups g, dicom_nodes n WHERE g.name = $1 AND n.name LIKE 'HIDDEN%'`, user.group)
	secrets := []string{host, "10417", "HIDDEN-AET", "CALLED-SO", "MOVED-TO", path}

	for _, address := range []string{
		"/api/v1/nodes", "/api/v1/nodes?limit=1&cursor=1", "/api/v1/nodes/HIDDEN",
		"/api/v1/nodes/hidden2", "/api/v1/servers", "/api/v1/folders",
		"/api/v1/servers/HIDDEN/schedule",
		"/api/v1/servers/HIDDEN/studies:search", "/api/v1/me", "/api/v1/stats",
	} {
		method, body := "GET", ""
		if strings.HasSuffix(address, ":search") {
			method, body = "POST", `{"patient_id":"HOSPITAL-4711"}`
		}
		got := m.ask(row{route: method + " " + address}, user, address, body)
		for _, secret := range secrets {
			require.NotContains(t, got.body, secret, address)
		}
	}
	var node struct {
		Kind        string `json:"kind"`
		Source      bool   `json:"source"`
		Destination bool   `json:"destination"`
	}
	for name, want := range map[string]string{"HIDDEN": "server: true, true", "HIDDEN2": "folder: false, true"} {
		got := m.ask(row{route: "GET /"}, user, "/api/v1/nodes/"+name, "")
		require.NoError(t, json.Unmarshal([]byte(got.body), &node))
		require.Equal(t, want, fmt.Sprintf("%s: %t, %t", node.Kind, node.Source, node.Destination), got.body)
	}
	staff := m.ask(row{route: "GET /"}, m.people["staff0"], "/api/v1/nodes/HIDDEN", "")
	require.Contains(t, staff.body, host, "staff administers them")
	require.Contains(t, staff.body, `"source":false`, "which doesn't let it read from them")
}

// TestChecksAreRateLimited: what tries whether a host answers is for staff, in the audit log, and no tool to scan a
// network with.
func TestChecksAreRateLimited(t *testing.T) {
	m := newMatrix(t)
	check := row{route: "POST /"}
	for _, name := range []string{"user3", "owner3"} {
		require.Equal(t, 403, m.ask(check, m.people[name], "/api/v1/nodes/SRC:check", "").StatusCode)
	}
	staff := m.people["staff0"]
	for i := range 200 {
		got := m.ask(check, staff, "/api/v1/nodes/SRC:check", "")
		if got.StatusCode == nethttp.StatusTooManyRequests {
			require.GreaterOrEqual(t, i, 20, "people at work don't meet the limit")
			require.NotEmpty(t, got.Header.Get("Retry-After"))
			require.Equal(t, int64(i), m.one(`SELECT count(*) FROM audit WHERE action = 'server.check'`))
			require.Equal(
				t, 200, m.ask(check, m.people["superuser0"], "/api/v1/nodes/SRC:check", "").StatusCode,
				"it is each one's own",
			)
			return
		}
		require.Equal(t, 200, got.StatusCode, got.body)
	}
	t.Fatal("200 checks at once, and nobody minds")
}
