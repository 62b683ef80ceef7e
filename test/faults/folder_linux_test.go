// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// patientID is what no log and no message may hold; folders are named by it.
const patientID = "PATIENT-7"

// toFolder is a transfer from a PACS to a folder on a small disk.
type toFolder struct {
	*server
	disk   *disk
	folder string
	from   *pacs.PACS
	study  *phantom.Study
}

// newToFolder makes a study of about 3.3 MB, a server, and a disk with a folder.
func newToFolder(t *testing.T, size string, gate *pacs.Stop) *toFolder {
	t.Helper()
	f := &toFolder{disk: newDisk(t, size), study: phantom.New(7, phantom.StudySpec{
		Patient: phantom.Patient{ID: patientID, Name: "Fault^Ben"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 60, Rows: 128, Columns: 128}, {Kind: phantom.CT, Instances: 40, Rows: 128, Columns: 128}},
	})}
	cfg := pacs.Config{Studies: []*phantom.Study{f.study}}
	if gate != nil {
		cfg.Gate = gate.Gate
		t.Cleanup(gate.Release)
	}
	f.from = newPACS(t, cfg)
	f.server = serve(t, newDataDir(t))
	f.addServer("from", f.from.Addr(), 1)
	f.folder = filepath.Join(f.disk.path, "studies")
	require.NoError(t, os.Mkdir(f.folder, 0o755))
	_, err := f.Folders.Add(t.Context(), client.FolderSettings{Name: "disk", Path: f.folder})
	require.NoError(t, err)
	return f
}

// transferAndWait runs the command that people run.
func (f *toFolder) transferAndWait() (out string, code int) {
	f.t.Helper()
	return f.adit(
		"transfer", "--source", "from", "--destination", "disk", "--study", f.study.StudyInstanceUID, "--wait",
	)
}

// files counts the instances in the folder, and checks that no part of one was left.
func (f *toFolder) files() int {
	f.t.Helper()
	n := 0
	require.NoError(f.t, filepath.WalkDir(f.folder, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() && e.Name() != ".adit-folder" {
			require.True(f.t, strings.HasSuffix(path, ".dcm"), "%s is a whole instance", path)
			n++
		}
		return err
	}))
	return n
}

// requireRetried retries job 1 and checks that only what was missing is fetched.
func (f *toFolder) requireRetried(had int) {
	t := f.t
	t.Helper()
	before := len(f.from.Recorder().Log().Sent)
	out, code := f.adit("job", "retry", "1")
	require.Zero(t, code, out)
	job := f.awaitFinal(1)
	require.Equal(t, client.Success, job.Status, job.Message)
	f.requireNoPatient()
	all := len(f.study.Instances())
	require.Equal(t, all, f.files())
	require.Equal(t, all-had, len(f.from.Recorder().Log().Sent)-before, "only what was missing was fetched")
}

func TestFullDisk(t *testing.T) {
	f := newToFolder(t, "2m", nil)
	out, code := f.transferAndWait()
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "folder disk")
	require.Contains(t, out, "no space left on device")
	require.Contains(t, out, "Make room")
	require.Contains(t, out, "retry")
	require.NotContains(t, out, patientID)
	had := f.files()
	require.Positive(t, had)
	require.Equal(t, had, f.task(1).Delivered, "what is there is what counts as delivered")
	require.Equal(t, 200, f.status("/readyz"), "the server lives on")

	f.disk.remount("16m", false)
	f.requireRetried(had)
}

func TestFullDiskWithoutRoomForAFolder(t *testing.T) {
	f := newToFolder(t, "64k", nil)
	filler, err := os.Create(filepath.Join(f.disk.path, "filler"))
	require.NoError(t, err)
	for err == nil {
		_, err = filler.Write(make([]byte, 4096))
	}
	require.NoError(t, filler.Close())
	out, code := f.transferAndWait()
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "folder disk")
	require.Contains(t, out, "no space left on device")
	require.Contains(t, out, "Make room")
	require.Zero(t, f.files())
	require.NoError(t, os.Remove(filler.Name()))
	f.disk.remount("16m", false)
	f.requireRetried(0)
}

func TestFolderReadOnly(t *testing.T) {
	f := newToFolder(t, "16m", nil)
	f.disk.remount("16m", true)
	out, code := f.transferAndWait()
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "folder disk")
	require.Contains(t, out, "read-only file system")
	require.Zero(t, f.files())
	f.disk.remount("16m", false)
	f.requireRetried(0)
}

