-- FailuresOfJob groups the tasks of a job that failed or have warnings by what their messages have in common, most first, each with its first tasks.
-- Nothing is sorted but numbers: there may be 100,000 of them.
-- name: FailuresOfJob :many
WITH grouped AS MATERIALIZED (
    SELECT t.status, t.reason, count(*) AS tasks, sum(greatest(t.expected - t.delivered, 0))::bigint AS missing,
           bool_or(CASE WHEN t.status = 'failure' THEN t.retry_helps ELSE v.task_id IS NOT NULL END) AS retry,
           min(hashtext(t.message)) = max(hashtext(t.message)) AS same, min(t.seq) AS first, array_agg(t.seq) AS seqs
    FROM tasks t
    LEFT JOIN (SELECT c.task_id FROM verifications c WHERE c.job_id = sqlc.arg(job_id) AND NOT c.open) v ON v.task_id = t.id
    WHERE t.job_id = sqlc.arg(job_id) AND t.status IN ('failure', 'warning')
    GROUP BY t.status, t.reason
    ORDER BY count(*) DESC, min(t.seq)
    LIMIT sqlc.arg(max)
)
SELECT g.status, (CASE WHEN g.same THEN one.message ELSE g.reason END)::text AS message, g.tasks, g.missing, g.retry, named.ids::bigint[] AS ids,
       named.seqs::integer[] AS seqs
FROM grouped g
JOIN tasks one ON one.job_id = sqlc.arg(job_id) AND one.seq = g.first
CROSS JOIN LATERAL (
    SELECT array_agg(n.id ORDER BY n.seq) AS ids, array_agg(n.seq ORDER BY n.seq) AS seqs
    FROM tasks n
    WHERE n.job_id = sqlc.arg(job_id) AND n.seq = ANY(ARRAY(SELECT u.seq FROM unnest(g.seqs) AS u(seq) ORDER BY u.seq LIMIT sqlc.arg(named)))
) named
ORDER BY g.tasks DESC, g.first;
