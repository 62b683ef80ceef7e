// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

// TestPlans: no list walks a big table, whatever it is asked for.
func TestPlans(t *testing.T) { testPlans(t, 20_000) }

// filled makes tables of so many rows. What lists are asked for is the oldest, or the last in the order of the list.
const filled = `
	INSERT INTO groups (name) VALUES ('G');
	INSERT INTO users (username) VALUES ('a'), ('b');
	INSERT INTO projects (name, group_id, sealed_key) VALUES ('P', 1, '');
	INSERT INTO dicom_nodes (name, kind) VALUES ('S', 'server'), ('D', 'server');
	INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_success, n_failure)
	SELECT 'selective_transfer', 1 + (n <= 20)::integer, 1, 1, 2, 4, (n > 10)::integer, (n <= 10)::integer FROM generate_series(1, $rows) n;
	INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_success, n_failure)
	SELECT 'selective_transfer', 1, 1, 1, 2, 4, $rows, 20;
	INSERT INTO tasks (job_id, seq, status, ended_at)
	SELECT (SELECT max(id) FROM jobs), n, CASE WHEN n > $rows - 20 THEN 'failure' ELSE 'success' END, now() - n * interval '1 minute' FROM generate_series(1, $rows) n;
	INSERT INTO task_log (task_id, line) SELECT id, 'one' FROM tasks;
	INSERT INTO task_series (task_id, series_uid, expected, delivered, bytes) SELECT id, '1.2', 1, 1, 1 FROM tasks;
	INSERT INTO task_deid (task_id, study_uid) SELECT id, '1.2' FROM tasks;
	INSERT INTO deid_actions (sha256, done) VALUES ('\x01', '[]');
	INSERT INTO deid_objects (task_id, sop_uid, object, actions) SELECT id, '1.2', '{}', '\x01' FROM tasks;
	INSERT INTO delivered (task_id, source_sop_uid, series_uid, bytes, status) SELECT id, '1.2', '1', 1, 0 FROM tasks;
	INSERT INTO queries (task_id, patient_id, patient_name, patient_birth_date, accession_number, study_date_from, study_date_to, modalities, study_description, series_description, series_numbers, extra)
	SELECT id, 'p', '', '', '', '', '', '{CT}', '', '', '{}', '{}' FROM tasks;
	INSERT INTO query_results (job_id, task_id, patient_id, patient_name, patient_birth_date, accession_number, study_instance_uid, study_date, study_time, study_description, modalities, series_instance_uid, series_description, instances)
	SELECT job_id, id, 'p', '', '', '', '1.2', '', '', '', '{CT}', '', '', 1 FROM tasks;
	INSERT INTO partitions (task_id, first_day, last_day) SELECT id, '20240101', '20240101' FROM tasks;
	INSERT INTO volumes (job_id, partition_id, task_id, patient_id, accession_number, study_instance_uid, study_date, study_time, study_description, series_instance_uid, modality, series_description, institution_name, instances)
	SELECT t.job_id, t.id, t.id AS task, 'p', '', '1.2', '20240101', '', '', '1.2.' || t.id, 'CT', '', '', 1 FROM tasks t;
	INSERT INTO recurrences (owner_id, kind, title, settings, weekdays, at_minute)
	SELECT 1 + (n <= 20)::integer, 'batch_query', '', '{}', '{}', 0 FROM generate_series(1, $rows) n;
	INSERT INTO audit (at, username, action, patient_id, study_uid)
	SELECT now() - ($rows - n) * interval '1 minute', CASE WHEN n <= 10 THEN 'rare' ELSE 'often' END, CASE WHEN n <= 10 THEN 'rare.act' ELSE 'often.act' END, 'p' || n, '1.2.' || n
	FROM generate_series(1, $rows) n;
	INSERT INTO outbox (recipient, subject, body, status, ended_at)
	SELECT 'x', '', '', CASE WHEN n <= 10 THEN 'given_up' ELSE 'sent' END, now() FROM generate_series(1, $rows) n;
	INSERT INTO linkage (project_id, trial, pseudonym, identity, patient_id) SELECT 1, 't' || n, 'p' || n, 'i' || n, 'id' || n FROM generate_series(1, $rows) n;
	INSERT INTO unsolicited_instances (day, server, calling_ae, address, sop_class_uid, instances, quarantined, first_at, last_at)
	SELECT now(), 's' || n, '', '', '', 1, 0, now(), now() FROM generate_series(1, $rows) n;
	INSERT INTO quarantine (folder, file, server, calling_ae, address, sop_class_uid, sop_instance_uid, transfer_syntax_uid, bytes)
	SELECT (SELECT gen_random_uuid()), gen_random_uuid(), '', '', '', '', '', '', 1 FROM generate_series(1, $rows) n;
	INSERT INTO rejected_callers (server, calling_ae, called_ae, address, reason, calls, first_at, last_at)
	SELECT 's' || n, '', '', '', '', 1, now(), now() FROM generate_series(1, $rows) n;
	INSERT INTO api_use (day, user_id, token_id, token, operation, requests, client_errors, server_errors, bytes, last_at)
	SELECT current_date - n % 60, 1 + (n <= 20)::integer, n, '', 'get-me', 1, 0, 0, 1, now() FROM generate_series(1, $rows) n;`

