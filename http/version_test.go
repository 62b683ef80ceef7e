// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"encoding/json"
	"fmt"
	nethttp "net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestNobodyOverwrites: of two changes of what both have seen, one is made, and the other is refused.
func TestNobodyOverwrites(t *testing.T) {
	m := newMatrix(t)
	server, group, user, folder := newServer(m, person{})[0], newGroup(m, person{})[0], newUser(m, person{})[0],
		newFolder(m, person{})[0]
	job := newJob("pending")(m, m.people["owner3"])[0]
	project := newProject(m, m.people["owner3"])[0]
	_, err := m.client.Workers.Set(t.Context(), "machine", client.WorkerSchedule{Default: 2})
	require.NoError(t, err)
	for _, c := range []struct{ read, method, body string }{
		{"/api/v1/servers/" + server, "PATCH", `{"port":%d}`},
		{"/api/v1/servers/" + server + "/schedule", "PUT", `{"default":{"batch":%d,"interactive":2}}`},
		{"/api/v1/folders/" + folder, "PATCH", `{"quota_gb":%d}`},
		{"/api/v1/groups/" + group, "PATCH", `{"permissions":["explorer"]}`},
		{"/api/v1/users/" + user, "PATCH", `{"phone":"%d"}`},
		{"/api/v1/projects/" + strings.ReplaceAll(project, " ", "%20"), "PATCH", `{"description":"%d"}`},
		{"/api/v1/jobs/" + job, "PATCH", `{"priority":%d}`},
		{"/api/v1/workers/machine/schedule", "PUT", `{"default":%d}`},
		{"/api/v1/settings", "PATCH", `{"keep_mails":%d}`},
		{"/api/v1/announcement", "PUT", `{"text":"number %d"}`},
	} {
		t.Run(c.read, func(t *testing.T) {
			fill := func(n int) string { return strings.ReplaceAll(c.body, "%d", strconv.Itoa(n)) }
			got := m.send("GET", c.read, "")
			require.Equal(t, 200, got.StatusCode, got.body)
			tag := got.Header.Get("ETag")
			require.NotEmpty(t, tag)
			require.Equal(t, tag, m.send("GET", c.read, "").Header.Get("ETag"))
			stale := m.send(c.method, c.read, fill(7), "If-Match", `"other"`)
			require.Equal(t, 412, stale.StatusCode, stale.body)
			require.Equal(t, client.CodeChangedMeanwhile, stale.problem(t).Code)

			answers := make([]reply, 2)
			var both sync.WaitGroup
			for i := range answers {
				both.Go(func() { answers[i] = m.send(c.method, c.read, fill(5+i), "If-Match", tag) })
			}
			both.Wait()
			won := answers[0]
			if won.StatusCode != nethttp.StatusOK {
				won = answers[1]
			}
			statuses := []int{answers[0].StatusCode, answers[1].StatusCode}
			require.ElementsMatch(t, []int{200, 412}, statuses, answers[0].body+answers[1].body)
			require.NotEqual(t, tag, won.Header.Get("ETag"))
		})
	}
	tag := m.send("GET", "/api/v1/settings", "").Header.Get("ETag")
	again := m.send("GET", "/api/v1/settings", "", "If-None-Match", tag)
	require.Equal(t, nethttp.StatusNotModified, again.StatusCode)
	require.Empty(t, again.body)
	require.Equal(t, 200, m.send("GET", "/api/v1/settings", "", "If-None-Match", `"other"`).StatusCode)
}

// TestOrders: a list comes in the order that it was asked for, over all its pages, and no cursor begins it anew.
func TestOrders(t *testing.T) {
	m := newMatrix(t)
	for _, status := range []string{"success", "pending", "failure", "success", "canceled"} {
		m.makeJob(status, m.people["owner3"])
	}
	for _, sort := range []string{"id", "created_at", "started_at", "ended_at", "priority", "status"} {
		up, err := collect(m.client.Jobs.List(t.Context(), client.JobFilter{Sort: sort, Limit: 2}))
		require.NoError(t, err, sort)
		down, err := collect(m.client.Jobs.List(t.Context(), client.JobFilter{Sort: "-" + sort, Limit: 2}))
		require.NoError(t, err, sort)
		require.Len(t, up, 5)
		for i, job := range up {
			require.Equal(t, job.ID, down[4-i].ID, sort)
		}
	}
	filter := client.JobFilter{Status: "failure,canceled", Owner: "OWNER3", Source: "src"}
	some, err := collect(m.client.Jobs.List(t.Context(), filter))
	require.NoError(t, err)
	require.Len(t, some, 2)
	none, err := collect(m.client.Jobs.List(t.Context(), client.JobFilter{Source: "nowhere"}))
	require.NoError(t, err)
	require.Empty(t, none)
	for _, address := range []string{
		"/api/v1/jobs?cursor=4294967296", fmt.Sprintf("/api/v1/jobs/%d/tasks?cursor=4294967296", some[0].ID),
		fmt.Sprintf("/api/v1/jobs/%d/tasks?cursor=eyJzIjoic2VxIiwiayI6NDI5NDk2NzI5Nn0", some[0].ID),
		"/api/v1/access?cursor=1-2x", "/api/v1/users?cursor=99999999999999999999",
	} {
		got := m.send("GET", address, "")
		require.Equal(t, 422, got.StatusCode, address+got.body)
		require.Equal(t, "cursor", got.problem(t).Errors[0].Field, address)
	}
}

