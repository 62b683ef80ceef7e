-- A token, a session or a reset is found by its SHA-256, in one look-up together with its user.

-- name: UserOfToken :one
SELECT u.id, u.username, u.is_staff, u.is_superuser, u.active_group_id, t.id AS token_id
FROM api_tokens t JOIN users u ON u.id = t.user_id
WHERE t.sha256 = $1 AND (t.expires_at IS NULL OR t.expires_at > now()) AND u.is_active;

-- UserOfSession also reports whether it is time to note that the session is in use.
-- name: UserOfSession :one
SELECT u.id, u.username, u.is_staff, u.is_superuser, u.active_group_id, s.created_at, s.expires_at,
       (s.last_seen_at < now() - interval '1 minute')::boolean AS stale
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.sha256 = sqlc.arg(sha256) AND s.expires_at > now() AND s.last_seen_at > now() - make_interval(secs => sqlc.arg(idle_seconds)::float8) AND u.is_active;

-- name: InsertSession :exec
INSERT INTO sessions (sha256, user_id, expires_at) VALUES (sqlc.arg(sha256), sqlc.arg(user_id), now() + make_interval(secs => sqlc.arg(seconds)::float8));

-- TouchSession: of requests that come at the same time, one writes.
-- name: TouchSession :exec
UPDATE sessions SET last_seen_at = now() WHERE sha256 = $1 AND last_seen_at < now() - interval '1 minute';

-- ConfirmSession notes that the password was given again.
-- name: ConfirmSession :execrows
UPDATE sessions SET confirmed_at = now() WHERE sha256 = sqlc.arg(sha256) AND user_id = sqlc.arg(user_id);

-- SessionConfirmed reports whether a session goes on and its password was given a moment ago. A later time is of a clock that was put back.
-- name: SessionConfirmed :one
SELECT EXISTS (SELECT FROM sessions WHERE sha256 = sqlc.arg(sha256) AND user_id = sqlc.arg(user_id) AND expires_at > now()
    AND confirmed_at > now() - make_interval(secs => sqlc.arg(seconds)::float8) AND confirmed_at < now() + make_interval(secs => sqlc.arg(seconds)::float8));

-- name: DeleteSession :execrows
DELETE FROM sessions WHERE sha256 = $1;

-- DeleteSessions ends a user's sessions, but for one.
-- name: DeleteSessions :execrows
DELETE FROM sessions WHERE user_id = sqlc.arg(user_id) AND sha256 <> sqlc.arg(but)::bytea;

-- LockLimit has tries under the same key come one after the other.
-- name: LockLimit :exec
SELECT pg_advisory_xact_lock(('x' || encode(substr(sqlc.arg(key)::bytea, 1, 8), 'hex'))::bit(64)::bigint);

-- CountAttempts gives how many tries there were under a key within the window, and in how many seconds one fewer counts.
-- name: CountAttempts :one
SELECT count(*) AS n, least(coalesce(extract(epoch FROM min(at) + make_interval(secs => sqlc.arg(window_seconds)::float8) - now()), 0), sqlc.arg(window_seconds)::float8)::float8 AS wait_seconds
FROM attempts
WHERE key = sqlc.arg(key) AND at > now() - make_interval(secs => sqlc.arg(window_seconds)::float8)
  AND at < now() + make_interval(secs => sqlc.arg(window_seconds)::float8); -- later ones are of a clock that was put back

-- name: InsertAttempt :one
INSERT INTO attempts (key) VALUES ($1) RETURNING id;

-- name: DeleteAttempts :exec
DELETE FROM attempts WHERE id = ANY (sqlc.arg(ids)::bigint[]);

-- DeleteOldAttempts removes some of those that count no more.
-- name: DeleteOldAttempts :exec
DELETE FROM attempts WHERE id IN (SELECT a.id FROM attempts a WHERE a.at < now() - interval '2 hours' LIMIT 100 FOR UPDATE SKIP LOCKED);

-- name: UserByName :one
SELECT * FROM users WHERE lower(username) = lower(sqlc.arg(username));

-- name: LockUser :one
SELECT * FROM users WHERE lower(username) = lower(sqlc.arg(username)) FOR NO KEY UPDATE;

