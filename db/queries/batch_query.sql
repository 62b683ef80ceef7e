-- name: GetQuery :one
SELECT * FROM queries WHERE task_id = $1;

-- name: DeleteResults :exec
DELETE FROM query_results WHERE task_id = $1;

-- ListResults is a page of what the jobs of a batch query found, in the order in which it was found.
-- name: ListResults :many
SELECT sqlc.embed(r), t.seq, t.rows, t.pseudonym, n.name AS source, q.extra
FROM query_results r
JOIN tasks t ON t.id = r.task_id
JOIN queries q ON q.task_id = t.id
JOIN jobs j ON j.id = r.job_id
JOIN dicom_nodes n ON n.id = j.source_id
WHERE r.job_id = ANY (sqlc.arg(job_ids)::bigint[]) AND r.id > sqlc.arg(after)::bigint
  AND (sqlc.arg(task_id)::bigint = 0 OR r.task_id = sqlc.arg(task_id))
ORDER BY r.id
LIMIT sqlc.arg(max);

-- name: CountResults :one
SELECT count(*) AS results, count(DISTINCT r.study_instance_uid) AS studies, count(DISTINCT r.patient_id) AS patients,
       coalesce(bool_or(r.series_instance_uid <> ''), false)::boolean AS of_series, coalesce(bool_or(t.pseudonym <> ''), false)::boolean AS pseudonyms
FROM query_results r
JOIN tasks t ON t.id = r.task_id
WHERE r.job_id = ANY (sqlc.arg(job_ids)::bigint[]);

-- JobsOfBatch are the jobs of a batch query, one for each source.
-- name: JobsOfBatch :many
SELECT j.id
FROM jobs j
WHERE j.stripped < 3 AND (j.id = sqlc.arg(id) OR j.first_job_id = (SELECT coalesce(f.first_job_id, f.id) FROM jobs f WHERE f.id = sqlc.arg(id))
      OR j.id = (SELECT f.first_job_id FROM jobs f WHERE f.id = sqlc.arg(id)))
ORDER BY j.id;

-- ListFailedQueries gives the rows of a batch query that ended in one of some statuses, with what they asked.
-- name: ListFailedQueries :many
SELECT t.seq, t.rows, t.status, t.message, t.pseudonym, sqlc.embed(q)
FROM tasks t
JOIN queries q ON q.task_id = t.id
WHERE t.job_id = sqlc.arg(job_id) AND t.status = ANY (sqlc.arg(statuses)::text[]) AND t.seq > sqlc.arg(after)::integer
ORDER BY t.seq
LIMIT sqlc.arg(max);
