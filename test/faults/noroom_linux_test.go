// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestNoRoomForDatabase: the disk of the embedded PostgreSQL is full. The server stays up, says so, isn't ready, and
// goes on when there is room.
func TestNoRoomForDatabase(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=768m,mode=0700"); err != nil {
		t.Skip("only root mounts a disk of its own: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	made, err := template()
	require.NoError(t, err)
	dir := filepath.Join(disk, "data")
	out, err := exec.Command("cp", "-a", made, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	s := serve(t, dir)
	study := newStudy(9, 1, 4)
	s.addServer("from", newPACS(t, pacs.Config{AETitle: "FROM", Studies: []*phantom.Study{study}}).Addr(), 0)
	s.addServer("to", newPACS(t, pacs.Config{AETitle: "TO"}).Addr(), 0)
	job := s.transfer("from", "to", study.StudyInstanceUID)
	require.Equal(t, client.Success, s.awaitFinal(job.ID).Status)

	filler := fill(t, disk)
	await(t, "readyz says that the disk is full", func() bool {
		return strings.Contains(
			s.readyz(), "The database's disk is full; make room there",
		)
	})
	require.NoError(t, syscall.Kill(s.postmaster(), syscall.SIGKILL))
	const sentence = "ADIT's embedded database is not running: the disk of the data directory is full; make room there."
	await(t, "readyz says that there is no room", func() bool { return s.readyz() == sentence })
	_, err = s.Jobs.Get(t.Context(), job.ID)
	requireAway(t, err)
	await(t, "a second try", func() bool { return strings.Count(s.said.String(), sentence) >= 2 })
	require.Equal(t, 200, s.status("/healthz"))

	require.NoError(t, os.Remove(filler))
	await(t, "readiness", func() bool { return s.status("/readyz") == 200 })
	_, err = s.Jobs.Act(t.Context(), job.ID, client.RestartJob)
	require.NoError(t, err)
	require.Equal(t, client.Success, s.awaitFinal(job.ID).Status)
}

// fill leaves no room on a disk.
func fill(t *testing.T, disk string) (filler string) {
	t.Helper()
	filler = filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	require.NoError(t, err)
	defer func() { require.NoError(t, f.Close()) }()
	for buf := make([]byte, 1<<20); ; {
		if _, err := f.Write(buf); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			return filler
		}
	}
}

// readyz is what the address says.
func (s *server) readyz() string {
	rsp, err := (&http.Client{
		Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline,
	}).Get(s.url + "/readyz")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = rsp.Body.Close() }()
	text, err := io.ReadAll(rsp.Body)
	require.NoError(s.t, err)
	return strings.TrimSpace(string(text))
}