// The disk becomes read-only while the transfer runs, as Linux does with one that errs.
func TestFolderTurnsReadOnly(t *testing.T) {
	gate := pacs.StopAt(pacs.AtSubOperation, 30)
	f := newToFolder(t, "16m", gate)
	job := f.transfer("from", "disk", f.study.StudyInstanceUID)
	receive(t, "the point in the transfer", gate.Reached())
	await(t, "29 files", func() bool { return f.whole() == 29 })
	f.disk.remount("16m", true)
	gate.Release()
	job = f.awaitFinal(job.ID)
	require.Equal(t, client.Failure, job.Status)
	message := f.task(job.ID).Message
	require.Contains(t, message, "folder disk")
	require.Contains(t, message, "read-only file system")
	require.Contains(t, message, "retry")
	require.Equal(t, 29, f.files())
	f.disk.remount("16m", false)
	f.requireRetried(29)
}

// whole counts the instances while some are being written.
func (f *toFolder) whole() int {
	names, err := filepath.Glob(filepath.Join(f.folder, "*", "*", "*", "*", "*.dcm"))
	require.NoError(f.t, err)
	return len(names)
}

// A folder that is not there is as a server that is down: the task waits, and goes on when it is back.
func TestFolderVanished(t *testing.T) {
	f := newToFolder(t, "16m", nil)
	elsewhere := f.folder + "-elsewhere"
	require.NoError(t, os.Rename(f.folder, elsewhere))
	job := f.transfer("from", "disk", f.study.StudyInstanceUID)
	await(t, "waiting", func() bool { return strings.Contains(f.task(job.ID).WhyWaiting, "no such file or directory") })
	require.Contains(t, f.task(job.ID).WhyWaiting, "folder disk")
	require.NoError(t, os.Rename(elsewhere, f.folder))
	job = f.awaitFinal(job.ID)
	require.Equal(t, client.Success, job.Status, f.task(job.ID).Message)
	require.Equal(t, 100, f.files())
}

// The disk is unmounted between two attempts: nothing is written to the folder that it was mounted on.
func TestFolderUnmounted(t *testing.T) {
	f := newToFolder(t, "2m", nil)
	out, code := f.transferAndWait()
	require.Equal(t, 1, code, out)
	had := f.files()
	require.Positive(t, had)

	// what is below is as good as not mounted
	require.NoError(t, syscall.Mount("none", f.folder, "tmpfs", 0, "size=16m"))
	_, err := f.Jobs.Act(t.Context(), 1, client.RetryJob)
	require.NoError(t, err)
	await(t, "waiting", func() bool { return strings.Contains(f.task(1).WhyWaiting, ".adit-folder") })
	entries, err := os.ReadDir(f.folder)
	require.NoError(t, err)
	require.Empty(t, entries)
	f.disk.remount("16m", false)
	require.NoError(t, syscall.Unmount(f.folder, 0))
	job := f.awaitFinal(1)
	require.Equal(t, client.Success, job.Status, f.task(1).Message)
	require.Equal(t, 100, f.files())
}

// The folder goes away while the transfer runs: nothing is taken for delivered that isn't in it, and what is there
// instead is not written to before staff says that it is the folder.
func TestFolderRemoved(t *testing.T) {
	gate := pacs.StopAt(pacs.AtSubOperation, 30)
	f := newToFolder(t, "16m", gate)
	job := f.transfer("from", "disk", f.study.StudyInstanceUID)
	receive(t, "the point in the transfer", gate.Reached())
	await(t, "29 files", func() bool { return f.whole() == 29 })
	require.NoError(t, os.RemoveAll(f.folder))
	gate.Release()
	await(t, "waiting", func() bool { return strings.Contains(f.task(job.ID).WhyWaiting, "no such file or directory") })
	require.NoError(t, os.Mkdir(f.folder, 0o755))
	await(t, "waiting for the folder", func() bool {
		return strings.Contains(
			f.task(job.ID).WhyWaiting, "adit node adopt",
		)
	})
	require.Zero(t, f.files())
	f.requireNoPatient()
	out, code := f.adit("node", "adopt", "disk")
	require.Zero(t, code, out)
	require.Contains(t, out, f.folder)
	job = f.awaitFinal(job.ID)
	require.Equal(t, client.Success, job.Status, f.task(job.ID).Message)
	require.Equal(t, 100, f.files())
}

// requireNoPatient checks that what the server wrote names nobody.
func (f *toFolder) requireNoPatient() {
	f.t.Helper()
	said := f.said.String()
	for line, err := range f.Tasks.Log(f.t.Context(), 1) {
		require.NoError(f.t, err)
		said += line.Line
	}
	require.NotContains(f.t, said, patientID)
	require.NotContains(f.t, f.task(1).Message, patientID)
}
