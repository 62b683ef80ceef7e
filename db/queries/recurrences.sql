-- name: InsertRecurrence :one
INSERT INTO recurrences (owner_id, kind, title, settings, weekdays, at_minute, overlap_days, first_day, until_day, next_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
RETURNING *;

-- GetRecurrence gives a recurrence with the name of its owner.
-- name: GetRecurrence :one
SELECT sqlc.embed(r), u.username AS owner FROM recurrences r JOIN users u ON u.id = r.owner_id WHERE r.id = $1;

-- ListRecurrences is a page of recurrences, newest first: of one owner, or of all (0).
-- name: ListRecurrences :many
SELECT sqlc.embed(r), u.username AS owner
FROM recurrences r
JOIN users u ON u.id = r.owner_id
WHERE (sqlc.arg(owner_id)::bigint = 0 OR r.owner_id = sqlc.arg(owner_id)) AND (sqlc.arg(below)::bigint = 0 OR r.id < sqlc.arg(below))
ORDER BY r.id DESC
LIMIT sqlc.arg(max);

-- name: LockRecurrence :one
SELECT * FROM recurrences WHERE id = $1 FOR NO KEY UPDATE;

-- name: ChangeRecurrence :exec
UPDATE recurrences SET weekdays = $2, at_minute = $3, overlap_days = $4, until_day = $5, paused = $6, next_at = $7 WHERE id = $1;

-- name: DeleteRecurrence :exec
DELETE FROM recurrences WHERE id = $1;

-- DueRecurrences gives those that are due. One that is planned for later than a plan ever says was planned before the clock was put back.
-- name: DueRecurrences :many
SELECT id FROM recurrences WHERE NOT paused AND (next_at <= now() OR next_at > now() + interval '9 days') ORDER BY next_at LIMIT 100;

-- name: UnreportedRecurrences :many
SELECT id FROM recurrences WHERE NOT reported ORDER BY id LIMIT 1000;

-- RanRecurrence takes down that a run was made, or why it could not be (no job).
-- name: RanRecurrence :exec
UPDATE recurrences
SET next_at = sqlc.narg(next_at), job_id = coalesce(sqlc.narg(job_id), job_id), reported = sqlc.narg(job_id)::bigint IS NULL, message = sqlc.arg(message),
    runs = runs + (sqlc.narg(job_id)::bigint IS NOT NULL)::integer
WHERE id = sqlc.arg(id);

-- name: ReportRecurrence :exec
UPDATE recurrences SET reported = true, message = sqlc.arg(message), covered = greatest(covered, sqlc.arg(covered)::text) WHERE id = sqlc.arg(id);

-- KnownVolumes gives those of some series that an earlier run of a recurrence has delivered, with as many instances as the source counts now.
-- name: KnownVolumes :many
SELECT DISTINCT g.series::text AS series
FROM (SELECT unnest(sqlc.arg(series)::text[]) AS series, unnest(sqlc.arg(instances)::integer[]) AS instances) g
JOIN jobs j ON j.recurrence_id = sqlc.arg(recurrence_id) AND j.id <> sqlc.arg(job_id)
JOIN volumes v ON v.job_id = j.id AND v.series_instance_uid = g.series
JOIN tasks t ON t.id = v.task_id
LEFT JOIN task_series s ON s.task_id = v.task_id AND s.series_uid = v.series_instance_uid
WHERE v.instances >= g.instances
  AND (t.status IN ('success', 'warning') AND (s.delivered >= s.expected OR s.expected IS NULL) OR s.delivered >= s.expected AND s.expected > 0 AND s.missing = '[]');

-- KnownResults gives those of some studies, or series, that an earlier run of a recurrence has found.
-- name: KnownResults :many
SELECT DISTINCT r.study_instance_uid, r.series_instance_uid
FROM jobs j
JOIN query_results r ON r.job_id = j.id
WHERE j.recurrence_id = sqlc.arg(recurrence_id) AND j.id <> sqlc.arg(job_id) AND j.source_id = sqlc.arg(source_id)
  AND r.study_instance_uid = ANY (sqlc.arg(studies)::text[]);

-- name: CountFound :one
SELECT ((SELECT count(*) FROM volumes v WHERE v.job_id = ANY (sqlc.arg(jobs)::bigint[])) +
        (SELECT count(*) FROM query_results r WHERE r.job_id = ANY (sqlc.arg(jobs)::bigint[])))::bigint AS found;

-- name: ProjectName :one
SELECT name FROM projects WHERE id = $1;
