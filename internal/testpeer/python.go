// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// Python returns the interpreter of the environment that scripts/setup makes for a package of tests, with what its
// requirements.txt names. The test must run in that package.
func Python(t testing.TB, name string) string {
	t.Helper()
	return PythonProgram(t, name, "python")
}

// PythonProgram returns a program that the packages of that environment brought.
func PythonProgram(t testing.TB, name, program string) string {
	t.Helper()
	list, err := os.ReadFile("requirements.txt")
	require.NoError(t, err)
	path := filepath.Join(cached(t, name, list), "bin", program)
	require.FileExists(t, path, "the Python packages of this test are missing: run make setup")
	return path
}

// PythonOf returns that of the package in a folder, for a program that runs at the top of the repository.
func PythonOf(folder string) (string, error) {
	list, err := os.ReadFile(filepath.Join(folder, "requirements.txt"))
	if err != nil {
		return "", err
	}
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(cacheOf(caches, filepath.Base(folder), list), "bin", "python"), nil
}
