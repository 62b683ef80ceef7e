// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"net/http"
	"os"
	"path/filepath"
	"regexp"
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

// TestFirstPassword: each start gives the administrator one code until a password was chosen by it, in no log.
func TestFirstPassword(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), dbtest.URL(t)
	var codes []string
	var s *process.Server
	for range 2 {
		s = process.Serve(t, dir, "--database-url", url)
		found := regexp.MustCompile(`password at (\S+)/welcome#([0-9a-f]{40})\n`).FindStringSubmatch(s.Banner)
		require.NotNil(t, found, s.Banner)
		require.Equal(t, s.URL, found[1])
		require.NotContains(t, s.Stderr.String(), found[2])
		codes = append(codes, found[2])
		if len(codes) == 1 {
			require.NoError(t, s.Cmd.Process.Signal(os.Interrupt))
			s.AwaitEnd()
		}
	}
	use := func(code string) int {
		t.Helper()
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Post(
			s.URL+"/api/v1/password-resets:use", "application/json",
			strings.NewReader(`{"code":"`+code+`","password":"staple battery horse","keep_tokens":true}`),
		)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.StatusCode
	}
	require.Equal(t, http.StatusNotFound, use(codes[0]), "the next start has ended it")
	require.Equal(t, http.StatusNoContent, use(codes[1]))
	require.NoError(t, s.Cmd.Process.Signal(os.Interrupt))
	s.AwaitEnd()
	require.NotContains(t, process.Serve(t, dir, "--database-url", url).Banner, "welcome")
}