// lists are questions to each list of a big table, by its name.
func lists(ctx context.Context, q *db.Queries, job int64, rows int) map[string][]func() error {
	ask := func(_ any, err error) error { return err }
	jobs := func(p db.ListJobsParams) func() error {
		p.Max = 50
		return func() error { return ask(q.ListJobs(ctx, p)) }
	}
	newest := func(p db.ListJobsParams) func() error {
		p.Sort, p.Down = "id", true
		return jobs(p)
	}
	tasks := func(p db.ListTasksParams) func() error {
		p.JobID, p.Max = job, 50
		return func() error { return ask(q.ListTasks(ctx, p)) }
	}
	use := func(p db.ListAPIUseParams) func() error {
		p.Max = 50
		return func() error { return ask(q.ListAPIUse(ctx, p)) }
	}
	audit := func(p db.ListAuditParams) func() error {
		p.Most = 50
		return func() error { return ask(q.ListAudit(ctx, p)) }
	}
	between := func(p db.ListAuditBetweenParams) func() error {
		p.Most = 50
		return func() error { return ask(q.ListAuditBetween(ctx, p)) }
	}
	mails := func(p db.ListMailsParams) func() error {
		p.Max = 50
		return func() error { return ask(q.ListMails(ctx, p)) }
	}
	linkage := func(p db.ListLinkageParams) func() error {
		p.ProjectID, p.Max = 1, 50
		return func() error { return ask(q.ListLinkage(ctx, p)) }
	}
	results := func(p db.ListResultsParams) func() error {
		p.JobIds, p.Max = []int64{job - 1, job}, 50
		return func() error { return ask(q.ListResults(ctx, p)) }
	}
	volumes := func(p db.ListVolumesParams) func() error {
		p.JobID, p.Max = job, 50
		return func() error { return ask(q.ListVolumes(ctx, p)) }
	}
	first := time.Now().Add(-time.Duration(rows) * time.Minute)
	early, late := first.Add(-time.Minute), first.Add(10*time.Minute)
	return map[string][]func() error{
		"ListJobs": {
			newest(db.ListJobsParams{}), newest(db.ListJobsParams{Status: "failure"}),
			newest(db.ListJobsParams{OwnerID: 2}), newest(db.ListJobsParams{OwnerID: 1, Status: "failure"}),
			newest(db.ListJobsParams{Status: "canceling"}), newest(db.ListJobsParams{After: 100, Status: "success"}),
			jobs(db.ListJobsParams{Sort: "id"}), jobs(db.ListJobsParams{Sort: "id", After: 100}),
			jobs(db.ListJobsParams{Sort: "created_at", Down: true}), jobs(db.ListJobsParams{Sort: "started_at"}),
			jobs(db.ListJobsParams{Sort: "ended_at", Down: true, After: 100, Value: "infinity"}),
			jobs(db.ListJobsParams{Sort: "priority"}), jobs(db.ListJobsParams{Sort: "status", Down: true}),
			jobs(db.ListJobsParams{Sort: "status", After: 100, Value: "failure"}),
			jobs(db.ListJobsParams{Sort: "priority", Down: true, After: 100, Value: "4"}),
		},
		"ListTasks": {
			tasks(db.ListTasksParams{}), tasks(db.ListTasksParams{Status: "failure"}),
			tasks(db.ListTasksParams{Status: "canceled"}),
			tasks(db.ListTasksParams{After: 1000, Status: "success"}),
			tasks(db.ListTasksParams{Seq: int32(rows) / 2}), tasks(db.ListTasksParams{Seq: 7, Status: "failure"}),
			tasks(db.ListTasksParams{Skip: 500}), tasks(db.ListTasksParams{Skip: 500, Status: "success"}),
			tasks(db.ListTasksParams{Skip: 500, Status: "success", Down: true}),
			tasks(db.ListTasksParams{Sort: "status"}), tasks(db.ListTasksParams{Sort: "status", Down: true}),
		},
		"ListAudit": {
			audit(db.ListAuditParams{}), audit(db.ListAuditParams{Username: new("RARE")}),
			audit(db.ListAuditParams{Action: new("rare.act")}),
			audit(db.ListAuditParams{PatientID: new("p7")}), audit(db.ListAuditParams{StudyUid: new("1.2.7")}),
			audit(db.ListAuditParams{Before: new(int64(90))}),
			audit(db.ListAuditParams{Username: new("nobody")}),
		},
		"ListAuditBetween": {
			between(db.ListAuditBetweenParams{UntilTime: &late}),
			between(db.ListAuditBetweenParams{FromTime: &early, UntilTime: &late}),
			between(db.ListAuditBetweenParams{FromTime: &early}),
			between(db.ListAuditBetweenParams{FromTime: &early, Before: new(int64(100))}),
			between(db.ListAuditBetweenParams{FromTime: &early, Username: new("rare")}),
			between(db.ListAuditBetweenParams{UntilTime: &late, Action: new("often.act")}),
		},
		"ListMails":       {mails(db.ListMailsParams{}), mails(db.ListMailsParams{Status: "given_up"}), mails(db.ListMailsParams{Status: "pending"})},
		"ListLinkage":     {linkage(db.ListLinkageParams{}), linkage(db.ListLinkageParams{Pseudonym: "p9"}), linkage(db.ListLinkageParams{PatientID: "id9"})},
		"ListUnsolicited": {func() error { return ask(q.ListUnsolicited(ctx, db.ListUnsolicitedParams{Max: 50})) }},
		"ListQuarantined": {func() error { return ask(q.ListQuarantined(ctx, db.ListQuarantinedParams{Max: 50})) }},
		"ListRejectedCallers": {
			func() error { return ask(q.ListRejectedCallers(ctx, db.ListRejectedCallersParams{Max: 50})) },
			func() error { return ask(q.ListRejectedCallers(ctx, db.ListRejectedCallersParams{Below: 90, Max: 50})) },
		},
		"ListAPIUse": {
			use(db.ListAPIUseParams{}), use(db.ListAPIUseParams{Below: 90}),
			use(db.ListAPIUseParams{UserID: new(int64(1))}), use(db.ListAPIUseParams{UserID: new(int64(2))}),
		},
		"ListResults": {
			results(db.ListResultsParams{}), results(db.ListResultsParams{After: int64(rows) / 2}),
			results(db.ListResultsParams{TaskID: int64(rows) / 2}),
		},
		"ListPartitions": {
			func() error { return ask(q.ListPartitions(ctx, db.ListPartitionsParams{JobID: job, Max: 50})) },
			func() error {
				return ask(q.ListPartitions(ctx, db.ListPartitionsParams{JobID: job, After: int32(rows) / 2, Max: 50}))
			},
		},
		"ListRecurrences": {
			func() error { return ask(q.ListRecurrences(ctx, db.ListRecurrencesParams{OwnerID: 2, Max: 50})) },
			func() error { return ask(q.ListRecurrences(ctx, db.ListRecurrencesParams{Max: 50})) },
			func() error {
				return ask(q.ListRecurrences(ctx, db.ListRecurrencesParams{OwnerID: 1, Below: 100, Max: 50}))
			},
		},
		"ListVolumes": {
			volumes(db.ListVolumesParams{}), volumes(db.ListVolumesParams{After: int64(rows) / 2}),
			volumes(db.ListVolumesParams{PartitionID: int64(rows) / 2}),
		},
		"ListFailedQueries": {
			func() error {
				return ask(q.ListFailedQueries(ctx, db.ListFailedQueriesParams{JobID: job, Status: "failure", Max: 50}))
			},
			func() error {
				return ask(q.ListFailedQueries(ctx, db.ListFailedQueriesParams{JobID: job, Status: "failure", After: 100, Max: 50}))
			},
		},
		"ListTaskLog":    {func() error { return ask(q.ListTaskLog(ctx, db.ListTaskLogParams{TaskID: 7, Max: 50})) }},
		"ListTaskSeries": {func() error { return ask(q.ListTaskSeries(ctx, 7)) }},
		"ListTaskDeid":   {func() error { return ask(q.ListTaskDeid(ctx, db.ListTaskDeidParams{JobID: job, Max: 50})) }},
		"ListDeidObjects": {
			func() error { return ask(q.ListDeidObjects(ctx, db.ListDeidObjectsParams{JobID: job, Max: 50})) },
			func() error {
				return ask(q.ListDeidObjects(ctx, db.ListDeidObjectsParams{JobID: job, Seq: int32(rows) - 5, Max: 50}))
			},
		},
	}
}

