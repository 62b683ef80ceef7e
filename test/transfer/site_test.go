// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// site is a member with a source and a folder.
type site struct {
	*harness.Member
	t   *testing.T
	dir string
	log *testpeer.Buffer
}

func newSite(t *testing.T, cfg harness.Config, studies ...*phantom.Study) *site {
	t.Helper()
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies})
	s := &site{t: t, dir: t.TempDir(), log: &testpeer.Buffer{}}
	cfg.Log = s.log
	s.Member = harness.New(t, cfg)
	s.AddServer("source", "SRC", src.Addr(), nil)
	s.AddFolder("disk", s.dir)
	s.exec("UPDATE users SET mail = 'admin@example.org'")
	return s
}

func (s *site) exec(sql string, args ...any) {
	s.t.Helper()
	_, err := s.Pool.Exec(context.Background(), sql, args...)
	require.NoError(s.t, err)
}

func (s *site) number(sql string, args ...any) (n int64) {
	s.t.Helper()
	require.NoError(s.t, s.Pool.QueryRow(context.Background(), sql, args...).Scan(&n))
	return n
}

func (s *site) chores() {
	s.t.Helper()
	require.NoError(s.t, s.Engine.Housekeeping.DoChores(s.t.Context(), housekeeping.Chores{}))
}

func (s *site) limit(quotaGB, warnGB float64) {
	s.t.Helper()
	_, err := s.Engine.Nodes.ChangeFolder(
		s.t.Context(), s.Admin, "disk",
		func(l *nodes.FolderLimits) { *l = nodes.FolderLimits{QuotaGB: quotaGB, WarnGB: warnGB} },
	)
	require.NoError(s.t, err)
}

// files returns how many files the folder holds, and their bytes.
func (s *site) files() (n int, bytes int64) {
	s.t.Helper()
	require.NoError(s.t, filepath.WalkDir(s.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == marker {
			return err
		}
		info, err := d.Info()
		n, bytes = n+1, bytes+info.Size()
		return err
	}))
	return n, bytes
}

func (s *site) used() int64 { return s.number("SELECT bytes FROM folder_usage") }

func (s *site) settings(change func(*people.Settings)) {
	s.t.Helper()
	_, err := s.People.Site.ChangeSettings(s.t.Context(), s.Admin, change)
	require.NoError(s.t, err)
}

// TestJobMails: one mail for each end of a job, in whatever way it ends, if it was asked for.
func TestJobMails(t *testing.T) {
	study := ct(1, 3)
	s := newSite(t, harness.Config{}, study)
	mails := func() int64 { return s.number("SELECT count(*) FROM outbox") }
	last := func(status string) {
		t.Helper()
		require.Equal(t, status, func() (got string) {
			require.NoError(t, s.Pool.QueryRow(
				t.Context(), "SELECT job_end->>'status' FROM outbox ORDER BY id DESC LIMIT 1",
			).Scan(&got))
			return got
		}())
	}
	transfer := func(mail bool, uids ...string) jobs.Job {
		tr := jobs.Transfer{Source: "source", Destination: "disk", MailWhenFinished: mail}
		for _, uid := range uids {
			tr.Studies = append(tr.Studies, jobs.Study{StudyInstanceUID: uid})
		}
		return s.Create(tr)
	}
	act := func(job int64, action jobs.JobAction) {
		t.Helper()
		require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job, action))
	}

	s.Wait(transfer(false, study.StudyInstanceUID).ID)
	require.Zero(t, mails(), "nobody asked for it")

	ok := s.Wait(transfer(true, study.StudyInstanceUID).ID)
	require.EqualValues(t, 1, mails())
	last(jobs.Success)
	act(ok.ID, jobs.RestartJob)
	s.Wait(ok.ID)
	require.EqualValues(t, 2, mails(), "another end, another mail")

	failed := s.Wait(transfer(true, "1.2.3", "1.2.4").ID)
	require.EqualValues(t, 3, mails(), "one for the job, not for each task")
	last(jobs.Failure)
	act(failed.ID, jobs.RetryJob)
	s.Wait(failed.ID)
	require.EqualValues(t, 4, mails())

	s.Stop(harness.Deadline)
	pending := transfer(true, study.StudyInstanceUID)
	act(pending.ID, jobs.CancelJob)
	require.EqualValues(t, 5, mails())
	last(jobs.Canceled)
	act(pending.ID, jobs.ResumeJob)
	act(pending.ID, jobs.PauseJob)
	act(pending.ID, jobs.ContinueJob)
	require.EqualValues(t, 5, mails())
	act(pending.ID, jobs.CancelJob)
	require.EqualValues(t, 6, mails())

	// Of two tasks one has ended; the other one is deleted.
	half := transfer(true, study.StudyInstanceUID, "1.2.5")
	s.exec("UPDATE tasks SET status = 'success' WHERE job_id = $1 AND seq = 1", half.ID)
	s.exec("UPDATE jobs SET n_pending = 1, n_success = 1, started = true WHERE id = $1", half.ID)
	require.NoError(t, s.Engine.Jobs.ActOnTask(
		t.Context(), s.Admin, s.number("SELECT id FROM tasks WHERE job_id = $1 AND seq = 2", half.ID), jobs.DeleteTask,
	))
	require.EqualValues(t, 7, mails())
	last(jobs.Success)
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM jobs WHERE id = $1 AND ended_at IS NOT NULL", half.ID))

	s.exec("UPDATE users SET mail = ''")
	act(transfer(true, study.StudyInstanceUID).ID, jobs.CancelJob)
	require.EqualValues(t, 7, mails(), "there is no address")

	act(ok.ID, jobs.DeleteJob)
	require.Zero(t, s.number("SELECT count(*) FROM jobs WHERE id = $1", ok.ID), "staff may delete what has ended")
	require.EqualValues(t, 7, mails())
}

