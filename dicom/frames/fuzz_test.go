// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// FuzzOpen: whatever a file says, each span lies within it, and each frame has the size that it was said to have.
func FuzzOpen(f *testing.F) {
	f.Add(file(f, image("2", 8), dict.JPEG2000, encapsulated([]uint32{0, 10}, "a1", "b2", "c3")...))
	f.Add(file(f, image("2", 8), dict.RLELossless, encapsulated(nil, "a1", "b2")...))
	d := image("3", 1)
	d.SetBytes(dict.PixelData, dict.OB, []byte("abcdef"))
	f.Add(file(f, d, dict.ExplicitVRLittleEndian))
	f.Add(file(f, d, dict.ExplicitVRBigEndian))
	f.Fuzz(func(t *testing.T, b []byte) {
		x, err := Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for n := 1; n <= min(x.Count(), 20); n++ {
			frame, err := x.Frame(n)
			require.NoError(t, err)
			for _, s := range frame.Spans {
				require.True(t, s.Offset >= 0 && s.Length >= 0 && s.Offset+s.Length <= int64(len(b)))
			}
			got, err := io.Copy(io.Discard, frame.Reader())
			require.NoError(t, err)
			require.Equal(t, frame.Size, got)
		}
		if tag, place, _, ok := x.PixelData(); ok {
			v, err := Find(bytes.NewReader(b), int64(len(b)), Path{{Tag: tag}})
			require.NoError(t, err)
			require.Equal(t, place, v.Span)
		}
	})
}
