// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dicognito is the folder below the user's caches that scripts/setup makes; the version stands there, too.
const dicognito = "adit/dicognito-0.19.0"

// Dicognito returns the paths of the DICOM files that dicognito tests itself with, each content once.
func Dicognito(t testing.TB) (paths []string) {
	t.Helper()
	root := os.Getenv("ADIT_DICOGNITO_DATA")
	if root == "" {
		caches, err := os.UserCacheDir()
		require.NoError(t, err)
		root = filepath.Join(caches, filepath.FromSlash(dicognito))
	}
	require.DirExists(t, root, "the DICOM files of dicognito's tests are missing: run make setup, or unpack its "+
		"source package and name the folder tests/orig_data in ADIT_DICOGNITO_DATA")
	seen := map[[sha256.Size]byte]bool{}
	files := os.DirFS(root)
	require.NoError(t, fs.WalkDir(files, ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".dcm") {
			return err
		}
		b, err := fs.ReadFile(files, path)
		if sum := sha256.Sum256(b); err == nil && !seen[sum] {
			seen[sum] = true
			paths = append(paths, filepath.Join(root, path))
		}
		return err
	}))
	return paths
}