// TestJobMailWhileRunning: a job that is canceled while it runs ends once.
func TestJobMailWhileRunning(t *testing.T) {
	study := ct(1, 30)
	stop := pacs.StopAt(pacs.AtSubOperation, 10)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: stop.Gate})
	t.Cleanup(stop.Release)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddFolder("disk", t.TempDir())
	_, err := n.Pool.Exec(t.Context(), "UPDATE users SET mail = 'admin@example.org'")
	require.NoError(t, err)
	job := n.Create(jobs.Transfer{
		Source: "source", Destination: "disk", MailWhenFinished: true,
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
	})
	select {
	case <-stop.Reached():
	case <-time.After(harness.Deadline):
		t.Fatal("the transfer did not come so far")
	}
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.CancelJob))
	n.Wait(job.ID)
	var mails int
	var status string
	require.NoError(
		t, n.Pool.QueryRow(t.Context(), "SELECT count(*), min(job_end->>'status') FROM outbox").Scan(&mails, &status),
	)
	require.Equal(t, 1, mails)
	require.Equal(t, jobs.Canceled, status)
}

// TestQuota: the files of a folder never take more than its quota, several tasks at once included; with more room a
// retry goes on.
func TestQuota(t *testing.T) {
	studies := []*phantom.Study{ct(1, 20), ct(2, 20), ct(3, 20), ct(4, 20)}
	s := newSite(t, harness.Config{Engine: base.Config{RetryPauses: []time.Duration{}}}, studies...)
	const quota = 300_000
	s.limit(quota/1e9, 0)
	s.chores()
	uids := make([]string, len(studies))
	for i, study := range studies {
		uids[i] = study.StudyInstanceUID
	}
	job := s.Wait(s.Transfer("source", "disk", uids...).ID)
	require.Equal(t, jobs.Failure, job.Status)
	tasks, err := s.Engine.Jobs.Tasks(t.Context(), s.Admin, job.ID, jobs.TaskFilter{Status: jobs.Failure, Limit: 9})
	require.NoError(t, err)
	require.Contains(t, tasks[0].Message, "the quota of the folder disk is used up. Make room or raise the quota")
	_, bytes := s.files()
	require.Greater(t, bytes, int64(quota/2))
	require.LessOrEqual(t, bytes, int64(quota))
	require.Equal(t, bytes, s.used(), "what tasks had set aside is given back")

	s.limit(1, 0)
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.RetryJob))
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status)
	n, bytes := s.files()
	require.Equal(t, 80, n)
	require.Equal(t, bytes, s.used())
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, job.ID, jobs.RestartJob))
	require.Equal(t, jobs.Success, s.Wait(job.ID).Status)
	require.Equal(t, bytes, s.used(), "files that take another's place count once")
	s.chores()
	require.Equal(t, bytes, s.used(), "as counted")
}