-- name: LockUserID :one
SELECT * FROM users WHERE id = $1 FOR NO KEY UPDATE;

-- LockSuperusers keeps those who are left from being taken away at the same time.
-- name: LockSuperusers :many
SELECT id FROM users WHERE is_superuser AND is_active ORDER BY id FOR NO KEY UPDATE;

-- UsersToReset: those whom a name or an address stands for. They are locked, so that a link goes to the address of this moment: who changes the
-- address before or behind it ends the link.
-- name: UsersToReset :many
SELECT * FROM users WHERE is_active AND mail <> '' AND (lower(username) = lower(sqlc.arg(who)) OR lower(mail) = lower(sqlc.arg(who)))
ORDER BY id LIMIT 10 FOR NO KEY UPDATE;

-- name: AddUser :one
INSERT INTO users (username, mail, first_name, last_name, phone, department, password_hash, is_staff, is_superuser)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) RETURNING *;

-- name: UpdateUser :one
UPDATE users SET username = $2, mail = $3, first_name = $4, last_name = $5, phone = $6, department = $7, is_active = $8, is_staff = $9, is_superuser = $10
WHERE id = $1 RETURNING *;

-- name: UpdateProfile :one
UPDATE users SET mail = $2, first_name = $3, last_name = $4, phone = $5, department = $6, active_group_id = $7, preferences = $8
WHERE id = $1 RETURNING *;

-- name: SetPassword :exec
UPDATE users SET password_hash = $2 WHERE id = $1;

-- name: DeleteUser :exec
DELETE FROM users WHERE id = $1;

