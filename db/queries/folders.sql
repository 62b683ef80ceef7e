-- name: ListFolders :many
SELECT f.id, n.name, f.path, f.quota_gb, f.warn_gb, u.bytes, u.measured_at
FROM folders f
JOIN dicom_nodes n ON n.id = f.id
JOIN folder_usage u ON u.folder_id = f.id
ORDER BY f.id;

-- FoldersToSee gives what a member needs to find out which folders it sees.
-- name: FoldersToSee :many
SELECT n.name, sqlc.embed(f) FROM folders f JOIN dicom_nodes n ON n.id = f.id ORDER BY f.id;

-- NobodyFor gives those of jobs that no member of the cluster may run now: none runs tasks at all, or none of those that do sees the folder.
-- name: NobodyFor :many
WITH working AS MATERIALIZED (
    SELECT m.folders
    FROM members m
    LEFT JOIN member_settings s ON s.name = m.name
    WHERE m.fenced_at IS NULL AND (m.roles = '{}' OR 'worker' = ANY(m.roles))
      AND NOT coalesce(s.draining, false) AND (s.roles IS NULL OR 'worker' = ANY(s.roles))
)
SELECT j.id AS job_id, coalesce(n.name, '') AS folder, EXISTS (SELECT FROM working) AS working
FROM jobs j
LEFT JOIN folders f ON f.id = j.destination_id AND NOT dry_run(j)
LEFT JOIN dicom_nodes n ON n.id = f.id
WHERE j.id = ANY(sqlc.arg(ids)::bigint[])
  AND (NOT EXISTS (SELECT FROM working)
       OR f.id IS NOT NULL AND NOT EXISTS (SELECT FROM working w WHERE w.folders IS NULL OR f.id = ANY(w.folders)));

-- name: InsertFolderUsage :exec
INSERT INTO folder_usage (folder_id) VALUES ($1);

-- name: GetFolderUsage :one
SELECT * FROM folder_usage WHERE folder_id = $1;

-- TakeRoom sets room for files aside within a folder's quota: as much as asked for if there is so much, at least what is needed. No row:
-- there is less.
-- name: TakeRoom :one
WITH before AS (
    SELECT u.folder_id, u.bytes, CASE WHEN f.quota_gb > 0 THEN (f.quota_gb * 1e9)::bigint ELSE 9e18::bigint END AS quota
    FROM folder_usage u JOIN folders f ON f.id = u.folder_id
    WHERE u.folder_id = sqlc.arg(folder_id)
    FOR UPDATE OF u
)
UPDATE folder_usage u SET bytes = b.bytes + least(sqlc.arg(wanted)::bigint, b.quota - b.bytes)
FROM before b
WHERE u.folder_id = b.folder_id AND b.bytes + sqlc.arg(needed)::bigint <= b.quota
RETURNING least(sqlc.arg(wanted)::bigint, b.quota - b.bytes)::bigint AS taken;

-- name: GiveRoom :exec
UPDATE folder_usage SET bytes = greatest(bytes - sqlc.arg(bytes)::bigint, 0) WHERE folder_id = sqlc.arg(folder_id);

-- PutUsage writes down what was counted, unless somebody else was first; what was set aside or given back since the count began is added.
-- name: PutUsage :exec
UPDATE folder_usage SET bytes = greatest(sqlc.arg(counted)::bigint + bytes - sqlc.arg(before)::bigint, 0), measured_at = now()
WHERE folder_id = sqlc.arg(folder_id) AND measured_at IS NOT DISTINCT FROM sqlc.narg(measured_before)::timestamptz;

-- name: SetQuota :exec
UPDATE folders SET quota_gb = $2, warn_gb = $3 WHERE id = $1;

-- name: SetMarker :exec
UPDATE folders SET marker = $2 WHERE id = $1;

-- NameJobFolder names a job's folder, unless it has a name.
-- name: NameJobFolder :one
UPDATE jobs SET folder_name = CASE WHEN folder_name = '' THEN sqlc.arg(folder_name) ELSE folder_name END WHERE id = sqlc.arg(id) RETURNING folder_name;

-- name: ListTaskFolders :many
SELECT series_uid, path FROM task_folders WHERE task_id = $1 ORDER BY series_uid;

-- NameSeriesFolder names the folder of a running task's series, unless it has a name. No row: the task is not ours any more.
-- name: NameSeriesFolder :one
INSERT INTO task_folders (task_id, series_uid, path)
SELECT t.id, sqlc.arg(series_uid), sqlc.arg(path) FROM tasks t
WHERE t.id = sqlc.arg(id) AND t.lease_member = sqlc.arg(member) AND t.lease_token = sqlc.arg(token) AND t.status = 'in_progress'
FOR SHARE
ON CONFLICT (task_id, series_uid) DO UPDATE SET path = task_folders.path
RETURNING path;

-- LockFolderPlaces: of two folders that are added at the same time, the second one is compared with the first one.
-- name: LockFolderPlaces :exec
SELECT pg_advisory_xact_lock(7160002);

-- name: LockFolder :one
SELECT * FROM folders WHERE id = $1 FOR NO KEY UPDATE;

-- ForgetGone removes warnings and chores of folders and machines that are gone, and of archives that got their names.
-- name: ForgetGone :exec
WITH done AS (
    DELETE FROM chores c WHERE c.name ~ '^folder-[0-9]+$' AND NOT EXISTS (SELECT FROM folders f WHERE c.name = 'folder-' || f.id)
)
DELETE FROM warnings w
WHERE w.key ~ '^archive-' AND NOT EXISTS (SELECT FROM jobs j WHERE j.archive_open AND w.key = 'archive-' || j.id)
   OR w.key ~ '^folder-' AND NOT EXISTS (SELECT FROM folders f WHERE split_part(w.key, '-', 2) = f.id::text)
   OR w.key ~ '^disk-' AND w.since < now() - interval '1 hour' AND NOT EXISTS (SELECT FROM members m WHERE m.fenced_at IS NULL AND w.key = 'disk-' || m.data_dir_id);

-- name: SetResolved :exec
UPDATE folders SET resolved = $2 WHERE id = $1;
