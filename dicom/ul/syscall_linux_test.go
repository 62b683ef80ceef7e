// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux && !race

package ul

import (
	"bytes"
	"crypto/rand"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// pieces cuts data into n parts of nearly one size.
func pieces(data []byte, n int) [][]byte {
	return slices.Collect(slices.Chunk(data, max(1, (len(data)+n-1)/n)))
}

// TestVectored: what is written in pieces by raw system calls is read in other pieces, none lost, in order, and no
// memory is held afterwards.
func TestVectored(t *testing.T) {
	for _, tt := range []struct {
		name            string
		size, out, into int // bytes, and in how many pieces they are written and read
		once            int // bytes that one call takes
	}{
		{"one piece", 1000, 1, 1, 1000},
		{"many into one", 1000, 7, 1, 1000},
		{"one into many", 1000, 1, 9, 1000},
		{"as many as Linux takes", maxIOV, maxIOV, 1, maxIOV},
		{"more than Linux takes", 3 * maxIOV, 3 * maxIOV, 1, maxIOV},
		{"read into more than Linux takes", 3 * maxIOV, 1, 3 * maxIOV, 3 * maxIOV},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fds, err := syscall.Socketpair(
				syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, 0,
			)
			require.NoError(t, err)
			var r reading
			var w writing
			_, errno := r.sysReadv(uintptr(fds[1]), [][]byte{make([]byte, 1)})
			require.Equal(t, syscall.EAGAIN, errno, "nothing is there")

			want := make([]byte, tt.size)
			_, err = rand.Read(want)
			require.NoError(t, err)
			for sent := 0; sent < tt.size; {
				n, errno := w.sysWritev(uintptr(fds[0]), pieces(want[sent:], tt.out-sent*tt.out/tt.size))
				require.Zero(t, errno)
				if sent == 0 {
					require.Equal(t, tt.once, n)
				}
				sent += n
			}
			var got []byte
			for len(got) < tt.size {
				room := pieces(make([]byte, tt.size-len(got)), tt.into-len(got)*tt.into/tt.size)
				n, errno := r.sysReadv(uintptr(fds[1]), room)
				require.Zero(t, errno)
				require.Positive(t, n)
				got = append(got, slices.Concat(room...)[:n]...)
			}
			require.True(t, bytes.Equal(want, got))
			for _, iov := range [][]syscall.Iovec{r.iov, w.iov} {
				for _, v := range iov[:cap(iov)] {
					require.Nil(t, v.Base)
				}
			}

			require.NoError(t, syscall.Close(fds[1]))
			_, errno = w.sysWritev(uintptr(fds[0]), [][]byte{{1}})
			require.Equal(t, syscall.EPIPE, errno)
			require.NoError(t, syscall.Close(fds[0]))
		})
	}
	_, errno := new(reading).sysReadv(^uintptr(0), [][]byte{make([]byte, 1)})
	require.Equal(t, syscall.EBADF, errno)
}
