-- name: InsertJob :one
INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, trial_protocol_id, trial_protocol_name,
                  mail_when_finished, urgent, priority, verified, n_pending, pseudonymize, profile_name, profile_version, profile_sha256, uid_generation,
                  leave_out_rejected, scan, manifest)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
RETURNING *;

-- name: GetJob :one
SELECT sqlc.embed(jobs), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination,
       p.name AS project
FROM jobs
JOIN users u ON u.id = jobs.owner_id
JOIN projects p ON p.id = jobs.project_id
LEFT JOIN dicom_nodes src ON src.id = jobs.source_id
LEFT JOIN dicom_nodes dst ON dst.id = jobs.destination_id
WHERE jobs.id = $1 AND jobs.stripped < 3;

-- ListJobs is a page of jobs, newest first, below the id given (0 = from the newest).
-- name: ListJobs :many
SELECT sqlc.embed(jobs), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination,
       p.name AS project
FROM jobs
JOIN users u ON u.id = jobs.owner_id
JOIN projects p ON p.id = jobs.project_id
LEFT JOIN dicom_nodes src ON src.id = jobs.source_id
LEFT JOIN dicom_nodes dst ON dst.id = jobs.destination_id
WHERE jobs.stripped < 3 AND (sqlc.arg(below)::bigint = 0 OR jobs.id < sqlc.arg(below))
  AND (sqlc.arg(owner_id)::bigint = 0 OR jobs.owner_id = sqlc.arg(owner_id))
  AND (sqlc.arg(status)::text = '' OR jobs.status = sqlc.arg(status))
ORDER BY jobs.id DESC
LIMIT sqlc.arg(max);

-- name: LockJob :one
SELECT * FROM jobs WHERE id = $1 AND stripped < 3 FOR NO KEY UPDATE;

-- name: DeleteJob :exec
DELETE FROM jobs WHERE id = $1;

-- name: VerifyJob :exec
UPDATE jobs SET verified = true, version = version + 1 WHERE id = $1;

-- name: PauseJob :exec
UPDATE jobs SET paused = $2, version = version + 1 WHERE id = $1;

-- PendingThatRan gives the pending tasks of a job that have run, with what the ledger knows of them.
-- name: PendingThatRan :many
SELECT t.id, EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id AND v.open) AS verifying, l.instances, l.there, l.bytes
FROM tasks t
CROSS JOIN LATERAL (SELECT count(*) AS instances, count(*) FILTER (WHERE d.status = 273) AS there, coalesce(sum(d.bytes), 0)::bigint AS bytes
                    FROM delivered d WHERE d.task_id = t.id) l
WHERE t.job_id = $1 AND t.status = 'pending' AND t.started_at IS NOT NULL;

-- CancelJob: the pending tasks end here, those that ran with a message each; running ones are asked to stop and end as they do.
-- name: CancelJob :exec
WITH ended AS (
    UPDATE tasks t SET status = 'canceled', ended_at = now(), waiting_reason = '', message = coalesce(ran.message, 'Canceled before it started.')
    FROM tasks p
    LEFT JOIN (SELECT unnest(sqlc.arg(ran)::bigint[]) AS id, unnest(sqlc.arg(messages)::text[]) AS message) ran ON ran.id = p.id
    WHERE p.id = t.id AND p.job_id = sqlc.arg(id) AND p.status = 'pending' AND t.status = 'pending'
    RETURNING 1
), asked AS (
    UPDATE tasks t SET cancel_requested = true WHERE t.job_id = sqlc.arg(id) AND t.status = 'in_progress'
)
UPDATE jobs j
SET canceled = true, n_pending = 0, n_canceled = n_canceled + (SELECT count(*) FROM ended),
    ended_at = CASE WHEN n_running = 0 THEN now() END, version = version + 1
WHERE j.id = sqlc.arg(id);

-- ReopenTasks makes the tasks of one status pending again: canceled ones by resume, failed ones by retry. The job must be locked.
-- name: ReopenTasks :execrows
UPDATE tasks
SET status = 'pending', not_before = schedule_now(), waiting_reason = '', failures = 0, waits = 0, losses = 0, crashes = 0, alone = false, unavailable_since = NULL,
    refused = 0, refused_since = NULL,
    message = '', ended_at = NULL
WHERE job_id = $1 AND status = $2;

-- RestartTasks makes every task pending again as if it had never run. The job must be locked and no task may run.
-- name: RestartTasks :exec
WITH ledger AS (
    DELETE FROM delivered d USING tasks t WHERE t.id = d.task_id AND t.job_id = $1
), summary AS (
    DELETE FROM task_series s USING tasks t WHERE t.id = s.task_id AND t.job_id = $1
), deidentified AS (
    DELETE FROM task_deid d USING tasks t WHERE t.id = d.task_id AND t.job_id = $1
), verification AS (
    DELETE FROM verifications v USING tasks t WHERE t.id = v.task_id AND t.job_id = $1
)
UPDATE tasks r
SET status = 'pending', not_before = schedule_now(), waiting_reason = '', failures = 0, waits = 0, losses = 0, crashes = 0, alone = false, unavailable_since = NULL,
    refused = 0, refused_since = NULL,
    expected = 0, received = 0, delivered = 0, verified = 0, bytes = 0, message = '', started_at = NULL, ended_at = NULL, duplicates_passed = false,
    unasked = 0, counted_before = '{}', rejected = '{}', heard = '{}', delivered_to = ''
WHERE r.job_id = $1;

-- RecountJob sets a locked job's counters from its tasks, after an action that moved many of them at once.
-- name: RecountJob :exec
UPDATE jobs
SET n_pending = c.pending, n_running = c.running, n_success = c.success, n_warning = c.warning, n_failure = c.failure,
    n_canceled = c.canceled, canceled = false, started = jobs.started AND c.running > 0,
    ended_at = CASE WHEN c.pending + c.running = 0 THEN coalesce(jobs.ended_at, now()) END, version = version + 1
FROM (
    SELECT count(*) FILTER (WHERE t.status = 'pending') AS pending,
           count(*) FILTER (WHERE t.status = 'in_progress') AS running,
           count(*) FILTER (WHERE t.status = 'success') AS success,
           count(*) FILTER (WHERE t.status = 'warning') AS warning,
           count(*) FILTER (WHERE t.status = 'failure') AS failure,
           count(*) FILTER (WHERE t.status = 'canceled') AS canceled
    FROM tasks t
    WHERE t.job_id = $1
) c
WHERE jobs.id = $1;

-- name: PutIdempotencyKey :execrows
INSERT INTO idempotency_keys (user_id, key, body_sha256, job_id) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- name: GetIdempotencyKey :one
SELECT body_sha256, job_id FROM idempotency_keys WHERE user_id = $1 AND key = $2 AND created_at > now() - interval '24 hours';

-- name: DeleteOldIdempotencyKeys :exec
DELETE FROM idempotency_keys WHERE created_at <= now() - interval '24 hours';
