// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Python returns the interpreter of the environment that scripts/setup makes for a package of tests, with what its
// requirements.txt names. The test must run in that package.
func Python(t testing.TB, name string) string {
	t.Helper()
	list, err := os.ReadFile("requirements.txt")
	require.NoError(t, err)
	caches, err := os.UserCacheDir()
	require.NoError(t, err)
	sum := sha256.Sum256(list)
	path := filepath.Join(caches, "adit", name+"-"+hex.EncodeToString(sum[:8]), "bin", "python")
	require.FileExists(t, path, "the Python packages of this test are missing: run make setup")
	return path
}
