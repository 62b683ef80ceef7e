-- name: InsertTasks :exec
INSERT INTO tasks (job_id, seq, patient_id, study_instance_uid, series_instance_uids, pseudonym, rows)
SELECT sqlc.arg(job_id), t.seq, t.patient_id, t.study_uid, string_to_array(t.series_uids, '\'), t.pseudonym, string_to_array(t.rows, ',')::integer[]
FROM (SELECT generate_subscripts(sqlc.arg(study_uids)::text[], 1) AS seq, unnest(sqlc.arg(study_uids)::text[]) AS study_uid,
             unnest(sqlc.arg(patient_ids)::text[]) AS patient_id, unnest(sqlc.arg(series_uids)::text[]) AS series_uids,
             unnest(sqlc.arg(pseudonyms)::text[]) AS pseudonym, unnest(sqlc.arg(rows)::text[]) AS rows) t;

-- name: GetTask :one
SELECT * FROM tasks WHERE id = $1;

-- LoadRun gives what a run of a task begins with: the task, its job, the slots that came with its claim, and whether there is anything that
-- earlier runs left.
-- name: LoadRun :one
SELECT sqlc.embed(t), sqlc.embed(j), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination, p.name AS project,
       schedule_now()::timestamptz AS now,
       EXISTS (SELECT FROM delivered d WHERE d.task_id = t.id) AS delivered,
       EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id AND v.open) AS verifying,
       ARRAY(SELECT a.id FROM association_slots a WHERE a.task_id = t.id AND a.token = sqlc.arg(token) ORDER BY a.id)::bigint[] AS slot_ids,
       ARRAY(SELECT a.server_id FROM association_slots a WHERE a.task_id = t.id AND a.token = sqlc.arg(token) ORDER BY a.id)::bigint[] AS slot_servers
FROM tasks t
JOIN jobs j ON j.id = t.job_id
JOIN users u ON u.id = j.owner_id
JOIN projects p ON p.id = j.project_id
LEFT JOIN dicom_nodes src ON src.id = j.source_id
LEFT JOIN dicom_nodes dst ON dst.id = j.destination_id
WHERE t.id = sqlc.arg(task_id);

-- ListTasks is a page of a job's tasks in an order, as ListJobs.
-- name: ListTasks :many
SELECT tasks.* FROM tasks
CROSS JOIN LATERAL (
    SELECT CASE sqlc.arg(sort)::text WHEN 'ended_at' THEN coalesce(tasks.ended_at, 'infinity') END AS at,
           CASE sqlc.arg(sort)::text WHEN 'status' THEN tasks.status END AS word) k
WHERE tasks.job_id = sqlc.arg(job_id)
  AND (sqlc.arg(seq)::integer = 0 OR tasks.seq = sqlc.arg(seq))
  AND (sqlc.arg(status)::text = '' OR tasks.status = sqlc.arg(status))
  AND (sqlc.narg(statuses)::text[] IS NULL OR tasks.status = ANY (sqlc.narg(statuses)))
  AND CASE
      WHEN sqlc.arg(after)::integer = 0 THEN true
      WHEN sqlc.arg(sort)::text = 'ended_at' AND sqlc.arg(down)::boolean
          THEN (k.at, tasks.seq) < (sqlc.arg(value)::text::timestamptz, sqlc.arg(after)::integer)
      WHEN sqlc.arg(sort)::text = 'ended_at' THEN (k.at, tasks.seq) > (sqlc.arg(value)::text::timestamptz, sqlc.arg(after)::integer)
      WHEN sqlc.arg(sort)::text = 'status' AND sqlc.arg(down)::boolean THEN (k.word, tasks.seq) < (sqlc.arg(value)::text, sqlc.arg(after)::integer)
      WHEN sqlc.arg(sort)::text = 'status' THEN (k.word, tasks.seq) > (sqlc.arg(value)::text, sqlc.arg(after)::integer)
      WHEN sqlc.arg(down)::boolean THEN tasks.seq < sqlc.arg(after)::integer
      ELSE tasks.seq > sqlc.arg(after)::integer
  END
ORDER BY CASE WHEN sqlc.arg(down)::boolean THEN k.at END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.at END,
         CASE WHEN sqlc.arg(down)::boolean THEN k.word END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.word END,
         CASE WHEN sqlc.arg(down)::boolean THEN tasks.seq END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN tasks.seq END
LIMIT sqlc.arg(max) OFFSET sqlc.arg(skip);

-- TasksOfMember is what this member holds, and whether somebody asked for it to stop.
-- name: TasksOfMember :many
SELECT t.id, t.job_id, j.kind, (t.study_instance_uid <> '')::boolean AS moves, t.lease_token, t.cancel_requested, j.owner_id, j.source_id, j.destination_id, j.project_id,
       (t.pseudonym <> '' OR j.pseudonymize)::boolean AS pseudonymized
FROM tasks t
JOIN jobs j ON j.id = t.job_id
WHERE t.lease_member = $1 AND t.status = 'in_progress'
ORDER BY t.job_id, t.id;

-- HoldsLease reports whether a task still belongs to this member and token, and keeps it so until the transaction ends.
-- name: HoldsLease :one
SELECT 1::integer FROM tasks WHERE id = $1 AND lease_member = $2 AND lease_token = $3 AND status = 'in_progress' FOR SHARE;

