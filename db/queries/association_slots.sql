-- LockSlots comes first in every transaction that counts or takes slots; it is held until the transaction ends.
-- name: LockSlots :exec
SELECT pg_advisory_xact_lock(7203151);

-- InteractiveRoom returns what a server allows to people now. Stale: nobody has worked out the caps of this hour yet.
-- name: InteractiveRoom :one
SELECT st.interactive_cap AS cap, coalesce(st.caps_until <= schedule_now(), false)::boolean AS stale,
       (st.interactive_cap - (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'interactive'))::integer AS free
FROM server_state st
WHERE st.server_id = $1;

-- name: InsertInteractiveSlot :one
INSERT INTO association_slots (server_id, use, member_id) VALUES ($1, 'interactive', $2) RETURNING id;

-- InsertTrialSlot takes the one slot that somebody has for servers that are not saved: of a server whose number is theirs, below zero.
-- name: InsertTrialSlot :one
INSERT INTO association_slots (server_id, use, member_id)
SELECT sqlc.arg(server_id)::bigint, 'interactive', sqlc.arg(member_id)::uuid
WHERE sqlc.arg(server_id)::bigint < 0 AND NOT EXISTS (SELECT FROM association_slots a WHERE a.server_id = sqlc.arg(server_id)::bigint)
RETURNING id;

-- InsertMoreTaskSlots gives a running task further associations to a server, up to the wanted number, if its batch cap of this hour and what
-- it was seen to take have room and no task that is due waits for that server.
-- name: InsertMoreTaskSlots :many
INSERT INTO association_slots (server_id, use, member_id, task_id, token, further)
SELECT st.server_id, 'batch', t.lease_member, t.id, t.lease_token, true
FROM server_state st
JOIN tasks t ON t.id = sqlc.arg(task_id) AND t.lease_token = sqlc.arg(token)::bigint AND t.status = 'in_progress'
CROSS JOIN generate_series(1, least(
    sqlc.arg(wanted)::integer,
    least(st.batch_cap, st.allowance) - (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'batch')::integer))
WHERE st.server_id = sqlc.arg(server_id) AND NOT st.paused AND st.breaker = 'closed' AND coalesce(st.caps_until > schedule_now(), true)
  AND NOT EXISTS (
    SELECT FROM jobs j
    CROSS JOIN LATERAL (SELECT FROM tasks p WHERE p.job_id = j.id AND p.status = 'pending' AND p.not_before <= schedule_now() LIMIT 1) due
    WHERE j.active AND j.n_pending > 0 AND j.verified AND NOT j.paused AND NOT j.canceled
      AND st.server_id IN (j.source_id, j.destination_id))
RETURNING id;

-- InsertTaskSlot gives a running task another slot of a server, if the batch cap of this hour and what the server was seen to take have room:
-- for the association over which its source sends what a C-MOVE brings, or the one that it gave back while its source was silent.
-- name: InsertTaskSlot :one
INSERT INTO association_slots (server_id, use, member_id, task_id, token)
SELECT st.server_id, 'batch', t.lease_member, t.id, t.lease_token
FROM server_state st
JOIN tasks t ON t.id = sqlc.arg(task_id) AND t.lease_token = sqlc.arg(token)::bigint AND t.status = 'in_progress'
JOIN jobs j ON j.id = t.job_id
WHERE st.server_id = sqlc.arg(server_id)
  AND least(CASE WHEN j.outside_windows THEN st.outside_cap ELSE st.batch_cap END, st.allowance)
      > (SELECT count(*) FROM association_slots a WHERE a.server_id = st.server_id AND a.use = 'batch')
RETURNING id;

-- MoveRoom returns for a running task how many associations its job may have at a server, and whether it holds its own there longer than any
-- other task.
-- name: MoveRoom :one
SELECT least(CASE WHEN j.outside_windows THEN st.outside_cap ELSE st.batch_cap END, st.allowance)::integer AS cap,
       NOT EXISTS (
           SELECT FROM association_slots a
           WHERE a.server_id = st.server_id AND a.use = 'batch' AND a.task_id <> t.id
             AND a.id < (SELECT min(own.id) FROM association_slots own WHERE own.server_id = st.server_id AND own.task_id = t.id)) AS eldest
FROM server_state st
JOIN tasks t ON t.id = sqlc.arg(task_id) AND t.lease_token = sqlc.arg(token)::bigint AND t.status = 'in_progress'
JOIN jobs j ON j.id = t.job_id
WHERE st.server_id = sqlc.arg(server_id);

-- name: DeleteSlot :exec
DELETE FROM association_slots WHERE id = $1;

-- name: DeleteSlotsOfMember :exec
DELETE FROM association_slots WHERE member_id = $1;

-- ExpireSlotsOfFencedMembers leaves the slots of fenced members counted for as long as their peers may hold the associations open; a
-- server that is not saved has no idle timeout of its own.
-- name: ExpireSlotsOfFencedMembers :exec
UPDATE association_slots a
SET expires_at = now() + make_interval(secs => coalesce((SELECT s.idle_timeout_s FROM servers s WHERE s.id = a.server_id), 60))
FROM members m
WHERE m.id = a.member_id AND m.fenced_at IS NOT NULL AND a.expires_at IS NULL;

-- name: DeleteExpiredSlots :execrows
DELETE FROM association_slots WHERE expires_at < now();
