// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// marker is the file that says which folder a folder is.
const marker = ".adit-folder"

// once are the settings of a member that gives a task a single attempt.
func once() harness.Config {
	return harness.Config{Engine: base.Config{RetryPauses: []time.Duration{}}}
}

// imageFiles lists the paths of the files below a folder that are whole, sorted.
func imageFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".dcm") {
			paths = append(paths, path)
		}
		return err
	}))
	return paths
}

// requireWhole checks that a folder has every instance of a study once.
func requireWhole(t *testing.T, dir string, study *phantom.Study) {
	t.Helper()
	var want, got []string
	for _, in := range study.Instances() {
		want = append(want, in.SOPInstanceUID+".dcm")
	}
	for _, path := range imageFiles(t, dir) {
		got = append(got, filepath.Base(path))
	}
	require.ElementsMatch(t, want, got)
}

// halfWay returns a site with a job whose quota was used up when about half of its study's 30 instances was in the
// folder.
func halfWay(t *testing.T) (s *site, study *phantom.Study, job jobs.Job) {
	t.Helper()
	study = ct(1, 30)
	s = newSite(t, once(), study)
	s.limit(150_000/1e9, 0)
	s.chores()
	job = s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	s.limit(0, 0)
	require.Greater(t, len(imageFiles(t, s.dir)), 5)
	require.Less(t, len(imageFiles(t, s.dir)), 25)
	return s, study, job
}

// retry retries a job.
func (s *site) retry(job jobs.Job) {
	s.t.Helper()
	require.NoError(s.t, s.Engine.Jobs.Act(s.t.Context(), s.Admin, job.ID, jobs.RetryJob))
}

// TestFilesLostBetweenAttempts: what the ledger says is in a folder counts only if its file is there.
func TestFilesLostBetweenAttempts(t *testing.T) {
	for name, lose := range map[string]func(t *testing.T, paths []string){
		"removed": func(t *testing.T, paths []string) {
			for _, path := range paths[:3] {
				require.NoError(t, os.Remove(path))
			}
		},
		"cut short": func(t *testing.T, paths []string) { require.NoError(t, os.Truncate(paths[2], 1000)) },
		"the study removed": func(t *testing.T, paths []string) {
			require.NoError(t, os.RemoveAll(filepath.Dir(filepath.Dir(paths[0]))))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, study, job := halfWay(t)
			before := imageFiles(t, s.dir)
			size, err := os.Stat(before[2])
			require.NoError(t, err)
			lose(t, before)
			s.retry(job)
			job = s.Wait(job.ID)
			task := s.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			requireWhole(t, s.dir, study)
			require.EqualValues(t, 30, task.Delivered)
			require.Contains(t, task.Message, "no longer in the folder")
			again, err := os.Stat(before[2])
			require.NoError(t, err)
			require.Equal(t, size.Size(), again.Size())
		})
	}
}

// TestAnotherFolderInItsPlace: a disk that is not mounted is like a server that is down: nothing is written to what is
// there instead, and the task goes on when the disk is back.
func TestAnotherFolderInItsPlace(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, dir string){
		"nothing":      func(*testing.T, string) {},
		"an empty one": func(t *testing.T, dir string) { require.NoError(t, os.Mkdir(dir, 0o755)) },
		"another's own": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.WriteFile(
				filepath.Join(dir, marker), []byte("ADIT folder 7d8f2f0e-6d1c-4a51-9c39-0d6f8a3f1b11\n"), 0o644,
			))
		},
		"a pipe for a marker": func(t *testing.T, dir string) {
			require.NoError(t, os.Mkdir(dir, 0o755))
			require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, marker)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, study, job := halfWay(t)
			aside := s.dir + "-aside"
			require.NoError(t, os.Rename(s.dir, aside))
			t.Cleanup(func() { _ = os.RemoveAll(aside) }) // it may be back
			replace(t, s.dir)
			s.retry(job)
			var task jobs.Task
			s.WaitFor(job.ID, func(j jobs.Job) bool { // it is claimed again soon
				task = s.Task(job.ID)
				return j.Done() || task.Status == jobs.Pending && task.WaitingReason != ""
			})
			require.Equal(t, jobs.Pending, task.Status, task.Message)
			require.Contains(t, task.WaitingReason, "the folder disk")
			require.NotContains(t, task.WaitingReason, s.dir, "where it lies is for staff")
			require.Regexp(t, "[mM]ount the", task.WaitingReason)
			require.Zero(t, task.Failures)
			require.Empty(t, imagesIfThere(t, s.dir))
			require.NoError(t, os.RemoveAll(s.dir))
			require.NoError(t, os.Rename(aside, s.dir))
			job = s.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, s.Task(job.ID).Message)
			requireWhole(t, s.dir, study)
		})
	}
}

