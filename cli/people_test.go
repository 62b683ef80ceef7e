// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
)

// TestTooManyPasswordsOnEveryNode: ten wrong passwords, some here and some there, keep the account locked on both of two processes.
func TestTooManyPasswordsOnEveryNode(t *testing.T) {
	dir := t.TempDir()
	key, url := filepath.Join(dir, "key"), dbtest.URL(t)
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("5a", 32)), 0o600))
	nodes := []*serving{
		serve(t, filepath.Join(dir, "one"), "--database-url", url, "--secret-key-file", key),
		serve(t, filepath.Join(dir, "two"), "--database-url", url, "--secret-key-file", key),
	}
	login := func(s *serving, password string) *http.Response {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(s.url+"/api/v1/session", "application/json", strings.NewReader(`{"username":"admin","password":"`+password+`"}`))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp
	}
	file := filepath.Join(dir, "password")
	require.NoError(t, os.WriteFile(file, []byte("staple battery horse\n"), 0o600))
	out, code := nodes[0].adit("user", "password", "admin", "--password-file", file)
	require.Zero(t, code, out)
	require.Equal(t, http.StatusOK, login(nodes[1], "staple battery horse").StatusCode, "a session begins on any node")
	for i := range 10 {
		require.Equal(t, http.StatusUnauthorized, login(nodes[i%2], "a wrong secret").StatusCode)
	}
	for _, n := range nodes {
		refused := login(n, "staple battery horse")
		require.Equal(t, http.StatusTooManyRequests, refused.StatusCode)
		require.NotEmpty(t, refused.Header.Get("Retry-After"))
	}
}
