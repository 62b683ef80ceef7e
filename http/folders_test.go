// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
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
	for path, want := range map[string]int{"/": 403, "/etc/cron.d": 403, "/nowhere": 403, filepath.Join(t.TempDir(), "none"): 422} {
		_, err := other.AddFolder(t.Context(), client.FolderSettings{Name: "F", Path: path})
		require.Equal(t, want, status(err), path)
	}
	_, err = other.AddFolder(t.Context(), client.FolderSettings{Name: "F", Path: t.TempDir()})
	require.NoError(t, err)
}
