-- name: InsertMass :exec
INSERT INTO mass_transfers (job_id, first_day, last_day, weekly, filters, dry_run) VALUES ($1, $2, $3, $4, $5, $6);

-- name: GetMass :one
SELECT * FROM mass_transfers WHERE job_id = $1;

-- name: InsertPartitions :exec
WITH days AS (
    SELECT generate_subscripts(sqlc.arg(first_days)::text[], 1) AS seq, unnest(sqlc.arg(first_days)::text[]) AS first_day,
           unnest(sqlc.arg(last_days)::text[]) AS last_day
), made AS (
    INSERT INTO tasks (job_id, seq) SELECT sqlc.arg(job_id), seq FROM days ORDER BY seq RETURNING id, seq
)
INSERT INTO partitions (task_id, first_day, last_day) SELECT made.id, days.first_day, days.last_day FROM made JOIN days USING (seq);

-- name: GetPartition :one
SELECT * FROM partitions WHERE task_id = $1;

-- name: CountPartition :exec
UPDATE partitions SET searched = $2, studies = $3, series = $4, instances = $5 WHERE task_id = $1;

-- MoveVolumes makes the tasks for those volumes of a partition (0: of any) that nothing transfers yet, one for each study. The job must be locked. They come
-- before all partitions that are still to be looked through: what is found is transferred before more is looked for.
-- name: MoveVolumes :execrows
WITH todo AS MATERIALIZED (
    SELECT (SELECT coalesce(max(t.seq), 0) FROM tasks t WHERE t.job_id = sqlc.arg(job_id)) + row_number() OVER (ORDER BY min(v.id)) AS seq,
           v.study_instance_uid, v.patient_id, array_agg(v.id) AS ids, array_agg(v.series_instance_uid ORDER BY v.id) AS series
    FROM volumes v
    WHERE v.job_id = sqlc.arg(job_id) AND v.task_id IS NULL AND (sqlc.arg(partition_id)::bigint = 0 OR v.partition_id = sqlc.arg(partition_id))
    GROUP BY v.study_instance_uid, v.patient_id
), made AS (
    INSERT INTO tasks (job_id, seq, patient_id, study_instance_uid, series_instance_uids, not_before)
    SELECT sqlc.arg(job_id), todo.seq, CASE WHEN length(todo.patient_id) <= 64 AND todo.patient_id !~ '[*?\\[:cntrl:]]' THEN todo.patient_id ELSE '' END,
           todo.study_instance_uid, todo.series, to_timestamp(0)
    FROM todo
    ORDER BY todo.seq
    RETURNING id, seq
), counted AS (
    UPDATE jobs j SET n_pending = n_pending + (SELECT count(*) FROM made), ended_at = NULL, version = version + 1
    WHERE j.id = sqlc.arg(job_id) AND EXISTS (SELECT FROM made)
)
UPDATE volumes v SET task_id = made.id
FROM made
JOIN todo USING (seq)
WHERE v.job_id = sqlc.arg(job_id) AND v.id = ANY (todo.ids);

-- name: BeginMass :execrows
UPDATE mass_transfers SET dry_run = false WHERE job_id = $1 AND dry_run;

-- ForgetVolumes removes what a mass transfer has found, with the tasks that were made of it. The job must be locked, and recounted afterwards.
-- name: ForgetVolumes :exec
WITH gone AS (
    DELETE FROM volumes v WHERE v.job_id = sqlc.arg(job_id)
), partitions_anew AS (
    UPDATE partitions p SET searched = 0, studies = 0, series = 0, instances = 0 FROM tasks t WHERE t.id = p.task_id AND t.job_id = sqlc.arg(job_id)
)
DELETE FROM tasks t WHERE t.job_id = sqlc.arg(job_id) AND t.study_instance_uid <> '';

-- CountMass counts what a mass transfer has found, and how far its tasks are.
-- name: CountMass :one
SELECT f.patients, f.studies, f.series, f.instances, f.uncounted, t.looked, t.looked_success, t.looked_warning, t.looked_failure,
       t.moved, t.moved_success, t.moved_warning, t.moved_failure