// TestFolderWarning: staff gets one mail when a folder's files reach the limit, and another one only after they took
// less.
func TestFolderWarning(t *testing.T) {
	study := ct(1, 20)
	s := newSite(t, harness.Config{}, study)
	s.exec("INSERT INTO users (username, mail) VALUES ('user', 'user@example.org')")
	mails := func() int64 { return s.number("SELECT count(*) FROM outbox WHERE subject LIKE '%getting full'") }
	s.limit(0, 100_000/1e9)
	s.chores()
	require.Zero(t, mails())
	s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	for range 3 {
		s.chores()
	}
	require.EqualValues(t, 1, mails(), "once, to staff only")
	h, err := s.Engine.Housekeeping.HouseKeeping(t.Context(), s.Admin)
	require.NoError(t, err)
	require.Len(t, h.Warnings, 1)
	require.Contains(t, h.Warnings[0].Message, "The files in the folder disk take 0.0 GB")

	entries, err := os.ReadDir(s.dir)
	require.NoError(t, err)
	for _, e := range entries {
		if e.Name() == marker {
			continue
		}
		require.NoError(t, os.RemoveAll(filepath.Join(s.dir, e.Name())))
	}
	s.limit(0, 100_000/1e9) // counts anew
	s.chores()
	s.chores()
	require.Zero(t, s.number("SELECT count(*) FROM warnings"))
	s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	s.chores()
	require.EqualValues(t, 2, mails())
}

// TestLowDisk: staff gets one mail when little space is left.
func TestLowDisk(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	s.settings(func(p *people.Settings) { p.LowDiskGB = 1e6 })
	other := t.TempDir()
	for range 3 {
		require.NoError(t, s.Engine.Housekeeping.DoChores(
			t.Context(), housekeeping.Chores{DataDir: other, Member: "node1"},
		))
	}
	require.EqualValues(
		t, 1, s.number("SELECT count(*) FROM outbox WHERE subject = 'ADIT: little disk space of the folder disk'"),
	)
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM outbox WHERE subject LIKE '%data directory on node1'"))
	require.EqualValues(t, 2, s.number("SELECT count(*) FROM warnings"))

	n, err := s.Engine.Nodes.ByName(t.Context(), "disk")
	require.NoError(t, err)
	require.NoError(t, s.Engine.Nodes.Delete(t.Context(), s.Admin, n.ID))
	s.chores()
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM warnings"), "of the folder nothing is left")
	require.Zero(t, s.number("SELECT count(*) FROM chores WHERE name LIKE 'folder%'"))
}

// TestChoresOfSeveral: what is due once is done once, and told once, however many members do the housekeeping. Members
// of one name have warnings of their own.
func TestChoresOfSeveral(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	s.settings(func(p *people.Settings) { p.LowDiskGB = 1e6 })
	s.exec("INSERT INTO chores (name, next_at) VALUES ('clean-up', 'epoch')")
	var log testpeer.Buffer
	var all sync.WaitGroup
	for range 3 {
		m := s.Join(harness.Config{Idle: true, Log: &log})
		c := housekeeping.Chores{DataDir: t.TempDir(), DirID: uuid.New(), Member: "node1"}
		all.Go(func() {
			for range 3 {
				if err := m.Engine.Housekeeping.DoChores(t.Context(), c); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, chore := range []string{"clean-up", "folder-"} {
		require.Equal(t, 1, strings.Count(log.String(), "chore="+chore), chore)
	}
	require.EqualValues(t, 1, s.number("SELECT sum(samples) FROM server_use WHERE server_id = (SELECT min(id) FROM servers)"))
	require.EqualValues(
		t, 1, s.number("SELECT count(*) FROM outbox WHERE subject = 'ADIT: little disk space of the folder disk'"),
	)
	require.EqualValues(t, 3, s.number("SELECT count(*) FROM outbox WHERE subject LIKE '%data directory on node1'"))
}

// TestChoresOfUnseenFolder: a member that sees another folder at the path, such as an empty mount point, neither counts
// its files nor looks at its disk.
func TestChoresOfUnseenFolder(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	require.NoError(t, os.Remove(filepath.Join(s.dir, marker)))
	s.settings(func(p *people.Settings) { p.LowDiskGB = 1e6 })
	s.chores()
	require.Zero(t, s.number("SELECT count(*) FROM warnings"))
	require.Zero(t, s.number("SELECT count(*) FROM chores WHERE name LIKE 'folder%'"))
}

// TestChoresEnd: the housekeeping starts without being asked, and ends when it is told to.
func TestChoresEnd(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	ctx, cancel := context.WithTimeout(t.Context(), harness.Deadline)
	defer cancel()
	var running sync.WaitGroup
	running.Go(func() { s.Engine.Housekeeping.RunChores(ctx, housekeeping.Chores{Pause: 10 * time.Millisecond}) })
	for planned := int64(0); planned < 2; {
		planned = s.number("SELECT count(*) FROM chores")
	}
	cancel()
	running.Wait()
}

// TestCountedTwice: of two counts of one folder that overlap the first one to end holds.
func TestCountedTwice(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "file"), make([]byte, 1000), 0o600))
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			s.exec("UPDATE chores SET next_at = 'epoch' WHERE name LIKE 'folder%'")
			if err := s.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1000, s.used())
}

