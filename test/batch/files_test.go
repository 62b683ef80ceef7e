// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchjobs"
	"github.com/adit-go/adit/engine/housekeeping"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// TestFromFileToDestination: what a batch query of a file finds goes as it is into a batch transfer, in either format,
// and the destination holds exactly those studies.
func TestFromFileToDestination(t *testing.T) {
	studies := phantom.DemoStudies()
	for _, format := range []batch.Format{batch.FormatXLSX, batch.FormatCSV, batch.FormatCSVSemicolon} {
		t.Run(string(format), func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies}).Addr(), nil)
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("destination", "DST", dst.Addr(), nil)
			file := "PatientID;Modality;StudyDescription;Pseudonym;Cohort\n" +
				"PHANTOM-001;CT;CT abdomen;SUBJ-1;A\n" +
				"PHANTOM-007;CT;;SUBJ-7;=1+1\n" +
				"PHANTOM-999;CT;;SUBJ-9;B\n"
			list, err := n.Engine.BatchJobs.Query(
				t.Context(), n.Admin, batchjobs.File{Bytes: []byte(file)}, jobs.Queries{Sources: []string{"source"}},
			)
			require.NoError(t, err)
			query := n.Wait(list[0].ID)
			require.Equal(t, jobs.Failure, query.Status, "one row failed")
			require.EqualValues(t, 2, query.NSuccess, "and hurts no other")
			exported := table(t, func(ctx context.Context) (write, error) {
				return n.Engine.BatchJobs.Export(ctx, n.Admin, query.ID, false, format)
			})
			job, err := n.Engine.BatchJobs.Transfer(
				t.Context(), n.Admin, batchjobs.File{Bytes: exported}, jobs.Transfer{Source: "source", Destination: "destination"},
			)
			require.NoError(t, err)
			require.Equal(t, jobs.BatchTransfer, job.Kind)
			job = n.Wait(job.ID)
			require.Equal(t, jobs.Success, job.Status)
			require.EqualValues(t, 2, job.NSuccess)
			require.Len(t, dst.Recorder().Log().Stores, len(studies[0].Instances())+len(studies[11].Instances()))

			failed := table(t, func(ctx context.Context) (write, error) {
				return n.Engine.BatchJobs.FailedRows(ctx, n.Admin, query.ID, format)
			})
			again, err := n.Engine.BatchJobs.Query(
				t.Context(), n.Admin, batchjobs.File{Bytes: failed}, jobs.Queries{Sources: []string{"source"}},
			)
			require.NoError(t, err, "the rows that failed can be asked again as they are")
			require.EqualValues(t, 1, n.Wait(again[0].ID).NFailure)
		})
	}
}

type write = func(ctx context.Context, w io.Writer) error

// table returns what a function writes.
func table(t *testing.T, begin func(ctx context.Context) (write, error)) []byte {
	t.Helper()
	to, err := begin(t.Context())
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, to(t.Context(), &out))
	return out.Bytes()
}

// TestFaultyFileMakesNothing names the first fault and where it is.
func TestFaultyFileMakesNothing(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	_, err := n.Engine.BatchJobs.Query(
		t.Context(), n.Admin, batchjobs.File{Bytes: []byte("PatientID,Modality\n1,CT\n2,\n")},
		jobs.Queries{Sources: []string{"source"}},
	)
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "file", invalid.Field)
	require.Contains(t, invalid.Reason, "in cell B3")
	count := 0
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM jobs").Scan(&count))
	require.Zero(t, count)
}

// TestQueryWaits: a batch query keeps to the hours of its source, says so, and needs no destination for it.
func TestQueryWaits(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "PACS", startPACS(t, pacs.Config{AETitle: "PACS", Studies: phantom.DemoStudies()}).Addr(), nil)
	set := func(batch int) {
		t.Helper()
		_, err := n.Engine.Nodes.SetSchedule(t.Context(), n.Admin, "source", schedule.Schedule{
			Default: schedule.Limits{Batch: batch, Interactive: 1},
		})
		require.NoError(t, err)
	}
	set(0)
	list, err := n.Engine.Jobs.CreateQueries(t.Context(), n.Admin, jobs.Queries{
		Sources: []string{"source"}, Rows: []jobs.Query{{Row: 2, PatientID: "PHANTOM-001", Modalities: []string{"CT"}}},
	})
	require.NoError(t, err)
	job, err := n.Engine.Jobs.Show(t.Context(), n.Admin, list[0].ID)
	require.NoError(t, err)
	require.Contains(t, job.WhyWaiting, "closed for jobs")
	require.Contains(t, n.Task(job.ID).WhyWaiting, "closed for jobs")
	set(1)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
}

// TestQueryIsErased: when the time for patients' identifiers is over, nothing is left of what was asked and found, and
// the query can't be begun anew.
func TestQueryIsErased(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "PACS", startPACS(t, pacs.Config{AETitle: "PACS", Studies: phantom.DemoStudies()}).Addr(), nil)
	_, err := n.People.Site.ChangeSettings(t.Context(), n.Admin, func(s *people.Settings) { s.KeepIdentifiers = 30 })
	require.NoError(t, err)
	job := ask(t, n, []string{"source"}, jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}})[0]
	require.NotEmpty(t, foundBy(t, n, job.ID))
	_, err = n.Pool.Exec(t.Context(), "UPDATE jobs SET ended_at = now() - interval '40 days'")
	require.NoError(t, err)
	require.NoError(t, n.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}))
	_, err = n.Pool.Exec(t.Context(), "UPDATE chores SET next_at = now() WHERE name = 'clean-up'")
	require.NoError(t, err)
	require.NoError(t, n.Engine.Housekeeping.DoChores(t.Context(), housekeeping.Chores{}))
	require.Empty(t, foundBy(t, n, job.ID))
	var conflict *refusal.Conflict
	require.ErrorAs(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RestartJob), &conflict)
}

// TestEthicsID: where the site asks for it, a batch transfer needs the number of the application.
func TestEthicsID(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	n.AddServer("destination", "DST", "127.0.0.1:2", nil)
	_, err := n.People.Site.ChangeSettings(t.Context(), n.Admin, func(s *people.Settings) { s.EthicsIDNeeded = true })
	require.NoError(t, err)
	file := batchjobs.File{Bytes: []byte("PatientID,StudyInstanceUID,Pseudonym\n1,1.2.3,SUBJ-1\n")}
	transfer := jobs.Transfer{Source: "source", Destination: "destination"}
	_, err = n.Engine.BatchJobs.Transfer(t.Context(), n.Admin, file, transfer)
	var invalid *refusal.Invalid
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, "ethics_id", invalid.Field)
	transfer.EthicsID = "S-123/2026"
	job, err := n.Engine.BatchJobs.Transfer(t.Context(), n.Admin, file, transfer)
	require.NoError(t, err)
	require.Equal(t, "S-123/2026", job.EthicsID)
}

// TestLargestFile: what is larger than a file may be is not read.
func TestLargestFile(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	for _, tt := range []struct {
		who  people.User
		size int
		says string
	}{
		{people.User{ID: n.Admin.ID}, batchjobs.MaxFileOfNonStaff + 1, "larger than 5 MiB"},
		{n.Admin, batchjobs.MaxFile + 1, "larger than 32 MiB"},
	} {
		_, err := n.Engine.BatchJobs.Check(
			t.Context(), tt.who, jobs.BatchQuery, batchjobs.File{Bytes: make([]byte, tt.size)}, false,
		)
		require.ErrorContains(t, err, tt.says)
	}
}
