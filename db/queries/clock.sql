-- BoundWaits: what the database's clock, put back, would make wait longer than it was meant to waits from now on no longer than that, and nothing
-- that is counted from an instant begins in the future. A task's wait is tasks.wait_seconds. It gives how many rows there were: none as
-- long as the clock goes forward (five seconds are for transactions that began meanwhile). What others have locked is left to the next time. Jobs are probed by the index that claims use, and of a job
-- only what waits is looked at. A trial has 90 seconds (claim.sql).
-- name: BoundWaits :one
WITH task AS (
    UPDATE tasks u
    SET not_before = least(u.not_before, schedule_now() + make_interval(secs => u.wait_seconds)), unavailable_since = CASE WHEN u.unavailable_since > schedule_now() THEN schedule_now() ELSE u.unavailable_since END
    FROM (SELECT t.id
          FROM jobs j
          JOIN tasks t ON t.job_id = j.id AND t.status = 'pending' AND t.not_before > schedule_now()
          WHERE j.active AND j.n_pending > 0
            AND (t.not_before > schedule_now() + make_interval(secs => t.wait_seconds + 5) OR t.unavailable_since > schedule_now() + interval '5 seconds')
          FOR NO KEY UPDATE OF t SKIP LOCKED) late
    WHERE u.id = late.id
    RETURNING u.id
), lonely AS (
    UPDATE tasks t SET alone_until = now() + interval '10 minutes'
    WHERE t.alone AND t.status = 'pending' AND t.not_before <= schedule_now() AND t.alone_until > now() + interval '10 minutes 5 seconds'
    RETURNING t.id
), verification AS (
    UPDATE verifications u
    SET due_at = least(u.due_at, schedule_now() + make_interval(secs => late.wait_seconds)), since = least(u.since, schedule_now())
    FROM (SELECT v.task_id, t.wait_seconds
          FROM verifications v
          JOIN tasks t ON t.id = v.task_id
          WHERE v.open AND v.due_at > schedule_now() AND v.due_at < 'infinity'
            AND (v.due_at > schedule_now() + make_interval(secs => t.wait_seconds + 5) OR v.since > schedule_now() + interval '5 seconds')
          FOR NO KEY UPDATE OF v SKIP LOCKED) late
    WHERE u.task_id = late.task_id
    RETURNING u.task_id
), server AS (
    UPDATE server_state u
    SET probe_at = CASE WHEN u.probe_at > late.probe THEN late.probe ELSE u.probe_at END,
        next_start_at = CASE WHEN u.next_start_at > late.start THEN late.start ELSE u.next_start_at END
    FROM (SELECT st.server_id, pace.start, schedule_now() + make_interval(secs => bound.probe) AS probe
          FROM server_state st
          CROSS JOIN LATERAL (SELECT schedule_now() + make_interval(secs => CASE WHEN st.studies_per_minute > 0 THEN 61.5 / st.studies_per_minute ELSE 0 END) AS start) pace
          CROSS JOIN LATERAL (SELECT greatest(sqlc.arg(probe_seconds)::float8, st.asked_seconds, CASE WHEN st.trial_task IS NOT NULL THEN 90 END) AS probe) bound
          WHERE st.probe_at > schedule_now() + make_interval(secs => bound.probe + 5) OR st.next_start_at > pace.start + interval '5 seconds'
          FOR NO KEY UPDATE OF st SKIP LOCKED) late
    WHERE u.server_id = late.server_id
    RETURNING u.server_id
), slot AS (
    UPDATE association_slots u
    SET expires_at = late.at
    FROM (SELECT a.id, now() + make_interval(secs => s.idle_timeout_s) AS at
          FROM association_slots a
          JOIN servers s ON s.id = a.server_id
          WHERE a.expires_at > now() + make_interval(secs => s.idle_timeout_s + 5)
          FOR NO KEY UPDATE OF a SKIP LOCKED) late
    WHERE u.id = late.id
    RETURNING u.id
), expectation AS (
    UPDATE expectations SET ended_at = now() WHERE ended_at > now() + interval '5 seconds' RETURNING task_id
)
SELECT ((SELECT count(*) FROM task) + (SELECT count(*) FROM lonely) + (SELECT count(*) FROM verification) + (SELECT count(*) FROM server) + (SELECT count(*) FROM slot)
        + (SELECT count(*) FROM expectation))::bigint AS n;

-- ResetServer has a server used anew as its schedule allows, since somebody did something about it: its breaker is closed, what it refused is forgotten,
-- and a start that lies further ahead than its rate allows counts as past. Within its rate it stays.
-- name: ResetServer :exec
UPDATE server_state
SET breaker = 'closed', breaker_reason = '', breaker_at = NULL, probe_at = NULL, asked_seconds = 0, allowance = NULL, ceiling = NULL, tries = 0, trial_task = NULL,
    echoed = false, refused_task = NULL, succeeded_task = NULL,
    next_start_at = CASE WHEN next_start_at <= schedule_now() + make_interval(secs => CASE WHEN studies_per_minute > 0 THEN 61.5 / studies_per_minute ELSE 0 END)
                         THEN next_start_at END
WHERE server_id = $1;

-- ClockPutBack reports whether the database's clock has shown a later instant to any member. Five seconds are for transactions that began meanwhile.
-- name: ClockPutBack :one
SELECT EXISTS (SELECT FROM members WHERE greatest(beat_at, started_at, fenced_at) > now() + interval '5 seconds');
