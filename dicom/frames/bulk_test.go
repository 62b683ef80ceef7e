// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

func TestFind(t *testing.T) {
	inner := func(text string) *stream.DataSet {
		d := &stream.DataSet{}
		d.Set(dict.TextValue, text)
		return d
	}
	outer := inner("outer")
	outer.SetSequence(dict.PurposeOfReferenceCodeSequence, inner("first"), inner("second"))
	d := image("1", 8)
	d.SetSequence(dict.ReferencedImageSequence, inner("one"), outer)
	d.SetBytes(dict.EncapsulatedDocument, dict.OB, []byte("a document"))
	d.SetBytes(dict.LUTData, dict.OW, []byte{1, 2, 3, 4})
	for _, syntax := range []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian} {
		b := file(t, d, syntax)
		for path, want := range map[string]string{
			"00081140.1.0040A160":            "one ",
			"00081140.2.0040A160":            "outer ",
			"00081140.2.0040A170.1.0040A160": "first ",
			"00081140.2.0040A170.2.0040A160": "second",
			"00420011":                       "a document",
			"00283006":                       "\x01\x02\x03\x04",
			"00081140.3.0040A160":            "",
			"00081140.1.0040A170.1.0040A160": "",
			"0040A160":                       "",
			"00081140":                       "",
			"7FE00010":                       "",
			strings.Repeat("00081140.1.", 32) + "00420011": "",
		} {
			p, err := ParsePath(path)
			require.NoError(t, err, path)
			require.Equal(t, path, p.String())
			v, err := Find(bytes.NewReader(b), int64(len(b)), p)
			if want == "" {
				require.ErrorIs(t, err, ErrNoValue, path)
				continue
			}
			require.NoError(t, err, path)
			got, err := io.ReadAll(v.Reader())
			require.NoError(t, err)
			require.Equal(t, want, string(got), "%s %s", path, syntax)
			require.False(t, v.Encapsulated)
		}
	}
	for _, path := range []string{
		"", "7FE0001", "7FE000100", "7FE0001G", "00081140.1", "00081140.0.00420011", "00081140.-1.00420011",
		"00081140..00420011",
		strings.Repeat("00081140.1.", 33) + "00420011",
	} {
		_, err := ParsePath(path)
		require.ErrorIs(t, err, ErrNoValue, path)
	}
}

// TestFindPixelData takes pixel data as a whole, of native and compressed files.
func TestFindPixelData(t *testing.T) {
	for name, encapsulated := range map[string]bool{
		"test_files/CT_small.dcm": false, "test_files/MR_small_bigendian.dcm": false, "test_files/JPEG2000.dcm": true,
	} {
		b, err := os.ReadFile(testpeer.Pydicom(t, name))
		require.NoError(t, err)
		v, err := Find(bytes.NewReader(b), int64(len(b)), Path{{Tag: dict.PixelData}})
		require.NoError(t, err)
		require.Equal(t, encapsulated, v.Encapsulated)
		x := open(t, b)
		_, place, _, _ := x.PixelData()
		require.Equal(t, place, v.Span)
		if !encapsulated {
			got, err := io.ReadAll(v.Reader())
			require.NoError(t, err)
			require.Equal(t, contents(t, x)[0], string(got))
		}
	}
}