// TestUnfinishedFiles: what nobody finished is removed from the folders of jobs when it is old; nothing else is
// touched.
func TestUnfinishedFiles(t *testing.T) {
	s := newSite(t, harness.Config{Idle: true})
	old := time.Now().AddDate(0, 0, -3)
	write := func(name string, at time.Time) {
		path := filepath.Join(s.dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte("12345"), 0o600))
		require.NoError(t, os.Chtimes(path, at, at))
	}
	write("adit_selective_transfer_1/p/s/1.2.3.dcm.part", old)
	write("adit_selective_transfer_1/p/s/1.2.4.dcm.part", time.Now())
	write("adit_selective_transfer_1/p/s/1.2.5.dcm", old)
	write("somebody/1.2.6.dcm.part", old)
	require.NoError(t, os.Symlink("/", filepath.Join(s.dir, "adit_root")))
	s.chores()
	n, bytes := s.files()
	require.Equal(t, 4, n) // with the link
	require.NoFileExists(t, filepath.Join(s.dir, "adit_selective_transfer_1/p/s/1.2.3.dcm.part"))
	require.EqualValues(t, 15, s.used())
	require.Greater(t, bytes, int64(15)-1)
}

// TestCleanUp: what the settings don't keep goes, all else stays; one member does it, once a day.
func TestCleanUp(t *testing.T) {
	study := ct(1, 3)
	s := newSite(t, harness.Config{}, study)
	s.settings(func(p *people.Settings) { p.KeepIdentifiers, p.KeepSessions = 30, 2 })
	transfer := func(patient string) jobs.Job {
		return s.Wait(s.Create(jobs.Transfer{
			Source: "source", Destination: "disk",
			Studies:        []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID, PatientID: patient}},
			IdempotencyKey: "key",
		}).ID)
	}
	long := transfer("PHANTOM-001")
	s.exec(
		"UPDATE jobs SET ended_at = now() - interval '40 days'; UPDATE tasks SET ended_at = now() - interval '40 days'",
	)
	s.exec("UPDATE task_log SET at = now() - interval '100 days'")
	s.exec("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'")
	fresh := transfer("PHANTOM-001")
	require.NotEqual(t, long.ID, fresh.ID)
	lines := s.number("SELECT count(*) FROM task_log WHERE at > now() - interval '1 day'")
	s.exec(`INSERT INTO sessions (sha256, user_id, expires_at) SELECT sha256(n::text::bytea), (SELECT min(id) FROM users), now() - n * interval '1 day' FROM generate_series(0, 4) n`)
	s.exec(`INSERT INTO outbox (recipient, subject, body, status, created_at, ended_at) VALUES
		('a@example.org', 'old', '', 'sent', now() - interval '40 days', now() - interval '40 days'),
		('a@example.org', 'young', '', 'sent', now(), now()),
		('a@example.org', 'stuck', '', 'pending', now() - interval '5 days', NULL)`)

	s.chores()
	require.EqualValues(t, 5, s.number("SELECT count(*) FROM sessions"), "its time has not come")
	s.exec("UPDATE chores SET next_at = now() WHERE name = 'clean-up'")
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			if err := s.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, strings.Count(s.log.String(), "chore=clean-up"))

	require.EqualValues(t, 2, s.number("SELECT count(*) FROM sessions"), "those that ended less than two days ago")
	require.Equal(t, lines, s.number("SELECT count(*) FROM task_log"))
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM idempotency_keys"))
	require.EqualValues(t, 1, s.number(
		"SELECT count(*) FROM outbox WHERE subject = 'stuck' AND status = 'given_up' AND error LIKE '%--smtp-host'",
	))
	require.Zero(t, s.number("SELECT count(*) FROM outbox WHERE subject = 'old'"))
	require.EqualValues(t, 1, s.number("SELECT count(*) FROM tasks WHERE patient_id <> ''"))
	require.Empty(t, s.Task(long.ID).PatientID)
	require.Equal(t, "PHANTOM-001", s.Task(fresh.ID).PatientID)

	h, err := s.Engine.Housekeeping.HouseKeeping(t.Context(), s.Admin)
	require.NoError(t, err)
	require.EqualValues(t, 1, h.Removed.ErasedJobs)
	require.EqualValues(t, 3, h.Removed.Sessions)
	require.True(t, h.Next.After(time.Now()) && h.Next.Before(time.Now().Add(25*time.Hour)))
	require.Equal(t, "03:00", h.Next.UTC().Format("15:04"))

	// Such a job can still be done again: the study is found without the patient's ID.
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, long.ID, jobs.RestartJob))
	require.Equal(t, jobs.Success, s.Wait(long.ID).Status)
}

