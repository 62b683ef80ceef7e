-- SampleUse takes down how all servers are used now, if that is due: it is done once a minute, by one member. Zero rows: it is not due. What was
-- moved is summed up anew for this hour and the one before, so nothing is lost that was committed late; what was removed since stays counted.
-- name: SampleUse :execrows
WITH turn AS (
    INSERT INTO chores AS c (name, next_at) VALUES ('server use', now() + interval '55 seconds')
    ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at, ran_at = now()
    WHERE c.next_at <= now() OR c.next_at > now() + interval '2 minutes'
    RETURNING c.name
), used AS (
    SELECT a.server_id, count(*) FILTER (WHERE a.use = 'batch') AS batch, count(*) FILTER (WHERE a.use = 'interactive') AS interactive
    FROM association_slots a
    GROUP BY a.server_id
), ended AS (
    SELECT j.source_id, j.destination_id, date_trunc('hour', t.ended_at, 'UTC') AS hour,
           count(*) FILTER (WHERE t.delivered > 0) AS studies, sum(t.delivered)::bigint AS instances, sum(t.bytes)::bigint AS bytes
    FROM tasks t
    JOIN jobs j ON j.id = t.job_id
    WHERE t.ended_at >= date_trunc('hour', now(), 'UTC') - interval '1 hour' AND t.ended_at <= now()
    GROUP BY 1, 2, 3
), hours AS (
    SELECT s.id AS server_id, date_trunc('hour', now(), 'UTC') - make_interval(hours => h.back) AS hour, 1 - h.back AS samples
    FROM servers s CROSS JOIN (VALUES (0), (1)) AS h (back)
), new AS (
    SELECT h.server_id, h.hour, h.samples, coalesce(u.batch, 0) * h.samples AS batch, coalesce(u.interactive, 0) * h.samples AS interactive,
           coalesce(sum(e.studies) FILTER (WHERE e.source_id = h.server_id), 0)::bigint AS from_studies,
           coalesce(sum(e.instances) FILTER (WHERE e.source_id = h.server_id), 0)::bigint AS from_instances,
           coalesce(sum(e.bytes) FILTER (WHERE e.source_id = h.server_id), 0)::bigint AS from_bytes,
           coalesce(sum(e.studies) FILTER (WHERE e.destination_id = h.server_id), 0)::bigint AS to_studies,
           coalesce(sum(e.instances) FILTER (WHERE e.destination_id = h.server_id), 0)::bigint AS to_instances,
           coalesce(sum(e.bytes) FILTER (WHERE e.destination_id = h.server_id), 0)::bigint AS to_bytes
    FROM hours h
    LEFT JOIN used u ON u.server_id = h.server_id
    LEFT JOIN ended e ON e.hour = h.hour AND h.server_id IN (e.source_id, e.destination_id)
    GROUP BY h.server_id, h.hour, h.samples, u.batch, u.interactive
)
INSERT INTO server_use AS o (server_id, hour, samples, batch_sum, batch_most, interactive_sum, interactive_most,
                             from_studies, from_instances, from_bytes, to_studies, to_instances, to_bytes)
SELECT n.server_id, n.hour, n.samples, n.batch, n.batch, n.interactive, n.interactive,
       n.from_studies, n.from_instances, n.from_bytes, n.to_studies, n.to_instances, n.to_bytes
FROM new n
WHERE EXISTS (SELECT FROM turn) AND (n.samples > 0 OR n.from_studies + n.to_studies > 0)
ON CONFLICT (server_id, hour) DO UPDATE
SET samples = o.samples + excluded.samples,
    batch_sum = o.batch_sum + excluded.batch_sum, batch_most = greatest(o.batch_most, excluded.batch_most),
    interactive_sum = o.interactive_sum + excluded.interactive_sum, interactive_most = greatest(o.interactive_most, excluded.interactive_most),
    from_studies = greatest(o.from_studies, excluded.from_studies), from_instances = greatest(o.from_instances, excluded.from_instances),
    from_bytes = greatest(o.from_bytes, excluded.from_bytes),
    to_studies = greatest(o.to_studies, excluded.to_studies), to_instances = greatest(o.to_instances, excluded.to_instances),
    to_bytes = greatest(o.to_bytes, excluded.to_bytes);

-- UseOf gives the hours of a server that begin in a time, in order.
-- name: UseOf :many
SELECT * FROM server_use
WHERE server_id = sqlc.arg(server_id) AND hour >= sqlc.arg(first)::timestamptz AND hour < sqlc.arg(last)::timestamptz
ORDER BY hour;

-- CleanUpUse removes hours long ago, and those that have not been: the clock ran ahead.
-- name: CleanUpUse :execrows
DELETE FROM server_use WHERE (server_id, hour) IN (
    SELECT u.server_id, u.hour FROM server_use u
    WHERE u.hour < now() - make_interval(days => sqlc.arg(days)::integer) OR u.hour > now() + interval '1 hour' LIMIT sqlc.arg(max));
