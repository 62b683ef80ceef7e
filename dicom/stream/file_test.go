// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// fileOf writes a Part 10 file of a data set that holds meta's class and instance.
func fileOf(t *testing.T, meta FileMeta, dataSet []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "in")
	require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), dataSet...), 0o600))
	return path
}

// passFile sends a file through an Object into another file, with elements behind the pixel data left out if drop says so. Reading ahead changes
// nothing.
func passFile(t *testing.T, path string, drop bool) ([]byte, error) {
	t.Helper()
	b, err := passOnce(t, path, drop, false)
	ahead, again := passOnce(t, path, drop, true)
	require.Equal(t, b, ahead)
	require.Equal(t, err, again)
	return b, err
}

func passOnce(t *testing.T, path string, drop, ahead bool) ([]byte, error) {
	t.Helper()
	in, err := os.Open(path)
	require.NoError(t, err)
	defer in.Close()
	_, o, err := OpenFile(in, Limits{})
	require.NoError(t, err)
	defer o.Close()
	if drop {
		require.NoError(t, o.FilterBody(keeps(func(h Head) (bool, error) { return h.Tag == dict.PixelData, nil })))
	}
	if ahead {
		o.ReadAhead()
	}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	require.NoError(t, err)
	defer out.Close()
	n, err := o.WriteTo(out)
	b, readErr := os.ReadFile(out.Name())
	require.NoError(t, readErr)
	require.EqualValues(t, len(b), n)
	return b, err
}

// TestFileToFile: large values arrive whole, and a cut is seen wherever it is.
func TestFileToFile(t *testing.T) {
	native := sample()
	native.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4, 5, 6}, 100_000))
	plain, err := native.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	native.SetBytes(0xFFFCFFFC, dict.OB, make([]byte, 300_000))
	padded, err := native.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)

	fragments := []byte{0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0}
	for _, n := range []int{300_000, 20, 200_000} {
		fragments = append(fragments, 0xFE, 0xFF, 0x00, 0xE0)
		fragments = binary.LittleEndian.AppendUint32(fragments, uint32(n))
		fragments = append(fragments, bytes.Repeat([]byte{7, 8}, n/2)...)
	}
	fragments = append(fragments, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
	encapsulated, err := sample().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	encapsulated = append(encapsulated, 0xE0, 0x7F, 0x10, 0, 'O', 'B', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF)
	encapsulated = append(encapsulated, fragments...)

	meta := FileMeta{"1.2.840.10008.5.1.4.1.1.2", "1.2.3", dict.ExplicitVRLittleEndian}
	jpeg := meta
	jpeg.TransferSyntaxUID = dict.JPEGBaseline8Bit
	for _, c := range []struct {
		name     string
		meta     FileMeta
		in, want []byte
		drop     bool
	}{
		{"as it is", meta, padded, padded, false},
		{"nothing behind the pixels", meta, plain, plain, true},
		{"padding dropped", meta, padded, plain, true},
		{"fragments", jpeg, encapsulated, encapsulated, false},
		{"fragments, filtered", jpeg, encapsulated, encapsulated, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := passFile(t, fileOf(t, c.meta, c.in), c.drop)
			require.NoError(t, err)
			require.True(t, bytes.Equal(c.want, out))
			for _, cut := range []int{1, 100, 100_000, 250_001} {
				_, err := passFile(t, fileOf(t, c.meta, c.in[:len(c.in)-cut]), c.drop)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%d bytes missing", cut)
			}
		})
	}
}

func TestFileMetaOfObject(t *testing.T) {
	d := sample()
	b, err := d.Encode(dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	o, err := Open(bytes.NewReader(b), dict.ImplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.NoError(t, o.ConvertTo(dict.ExplicitVRLittleEndian))
	require.NoError(t, o.Header().SetText(dict.SOPInstanceUID, "2.25.1"))
	require.Equal(t, FileMeta{d.String(dict.SOPClassUID), "2.25.1", dict.ExplicitVRLittleEndian}, o.FileMeta())
}
