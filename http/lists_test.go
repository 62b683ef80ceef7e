// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestCutListsSaySo: an answer that doesn't hold all of it says so.
func TestCutListsSaySo(t *testing.T) {
	studies := phantom.DemoStudies()[:6]
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	m := newMatrix(t)
	host, port, err := net.SplitHostPort(p.Addr())
	require.NoError(t, err)
	m.addServer("PACS", "PACS", func(s *client.ServerSettings) {
		s.Host, s.ResultLimit = host, len(studies)-1
		s.Port, err = strconv.Atoi(port)
		require.NoError(t, err)
	})
	job, task := m.makeJob("success", m.people["owner3"])
	for range 3 {
		m.makeJob("success", m.people["owner3"])
	}
	m.exec(`INSERT INTO task_log (task_id, line) SELECT $1, 'line' FROM generate_series(1, 4)`, task)
	search := "/api/v1/servers/PACS/studies?study_date_from=19000101"
	for _, c := range []struct {
		address string
		n       int
		cut     bool
	}{
		{search + "&limit=1", 1, true},
		{search + "&limit=5", 5, true},
		{search + "&limit=6", 6, false},
		{search + "&limit=7", 6, false},
		{search, 5, true}, // by the server's result limit
		{search + "&limit=1&modality=CT,MR,US,DX", 1, true},
		{search + "&limit=1&patient_id=" + studies[5].Spec.Patient.ID, 1, countOf(studies, studies[5].Spec.Patient.ID) > 1},
		{"/api/v1/jobs?limit=3", 3, true},
		{"/api/v1/jobs?limit=4", 4, false},
		{fmt.Sprintf("/api/v1/jobs/%d/tasks?limit=1", job), 1, true},
		{fmt.Sprintf("/api/v1/jobs/%d/tasks?limit=2", job), 2, false},
		{fmt.Sprintf("/api/v1/tasks/%d/log?limit=3", task), 3, true},
		{fmt.Sprintf("/api/v1/tasks/%d/log?limit=4", task), 4, false},
		{"/api/v1/nodes?limit=2", 2, true},
		{"/api/v1/nodes?limit=500", 3, false},
		{"/api/v1/access?limit=1", 1, true},
		{"/api/v1/users?limit=1", 1, true},
		{"/api/v1/folders?limit=1", 0, false},
		{"/api/v1/servers?limit=1", 1, true},
	} {
		t.Run(c.address, func(t *testing.T) {
			got := m.send("GET", c.address, "")
			require.Equal(t, 200, got.StatusCode, got.body)
			var page struct {
				Items     []json.RawMessage `json:"items"`
				Truncated *bool             `json:"truncated"`
			}
			require.NoError(t, json.Unmarshal([]byte(got.body), &page))
			require.Len(t, page.Items, c.n)
			require.NotNil(t, page.Truncated, "it is always said")
			require.Equal(t, c.cut, *page.Truncated)
		})
	}
}

func countOf(studies []*phantom.Study, patient string) (n int) {
	for _, s := range studies {
		if s.Spec.Patient.ID == patient {
			n++
		}
	}
	return n
}