// TestPlacesOfTasks: a place of a job names one task, and what is skipped is left out of the first page only.
func TestPlacesOfTasks(t *testing.T) {
	m := newMatrix(t)
	job, _ := m.makeJob("pending", m.people["owner3"])
	m.exec(`INSERT INTO tasks (job_id, seq, study_instance_uid, status)
		SELECT $1, n, '1.2.' || n, CASE WHEN n % 2 = 0 THEN 'failure' ELSE 'success' END FROM generate_series(11, 20) n`, job)
	for name, tt := range map[string]struct {
		filter client.TaskFilter
		want   []int
	}{
		"one place":                {client.TaskFilter{Seq: 13}, []int{13}},
		"of another status":        {client.TaskFilter{Seq: 13, Status: "failure"}, nil},
		"no such place":            {client.TaskFilter{Seq: 21}, nil},
		"a jump, and more pages":   {client.TaskFilter{Skip: 2, Limit: 2, Status: "failure"}, []int{16, 18, 20}},
		"a jump from the end":      {client.TaskFilter{Skip: 8, Limit: 2, Sort: "-seq"}, []int{12, 11, 2, 1}},
		"a jump of several":        {client.TaskFilter{Skip: 7, Limit: 1, Status: "failure,success"}, []int{18, 19, 20}},
		"a jump beyond the end":    {client.TaskFilter{Skip: 1_000_000}, nil},
		"a jump past the only one": {client.TaskFilter{Skip: 1, Seq: 13}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			tasks, err := collect(m.client.Tasks.List(t.Context(), job, tt.filter))
			require.NoError(t, err)
			var got []int
			for _, task := range tasks {
				got = append(got, task.Seq)
			}
			require.Equal(t, tt.want, got)
		})
	}
	tasks := fmt.Sprintf("/api/v1/jobs/%d/tasks", job)
	var first client.Page[client.Task]
	require.NoError(t, json.Unmarshal([]byte(m.send("GET", tasks+"?limit=1&skip=1", "").body), &first))
	for address, field := range map[string]string{
		"?skip=1&cursor=" + first.NextCursor: "skip", "?skip=1000001": "skip", "?skip=-1": "skip",
		"?seq=0": "seq", "?seq=2147483648": "seq",
	} {
		got := m.send("GET", tasks+address, "")
		require.Equal(t, 422, got.StatusCode, address+got.body)
		require.Equal(t, field, got.problem(t).Errors[0].Field, address)
	}
}

// TestRightsBeforeVersions: somebody without the right learns nothing of versions.
func TestRightsBeforeVersions(t *testing.T) {
	m := newMatrix(t)
	for _, method := range []string{"PATCH", "DELETE"} {
		for _, tag := range []string{`"other"`, "*"} {
			r := m.send(
				method, "/api/v1/users/admin", map[string]string{"PATCH": `{"phone":"1"}`}[method],
				"Authorization", "Token "+m.people["staff3"].token, "If-Match", tag,
			)
			require.Equal(t, 403, r.StatusCode, "%s %s: %s", method, tag, r.body)
		}
	}
}

// TestVersionOfJobs: each job has a version of its own, which changes with what people do to it.
func TestVersionOfJobs(t *testing.T) {
	m := newMatrix(t)
	seen := map[string]bool{}
	tag := func(id string) {
		t.Helper()
		tag := m.send("GET", "/api/v1/jobs/"+id, "").Header.Get("ETag")
		require.NotEmpty(t, tag)
		require.False(t, seen[tag], "a version that was there before")
		seen[tag] = true
	}
	one, other := newJob("pending")(m, m.people["owner3"])[0], newJob("pending")(m, m.people["owner3"])[0]
	tag(one)
	tag(other)
	require.Equal(t, 200, m.send("POST", "/api/v1/jobs/"+one+":pause", "").StatusCode)
	tag(one)
	require.Equal(t, 200, m.send("POST", "/api/v1/jobs/"+one+":cancel", "").StatusCode)
	tag(one)
}