// few are lists of what there is never much of, or of one task.
var few = []string{
	"ListAccess", "ListDicomNodes", "ListDirectMoves", "ListExpected", "ListExpecting", "ListFolders", "ListGroups",
	"ListMembers", "ListPeers", "ListProfiles", "ListProjects", "ListRegistrations",
	"ListStoringServers", "ListTaskFolders", "ListTokens", "ListUsers", "ListVerificationInstances", "ListWarnings",
}

func testPlans(t *testing.T, rows int) {
	t.Helper()
	conn, err := db.Connect(t.Context(), dbtest.URL(t)+"&statement_timeout=10min", "adit test")
	require.NoError(t, err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(
		t.Context(), regexp.MustCompile(`\$rows`).ReplaceAllString(filled, strconv.Itoa(rows))+"; ANALYZE",
		pgx.QueryExecModeSimpleProtocol,
	)
	require.NoError(t, err)
	var job int64
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT max(id) FROM jobs").Scan(&job))
	e := &explainer{DBTX: conn}
	asked := lists(t.Context(), db.New(e).Planned(), job, rows)
	for name, questions := range asked {
		for range 6 { // after which a plan is kept
			require.NoError(t, questions[0]())
		}
		for i, ask := range questions {
			e.visited = 0
			require.NoError(t, ask(), name)
			if e.visited > 1000 {
				t.Errorf("%s, question %d, looks at %d of %d rows:\n%s", name, i, e.visited, rows, e.plan)
			}
		}
	}
	for _, name := range listNames(t) {
		_, big := asked[name]
		if !big {
			require.Contains(t, few, name, "is it of a big table? then it needs questions")
		}
	}
}

// listNames are the lists among the queries.
func listNames(t *testing.T) (names []string) {
	t.Helper()
	files, err := filepath.Glob("queries/*.sql")
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`-- name: (List\w+) :many`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
}

// explainer counts the rows that each query looks at.
type explainer struct {
	db.DBTX
	visited int
	plan    string
}

// node is one of a plan, as EXPLAIN writes it.
type node struct {
	Rows    float64 `json:"Actual Rows"`
	Filter  float64 `json:"Rows Removed by Filter"`
	Recheck float64 `json:"Rows Removed by Index Recheck"`
	Loops   float64 `json:"Actual Loops"`
	Plans   []node  `json:"Plans"`
}

func (n node) visits() float64 {
	most := (n.Rows + n.Filter + n.Recheck) * n.Loops
	for _, p := range n.Plans {
		most = max(most, p.visits())
	}
	return most
}

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.DBTX.Query(ctx, "EXPLAIN (ANALYZE, FORMAT JSON) "+sql, args...)
	if err != nil {
		return nil, err
	}
	if e.plan, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[string]); err != nil {
		return nil, err
	}
	var plans []struct {
		Plan node `json:"Plan"`
	}
	if err := json.Unmarshal([]byte(e.plan), &plans); err != nil {
		return nil, err
	}
	e.visited = int(plans[0].Plan.visits())
	return e.DBTX.Query(ctx, sql, args...)
}
