// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestWaitTellsWhatWasLeftOut: a job that ended well still names the tasks that left something out.
func TestWaitTellsWhatWasLeftOut(t *testing.T) {
	tasks := []client.Task{
		{ID: 1, JobID: 7, Status: client.Success, Message: "25 instances transferred, 13.1 MB."},
		{ID: 2, JobID: 7, Status: client.Success, Message: "9 instances transferred, 4.7 MB. Series of modality SR left out (1 instance)."},
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any = client.Page[client.Task]{Items: tasks}
		if r.URL.Path == "/api/v1/tasks/2" {
			answer = tasks[1]
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithHTTPClient(srv.Client()))
	require.NoError(t, err)
	for _, status := range []string{client.Success, client.Failure} {
		var out strings.Builder
		w := &waiting{
			client: c, out: &out,
			id: 7, job: client.Job{ID: 7, Status: status},
		}
		err := w.result(t.Context())
		require.Equal(t, status == client.Success, err == nil)
		require.Contains(t, out.String(), "Series of modality SR left out (1 instance).")
		require.NotContains(t, out.String(), "Task 1:")
	}
}

// TestRemarkable: the end of a transfer tells of successes that left something out, or found it there.
func TestRemarkable(t *testing.T) {
	for message, want := range map[string]bool{
		"":                                   false,
		"25 instances transferred, 13.1 MB.": false,
		"25 instances transferred, 13.1 MB. Series of modality SR left out (1 instance).":      true,
		"25 instances transferred, 13.1 MB; 2 instances were at the destination already.":      true,
		"25 instances transferred, 13.1 MB. 3 instances left out: rejected for quality.":       true,
		"0 instances transferred, 0 B. The source also sent 1 instance of other series, which": true,
	} {
		require.Equal(t, want, remarkable(message), message)
	}
}
