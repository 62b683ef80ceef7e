// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// TestBuffer: what goes in comes out, whatever the size of the reads, and what is larger than the limit is begun only.
func TestBuffer(t *testing.T) {
	first := chunkSizes[0]
	for _, size := range []int{
		0, 1, first - 1, first, first + 1, 3*first + 7, first + chunkSizes[1],
		3 << 20, maxBuffer - 1, maxBuffer, maxBuffer + 1,
	} {
		data := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		b := &Buffer{}
		r := io.Reader(bytes.NewReader(data))
		if size < 4*first {
			r = iotest.HalfReader(r)
		}
		whole, err := b.Fill(r)
		require.NoError(t, err)
		require.Equal(t, size < maxBuffer, whole, size)
		require.Equal(t, min(size, maxBuffer), b.Size)
		require.GreaterOrEqual(t, b.Held(), int64(b.Size))
		require.LessOrEqual(t, b.Held(), int64(CreditUnit))
		for range 2 { // it can be read again from the beginning
			got, err := io.ReadAll(io.MultiReader(struct{ io.Reader }{b.Reader()}, r))
			require.NoError(t, err)
			require.True(t, bytes.Equal(data[:len(got)], got))
			var out bytes.Buffer
			n, err := b.Reader().WriteTo(&out)
			require.NoError(t, err)
			require.EqualValues(t, b.Size, n)
			require.True(t, bytes.Equal(data[:b.Size], out.Bytes()))
		}
		b.Free()
	}
	broken := errors.New("broken")
	b := &Buffer{}
	_, err := b.Fill(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(broken)))
	require.ErrorIs(t, err, broken)
	b.Free()
}

// TestBufferCutOff: an error that wraps io.EOF is not the end of an instance.
func TestBufferCutOff(t *testing.T) {
	lost := fmt.Errorf("the connection was lost: %w", io.EOF)
	b := &Buffer{}
	whole, err := b.Fill(io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(lost)))
	require.ErrorIs(t, err, lost)
	require.False(t, whole)
	b.Free()
}

func TestCredit(t *testing.T) {
	c := NewCredit(10)
	require.True(t, c.Take(6))
	require.False(t, c.Take(6))
	require.True(t, c.Take(4))
	c.Give(10)
	require.True(t, c.Take(10))
}
