// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
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

// TestTokenAfterFailedStart: the start that made the token failed before it could say so; the next one names where it is.
func TestTokenAfterFailedStart(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), dbtest.URL(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	require.Contains(t, failedStart(t, dir, "--database-url", url, "--dicom-listen", taken.Addr().String()), "another program listens")
	token, err := os.ReadFile(filepath.Join(dir, tokenFile))
	require.NoError(t, err)

	s := serve(t, dir, "--database-url", url)
	require.Contains(t, s.banner, filepath.Join(dir, tokenFile))
	require.NotContains(t, s.banner, strings.TrimSpace(string(token)), "it is named, not shown")
	out, code := s.adit("token", "revoke", "1")
	require.Zero(t, code, out)
	require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
	s.awaitEnd()
	require.NotContains(t, serve(t, dir, "--database-url", url).banner, tokenFile, "a revoked one opens nothing")
}

// TestSecretsOfTheDataDirectory: a start is refused while others may read the key or the token, or the key is lost.
func TestSecretsOfTheDataDirectory(t *testing.T) {
	dir, url := filepath.Join(t.TempDir(), "data"), dbtest.URL(t)
	s := serve(t, dir, "--database-url", url)
	for _, name := range []string{tokenFile, "secret.key"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Chmod(path, 0o640))
		if name == tokenFile {
			out, code := s.adit("job", "list")
			require.Equal(t, 1, code)
			require.Contains(t, out, "chmod 600 "+path)
			require.NoError(t, s.cmd.Process.Signal(os.Interrupt))
			s.awaitEnd()
		}
		require.Contains(t, failedStart(t, dir, "--database-url", url), "chmod 600 "+path)
		require.NoError(t, os.Chmod(path, 0o600))
	}
	key := filepath.Join(dir, "secret.key")
	require.NoError(t, os.Rename(key, key+".bak"))
	for range 2 {
		require.Contains(t, failedStart(t, dir, "--database-url", url), "Put the file back from your backup")
		require.NoFileExists(t, key)
	}
	require.NoError(t, os.Rename(key+".bak", key))
	serve(t, dir, "--database-url", url)
}
