-- Deliver writes instances into the ledger while the lease holds. A status that comes again for an instance replaces the first.
-- name: Deliver :exec
INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status, remarks, file, file_bytes)
SELECT sqlc.arg(task_id), unnest(sqlc.arg(sop_uids)::text[]), unnest(sqlc.arg(series_uids)::text[]), unnest(sqlc.arg(sop_class_uids)::text[]),
       unnest(sqlc.arg(bytes)::bigint[]), unnest(sqlc.arg(statuses)::integer[]), unnest(sqlc.arg(remarks)::smallint[]),
       unnest(sqlc.arg(files)::text[]), unnest(sqlc.arg(file_bytes)::bigint[])
ON CONFLICT (task_id, source_sop_uid) DO UPDATE
SET status = excluded.status, remarks = excluded.remarks, file = excluded.file, file_bytes = excluded.file_bytes;

-- name: Delivered :many
SELECT source_sop_uid, series_uid, sop_class_uid, bytes, status, remarks, file, file_bytes FROM delivered WHERE task_id = $1;

-- LedgerTotals counts what the ledger knows of a task; there: what the destination held already (status 0111).
-- name: LedgerTotals :one
SELECT count(*) AS instances, count(*) FILTER (WHERE status = 273) AS there, coalesce(sum(bytes), 0)::bigint AS bytes
FROM delivered WHERE task_id = $1;

-- name: DeleteDelivered :exec
DELETE FROM delivered WHERE task_id = $1;

-- Undeliver takes instances out of the ledger that are not at the destination any more.
-- name: Undeliver :exec
DELETE FROM delivered WHERE task_id = $1 AND source_sop_uid = ANY(sqlc.arg(source_sop_uids)::text[]);

-- BelongTo says which destination a task's ledger is of.
-- name: BelongTo :execrows
UPDATE tasks SET delivered_to = $2 WHERE id = $1 AND lease_node = $3 AND lease_token = $4 AND status = 'in_progress';

-- VoidLedger forgets what a running task delivered, and that it is to be verified: it begins anew.
-- name: VoidLedger :exec
WITH ledger AS (
    DELETE FROM delivered d WHERE d.task_id = sqlc.arg(id)
), summary AS (
    DELETE FROM task_series s WHERE s.task_id = sqlc.arg(id)
), deidentified AS (
    DELETE FROM task_deid d WHERE d.task_id = sqlc.arg(id)
), verification AS (
    DELETE FROM verifications v WHERE v.task_id = sqlc.arg(id)
)
UPDATE tasks t
SET delivered_to = sqlc.arg(delivered_to), expected = 0, received = 0, delivered = 0, verified = 0, bytes = 0, duplicates_passed = false
WHERE t.id = sqlc.arg(id);

-- name: PutTaskSeries :exec
INSERT INTO task_series (task_id, series_uid, expected, delivered, bytes, missing)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (task_id, series_uid) DO UPDATE
SET expected = excluded.expected, delivered = excluded.delivered, bytes = excluded.bytes, missing = excluded.missing;

-- name: ListTaskSeries :many
SELECT * FROM task_series WHERE task_id = $1 ORDER BY series_uid;

-- name: AppendTaskLog :exec
INSERT INTO task_log (task_id, line) VALUES ($1, $2);

-- name: ListTaskLog :many
SELECT id, at, line FROM task_log WHERE task_id = $1 AND id > sqlc.arg(above) ORDER BY id LIMIT sqlc.arg(max);