// TestRetention: jobs go when their time is over, with all that belongs to them and nothing else; what can't be retried
// any more has no ledger, and no ledger is taken from what can.
func TestRetention(t *testing.T) {
	study := ct(1, 3)
	s := newSite(t, harness.Config{}, study)
	s.settings(func(p *people.Settings) {
		p.KeepJobs, p.KeepDeidentifiedJobs, p.KeepLedgers, p.KeepStats, p.KeepTaskLogs = 100, 300, 30, 1000, 0
	})
	ago := func(days int, job int64) {
		s.exec("UPDATE tasks SET ended_at = now() - make_interval(days => $1) WHERE job_id = $2", days, job)
		s.exec("UPDATE jobs SET ended_at = now() - make_interval(days => $1) WHERE id = $2", days, job)
	}
	made := func(days int, uids ...string) int64 {
		job := s.Wait(s.Transfer("source", "disk", uids...).ID)
		ago(days, job.ID)
		return job.ID
	}
	some := "INSERT INTO delivered (task_id, source_sop_uid, series_uid, bytes, status) SELECT t.id, '1.2.' || n, '1.2', 1, 0 FROM tasks t, generate_series(1, $2) n WHERE t.job_id = $1"
	failed := func(days int) int64 {
		id := made(days, "1.2.3")
		s.exec(some, id, 6000) // more than one batch
		return id
	}
	canceled := func(days int) int64 {
		id := failed(days)
		s.exec("UPDATE tasks SET status = 'canceled' WHERE job_id = $1", id)
		s.exec("UPDATE jobs SET canceled = true, n_failure = 0, n_canceled = 1 WHERE id = $1", id)
		return id
	}
	gone, deid, old := made(101, study.StudyInstanceUID, "1.2.3"), made(101, study.StudyInstanceUID),
		made(301, study.StudyInstanceUID)
	s.exec("UPDATE jobs SET profile_name = 'p' WHERE id IN ($1, $2)", deid, old)
	fresh, late := made(99, study.StudyInstanceUID), failed(99)
	young, stale, staleCanceled, youngCanceled := failed(29), failed(31), canceled(31), canceled(29)
	s.exec("INSERT INTO daily_transfers VALUES (current_date - 1001, 1, 1, 1, 1, 1, 1, 1), (current_date - 999, 1, 1, 1, 1, 1, 1, 1)")
	interrupted := made(200, study.StudyInstanceUID, "1.2.3")
	s.exec("UPDATE jobs SET stripped = 3 WHERE id = $1", interrupted) // by a clean-up that was killed
	_, err := s.Engine.Jobs.Get(t.Context(), s.Admin, interrupted)
	require.ErrorIs(t, err, refusal.ErrNotFound)

	s.chores()
	s.exec("UPDATE chores SET next_at = now() WHERE name = 'clean-up'")
	s.chores()
	for _, id := range []int64{gone, old, interrupted} {
		_, err := s.Engine.Jobs.Get(t.Context(), s.Admin, id)
		require.ErrorIs(t, err, refusal.ErrNotFound)
	}
	for _, table := range []string{"tasks", "task_series s JOIN tasks", "task_log l JOIN tasks"} {
		on := map[bool]string{true: " t ON t.id = task_id", false: " t"}[strings.Contains(table, "JOIN")]
		require.Zero(t, s.number("SELECT count(*) FROM "+table+on+" WHERE t.job_id NOT IN (SELECT id FROM jobs)"))
	}
	require.EqualValues(t, 7, s.number("SELECT count(*) FROM jobs"))
	require.EqualValues(t, 2, s.number(
		"SELECT count(*) FROM audit WHERE action = 'job.delete' AND via = 'system' AND detail LIKE '%clean-up%'",
	))
	require.EqualValues(
		t, 1, s.number("SELECT count(*) FROM daily_transfers WHERE owner_id = 1 AND day < current_date - 900"),
	)
	h, err := s.Engine.Housekeeping.HouseKeeping(t.Context(), s.Admin)
	require.NoError(t, err)
	require.EqualValues(t, 3, h.Removed.RemovedJobs)

	ledger := func(id int64) int64 {
		return s.number("SELECT count(*) FROM delivered d JOIN tasks t ON t.id = d.task_id WHERE t.job_id = $1", id)
	}
	var conflict *refusal.Conflict
	for id, action := range map[int64]jobs.JobAction{
		late: jobs.RetryJob, stale: jobs.RetryJob, staleCanceled: jobs.ResumeJob,
	} {
		require.Zero(t, ledger(id))
		require.ErrorAs(t, s.Engine.Jobs.Act(t.Context(), s.Admin, id, action), &conflict)
		require.Contains(t, conflict.Reason, "ended too long ago")
	}
	for id, action := range map[int64]jobs.JobAction{young: jobs.RetryJob, youngCanceled: jobs.ResumeJob} {
		require.EqualValues(t, 6000, ledger(id))
		require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, id, action))
		s.Wait(id)
	}
	for _, id := range []int64{fresh, deid} {
		require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, id, jobs.RestartJob))
		require.Equal(t, jobs.Success, s.Wait(id).Status)
	}
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, stale, jobs.RestartJob)) // and is one like others again
	require.Equal(t, jobs.Failure, s.Wait(stale).Status)
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, stale, jobs.RetryJob))
	s.Wait(stale)
}

