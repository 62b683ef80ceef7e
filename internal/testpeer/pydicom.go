// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Pydicom returns the path of a DICOM file that Debian's python3-pydicom ships, named below its data folder.
func Pydicom(t testing.TB, name string) string {
	t.Helper()
	path := filepath.Join(PydicomDir(t), filepath.FromSlash(name))
	require.FileExists(t, path)
	return path
}

// PydicomDir returns that data folder.
func PydicomDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("ADIT_PYDICOM_DATA")
	if dir == "" {
		out, err := exec.CommandContext(t.Context(), "dpkg", "-L", "python3-pydicom").Output()
		require.NoError(
			t, err, "install the Debian package python3-pydicom, or name its data folder in ADIT_PYDICOM_DATA",
		)
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); strings.HasSuffix(line, "/pydicom/data") {
				dir = line
			}
		}
	}
	require.DirExists(t, dir)
	return dir
}
