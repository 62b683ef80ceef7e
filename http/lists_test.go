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
	search := func(more string) [3]string {
		return [3]string{"POST", "/api/v1/servers/PACS/studies:search", `{"study_date_from":"1900-01-01"` + more + `}`}
	}
	get := func(address string) [3]string { return [3]string{"GET", address, ""} }
	for _, c := range []struct {
		request [3]string // method, address, body
		n       int
		cut     bool
	}{
		{search(`,"limit":1`), 1, true},
		{search(`,"limit":5`), 5, true},
		{search(`,"limit":6`), 6, false},
		{search(`,"limit":7`), 6, false},
		{search(""), 5, true}, // by the server's result limit
		{search(`,"limit":1,"modality":"CT,MR,US,DX"`), 1, true},
		{
			search(`,"limit":1,"patient_id":"` + studies[5].Spec.Patient.ID + `"`), 1,
			countOf(studies, studies[5].Spec.Patient.ID) > 1,
		},
		{get("/api/v1/jobs?limit=3"), 3, true},
		{get("/api/v1/jobs?limit=4"), 4, false},
		{get(fmt.Sprintf("/api/v1/jobs/%d/tasks?limit=1", job)), 1, true},
		{get(fmt.Sprintf("/api/v1/jobs/%d/tasks?limit=2", job)), 2, false},
		{get(fmt.Sprintf("/api/v1/tasks/%d/log?limit=3", task)), 3, true},
		{get(fmt.Sprintf("/api/v1/tasks/%d/log?limit=4", task)), 4, false},
		{get("/api/v1/nodes?limit=2"), 2, true},
		{get("/api/v1/nodes?limit=500"), 3, false},
		{get("/api/v1/access?limit=1"), 1, true},
		{get("/api/v1/users?limit=1"), 1, true},
		{get("/api/v1/folders?limit=1"), 0, false},
		{get("/api/v1/servers?limit=1"), 1, true},
	} {
		t.Run(c.request[1]+" "+c.request[2], func(t *testing.T) {
			got := m.send(c.request[0], c.request[1], c.request[2])
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
