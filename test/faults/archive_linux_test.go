// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
)

const archivePassword = "correct horse: battery"

// archive runs the command that people run, for an archive in the folder.
func (f *toFolder) archive(flags ...string) (out string, code int) {
	f.t.Helper()
	password := filepath.Join(f.t.TempDir(), "password")
	require.NoError(f.t, os.WriteFile(password, []byte(archivePassword+"\n"), 0o600))
	return f.adit(append([]string{
		"transfer", "--source", "from", "--destination", "disk", "--study", f.study.StudyInstanceUID,
		"--archive-password-file", password,
	}, flags...)...)
}

// requireFinished checks that the archive with its name is whole, and returns how many instances it holds; -1: none has
// its name.
func (f *toFolder) requireFinished() (instances int) {
	t := f.t
	t.Helper()
	found, err := filepath.Glob(filepath.Join(f.folder, "*.zip"))
	require.NoError(t, err)
	if len(found) == 0 {
		return -1
	}
	require.Len(t, found, 1)
	to := t.TempDir()
	out, err := exec.Command("7zz", "x", "-y", "-p"+archivePassword, "-o"+to, found[0]).CombinedOutput()
	require.NoError(t, err, string(out))
	require.NotContains(t, string(out), patientID)
	require.Error(t, exec.Command("7zz", "t", "-pwrong password", found[0]).Run())
	inner, err := filepath.Glob(filepath.Join(to, "*.zip"))
	require.NoError(t, err)
	for _, name := range inner {
		r, err := zip.OpenReader(name)
		require.NoError(t, err)
		for _, file := range r.File {
			if strings.HasSuffix(file.Name, ".dcm") {
				instances++
			}
		}
		require.NoError(t, r.Close())
	}
	return instances
}

// requireArchived waits for the job's success, and checks that the archive is whole and nothing lies beside it.
func (f *toFolder) requireArchived() {
	t := f.t
	t.Helper()
	job := f.awaitFinal(1)
	require.Equal(t, client.Success, job.Status, "%s %s", job.Message, f.task(1).Message)
	require.True(t, job.Archive)
	require.Equal(t, len(f.study.Instances()), f.requireFinished())
	left, err := filepath.Glob(filepath.Join(f.folder, "adit_*"))
	require.NoError(t, err)
	require.Len(t, left, 1)
	f.requireNoPatient()
	require.NotContains(t, f.said.String(), "horse")
}

// TestKillWithArchive: kill -9 in the middle of an archive, and the next process goes on with it. Nothing that was
// written down is fetched again.
func TestKillWithArchive(t *testing.T) {
	gate := pacs.StopAt(pacs.AtSubOperation, 50)
	f := newToFolder(t, "16m", gate)
	out, code := f.archive()
	require.Zero(t, code, out)
	receive(t, "the point in the transfer", gate.Reached())
	await(t, "something in the ledger", func() bool { return f.task(1).Delivered > 20 })
	require.Equal(t, -1, f.requireFinished(), "nothing half has its name")
	f.kill()
	require.Equal(t, -1, f.requireFinished())
	gate.Release()
	f.server = serve(t, f.dir)
	f.requireArchived()
	require.Less(t, len(f.from.Recorder().Log().Sent), len(f.study.Instances())+unwritten)
}

// TestFullDiskWithArchive: an archive that has no room is no archive, and a retry with more room makes it one.
func TestFullDiskWithArchive(t *testing.T) {
	f := newToFolder(t, "2m", nil)
	out, code := f.archive("--wait")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "folder disk")
	require.Contains(t, out, "no space left on device")
	require.NotContains(t, out, patientID)
	had := f.task(1).Delivered
	require.Positive(t, had)
	if n := f.requireFinished(); n >= 0 {
		require.Equal(t, had, n, "what has its name is whole, as far as the job says")
	}
	f.disk.remount("16m", false)
	before := len(f.from.Recorder().Log().Sent)
	out, code = f.adit("job", "retry", "1")
	require.Zero(t, code, out)
	f.requireArchived()
	require.Equal(t, len(f.study.Instances())-had, len(f.from.Recorder().Log().Sent)-before, "only what was missing")
}
