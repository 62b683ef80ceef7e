-- Deliver writes instances into the ledger while the lease holds. A status that comes again for an instance replaces the first.
-- name: Deliver :exec
INSERT INTO delivered (task_id, source_sop_uid, series_uid, sop_class_uid, bytes, status)
SELECT sqlc.arg(task_id), unnest(sqlc.arg(sop_uids)::text[]), unnest(sqlc.arg(series_uids)::text[]), unnest(sqlc.arg(sop_class_uids)::text[]),
       unnest(sqlc.arg(bytes)::bigint[]), unnest(sqlc.arg(statuses)::integer[])
ON CONFLICT (task_id, source_sop_uid) DO UPDATE SET status = excluded.status;

-- name: Delivered :many
SELECT source_sop_uid, series_uid, sop_class_uid, bytes, status FROM delivered WHERE task_id = $1;

-- LedgerTotals counts what the ledger knows of a task; there: what the destination held already (status 0111).
-- name: LedgerTotals :one
SELECT count(*) AS instances, count(*) FILTER (WHERE status = 273) AS there, coalesce(sum(bytes), 0)::bigint AS bytes
FROM delivered WHERE task_id = $1;

-- name: DeleteDelivered :exec
DELETE FROM delivered WHERE task_id = $1;

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
