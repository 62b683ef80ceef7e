-- name: ScheduleNow :one
SELECT schedule_now()::timestamptz;

-- ServerSchedules gives the schedules of some servers, or of all if none is named, with what is kept of them for now and what is in use.
-- name: ServerSchedules :many
SELECT s.id, n.name, s.batch_cap, s.interactive_cap, s.studies_per_minute, s.mb_per_second, s.schedule, s.park_grace_s, sqlc.embed(st),
       coalesce(used.batch, 0)::bigint AS batch_in_use, coalesce(used.interactive, 0)::bigint AS interactive_in_use, schedule_now()::timestamptz AS now
FROM servers s
JOIN dicom_nodes n ON n.id = s.id
JOIN server_state st ON st.server_id = s.id
LEFT JOIN (
    SELECT a.server_id, count(*) FILTER (WHERE a.use = 'batch') AS batch, count(*) FILTER (WHERE a.use = 'interactive') AS interactive
    FROM association_slots a
    GROUP BY a.server_id
) used ON used.server_id = s.id
WHERE coalesce(cardinality(sqlc.arg(ids)::bigint[]), 0) = 0 OR s.id = ANY(sqlc.arg(ids)::bigint[])
ORDER BY s.id;

-- PutCaps keeps what a schedule allows now, unless it was changed meanwhile.
-- name: PutCaps :exec
UPDATE server_state st
SET batch_cap = sqlc.arg(batch_cap), interactive_cap = sqlc.arg(interactive_cap), outside_cap = sqlc.arg(outside_cap),
    studies_per_minute = sqlc.arg(studies_per_minute), mb_per_second = sqlc.arg(mb_per_second), caps_until = sqlc.narg(caps_until),
    opens_at = sqlc.narg(opens_at), opens_zone = sqlc.arg(opens_zone)
FROM servers s
WHERE s.id = st.server_id AND st.server_id = sqlc.arg(server_id)
  AND (s.schedule, s.batch_cap, s.interactive_cap, s.studies_per_minute, s.mb_per_second)
    = (sqlc.arg(of_schedule)::jsonb, sqlc.arg(of_batch_cap)::integer, sqlc.arg(of_interactive_cap)::integer,
       sqlc.arg(of_studies_per_minute)::float8, sqlc.arg(of_mb_per_second)::float8);

-- name: PutSchedule :execrows
UPDATE servers
SET schedule = $2, batch_cap = $3, interactive_cap = $4, studies_per_minute = $5, mb_per_second = $6, park_grace_s = $7
WHERE id = $1;

-- name: PauseServer :execrows
UPDATE server_state SET paused = sqlc.arg(paused) WHERE server_id = sqlc.arg(server_id) AND paused <> sqlc.arg(paused);

-- Overdrawn gives the slots of a member that it should give back: of tasks whose job or server is paused, and the newest ones beyond the cap,
-- further ones first. Those of jobs that may run outside their window come before others in each server's row.
-- name: Overdrawn :many
SELECT o.id, o.task_id::bigint AS task_id, o.job_id::bigint AS job_id, o.token::bigint AS token, o.further, o.paused::boolean AS paused, o.park_grace_s
FROM (
    SELECT a.id, a.member_id, a.task_id, t.job_id, a.token, a.further, j.paused OR st.paused AS paused, s.park_grace_s,
           coalesce(st.caps_until > schedule_now(), true) AS current,
           row_number() OVER (PARTITION BY a.server_id ORDER BY a.further, NOT coalesce(j.outside_windows, false), a.id) AS place,
           CASE WHEN j.outside_windows THEN st.outside_cap ELSE st.batch_cap END AS cap
    FROM association_slots a
    JOIN server_state st ON st.server_id = a.server_id
    JOIN servers s ON s.id = a.server_id
    LEFT JOIN tasks t ON t.id = a.task_id AND t.lease_token = a.token
    LEFT JOIN jobs j ON j.id = t.job_id
    WHERE a.use = 'batch'
) o
WHERE o.member_id = sqlc.arg(member)::uuid AND o.job_id IS NOT NULL AND (o.paused OR o.current AND o.place > o.cap)
ORDER BY o.task_id, o.id;

-- Shares gives for each server with a limit in MB/s how many of its batch slots are this member's, and how many there are.
-- name: Shares :many
SELECT st.server_id, st.mb_per_second, count(a.id) AS slots, count(a.id) FILTER (WHERE a.member_id = sqlc.arg(member)) AS own
FROM server_state st
LEFT JOIN association_slots a ON a.server_id = st.server_id AND a.use = 'batch'
WHERE st.mb_per_second > 0
GROUP BY st.server_id;

-- LockPressure gives what a server has said that it bears, and keeps it until the transaction ends; used are the associations of jobs.
-- name: LockPressure :one
SELECT sqlc.embed(st), schedule_now()::timestamptz AS now,
       (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'batch') AS used
FROM server_state st
WHERE st.server_id = $1
FOR UPDATE OF st;