// TestAdoptFolder: a new disk is written to when staff has said that it is the folder now, and what was on the other
// one is sent again.
func TestAdoptFolder(t *testing.T) {
	s, study, job := halfWay(t)
	aside := s.dir + "-aside"
	require.NoError(t, os.Rename(s.dir, aside))
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(aside)) })
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	s.retry(job)
	s.WaitFor(job.ID, func(jobs.Job) bool { return s.Task(job.ID).WaitingReason != "" })
	report, err := s.Engine.Doctor.Check(t.Context(), s.Admin, "disk")
	require.NoError(t, err)
	require.False(t, report.Checks[0].OK)
	require.Contains(t, report.Checks[0].Detail, "adit node adopt")
	_, err = s.Engine.Nodes.AdoptFolder(t.Context(), people.User{ID: 999}, "disk")
	require.Error(t, err)

	_, err = s.Engine.Nodes.AdoptFolder(t.Context(), s.Admin, "disk")
	require.NoError(t, err)
	job = s.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, s.Task(job.ID).Message)
	require.Contains(t, s.Task(job.ID).Message, "The destination was changed")
	requireWhole(t, s.dir, study)
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM audit WHERE action = 'folder.adopt'"))

	report, err = s.Engine.Doctor.Check(t.Context(), s.Admin, "disk")
	require.NoError(t, err)
	require.True(t, report.Checks[0].OK, report.Checks[0].Detail)
}

// TestFolderOfBefore: a folder that was added before there were marker files is marked when it is used.
func TestFolderOfBefore(t *testing.T) {
	study := ct(1, 3)
	s := newSite(t, once(), study)
	require.NoError(t, os.Remove(filepath.Join(s.dir, marker)))
	s.exec("UPDATE folders SET marker = NULL")
	require.Equal(t, jobs.Success, s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID).Status)
	text, err := os.ReadFile(filepath.Join(s.dir, marker))
	require.NoError(t, err)
	require.Regexp(t, `^ADIT folder [0-9a-f-]{36}\n$`, string(text))
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM folders WHERE marker::text = $1", string(text[12:48])))
}

// TestOneFolderOneNode: a folder is one DICOM node, by whatever path it is found; one whose node was removed can be
// added again.
func TestOneFolderOneNode(t *testing.T) {
	s := newSite(t, once())
	alias := filepath.Join(t.TempDir(), "alias")
	require.NoError(t, os.Symlink(s.dir, alias))
	_, err := s.Engine.Nodes.AddFolder(t.Context(), s.Admin, nodes.NewFolder{Name: "alias", Path: alias})
	require.ErrorContains(t, err, "already belongs to another DICOM node")
	disk, err := s.Engine.Nodes.ByName(t.Context(), "disk")
	require.NoError(t, err)
	require.NoError(t, s.Engine.Nodes.Delete(t.Context(), s.Admin, disk.ID))
	again, err := s.Engine.Nodes.AddFolder(t.Context(), s.Admin, nodes.NewFolder{Name: "alias", Path: alias})
	require.NoError(t, err)
	require.Equal(t, disk.Folder.Marker, again.Folder.Marker)
}

func imagesIfThere(t *testing.T, dir string) []string {
	t.Helper()
	if _, err := os.Stat(dir); err != nil {
		return nil
	}
	return imageFiles(t, dir)
}

// TestFolderLostWhileWriting: the files are counted at the end, where the folder is then.
func TestFolderLostWhileWriting(t *testing.T) {
	study := ct(1, 30)
	for name, lose := range map[string]func(t *testing.T, dir string){
		"a file": func(t *testing.T, dir string) { require.NoError(t, os.Remove(imageFiles(t, dir)[4])) },
		"the folder, with an empty one in its place": func(t *testing.T, dir string) {
			aside := dir + "-aside"
			require.NoError(t, os.Rename(dir, aside))
			t.Cleanup(func() { _ = os.RemoveAll(aside) })
			require.NoError(t, os.Mkdir(dir, 0o755))
			id, err := os.ReadFile(filepath.Join(aside, marker))
			if err == nil { // as a backup has it that is older than the instances
				require.NoError(t, os.WriteFile(filepath.Join(dir, marker), id, 0o644))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			gate := pacs.StopAt(pacs.AtSubOperation, 30)
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: gate.Gate})
			t.Cleanup(gate.Release)
			n, dir := harness.New(t, harness.Config{}), t.TempDir()
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddFolder("disk", dir)
			job := n.Transfer("source", "disk", study.StudyInstanceUID)
			select {
			case <-gate.Reached():
			case <-time.After(harness.Deadline):
				t.Fatal("the transfer did not come so far")
			}
			n.WaitFor(job.ID, func(jobs.Job) bool { return len(imageFiles(t, dir)) == 29 })
			lose(t, dir)
			gate.Release()
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
			requireWhole(t, dir, study)
		})
	}
}

