-- name: RegisterMember :exec
INSERT INTO members (id, data_dir_id, name, roles, actor_addr, data_addr, workers, stores, version, schema_min, schema_max, folders)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12);

-- name: SetFoldersOfMember :exec
UPDATE members SET folders = sqlc.arg(folders)::bigint[] WHERE id = $1;

-- WhoSees names the living members that see a folder and run tasks.
-- name: WhoSees :many
SELECT name FROM members WHERE fenced_at IS NULL AND 'worker' = ANY(roles) AND (folders IS NULL OR sqlc.arg(folder)::bigint = ANY(folders)) ORDER BY name;

-- ListPeers gives the other members that can be called, with their roles in effect.
-- name: ListPeers :many
SELECT m.id, m.name, ARRAY(SELECT r FROM unnest(m.roles) r WHERE s.roles IS NULL OR r = ANY(s.roles))::text[] AS roles, m.actor_addr, m.data_addr, m.stores
FROM members m
LEFT JOIN member_settings s ON s.name = m.name
WHERE m.fenced_at IS NULL AND m.actor_addr NOT IN ('', sqlc.arg(own)::text)
ORDER BY m.id;

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
UPDATE members SET fenced_at = now(), ended = 'silent' WHERE id = $1 AND beat = $2 AND fenced_at IS NULL;

-- FencePredecessors declares dead what ran before in the same locked data directory.
-- name: FencePredecessors :many
UPDATE members SET fenced_at = now(), ended = 'replaced' WHERE data_dir_id = $1 AND id <> sqlc.arg(self) AND fenced_at IS NULL RETURNING id;

-- name: FencedMembersWithTasks :many
SELECT DISTINCT m.id FROM members m JOIN tasks t ON t.lease_member = m.id WHERE m.fenced_at IS NOT NULL AND t.status = 'in_progress';

-- name: RetireMember :exec
UPDATE members SET fenced_at = now(), ended = 'left' WHERE id = $1 AND fenced_at IS NULL;

-- name: DeleteOldMembers :exec
DELETE FROM members m
WHERE m.fenced_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM tasks t WHERE t.lease_member = m.id AND t.status = 'in_progress')
  AND NOT EXISTS (SELECT FROM association_slots s WHERE s.member_id = m.id);

-- WantedOfMember gives what people want of a member now: of its roles those in wanted, if any are named.
-- name: WantedOfMember :one
SELECT m.roles, s.roles AS wanted, coalesce(s.draining, false)::boolean AS draining, w.schedule, schedule_now()::timestamptz AS now
FROM members m
LEFT JOIN member_settings s ON s.name = m.name
LEFT JOIN worker_schedules w ON w.member_name = m.name
WHERE m.id = $1;

-- ClusterMembers gives the members that count, and of each name the last one that has ended within the last hour. The age of a beat is by the
-- database's clock.
-- name: ClusterMembers :many
SELECT m.id, m.name, m.roles, s.roles AS wanted, coalesce(s.draining, false)::boolean AS draining, m.version, m.actor_addr, m.data_addr, m.workers,
       w.schedule, m.started_at, greatest(extract(epoch FROM now() - m.beat_at), 0)::float8 AS beat_age, m.ended, m.fenced_at,
       (SELECT count(*) FROM tasks t WHERE t.lease_member = m.id AND t.status = 'in_progress') AS running,
       (SELECT count(*) FROM association_slots a WHERE a.member_id = m.id) AS slots,
       (m.folders IS NULL)::boolean AS any_folder,
       ARRAY(SELECT n.name FROM dicom_nodes n WHERE n.id = ANY(m.folders) ORDER BY n.name)::text[] AS folder_names, schedule_now()::timestamptz AS now
FROM (
    SELECT * FROM members WHERE fenced_at IS NULL
    UNION ALL
    (SELECT DISTINCT ON (name) * FROM members WHERE fenced_at > now() - interval '1 hour' ORDER BY name, fenced_at DESC)
) m
LEFT JOIN member_settings s ON s.name = m.name
LEFT JOIN worker_schedules w ON w.member_name = m.name
ORDER BY m.name, m.fenced_at NULLS FIRST, m.started_at;

-- LockMemberSettings: of two changes the second one sees what the first one has left.
-- name: LockMemberSettings :exec
SELECT pg_advisory_xact_lock(7160049);

-- RolesOfMembers gives all members that are remembered, with the roles that people want of them.
-- name: RolesOfMembers :many
SELECT m.name, m.roles, s.roles AS wanted, (m.fenced_at IS NULL)::boolean AS alive
FROM members m
LEFT JOIN member_settings s ON s.name = m.name;

-- name: GetMemberSettings :one
SELECT * FROM member_settings WHERE name = $1;

-- name: PutMemberSettings :exec
INSERT INTO member_settings (name, draining, roles) VALUES ($1, $2, $3)
ON CONFLICT (name) DO UPDATE SET draining = excluded.draining, roles = excluded.roles;

-- name: DeleteMemberSettings :exec
DELETE FROM member_settings WHERE name = $1;