-- name: PutPressure :exec
UPDATE server_state
SET breaker = $2, breaker_reason = $3, breaker_at = $4, probe_at = $5, allowance = $6, ceiling = $7, tries = $8, trial_task = $9, echo = $10,
    echoed = $11, refused_task = $12, succeeded_task = $13, succeeded_at = $14, troubled_at = $15, asked_seconds = $16
WHERE server_id = $1;

-- TakeProbe claims the probe of one server whose turn it is, for the whole cluster, with a slot to hold it. The slots must be locked.
-- name: TakeProbe :one
WITH due AS (
    SELECT st.server_id
    FROM server_state st
    WHERE st.breaker = 'open' AND st.echo AND NOT st.paused AND st.probe_at <= schedule_now()
      AND coalesce(st.caps_until > schedule_now(), true)
      AND greatest(st.batch_cap, st.outside_cap) > (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'batch')
    ORDER BY st.probe_at
    LIMIT 1
), taken AS (
    UPDATE server_state st
    SET probe_at = schedule_now() + make_interval(secs => sqlc.arg(pause_seconds)::float8)
    FROM due
    WHERE st.server_id = due.server_id
    RETURNING st.server_id
)
INSERT INTO association_slots (server_id, use, member_id)
SELECT server_id, 'batch', sqlc.arg(member)::uuid FROM taken
RETURNING id, server_id;

-- name: SetUrgency :exec
UPDATE jobs SET urgent = $2, outside_windows = $3, priority = $4, version = version + 1 WHERE id = $1;

-- name: WorkersOfMember :one
SELECT w.schedule, schedule_now()::timestamptz AS now FROM worker_schedules w WHERE w.member_name = $1;

-- name: LockWorkers :one
SELECT schedule FROM worker_schedules WHERE member_name = $1 FOR UPDATE;

-- name: PutWorkers :exec
INSERT INTO worker_schedules (member_name, schedule) VALUES ($1, $2) ON CONFLICT (member_name) DO UPDATE SET schedule = excluded.schedule;

-- name: DeleteWorkers :exec
DELETE FROM worker_schedules WHERE member_name = $1;

-- WhatKeeps gathers what keeps pending tasks from starting, per job and server of it, the source first.
-- name: WhatKeeps :many
WITH used AS MATERIALIZED (
    SELECT a.server_id, count(*) AS n FROM association_slots a WHERE a.use = 'batch' GROUP BY a.server_id
)
SELECT j.id AS job_id, st.server_id, n.name, st.paused, st.breaker, st.breaker_reason, st.opens_at, st.opens_zone,
       coalesce(extract(epoch FROM st.probe_at - schedule_now()), 0)::float8 AS probe_seconds,
       coalesce(extract(epoch FROM st.next_start_at - schedule_now()), 0)::float8 AS pace_seconds,
       coalesce(st.caps_until > schedule_now(), true)::boolean AS current,
       (CASE WHEN j.outside_windows THEN st.outside_cap ELSE st.batch_cap END)::integer AS cap, st.allowance,
       coalesce(used.n, 0)::bigint AS used,
       -- a C-MOVE takes a second one
       (st.server_id = j.source_id
        AND (s.moves_first OR EXISTS (SELECT FROM direct_moves d WHERE d.source_id = j.source_id AND d.destination_id = j.destination_id)))::boolean AS moves
FROM jobs j
JOIN server_state st ON st.server_id = j.source_id OR st.server_id = j.destination_id AND NOT dry_run(j)
JOIN servers s ON s.id = st.server_id
JOIN dicom_nodes n ON n.id = st.server_id
LEFT JOIN used ON used.server_id = st.server_id
WHERE j.id = ANY(sqlc.arg(ids)::bigint[])
ORDER BY j.id, st.server_id = j.source_id DESC;

-- AheadOf counts for pending tasks of a job the tasks of the same owner that come before each at a server of its own, up to 1000 of its
-- own job. What waits for another server is not before it, nor what is kept from starting by one.
-- name: AheadOf :many
WITH nearest AS MATERIALIZED (
  SELECT f.id, row_number() OVER (ORDER BY f.not_before, f.seq) - 1 AS place
  FROM (SELECT p.id, p.not_before, p.seq FROM tasks p WHERE p.job_id = sqlc.arg(job_id) AND p.status = 'pending'
        ORDER BY p.not_before, p.seq LIMIT 1000) f
), others AS MATERIALIZED (
  SELECT coalesce(sum(o.n_pending), 0) AS n
  FROM jobs j
  JOIN jobs o ON o.owner_id = j.owner_id AND o.active AND o.id <> j.id AND o.verified AND NOT o.paused AND NOT o.canceled
             AND (o.urgent, o.priority, -o.id) > (j.urgent, j.priority, -j.id)
  WHERE j.id = sqlc.arg(job_id)
    AND EXISTS (SELECT FROM servers s WHERE s.id IN (o.source_id, o.destination_id) AND s.id IN (j.source_id, j.destination_id))
    AND NOT EXISTS (SELECT FROM server_state st WHERE st.server_id IN (o.source_id, o.destination_id)
                                                  AND st.server_id NOT IN (j.source_id, j.destination_id) AND (st.paused OR st.breaker = 'open'))
)
SELECT t.id, least(greatest(extract(epoch FROM t.not_before - schedule_now()), 0), t.wait_seconds)::float8 AS wait_seconds,
       (coalesce(nearest.place, 1000) + others.n)::bigint AS ahead,
       EXISTS (SELECT FROM verifications v WHERE v.task_id = t.id AND v.open) AS verifying