// TestAnotherDestination: what one server acknowledged says nothing of the one that is under its name now.
func TestAnotherDestination(t *testing.T) {
	study := ct(5, 12)
	refused := map[string]dimse.Status{}
	for _, in := range study.Instances()[6:] {
		refused[in.SOPInstanceUID] = dimse.CannotUnderstand
	}
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	first := startPACS(t, pacs.Config{
		AETitle: "DST", Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Statuses: refused}},
	})
	second := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, once())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", first.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.EqualValues(t, 6, n.Task(job.ID).Delivered)

	moveTo(t, n, second)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Len(t, second.Recorder().Log().Stores, 12)
	require.Contains(t, n.Task(job.ID).Message, "The destination was changed")
	require.Contains(t, n.Task(job.ID).Message, "12 instances transferred")
}

// TestAnotherDestinationToVerify: nor is one asked for what was sent to the other.
func TestAnotherDestinationToVerify(t *testing.T) {
	study := ct(6, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	first := startPACS(t, pacs.Config{
		AETitle:   "DST",
		Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Lose: []string{study.Instances()[3].SOPInstanceUID}}},
	})
	second := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, once())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", first.Addr(), func(s *nodes.NewServer) {
		s.Verify = nodes.Verify{Method: nodes.VerifyPresence, Patience: time.Hour}
	})
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(jobs.Job) bool { return n.Task(job.ID).WaitingReason != "" })
	moveTo(t, n, second)
	_, err := n.Pool.Exec(t.Context(), "UPDATE verifications SET due_at = schedule_now()")
	require.NoError(t, err)
	_, err = n.Pool.Exec(t.Context(), "UPDATE tasks SET not_before = schedule_now() WHERE status = 'pending'")
	require.NoError(t, err)
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Len(t, second.Recorder().Log().Stores, 12)
}

// moveTo sets the server "destination" to another PACS.
func moveTo(t *testing.T, n *harness.Member, p *pacs.PACS) {
	t.Helper()
	_, err := n.Engine.Nodes.UpdateServer(
		t.Context(), n.Admin, "destination", func(s *nodes.NewServer) error { s.Port = p.Port(); return nil },
	)
	require.NoError(t, err)
}

// TestFolderNamesAreKept: however the study and the user are called later, a task goes on in the folders that it began.
func TestFolderNamesAreKept(t *testing.T) {
	study := phantom.New(8, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 25, Rows: 64, Columns: 64},
			{Kind: phantom.Report},
			{Kind: phantom.MR, Instances: 4, Rows: 64, Columns: 64},
		},
	})
	young := *study
	young.Series = young.Series[:1]
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{&young}})
	s := &site{t: t, dir: t.TempDir(), Member: harness.New(t, once())}
	s.AddServer("source", "SRC", src.Addr(), nil)
	s.AddFolder("disk", s.dir)
	s.limit(150_000/1e9, 0)
	s.chores()
	job := s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.NotEmpty(t, imageFiles(t, s.dir))

	src.AddStudies(study)
	s.exec("UPDATE users SET username = 'somebody-else' WHERE id = $1", s.Admin.ID)
	s.limit(0, 0)
	s.retry(job)
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.Task(job.ID).Message)
	requireWhole(t, s.dir, study)
	folders, err := filepath.Glob(filepath.Join(s.dir, "adit_*", "*", "*"))
	require.NoError(t, err)
	require.Len(t, folders, 1)

	// Begun anew, it is written over itself.
	s.exec("UPDATE users SET username = 'and-another' WHERE id = $1", s.Admin.ID)
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.RestartJob))
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status, s.Task(job.ID).Message)
	requireWhole(t, s.dir, study)
}

