// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// failedStart starts a server that can't start, and gives what it says.
func failedStart(t *testing.T, dir string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	args = append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.Error(t, err)
	return string(out)
}

// TestTokenAfterFailedStart: the start that made the token failed before it could say so; the next one names where it
// is.
func TestTokenAfterFailedStart(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), dbtest.URL(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	require.Contains(
		t, failedStart(t, dir, "--database-url", url, "--dicom-listen", taken.Addr().String()),
		"another program listens",
	)
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)

	s := process.Serve(t, dir, "--database-url", url)
	require.Contains(t, s.Banner, filepath.Join(dir, server.TokenFile))
	require.NotContains(t, s.Banner, strings.TrimSpace(string(token)), "it is named, not shown")
	out, code := s.Adit("token", "revoke", "1")
	require.Zero(t, code, out)
	require.NoError(t, s.Cmd.Process.Signal(os.Interrupt))
	s.AwaitEnd()
	require.NotContains(
		t, process.Serve(t, dir, "--database-url", url).Banner, server.TokenFile, "a revoked one opens nothing",
	)
}

// TestSecretsOfTheDataDirectory: a start is refused while others may read the key or the token, or the key is lost.
func TestSecretsOfTheDataDirectory(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), dbtest.URL(t)
	s := process.Serve(t, dir, "--database-url", url)
	for _, name := range []string{server.TokenFile, "secret.key"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Chmod(path, 0o640))
		if name == server.TokenFile {
			out, code := s.Adit("job", "list")
			require.Equal(t, 1, code)
			require.Contains(t, out, "chmod 600 "+path)
			require.NoError(t, s.Cmd.Process.Signal(os.Interrupt))
			s.AwaitEnd()
		}
		require.Contains(t, failedStart(t, dir, "--database-url", url), "chmod 600 "+path)
		require.NoError(t, os.Chmod(path, 0o600))
	}
	key := filepath.Join(dir, "secret.key")
	require.NoError(t, os.Rename(key, key+".bak"))
	for range 2 {
		require.Contains(t, failedStart(t, dir, "--database-url", url), "Restore the file from your backup")
		require.NoFileExists(t, key)
	}
	require.NoError(t, os.Rename(key+".bak", key))
	for path, mode := range map[string]os.FileMode{
		dir: 0o777, filepath.Dir(dir): 0o757, filepath.Join(dir, "quarantine"): 0o703,
	} {
		require.NoError(t, os.MkdirAll(path, 0o700))
		before, err := os.Stat(path)
		require.NoError(t, err)
		require.NoError(t, os.Chmod(path, mode))
		require.Contains(t, failedStart(t, dir, "--database-url", url), "chmod go-w "+path)
		require.NoError(t, os.Chmod(path, before.Mode()))
	}
	process.Serve(t, dir, "--database-url", url)
}