// TestStats: figures by day and node, which stay when a job is deleted after its day was summed up; everybody sees
// their own.
func TestStats(t *testing.T) {
	study := ct(1, 3)
	s := newSite(t, harness.Config{}, study)
	first := s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	s.exec(
		"UPDATE jobs SET ended_at = now() - interval '5 days'; UPDATE tasks SET ended_at = now() - interval '5 days'",
	)
	s.Wait(s.Transfer("source", "disk", study.StudyInstanceUID).ID)
	s.Wait(s.Transfer("source", "disk", "1.2.3").ID)
	see := func(user people.User, days int) housekeeping.Stats {
		t.Helper()
		out, err := s.Engine.Housekeeping.Stats(t.Context(), user, days)
		require.NoError(t, err)
		require.Len(t, out.Days, days)
		return out
	}
	check := func() {
		t.Helper()
		week := see(s.Admin, 7)
		require.EqualValues(t, 3, week.Days[1].Images)
		require.EqualValues(t, 1, week.Days[1].Tasks)
		require.EqualValues(t, 3, week.Days[6].Images)
		require.EqualValues(t, 2, week.Days[6].Tasks)
		require.EqualValues(t, 1, week.Days[6].Failed)
		require.Len(t, week.Nodes, 2)
		require.Equal(t, "disk", week.Nodes[0].Name)
		require.EqualValues(t, 6, week.Nodes[0].To.Images)
		require.Zero(t, week.Nodes[0].From.Images)
		require.EqualValues(t, 6, week.Nodes[1].From.Images)
		require.Equal(t, week.Nodes[0].To.Bytes, week.Nodes[1].From.Bytes)
	}
	check()
	require.Equal(t, map[string]int64{jobs.Success: 2, jobs.Failure: 1}, see(s.Admin, 1).Jobs)
	require.EqualValues(t, 3, see(s.Admin, 1).Days[0].Images)
	s.chores()
	s.exec("UPDATE chores SET next_at = now() WHERE name = 'clean-up'")
	s.chores()
	check()
	require.NoError(t, s.Engine.Jobs.Act(t.Context(), s.Admin, first.ID, jobs.DeleteJob))
	check()

	other := people.User{ID: s.number("INSERT INTO users (username) VALUES ('other') RETURNING id")}
	none := see(other, 7)
	require.Empty(t, none.Jobs)
	require.Empty(t, none.Nodes)
	for _, days := range []int{0, 367} {
		_, err := s.Engine.Housekeeping.Stats(t.Context(), s.Admin, days)
		var invalid *refusal.Invalid
		require.ErrorAs(t, err, &invalid, fmt.Sprint(days))
	}
}
