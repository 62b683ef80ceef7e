// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestAPIUse: staff sees who asked for what by which token, and how much of it failed; nothing of the requests is kept.
func TestAPIUse(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addUser(client.NewUser{Username: "reader", Groups: []string{"Radiology"}})
	require.NoError(t, s.people.Use.Flush(ctx))
	_, err := s.pool.Exec(ctx, "DELETE FROM api_use")
	require.NoError(t, err)

	cookie := "adit_session=" + s.as("POST", "/api/v1/session", login("reader", password)).Cookies()[0].Value
	for range 3 {
		require.Equal(t, 200, s.as("GET", "/api/v1/me", "", "Cookie", cookie).StatusCode)
	}
	require.Equal(t, 403, s.as("GET", "/api/v1/users", "", "Cookie", cookie).StatusCode)
	require.Equal(t, 422, s.as("POST", "/api/v1/jobs", `{"kind":"`+secret+`"}`, "Cookie", cookie).StatusCode)
	require.Equal(t, 401, s.as("GET", "/api/v1/me", "").StatusCode, "nobody, who is not counted")
	require.Equal(t, 404, s.send("GET", "/api/v1/jobs/99", "").StatusCode)
	_, err = s.pool.Exec(ctx, "ALTER TABLE groups RENAME TO away")
	require.NoError(t, err)
	require.Equal(t, 500, s.send("GET", "/api/v1/groups", "").StatusCode)
	_, err = s.pool.Exec(ctx, "ALTER TABLE away RENAME TO groups")
	require.NoError(t, err)
	require.NoError(t, s.people.Use.Flush(ctx))

	got := map[string]client.APIUse{}
	for u, err := range s.client.Users.Use(ctx, client.UseFilter{}) {
		require.NoError(t, err)
		require.Equal(t, time.Now().UTC().Format(time.DateOnly), u.Day)
		require.False(t, u.Last.IsZero())
		got[u.Username+" "+u.Operation] = u
	}
	require.Len(t, got, 5)
	me := got["reader get-me"]
	require.EqualValues(t, 3, me.Requests)
	require.Zero(t, me.TokenID)
	require.Positive(t, me.Bytes)
	require.EqualValues(t, 1, got["reader list-users"].ClientErrors)
	require.EqualValues(t, 1, got["reader create-job"].ClientErrors)
	job := got["admin get-job"]
	require.EqualValues(t, 1, job.ClientErrors)
	require.Equal(t, "made at the first start", job.Token)
	require.NotZero(t, job.TokenID)
	require.EqualValues(t, 1, got["admin list-groups"].ServerErrors)

	var of []string
	filter := client.UseFilter{Username: "READER", From: "2026-01-01", To: "9999-12-31"}
	for u, err := range s.client.Users.Use(ctx, filter) {
		require.NoError(t, err)
		of = append(of, u.Operation)
	}
	require.ElementsMatch(t, []string{"get-me", "list-users", "create-job"}, of)
	for path, field := range map[string]string{
		"?from=2026-13-01": "from", "?to=yesterday": "to", "?user=nobody": "user", "?cursor=x": "cursor",
	} {
		r := s.send("GET", "/api/v1/api-use"+path, "")
		require.Equal(t, 422, r.StatusCode, path)
		require.Equal(t, field, r.problem(t).Errors[0].Field)
	}
	require.Equal(t, 403, s.as("GET", "/api/v1/api-use", "", "Cookie", cookie).StatusCode)

	var kept string
	require.NoError(t, s.pool.QueryRow(ctx, "SELECT string_agg(a::text, ' ') FROM api_use a").Scan(&kept))
	require.NotContains(t, kept, "127.0.0.1")
	require.NotContains(t, kept, secret)
}
