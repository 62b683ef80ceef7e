// SPDX-License-Identifier: AGPL-3.0-or-later

package render

import (
	"bytes"
	"fmt"
	"image"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/frames"
	"github.com/adit-go/adit/internal/testpeer"
)

// frameOf takes a frame of a file apart, as Picture wants it.
func frameOf(t testing.TB, file []byte, n int) (*Image, []byte) {
	t.Helper()
	img, err := Describe(bytes.NewReader(file), int64(len(file)), n)
	require.NoError(t, err)
	x, err := frames.Open(bytes.NewReader(file), int64(len(file)))
	require.NoError(t, err)
	f, err := x.Frame(n)
	require.NoError(t, err)
	b, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	return img, b
}

// dcmtk makes a picture of the frame with DCMTK, by the same window.
func dcmtk(t testing.TB, path string, img *Image, n int, more ...string) image.Image {
	t.Helper()
	args := append([]string{"-O", "+F", fmt.Sprint(n)}, more...)
	switch {
	case img.Samples > 1 || img.Photometric == paletteColor:
	case img.Window != nil:
		args = append(args, "+Wi", "1")
		if img.Window.Function == Sigmoid {
			args = append(args, "+Wfs")
		}
	case img.VOI != nil:
		args = append(args, "+Wl", "1")
	default:
		args = append(args, "+Wm")
	}
	out := filepath.Join(t.TempDir(), "x.pnm")
	text, err := exec.Command("dcmj2pnm", append(args, path, out)...).CombinedOutput()
	require.NoError(t, err, "dcmj2pnm %v: %s", args, text)
	return pnm(t, out)
}

// pnm reads a picture as DCMTK writes it: P5 and P6 of 8 bits.
func pnm(t testing.TB, path string) image.Image {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	var kind string
	var w, h, most int
	_, err = fmt.Sscan(string(b[:min(40, len(b))]), &kind, &w, &h, &most)
	require.NoError(t, err)
	require.Equal(t, 255, most)
	if kind == "P5" {
		return &image.Gray{Pix: b[len(b)-w*h:], Stride: w, Rect: image.Rect(0, 0, w, h)}
	}
	require.Equal(t, "P6", kind)
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	in := b[len(b)-3*w*h:]
	for i := range w * h {
		copy(out.Pix[4*i:], in[3*i:3*i+3])
		out.Pix[4*i+3] = 0xFF
	}
	return out
}

// farthest is the greatest difference of two pictures, in gray levels.
func farthest(t testing.TB, a, b image.Image) int {
	t.Helper()
	require.Equal(t, a.Bounds(), b.Bounds())
	most := 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r1, g1, b1, _ := a.At(x, y).RGBA()
			r2, g2, b2, _ := b.At(x, y).RGBA()
			for _, d := range []int{int(r1>>8) - int(r2>>8), int(g1>>8) - int(g2>>8), int(b1>>8) - int(b2>>8)} {
				most = max(most, d, -d)
			}
		}
	}
	return most
}

// Files of which DCMTK makes another picture, and why.
var (
	// DCMTK puts the middle of chrominance at 127.5; the standard puts it at 128 (PS3.3 C.7.6.3.1.2).
	centred = map[string]int{
		"test_files/SC_rgb_dcmtk_+eb+cy+n2.dcm": 2, "test_files/SC_rgb_dcmtk_+eb+cy+s2.dcm": 2,
		"test_files/SC_rgb_dcmtk_+eb+cy+s4.dcm": 2, "test_files/SC_rgb_jpeg_dcmtk.dcm": 2,
		"test_files/SC_ybr_full_422_uncompressed.dcm": 2,
	}
	// its header says RGB, which subsampled components can't be; DCMTK believes it unless it is told to look.
	mislabelled = "test_files/SC_rgb_jpeg_lossy_gdcm.dcm"
	// DCMTK swaps 32 bits in big endian as two words; pydicom, and the same image in little endian, say otherwise.
	swappedWhole = map[string]string{
		"test_files/rtdose_expb.dcm": "rtdose.dcm", "test_files/rtdose_expb_1frame.dcm": "rtdose_1frame.dcm",
	}
	// 12 bits, which Go's decoder lacks
	twelveBits = map[string]bool{"test_files/JPEG-lossy.dcm": true, "test_files/JPGExtended.dcm": true}
)

func TestCorpus(t *testing.T) {
	root := testpeer.PydicomDir(t)
	compared := 0
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(root, path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		x, err := frames.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil || x.Count() == 0 { // dicom/frames tests which
			return nil //nolint:nilerr // see above
		}
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{1, x.Count()} {
				img, frame := frameOf(t, b, n)
				got, err := Frame(img, frame, nil)
				if !Decodes(img.TransferSyntax) || twelveBits[name] {
					require.ErrorIs(t, err, ErrUnsupported)
					return
				}
				require.NoError(t, err)
				compared++
				if little, ok := swappedWhole[name]; ok {
					path = filepath.Join(filepath.Dir(path), little)
				}
				var more []string
				if name == mislabelled {
					more = []string{"+cl"}
				}
				require.LessOrEqual(t, farthest(t, dcmtk(t, path, img, n, more...), got), max(1, centred[name]))
			}
		})
		return nil
	}))
	t.Logf("%d pictures", compared)
	require.Greater(t, compared, 130)
}
