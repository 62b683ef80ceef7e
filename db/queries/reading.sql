-- ClaimSeries says that a member fetches a series for all, unless another one does.
-- name: ClaimSeries :execrows
INSERT INTO read_series (server_id, study_uid, series_uid, store) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING;

-- KeeperOfSeries returns the disk on which a series lies, or is about to.
-- name: KeeperOfSeries :one
SELECT store FROM read_series WHERE server_id = $1 AND study_uid = $2 AND series_uid = $3;

-- TakeSeriesOver says that a member fetches a series in the place of one that has lost it.
-- name: TakeSeriesOver :exec
UPDATE read_series SET store = sqlc.arg(store)::uuid, since = now()
WHERE server_id = sqlc.arg(server_id) AND study_uid = sqlc.arg(study_uid) AND series_uid = sqlc.arg(series_uid) AND store = sqlc.arg(before)::uuid;

-- DropSeries says that a series is not on a disk any more.
-- name: DropSeries :exec
DELETE FROM read_series WHERE server_id = $1 AND study_uid = $2 AND series_uid = $3 AND store = $4;

-- DeleteOldReadSeries forgets those of members that ended without a word: nothing is kept for so long.
-- name: DeleteOldReadSeries :execrows
DELETE FROM read_series WHERE since < now() - interval '3 hours';
