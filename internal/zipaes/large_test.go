// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build faults

package zipaes

import (
	"io"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestFaultLarge: an entry of 5 GB opens, in the archive and in one within, and 7-Zip and bsdtar find no fault.
func TestFaultLarge(t *testing.T) {
	const size = 5_000_000_000
	p := newPair(t)
	w := p.create(t)
	put(t, w, "before", content(1, 100))
	_, err := w.Put(t.Context(), "large", noon, &repeated{block: content(2, 1<<20), left: size})
	require.NoError(t, err)
	put(t, w, "behind", content(3, 100))
	require.NoError(t, w.Finish(t.Context()))
	out, err := run(t, "7zz", "t", "-p"+string(password), p.file.Name())
	require.NoError(t, err, out)
	require.NotContains(t, out, "Error")
	require.Contains(t, out, "5000000212")
	out, err = run(t, "bsdtar", "-tvf", p.file.Name())
	require.NoError(t, err, out)
	require.Contains(t, out, "5000000000")

	info, err := p.file.Stat()
	require.NoError(t, err)
	require.NoError(t, Reopen(p.file, info.Size(), p.list, password, "job 1"))
	w, err = Continue(p.file, p.list, password, about)
	require.NoError(t, err)
	for _, name := range []string{"large", "before", "behind"} {
		require.NoError(t, w.Drop(t.Context(), name))
	}
	require.NoError(t, p.file.Truncate(0))
	w = p.create(t)
	putWithin(t, w, "0001.zip", "before", content(1, 100))
	_, err = w.PutWithin(t.Context(), "0001.zip", "large", noon, &repeated{block: content(2, 1<<20), left: size})
	require.NoError(t, err)
	putWithin(t, w, "0001.zip", "behind", content(3, 100))
	require.NoError(t, w.Finish(t.Context()))
	dir := t.TempDir()
	out, err = run(t, "7zz", "x", "-p"+string(password), "-o"+dir, p.file.Name())
	require.NoError(t, err, out)
	out, err = run(t, "7zz", "t", dir+"/0001.zip")
	require.NoError(t, err, out)
	require.NotContains(t, out, "Error")
	require.Contains(t, out, "5000000212")
}

// repeated reads a block so many times.
type repeated struct {
	block []byte
	left  int64
	at    int
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(copy(b, r.block[r.at:])), r.left))
	r.at = (r.at + n) % len(r.block)
	r.left -= int64(n)
	return n, nil
}
