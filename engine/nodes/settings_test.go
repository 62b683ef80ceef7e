// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// TestColumnsHaveTheDefaults: a server that was there before a setting has the setting's default by the migration.
func TestColumnsHaveTheDefaults(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	_, err := n.Pool.Exec(t.Context(), `
		INSERT INTO dicom_nodes (name, kind) VALUES ('OLD', 'server');
		INSERT INTO servers (id, ae_title, host, port) SELECT id, 'OLD', 'localhost', 104 FROM dicom_nodes;
		INSERT INTO server_state (server_id) SELECT id FROM servers`)
	require.NoError(t, err)
	node, err := n.Engine.Nodes.ByName(t.Context(), "OLD")
	require.NoError(t, err)
	want := nodes.Defaults()
	want.Name, want.AETitle, want.Host, want.Port = "OLD", "OLD", "localhost", 104
	want.Retrieve.Methods, want.Retrieve.OtherAETitles, want.Retrieve.AddressRanges = []string{}, []string{}, []string{}
	want.Rules.RefusedSOPClasses = []string{}
	require.Equal(t, want, node.Settings())
}

// TestAuditNamesWhatChanged: what is not given is the default, and is named only if it was something else.
func TestAuditNamesWhatChanged(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("pacs", "PACS", "127.0.0.1:1", func(s *nodes.NewServer) {
		s.Rules.YoungStudy, s.Retrieve.MovePatience = new(time.Hour), 1500*time.Millisecond
	})
	for _, tt := range []struct {
		change func(*nodes.NewServer)
		want   []string
	}{
		{func(*nodes.NewServer) {}, []string{}},
		{func(s *nodes.NewServer) { s.Port, s.Verify, s.TLS = 2, nodes.Verify{}, nodes.TLS{} }, []string{"Port"}},
		{func(s *nodes.NewServer) { s.Retrieve.MovePatience = 1900 * time.Millisecond }, []string{}},
		{
			func(s *nodes.NewServer) { s.Rules, s.Retrieve = nodes.Rules{}, nodes.Retrieve{} },
			[]string{"Retrieve.MovePatience", "Rules.YoungStudy"},
		},
		{func(s *nodes.NewServer) { s.Retrieve.AddAddressRanges = []string{"10.0.0.1"} }, []string{"Retrieve.AddressRanges"}},
		{func(s *nodes.NewServer) { s.Retrieve.OtherAETitles = []string{" A "} }, []string{"Retrieve.OtherAETitles"}},
		{func(s *nodes.NewServer) { s.Retrieve.OtherAETitles = []string{"A "} }, []string{}},
	} {
		_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "pacs", func(s *nodes.NewServer) error {
			tt.change(s)
			return nil
		})
		require.NoError(t, err)
		rows, err := n.People.Audit().List(t.Context(), audit.Filter{Action: "server.change", Limit: 1})
		require.NoError(t, err)
		var detail struct {
			Fields []string `json:"fields"`
		}
		require.NoError(t, json.Unmarshal([]byte(rows[0].Detail), &detail))
		require.Equal(t, tt.want, detail.Fields)
	}
}
