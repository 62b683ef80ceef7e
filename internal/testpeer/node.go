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

// Node returns the folder of the npm packages that scripts/setup installs by the lock file in a folder of the package
// of tests, in which the test must run.
func Node(t testing.TB, folder, name string) string {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	require.NoError(t, err)
	path := cached(t, name, lock)
	require.DirExists(t, path, "the npm packages of this test are missing: run make setup")
	return filepath.Join(path, "node_modules")
}

// cached is a folder that scripts/setup makes, and calls by the sum of the list of what is in it.
func cached(t testing.TB, name string, list []byte) string {
	t.Helper()
	caches, err := os.UserCacheDir()
	require.NoError(t, err)
	return cacheOf(caches, name, list)
}

func cacheOf(caches, name string, list []byte) string {
	sum := sha256.Sum256(list)
	return filepath.Join(caches, "adit", name+"-"+hex.EncodeToString(sum[:8]))
}
