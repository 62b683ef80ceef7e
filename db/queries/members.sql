-- name: RegisterMember :exec
INSERT INTO members (id, data_dir_id, name, roles, actor_addr, data_addr, workers, stores, version, schema_min, schema_max, folders)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: SetFoldersOfMember :exec
UPDATE members SET folders = sqlc.arg(folders)::bigint[] WHERE id = $1;

-- WhoSees names the living members that see a folder and run tasks.
-- name: WhoSees :many
SELECT name FROM members WHERE fenced_at IS NULL AND 'worker' = ANY(roles) AND (folders IS NULL OR sqlc.arg(folder)::bigint = ANY(folders)) ORDER BY name;

-- ListPeers gives the other members that can be called.
-- name: ListPeers :many
SELECT id, name, roles, actor_addr, data_addr, stores FROM members WHERE fenced_at IS NULL AND id <> $1 AND actor_addr <> '' ORDER BY id;

-- Beat keeps the latest instant that the clock has shown, not the last one: see ClockPutBack.
-- name: Beat :execrows
UPDATE members SET beat = beat + 1, beat_at = greatest(beat_at, now()) WHERE id = $1 AND fenced_at IS NULL;

-- name: AliveMembers :many
SELECT id, name, beat FROM members WHERE fenced_at IS NULL;

-- LookAround gives the living members, and what of the slots of dead ones is still counted: how many, and after how many seconds the next one is
-- not any more.
-- name: LookAround :many
SELECT m.id, m.name, m.beat, s.left_behind, s.expire_in
FROM members m
CROSS JOIN (
    SELECT count(expires_at) AS left_behind, coalesce(extract(epoch FROM min(expires_at) - now()), 'infinity')::float8 AS expire_in
    FROM association_slots
) s
WHERE m.fenced_at IS NULL;

-- FenceMember declares a member dead whose beat stands where the caller saw it.
-- name: FenceMember :execrows
UPDATE members SET fenced_at = now() WHERE id = $1 AND beat = $2 AND fenced_at IS NULL;

-- FencePredecessors declares dead what ran before in the same locked data directory.
-- name: FencePredecessors :many
UPDATE members SET fenced_at = now() WHERE data_dir_id = $1 AND id <> sqlc.arg(self) AND fenced_at IS NULL RETURNING id;

-- name: FencedMembersWithTasks :many
SELECT DISTINCT m.id FROM members m JOIN tasks t ON t.lease_member = m.id WHERE m.fenced_at IS NOT NULL AND t.status = 'in_progress';

-- name: RetireMember :exec
UPDATE members SET fenced_at = now() WHERE id = $1 AND fenced_at IS NULL;

-- name: DeleteOldMembers :exec
DELETE FROM members m
WHERE m.fenced_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.lease_member = m.id AND t.status = 'in_progress')
  AND NOT EXISTS (SELECT FROM association_slots s WHERE s.member_id = m.id);
