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

var creators = map[string]func(dir string, perm fs.FileMode) (*quickfile.File, error){
	"without a name": quickfile.CreateUnnamed, "with one": quickfile.CreateNamed,
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	names := []string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestWriteAndRead(t *testing.T) {
	for name, create := range creators {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "sub", "ä")
			for _, want := range [][]byte{bytes.Repeat([]byte("0123456789"), 100_000), []byte("in its place"), {}} {
				f, err := create(dir, 0o640)
				require.NoError(t, err)
				a, b := want[:len(want)/3], want[len(want)/3:len(want)/2]
				n, err := f.WriteBoth(a, b)
				require.NoError(t, err)
				require.Equal(t, len(a)+len(b), n)
				for _, part := range [][]byte{nil, want[n:]} {
					n, err := f.WriteBoth(nil, part)
					require.NoError(t, err)
					require.Equal(t, len(part), n)
				}
				if err := f.Name(path); err != nil { // as for the first one
					require.ErrorIs(t, err, fs.ErrNotExist)
					require.NoError(t, os.Mkdir(filepath.Dir(path), 0o750))
					require.NoError(t, f.Name(path))
				}
				require.Equal(t, []string{"sub"}, names(t, dir))
				require.Equal(t, []string{"ä"}, names(t, filepath.Dir(path)))

				f, err = quickfile.Open(path)
				require.NoError(t, err)
				got, err := io.ReadAll(f)
				require.NoError(t, err)
				require.Equal(t, string(want), string(got))
				_, err = f.Read(make([]byte, 1))
				require.Equal(t, io.EOF, err)
				at, err := f.Seek(-int64(len(want)/4), io.SeekCurrent)
				require.NoError(t, err)
				require.EqualValues(t, len(want)-len(want)/4, at)
				got, err = io.ReadAll(f)
				require.NoError(t, err)
				require.Equal(t, string(want[at:]), string(got))
				require.NoError(t, f.Close())
				info, err := os.Stat(path)
				require.NoError(t, err)
				require.Zero(t, info.Mode().Perm()&^0o640)
			}
		})
	}
}

func TestNothingIsLeft(t *testing.T) {
	for name, create := range creators {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			f, err := create(dir, 0o600)
			require.NoError(t, err)
			_, err = f.WriteBoth(nil, []byte("half"))
			require.NoError(t, err)
			require.ErrorIs(t, f.Name(filepath.Join(dir, "missing", "f")), fs.ErrNotExist)
			require.NoError(t, f.Close())
			require.Empty(t, names(t, dir))
		})
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
	for _, create := range creators {
		_, err = create(missing, 0o600)
		require.ErrorIs(t, err, fs.ErrNotExist)
		f, err := create(dir, 0o600)
		require.NoError(t, err)
		require.ErrorIs(t, f.Name("with\x00zero"), syscall.EINVAL)
		require.NoError(t, f.Close())
	}

	f, err := quickfile.Open(dir)
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.EISDIR)
	_, err = f.Seek(-1, io.SeekStart)
	require.ErrorIs(t, err, syscall.EINVAL)
	require.NoError(t, f.Close())

	readable := filepath.Join(dir, "readable")
	require.NoError(t, os.WriteFile(readable, nil, 0o600))
	f, err = quickfile.Open(readable)
	require.NoError(t, err)
	_, err = f.WriteBoth(nil, []byte("x"))
	require.ErrorIs(t, err, syscall.EBADF)
	require.ErrorContains(t, err, readable)
	require.NoError(t, f.Close())

	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	f, err = quickfile.Open(pipe) // nobody writes
	require.NoError(t, err)
	_, err = f.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, f.Close())
}

// TestNamedMakesItsOwn: what lies under the name of a file that is to be written is neither emptied nor followed.
func TestNamedMakesItsOwn(t *testing.T) {
	for name, plant := range map[string]func(path, target string) error{
		"a file":            func(path, _ string) error { return os.WriteFile(path, []byte("theirs"), 0o600) },
		"a hard link":       func(path, target string) error { return os.Link(target, path) },
		"a symbolic link":   func(path, target string) error { return os.Symlink(target, path) },
		"a link to nothing": func(path, target string) error { return os.Symlink(target+"-new", path) },
		"a folder":          func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir, elsewhere := t.TempDir(), t.TempDir()
			target := filepath.Join(elsewhere, "precious")
			require.NoError(t, os.WriteFile(target, []byte("precious"), 0o600))
			planted := quickfile.NextNamed(dir)
			require.NoError(t, plant(planted, target))

			f, err := quickfile.CreateNamed(dir, 0o600)
			require.NoError(t, err)
			_, err = f.WriteBoth([]byte("ours"), nil)
			require.NoError(t, err)
			require.NoError(t, f.Name(filepath.Join(dir, "out")))
			text, err := os.ReadFile(target)
			require.NoError(t, err)
			require.Equal(t, "precious", string(text))
			require.Equal(t, []string{"precious"}, names(t, elsewhere))
			require.Equal(t, []string{filepath.Base(planted), "out"}, names(t, dir))
		})
	}
}
