-- Deliver writes instances into the ledger while the lease holds; else none. A status that comes again for an instance replaces the first. With the
-- first instances of a run earlier losses are forgotten, which were not this task's doing, and it is said which destination the ledger is of.
-- name: Deliver :execrows
WITH held AS MATERIALIZED (
    SELECT t.id FROM tasks t
    WHERE t.id = sqlc.arg(task_id) AND t.lease_member = sqlc.arg(member) AND t.lease_token = sqlc.arg(token) AND t.status = 'in_progress'
    FOR SHARE
), forgotten AS (
    UPDATE tasks t SET losses = 0, crashes = 0, waits = 0, delivered_to = sqlc.arg(delivered_to)
    FROM held
    WHERE t.id = held.id AND sqlc.arg(first)::boolean AND (t.losses, t.crashes, t.waits, t.delivered_to) <> (0, 0, 0, sqlc.arg(delivered_to)::text)
)
INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status, remarks, file, file_bytes)
SELECT held.id, unnest(sqlc.arg(sop_uids)::text[]), unnest(sqlc.arg(series_uids)::text[]), unnest(sqlc.arg(sop_class_uids)::text[]),
       unnest(sqlc.arg(bytes)::bigint[]), unnest(sqlc.arg(statuses)::integer[]), unnest(sqlc.arg(remarks)::smallint[]),
       unnest(sqlc.arg(files)::text[]), unnest(sqlc.arg(file_bytes)::bigint[])
FROM held
ON CONFLICT (task_id, source_sop_uid) DO UPDATE
SET status = excluded.status, remarks = excluded.remarks, file = excluded.file, file_bytes = excluded.file_bytes;

-- name: Delivered :many
SELECT source_sop_uid, series_uid, sop_class_uid, bytes, status, remarks, file, file_bytes FROM delivered WHERE task_id = $1;

-- LedgerTotals counts what the ledger knows of a task; there: what the destination held already (status 0111).
-- name: LedgerTotals :one
SELECT count(*) AS instances, count(*) FILTER (WHERE status = 273) AS there, coalesce(sum(bytes), 0)::bigint AS bytes
FROM delivered WHERE task_id = $1;

-- Undeliver takes instances out of the ledger that are not at the destination any more.
-- name: Undeliver :exec
DELETE FROM delivered WHERE task_id = $1 AND source_sop_uid = ANY(sqlc.arg(source_sop_uids)::text[]);

-- VoidLedger forgets what a running task delivered, and that it is to be verified: it begins anew.
-- name: VoidLedger :exec
WITH ledger AS (
    DELETE FROM delivered d WHERE d.task_id = sqlc.arg(id)
), intended AS (
    DELETE FROM intended_stores i WHERE i.task_id = sqlc.arg(id)
), summary AS (
    DELETE FROM task_series s WHERE s.task_id = sqlc.arg(id)
), deidentified AS (
    DELETE FROM task_deid d WHERE d.task_id = sqlc.arg(id)
), verification AS (
    DELETE FROM verifications v WHERE v.task_id = sqlc.arg(id)
)
UPDATE tasks t
SET delivered_to = sqlc.arg(delivered_to), expected = 0, received = 0, delivered = 0, verified = 0, bytes = 0, duplicates_passed = false,
    counted_before = '{}'
WHERE t.id = sqlc.arg(id);

-- VoidAsked forgets what a destination was asked before anything was sent, where the task goes to another one.
-- name: VoidAsked :exec
WITH intended AS (
    DELETE FROM intended_stores i WHERE i.task_id = sqlc.arg(id)
)
UPDATE tasks SET delivered_to = sqlc.arg(delivered_to), duplicates_passed = false, counted_before = '{}' WHERE id = sqlc.arg(id) AND lease_token = sqlc.arg(token)::bigint;

-- name: PutTaskSeries :exec
INSERT INTO task_series (task_id, series_uid, expected, delivered, bytes, missing)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (task_id, series_uid) DO UPDATE
SET expected = excluded.expected, delivered = excluded.delivered, bytes = excluded.bytes, missing = excluded.missing;