FROM tasks t
LEFT JOIN nearest ON nearest.id = t.id
CROSS JOIN others
WHERE t.id = ANY(sqlc.arg(ids)::bigint[]); -- which are of the job: to ask for that, too, makes a plan of old statistics walk over all of it

-- WaitingOfJobs tells of jobs with pending tasks what those wait for: how many are due and how many wait for a time of their own, up to 200 of each,
-- with the reasons of 50 of the latter, the next of their times and the last one. Ahead are the tasks of up to 100 jobs of the same owner between the
-- same nodes; many: there may be more.
-- name: WaitingOfJobs :many
WITH asked AS MATERIALIZED (
    SELECT j.id, j.owner_id, j.source_id, j.destination_id, j.urgent, j.priority
    FROM jobs j WHERE j.id = ANY(sqlc.arg(ids)::bigint[]) AND j.n_pending > 0
)
SELECT asked.id, due.n AS due, later.n AS later, coalesce(named.reasons, '{}')::text[] AS reasons, coalesce(named.wait_seconds, 0)::float8 AS wait_seconds,
       coalesce(last.wait_seconds, 0)::float8 AS last_seconds, checked.n AS verifying, ahead.n AS ahead, ahead.many, schedule_now()::timestamptz AS now
FROM asked
CROSS JOIN LATERAL (
    SELECT coalesce(sum(o.n_pending), 0)::bigint AS n, (count(*) = 100)::boolean AS many
    FROM (SELECT o.n_pending FROM jobs o
          WHERE o.owner_id = asked.owner_id AND o.source_id = asked.source_id AND o.destination_id = asked.destination_id
            AND (o.urgent, o.priority, -o.id) > (asked.urgent, asked.priority, -asked.id)
            AND o.active AND o.n_pending > 0 AND o.verified AND NOT o.paused AND NOT o.canceled
          ORDER BY o.urgent, o.priority, -o.id
          LIMIT 100) o
) ahead
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT FROM tasks p WHERE p.job_id = asked.id AND p.status = 'pending' AND p.not_before <= schedule_now() LIMIT 200) p
) due
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT FROM tasks p WHERE p.job_id = asked.id AND p.status = 'pending' AND p.not_before > schedule_now() LIMIT 200) p
) later
CROSS JOIN LATERAL (
    SELECT array_agg(p.waiting_reason) AS reasons,
           min(least(extract(epoch FROM p.not_before - schedule_now()), p.wait_seconds)) AS wait_seconds
    FROM (SELECT * FROM tasks p WHERE p.job_id = asked.id AND p.status = 'pending' AND p.not_before > schedule_now() ORDER BY p.not_before LIMIT 50) p
) named
LEFT JOIN LATERAL (
    SELECT least(extract(epoch FROM p.not_before - schedule_now()), p.wait_seconds) AS wait_seconds
    FROM tasks p WHERE p.job_id = asked.id AND p.status = 'pending' AND p.not_before > schedule_now() ORDER BY p.not_before DESC LIMIT 1
) last ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (SELECT FROM verifications v WHERE v.job_id = asked.id AND v.open LIMIT 200) v
) checked;

-- OverCaps counts what runs at a server beyond caps that it could have, as Overdrawn would: tasks, and further associations of others.
-- name: OverCaps :one
SELECT count(DISTINCT o.task_id) FILTER (WHERE NOT o.further) AS tasks, count(*) FILTER (WHERE o.further) AS further
FROM (
    SELECT a.task_id, a.further,
           row_number() OVER (ORDER BY a.further, NOT coalesce(j.outside_windows, false), a.id) AS place,
           CASE WHEN j.outside_windows THEN sqlc.arg(outside_cap)::integer ELSE sqlc.arg(batch_cap)::integer END AS cap
    FROM association_slots a
    LEFT JOIN tasks t ON t.id = a.task_id AND t.lease_token = a.token
    LEFT JOIN jobs j ON j.id = t.job_id
    WHERE a.use = 'batch' AND a.server_id = sqlc.arg(server_id)
) o
WHERE o.place > o.cap AND o.task_id IS NOT NULL;

-- PendingAt counts the tasks that wait for their turn at a server: those of jobs that go by its windows, and of those that need not.
-- name: PendingAt :one
SELECT coalesce(sum(j.n_pending) FILTER (WHERE NOT j.outside_windows), 0)::bigint AS inside,
       coalesce(sum(j.n_pending) FILTER (WHERE j.outside_windows), 0)::bigint AS outside
FROM jobs j
WHERE j.active AND j.n_pending > 0 AND j.verified AND NOT j.paused AND NOT j.canceled AND sqlc.arg(server_id)::bigint IN (j.source_id, j.destination_id);
