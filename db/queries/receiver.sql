-- PassDuplicates takes down that the destination held nothing of a task's study before anything was sent.
-- name: PassDuplicates :exec
UPDATE tasks SET duplicates_passed = true, delivered_to = sqlc.arg(delivered_to) WHERE id = $1 AND lease_token = sqlc.arg(token)::bigint;

-- PutRejected takes down what the source has rejected.
-- name: PutRejected :exec
UPDATE tasks SET rejected = $2 WHERE id = $1;

-- PutCountedBefore takes down what the destination counted before anything was sent.
-- name: PutCountedBefore :exec
UPDATE tasks SET counted_before = sqlc.arg(counted_before), delivered_to = sqlc.arg(delivered_to) WHERE id = $1 AND lease_token = sqlc.arg(token)::bigint;

-- CountUnsolicited adds to what a server sent without having been asked. Ages are in seconds: clocks of members may differ.
-- name: CountUnsolicited :exec
INSERT INTO unsolicited_instances (day, server, calling_ae, address, sop_class_uid, instances, quarantined, first_at, last_at)
VALUES ((now() - make_interval(secs => sqlc.arg(first_age)::float8))::date, sqlc.arg(server), sqlc.arg(calling_ae), sqlc.arg(address), sqlc.arg(sop_class_uid),
        sqlc.arg(instances), sqlc.arg(quarantined), now() - make_interval(secs => sqlc.arg(first_age)::float8), now() - make_interval(secs => sqlc.arg(last_age)::float8))
ON CONFLICT (day, server, calling_ae, address, sop_class_uid) DO UPDATE SET
    instances = unsolicited_instances.instances + excluded.instances, quarantined = unsolicited_instances.quarantined + excluded.quarantined, last_at = greatest(unsolicited_instances.last_at, excluded.last_at);

-- ListUnsolicited is a page of it, the latest first.
-- name: ListUnsolicited :many
SELECT * FROM unsolicited_instances WHERE sqlc.arg(below)::bigint = 0 OR id < sqlc.arg(below) ORDER BY id DESC LIMIT sqlc.arg(max);

-- name: DeleteOldUnsolicited :exec
DELETE FROM unsolicited_instances WHERE last_at < now() - make_interval(secs => sqlc.arg(seconds)::float8);

-- name: InsertQuarantined :exec
INSERT INTO quarantine (folder, file, server, calling_ae, address, sop_class_uid, sop_instance_uid, transfer_syntax_uid, bytes)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9);

-- ListQuarantined is a page of the quarantine, the latest first.
-- name: ListQuarantined :many
SELECT * FROM quarantine
WHERE (sqlc.arg(below)::bigint = 0 OR id < sqlc.arg(below)) AND (sqlc.arg(of_server)::text = '' OR lower(server) = lower(sqlc.arg(of_server)))
ORDER BY id DESC LIMIT sqlc.arg(max);

-- name: GetQuarantined :one
SELECT * FROM quarantine WHERE id = $1;

-- name: DeleteQuarantined :execrows
DELETE FROM quarantine WHERE id = $1;

-- QuarantinedFiles gives the files of one folder that are known.
-- name: QuarantinedFiles :many
SELECT file FROM quarantine WHERE folder = $1;

-- ForgetQuarantined removes what was in a folder and is not there any more.
-- name: ForgetQuarantined :exec
DELETE FROM quarantine WHERE folder = $1 AND NOT file = ANY(sqlc.arg(there)::uuid[]) AND arrived_at < now() - make_interval(secs => sqlc.arg(age)::float8);
