-- AddChore has a chore done at a time, if nobody has planned it yet.
-- name: AddChore :exec
INSERT INTO chores (name, next_at) VALUES ($1, $2) ON CONFLICT DO NOTHING;

-- TakeChore claims a chore that is due, for this member alone until the lease is over. Zero rows: it is not due, or another has it. Chores are daily, and a day
-- has 25 hours at the most: one that is planned for later than that was planned before the clock was put back.
-- name: TakeChore :execrows
UPDATE chores SET next_at = now() + make_interval(secs => sqlc.arg(lease_seconds)::float8) 
WHERE name = sqlc.arg(name) AND (next_at <= now() OR next_at > now() + interval '26 hours');

-- name: KeepChore :exec
UPDATE chores SET next_at = now() + make_interval(secs => sqlc.arg(lease_seconds)::float8) WHERE name = sqlc.arg(name);

-- name: EndChore :exec
UPDATE chores SET next_at = sqlc.arg(next_at), ran_at = now(), result = sqlc.arg(result) WHERE name = sqlc.arg(name);

-- PlanChore has a chore done at another time than it was planned for.
-- name: PlanChore :exec
INSERT INTO chores (name, next_at) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET next_at = excluded.next_at;

-- name: GetChore :one
SELECT * FROM chores WHERE name = $1;

-- name: Now :one
SELECT now()::timestamptz;

-- What follows removes a part of what is old; it is called until there is nothing left.

-- name: DeleteEndedSessions :execrows
DELETE FROM sessions WHERE sha256 IN (
    SELECT s.sha256 FROM sessions s WHERE s.expires_at < now() - make_interval(days => sqlc.arg(days)::integer) LIMIT sqlc.arg(max));

-- name: DeleteExpiredResets :execrows
DELETE FROM password_resets WHERE sha256 IN (SELECT r.sha256 FROM password_resets r WHERE r.expires_at < now() LIMIT sqlc.arg(max));

-- name: CleanUpAttempts :execrows
DELETE FROM attempts WHERE id IN (SELECT a.id FROM attempts a WHERE a.at < now() - interval '1 day' LIMIT sqlc.arg(max));

-- name: CleanUpIdempotencyKeys :execrows
DELETE FROM idempotency_keys WHERE (user_id, key) IN (
    SELECT k.user_id, k.key FROM idempotency_keys k WHERE k.created_at <= now() - interval '24 hours' LIMIT sqlc.arg(max));

-- CleanUpTaskLogs looks at the oldest lines only: their IDs rise with their times.
-- name: CleanUpTaskLogs :execrows
DELETE FROM task_log WHERE id IN (
    SELECT l.id FROM (SELECT o.id, o.at FROM task_log o ORDER BY o.id LIMIT sqlc.arg(max)) l WHERE l.at < now() - make_interval(days => sqlc.arg(days)::integer));

-- GiveUpMails ends what no member could send, since none has a mail server.
-- name: GiveUpMails :execrows
UPDATE outbox SET status = 'given_up', ended_at = now(), error = CASE WHEN error = '' THEN sqlc.arg(error)::text ELSE error END
WHERE id IN (SELECT o.id FROM outbox o WHERE o.status = 'pending' AND o.next_at <= now()
             AND o.created_at < now() - make_interval(secs => sqlc.arg(seconds)::float8) LIMIT sqlc.arg(max));

-- name: CleanUpMails :execrows
DELETE FROM outbox WHERE id IN (
    SELECT o.id FROM outbox o WHERE o.status <> 'pending' AND o.ended_at < now() - make_interval(days => sqlc.arg(days)::integer) LIMIT sqlc.arg(max));

-- JobsToErase gives jobs that ended long ago and hold identifiers of patients.
-- name: JobsToErase :many
SELECT id FROM jobs
WHERE erased_at IS NULL AND ended_at < now() - make_interval(days => sqlc.arg(days)::integer) AND NOT active
ORDER BY ended_at LIMIT sqlc.arg(max);

-- EraseIdentifiers takes patient IDs out of some tasks of a job, which must be locked. Zero rows: there is none left.
-- name: EraseIdentifiers :execrows
UPDATE tasks e SET patient_id = ''
WHERE e.id IN (SELECT t.id FROM tasks t WHERE t.job_id = sqlc.arg(job_id) AND t.patient_id <> '' ORDER BY t.id LIMIT sqlc.arg(max));