// TestUIDsThatAreNone: no file is made under a name that is no UID, wherever it leads.
func TestUIDsThatAreNone(t *testing.T) {
	for name, spoil := range map[string]func(in *phantom.Instance){
		"leads out":     func(in *phantom.Instance) { in.SOPInstanceUID = "../../../other/1.2.3" },
		"dots":          func(in *phantom.Instance) { in.SOPInstanceUID = "1..2" },
		"letters":       func(in *phantom.Instance) { in.SOPInstanceUID = "1.2.a" },
		"series":        func(in *phantom.Instance) { in.Series().SeriesInstanceUID = "1.2/../3" },
		"empty a level": func(in *phantom.Instance) { in.SOPInstanceUID = "." },
	} {
		t.Run(name, func(t *testing.T) {
			study := phantom.New(9, phantom.StudySpec{
				Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
				Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3, Rows: 64, Columns: 64}, {Kind: phantom.CT, Instances: 1, Rows: 64, Columns: 64}},
			})
			spoil(study.Series[1].Instances[0])
			s := newSite(t, once(), study)
			job := s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
			task := s.Task(job.ID)
			require.NotEqual(t, jobs.Success, job.Status, task.Message)
			require.Contains(t, task.Message, "1 instance is")
			require.EqualValues(t, 3, task.Delivered)
			paths := imageFiles(t, s.dir)
			require.Len(t, paths, 3)
			for _, path := range paths {
				below, err := filepath.Rel(s.dir, path)
				require.NoError(t, err)
				require.Len(t, strings.Split(below, "/"), 5)
			}
		})
	}
}

// TestNoImageOverAnother: two studies have instances of the same UIDs, and everything that their folders are named by.
// Neither takes the place of the other.
func TestNoImageOverAnother(t *testing.T) {
	one, other := ct(1, 3), ct(1, 3)
	other.StudyInstanceUID += ".1"
	other.Series[0].SeriesInstanceUID += ".1"
	first := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{one}})
	second := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{other}})
	s := &site{
		t: t, dir: t.TempDir(),
		Member: harness.New(t, harness.Config{Workers: 1, Engine: base.Config{RetryPauses: []time.Duration{}}}),
	}
	s.AddServer("source", "SRC", first.Addr(), nil)
	s.AddFolder("disk", s.dir)
	job := s.Transfer("source", "disk", one.StudyInstanceUID, other.StudyInstanceUID)
	require.Equal(t, jobs.Failure, s.Wait(job.ID).Status, "the second study is at the second PACS only")
	before := read(t, imageFiles(t, s.dir))
	require.Len(t, before, 3)

	_, err := s.Engine.Nodes.UpdateServer(
		t.Context(), s.Admin, "source", func(srv *nodes.NewServer) error { srv.Port = second.Port(); return nil },
	)
	require.NoError(t, err)
	s.retry(job)
	require.Equal(t, jobs.Failure, s.Wait(job.ID).Status)
	tasks, err := s.Engine.Jobs.Tasks(t.Context(), s.Admin, job.ID, jobs.TaskFilter{Status: jobs.Failure, Limit: 2})
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	require.Contains(
		t, tasks[0].Message,
		"3 instances are missing at the destination: the folder has another instance under the same name",
	)
	require.Equal(t, before, read(t, imageFiles(t, s.dir)))
	require.Zero(t, tasks[0].Delivered)
}

func read(t *testing.T, paths []string) map[string]string {
	t.Helper()
	contents := map[string]string{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		contents[path] = string(b)
	}
	return contents
}

// TestPatientsApart: two Patient IDs never share a folder, whatever has to be replaced in them.
func TestPatientsApart(t *testing.T) {
	ids := []string{"A/B", "A:B", "A_B", "A B", "A.", "A", "CON", "_CON", "Undefined", ".."}
	var studies []*phantom.Study
	var uids []string
	for i, id := range ids {
		study := phantom.New(uint64(100+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: id, Name: "Phantom^Alpha"},
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 16, Columns: 16}},
		})
		studies, uids = append(studies, study), append(uids, study.StudyInstanceUID)
	}
	s := newSite(t, once(), studies...)
	require.Equal(t, jobs.Success, s.Wait(s.Transfer("source", "disk", uids...).ID).Status)
	patients, err := filepath.Glob(filepath.Join(s.dir, "adit_*", "*"))
	require.NoError(t, err)
	require.Len(t, patients, len(ids))
	for _, plain := range []string{"A_B", "A B", "A", "_CON"} {
		require.True(t, slices.ContainsFunc(patients, func(p string) bool { return filepath.Base(p) == plain }), plain)
	}
}
