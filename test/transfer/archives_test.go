// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/test/harness"
)

const archivePassword = "correct horse: battery"

// archiveOf is a transfer of studies into an archive, under pseudonyms or not.
func archiveOf(pseudonyms bool, studies ...*phantom.Study) jobs.Transfer {
	t := jobs.Transfer{Source: "source", Destination: "disk", ArchivePassword: archivePassword}
	for _, study := range studies {
		s := jobs.Study{StudyInstanceUID: study.StudyInstanceUID}
		if pseudonyms {
			s.Pseudonym = "SUBJ-1" // they are of one patient
		}
		t.Studies = append(t.Studies, s)
	}
	return t
}

// zips lists the files of the site's folder, which have to be this many finished archives and nothing else.
func (s *site) zips(n int) []string {
	s.t.Helper()
	entries, err := os.ReadDir(s.dir)
	require.NoError(s.t, err)
	var found []string
	for _, e := range entries {
		if e.Name() != marker {
			require.Equal(s.t, ".zip", filepath.Ext(e.Name()))
			found = append(found, filepath.Join(s.dir, e.Name()))
		}
	}
	require.Len(s.t, found, n)
	return found
}

// unpacked returns a folder with all that the only archive of the site's folder holds.
func (s *site) unpacked() string {
	s.t.Helper()
	to := s.t.TempDir()
	out, err := exec.Command("7zz", "x", "-y", "-p"+archivePassword, "-o"+to, s.zips(1)[0]).CombinedOutput()
	require.NoError(s.t, err, string(out))
	inner, err := filepath.Glob(filepath.Join(to, "*.zip"))
	require.NoError(s.t, err)
	for _, name := range inner {
		r, err := zip.OpenReader(name)
		require.NoError(s.t, err)
		require.NoError(s.t, os.CopyFS(strings.TrimSuffix(name, ".zip"), r))
		require.NoError(s.t, r.Close())
	}
	return to
}

// instancesOf counts the instances of studies.
func instancesOf(studies []*phantom.Study) (n int) {
	for _, study := range studies {
		n += len(study.Instances())
	}
	return n
}

// requireArchived checks that the archive holds as many instances as the studies, each once.
func (s *site) requireArchived(studies []*phantom.Study) {
	s.t.Helper()
	seen := map[string]bool{}
	for _, path := range imageFiles(s.t, s.unpacked()) {
		require.False(s.t, seen[filepath.Base(path)], path)
		seen[filepath.Base(path)] = true
	}
	require.Len(s.t, seen, instancesOf(studies))
}

// messages are what the tasks of a job say.
func (s *site) messages(job jobs.Job) (all []string) {
	s.t.Helper()
	tasks, err := s.Engine.Jobs.Tasks(s.t.Context(), s.Admin, job.ID, jobs.TaskFilter{Limit: 9})
	require.NoError(s.t, err)
	for _, task := range tasks {
		all = append(all, task.Message)
	}
	return all
}

// TestArchive: a job with a password leaves one archive with all that a folder would hold, by one task at a time, and
// nobody learns the password. A restart begins it anew.
func TestArchive(t *testing.T) {
	studies := []*phantom.Study{ct(1, 20), ct(2, 20), ct(3, 20)}
	for name, pseudonyms := range map[string]bool{"under pseudonyms": true, "with names": false} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, harness.Config{}, studies...)
			s.limit(1, 0)
			job := s.Wait(s.Create(archiveOf(pseudonyms, studies...)).ID)
			require.Equal(t, jobs.Success, job.Status, s.messages(job))
			s.requireArchived(studies)
			require.Zero(t, s.number(`SELECT count(*) FROM tasks a JOIN tasks b ON a.id <> b.id AND a.started_at < b.ended_at
				AND b.started_at < a.ended_at`), "one task at a time")
			require.Zero(t, s.number("SELECT count(*) FROM jobs WHERE archive_open OR position('horse'::bytea IN archive_password) > 0"))
			require.EqualValues(t, 1, s.number(`SELECT count(*) FROM audit WHERE action = 'job.create' AND detail LIKE '%"archive":true%'`))
			require.Zero(t, s.number("SELECT count(*) FROM audit WHERE detail LIKE '%horse%'"))
			require.NotContains(t, s.log.String(), "horse")
			_, bytes := s.files()
			require.Equal(t, bytes, s.used(), "of the quota")
			out, err := exec.Command("7zz", "l", s.zips(1)[0]).CombinedOutput()
			require.NoError(t, err)
			for _, study := range studies {
				require.NotContains(t, string(out), study.Spec.Patient.ID)
			}

			require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.RestartJob))
			require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.messages(job))
			s.requireArchived(studies)
			_, bytes = s.files()
			require.Equal(t, bytes, s.used(), "of the quota")
		})
	}
}