-- EraseResults removes a part of what a batch query found, EraseQueries of what it asked. Zero rows: there is nothing left.
-- name: EraseResults :execrows
DELETE FROM query_results d WHERE d.job_id = sqlc.arg(job_id) AND d.id IN (SELECT r.id FROM query_results r WHERE r.job_id = sqlc.arg(job_id) ORDER BY r.id LIMIT sqlc.arg(max));

-- name: EraseQueries :execrows
DELETE FROM queries WHERE task_id IN (SELECT q.task_id FROM tasks t JOIN queries q ON q.task_id = t.id WHERE t.job_id = sqlc.arg(job_id) LIMIT sqlc.arg(max));

-- name: EndErasure :exec
WITH verified AS (
    DELETE FROM verifications v USING tasks t WHERE t.id = v.task_id AND t.job_id = sqlc.arg(job_id)
), named AS (
    DELETE FROM task_folders f USING tasks t WHERE t.id = f.task_id AND t.job_id = sqlc.arg(job_id)
)
UPDATE jobs j SET erased_at = now() WHERE j.id = sqlc.arg(job_id);

-- JobsToForget gives jobs that ended long ago and may have a ledger.
-- name: JobsToForget :many
SELECT id FROM jobs
WHERE NOT active AND stripped < 2 AND ended_at < now() - make_interval(days => sqlc.arg(days)::integer)
ORDER BY ended_at LIMIT sqlc.arg(max);

-- ForgetLedger removes a part of what the ledger knows of a job. Zero rows: there is nothing left.
-- name: ForgetLedger :execrows
DELETE FROM delivered d
USING (SELECT o.task_id, o.source_sop_uid FROM tasks t JOIN delivered o ON o.task_id = t.id WHERE t.job_id = sqlc.arg(job_id) LIMIT sqlc.arg(max)) part
WHERE d.task_id = part.task_id AND d.source_sop_uid = part.source_sop_uid;

-- StripJob takes down how far the clean-up is with a job, which must be locked.
-- name: StripJob :exec
UPDATE jobs SET stripped = $2 WHERE id = $1;

-- JobsToRemove gives jobs that ended before an instant: those that de-identified, or those that didn't.
-- name: JobsToRemove :many
SELECT id FROM jobs
WHERE NOT active AND (profile_name = '') = sqlc.arg(plain)::boolean AND ended_at < sqlc.arg(before)::timestamptz
ORDER BY ended_at LIMIT sqlc.arg(max);

-- RemoveTasks removes some tasks of a job that is being removed. Zero rows: there is none left.
-- name: RemoveTasks :execrows
DELETE FROM tasks WHERE id IN (SELECT t.id FROM tasks t WHERE t.job_id = sqlc.arg(job_id) ORDER BY t.id LIMIT sqlc.arg(max));

-- CleanUpTransfers removes figures of days long ago.
-- name: CleanUpTransfers :execrows
DELETE FROM daily_transfers WHERE day = (SELECT min(o.day) FROM daily_transfers o) AND day < now() - make_interval(days => sqlc.arg(days)::integer);

-- FirstEnd is when the first task of all ended.
-- name: FirstEnd :one
SELECT ended_at FROM tasks WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT 1;

-- ForgetDaysAhead removes what was summed up of days that have not been: the clock ran ahead. A day may have begun in another zone.
-- name: ForgetDaysAhead :exec
DELETE FROM daily_transfers WHERE day > sqlc.arg(today)::date + 1;

-- RollUpDay keeps what was moved on a day of the site's calendar.
-- name: RollUpDay :exec
INSERT INTO daily_transfers (day, owner_id, source_id, destination_id, tasks, failed, images, bytes)
SELECT sqlc.arg(day)::date, j.owner_id, coalesce(j.source_id, 0), coalesce(j.destination_id, 0),
       count(*), count(*) FILTER (WHERE t.status = 'failure'), sum(t.delivered), sum(t.bytes)
FROM tasks t
JOIN jobs j ON j.id = t.job_id
WHERE t.ended_at >= sqlc.arg(day)::date::timestamp AT TIME ZONE sqlc.arg(zone)::text
  AND t.ended_at < (sqlc.arg(day)::date + 1)::timestamp AT TIME ZONE sqlc.arg(zone)::text
GROUP BY j.owner_id, j.source_id, j.destination_id
ON CONFLICT (day, owner_id, source_id, destination_id) DO UPDATE
SET tasks = excluded.tasks, failed = excluded.failed, images = excluded.images, bytes = excluded.bytes;
