-- IntendToStore takes down what is about to be sent by STOW-RS, while the lease holds. It gives how many are taken down, or were before.
-- name: IntendToStore :one
WITH held AS (
    SELECT t.id FROM tasks t WHERE t.id = sqlc.arg(task_id) AND t.lease_token = sqlc.arg(token)::bigint
), intended AS (
    INSERT INTO intended_stores (task_id, sop_instance_uid)
    SELECT held.id, unnest(sqlc.arg(sop_instance_uids)::text[]) FROM held
    ON CONFLICT DO NOTHING
)
SELECT count(*) FROM held;

-- IntendedStores lists what a task was about to send, and may have sent.
-- name: IntendedStores :many
SELECT i.sop_instance_uid FROM intended_stores i WHERE i.task_id = $1;

-- ForgetIntended takes back what was taken down of instances that the destination has refused since, while the lease holds.
-- name: ForgetIntended :exec
DELETE FROM intended_stores i USING tasks t
WHERE t.id = i.task_id AND t.id = sqlc.arg(task_id) AND t.lease_token = sqlc.arg(token)::bigint
    AND i.sop_instance_uid = ANY (sqlc.arg(sop_instance_uids)::text[]);

-- DeleteSettledStores forgets what was to be sent by tasks that have come to a good end, or to another one a day ago.
-- name: DeleteSettledStores :exec
DELETE FROM intended_stores i USING tasks t
WHERE t.id = i.task_id AND (t.status IN ('success', 'warning') OR t.status IN ('failure', 'canceled') AND t.ended_at < now() - interval '1 day');
