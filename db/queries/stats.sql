-- CountJobs counts jobs by their status, with their tasks by theirs. Owner 0: of everybody.
-- name: CountJobs :many
SELECT status, count(*) AS jobs, sum(n_pending)::bigint AS pending, sum(n_running)::bigint AS running, sum(n_success)::bigint AS success,
       sum(n_warning)::bigint AS warning, sum(n_failure)::bigint AS failure, sum(n_canceled)::bigint AS canceled
FROM jobs WHERE sqlc.arg(owner_id)::bigint IN (0, owner_id)
GROUP BY status;

-- RolledUp is what was moved on the days that have been summed up.
-- name: RolledUp :many
SELECT day, source_id, destination_id, sum(tasks)::bigint AS tasks, sum(failed)::bigint AS failed, sum(images)::bigint AS images, sum(bytes)::bigint AS bytes
FROM daily_transfers
WHERE day >= sqlc.arg(first)::date AND day <= sqlc.arg(last)::date AND sqlc.arg(owner_id)::bigint IN (0, owner_id)
GROUP BY day, source_id, destination_id;

-- Lately is what was moved since a day that has not been summed up. What ended at an instant that is still to come did so before the clock was put back.
-- name: Lately :many
SELECT (least(t.ended_at, now()) AT TIME ZONE sqlc.arg(zone)::text)::date AS day, coalesce(j.source_id, 0)::bigint AS source_id, coalesce(j.destination_id, 0)::bigint AS destination_id,
       count(*) AS tasks, count(*) FILTER (WHERE t.status = 'failure') AS failed, sum(t.delivered)::bigint AS images, sum(t.bytes)::bigint AS bytes
FROM tasks t
JOIN jobs j ON j.id = t.job_id
WHERE t.ended_at >= sqlc.arg(first)::date::timestamp AT TIME ZONE sqlc.arg(zone)::text AND sqlc.arg(owner_id)::bigint IN (0, j.owner_id)
GROUP BY 1, 2, 3;

-- name: NodeNames :many
SELECT id, name FROM dicom_nodes;

-- name: ListWarnings :many
SELECT * FROM warnings ORDER BY since, key LIMIT 100;

-- RaiseWarning keeps a warning that is new. Zero rows: staff was told already.
-- name: RaiseWarning :execrows
INSERT INTO warnings (key, message) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- name: EndWarning :execrows
DELETE FROM warnings WHERE key = $1;

-- CountListed counts by their status the jobs that ListJobs would list.
-- name: CountListed :many
SELECT status, count(*) AS jobs FROM jobs
WHERE jobs.stripped < 3
  AND (sqlc.arg(owner_id)::bigint = 0 OR jobs.owner_id = sqlc.arg(owner_id))
  AND (sqlc.arg(kind)::text = '' OR jobs.kind = sqlc.arg(kind))
  AND (sqlc.arg(source_id)::bigint = 0 OR jobs.source_id = sqlc.arg(source_id))
  AND (sqlc.arg(destination_id)::bigint = 0 OR jobs.destination_id = sqlc.arg(destination_id))
  AND (sqlc.arg(project_id)::bigint = 0 OR jobs.project_id = sqlc.arg(project_id))
  AND (sqlc.narg(urgent)::boolean IS NULL OR jobs.urgent = sqlc.narg(urgent))
  AND (sqlc.narg(paused)::boolean IS NULL OR jobs.paused = sqlc.narg(paused))
  AND (sqlc.narg(created_from)::timestamptz IS NULL OR jobs.created_at >= sqlc.narg(created_from))
  AND (sqlc.narg(created_to)::timestamptz IS NULL OR jobs.created_at < sqlc.narg(created_to))
GROUP BY status;
