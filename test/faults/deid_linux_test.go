// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// TestDeidFullDisk: de-identifying files onto a disk that becomes full ends with a sentence and leaves whole files
// alone behind; with more room the same command makes them all.
func TestDeidFullDisk(t *testing.T) {
	disk := newDisk(t, "1m")
	dir := t.TempDir()
	files, err := phantom.New(7, phantom.StudySpec{
		Patient: phantom.Patient{ID: patientID, Name: "Fault^Ben"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 60, Rows: 128, Columns: 128}},
	}).WriteFiles(filepath.Join(dir, "in"))
	require.NoError(t, err)
	key, out := filepath.Join(dir, "key"), filepath.Join(disk.path, "out")
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("0f1e2d3c", 8)+"\n"), 0o600))
	deid := func() (said string, code int) {
		cmd := exec.CommandContext(
			t.Context(), program, "deid", "--key-file", key, "--pseudonym", "P-1", filepath.Join(dir, "in"), out,
		)
		cmd.SysProcAttr = dieWithParent()
		b, _ := cmd.CombinedOutput() // the exit code tells
		return string(b), cmd.ProcessState.ExitCode()
	}
	whole := func() (n int) {
		require.NoError(t, filepath.WalkDir(out, func(path string, _ os.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".dcm" {
				return err
			}
			f, err := os.Open(path)
			require.NoError(t, err)
			defer f.Close()
			_, o, err := stream.OpenFile(f, stream.Limits{})
			require.NoError(t, err, path)
			defer o.Close()
			_, err = o.WriteTo(io.Discard)
			require.NoError(t, err, path)
			n++
			return nil
		}))
		return n
	}

	said, code := deid()
	require.Equal(t, 1, code, said)
	require.Contains(t, said, "no space left on device")
	require.NotContains(t, said, patientID)
	require.Positive(t, whole())
	require.Less(t, whole(), len(files))

	disk.remount("16m", false)
	said, code = deid()
	require.Zero(t, code, said)
	require.Equal(t, len(files), whole())
}
