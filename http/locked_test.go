// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// TestLockedSectionGoesOn: while a section is locked nobody but staff sets anything of it going, be it new or begun
// before; what takes back is free.
func TestLockedSectionGoesOn(t *testing.T) {
	m := newMatrix(t)
	type act struct {
		route, state, body string
		task               bool
	}
	begins := map[string]act{
		"retry":               {route: "POST /api/v1/jobs/{id}:retry", state: "failure"},
		"resume":              {route: "POST /api/v1/jobs/{id}:resume", state: "canceled"},
		"continue":            {route: "POST /api/v1/jobs/{id}:continue", state: "paused"},
		"urgent":              {route: "PATCH /api/v1/jobs/{id}", state: "pending", body: `{"urgent":true}`},
		"outside windows":     {route: "PATCH /api/v1/jobs/{id}", state: "pending", body: `{"urgent":true,"outside_windows":true}`},
		"reset of a failure":  {route: "POST /api/v1/tasks/{id}:reset", state: "failure", task: true},
		"reset of a success":  {route: "POST /api/v1/tasks/{id}:reset", state: "success", task: true},
		"reset of a canceled": {route: "POST /api/v1/tasks/{id}:reset", state: "canceled", task: true},
	}
	free := map[string]act{
		"cancel":           {route: "POST /api/v1/jobs/{id}:cancel", state: "pending"},
		"pause":            {route: "POST /api/v1/jobs/{id}:pause", state: "pending"},
		"delete":           {route: "DELETE /api/v1/jobs/{id}", state: "pending"},
		"delete of a task": {route: "DELETE /api/v1/tasks/{id}", state: "pending", task: true},
		"look":             {route: "GET /api/v1/jobs/{id}", state: "failure"},
		"not urgent":       {route: "PATCH /api/v1/jobs/{id}", state: "pending", body: `{"urgent":false}`},
	}
	ask := func(t *testing.T, a act, who person) reply {
		t.Helper()
		m.t = t
		on := newJob(a.state)
		if a.task {
			on = newTask(a.state)
		}
		r := row{route: a.route}
		_, pattern, _ := strings.Cut(a.route, " ")
		return m.ask(r, who, fill(pattern, on(m, m.people["owner3"])), a.body)
	}
	for name, a := range begins {
		t.Run(name, func(t *testing.T) {
			m.t = t
			m.lock(people.SelectiveTransfer)
			got := ask(t, a, m.people["owner3"])
			require.Equal(t, 403, got.StatusCode, got.body)
			require.Contains(t, got.problem(t).Detail, `"selective transfer" is locked`)
			require.Equal(t, client.CodeLocked, got.problem(t).Code)
			got = ask(t, a, m.people["staff3"])
			require.Equal(t, 200, got.StatusCode, got.body)
			m.lock(people.Explorer, people.MassTransfer) // others
			got = ask(t, a, m.people["owner3"])
			require.Equal(t, 200, got.StatusCode, got.body)
		})
	}
	for name, a := range free {
		t.Run(name, func(t *testing.T) {
			m.t = t
			m.lock(people.SelectiveTransfer)
			got := ask(t, a, m.people["owner3"])
			require.Less(t, got.StatusCode, 300, got.body)
		})
	}
	m.t = t
	m.lock(people.SelectiveTransfer)
	me := row{route: "GET /api/v1/me"}
	require.Contains(t, m.ask(me, m.people["owner3"], "/api/v1/me", "").body, `"locked_sections":["selective_transfer"]`)
	require.NotContains(t, m.ask(me, m.people["staff3"], "/api/v1/me", "").body, "locked_sections")
}