-- PutSummary writes down, where a run ends, what became of each series, how far the task is, since when its study has to be brought back at its
-- source, and a line of its log. What the ledger knows is not overwritten by less, and what is expected not by nothing; nothing of it is by a run that did
-- not read what earlier ones had done. A task that is over needs no ledger. The lease has ended before, so that the task is among the sums of its
-- job, which is locked.
-- name: PutSummary :exec
WITH series AS (
    INSERT INTO task_series (task_id, series_uid, expected, delivered, bytes, missing)
    SELECT sqlc.arg(id), unnest(sqlc.arg(series_uids)::text[]), unnest(sqlc.arg(series_expected)::integer[]), unnest(sqlc.arg(series_delivered)::integer[]),
           unnest(sqlc.arg(series_bytes)::bigint[]), unnest(sqlc.arg(series_missing)::text[])::jsonb
    ON CONFLICT (task_id, series_uid) DO UPDATE
    SET expected = excluded.expected, delivered = excluded.delivered, bytes = excluded.bytes, missing = excluded.missing
), log AS (
    INSERT INTO task_log (task_id, line) VALUES (sqlc.arg(id), sqlc.arg(line))
), known AS (
    SELECT count(*) AS instances, coalesce(sum(d.bytes), 0)::bigint AS bytes FROM delivered d WHERE d.task_id = sqlc.arg(id)
), ledger AS (
    DELETE FROM delivered d WHERE d.task_id = sqlc.arg(id) AND sqlc.arg(is_over)::boolean
), before AS (
    SELECT b.expected, b.received, b.delivered, b.bytes FROM tasks b WHERE b.id = sqlc.arg(id)
), task AS (
UPDATE tasks t
SET expected = CASE WHEN NOT now.counted OR sqlc.arg(expected)::integer = 0 THEN t.expected ELSE sqlc.arg(expected) END,
    received = CASE WHEN now.counted THEN greatest(sqlc.arg(received)::integer, known.instances) ELSE t.received END,
    delivered = CASE WHEN now.counted THEN greatest(sqlc.arg(delivered)::integer, known.instances) ELSE t.delivered END,
    bytes = CASE WHEN now.counted THEN greatest(sqlc.arg(bytes)::bigint, known.bytes) ELSE t.bytes END,
    unasked = CASE WHEN now.counted THEN greatest(t.unasked, sqlc.arg(unasked)::integer) ELSE t.unasked END,
    heard = CASE WHEN now.counted THEN sqlc.arg(heard)::text[] ELSE t.heard END,
    unavailable_since = CASE
        WHEN sqlc.arg(is_away)::boolean THEN coalesce(CASE WHEN sqlc.arg(is_back)::boolean THEN NULL ELSE t.unavailable_since END, schedule_now())
        WHEN NOT sqlc.arg(is_back) THEN t.unavailable_since END
FROM known, (SELECT sqlc.arg(is_loaded)::boolean AS counted) now
WHERE t.id = sqlc.arg(id)
RETURNING t.job_id, t.expected, t.received, t.delivered, t.bytes
)
UPDATE jobs j
SET sum_expected = sum_expected + task.expected - before.expected, sum_received = sum_received + task.received - before.received,
    sum_delivered = sum_delivered + task.delivered - before.delivered, sum_bytes = sum_bytes + task.bytes - before.bytes
FROM task, before
WHERE j.id = task.job_id
  AND (task.expected, task.received, task.delivered, task.bytes) <> (before.expected, before.received, before.delivered, before.bytes);

-- name: ListTaskSeries :many
SELECT * FROM task_series WHERE task_id = $1 ORDER BY series_uid;

-- name: AppendTaskLog :exec
INSERT INTO task_log (task_id, line) VALUES ($1, $2);

-- name: ListTaskLog :many
SELECT id, at, line FROM task_log WHERE task_id = $1 AND id > sqlc.arg(above) ORDER BY id LIMIT sqlc.arg(max);
