// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestJobsOfPages: what pages ask of jobs: one's own, counts by the same filters, sums, why they failed and wait.
func TestJobsOfPages(t *testing.T) {
	s := newSite(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	s.addServer("SRC", "SRC", nil)
	s.addServer("DST", "DST", nil)
	s.addServer("OTHER", "OTHER", nil)
	var ids []int64
	for i := range 6 {
		job, err := s.client.Jobs.Create(t.Context(), client.NewJob{
			Kind: client.SelectiveTransfer, Source: "SRC", Destination: []string{"DST", "OTHER"}[i%2],
			Studies: []client.NewStudy{{StudyInstanceUID: "1.2.3"}, {StudyInstanceUID: "1.2.4"}},
		}, "")
		require.NoError(t, err)
		require.NotEmpty(t, job.WhyWaiting)
		ids = append(ids, job.ID)
	}
	s.otherUser()
	exec(`UPDATE jobs SET owner_id = (SELECT id FROM users WHERE username = 'other') WHERE id = $1`, ids[0])
	exec(`UPDATE tasks SET status = 'failure', message = seq || ' instances are missing: it is full (status A700H).', reason = 'N instances are missing: it is full (status A700H).',
		expected = 10, received = 9, delivered = 8, bytes = 100 WHERE job_id = $1`, ids[1])
	exec(`UPDATE jobs SET n_pending = 0, n_failure = 2, sum_expected = 20, sum_received = 18, sum_delivered = 16, sum_bytes = 200, started = true WHERE id = $1`, ids[1])
	exec(`UPDATE jobs SET paused = true, sum_delivered = 0 WHERE id = $1`, ids[2])

	for name, tt := range map[string]struct {
		filter client.JobFilter
		want   client.JobCounts
	}{
		"of everybody":       {want: client.JobCounts{Pending: 5, Failure: 1}},
		"mine":               {filter: client.JobFilter{Mine: true}, want: client.JobCounts{Pending: 4, Failure: 1}},
		"mine, of another":   {filter: client.JobFilter{Mine: true, Owner: "other"}},
		"of another":         {filter: client.JobFilter{Owner: "other"}, want: client.JobCounts{Pending: 1}},
		"paused":             {filter: client.JobFilter{Paused: new(true)}, want: client.JobCounts{Pending: 1}},
		"of a node":          {filter: client.JobFilter{Destination: "other"}, want: client.JobCounts{Pending: 2, Failure: 1}},
		"of a kind":          {filter: client.JobFilter{Kind: client.SelectiveTransfer}, want: client.JobCounts{Pending: 5, Failure: 1}},
		"whatever status":    {filter: client.JobFilter{Status: "failure"}, want: client.JobCounts{Pending: 5, Failure: 1}},
		"of no such project": {filter: client.JobFilter{Project: "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			counts, err := s.client.Jobs.Count(t.Context(), tt.filter)
			require.NoError(t, err)
			require.Equal(t, tt.want, counts)
			if tt.filter.Status != "" {
				return
			}
			listed := 0
			for _, err := range s.client.Jobs.List(t.Context(), tt.filter) {
				require.NoError(t, err)
				listed++
			}
			require.Equal(t, counts.Total(), listed)
		})
	}

	job, err := s.client.Jobs.Get(t.Context(), ids[1])
	require.NoError(t, err)
	require.Equal(t, []int64{20, 18, 16, 200}, []int64{job.Expected, job.Received, job.Delivered, job.Bytes})
	require.Empty(t, job.WhyWaiting)
	job, err = s.client.Jobs.Get(t.Context(), ids[2])
	require.NoError(t, err)
	require.Equal(t, "the job is paused", job.WhyWaiting)

	groups, more, err := s.client.Jobs.Failures(t.Context(), ids[1])
	require.NoError(t, err)
	require.False(t, more)
	require.Len(t, groups, 1)
	require.Len(t, groups[0].First, 2)
	groups[0].First = nil
	require.Equal(t, client.FailureGroup{
		Status: client.Failure, Message: "N instances are missing: it is full (status A700H).", DICOMStatus: "A700", Tasks: 2, Missing: 4, RetryHelps: true,
	}, groups[0])
	groups, _, err = s.client.Jobs.Failures(t.Context(), ids[2])
	require.NoError(t, err)
	require.Empty(t, groups)

	var file bytes.Buffer
	require.NoError(t, s.client.Jobs.FailedStudies(t.Context(), ids[1], "", &file))
	require.Equal(t, "study_instance_uid,series_instance_uids,patient_id,status,message\n"+
		"1.2.3,,,failure,1 instances are missing: it is full (status A700H).\n"+
		"1.2.4,,,failure,2 instances are missing: it is full (status A700H).\n", file.String())
	file.Reset()
	require.NoError(t, s.client.Jobs.FailedStudies(t.Context(), ids[1], client.Canceled, &file))
	require.Equal(t, 1, bytes.Count(file.Bytes(), []byte("\n")))
	r := s.send("GET", fmt.Sprintf("/api/v1/jobs/%d/failed-studies?status=pending", ids[1]), "")
	require.Equal(t, 422, r.StatusCode)
}

// TestDeidentificationSum: what was delivered under a pseudonym, with identity, and held back, over all studies of a
// job. What is on its way under a pseudonym is not taken for a study with its identity.
func TestDeidentificationSum(t *testing.T) {
	s := newSite(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		_, err := s.pool.Exec(t.Context(), sql, args...)
		require.NoError(t, err)
	}
	s.addServer("SRC", "SRC", nil)
	s.addServer("DST", "DST", nil)
	var studies []client.NewStudy
	for i, pseudonym := range []string{"SUBJ-1", "SUBJ-1", "SUBJ-2", "SUBJ-3", "SUBJ-4", "SUBJ-5"} {
		studies = append(studies, client.NewStudy{StudyInstanceUID: fmt.Sprintf("1.2.%d", i+1), Pseudonym: pseudonym})
	}
	job, err := s.client.Jobs.Create(t.Context(), client.NewJob{
		Kind: client.SelectiveTransfer, Source: "SRC", Destination: "DST", Studies: studies,
	}, "")
	require.NoError(t, err)
	exec(`UPDATE tasks SET pseudonym = '' WHERE job_id = $1 AND seq > 4`, job.ID) // no job is made so, but what if?
	none := client.JobDeidentification{
		Studies: 6, ToPseudonymize: 4, Attributes: map[string]int64{}, Codes: map[string]int{},
		AssumedCharsets: map[string]int{}, HeldBack: []client.HeldBack{}, Excluded: map[string]int{},
	}
	sum, err := s.client.Jobs.DeidentificationSum(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, none, sum, "nothing was done yet")

	report := func(seq, instances int, counts, codes, leftOut string) {
		exec(`UPDATE tasks SET delivered = $3 WHERE job_id = $1 AND seq = $2`, job.ID, seq, instances)
		exec(`INSERT INTO task_deid (task_id, study_uid, pseudonym, instances, counts, codes, to_utf8, assumed_charsets, left_out, omitted)
			SELECT id, '2.25.1', pseudonym, $3, $4, $5, 1, '{"ISO_IR 100": 2}', $6, '{"SR": 1}' FROM tasks WHERE job_id = $1 AND seq = $2`,
			job.ID, seq, instances, counts, codes, leftOut)
	}
	report(1, 10, `{"keep": 100, "remove": 20}`, `{113100,113105}`, `[{"uid": "1", "reason": "burned-in"}, {"uid": "2", "reason": "burned-in"}]`)
	report(2, 5, `{"keep": 50}`, `{113100}`, `[{"uid": "1", "reason": "burned-in"}, {"uid": "2", "reason": "undecodable-text", "unsafe": true}]`)
	report(3, 0, `{}`, `{}`, `[{"uid": "1", "reason": "unparsable", "unsafe": true}]`)
	exec(`UPDATE tasks SET delivered = 3 WHERE job_id = $1 AND seq IN (4, 5)`, job.ID)
	sum, err = s.client.Jobs.DeidentificationSum(t.Context(), job.ID)
	require.NoError(t, err)
	require.Equal(t, client.JobDeidentification{
		Studies: 6, ToPseudonymize: 4, Pseudonymized: 2, WithIdentity: 1, Patients: 1,
		Instances: 15, InstancesWithIdentity: 3, Attributes: map[string]int64{"keep": 150, "remove": 20},
		Codes: map[string]int{"113100": 2, "113105": 1}, MovedToUTF8: 3, AssumedCharsets: map[string]int{"ISO_IR 100": 6},
		HeldBack: []client.HeldBack{
			{Reason: "burned-in", Instances: 3, Studies: 2, First: 1},
			{Reason: "undecodable-text", Unsafe: true, Instances: 1, Studies: 1, First: 2},
			{Reason: "unparsable", Unsafe: true, Instances: 1, Studies: 1, First: 3},
		},
		Excluded: map[string]int{"SR": 3},
	}, sum)

	_, err = s.otherUser().Jobs.DeidentificationSum(t.Context(), job.ID)
	require.Equal(t, 404, status(err))
}
