// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

func same(err error) error { return err }

// readData reads an object in pieces of a size.
func readData(r io.Reader, size int) (m stream.FileMeta, b []byte, err error) {
	d := &data{in: r, bad: same}
	if m, err = d.begin(); err != nil {
		return m, nil, err
	}
	p := make([]byte, size)
	for {
		n, err := d.Read(p)
		if b = append(b, p[:n]...); err != nil {
			return m, b, err
		}
	}
}

// nested is a data set with sequences and items of defined and undefined length, also in UN, and delimiters that end
// nothing.
func nested() []byte {
	const (
		item     = "\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF"
		itemEnd  = "\xFE\xFF\x0D\xE0\x00\x00\x00\x00"
		end      = "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"
		open     = "\x08\x00\x40\x11SQ\x00\x00\xFF\xFF\xFF\xFF"
		short    = "\x10\x00\x20\x00LO\x02\x00\r\n"
		implicit = "\x10\x00\x20\x00\x02\x00\x00\x00\r\n"
	)
	b := open + item + short + open + end + itemEnd + "\xFE\xFF\x00\xE0\x0A\x00\x00\x00" + short + itemEnd + end
	b += "\x09\x00\x40\x11UN\x00\x00\xFF\xFF\xFF\xFF" + item + implicit + itemEnd + end
	b += "\x09\x00\x41\x11SQ\x00\x00\x12\x00\x00\x00\xFE\xFF\x00\xE0\x0A\x00\x00\x00" + short
	return []byte(b + end + "\x10\x00\x30\x00OB\x00\x00\x02\x00\x00\x00\r\n")
}

// TestData: the data set comes as it was sent, whatever it ends with, without a line end behind it.
func TestData(t *testing.T) {
	sets := map[string][]byte{}
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian, dict.RLELossless,
		dict.DeflatedExplicitVRLittleEndian,
	} {
		sets[syntax] = object(t, studyUID, "1.2", syntax)
	}
	sets[dict.JPEGBaseline8Bit] = nested()
	sets[dict.JPEGLosslessSV1] = nil
	for syntax, want := range sets {
		meta := stream.FileMeta{MediaStorageSOPInstanceUID: "1.2", TransferSyntaxUID: syntax}
		file := append(meta.AppendTo(nil), want...)
		for _, size := range []int{1, 2, 3, 7, 1 << 20} {
			for _, r := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.DataErrReader,
			} {
				m, b, err := readData(r(bytes.NewReader(file)), size)
				require.Equal(t, io.EOF, err)
				require.Equal(t, meta, m)
				require.True(t, bytes.Equal(want, b), "%s: %q %q", syntax, want, b)
				if syntax == dict.DeflatedExplicitVRLittleEndian {
					continue
				}
				_, b, err = readData(r(bytes.NewReader(append(bytes.Clone(file), "\r\n"...))), size)
				require.Equal(t, io.EOF, err)
				require.True(t, bytes.Equal(want, b), "%s: %q %q", syntax, want, b)
				_, _, err = readData(r(bytes.NewReader(append(bytes.Clone(file), '\r'))), size)
				require.ErrorIs(t, err, io.ErrUnexpectedEOF) // in the middle of a head
			}
		}
	}
}

// TestDataCut: wherever an object is cut, it is an error of its own, of dicom/stream, or it ends between two elements.
func TestDataCut(t *testing.T) {
	lost := errors.New("lost")
	for _, set := range [][]byte{object(t, studyUID, "1.2", dict.RLELossless), nested()} {
		file := append(metaOf("1.2"), set...)
		for n := range file {
			_, b, err := readData(bytes.NewReader(file[:n]), 64)
			if err == io.EOF { //nolint:errorlint // as it is
				o, err := stream.Open(bytes.NewReader(b), dict.ExplicitVRLittleEndian, stream.Limits{})
				if err == nil {
					_, err = o.WriteTo(io.Discard)
				}
				var w walker
				w.start(dict.TransferSyntaxOf(dict.ExplicitVRLittleEndian), true)
				w.feed(b)
				require.True(t, err != nil || w.carryN == 0 && !w.cut(), "%d bytes", n)
			}
			_, _, err = readData(io.MultiReader(bytes.NewReader(file[:n]), iotest.ErrReader(lost)), 64)
			require.ErrorIs(t, err, lost, "%d bytes", n)
		}
	}
}

// TestDataMeta: file meta information of all sizes; what it lacks is empty.
func TestDataMeta(t *testing.T) {
	m, b, err := readData(bytes.NewReader(append(make([]byte, 128), "DICM\x02\x00\x00\x00UL\x04\x00\x00\x00\x00\x00rest of it"...)), 64)
	require.Equal(t, io.EOF, err)
	require.Equal(t, stream.FileMeta{}, m)
	require.Equal(t, "rest of it", string(b))

	private := append([]byte("\x02\x00\x02\x01OB\x00\x00\x40\x42\x0F\x00"), make([]byte, 1000000)...)
	meta := metaOf("1.2")
	m, b, err = readData(bytes.NewReader(append(append(meta, private...), nested()...)), 1000)
	require.Equal(t, io.EOF, err)
	require.Equal(t, "1.2", m.MediaStorageSOPInstanceUID)
	require.Equal(t, nested(), b)

	for _, bad := range [][]byte{
		nil, []byte("DICM"), make([]byte, 200), append(bytes.Clone(meta), "\x02\x00\x02\x01OB\x00\x00\xFF\xFF\xFF\xFF"...),
		append(append(bytes.Clone(meta), private...), private...), meta[:140], meta[:len(meta)-1],
	} {
		_, _, err := readData(bytes.NewReader(bad), 64)
		require.Error(t, err)
		require.NotEqual(t, io.EOF, err)
	}
}

// FuzzData: the bytes behind the file meta information come as they were sent, but for a line end at most, however they
// come and are read.
func FuzzData(f *testing.F) {
	f.Add(append(metaOf("1.2"), nested()...))
	f.Add(append(metaOf("1.2"), "\r\n"...))
	f.Add([]byte("\x02\x00\x10\x00UI\x12\x001.2.840.10008.1.2\x00\x08\x00\x05\x00\x00\x00\x00\x00\r\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		m, want, wantErr := readData(bytes.NewReader(file), 1<<16)
		if wantErr == io.EOF { //nolint:errorlint // as it is
			require.True(t, bytes.HasSuffix(file, want) || bytes.HasSuffix(file, append(want, "\r\n"...)))
		}
		for _, size := range []int{1, 3, 100} {
			m2, b, err := readData(iotest.OneByteReader(bytes.NewReader(file)), size)
			require.Equal(t, wantErr, err)
			require.Equal(t, m, m2)
			require.True(t, bytes.Equal(want, b))
		}
	})
}
