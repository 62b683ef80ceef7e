// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/test/process"
)

// TestTooManyPasswordsOnEveryMember: ten wrong passwords, some here and some there, keep the account locked on both of
// two processes.
func TestTooManyPasswordsOnEveryMember(t *testing.T) {
	dir := t.TempDir()
	key, url := filepath.Join(dir, "key"), dbtest.URL(t)
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("5a", 32)), 0o600))
	members := []*process.Server{
		process.Serve(t, filepath.Join(dir, "one"), "--database-url", url, "--secret-key-file", key),
		process.Serve(t, filepath.Join(dir, "two"), "--database-url", url, "--secret-key-file", key),
	}
	login := func(s *process.Server, password string) *http.Response {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(
			s.URL+"/api/v1/session", "application/json",
			strings.NewReader(`{"username":"admin","password":"`+password+`"}`),
		)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	file := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(file, []byte("staple battery horse\n"), 0o600))
	out, code := members[0].Adit("user", "password", "admin", "--password-file", file)
	require.Zero(t, code, out)
	require.Equal(
		t, http.StatusOK, login(members[1], "staple battery horse").StatusCode, "a session begins on any member",
	)
	for i := range 10 {
		require.Equal(t, http.StatusUnauthorized, login(members[i%2], "a wrong secret").StatusCode)
	}
	for _, n := range members {
		refused := login(n, "staple battery horse")
		require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
	}
}
