// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFolderMark: folders of files are told by these bytes for ever.
func TestFolderMark(t *testing.T) {
	var k Key
	for i := range k {
		k[i] = byte(i)
	}
	require.Equal(t, "721d6688fca8b209108b1448b3b5e5c8", k.FolderMark("key"))
	require.NotEqual(t, k.FolderMark("key"), Key{}.FolderMark("key"))
	require.NotEqual(t, k.FolderMark("key"), k.FolderMark("kez"))
}