-- EndLease is the end of a task's run: it takes the status given and gives its slots back, in one statement with its job's
-- counters. No row: the lease is not ours any more;
-- pressed: a server of its job has refused something lately, so that a success there is to be taken down.
-- name: EndLease :one
WITH locked AS MATERIALIZED (
    SELECT j.id
    FROM jobs j
    JOIN tasks t ON t.job_id = j.id
    WHERE t.id = sqlc.arg(id)
    FOR NO KEY UPDATE OF j
), ended AS (
    UPDATE tasks t
    SET status = sqlc.arg(status), lease_member = NULL, lease_token = NULL, cancel_requested = false, message = sqlc.arg(message),
        waiting_reason = sqlc.arg(waiting_reason),
        not_before = CASE WHEN sqlc.arg(wait_seconds)::float8 > 0 THEN schedule_now() + make_interval(secs => sqlc.arg(wait_seconds)) ELSE t.not_before END,
        wait_seconds = sqlc.arg(wait_seconds)::float8,
        refused = sqlc.arg(refused), refused_since = sqlc.narg(refused_since),
        failures = sqlc.arg(failures), waits = sqlc.arg(waits), losses = sqlc.arg(losses), crashes = sqlc.arg(crashes), alone = sqlc.arg(alone),
        reason = sqlc.arg(reason), retry_helps = sqlc.arg(retry_helps),
        ended_at = CASE WHEN sqlc.arg(status)::text <> 'pending' THEN now() END
    FROM locked
    WHERE t.id = sqlc.arg(id) AND t.job_id = locked.id AND t.lease_member = sqlc.arg(member) AND t.lease_token = sqlc.arg(token) AND t.status = 'in_progress'
    RETURNING t.job_id, t.status, t.expected, t.received, t.delivered, t.bytes
), slots AS (
    DELETE FROM association_slots a USING ended WHERE a.task_id = sqlc.arg(id) AND a.token = sqlc.arg(token) AND sqlc.arg(free_slots)::boolean
)
UPDATE jobs j
SET n_running = n_running - 1,
    n_pending = n_pending + (ended.status = 'pending')::integer,
    n_success = n_success + (ended.status = 'success')::integer,
    n_warning = n_warning + (ended.status = 'warning')::integer,
    n_failure = n_failure + (ended.status = 'failure')::integer,
    n_canceled = n_canceled + (ended.status = 'canceled')::integer,
    sum_expected = sum_expected + ended.expected, sum_received = sum_received + ended.received,
    sum_delivered = sum_delivered + ended.delivered, sum_bytes = sum_bytes + ended.bytes,
    ended_at = CASE WHEN n_running = 1 AND n_pending = 0 AND ended.status <> 'pending' THEN now() END,
    version = version + 1
FROM ended
WHERE j.id = ended.job_id
RETURNING EXISTS (SELECT FROM server_state st
                  WHERE st.server_id IN (j.source_id, j.destination_id) AND (st.allowance IS NOT NULL OR st.refused_task IS NOT NULL))::boolean AS pressed;

-- PushProgress writes how far running tasks are. A task that is no longer ours is left alone. A run that has not looked into the ledger
-- yet does not take back what is there.
-- name: PushProgress :exec
UPDATE tasks t
SET expected = CASE WHEN p.expected = 0 THEN t.expected ELSE p.expected END, received = greatest(p.received, known.instances),
    delivered = greatest(p.delivered, known.instances), bytes = greatest(p.bytes, known.bytes)
FROM (SELECT unnest(sqlc.arg(ids)::bigint[]) AS id, unnest(sqlc.arg(tokens)::bigint[]) AS token, unnest(sqlc.arg(expected)::integer[]) AS expected,
             unnest(sqlc.arg(received)::integer[]) AS received, unnest(sqlc.arg(delivered)::integer[]) AS delivered, unnest(sqlc.arg(bytes)::bigint[]) AS bytes) p
JOIN tasks before ON before.id = p.id
CROSS JOIN LATERAL (SELECT count(*) AS instances, coalesce(sum(d.bytes), 0)::bigint AS bytes
                    FROM delivered d WHERE d.task_id = p.id AND p.delivered < before.delivered) known
WHERE t.id = p.id AND t.lease_token = p.token AND t.status = 'in_progress';

-- ResetTask makes a task pending again as if it had never run; its job must be locked, and recounted afterwards.
-- name: ResetTask :exec
WITH ledger AS (
    DELETE FROM delivered d WHERE d.task_id = sqlc.arg(id)
), intended AS (
    DELETE FROM intended_stores i WHERE i.task_id = sqlc.arg(id)
), summary AS (
    DELETE FROM task_series s WHERE s.task_id = sqlc.arg(id)
), deidentified AS (
    DELETE FROM task_deid d WHERE d.task_id = sqlc.arg(id)
), verification AS (
    DELETE FROM verifications v WHERE v.task_id = sqlc.arg(id)
)
UPDATE tasks t
SET status = 'pending', not_before = schedule_now(), waiting_reason = '', failures = 0, waits = 0, losses = 0, crashes = 0, alone = false, unavailable_since = NULL,
    refused = 0, refused_since = NULL,
    expected = 0, received = 0, delivered = 0, verified = 0, bytes = 0, message = '', started_at = NULL, ended_at = NULL, duplicates_passed = false,
    unasked = 0, counted_before = '{}', rejected = '{}', heard = '{}', delivered_to = ''
WHERE t.id = sqlc.arg(id);

-- name: RequestTaskCancel :exec
UPDATE tasks SET cancel_requested = true WHERE id = $1 AND status = 'in_progress';

-- name: DeleteTask :exec
DELETE FROM tasks WHERE id = $1;

-- name: RunningTasks :many
SELECT id FROM tasks WHERE job_id = $1 AND status = 'in_progress' ORDER BY id;


-- GetTasks returns those of some tasks that are there, by job and place.
-- name: GetTasks :many
SELECT * FROM tasks WHERE id = ANY (sqlc.arg(ids)::bigint[]) ORDER BY job_id, seq;
