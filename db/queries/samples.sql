-- SampleJobs keeps how far jobs of which tasks run are, once in a while. It forgets what was more than an hour ago, of others after days, and what
-- lies ahead of the clock.
-- name: SampleJobs :exec
WITH old AS (
    DELETE FROM job_samples WHERE (job_id, at) IN (
        SELECT o.job_id, o.at FROM job_samples o
        WHERE o.job_id = ANY(sqlc.arg(ids)::bigint[]) AND o.at < now() - interval '1 hour'
           OR o.at < now() - interval '4 days' OR o.at > now() + interval '5 seconds'
        LIMIT 1000 FOR UPDATE SKIP LOCKED)
)
INSERT INTO job_samples (job_id, done, delivered, bytes)
SELECT j.id, j.n_success + j.n_warning + j.n_failure + j.n_canceled + r.done, j.sum_delivered + r.delivered, j.sum_bytes + r.bytes
FROM jobs j
JOIN running r ON r.job_id = j.id
WHERE j.id = ANY(sqlc.arg(ids)::bigint[])
  AND NOT EXISTS (SELECT FROM job_samples s WHERE s.job_id = j.id AND s.at > now() - make_interval(secs => sqlc.arg(every)::float8) AND s.at <= now())
ON CONFLICT DO NOTHING;

-- SamplesOfJobs gives how far jobs were, the oldest first, with the instant that they are read at.
-- name: SamplesOfJobs :many
SELECT job_id, at, done, delivered, bytes, now()::timestamptz AS now FROM job_samples
WHERE job_id = ANY(sqlc.arg(ids)::bigint[]) AND at <= now()
ORDER BY job_id, at;
