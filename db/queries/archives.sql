-- name: SealArchive :exec
UPDATE jobs SET archive_password = $2 WHERE id = $1;

-- OpenArchive says that the running task of a job writes into its archive, and how many others had something in it whose ledger is gone, since they
-- are over. No row: the task is not ours any more.
-- name: OpenArchive :one
UPDATE jobs j
SET archive_open = true
FROM tasks t
WHERE t.id = sqlc.arg(id) AND t.job_id = j.id AND t.lease_member = sqlc.arg(member) AND t.lease_token = sqlc.arg(token) AND t.status = 'in_progress'
RETURNING (SELECT count(*) FROM tasks o WHERE o.job_id = j.id AND o.id <> t.id AND o.status IN ('success', 'warning') AND o.delivered > 0)::bigint AS others;

-- EndsArchive reports whether no task of a job comes after the running one.
-- name: EndsArchive :one
SELECT (archive AND n_pending = 0 AND n_running = 1)::boolean FROM jobs WHERE id = $1;

-- CloseArchive: all that a job has written has got its name.
-- name: CloseArchive :exec
UPDATE jobs SET archive_open = false WHERE id = $1;

-- ArchivesToFinish are those of jobs that ended otherwise than with a task that could do it.
-- name: ArchivesToFinish :many
SELECT j.id, j.destination_id::bigint AS folder_id
FROM jobs j
WHERE j.archive_open AND NOT j.active AND j.stripped < 3
  AND NOT EXISTS (SELECT FROM members m WHERE m.id = j.archive_member AND m.fenced_at IS NULL)
ORDER BY j.id
LIMIT 100;

-- TakeArchive gives the archive of a job that has ended to a member: no task of the job starts meanwhile. No row: it has not ended, or another member
-- has it.
-- name: TakeArchive :one
UPDATE jobs j
SET archive_member = sqlc.arg(member)::uuid
WHERE j.id = sqlc.arg(id) AND j.archive_open AND NOT j.active AND j.stripped < 3
  AND NOT EXISTS (SELECT FROM members m WHERE m.id = j.archive_member AND m.fenced_at IS NULL)
RETURNING j.id;

-- LeaveArchive gives it back. is_finished: all that the job has written has got its name.
-- name: LeaveArchive :exec
UPDATE jobs SET archive_member = NULL, archive_open = archive_open AND NOT sqlc.arg(is_finished)::boolean
WHERE id = sqlc.arg(id) AND archive_member = sqlc.arg(member)::uuid;

-- RestartArchive: what was written for a job is void.
-- name: RestartArchive :exec
UPDATE jobs SET archive_begun = archive_begun + 1 WHERE id = $1 AND archive;

-- HasJobFolder reports whether a job writes under this name into a folder.
-- name: HasJobFolder :one
SELECT EXISTS (SELECT FROM jobs WHERE destination_id = sqlc.arg(folder_id)::bigint AND folder_name = sqlc.arg(name)::text);
