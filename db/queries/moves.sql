-- BeginMove commits what a C-MOVE is about to bring, while the lease holds, under a message ID of its own. No row: that ID is in use, or
-- another move of the study runs at a source of which no two may, or the lease is lost; or, uncounted, the source is known to take few at once. direct: what it brings goes to another destination.
-- name: BeginMove :one
INSERT INTO expectations (source_id, message_id, task_id, lease_member, lease_token, study_uid, alone, direct)
SELECT sqlc.arg(source_id), nextval('move_message_ids')::integer, t.id, t.lease_member, t.lease_token, sqlc.arg(study_uid), sqlc.arg(alone), sqlc.arg(direct)
FROM tasks t
WHERE t.id = sqlc.arg(task_id) AND t.lease_member = sqlc.arg(lease_member) AND t.lease_token = sqlc.arg(lease_token) AND t.status = 'in_progress'
  AND (sqlc.arg(counted)::boolean OR NOT EXISTS (SELECT FROM server_state st WHERE st.server_id = sqlc.arg(source_id) AND st.move_limit > 0))
ON CONFLICT DO NOTHING
RETURNING message_id;

-- BeginLook does so for somebody who looks at what comes, and has no task, while the member lives: task_id and lease_token are 0 then.
-- name: BeginLook :one
INSERT INTO expectations (source_id, message_id, task_id, lease_member, lease_token, study_uid, alone)
SELECT sqlc.arg(source_id), nextval('move_message_ids')::integer, 0, m.id, 0, sqlc.arg(study_uid), sqlc.arg(alone)
FROM members m
WHERE m.id = sqlc.arg(member) AND m.fenced_at IS NULL
  AND (sqlc.arg(counted)::boolean OR NOT EXISTS (SELECT FROM server_state st WHERE st.server_id = sqlc.arg(source_id) AND st.move_limit > 0))
ON CONFLICT DO NOTHING
RETURNING message_id;

-- StudyIsMoved reports whether a move of a study runs that wants to be the only one.
-- name: StudyIsMoved :one
SELECT EXISTS (SELECT FROM expectations WHERE source_id = $1 AND study_uid = $2 AND alone AND ended_at IS NULL);

-- MoveLimit returns how many C-MOVEs a source takes at once, as far as that is known; 0: no limit is. LockMoveLimit keeps it, and other
-- moves away, until the transaction ends.
-- name: MoveLimit :one
SELECT move_limit FROM server_state WHERE server_id = $1;

-- name: LockMoveLimit :one
SELECT move_limit FROM server_state WHERE server_id = $1 FOR UPDATE;

-- name: RunningMoves :one
SELECT count(*) FROM expectations WHERE source_id = $1 AND ended_at IS NULL;

-- EndMove takes down that a C-MOVE has ended. good: the source did not have too many; after so many good ones in a row one more at once is tried.
-- name: EndMove :exec
WITH ended AS (
    UPDATE expectations SET ended_at = now()
    WHERE message_id = sqlc.arg(message_id)::integer AND lease_token = sqlc.arg(lease_token)::bigint AND ended_at IS NULL
)
UPDATE server_state st
SET move_limit = CASE WHEN moves_good + 1 >= sqlc.arg(for_more)::integer THEN move_limit + 1 ELSE move_limit END,
    moves_good = CASE WHEN moves_good + 1 >= sqlc.arg(for_more)::integer THEN 0 ELSE moves_good + 1 END
WHERE st.server_id = sqlc.arg(server_id) AND sqlc.arg(good)::boolean AND move_limit > 0;

-- LowerMoveLimit takes down that a source had too many C-MOVEs: no more go there at once than run now. It needs the lock of LockMoveLimit: of
-- several refusals at once, each has to see that the others have ended.
-- name: LowerMoveLimit :exec
UPDATE server_state st
SET move_limit = least(nullif(move_limit, 0), greatest(1, (SELECT count(*) FROM expectations e WHERE e.source_id = st.server_id AND e.ended_at IS NULL))),
    moves_good = 0
WHERE st.server_id = $1;

-- EndLostMoves ends the moves of tasks that no longer hold the lease under which they began, and those without a task of members that are gone.
-- name: EndLostMoves :exec
UPDATE expectations e SET ended_at = now()
WHERE e.ended_at IS NULL
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = e.task_id AND t.lease_token = e.lease_token AND t.status = 'in_progress')
  AND NOT (e.task_id = 0 AND EXISTS (SELECT FROM members m WHERE m.id = e.lease_member AND m.fenced_at IS NULL));

-- name: DeleteOldMoves :exec
DELETE FROM expectations WHERE ended_at < now() - interval '1 hour';

-- KnowsMove reports whether a C-MOVE has ended within the last hour that one of these sources was told under a message ID, or to send something
-- of a study. One whose task no longer holds the lease has ended, too, whether or not that is written yet.
-- name: KnowsMove :one
SELECT EXISTS (
    SELECT FROM expectations e
    WHERE e.source_id = ANY(sqlc.arg(sources)::bigint[]) AND NOT e.direct
      AND (e.message_id = sqlc.arg(message_id)::integer OR e.study_uid = sqlc.arg(study_uid)::text)
      AND coalesce(e.ended_at, now()) > now() - interval '1 hour'
      AND (e.ended_at IS NOT NULL
           OR e.task_id > 0 AND NOT EXISTS (SELECT FROM tasks t WHERE t.id = e.task_id AND t.lease_token = e.lease_token AND t.status = 'in_progress')));

-- ListStoringServers returns what distinguishes servers that call our receiver.
-- name: ListStoringServers :many
SELECT n.name, s.* FROM servers s JOIN dicom_nodes n ON n.id = s.id ORDER BY s.id;

-- ListExpecting gives the C-MOVEs of runs of other members that may want what one of these servers sends: named by a message ID, or for a
-- study. Of a run that goes on those that have ended count, too: something may come late. Without a task there is no run to go on.
-- name: ListExpecting :many
SELECT m.actor_addr, e.message_id, e.source_id, e.study_uid
FROM expectations e
JOIN members m ON m.id = e.lease_member AND m.fenced_at IS NULL AND m.actor_addr NOT IN ('', sqlc.arg(own)::text)
WHERE (e.task_id = 0 AND e.ended_at IS NULL
       OR EXISTS (SELECT FROM tasks t WHERE t.id = e.task_id AND t.lease_token = e.lease_token AND t.status = 'in_progress'))
  AND e.source_id = ANY(sqlc.arg(sources)::bigint[]) AND NOT e.direct
  AND (e.message_id = sqlc.arg(message_id)::integer OR e.study_uid = sqlc.arg(study_uid)::text)
ORDER BY e.ended_at DESC NULLS FIRST;

-- ListExpected gives all C-MOVEs of other members that are under way.
-- name: ListExpected :many
SELECT m.actor_addr, e.message_id, e.source_id, e.study_uid
FROM expectations e
JOIN members m ON m.id = e.lease_member AND m.fenced_at IS NULL AND m.actor_addr NOT IN ('', sqlc.arg(own)::text)
WHERE e.ended_at IS NULL AND NOT e.direct;

-- Strand takes down that an instance of a C-MOVE arrived at a member which could not hand it on.
-- name: Strand :exec
UPDATE expectations SET stranded = stranded + 1 WHERE message_id = $1;

-- Stranded returns how many did of a running task.
-- name: Stranded :one
SELECT coalesce(sum(stranded), 0)::bigint FROM expectations WHERE task_id = $1 AND lease_token = $2;
