// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"encoding/csv"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/people"
)

// TestFailures: tasks that failed for the same reason are one group, whatever numbers and UIDs their messages hold.
func TestFailures(t *testing.T) {
	n := newIdle(t)
	const gone = "instances are missing at the destination: it is out of resources (status A700H)."
	type ended struct {
		status, message string
		lasting         bool
		times           int
	}
	all := []ended{
		{jobs.Failure, "%d " + gone, false, 22},
		{jobs.Failure, "The source refuses the study 1.2.%d.", true, 2},
		{jobs.Warning, "Completeness not provable.", false, 3},
		{jobs.Warning, "2 instances are not verified after 10m0s.", false, 1},
		{jobs.Success, "All is there.", false, 2},
	}
	var uids []string
	for i := range 30 {
		uids = append(uids, fmt.Sprintf("1.2.%d", i+1))
	}
	job := n.Transfer("source", "destination", uids...).ID
	member := register(t, n, uuid.New())
	var last int64
	for _, e := range all {
		for i := range e.times {
			message := e.message
			if strings.Contains(message, "%d") {
				message = fmt.Sprintf(message, i+1)
			}
			held := claim(t, n, member)
			end(t, n, lease.Outcome{Held: held, Status: e.status, Message: message, Lasting: e.lasting}, db.PutSummaryParams{
				IsLoaded: true, Expected: 10, Received: 10, Delivered: 7,
			})
			if strings.Contains(message, "verified") {
				last = held.TaskID
			}
		}
	}
	_, err := n.Pool.Exec(t.Context(), `INSERT INTO verifications (task_id, job_id, patient_id, study_uid, status, message, open)
		VALUES ($1, $2, '', '', 'warning', '', false)`, last, job)
	require.NoError(t, err)
	groups, err := n.Engine.Jobs.Failures(t.Context(), n.Admin, job, 10)
	require.NoError(t, err)
	type group struct {
		status, message, dicom string
		tasks                  int
		missing                int64
		retry                  bool
	}
	var got []group
	for _, g := range groups {
		got = append(got, group{g.Status, g.Message, g.DICOMStatus, g.Tasks, g.Missing, g.RetryHelps})
		require.Len(t, g.IDs, min(g.Tasks, jobs.NamedFailures))
		require.IsIncreasing(t, append([]int32{0}, g.Seqs...))
	}
	require.Equal(t, []group{
		{jobs.Failure, "N " + gone, "A700", 22, 66, true},
		{jobs.Warning, "Completeness not provable.", "", 3, 9, false},
		{jobs.Failure, "The source refuses the study UID.", "", 2, 6, false},
		{jobs.Warning, "2 instances are not verified after 10m0s.", "", 1, 3, true},
	}, got)
	require.EqualValues(t, 1, groups[0].Seqs[0])
	few, err := n.Engine.Jobs.Failures(t.Context(), n.Admin, job, 2)
	require.NoError(t, err)
	require.Equal(t, groups[:2], few)

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job, jobs.RetryJob))
	groups, err = n.Engine.Jobs.Failures(t.Context(), n.Admin, job, 10)
	require.NoError(t, err)
	require.Len(t, groups, 1, "what is tried again has not failed")
}

// TestFailedStudies: the file of studies that failed says all that makes a job of them again.
func TestFailedStudies(t *testing.T) {
	n := newIdle(t)
	var staff int64
	require.NoError(t, n.Pool.QueryRow(
		t.Context(), `INSERT INTO users (username, is_staff) VALUES ('staff', true) RETURNING id`,
	).Scan(&staff))
	another := people.User{ID: staff, Username: "staff", IsStaff: true}
	table := func(user people.User, job int64, status string) (rows [][]string) {
		t.Helper()
		write, err := n.Engine.Jobs.ExportFailedStudies(t.Context(), user, job, status)
		require.NoError(t, err)
		var out strings.Builder
		require.NoError(t, write(t.Context(), &out))
		rows, err = csv.NewReader(strings.NewReader(out.String())).ReadAll()
		require.NoError(t, err)
		return rows
	}
	fail := func(job int64) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), `WITH t AS (UPDATE tasks SET status = CASE WHEN seq = 3 THEN 'success' WHEN seq = 2 THEN 'canceled' ELSE 'failure' END,
			message = '=it, failed' WHERE job_id = $1) UPDATE jobs SET n_pending = 0, n_failure = 1, n_canceled = 1, n_success = 1 WHERE id = $1`, job)
		require.NoError(t, err)
	}
	plain := n.Create(jobs.Transfer{Source: "source", Destination: "destination", Studies: []jobs.Study{
		{StudyInstanceUID: "1.2.1", SeriesInstanceUIDs: []string{"1.2.1.1", "1.2.1.2"}, PatientID: "-1"},
		{StudyInstanceUID: "1.2.2"},
		{StudyInstanceUID: "1.2.3"},
	}}).ID
	fail(plain)
	require.Equal(t, [][]string{
		{"study_instance_uid", "series_instance_uids", "patient_id", "status", "message"},
		{"1.2.1", "1.2.1.1 1.2.1.2", "'-1", "failure", "'=it, failed"},
	}, table(n.Admin, plain, "failure"), "what a spreadsheet would run has an apostrophe")
	require.Len(t, table(n.Admin, plain, "failure,canceled"), 3)

	given := n.Create(jobs.Transfer{Source: "source", Destination: "destination", Studies: []jobs.Study{
		{StudyInstanceUID: "1.2.1", Pseudonym: "P1"}, {StudyInstanceUID: "1.2.2", Pseudonym: "P1"}, {StudyInstanceUID: "1.2.3", Pseudonym: "P1"},
	}}).ID
	fail(given)
	head := []string{"study_instance_uid", "series_instance_uids", "patient_id", "pseudonym", "status", "message"}
	require.Equal(t,
		[][]string{head, {"1.2.1", "", "", "P1", "failure", "'=it, failed"}}, table(n.Admin, given, "failure"),
	)
	require.Equal(t, [][]string{head, {"1.2.1", "", "", "", "failure", "'=it, failed"}}, table(another, given, "failure"),
		"the pseudonym is of who made the job")
}
