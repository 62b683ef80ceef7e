// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestFolderOfOneMember: tasks of a folder that only one member of the cluster sees are never claimed by another one,
// which goes on with everything else. While nobody sees it they wait, are told why, and no attempt counts.
func TestFolderOfOneMember(t *testing.T) {
	const tasks = 12
	dir := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.Mkdir(dir, 0o700))
	var studies []*phantom.Study
	var uids []string
	for i := range tasks {
		study := ct(uint64(i+1), 3)
		studies, uids = append(studies, study), append(uids, study.StudyInstanceUID)
	}
	source, err := pacs.Start(pacs.Config{AETitle: "SRC", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Close()) })
	destination, err := pacs.Start(pacs.Config{AETitle: "DST"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, destination.Close()) })

	sees := harness.New(t, harness.Config{Lease: time.Second, Workers: 1, Engine: base.Config{Cluster: true}})
	// What is in its data directory is no folder to a member: so it doesn't see this one.
	blind := sees.Join(harness.Config{
		Lease: time.Second, Engine: base.Config{Cluster: true, DataDir: filepath.Dir(dir)},
	})
	_, err = sees.Pool.Exec(t.Context(), `CREATE TABLE claims (job_id bigint, member uuid);
		CREATE FUNCTION claimed() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO claims VALUES (NEW.job_id, NEW.lease_member); RETURN NEW; END $$;
		CREATE TRIGGER claimed AFTER UPDATE ON tasks FOR EACH ROW
		WHEN (NEW.status = 'in_progress' AND OLD.status = 'pending') EXECUTE FUNCTION claimed()`)
	require.NoError(t, err)
	sees.AddServer("source", "SRC", source.Addr(), nil)
	sees.AddServer("destination", "DST", destination.Addr(), nil)
	sees.AddFolder("disk", dir)

	members := func(job jobs.Job) (n int) {
		require.NoError(t, sees.Pool.QueryRow(
			t.Context(), "SELECT count(DISTINCT member) FROM claims WHERE job_id = $1", job.ID,
		).Scan(&n))
		return n
	}
	toFolder, toServer := sees.Transfer("source", "disk", uids...), sees.Transfer("source", "destination", uids...)
	toFolder, toServer = sees.Wait(toFolder.ID), sees.Wait(toServer.ID)
	require.Equal(t, jobs.Success, toFolder.Status)
	require.Equal(t, jobs.Success, toServer.Status)
	require.Len(t, imageFiles(t, dir), tasks*3)
	require.Equal(t, 1, members(toFolder))

	report, err := blind.Engine.Doctor.Check(t.Context(), blind.Admin, "disk")
	require.NoError(t, err)
	require.Contains(t, report.Checks[0].Detail, "doesn't see this folder as it was set up")
	require.Contains(t, report.Checks[0].Detail, "Its tasks run on the members that see it: test")
	require.False(t, report.Checks[0].OK)
	t.Log(report.Checks[0].Detail)

	sees.Stop(0)
	waits := blind.Transfer("source", "disk", uids[0])
	other := blind.Wait(blind.Transfer("source", "destination", uids[0]).ID)
	require.Equal(t, jobs.Success, other.Status)
	task := blind.Task(waits.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.Contains(t, task.WhyWaiting, "no running member of the cluster sees the folder disk; mount its disk")
	_, err = blind.Engine.Lease.Drain(t.Context(), blind.Admin, "test", true)
	require.NoError(t, err)
	require.Contains(t, blind.Task(waits.ID).WhyWaiting, "no member of the cluster runs tasks now")
	_, err = blind.Engine.Lease.Drain(t.Context(), blind.Admin, "test", false)
	require.NoError(t, err)
	waits, err = blind.Engine.Jobs.Show(t.Context(), blind.Admin, waits.ID)
	require.NoError(t, err)
	require.Equal(t, task.WhyWaiting, waits.WhyWaiting)

	sees.Start()
	require.Equal(t, jobs.Success, sees.Wait(waits.ID).Status)
	task = sees.Task(waits.ID)
	require.Zero(t, task.Failures+task.Losses+task.Waits)
}
