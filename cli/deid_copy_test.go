// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

// largeImages writes images of half a megabyte in all the ways that pixel data is encoded, whole and cut off.
func largeImages(t *testing.T, dir string) {
	t.Helper()
	series := phantom.New(9, phantom.StudySpec{
		Patient: phantom.Patient{ID: "HOSPITAL-4711", Name: "Meierschmidt^Hannelore"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 40}},
	}).Instances()
	pixels := make([]byte, 512*522*2)
	for i := range pixels {
		pixels[i] = byte(i * i >> 7)
	}
	fragments := []byte{0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0}
	for _, n := range []int{300_000, 20, 200_000} {
		fragments = binary.LittleEndian.AppendUint32(append(fragments, 0xFE, 0xFF, 0x00, 0xE0), uint32(n))
		fragments = append(fragments, pixels[:n]...)
	}
	fragments = append(fragments, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
	for i, c := range []struct {
		name, syntax string
		pixels       []byte
		change       func(ds *stream.DataSet)
		cut, more    int
	}{
		{"explicit", dict.ExplicitVRLittleEndian, pixels, nil, 0, 0},
		{"implicit", dict.ImplicitVRLittleEndian, pixels, nil, 0, 0},
		{"big", dict.ExplicitVRBigEndian, pixels, nil, 0, 0},
		{"deflated", dict.DeflatedExplicitVRLittleEndian, pixels, nil, 0, 0},
		{"fragments", dict.JPEGBaseline8Bit, fragments, nil, 0, 0},
		{"padding", dict.ExplicitVRLittleEndian, pixels, func(ds *stream.DataSet) {
			ds.SetBytes(0xFFFCFFFC, dict.OB, pixels[:200_000])
		}, 0, 0},
		{"private", dict.ImplicitVRLittleEndian, pixels, func(ds *stream.DataSet) {
			ds.SetBytes(0x7FE30010, dict.LO, []byte("A WRITER"))
			ds.SetBytes(0x7FE31001, dict.OB, pixels[:100_000])
		}, 0, 0},
		{"group length", dict.ExplicitVRLittleEndian, pixels, func(ds *stream.DataSet) {
			ds.SetBytes(0x7FE00000, dict.UL, []byte{1, 2, 3, 4})
		}, 0, 0},
		{"trailing", dict.ExplicitVRLittleEndian, append(bytes.Clone(pixels), pixels[:100]...), nil, 0, 0},
		{"odd", dict.ExplicitVRLittleEndian, pixels[:len(pixels)-1], nil, 0, 0},
		{"odd, even", dict.ExplicitVRLittleEndian, pixels[:len(pixels)-1], nil, 0, 1},
		{"more", dict.ExplicitVRLittleEndian, pixels, nil, 0, 3},
		{"cut by 1", dict.ExplicitVRLittleEndian, pixels, nil, 1, 0},
		{"cut by half", dict.ExplicitVRLittleEndian, pixels, nil, 250_000, 0},
		{"cut to little", dict.ImplicitVRLittleEndian, pixels, nil, 530_000, 0},
		{"cut fragments", dict.JPEGBaseline8Bit, fragments, nil, 150_000, 0},
		{"cut delimiter", dict.JPEGBaseline8Bit, fragments, nil, 8, 0},
		{"cut padding", dict.ExplicitVRLittleEndian, pixels, func(ds *stream.DataSet) {
			ds.SetBytes(0xFFFCFFFC, dict.OB, pixels[:200_000])
		}, 100_000, 0},
	} {
		ds := series[i].Attributes()
		ds.SetBytes(dict.PixelData, dict.OW, c.pixels)
		if c.change != nil {
			c.change(ds)
		}
		body, err := ds.Encode(c.syntax)
		require.NoError(t, err)
		body = append(body[:len(body)-c.cut], make([]byte, c.more)...)
		meta := stream.FileMeta{
			MediaStorageSOPClassUID:    ds.String(dict.SOPClassUID),
			MediaStorageSOPInstanceUID: ds.String(dict.SOPInstanceUID), TransferSyntaxUID: c.syntax,
		}
		path := filepath.Join(dir, fmt.Sprintf("%02d %s.dcm", i, c.name))
		require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), body...), 0o600))
	}
}

// TestDeidCopies: what the kernel copies, as it does where nobody wants a hash, is byte for byte what passes through
// our memory; and what can't be de-identified is named with the same words.
func TestDeidCopies(t *testing.T) {
	dir, key := t.TempDir(), keyFile(t)
	largeImages(t, dir)
	for i, path := range append(testpeer.Dicognito(t), dir) {
		base := []string{"deid", "--key-file", key, "--pseudonymize"}
		seen, copied := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "out")
		code, _, stderr := adit(t, append(base, path, seen)...)
		again, _, other := adit(t, append(base, "--no-manifest", path, copied)...)
		require.Equal(t, stderr, other)
		require.Equal(t, code, again)
		want, got := map[string]string{}, map[string]string{}
		if _, err := os.Stat(seen); err == nil {
			want, got = tree(t, seen), tree(t, copied)
		}
		require.Len(t, got, len(want))
		for name := range want {
			require.Zero(t, strings.Compare(want[name], got[name]), "%s of %d %s differs", name, i, path)
		}
		if path == dir {
			require.Equal(t, command.ExitWarning, code)
			require.GreaterOrEqual(t, len(got), 9, stderr)
			require.Contains(t, stderr, "truncated")
		}
	}
}