// TestArchiveGoesOn: what a failure left is whole under its name once the job has ended, and a retry adds what is
// missing, and nothing else; so does one after a cancellation.
func TestArchiveGoesOn(t *testing.T) {
	for name, pseudonyms := range map[string]bool{"under pseudonyms": true, "with names": false} {
		t.Run(name, func(t *testing.T) {
			studies := []*phantom.Study{ct(1, 30), ct(2, 30)}
			s := newSite(t, once(), studies...)
			s.limit(300_000/1e9, 0)
			s.chores()
			job := s.Wait(s.Create(archiveOf(pseudonyms, studies...)).ID)
			require.Equal(t, jobs.Failure, job.Status)
			s.limit(1, 0)
			s.chores()
			require.Zero(t, s.number("SELECT count(*) FROM jobs WHERE archive_open"))
			had := len(imageFiles(t, s.unpacked()))
			require.Greater(t, had, 10)
			require.Less(t, had, 60)
			require.EqualValues(t, had, s.number("SELECT sum(delivered) FROM tasks"))
			s.retry(job)
			require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.messages(job))
			s.requireArchived(studies)
			_, bytes := s.files()
			require.Equal(t, bytes, s.used(), "of the quota")
		})
	}
}

// TestArchiveCanceled: the archive of a job that was canceled gets its name, and a resumed one goes on with it.
func TestArchiveCanceled(t *testing.T) {
	studies := []*phantom.Study{ct(1, 30), ct(2, 30)}
	stop := pacs.StopAt(pacs.AtSubOperation, 20)
	s := newSite(t, harness.Config{})
	src := startPACS(t, pacs.Config{AETitle: "SRC2", Studies: studies, Gate: stop.Gate})
	t.Cleanup(stop.Release)
	s.AddServer("gated", "SRC2", src.Addr(), nil)
	transfer := archiveOf(false, studies...)
	transfer.Source = "gated"
	job := s.Create(transfer)
	<-stop.Reached()
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.CancelJob))
	stop.Release()
	require.Equal(t, jobs.Canceled, s.Wait(job.ID).Status)
	s.chores()
	require.Greater(t, len(imageFiles(t, s.unpacked())), 5)
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.ResumeJob))
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.messages(job))
	s.requireArchived(studies)
}

// TestArchiveLost: a retry doesn't begin an archive that lacks what other tasks have sent; a restart does. What is left
// of a job that was deleted is removed.
func TestArchiveLost(t *testing.T) {
	studies := []*phantom.Study{ct(1, 10), ct(2, 10)}
	s := newSite(t, once(), studies[0])
	src := startPACS(t, pacs.Config{AETitle: "SRC2", Studies: studies[:1]})
	s.AddServer("growing", "SRC2", src.Addr(), nil)
	transfer := archiveOf(true, studies...)
	transfer.Source = "growing"
	job := s.Wait(s.Create(transfer).ID)
	require.Equal(t, jobs.Failure, job.Status, "one study is not there")
	s.chores()
	require.NoError(t, os.Remove(s.zips(1)[0]))
	src.AddStudies(studies[1])
	s.retry(job)
	require.Equal(t, jobs.Failure, s.Wait(job.ID).Status)
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM tasks WHERE message LIKE '%is not in the folder disk any more%'"))
	s.zips(0)
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.RestartJob))
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.messages(job))
	s.requireArchived(studies)

	path := strings.TrimSuffix(s.zips(1)[0], ".zip")
	old := time.Now().AddDate(0, 0, -3)
	for _, end := range []string{".zip.part", ".zip.part.index"} {
		require.NoError(t, os.WriteFile(path+end, nil, 0o600))
		require.NoError(t, os.Chtimes(path+end, old, old))
	}
	s.exec("UPDATE chores SET next_at = now() WHERE name LIKE 'folder-%'")
	s.chores()
	require.FileExists(t, path+".zip.part")
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.DeleteJob))
	s.exec("UPDATE chores SET next_at = now() WHERE name LIKE 'folder-%'")
	s.chores()
	s.zips(1)
}

// TestArchivePassword: a password that some program reads otherwise is refused, and so is an archive where there can be
// none. One key makes one job with one password.
func TestArchivePassword(t *testing.T) {
	study := ct(1, 1)
	s := newSite(t, harness.Config{Idle: true}, study)
	s.AddServer("server", "DST", "127.0.0.1:1", nil)
	for name, change := range map[string]func(t *jobs.Transfer){
		"short":              func(t *jobs.Transfer) { t.ArchivePassword = "12345678901" },
		"long":               func(t *jobs.Transfer) { t.ArchivePassword = nodes.Secret(strings.Repeat("long", 33)) },
		"of other letters":   func(t *jobs.Transfer) { t.ArchivePassword = "Größenordnung" },
		"of two lines":       func(t *jobs.Transfer) { t.ArchivePassword = "one and\nanother one" },
		"of a server":        func(t *jobs.Transfer) { t.Destination = "server" },
		"of a mass transfer": func(t *jobs.Transfer) { t.Kind = jobs.MassTransfer },
	} {
		t.Run(name, func(t *testing.T) {
			transfer := archiveOf(false, study)
			change(&transfer)
			_, err := s.Engine.Jobs.Create(t.Context(), s.Admin, transfer)
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, "archive_password", invalid.Field)
			require.NotContains(t, err.Error(), string(transfer.ArchivePassword))
		})
	}
	transfer := archiveOf(false, study)
	transfer.IdempotencyKey = "once"
	first := s.Create(transfer)
	require.Equal(t, first.ID, s.Create(transfer).ID)
	transfer.ArchivePassword += "!"
	_, err := s.Engine.Jobs.Create(t.Context(), s.Admin, transfer)
	require.ErrorContains(t, err, "use a new key")
}
