// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJobQuotas(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	set := func(body string) { require.Equal(t, 200, s.send("PATCH", "/api/v1/settings", body).StatusCode) }
	create := func(uids ...string) int {
		_, err := s.client.Jobs.Create(t.Context(), transfer(uids...), "")
		return status(err)
	}
	set(`{"max_jobs_per_hour":2,"max_studies":2,"max_series":1}`)
	require.Equal(t, 422, create("1.2.1", "1.2.2", "1.2.3"))
	got := s.send(
		"POST", "/api/v1/jobs",
		`{"kind":"selective_transfer","source":"PACS 1","destination":"PACS 2","studies":[{"study_instance_uid":"1.2.4","series_instance_uids":["1.2.5","1.2.6"]}]}`,
	)
	require.Equal(t, 422, got.StatusCode)
	require.Contains(t, got.body, "series")
	require.Zero(t, create("1.2.1", "1.2.2"))
	require.Zero(t, create("1.2.1"))
	require.NoError(t, s.client.Jobs.Delete(t.Context(), 2))
	require.Equal(t, 429, create("1.2.1"), "what was deleted counts")
	set(`{"max_jobs_per_hour":0,"max_studies":0,"max_series":0}`)
	require.Zero(t, create("1.2.1", "1.2.2", "1.2.3"))
	require.Equal(t, 422, s.send("PATCH", "/api/v1/settings", `{"max_series":-1}`).StatusCode)
}
