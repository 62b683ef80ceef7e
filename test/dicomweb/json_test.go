// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

// unreadable are files of pydicom that Orthanc does not take.
var unreadable = []string{"DICOMDIR"}

// TestMetadata: the metadata of pydicom's test files, and their frames and bulk data, are what dcm2json and pydicom
// make of them.
func TestMetadata(t *testing.T) {
	python := testpeer.Python(t, "dicomweb")
	w := &world{all: t.TempDir()}
	w.serve(t)
	n := 0
	for _, folder := range []string{"test_files", "charset_files"} {
		files, err := filepath.Glob(filepath.Join(testpeer.PydicomDir(t), folder, "*.dcm"))
		require.NoError(t, err)
		for _, file := range files {
			n++
			own(t, file, filepath.Join(w.all, fmt.Sprintf("%03d-%s", n, filepath.Base(file))), n)
		}
	}
	out, code := testpeer.Run(t, nil, python, "make.py", w.all)
	require.Zero(t, code, out)
	left, err := os.ReadDir(w.all)
	require.NoError(t, err)
	require.Greater(t, len(left), 60)
	w.addPeers(t, []string{orthancWeb})
	run(t, w.task(t, orthancWeb), python, "metadata.py")
}

// own copies a file, with UIDs of its own: many of them share some. What is not whole is left out.
func own(t *testing.T, from, to string, n int) {
	t.Helper()
	if slices.ContainsFunc(unreadable, func(name string) bool { return strings.Contains(from, name) }) {
		return
	}
	in, err := os.Open(from)
	require.NoError(t, err)
	defer func() { _ = in.Close() }()
	meta, obj, err := stream.OpenFile(in, stream.Limits{})
	if err != nil {
		return
	}
	defer func() { _ = obj.Close() }()
	h := obj.Header()
	for tag, kind := range map[dict.Tag]int{
		dict.StudyInstanceUID: 1, dict.SeriesInstanceUID: 2, dict.SOPInstanceUID: 3,
	} {
		require.NoError(t, h.SetText(tag, fmt.Sprintf("2.25.4713.%d.%d", kind, n)))
	}
	if h.SOPClassUID() == "" {
		return
	}
	meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = h.SOPClassUID(), fmt.Sprintf("2.25.4713.3.%d", n)
	out, err := os.Create(to)
	require.NoError(t, err)
	_, err = out.Write(meta.AppendTo(nil))
	if err == nil {
		_, err = obj.WriteTo(out)
	}
	require.NoError(t, out.Close())
	if err != nil {
		require.NoError(t, os.Remove(to))
	}
}
