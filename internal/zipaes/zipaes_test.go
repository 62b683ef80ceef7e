// SPDX-License-Identifier: AGPL-3.0-or-later

package zipaes

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"
)

var (
	password = []byte("correct horse: battery")
	noon     = time.Date(2026, 12, 1, 12, 30, 42, 0, time.UTC)
	about    = About{Label: "job 1", Note: "job 1 of ann", At: noon}
)

// pair are the files of an archive.
type pair struct{ file, list *os.File }

func newPair(t testing.TB) pair {
	t.Helper()
	dir := t.TempDir()
	open := func(name string) *os.File {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE, 0o600)
		require.NoError(t, err)
		t.Cleanup(func() { _ = f.Close() })
		return f
	}
	return pair{open("archive.zip"), open("archive.index")}
}

func (p pair) create(t testing.TB) *Writer {
	t.Helper()
	w, err := Create(t.Context(), p.file, p.list, password, about)
	require.NoError(t, err)
	return w
}

// content is that of an entry, the same for the same seed.
func content(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func put(t testing.TB, w *Writer, name string, b []byte) {
	t.Helper()
	_, err := w.Put(t.Context(), name, noon, bytes.NewReader(b))
	require.NoError(t, err)
}

func putWithin(t testing.TB, w *Writer, in, name string, b []byte) {
	t.Helper()
	_, err := w.PutWithin(t.Context(), in, name, noon, bytes.NewReader(b))
	require.NoError(t, err)
}

// run runs a program.
func run(t testing.TB, name string, args ...string) (string, error) {
	t.Helper()
	path, err := exec.LookPath(name)
	require.NoError(t, err, "`scripts/setup test` installs it")
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err
}

// unpack unpacks an archive with 7-Zip, which tests it, and what it holds of archives within.
func unpack(t testing.TB, path string) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	out, err := run(t, "7zz", "x", "-y", "-p"+string(password), "-o"+dir, path)
	require.NoError(t, err, out)
	require.NotContains(t, out, "Headers Error")
	require.NotContains(t, out, "WARNING")
	found := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		if d.Name() == NoteName {
			require.Equal(t, about.Note, string(b))
			return err
		}
		rel, _ := filepath.Rel(dir, name)
		if strings.HasSuffix(name, ".zip") {
			for inner, b := range unpack(t, name) {
				found[rel+"/"+inner] = b
			}
			return err
		}
		found[rel] = b
		return err
	}))
	return found
}

// TestOpens: what is written opens in 7-Zip and bsdtar with the password and not without, whatever its size and name.
func TestOpens(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	want := map[string][]byte{}
	for i, size := range []int{0, 1, 15, 16, 17, 4095, 4096, 4097, 1 << 20, buffer - 1, buffer, buffer + 1, 9<<20 + 5} {
		name := fmt.Sprintf("Ähre %d/Ω/%d.dcm", i, size)
		want[name] = content(uint64(i), size)
		put(t, w, name, want[name])
		inner := fmt.Sprintf("%d/%d.dcm", i, size)
		want["0001.zip/"+inner] = content(uint64(i+1), size)
	}
	for name, b := range want {
		if in, inner, ok := strings.Cut(name, ".zip/"); ok {
			putWithin(t, w, in+".zip", inner, b)
		}
	}
	require.NoError(t, w.Finish(t.Context()))
	require.Equal(t, want, unpack(t, p.file.Name()))

	dir := t.TempDir()
	out, err := run(t, "bsdtar", "-x", "--passphrase", string(password), "-C", dir, "-f", p.file.Name())
	require.NoError(t, err, out)
	for name, b := range want {
		if !strings.HasPrefix(name, "0001.zip/") {
			got, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			require.True(t, bytes.Equal(b, got), name)
		}
	}
	out, err = run(t, "bsdtar", "-t", "-f", filepath.Join(dir, "0001.zip"))
	require.NoError(t, err, out)

	for _, args := range [][]string{
		{"7zz", "t", "-pwrong password", p.file.Name()},
		{"7zz", "t", "-p", p.file.Name()},
		{"bsdtar", "-x", "--passphrase", "wrong password", "-C", t.TempDir(), "-f", p.file.Name()},
	} {
		out, err := run(t, args[0], args[1:]...)
		require.Error(t, err, out)
	}
}

// TestReplaced: an entry takes the place of another one of its name, and none that breaks off does.
func TestReplaced(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	for i := range uint64(2) {
		put(t, w, "a", content(i, 100))
	}
	for i := range uint64(2) {
		putWithin(t, w, "1.zip", "b", content(i, 100))
	}
	put(t, w, "e", nil)
	_, err := w.PutWithin(t.Context(), "1.zip", "c", noon, strings.NewReader("c"))
	require.ErrorContains(t, err, "is over", "an entry of the archive ends what is within")
	errBroken := errors.New("broken")
	broken := func(put func(r io.Reader) error) {
		for _, size := range []int{0, 10, buffer + 10} {
			for _, err := range []error{errBroken, fmt.Errorf("end: %w", io.EOF), io.ErrUnexpectedEOF} {
				require.ErrorIs(t, put(io.MultiReader(bytes.NewReader(content(9, size)), iotest.ErrReader(err))), err)
			}
		}
	}
	broken(func(r io.Reader) error {
		_, err := w.Put(t.Context(), "a", noon, r)
		return err
	})
	broken(func(r io.Reader) error {
		_, err := w.PutWithin(t.Context(), "2.zip", "d", noon, r)
		return err
	})
	putWithin(t, w, "2.zip", "d", content(3, 200))
	put(t, w, "gone", nil)
	putWithin(t, w, "3.zip", "gone", nil)
	require.NoError(t, w.Drop(t.Context(), "gone"))
	require.NoError(t, w.Drop(t.Context(), "3.zip"))
	require.NoError(t, w.Finish(t.Context()))
	require.Equal(t, map[string][]byte{
		"a": content(1, 100), "e": {}, "1.zip/b": content(1, 100), "2.zip/d": content(3, 200),
	}, unpack(t, p.file.Name()))
}
