// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
)

// sums gives the SHA-256 of each frame.
func sums(t testing.TB, x *Index) []string {
	t.Helper()
	list := []string{}
	for n := 1; n <= x.Count(); n++ {
		f, err := x.Frame(n)
		require.NoError(t, err)
		sum := sha256.New()
		size, err := io.Copy(sum, f.Reader())
		require.NoError(t, err)
		require.Equal(t, f.Size, size)
		list = append(list, hex.EncodeToString(sum.Sum(nil)))
	}
	return list
}

// pydicom tells the frames of files apart.
func pydicom(t testing.TB, paths []string) map[string][]string {
	t.Helper()
	in, err := json.Marshal(paths)
	require.NoError(t, err)
	cmd := exec.Command("/usr/bin/python3", filepath.Join("testdata", "frames.py")) // Debian's, which has its packages
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	var sums map[string][]string
	require.NoError(t, json.Unmarshal(out, &sums))
	return sums
}

// refused are the files of the corpus that this package refuses, with words of the reason.
var refused = map[string]string{
	"test_files/ExplVR_BigEndNoMeta.dcm":         "not a DICOM file",
	"test_files/ExplVR_LitEndNoMeta.dcm":         "not a DICOM file",
	"test_files/no_meta.dcm":                     "not a DICOM file",
	"test_files/rtstruct.dcm":                    "not a DICOM file",
	"test_files/meta_missing_tsyntax.dcm":        "names no transfer syntax",
	"test_files/image_dfl.dcm":                   "deflated",
	"test_files/MR_truncated.dcm":                "truncated",
	"test_files/rtplan_truncated.dcm":            "truncated",
	"test_files/dicomdirtests/DICOMDIR-nooffset": "extends beyond",
	"test_files/SC_rgb_jpeg.dcm":                 "has no VR", // it declares another transfer syntax than it has
	"test_files/badVR.dcm":                       "Number of Frames (0028,0008) is no number",
	"test_files/nested_priv_SQ.dcm":              "make no frame", // it has pixel data, and no rows
}

func TestCorpus(t *testing.T) {
	root := testpeer.PydicomDir(t)
	var paths []string
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			if filepath.Ext(path) == ".dcm" || len(b) > 132 && string(b[128:132]) == "DICM" {
				paths = append(paths, path)
			}
		}
		return err
	}))
	want := pydicom(t, paths)
	compared, frames := 0, 0
	for _, path := range paths {
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			x, err := Open(bytes.NewReader(b), int64(len(b)))
			if reason, ok := refused[name]; ok {
				require.ErrorContains(t, err, reason)
				return
			}
			require.NoError(t, err)
			require.Equal(t, want[path], sums(t, x))
			if x.Count() > 0 {
				compared, frames = compared+1, frames+x.Count()
			}
		})
	}
	t.Logf("%d frames of %d files", frames, compared)
	require.Greater(t, compared, 50)
}
