// SPDX-License-Identifier: AGPL-3.0-or-later

package quickfile_test

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/quickfile"
)

func TestFile(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "ä"), filepath.Join(dir, "b")
	for _, want := range [][]byte{bytes.Repeat([]byte("0123456789"), 100_000), []byte("shorter"), {}} {
		f, err := quickfile.Create(a, 0o640)
		require.NoError(t, err)
		for _, part := range [][]byte{want[:len(want)/3], nil, want[len(want)/3:]} {
			n, err := f.Write(part)
			require.NoError(t, err)
			require.Equal(t, len(part), n)
		}
		require.NoError(t, f.Close())
		require.NoError(t, quickfile.Rename(a, b))
		f, err = quickfile.Open(b)
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
		_, err = f.Read(make([]byte, 1))
		require.Equal(t, io.EOF, err)
		require.NoError(t, f.Close())
		info, err := os.Stat(b)
		require.NoError(t, err)
		require.Zero(t, info.Mode().Perm()&^0o640)
	}
}

func TestFailures(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	_, err := quickfile.Open(missing)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorContains(t, err, missing)
	_, err = quickfile.Open("with\x00zero")
	require.ErrorIs(t, err, syscall.EINVAL)
	_, err = quickfile.Create(filepath.Join(missing, "f"), 0o600)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorIs(t, quickfile.Rename(missing, dir), fs.ErrNotExist)
	require.ErrorIs(t, quickfile.Rename("with\x00zero", dir), syscall.EINVAL)

	f, err := quickfile.Open(dir)
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.EISDIR)
	require.NoError(t, f.Close())
	require.ErrorIs(t, f.Close(), syscall.EBADF)

	f, err = quickfile.Create("/dev/full", 0)
	require.NoError(t, err)
	_, err = f.Write([]byte("x"))
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, f.Close())

	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	f, err = quickfile.Open(pipe) // nobody writes
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, f.Close())
}
