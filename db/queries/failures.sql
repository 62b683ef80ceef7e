-- FailuresOfJob groups the tasks of a job that failed or have warnings by what their messages have in common, most first, each with its first tasks.
-- name: FailuresOfJob :many
WITH failed AS (
    SELECT t.id, t.seq, t.status, t.reason, hashtext(t.message) AS own, greatest(t.expected - t.delivered, 0) AS missing,
           CASE WHEN t.status = 'failure' THEN t.retry_helps ELSE v.task_id IS NOT NULL END AS retry
    FROM tasks t
    LEFT JOIN verifications v ON v.task_id = t.id AND NOT v.open
    WHERE t.job_id = sqlc.arg(job_id) AND t.status IN ('failure', 'warning')
    ORDER BY t.seq
), grouped AS (
    SELECT f.status, f.reason, count(*) AS tasks, sum(f.missing)::bigint AS missing, bool_or(f.retry) AS retry, min(f.own) = max(f.own) AS same,
           (array_agg(f.id))[1:sqlc.arg(named)::integer] AS ids, (array_agg(f.seq))[1:sqlc.arg(named)] AS seqs
    FROM failed f
    GROUP BY f.status, f.reason
    ORDER BY 3 DESC, min(f.seq)
    LIMIT sqlc.arg(max)
)
SELECT g.status, (CASE WHEN g.same THEN first.message ELSE g.reason END)::text AS message, g.tasks, g.missing, g.retry, g.ids::bigint[] AS ids, g.seqs::integer[] AS seqs
FROM grouped g
JOIN tasks first ON first.id = g.ids[1]
ORDER BY g.tasks DESC, first.seq;
