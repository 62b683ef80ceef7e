-- name: GetQuery :one
SELECT * FROM queries WHERE task_id = $1;

-- name: DeleteResults :exec
DELETE FROM query_results WHERE task_id = $1;

-- ListResults is a page of what the jobs of a batch query found, in the order in which it was found.
-- name: ListResults :many
SELECT f.job_id, f.id, f.task_id, f.patient_id, f.patient_name, f.patient_birth_date, f.accession_number, f.study_instance_uid, f.study_date,
       f.study_time, f.study_description, f.modalities, f.series_instance_uid, f.series_description, f.series_number, f.instances, t.seq, t.rows, t.pseudonym, n.name AS source, q.extra
FROM unnest(sqlc.arg(job_ids)::bigint[]) AS of (job_id)
CROSS JOIN LATERAL (
    SELECT r.job_id, r.id, r.task_id, r.patient_id, r.patient_name, r.patient_birth_date, r.accession_number, r.study_instance_uid, r.study_date,
           r.study_time, r.study_description, r.modalities, r.series_instance_uid, r.series_description, r.series_number, r.instances
    FROM query_results r
    WHERE r.job_id = of.job_id AND r.id > sqlc.arg(after)::bigint AND (sqlc.arg(task_id)::bigint = 0 OR r.task_id = sqlc.arg(task_id))
    ORDER BY r.id
    LIMIT sqlc.arg(max)) f
JOIN tasks t ON t.id = f.task_id
JOIN queries q ON q.task_id = t.id
JOIN jobs j ON j.id = f.job_id
JOIN dicom_nodes n ON n.id = j.source_id
ORDER BY f.id
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

-- ListFailedQueries gives the rows of a batch query that ended in a status, with what they asked.
-- name: ListFailedQueries :many
SELECT t.seq, t.rows, t.status, t.message, t.pseudonym, sqlc.embed(q)
FROM tasks t
JOIN queries q ON q.task_id = t.id
WHERE t.job_id = sqlc.arg(job_id) AND t.status = sqlc.arg(status) AND t.seq > sqlc.arg(after)::integer
ORDER BY t.seq
LIMIT sqlc.arg(max);
