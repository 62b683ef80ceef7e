-- name: InsertJob :one
INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, trial_protocol_id, trial_protocol_name,
                  mail_when_finished, urgent, priority, verified, n_pending, pseudonymize, profile_name, profile_version, profile_sha256, uid_generation,
                  leave_out_rejected, scan, manifest, title, description, ethics_id, extra_columns, first_job_id, recurrence_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26)
RETURNING *;

-- name: GetJob :one
SELECT sqlc.embed(jobs), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination,
       p.name AS project, coalesce(r.expected, 0)::bigint AS run_expected, coalesce(r.received, 0)::bigint AS run_received,
       coalesce(r.delivered, 0)::bigint AS run_delivered, coalesce(r.bytes, 0)::bigint AS run_bytes, coalesce(r.done, 0)::float8 AS run_done
FROM jobs
LEFT JOIN running r ON r.job_id = jobs.id
JOIN users u ON u.id = jobs.owner_id
JOIN projects p ON p.id = jobs.project_id
LEFT JOIN dicom_nodes src ON src.id = jobs.source_id
LEFT JOIN dicom_nodes dst ON dst.id = jobs.destination_id
WHERE jobs.id = $1 AND jobs.stripped < 3;

-- ListJobs is a page of jobs in an order: after the one with this value of what they are sorted by, and this id (0: from the first one). It is
-- planned for its values, so that what stays of each CASE is a column that an index may have.
-- name: ListJobs :many
SELECT sqlc.embed(jobs), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination,
       p.name AS project, coalesce(r.expected, 0)::bigint AS run_expected, coalesce(r.received, 0)::bigint AS run_received,
       coalesce(r.delivered, 0)::bigint AS run_delivered, coalesce(r.bytes, 0)::bigint AS run_bytes, coalesce(r.done, 0)::float8 AS run_done
FROM jobs
LEFT JOIN running r ON r.job_id = jobs.id
JOIN users u ON u.id = jobs.owner_id
JOIN projects p ON p.id = jobs.project_id
LEFT JOIN dicom_nodes src ON src.id = jobs.source_id
LEFT JOIN dicom_nodes dst ON dst.id = jobs.destination_id
CROSS JOIN LATERAL (
    SELECT CASE sqlc.arg(sort)::text
               WHEN 'created_at' THEN jobs.created_at
               WHEN 'started_at' THEN coalesce(jobs.started_at, 'infinity')
               WHEN 'ended_at' THEN coalesce(jobs.ended_at, 'infinity')
           END AS at,
           CASE sqlc.arg(sort)::text WHEN 'status' THEN jobs.status END AS word,
           CASE sqlc.arg(sort)::text WHEN 'priority' THEN jobs.priority END AS number) k
