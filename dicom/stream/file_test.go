// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
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

// passFile sends a file through an Object into another file, with elements behind the pixel data left out if drop says
// so. Reading ahead changes nothing, nor does a writer that takes the source's bytes by itself.
func passFile(t *testing.T, path string, drop bool) ([]byte, error) {
	t.Helper()
	b, err := passOnce(t, path, drop, false, nil)
	for _, w := range []*taker{nil, {most: 1 << 30}, {most: 70_000}, {most: 1}, {}} {
		for _, ahead := range []bool{true, false} {
			other, again := passOnce(t, path, drop, ahead, w)
			require.Equal(t, b, other)
			require.Equal(t, err, again)
		}
	}
	return b, err
}

func passOnce(t *testing.T, path string, drop, ahead bool, taker *taker) ([]byte, error) {
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
	var out bytes.Buffer
	var w io.Writer = writerOnly{&out}
	if taker != nil {
		taker.Writer, taker.taken = w, 0
		w = taker
	}
	n, err := o.WriteTo(w)
	require.EqualValues(t, out.Len(), n)
	if taker != nil && taker.most > 1 && !ahead && err == nil {
		require.Greater(t, taker.taken, int64(60_000), "the pixels went through memory")
	}
	return out.Bytes(), err
}

type writerOnly struct{ io.Writer }

// taker is a SourceWriter that takes so many bytes at once at most.
type taker struct {
	io.Writer
	most  int64
	fails error
	taken int64
}

func (w *taker) WriteFrom(p []byte, src io.Reader, n int64) (int64, error) {
	k, err := w.Write(p)
	if err = cmp.Or(err, w.fails); err != nil {
		return int64(k), err
	}
	m, err := io.Copy(w.Writer, io.LimitReader(src, min(n, w.most)))
	w.taken += m
	return int64(k) + m, err
}

// TestSourceWriterFails: the error of a writer ends an object for good, since nobody knows what it took.
func TestSourceWriterFails(t *testing.T) {
	d := sample()
	d.SetBytes(dict.PixelData, dict.OW, make([]byte, 100_000))
	b, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	o, err := Open(bytes.NewReader(b), dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	defer o.Close()
	full := errors.New("no room")
	_, err = o.WriteTo(&taker{Writer: io.Discard, fails: full})
	require.Equal(t, full, err)
	_, err = o.Read(make([]byte, 10))
	require.Equal(t, full, err)
}

// TestSourceWriterSeesNothing: what is changed, inflated, deflated or converted on its way is read.
func TestSourceWriterSeesNothing(t *testing.T) {
	d := sample()
	d.SetBytes(dict.PixelData, dict.OW, bytes.Repeat([]byte{1, 2, 3, 4}, 100_000))
	for _, c := range []struct {
		from, to string
		fate     Fate
	}{
		{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, Pass},
		{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, Pass},
		{dict.ExplicitVRBigEndian, dict.ExplicitVRLittleEndian, Pass},
		{dict.ExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian, Pass},
		{dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRLittleEndian, Pass},
		{dict.DeflatedExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian, Pass},
		{dict.ExplicitVRLittleEndian, dict.ExplicitVRLittleEndian, Change},
		{dict.ExplicitVRLittleEndian, dict.ExplicitVRLittleEndian, Whole},
		{dict.ExplicitVRLittleEndian, dict.ExplicitVRLittleEndian, Drop},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			b, err := d.Encode(c.from)
			require.NoError(t, err)
			w := &taker{most: 1 << 30}
			var outs [2]bytes.Buffer
			for i := range outs {
				o, err := Open(bytes.NewReader(b), c.from, Limits{})
				require.NoError(t, err)
				if c.fate != Pass {
					require.NoError(t, o.FilterBody(fated{c.fate}))
				}
				require.NoError(t, o.ConvertTo(c.to))
				w.Writer = writerOnly{&outs[i]}
				to := io.Writer(w)
				if i == 0 {
					to = w.Writer
				}
				_, err = o.WriteTo(to)
				require.NoError(t, err)
				require.NoError(t, o.Close())
			}
			require.Zero(t, w.taken)
			require.True(t, bytes.Equal(outs[0].Bytes(), outs[1].Bytes()))
		})
	}
}

// fated has one fate for all elements, and changes what it sees.
type fated struct{ fate Fate }

func (f fated) Element(_ Head, out []byte) ([]byte, Fate, error) { return out, f.fate, nil }
func (f fated) Part(in, out []byte) ([]byte, error)              { return append(out, in...), nil }
func (f fated) End(out []byte) ([]byte, error)                   { return out, nil }

func (f fated) Value(p []byte) {
	for i := range p {
		p[i] ^= 0xFF
	}
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
