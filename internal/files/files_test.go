// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build unix

package files

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWritePrivate: the file is this user's alone, takes the place of another, and leaves nothing beside it, nor when
// it can't be written.
func TestWritePrivate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(path, []byte("old and open"), 0o644))
	require.NoError(t, WritePrivate(path, "new"))
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(text))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	folder := filepath.Join(dir, "folder")
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "full"), 0o700))
	require.Error(t, WritePrivate(folder, "text"))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2)
}

// TestLock: a file is locked for one who has opened it, until that is closed.
func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	open := func() *os.File {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	first, second := open(), open()
	taken, err := Lock(first)
	require.NoError(t, err)
	require.False(t, taken)
	taken, err = Lock(second)
	require.Error(t, err)
	require.True(t, taken)
	require.NoError(t, first.Close())
	_, err = Lock(second)
	require.NoError(t, err)
}