WHERE jobs.stripped < 3
  AND (sqlc.arg(owner_id)::bigint = 0 OR jobs.owner_id = sqlc.arg(owner_id))
  AND (sqlc.arg(status)::text = '' OR jobs.status = sqlc.arg(status))
  AND (sqlc.narg(statuses)::text[] IS NULL OR jobs.status = ANY (sqlc.narg(statuses)))
  AND (sqlc.arg(kind)::text = '' OR jobs.kind = sqlc.arg(kind))
  AND (sqlc.arg(source_id)::bigint = 0 OR jobs.source_id = sqlc.arg(source_id))
  AND (sqlc.arg(destination_id)::bigint = 0 OR jobs.destination_id = sqlc.arg(destination_id))
  AND (sqlc.arg(project_id)::bigint = 0 OR jobs.project_id = sqlc.arg(project_id))
  AND (sqlc.narg(urgent)::boolean IS NULL OR jobs.urgent = sqlc.narg(urgent))
  AND (sqlc.narg(paused)::boolean IS NULL OR jobs.paused = sqlc.narg(paused))
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR jobs.created_at >= sqlc.narg(created_from))
  AND (sqlc.narg(created_to)::timestamptz IS NULL OR jobs.created_at < sqlc.narg(created_to))
  AND CASE
      WHEN sqlc.arg(after)::bigint = 0 THEN true
      WHEN sqlc.arg(sort)::text IN ('created_at', 'started_at', 'ended_at') AND sqlc.arg(down)::boolean
          THEN (k.at, jobs.id) < (sqlc.arg(value)::text::timestamptz, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text IN ('created_at', 'started_at', 'ended_at')
          THEN (k.at, jobs.id) > (sqlc.arg(value)::text::timestamptz, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'status' AND sqlc.arg(down)::boolean THEN (k.word, jobs.id) < (sqlc.arg(value)::text, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'status' THEN (k.word, jobs.id) > (sqlc.arg(value)::text, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'priority' AND sqlc.arg(down)::boolean
          THEN (k.number, jobs.id) < (sqlc.arg(value)::text::smallint, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'priority' THEN (k.number, jobs.id) > (sqlc.arg(value)::text::smallint, sqlc.arg(after)::bigint)
      WHEN sqlc.arg(down)::boolean THEN jobs.id < sqlc.arg(after)::bigint
      ELSE jobs.id > sqlc.arg(after)::bigint
  END
ORDER BY CASE WHEN sqlc.arg(down)::boolean THEN k.at END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.at END,
         CASE WHEN sqlc.arg(down)::boolean THEN k.word END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.word END,
         CASE WHEN sqlc.arg(down)::boolean THEN k.number END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN k.number END,
         CASE WHEN sqlc.arg(down)::boolean THEN jobs.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN jobs.id END
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
WITH told AS (
    UPDATE tasks t SET status = 'canceled', ended_at = now(), waiting_reason = '', message = ran.message
    FROM (SELECT unnest(sqlc.arg(ran)::bigint[]) AS id, unnest(sqlc.arg(messages)::text[]) AS message) ran
    WHERE ran.id = t.id AND t.job_id = sqlc.arg(id) AND t.status = 'pending'
    RETURNING 1
), ended AS ( -- without a join, which a plan of old statistics does row by row
    UPDATE tasks t SET status = 'canceled', ended_at = now(), waiting_reason = '', message = 'Canceled before it started.'
    WHERE t.job_id = sqlc.arg(id) AND t.status = 'pending' AND NOT EXISTS (SELECT FROM unnest(sqlc.arg(ran)::bigint[]) AS ran(id) WHERE ran.id = t.id)
    RETURNING 1
), asked AS (
    UPDATE tasks t SET cancel_requested = true WHERE t.job_id = sqlc.arg(id) AND t.status = 'in_progress'
)
UPDATE jobs j
SET canceled = true, n_pending = 0, n_canceled = n_canceled + (SELECT count(*) FROM told) + (SELECT count(*) FROM ended),
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
), intended AS (
    DELETE FROM intended_stores i USING tasks t WHERE t.id = i.task_id AND t.job_id = $1
), summary AS (
    DELETE FROM task_series s USING tasks t WHERE t.id = s.task_id AND t.job_id = $1
), deidentified AS (
    DELETE FROM task_deid d USING tasks t WHERE t.id = d.task_id AND t.job_id = $1
), verification AS (
    DELETE FROM verifications v USING tasks t WHERE t.id = v.task_id AND t.job_id = $1
), found AS (
    DELETE FROM query_results f WHERE f.job_id = $1
)
UPDATE tasks r
SET status = 'pending', not_before = schedule_now(), waiting_reason = '', failures = 0, waits = 0, losses = 0, crashes = 0, alone = false, unavailable_since = NULL,
    refused = 0, refused_since = NULL,
    expected = 0, received = 0, delivered = 0, verified = 0, bytes = 0, message = '', started_at = NULL, ended_at = NULL, duplicates_passed = false,
    unasked = 0, counted_before = '{}', rejected = '{}', heard = '{}', delivered_to = ''
WHERE r.job_id = $1;

-- RecountJob sets a locked job's counters and sums from its tasks, after an action that moved many of them at once.
-- name: RecountJob :exec
UPDATE jobs
SET n_pending = c.pending, n_running = c.running, n_success = c.success, n_warning = c.warning, n_failure = c.failure,
    n_canceled = c.canceled, sum_expected = c.expected, sum_received = c.received, sum_delivered = c.delivered, sum_bytes = c.bytes,
    canceled = false, started = jobs.started AND c.running > 0,
    ended_at = CASE WHEN c.pending + c.running = 0 THEN coalesce(jobs.ended_at, now()) END, version = version + 1
FROM (
    SELECT count(*) FILTER (WHERE t.status = 'pending') AS pending,
           count(*) FILTER (WHERE t.status = 'in_progress') AS running,
           count(*) FILTER (WHERE t.status = 'success') AS success,
           count(*) FILTER (WHERE t.status = 'warning') AS warning,
           count(*) FILTER (WHERE t.status = 'failure') AS failure,
           count(*) FILTER (WHERE t.status = 'canceled') AS canceled,
           coalesce(sum(t.expected) FILTER (WHERE t.status <> 'in_progress'), 0) AS expected,
           coalesce(sum(t.received) FILTER (WHERE t.status <> 'in_progress'), 0) AS received,
           coalesce(sum(t.delivered) FILTER (WHERE t.status <> 'in_progress'), 0) AS delivered,
           coalesce(sum(t.bytes) FILTER (WHERE t.status <> 'in_progress'), 0) AS bytes
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

-- GetJobs returns those of some jobs that are there, in no order.
-- name: GetJobs :many
SELECT sqlc.embed(jobs), u.username AS owner, coalesce(src.name, '')::text AS source, coalesce(dst.name, '')::text AS destination,
       p.name AS project, coalesce(r.expected, 0)::bigint AS run_expected, coalesce(r.received, 0)::bigint AS run_received,
       coalesce(r.delivered, 0)::bigint AS run_delivered, coalesce(r.bytes, 0)::bigint AS run_bytes, coalesce(r.done, 0)::float8 AS run_done
FROM jobs
LEFT JOIN running r ON r.job_id = jobs.id
JOIN users u ON u.id = jobs.owner_id
JOIN projects p ON p.id = jobs.project_id
LEFT JOIN dicom_nodes src ON src.id = jobs.source_id
LEFT JOIN dicom_nodes dst ON dst.id = jobs.destination_id
WHERE jobs.id = ANY (sqlc.arg(ids)::bigint[]) AND jobs.stripped < 3;

-- AnyActiveJob reports whether a job has tasks that wait or run.
-- name: AnyActiveJob :one
SELECT EXISTS (SELECT FROM jobs WHERE active);
