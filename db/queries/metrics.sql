-- What the metrics tell of the whole site. They are asked for every few seconds, and walk over nothing that grows with what was done.

-- WaitingJobs counts what waits, by what keeps its jobs from going on, and what runs.
-- name: WaitingJobs :many
WITH kinds AS (
    SELECT j.verified, j.paused, j.outside_windows, j.source_id, j.destination_id, sum(j.n_pending) AS pending, sum(j.n_running) AS running
    FROM jobs j
    WHERE j.active
    GROUP BY j.verified, j.paused, j.outside_windows, j.source_id, j.destination_id
), servers AS (
    SELECT st.*, coalesce(st.caps_until > schedule_now(), true) AS current,
           (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'batch') AS used
    FROM server_state st
)
SELECT (CASE
           WHEN NOT k.verified THEN 'unverified'
           WHEN k.paused THEN 'paused'
           WHEN s.server_paused THEN 'server_paused'
           WHEN s.down THEN 'server_down'
           WHEN s.closed THEN 'server_closed'
           WHEN s.paced THEN 'rate'
           WHEN s.crowded THEN 'cap'
           ELSE 'worker' END)::text AS reason,
       sum(k.pending)::bigint AS pending, sum(k.running)::bigint AS running
FROM kinds k
CROSS JOIN LATERAL (
    SELECT bool_or(v.paused) AS server_paused, bool_or(v.breaker <> 'closed') AS down, bool_or(v.next_start_at > schedule_now()) AS paced,
           bool_or(v.current AND (CASE WHEN k.outside_windows THEN v.outside_cap ELSE v.batch_cap END) = 0) AS closed,
           bool_or(v.used >= (CASE WHEN k.outside_windows THEN v.outside_cap ELSE v.batch_cap END)) AS crowded
    FROM servers v
    WHERE v.server_id IN (k.source_id, k.destination_id)
) s
GROUP BY 1;

-- WaitingTasks counts tasks that wait for a time of their own, of the eldest jobs that may go on.
-- name: WaitingTasks :many
SELECT (CASE WHEN l.unavailable THEN 'offline' WHEN l.verifying THEN 'verification' ELSE 'retry' END)::text AS reason, count(*) AS tasks
FROM (
    SELECT p.unavailable_since IS NOT NULL AS unavailable, EXISTS (SELECT FROM verifications v WHERE v.task_id = p.id AND v.open) AS verifying
    FROM (SELECT j.id FROM jobs j WHERE j.active AND j.n_pending > 0 AND j.verified AND NOT j.paused ORDER BY j.id LIMIT 1000) eldest
    JOIN tasks p ON p.job_id = eldest.id AND p.status = 'pending' AND p.not_before > schedule_now()
    LIMIT 10000
) l
GROUP BY 1;

-- ServerFigures gives for each server whether jobs may use it, and how many associations it allows and has.
-- name: ServerFigures :many
SELECT n.name, st.paused, (st.breaker <> 'closed')::boolean AS down, st.batch_cap, st.interactive_cap,
       count(a.id) FILTER (WHERE a.use = 'batch') AS batch, count(a.id) FILTER (WHERE a.use = 'interactive') AS interactive
FROM server_state st
JOIN dicom_nodes n ON n.id = st.server_id
LEFT JOIN association_slots a ON a.server_id = st.server_id
GROUP BY n.name, st.server_id;

-- AuditBacklog counts rows that are not sealed yet, up to 10000, and of sealed ones that a receiver which is being sent to has not got.
-- name: AuditBacklog :one
SELECT b.unsealed, b.age, s.unsent, s.unsent_age
FROM (
    SELECT coalesce(max(h.seq - r.seq), 0)::bigint AS unsent,
           coalesce(max(extract(epoch FROM now() - (SELECT a.at FROM audit a WHERE a.seq = r.seq + 1))), 0)::float8 AS unsent_age
    FROM audit_receivers r, audit_head h
    WHERE r.held_until > now() - interval '10 minutes'
) s, (
    SELECT count(*) AS unsealed, coalesce(extract(epoch FROM now() - min(u.at)), 0)::float8 AS age
    FROM (SELECT a.at FROM audit a WHERE a.seq IS NULL ORDER BY a.id LIMIT 10000) u
) b;

-- MailBacklog counts mails that wait, up to 10000.
-- name: MailBacklog :one
SELECT count(*) AS mails, coalesce(extract(epoch FROM now() - min(w.created_at)), 0)::float8 AS age
FROM (SELECT o.created_at FROM outbox o WHERE o.status = 'pending' ORDER BY o.next_at LIMIT 10000) w;
