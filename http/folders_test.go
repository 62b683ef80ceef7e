// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// Staff adds folders where they belong; elsewhere they learn not even whether there is one.
func TestFolderPlaces(t *testing.T) {
	s := newSite(t)
	other := s.otherUser()
	_, err := s.pool.Exec(t.Context(), `UPDATE users SET is_staff = true WHERE username = 'other'`)
	require.NoError(t, err)
	for path, want := range map[string]int{
		"/": 403, "/etc/cron.d": 403, "/nowhere": 403, filepath.Join(t.TempDir(), "none"): 422,
	} {
		_, err := other.Folders.Add(t.Context(), client.FolderSettings{Name: "F", Path: path})
		require.Equal(t, want, status(err), path)
	}
	dir := t.TempDir()
	for _, name := range []string{"disk/a/b", "other"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o700))
	}
	require.NoError(t, os.Symlink(filepath.Join(dir, "disk"), filepath.Join(dir, "link")))
	_, err = other.Folders.Add(t.Context(), client.FolderSettings{Name: "F", Path: filepath.Join(dir, "disk/a")})
	require.NoError(t, err)
	for path, says := range map[string]string{
		"disk/a": "belongs to another DICOM node", "link/a": "belongs to another DICOM node", "disk": "that of the folder F",
		"disk/a/b": "that of the folder F", "link/a/b": "that of the folder F",
		".": "that of the folder F", "disk/a/../../disk/a/b": "that of the folder F",
	} {
		_, err := other.Folders.Add(t.Context(), client.FolderSettings{Name: "G", Path: dir + "/" + path})
		require.Equal(t, 409, status(err), path)
		require.ErrorContains(t, err, says, path)
	}
	_, err = other.Folders.Add(t.Context(), client.FolderSettings{Name: "G", Path: filepath.Join(dir, "other")})
	require.NoError(t, err)
}