FROM (
    SELECT count(DISTINCT v.patient_id) AS patients, count(DISTINCT v.study_instance_uid) AS studies, count(*) AS series,
           coalesce(sum(v.instances) FILTER (WHERE v.instances > 0), 0)::bigint AS instances, count(*) FILTER (WHERE v.instances < 0) AS uncounted
    FROM volumes v
    WHERE v.job_id = sqlc.arg(job_id)
) f
CROSS JOIN (
    SELECT count(*) FILTER (WHERE NOT k.moves) AS looked,
           count(*) FILTER (WHERE NOT k.moves AND k.status = 'success') AS looked_success,
           count(*) FILTER (WHERE NOT k.moves AND k.status = 'warning') AS looked_warning,
           count(*) FILTER (WHERE NOT k.moves AND k.status = 'failure') AS looked_failure,
           count(*) FILTER (WHERE k.moves) AS moved,
           count(*) FILTER (WHERE k.moves AND k.status = 'success') AS moved_success,
           count(*) FILTER (WHERE k.moves AND k.status = 'warning') AS moved_warning,
           count(*) FILTER (WHERE k.moves AND k.status = 'failure') AS moved_failure
    FROM (SELECT a.status, a.study_instance_uid <> '' AS moves FROM tasks a WHERE a.job_id = sqlc.arg(job_id)) k
) t;

-- ListPartitions is a page of the partitions of a job, in their order.
-- name: ListPartitions :many
SELECT t.id, t.seq, t.status, t.message, p.first_day, p.last_day, p.searched, p.studies, p.series, p.instances
FROM tasks t
JOIN partitions p ON p.task_id = t.id
WHERE t.job_id = sqlc.arg(job_id) AND t.seq > sqlc.arg(after)::integer
ORDER BY t.seq
LIMIT sqlc.arg(max);

-- ListVolumes is a page of the series that a job has found, in the order in which they were found, with what they were sent as. After the end of
-- its task a volume has the status of the series itself; one of which a rule sends nothing is left out.
-- name: ListVolumes :many
SELECT sqlc.embed(v), p.first_day, p.last_day, of.status::text AS status, coalesce(s.delivered, 0)::integer AS delivered,
       coalesce(d.study_uid, '')::text AS sent_study_uid, coalesce(d.pseudonym, '')::text AS pseudonym
FROM volumes v
LEFT JOIN mass_transfers m ON m.job_id = v.job_id
JOIN partitions p ON p.task_id = v.partition_id
LEFT JOIN tasks t ON t.id = v.task_id
LEFT JOIN task_series s ON s.task_id = v.task_id AND s.series_uid = v.series_instance_uid
LEFT JOIN task_deid d ON d.task_id = v.task_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN t.id IS NULL AND coalesce(m.dry_run, true) THEN 'found'
                WHEN t.id IS NULL THEN 'canceled' -- its task was deleted
                WHEN t.status IN ('success', 'warning') AND coalesce(s.expected, 0) = 0 THEN 'left_out'
                WHEN t.status IN ('warning', 'failure') AND s.delivered >= s.expected AND s.expected > 0 AND s.missing = '[]' THEN 'success'
                WHEN t.status = 'success' AND s.delivered < s.expected THEN 'warning'
                ELSE t.status END AS status) of
WHERE v.job_id = sqlc.arg(job_id) AND v.id > sqlc.arg(after)::bigint
  AND (sqlc.arg(partition_id)::bigint = 0 OR v.partition_id = sqlc.arg(partition_id))
  AND (sqlc.narg(statuses)::text[] IS NULL OR of.status = ANY (sqlc.narg(statuses)))
ORDER BY v.id
LIMIT sqlc.arg(max);

-- EraseVolumes removes a part of what a mass transfer has found. Zero rows: there is nothing left.
-- name: EraseVolumes :execrows
DELETE FROM volumes d WHERE d.job_id = sqlc.arg(job_id) AND d.id IN (SELECT v.id FROM volumes v WHERE v.job_id = sqlc.arg(job_id) ORDER BY v.id LIMIT sqlc.arg(max));

-- PartitionOf gives the days in which the study of a task was found.
-- name: PartitionOf :one
SELECT p.first_day, p.last_day FROM volumes v JOIN partitions p ON p.task_id = v.partition_id WHERE v.task_id = sqlc.arg(task_id) ORDER BY v.id LIMIT 1;

-- SentVolumes takes down under which UIDs the series of a task were sent.
-- name: SentVolumes :exec
UPDATE volumes v SET sent_series_uid = s.sent
FROM (SELECT unnest(sqlc.arg(series)::text[]) AS series, unnest(sqlc.arg(sent)::text[]) AS sent) s
WHERE v.task_id = sqlc.arg(task_id) AND v.series_instance_uid = s.series;

-- DaysOf gives the days of those of some tasks that are partitions.
-- name: DaysOf :many
SELECT task_id, first_day, last_day FROM partitions WHERE task_id = ANY (sqlc.arg(ids)::bigint[]);
