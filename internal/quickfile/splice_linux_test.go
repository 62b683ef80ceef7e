// SPDX-License-Identifier: AGPL-3.0-or-later

package quickfile_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/quickfile"
)

// noise is a file's content, no page of which is like another one.
func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b) // never fails
	return b
}

// sourceAt opens a file that holds b, read up to at.
func sourceAt(t *testing.T, dir string, b []byte, at int64) *quickfile.File {
	t.Helper()
	path := filepath.Join(dir, "source")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	src, err := quickfile.Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, src.Close()) })
	_, err = src.Seek(at, io.SeekStart)
	require.NoError(t, err)
	return src
}

// TestWriteFrom: what the kernel copies is what was to be copied, and the source stands behind it, within a file
// system and from one to another.
func TestWriteFrom(t *testing.T) {
	const most = 3<<20 + 5
	content := noise(most)
	places := map[string]string{"here": t.TempDir()}
	if dir, err := os.MkdirTemp("/dev/shm", "adit-"); err == nil { //nolint:usetesting // another file system
		t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
		places["in memory"] = dir
	}
	for from, in := range places {
		for to, out := range places {
			for _, c := range []struct {
				lead1, lead2, size, at int
				n, want                int64
			}{
				{500, 2307, 535_780, 2107, 533_673, 533_673},     // a CT
				{0, 16 << 10, 535_780, 16 << 10, 1000, 1000},     // and something behind it
				{500, 2307, 535_780, 2107, 533_674, 533_673},     // cut off
				{500, 2307, 535_780, 2107, 4 << 30, 533_673},     // a length that lies
				{0, 0, 4096, 0, 4096, 4096},                      // no lead
				{1, 0, most, 3, most - 3, most - 3},              // more than a pipe holds
				{1, 700_000, 700_000, 0, 700_000, 0},             // a lead that is too long
				{0, 512 << 10, most, 4095, 1 << 20, 1 << 20},     // just not
				{700, 0, 535_780, 535_780, 1000, 0},              // at its end
				{700, 0, 0, 0, 1000, 0},                          // an empty one
				{128, 300_000, 1 << 20, 1, 1<<20 - 1, 1<<20 - 1}, // odd places
			} {
				t.Run(fmt.Sprint(from, " ", to, " ", c), func(t *testing.T) {
					src := sourceAt(t, in, content[:c.size], int64(c.at))
					f, err := quickfile.CreateUnnamed(out, 0o600)
					require.NoError(t, err)
					begin := []byte("begin")
					_, err = f.WriteBoth(begin, nil)
					require.NoError(t, err)
					lead := noise(c.lead1 + c.lead2)
					done, err := f.WriteFrom(lead[:c.lead1], lead[c.lead1:], src, c.n)
					require.NoError(t, err)
					require.Equal(t, int64(len(lead))+c.want, done)
					end := int64(c.at) + c.want
					rest, err := io.ReadAll(src)
					require.NoError(t, err)
					require.True(t, bytes.Equal(content[end:c.size], rest), "the source stands elsewhere")
					_, err = f.WriteBoth(nil, []byte("end"))
					require.NoError(t, err)

					path := filepath.Join(out, "copy")
					require.NoError(t, f.Name(path))
					got, err := os.ReadFile(path)
					require.NoError(t, err)
					want := bytes.Join([][]byte{begin, lead, content[c.at:end], []byte("end")}, nil)
					require.True(t, bytes.Equal(want, got), "%d bytes", len(got))
				})
			}
		}
	}
}

// TestWriteFromCannot: where the kernel does not copy, the pieces are written and the source is left where it was.
func TestWriteFromCannot(t *testing.T) {
	dir := t.TempDir()
	content := noise(300_000)
	target := filepath.Join(dir, "target")
	lead := [2][]byte{[]byte("first "), []byte("second")}

	require.NoError(t, os.WriteFile(target, nil, 0o600))
	f, err := quickfile.OpenAppending(target) // the kernel refuses it when the pipe is full
	require.NoError(t, err)
	src := sourceAt(t, dir, content, 100)
	done, err := f.WriteFrom(lead[0], lead[1], src, 200_000)
	require.NoError(t, err)
	require.EqualValues(t, 12, done)
	require.NoError(t, f.Close())
	got, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, "first second", string(got))
	rest, err := io.ReadAll(src)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content[100:], rest))

	for _, path := range []string{"/dev/zero", dir} { // neither is a file
		src, err := quickfile.Open(path)
		require.NoError(t, err)
		f, err := quickfile.CreateUnnamed(dir, 0o600)
		require.NoError(t, err)
		done, err := f.WriteFrom(lead[0], lead[1], src, 200_000)
		require.NoError(t, err)
		require.EqualValues(t, 12, done)
		require.NoError(t, f.Close())
		require.NoError(t, src.Close())
	}

	readable := sourceAt(t, dir, content, 0) // and can't be written
	src = sourceAt(t, t.TempDir(), content, 0)
	_, err = readable.WriteFrom(lead[0], lead[1], src, 200_000)
	require.ErrorIs(t, err, syscall.EBADF)
	require.ErrorContains(t, err, "write")
}

// TestWriteFromFull: a file that can't become longer ends where it is full, and the source stands at the next byte.
func TestWriteFromFull(t *testing.T) {
	signal.Ignore(syscall.SIGXFSZ)
	t.Cleanup(func() { signal.Reset(syscall.SIGXFSZ) })
	const room = 200_000
	dir := t.TempDir()
	content := noise(2 << 20)
	src := sourceAt(t, dir, content, 7)
	for _, lead := range []int{1000, room + 1000} { // full behind the lead, and within it
		_, err := src.Seek(7, io.SeekStart)
		require.NoError(t, err)
		f, err := quickfile.CreateUnnamed(dir, 0o600)
		require.NoError(t, err)
		var before syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &before))
		limited := before
		limited.Cur = room
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited))
		done, err := f.WriteFrom(nil, content[:lead], src, 1<<20)
		_, full := f.WriteBoth(nil, []byte("more"))
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &before))

		require.EqualValues(t, room, done)
		require.ErrorIs(t, full, syscall.EFBIG)
		if lead > room {
			require.Equal(t, full, err)
		} else {
			require.NoError(t, err)
		}
		at, err := src.Seek(0, io.SeekCurrent)
		require.NoError(t, err)
		require.EqualValues(t, 7+max(0, room-lead), at)
		require.NoError(t, f.Close())
	}
}

// TestWriteFromCutOff: a source that is cut off meanwhile is never copied as a whole one with other bytes.
func TestWriteFromCutOff(t *testing.T) {
	dir := t.TempDir()
	content := noise(900_000)
	path := filepath.Join(dir, "source")
	whole := 0
	for i := range 200 {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		src, err := quickfile.Open(path)
		require.NoError(t, err)
		f, err := quickfile.CreateUnnamed(dir, 0o600)
		require.NoError(t, err)
		cut := make(chan error, 1)
		go func() { cut <- os.Truncate(path, int64(i)*4000+1) }()
		done, err := f.WriteFrom(nil, nil, src, int64(len(content)))
		require.NoError(t, <-cut)
		if err != nil {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		} else if done == int64(len(content)) {
			whole++
			copied := filepath.Join(dir, "copy")
			require.NoError(t, f.Name(copied))
			got, err := os.ReadFile(copied)
			require.NoError(t, err)
			require.True(t, bytes.Equal(content, got))
		}
		require.NoError(t, f.Close())
		require.NoError(t, src.Close())
	}
	t.Logf("%d of 200 were copied before they were cut off", whole)
}