-- ListUsers is a page of users in an order, as ListJobs, of those whose names or mail hold a text, if one is given.
-- name: ListUsers :many
SELECT sqlc.embed(u), ARRAY(SELECT g.name FROM group_members m JOIN groups g ON g.id = m.group_id WHERE m.user_id = u.id ORDER BY g.name)::text[] AS groups
FROM users u
WHERE (sqlc.arg(search)::text = '' OR strpos(lower(concat_ws(' ', u.username, u.first_name, u.last_name, u.mail)), lower(sqlc.arg(search))) > 0)
  AND (sqlc.narg(active)::boolean IS NULL OR u.is_active = sqlc.narg(active))
  AND (sqlc.narg(staff)::boolean IS NULL OR u.is_staff = sqlc.narg(staff))
  AND (sqlc.arg(group_name)::text = '' OR EXISTS (SELECT FROM group_members m JOIN groups g ON g.id = m.group_id
                                                  WHERE m.user_id = u.id AND lower(g.name) = lower(sqlc.arg(group_name))))
  AND CASE
      WHEN sqlc.arg(after)::bigint = 0 THEN true
      WHEN sqlc.arg(sort)::text = 'username' AND sqlc.arg(down)::boolean THEN (lower(u.username), u.id) < (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'username' THEN (lower(u.username), u.id) > (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(down)::boolean THEN u.id < sqlc.arg(after)::bigint
      ELSE u.id > sqlc.arg(after)::bigint
  END
ORDER BY CASE WHEN sqlc.arg(sort)::text = 'username' AND sqlc.arg(down)::boolean THEN lower(u.username) END DESC,
         CASE WHEN sqlc.arg(sort)::text = 'username' AND NOT sqlc.arg(down)::boolean THEN lower(u.username) END,
         CASE WHEN sqlc.arg(down)::boolean THEN u.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN u.id END
LIMIT sqlc.arg(max);

-- name: GroupsOfUser :many
SELECT g.* FROM group_members m JOIN groups g ON g.id = m.group_id WHERE m.user_id = $1 ORDER BY g.name;

-- PermissionsOfUser: what the user's groups may do. Superusers may do everything besides.
-- name: PermissionsOfUser :many
SELECT DISTINCT p.permission FROM group_members m JOIN group_permissions p ON p.group_id = m.group_id WHERE m.user_id = $1 ORDER BY p.permission;

-- LinkageReaders gives who may read the linkage table of which project.
-- name: LinkageReaders :many
SELECT u.id AS user_id, p.id AS project_id
FROM users u
JOIN projects p ON EXISTS (SELECT FROM project_members m WHERE m.project_id = p.id AND m.user_id = u.id)
                OR EXISTS (SELECT FROM group_members m WHERE m.group_id = p.group_id AND m.user_id = u.id)
WHERE u.is_superuser OR EXISTS (SELECT FROM group_members m JOIN group_permissions g ON g.group_id = m.group_id
                                WHERE m.user_id = u.id AND g.permission = sqlc.arg(permission));

-- ListGroups is a page of groups in an order, as ListJobs.
-- name: ListGroups :many
SELECT g.*, (SELECT count(*) FROM group_members m WHERE m.group_id = g.id) AS members,
       ARRAY(SELECT p.permission FROM group_permissions p WHERE p.group_id = g.id ORDER BY p.permission)::text[] AS permissions
FROM groups g
WHERE CASE
      WHEN sqlc.arg(after)::bigint = 0 THEN true
      WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN (lower(g.name), g.id) < (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(sort)::text = 'name' THEN (lower(g.name), g.id) > (lower(sqlc.arg(value)::text), sqlc.arg(after)::bigint)
      WHEN sqlc.arg(down)::boolean THEN g.id < sqlc.arg(after)::bigint
      ELSE g.id > sqlc.arg(after)::bigint
  END
ORDER BY CASE WHEN sqlc.arg(sort)::text = 'name' AND sqlc.arg(down)::boolean THEN lower(g.name) END DESC,
         CASE WHEN sqlc.arg(sort)::text = 'name' AND NOT sqlc.arg(down)::boolean THEN lower(g.name) END,
         CASE WHEN sqlc.arg(down)::boolean THEN g.id END DESC, CASE WHEN NOT sqlc.arg(down)::boolean THEN g.id END
LIMIT sqlc.arg(max);

-- name: GetGroupByName :one
SELECT g.*, (SELECT count(*) FROM group_members m WHERE m.group_id = g.id) AS members,
       ARRAY(SELECT p.permission FROM group_permissions p WHERE p.group_id = g.id ORDER BY p.permission)::text[] AS permissions
FROM groups g WHERE lower(g.name) = lower(sqlc.arg(name));

-- name: LockGroup :one
SELECT * FROM groups WHERE lower(name) = lower(sqlc.arg(name)) FOR NO KEY UPDATE;

-- name: RenameGroup :exec
UPDATE groups SET name = $2 WHERE id = $1;

-- name: DeleteGroup :exec
DELETE FROM groups WHERE id = $1;

-- StaffOfGroup gives the members who are staff.
-- name: StaffOfGroup :many
SELECT u.* FROM users u JOIN group_members m ON m.user_id = u.id WHERE m.group_id = $1 AND (u.is_staff OR u.is_superuser) ORDER BY u.id;

-- name: DeletePermissions :exec
DELETE FROM group_permissions WHERE group_id = $1;

-- name: GrantPermissions :exec
INSERT INTO group_permissions (group_id, permission) SELECT sqlc.arg(group_id), unnest(sqlc.arg(permissions)::text[]);

-- ListMembers is a page of a group's members above an ID.
-- name: ListMembers :many
SELECT u.id, u.username, u.first_name, u.last_name, u.is_active FROM group_members m JOIN users u ON u.id = m.user_id
WHERE m.group_id = sqlc.arg(group_id) AND u.id > sqlc.arg(above) ORDER BY u.id LIMIT sqlc.arg(max);

-- JoinGroup: who has no active group has one then.
-- name: JoinGroup :execrows
WITH member AS (
    INSERT INTO group_members (group_id, user_id) VALUES (sqlc.arg(group_id), sqlc.arg(user_id)) ON CONFLICT DO NOTHING RETURNING user_id
), active AS (
    UPDATE users SET active_group_id = sqlc.arg(group_id) WHERE id IN (SELECT user_id FROM member) AND active_group_id IS NULL
)
SELECT user_id FROM member;

-- name: LeaveGroup :execrows
DELETE FROM group_members WHERE group_id = $1 AND user_id = $2;

-- LeaveActiveGroup: whose active group is one that they don't belong to works in another of theirs, if there is one.
-- name: LeaveActiveGroup :exec
UPDATE users u SET active_group_id = (SELECT min(m.group_id) FROM group_members m WHERE m.user_id = u.id)
WHERE u.id = $1 AND u.active_group_id IS NOT NULL AND NOT EXISTS (SELECT FROM group_members m WHERE m.user_id = u.id AND m.group_id = u.active_group_id);

-- LeaveDeletedGroup is LeaveActiveGroup for all who have no active group though they belong to some.
-- name: LeaveDeletedGroup :exec
UPDATE users u SET active_group_id = m.group_id
FROM (SELECT user_id, min(group_id) AS group_id FROM group_members GROUP BY user_id) m
WHERE u.active_group_id IS NULL AND m.user_id = u.id;

-- name: ProjectsOfGroup :many
SELECT p.id, p.name, p.is_default, (EXISTS (SELECT FROM jobs j WHERE j.project_id = p.id) OR EXISTS (SELECT FROM linkage l WHERE l.project_id = p.id))::boolean AS used
FROM projects p WHERE p.group_id = $1 ORDER BY p.id;

-- name: DeleteProject :exec
DELETE FROM projects WHERE id = $1;

-- ListAccess is a page of what groups may do with DICOM nodes, above a group and a node.
-- name: ListAccess :many
SELECT a.group_id, g.name AS group_name, a.dicom_node_id, n.name AS node_name, n.kind, a.is_source, a.is_destination
FROM node_access a JOIN groups g ON g.id = a.group_id JOIN dicom_nodes n ON n.id = a.dicom_node_id
WHERE (sqlc.arg(group_name)::text = '' OR lower(g.name) = lower(sqlc.arg(group_name))) AND (sqlc.arg(node_name)::text = '' OR lower(n.name) = lower(sqlc.arg(node_name)))
  AND (a.group_id, a.dicom_node_id) > (sqlc.arg(above_group)::bigint, sqlc.arg(above_node)::bigint)
ORDER BY a.group_id, a.dicom_node_id
LIMIT sqlc.arg(max);

-- name: NodeIDByName :one
SELECT id, name, kind FROM dicom_nodes WHERE lower(name) = lower(sqlc.arg(name));

-- LockAccess gives what a group may do with a node.
-- name: LockAccess :one
SELECT * FROM node_access WHERE group_id = $1 AND dicom_node_id = $2 FOR UPDATE;

-- name: PutAccess :exec
INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) VALUES ($1, $2, $3, $4)
ON CONFLICT (group_id, dicom_node_id) DO UPDATE SET is_source = excluded.is_source, is_destination = excluded.is_destination;

-- name: DeleteAccess :exec
DELETE FROM node_access WHERE group_id = $1 AND dicom_node_id = $2;

-- name: AddToken :one
INSERT INTO api_tokens (user_id, description, sha256, expires_at)
VALUES (sqlc.arg(user_id), sqlc.arg(description), sqlc.arg(sha256), now() + make_interval(secs => sqlc.narg(seconds)::float8)) RETURNING *;

-- name: CountTokens :one
SELECT count(*) FROM api_tokens WHERE user_id = $1;

-- DeleteExpiredTokens keeps those of the last month: their owners wonder.
-- name: DeleteExpiredTokens :execrows
DELETE FROM api_tokens WHERE expires_at < now() - interval '30 days';

-- ListTokens is a page of a user's tokens above an ID; of everybody's with 0.
-- name: ListTokens :many
SELECT t.id, t.description, t.created_at, t.expires_at, u.username, u.id AS user_id
FROM api_tokens t JOIN users u ON u.id = t.user_id
WHERE t.id > sqlc.arg(above) AND (sqlc.arg(user_id)::bigint = 0 OR t.user_id = sqlc.arg(user_id))
ORDER BY t.id
LIMIT sqlc.arg(max);

-- name: GetToken :one
SELECT t.id, t.description, t.created_at, t.expires_at, u.username, u.id AS user_id, u.is_staff
FROM api_tokens t JOIN users u ON u.id = t.user_id WHERE t.id = $1;

-- name: DeleteToken :execrows
DELETE FROM api_tokens WHERE id = $1;

-- name: DeleteTokens :execrows
DELETE FROM api_tokens WHERE user_id = $1;

-- name: CountRegistrations :one
SELECT count(*) FROM registrations;

-- name: InsertRegistration :one
INSERT INTO registrations (username, mail, first_name, last_name, phone, department, message) VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING id;

-- name: ListRegistrations :many
SELECT * FROM registrations WHERE id > sqlc.arg(above) ORDER BY id LIMIT sqlc.arg(max);

-- name: GetRegistration :one
SELECT * FROM registrations WHERE id = $1;

-- name: TakeRegistration :one
DELETE FROM registrations WHERE id = $1 RETURNING *;

-- name: DeleteOldRegistrations :execrows
DELETE FROM registrations WHERE created_at < now() - interval '90 days';

-- name: InsertPasswordReset :exec
INSERT INTO password_resets (sha256, user_id, expires_at) VALUES (sqlc.arg(sha256), sqlc.arg(user_id), now() + make_interval(secs => sqlc.arg(seconds)::float8));

-- name: UserOfPasswordReset :one
SELECT u.* FROM password_resets r JOIN users u ON u.id = r.user_id WHERE r.sha256 = $1 AND r.expires_at > now() AND u.is_active;

-- TakePasswordReset uses a reset up.
-- name: TakePasswordReset :one
DELETE FROM password_resets r WHERE r.sha256 = $1 AND r.expires_at > now() RETURNING r.user_id;

-- name: DeletePasswordResets :exec
DELETE FROM password_resets WHERE user_id = $1;

-- Lacking judges several actions at once: for each, in order, what the user lacks. Superusers have every permission; access to DICOM
-- nodes and to projects comes by groups alone, for administrators too. The arrays come from subqueries, so that how long they are makes no plan
-- better: else PostgreSQL plans anew each time, which takes longer than to answer.
-- name: Lacking :many
SELECT (u.id IS NOT NULL AND u.is_active)::boolean AS active,
       coalesce(u.is_staff OR u.is_superuser, false)::boolean AS staff,
       coalesce(u.is_superuser, false)::boolean AS superuser,
       ARRAY(SELECT wanted.p FROM unnest(string_to_array(w.permissions, ',')) WITH ORDINALITY wanted (p, i)
             WHERE NOT coalesce(u.is_superuser, false) AND NOT EXISTS (
                 SELECT FROM group_members m JOIN group_permissions g ON g.group_id = m.group_id WHERE m.user_id = u.id AND g.permission = wanted.p)
             ORDER BY wanted.i)::text[] AS permissions,
       (w.source_id = 0 OR EXISTS (SELECT FROM group_members m JOIN node_access a ON a.group_id = m.group_id
             WHERE m.user_id = u.id AND a.dicom_node_id = w.source_id AND a.is_source))::boolean AS source,
       (w.destination_id = 0 OR EXISTS (SELECT FROM group_members m JOIN node_access a ON a.group_id = m.group_id
             WHERE m.user_id = u.id AND a.dicom_node_id = w.destination_id AND a.is_destination))::boolean AS destination,
       (w.project_id = 0 OR EXISTS (SELECT FROM project_members m WHERE m.project_id = w.project_id AND m.user_id = u.id)
             OR EXISTS (SELECT FROM projects p JOIN group_members m ON m.group_id = p.group_id WHERE p.id = w.project_id AND m.user_id = u.id))::boolean AS project
FROM (SELECT unnest((SELECT sqlc.arg(numbers)::integer[])) AS number, unnest((SELECT sqlc.arg(user_ids)::bigint[])) AS user_id, unnest((SELECT sqlc.arg(permissions)::text[])) AS permissions,
             unnest((SELECT sqlc.arg(source_ids)::bigint[])) AS source_id, unnest((SELECT sqlc.arg(destination_ids)::bigint[])) AS destination_id,
             unnest((SELECT sqlc.arg(project_ids)::bigint[])) AS project_id) w
LEFT JOIN users u ON u.id = w.user_id
ORDER BY w.number;

-- name: ProjectNameTaken :one
SELECT EXISTS (SELECT FROM projects WHERE lower(name) = lower(sqlc.arg(name)));
